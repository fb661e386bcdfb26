"""The inside of a contender's process: does one round whenever a line on standard input says so.

Requests and answers are one JSON object per line. First comes the job, answered by {"ready": true, ...} or {"missing": ...};
then any number of {"command": "round"}, each answered by the times of that round. The process ends with its input.
"""

import importlib
import importlib.util
import json
import os
import sys
import time

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip


def pin(n_processors, n_threads=None):
    """Hold this process, and all it starts, to so many processors and threads; before any library is imported."""
    n_threads = n_threads or n_processors
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))[:n_processors]
        os.sched_setaffinity(0, processors)
    for name in THREAD_VARIABLES:
        os.environ[name] = str(n_threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"


def take_over_standard_output():
    """Return a file for the answers; whatever libraries print goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def versions_of(modules):
    """Return the versions of imported modules."""
    return {name: getattr(sys.modules.get(name), "__version__", "unknown") for name in modules}


class Rounds:
    """Times the rounds of a prepared contender; what a round returns depends on the task."""

    def __init__(self, job, run):
        self.job, self.run, self.last = job, run, None

    def train(self):
        """Time one epoch, shuffling included; the loss says whether it was the same work."""
        seconds = -time.perf_counter()
        loss = self.run()
        seconds += time.perf_counter()
        return {"seconds": seconds, "loss": float(loss)}

    def predict(self):
        """Time the prediction of all images, batch by batch; the scores are for the check afterwards."""
        batch_size, images = self.job.batch_size, self.job.images
        seconds = -time.perf_counter()
        answers = [self.run(start, start + batch_size) for start in range(0, len(images), batch_size)]
        seconds += time.perf_counter()
        return {"seconds": seconds, "labels": [int(label) for answer in answers for label in labels_of(answer)]}

    def latency(self):
        """Time one image at a time; a round's time is the median of its calls."""
        calls, answers = [], []
        for row in range(len(self.job.images)):
            start = time.perf_counter()
            answers.append(self.run(row, row + 1))
            calls.append(time.perf_counter() - start)
        median = sorted(calls)[len(calls) // 2]
        return {"seconds": median, "labels": [int(label) for answer in answers for label in labels_of(answer)]}

    def search(self):
        """Time a whole grid search; the best mean score is the check."""
        seconds = -time.perf_counter()
        score = self.run()
        seconds += time.perf_counter()
        return {"seconds": seconds, "score": float(score)}


def labels_of(answer):
    """Return the predicted classes, whether the contender gave scores or the classes themselves."""
    return answer.argmax(axis=1) if answer.ndim == 2 else answer


def prepare(request):
    """Import the contender and let it build its network; return its rounds and the answer."""
    missing = [name for name in request["requires"] if importlib.util.find_spec(name) is None]
    if missing:
        return None, {"missing": f"{', '.join(missing)} is not installed"}
    # A search shares its fits out to processes: each of them is to run on one thread, and joblib leaves what is set alone.
    pin(request["n_threads"], 1 if request["task"] == "search" else None)
    os.environ.update(request["environment"])
    from benchmarks.job import NotAvailable, read_job

    settings = {name: request[name] for name in ("task", "mode", "n_threads", "batch_size", "search_epochs")}
    job = read_job(request["problem"], **settings)
    module = importlib.import_module(f"benchmarks.peers.{request['module']}")
    try:
        run = module.prepare(job)
    except NotAvailable as error:
        return None, {"missing": str(error)}
    rounds = Rounds(job, run)
    answer = {"ready": True, "versions": versions_of(request["requires"])}
    if hasattr(module, "details"):
        answer["details"] = module.details(job)
    return getattr(rounds, job.task), answer


def main():
    """Serve one supervisor."""
    answers = take_over_standard_output()

    def send(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    round_of_task, answer = prepare(json.loads(sys.stdin.readline()))
    send(answer)
    for _ in sys.stdin:
        cpu_seconds = -time.process_time()
        result = round_of_task()
        send({**result, "cpu_seconds": cpu_seconds + time.process_time()})
