"""
Serving: a model over HTTP, replaced while it answers
=====================================================

A fitted network is data that every thread may read at once, and a refit publishes the new state with a single assignment. So
a service needs no lock, no copy for each worker and no pause: here the standard library's server answers, a training script
replaces the model in the middle, and every answer is compared with that of the old or the new model.
"""

# %%
# The service
# -----------
# The server starts a thread for every connection. A request is an image as bytes, an answer the label and the probability. Which
# model answers is decided by a single read of ``service.model``. Predictions take one thread each: the requests are the parallel
# part.

import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_cnn import ConvNetClassifier

N_CLIENTS, N_REQUESTS = 4, 500

digits = load_digits()
images, images_test, labels, labels_test = train_test_split(
    digits.images.astype(np.uint8), digits.target, random_state=0
)


class Service(BaseHTTPRequestHandler):
    """Answers POST / with what the model of the day says."""

    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True  # a small answer leaves at once
    model = None

    def do_POST(self):
        """Predict one image."""
        pixels = self.rfile.read(int(self.headers["Content-Length"]))
        if len(pixels) != 64:
            self.send_error(400, f"an image has 64 bytes, this one has {len(pixels)}")
            return
        probabilities = Service.model.predict_proba(np.frombuffer(pixels, np.uint8).reshape(1, 8, 8))[0]
        best = int(probabilities.argmax())
        body = json.dumps({"label": best, "probability": float(probabilities[best])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Print no line for each request."""


def train(n_images, random_state):
    """Train on the first images, as a nightly script would on what has come in since."""
    network = ConvNetClassifier(n_filters=(16, 32), max_iter=8, n_jobs=1, random_state=random_state)
    return network.fit(images[:n_images], labels[:n_images])


Service.model = old = train(300, random_state=0)
server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()

# %%
# Clients, and a new model
# ------------------------
# Four clients ask as fast as they are answered. When about a third of all answers have come, a better model is trained in the
# same process and takes the place of the old one.

answers = [[] for _ in range(N_CLIENTS)]


def ask(own_answers, seed):
    """Send images one after the other; note which, when, for how long, and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.connect()
    for number in np.random.RandomState(seed).randint(len(images_test), size=N_REQUESTS).tolist():
        start = time.perf_counter()
        connection.request("POST", "/", images_test[number].tobytes())
        answer = json.loads(connection.getresponse().read())
        own_answers.append((number, start, time.perf_counter() - start, answer["label"], answer["probability"]))
    connection.close()


clients = [threading.Thread(target=ask, args=(own_answers, seed)) for seed, own_answers in enumerate(answers)]
begin = time.perf_counter()
for client in clients:
    client.start()
while sum(map(len, answers)) < N_CLIENTS * N_REQUESTS // 3:
    time.sleep(0.01)
new = train(len(images), random_state=1)
Service.model, replaced = new, time.perf_counter() - begin
for client in clients:
    client.join()
server.shutdown()
server.server_close()

# %%
# No wrong answer
# ---------------
# A prediction is the same bits alone and in a batch. So the answers can be compared with what each model says of all images at
# once: exactly, not nearly.

number, start, seconds, label, probability = map(np.array, zip(*chain(*answers), strict=True))
of_old, of_new = (model.predict_proba(images_test)[number, label] == probability for model in (old, new))
is_wrong = ~(of_old | of_new)
print(f"{len(number)} answers: {of_old.sum()} of the old model, {of_new.sum()} of the new one, {is_wrong.sum()} wrong")
for name, model in (("old", old), ("new", new)):
    print(f"accuracy of the {name} model {model.score(images_test, labels_test):.3f}")
rate = len(number) / (start + seconds - begin).max()
print(f"{rate:.0f} answers a second, half of them within {1e3 * np.median(seconds):.1f} ms")
assert not is_wrong.any()

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for mask, colour, name in ((of_old, "tab:gray", "old model"), (of_new & ~of_old, "tab:blue", "new model")):
    ax.plot((start - begin)[mask], 1e3 * seconds[mask], ".", color=colour, ms=3, label=name)
ax.axvline(replaced, color="black", lw=1, ls=":", label="replaced")
ax.set(xlabel="seconds since the first request", ylabel="milliseconds until the answer", yscale="log")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(loc="upper right")
plt.show()

# %%
# While the new model is trained, requests wait longer, because training uses the same processors; none waits for it to end.
# In a service that matters, train in another process, write the model with `joblib.dump`, and load it: the line that replaces
# the model stays the same. A file that comes from outside should be read with skops, which executes nothing.
#
# The clients above are written in Python and share its lock with the server. Those of `wrk` do not: `benchmarks/serving.py` lets
# them ask this server, and compares every answer. On two processors with AVX-512, beside other programs that kept both of them
# busy, one connection had 2,200 to 2,900 answers a second, half of them within 0.12 ms, and four connections 6,400 to 6,600, half
# within 0.32 ms. The model was replaced in the middle; of 145,000 answers none was wrong. For more, take several processes, or
# send many images with one request.
