"""Ctrl-C while a kernel runs: it ends within a moment, nothing has changed, and handlers run in the caller's world."""

import _thread
import signal
import threading
import time

import numpy as np
import pytest
from problems import bits, network_problem
from test_determinism import control_word

from sklearn_cnn import ConvNetClassifier, _kernels
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.trainer import Trainer

BLOCK = {"kernel_size": (3, 3), "padding": "same", "activation": "relu"}
SECONDS_BEFORE, SECONDS_AFTER, N_THREADS = 0.3, 0.5, 2


@pytest.fixture(autouse=True)
def ctrl_c():
    """What Python does with Ctrl-C by itself; a process that was started in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Stopped(Exception):
    """What a handler raises."""


def blocks(batch_norm):
    """16 x 16 pixels, 128 channels: 400 billion multiply-adds for a step with 1200 samples."""
    return (*(ConvolutionBlock(128, batch_norm=batch_norm, **BLOCK) for _ in range(3)), DenseLayer(3)), (16, 16, 128), 1200


def dense(batch_norm):
    """Wide layers, which take up the whole mini-batch at once."""
    return (*(DenseLayer(2048, "relu", batch_norm) for _ in range(3)), DenseLayer(3)), (1, 2048, 1), 12_000


def step(layers, shape, n_samples, dtype, solver="adam"):
    plan, parameters, X = network_problem(layers, shape, 1, dtype)
    X, targets = np.zeros((n_samples, plan.n_inputs), np.uint8), np.zeros((n_samples, 3), dtype)
    trainer = Trainer(plan, parameters, loss="softmax", solver=solver, batch_size=n_samples, n_threads=N_THREADS)
    before = bits(trainer.parameters)
    yield
    try:
        if solver == "lbfgs":
            trainer.loss_gradient(X, np.arange(n_samples), targets, None)
        else:
            trainer.step(X, np.arange(n_samples), targets, None, 0.1)
    finally:
        assert (bits(trainer.parameters), trainer.t) == (before, 0)


def many_steps():
    """Each of them takes microseconds."""
    plan, parameters, X = network_problem((DenseLayer(3),), (1, 4, 1), 1, np.float32)
    order, rates = np.zeros(8_000_000, dtype=np.int64), np.full(2_000_000, 1e-3)
    trainer = Trainer(plan, parameters, loss="softmax", solver="sgd", batch_size=4, n_threads=N_THREADS)
    yield
    try:
        trainer.steps(X, order, 4, np.eye(1, 3, dtype=np.float32), None, rates)
    finally:
        assert 0 < trainer.t < len(rates)


def prediction(layers, shape, n_samples):
    plan, parameters, _ = network_problem(layers, shape, 1, np.float32)
    X = np.zeros((n_samples, plan.n_inputs), np.uint8)
    yield
    Network(plan, parameters).scores(X, n_threads=N_THREADS)


CALLS = {
    "a step, normalised": lambda: step(*blocks(True), np.float32),
    "a step in slices": lambda: step(*blocks(False), np.float32),
    "wide dense layers": lambda: step(*dense(True), np.float32),
    "many steps": many_steps,
    "a full batch": lambda: step(*blocks(False), np.float64, "lbfgs"),
    "a prediction": lambda: prediction(*blocks(True)),
}


@pytest.fixture
def whole_predictions(monkeypatch):
    """A prediction is one call, however many samples it has."""
    monkeypatch.setattr(network_module, "prediction_capacity", lambda _, n_samples, __: n_samples)


@pytest.fixture
def handler():
    """Sets what is done with SIGINT until the test has ended."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda function: signal.signal(signal.SIGINT, function)
    signal.signal(signal.SIGINT, before)


def interrupt_later(seconds):
    timer = threading.Timer(seconds, _thread.interrupt_main)
    timer.start()
    return timer


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_many_seconds_ends_in_a_moment(name, handler, whole_predictions):
    modules = [_kernels.kernels(dtype) for dtype in (np.float32, np.float64)]

    def stop(*_):
        for module in modules:
            module.take_region_times()
        raise Stopped(name)

    call = CALLS[name]()
    next(call)
    handler(stop)
    started = time.process_time()
    interrupt_later(SECONDS_BEFORE)
    with pytest.raises(Stopped, match=name) as error:
        next(call, None)
    # of the processor, which a busy machine gives to others meanwhile
    assert time.process_time() - started < N_THREADS * (SECONDS_BEFORE + SECONDS_AFTER)
    # No region has begun since: where threads wait for a processor, a thousand without work take seconds.
    assert [module.take_region_times() for module in modules] == [{}, {}]
    assert error.traceback[-1].name == "stop"  # the exception is that of the handler, with where it comes from


def test_a_prediction_in_many_blocks_ends_in_a_moment(handler):
    def stop(*_):
        raise Stopped("now")

    X = np.zeros((200_000, 28, 28), np.uint8)
    classifier = ConvNetClassifier(32, n_jobs=N_THREADS, random_state=0, max_iter=1).fit(X[:8], np.arange(8) % 2)
    handler(stop)
    started = time.process_time()
    interrupt_later(SECONDS_BEFORE)
    with pytest.raises(Stopped, match="now"):
        classifier.predict(X)
    assert time.process_time() - started < N_THREADS * (SECONDS_BEFORE + SECONDS_AFTER)


def test_ctrl_c_is_a_keyboard_interrupt(whole_predictions):
    call = CALLS["a prediction"]()
    next(call)
    interrupt_later(SECONDS_BEFORE)
    with pytest.raises(KeyboardInterrupt):
        next(call, None)


def test_a_handler_that_raises_nothing_changes_nothing(handler, whole_predictions):
    layers, shape, _ = blocks(False)
    plan, parameters, X = network_problem(layers, shape, 200, np.float32)
    network, seen = Network(plan, parameters), []
    # a handler may predict, too, and numbers are the caller's in it
    handler(lambda *_: seen.append((bits(network.scores(X[:2])), control_word())))
    expected = bits(network.scores(X, n_threads=N_THREADS))
    for _ in range(50):
        timer = interrupt_later(0.05)
        assert bits(network.scores(X, n_threads=N_THREADS)) == expected
        timer.join()
        time.sleep(0.01)
        if seen:
            break
    assert seen
    assert set(seen) == {(bits(network.scores(X[:2])), control_word())}


def test_a_thread_that_is_not_the_main_one_leaves_signals_alone(whole_predictions):
    layers, shape, _ = blocks(False)
    plan, parameters, X = network_problem(layers, shape, 200, np.float32)
    expected, found = bits(Network(plan, parameters).scores(X)), []
    thread = threading.Thread(target=lambda: found.append(bits(Network(plan, parameters).scores(X, n_threads=N_THREADS))))

    def wait():
        thread.start()
        time.sleep(5)

    interrupt_later(0.1)
    with pytest.raises(KeyboardInterrupt):  # the main thread's own
        wait()
    thread.join()
    assert found == [expected]
