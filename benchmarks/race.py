"""Races: contenders take turns, round by round, on the same problem."""

import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.contenders import CONTENDERS
from benchmarks.cores import round_trip_seconds
from benchmarks.images import SOURCES, standardised
from benchmarks.job import write_problem
from benchmarks.networks import NETWORKS, initial_weights, reference_scores
from benchmarks.ratios import ratio
from benchmarks.supervisor import ContenderFailed, Worker, python_for

PREPARATION_SECONDS = 300.0
N_CHECKED = 200  # images whose predicted class is compared with the plain computation
LOSS_TOLERANCE = {True: 0.05, False: 0.30}  # with the common weights and order, and without


def run(case, settings):
    """Run one race and return its record for the results."""
    network = NETWORKS[case.network]
    images, labels, source = SOURCES[case.network](case.n_images)
    images, weights = standardised(images), initial_weights(network)
    record = {
        "task": case.task, "network": vars(network), "forward_operations": network.forward_operations, "images": source,
        "n_images": case.n_images, "batch_size": case.batch_size, "unit": case.unit, "rounds": settings.rounds,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        write_problem(problem, network, images, labels, weights)
        before = _round_trip(case)
        entrants = _take_turns(case, problem, settings)
        record["round_trips"] = [before, _round_trip(case)]
    if case.task in ("predict", "latency"):
        expected = reference_scores(network, weights, images[:N_CHECKED]).argmax(axis=1)
        _check_labels(entrants, expected)
    if case.task == "train" and not settings.smoke:
        _check_losses(entrants)
    record["entrants"] = entrants
    record["targets"] = [_judge(target, entrants) for target in case.targets]
    return record


def _round_trip(case):
    """Return how long a cache line takes to another processor and back; None where no entrant has two threads."""
    return round_trip_seconds() if any(entrant.n_threads > 1 for entrant in case.entrants) else None


def _take_turns(case, problem, settings):
    """Start all contenders, let each warm up, then let them take turns; return a record of each."""
    records, workers = {}, {}
    try:
        for entrant in case.entrants:
            records[entrant.key] = {"contender": entrant.contender, "n_threads": entrant.n_threads, "rounds": []}
            worker = Worker(python_for(CONTENDERS[entrant.contender].module, settings.interpreters))
            workers[entrant.key] = worker
            _attempt(workers, records, entrant.key, lambda: _prepare(worker, entrant, case, problem))  # noqa: B023
        for number in range(-settings.warm_up_rounds, settings.rounds):
            # Backwards every other time: nobody always follows the same neighbour.
            for key in list(workers)[:: -1 if number % 2 else 1]:
                _attempt(workers, records, key, lambda: workers[key].round(settings.round_seconds))  # noqa: B023
    finally:
        for worker in workers.values():
            worker.close()
    return {key: _summary(record, settings.warm_up_rounds, case) for key, record in records.items()}


def _prepare(worker, entrant, case, problem):
    """Hand a worker its job, and wait until it stands ready."""
    contender = CONTENDERS[entrant.contender]
    worker.send({
        "module": contender.module, "mode": contender.mode, "requires": contender.requires, "task": case.task,
        "n_threads": entrant.n_threads, "batch_size": case.batch_size, "search_epochs": case.search_epochs,
        "problem": str(problem), "environment": dict(contender.environment),
    })  # fmt: skip
    answer = worker.receive(PREPARATION_SECONDS)
    worker.freeze()
    return answer


def _attempt(workers, records, key, action):
    """Do something with a worker and record the answer; one that is missing or fails leaves the race and is named."""
    record = records[key]
    try:
        answer = action()
    except ContenderFailed as failure:
        answer = {"failed": str(failure)}
    if "seconds" in answer:
        record["rounds"].append(answer)
    else:
        record.update(answer)
    if "missing" in record or "failed" in record:
        workers.pop(key).close()


def _summary(record, n_warm_up, case):
    """Condense a contender's rounds; the warm-up rounds count for the loss only."""
    rounds = record.pop("rounds")
    if "missing" in record or "failed" in record:
        return record
    seconds = [answer["seconds"] for answer in rounds[n_warm_up:]]
    units = {"image": case.n_images, "step": case.n_images // case.batch_size}.get(case.unit, 1)
    record.update(
        seconds=seconds,
        cpu_seconds=[answer["cpu_seconds"] for answer in rounds[n_warm_up:]],
        median_seconds=median(seconds),
        seconds_per_unit=median(seconds) / units,
    )
    for name in ("loss", "score", "labels"):
        if name in rounds[-1]:
            record[name] = rounds[-1][name]
    return record


def _check_labels(entrants, expected):
    """Replace each contender's predicted classes by the fraction that agrees with the plain computation."""
    for record in entrants.values():
        if "labels" in record:
            labels = np.array(record.pop("labels")[: len(expected)])
            record["agreement"] = float(np.mean(labels == expected))


def _check_losses(entrants):
    """Note for each contender whether its last epoch's loss is what the others have: the same work, that is."""
    trained = [record for record in entrants.values() if "loss" in record]
    common = [record["loss"] for record in trained if CONTENDERS[record["contender"]].has_common_start]
    if not common:
        return
    for record in trained:
        tolerance = LOSS_TOLERANCE[CONTENDERS[record["contender"]].has_common_start]
        record["loss_agrees"] = abs(record["loss"] - median(common)) <= tolerance * median(common)


def _judge(target, entrants):
    """Compare with a target: against the fastest of the contenders named."""
    verdict = {"statement": f"{target.statement}", "at_least": target.at_least, "entrant": target.entrant.key}
    rivals = [rival.key for rival in target.against if "seconds" in entrants[rival.key]]
    absent = [rival.key for rival in target.against if rival.key not in rivals]
    if absent:
        verdict["absent"] = absent
    if not rivals or "seconds" not in entrants[target.entrant.key]:
        return verdict
    best = min(rivals, key=lambda key: entrants[key]["median_seconds"])
    verdict.update(against=best, **ratio(entrants[best]["seconds"], entrants[target.entrant.key]["seconds"]))
    verdict["met"] = verdict["ratio"] >= target.at_least
    return verdict
