"""Results depend on the data alone: not on batches, addresses, old memory, forks or floating-point modes.

That they do not depend on threads either is tested in ``test_threads.py``.
"""

import contextlib
import ctypes
import ctypes.util
import hashlib
import itertools
import os
import platform
import time
from contextlib import contextmanager

import numpy as np
import pytest
from problems import (
    bits,
    each_kernel,
    each_level,
    gaussian_parameters,
    network_problem,
    random_network,
    regions_of,
    running_statistics,
    train,
)
from processes import run_python
from reference import LAYERS

from sklearn_cnn import _kernels
from sklearn_cnn._network import network as network_module
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Network
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

STACK = (
    ConvolutionBlock(16, (3, 3), padding="same", pooling="max", activation="relu"),
    ConvolutionBlock(20, (3, 3), padding="same", padding_mode="reflect", pooling="average", activation="tanh"),
    ConvolutionBlock(3, (2, 2), weight_sharing=False, activation="logistic"),
    DenseLayer(150, "relu"),
    DenseLayer(3),
)
NORMALISED_STACK = (
    ConvolutionBlock(16, (3, 3), padding="same", pooling="max", activation="relu", batch_norm=True),
    ConvolutionBlock(20, (3, 3), padding="same", pooling="average", activation="tanh", batch_norm=True),
    ConvolutionBlock(21, (2, 2), activation="relu", batch_norm=True),
    ConvolutionBlock(3, (2, 2), weight_sharing=False, activation="logistic", batch_norm=True),
    DenseLayer(150, "relu", batch_norm=True),
    DenseLayer(400, "tanh", batch_norm=True),
    DenseLayer(3),
)
SMALL_STACK = (ConvolutionBlock(3, (2, 2), pooling="max", activation="relu"), DenseLayer(3))

#: Layers, the side of an image, samples, and whether they are worth threads
SIZES = [(STACK, 16, 41, True), (NORMALISED_STACK, 16, 41, True), (SMALL_STACK, 6, 10, False)]
each_size = pytest.mark.parametrize(("layers", "side", "n_samples", "worth_threads"), SIZES)


def train_on(n_threads, plan, parameters, X, *, level=None, worth_threads=True):
    """What training with Adam gives, after a look at whether so many threads computed it."""
    module = _kernels.kernels(parameters.dtype, level)
    results, records = regions_of(
        module, lambda: train(plan, parameters, X, solver="adam", n_threads=n_threads, level=level)
    )
    expected = n_threads if worth_threads and module.describe()["openmp"] else 1
    assert records["forward_chunks"][1] == records["backward_chunks"][1] == expected
    return results


# ----------------------------------------------------------------------------------------------------------------- rows


def assert_rows_are_independent(network, X):
    scores = network.scores(X)
    n = len(X)
    for row in range(n):
        assert bits(network.scores(X[row : row + 1])) == bits(scores[row : row + 1])
    for size in (2, 3, 5, n - 1):
        pieces = [network.scores(X[start : start + size]) for start in range(0, n, size)]
        assert bits(np.concatenate(pieces)) == bits(scores)
    for order in (np.arange(n)[::-1], np.random.default_rng(0).permutation(n), np.arange(5 * n) % n):
        assert bits(network.scores(X[order])) == bits(scores[order])


@each_kernel
@pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.name)
def test_a_row_does_not_depend_on_the_others(level, dtype, row):
    plan, parameters, X = network_problem((row.layer,), row.input_shape, 17, dtype)
    assert_rows_are_independent(Network(plan, parameters, level=level), X)


@each_kernel
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_row_does_not_depend_on_the_others_in_random_networks(level, dtype, batch_norm):
    random_state = np.random.default_rng(2)
    for _ in range(30):
        plan = random_network(random_state, batch_norm=batch_norm)
        X = random_state.standard_normal((11, plan.n_inputs)).astype(dtype)
        parameters, statistics = gaussian_parameters(plan, random_state, dtype), running_statistics(plan, random_state, dtype)
        assert_rows_are_independent(Network(plan, parameters, statistics, level=level), X)


@each_kernel
@pytest.mark.parametrize("n_inputs", [1, 6, 26, 40, 333])
def test_dense_rows_of_any_width(level, dtype, n_inputs):
    # Widths on both sides of every vector and of the blocks that threads take.
    for n_units in (*range(1, 36), 63, 64, 65, 66, 127, 128, 130):
        plan, parameters, X = network_problem((DenseLayer(n_units),), (1, n_inputs, 1), 115, dtype)
        network = Network(plan, parameters, level=level)
        scores = network.scores(X)
        for part in (slice(0, 1), slice(114, 115), slice(7, 9), slice(3, 6), slice(50, 63), slice(1, 115)):
            assert bits(network.scores(X[part])) == bits(scores[part]), n_units


@each_kernel
@pytest.mark.parametrize("n_filters", [*range(1, 20), 31, 32, 33, 48, 65])
def test_pixels_do_not_depend_on_their_place_in_a_tile(level, dtype, n_filters):
    # The same patch everywhere: every pixel of the map must have the same bits, whatever tile or tail computes it.
    plan = build_plan((ConvolutionBlock(n_filters, (3, 2)),), (9, 33, 3))
    random_state = np.random.default_rng(3)
    parameters = gaussian_parameters(plan, random_state, dtype)
    X = np.tile(random_state.standard_normal(3), 9 * 33).reshape(1, -1).astype(dtype)
    maps = Network(plan, parameters, level=level).scores(X).reshape(-1, n_filters)
    assert bits(maps) == bits(np.repeat(maps[:1], len(maps), axis=0))


@each_level
def test_a_batch_of_several_workspaces_is_one_batch(level):
    plan, parameters, X = network_problem(SMALL_STACK, (6, 6, 2), 2500, np.float32)
    network = Network(plan, parameters, level=level)
    scores = network.scores(X)
    assert bits(scores[1000:2050]) == bits(network.scores(X[1000:2050]))
    assert bits(scores[2499:]) == bits(network.scores(X[2499:]))


# --------------------------------------------------------------------------------------------------------------- memory


def at_offset(array, offset):
    """A copy that begins `offset` bytes behind a cache line."""
    room = np.zeros(array.nbytes + 128, dtype=np.uint8)
    start = -room.ctypes.data % 64 + offset
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@each_kernel
@pytest.mark.parametrize("shape", [(9, 9), (1, 7), (5, 33), (61, 60)])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_filters_and_channels_do_not_depend_on_how_many_there_are(level, dtype, shape, padding_mode):
    # Where filters (or channels, for the input gradient) leave lanes empty, pixels take their place; 48 fill all lanes.
    # One sample, because the chunks that samples are cut into do depend on the size of the network.
    kernel, largest = (3, 3) if min(shape) > 1 else (1, 5), 48
    random_state = np.random.default_rng(3)
    weights = random_state.standard_normal((*kernel, largest, largest)).astype(dtype)
    X = random_state.standard_normal((1, *shape, largest)).astype(dtype)
    d_outputs = random_state.standard_normal((1, *shape, largest)).astype(dtype)

    def solve(channels, filters):
        block = ConvolutionBlock(filters, kernel, padding="same", padding_mode=padding_mode)
        plan = build_plan((block,), (*shape, channels), True)
        parameters = np.zeros(plan.parameter_size, dtype)
        network = Network(plan, parameters, level=level)
        network.weights(0)[...] = weights[:, :, :channels, :filters]
        rows = np.ascontiguousarray(X[..., :channels]).reshape(1, -1)
        d_X, gradient = network.gradients(rows, d_outputs[..., :filters].reshape(1, -1))
        d_weights = Network(plan, gradient).weights(0)
        maps = (network.scores(rows), d_X)
        return plan.records, *(array.reshape(1, *shape, -1) for array in maps), d_weights

    _, outputs, *_ = solve(6, largest)
    _, _, d_X, _ = solve(largest, 6)
    _, _, _, d_weights = solve(largest, largest)
    planes = set()
    for n in (1, 2, 3, 5, 8, 10, 13, 17, 20, 33, 39):
        records, few_outputs, _, few_d_weights = solve(6, n)
        assert bits(few_outputs) == bits(outputs[..., :n]), n
        assert bits(few_d_weights) == bits(d_weights[:, :, :6, :n]), n
        planes.add(("plane", bool(records["planes_size"][0]), int(records["planes_first"][0])))
        records, _, few_d_X, few_d_weights = solve(n, 6)
        assert bits(few_d_X) == bits(d_X[..., :n]), n
        assert bits(few_d_weights) == bits(d_weights[:, :, :n, :6]), n
        planes.add(("gradient", bool(records["gradient_planes_size"][0]), int(records["gradient_planes_first"][0])))
    everything = {(name, True, first) for name in ("plane", "gradient") for first in (0, 32)}
    assert everything <= planes or shape[0] < 60  # not so on smaller maps


@each_kernel
def test_addresses_do_not_matter(level, dtype):
    plan, parameters, X = network_problem(STACK, (8, 9, 3), 5, dtype)
    scores = bits(Network(plan, parameters, level=level).scores(X))
    trained = train(plan, parameters, X, solver="adam", n_threads=1, level=level)
    for offset in range(64):
        assert bits(Network(plan, parameters, level=level).scores(at_offset(X, offset))) == scores
        assert bits(Network(plan, at_offset(parameters, offset), level=level).scores(X)) == scores
        if offset % 5 == 0:
            moved = at_offset(parameters, offset), at_offset(X, offset)
            assert train(plan, *moved, solver="adam", n_threads=1, level=level) == trained


@each_level
def test_addresses_of_bytes_do_not_matter(level):
    plan, parameters, _ = network_problem(STACK, (8, 9, 3), 5, np.float32)
    X = np.random.default_rng(4).integers(0, 256, (5, plan.n_inputs)).astype(np.uint8)
    network = Network(plan, parameters, level=level)
    expected = bits(network.scores(X))
    assert all(bits(network.scores(at_offset(X, offset))) == expected for offset in range(64))


@pytest.fixture
def poison(monkeypatch):
    """A switch: from then on, fresh memory is full of NaN, and positions of maxima point out of every window."""
    create, initialise = network_module.aligned_empty, network_module.Workspace.__init__

    def poisoned_empty(n, dtype):
        array = create(n, dtype)
        array[...] = np.nan if np.dtype(dtype).kind == "f" else 255
        return array

    def poisoned_workspace(self, *arguments, **options):
        initialise(self, *arguments, **options)
        if self.positions is not None:
            self.positions[...] = 255

    def switch():
        network_module._idle_workspaces.cache_clear()
        monkeypatch.setattr(network_module, "aligned_empty", poisoned_empty)
        monkeypatch.setattr(network_module.Workspace, "__init__", poisoned_workspace)
        assert np.isnan(network_module.aligned_empty(3, np.float32)).all()

    return switch


@each_kernel
@pytest.mark.parametrize("input_gradient", [False, True])
@pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.name)
def test_old_memory_is_never_read_by_a_layer(level, dtype, row, input_gradient, poison):
    plan, parameters, X = network_problem((row.layer,), row.input_shape, 9, dtype, input_gradient)
    d_outputs = np.random.default_rng(5).standard_normal((9, plan.n_outputs)).astype(dtype)

    def run():
        network = Network(plan, parameters, level=level)
        d_X, d_parameters = network.gradients(X, d_outputs)
        return bits(network.scores(X)), bits(d_parameters), bits(d_X) if input_gradient else None

    clean = run()
    poison()
    assert run() == clean


@each_kernel
@pytest.mark.parametrize("n_threads", [1, 2])
@each_size
def test_old_memory_is_never_read_in_training(level, dtype, n_threads, layers, side, n_samples, worth_threads, poison):
    problem = network_problem(layers, (side, side, 3), n_samples, dtype)
    clean = train_on(n_threads, *problem, level=level, worth_threads=worth_threads)
    poison()
    assert train_on(n_threads, *problem, level=level, worth_threads=worth_threads) == clean


@each_kernel
@pytest.mark.parametrize("batch_norm", [False, True])
def test_nothing_is_written_outside_the_workspace(level, dtype, batch_norm, monkeypatch):
    """Guard zones around every array that the kernels write."""
    create, rooms = network_module.aligned_empty, []

    def guarded_empty(n, dtype):
        room = create(n + 512, dtype)
        room[...] = 12345
        rooms.append((room, n))
        return room[256 : 256 + n]

    random_state = np.random.default_rng(6)
    monkeypatch.setattr(network_module, "aligned_empty", guarded_empty)
    for _ in range(30):
        plan = random_network(random_state, batch_norm=batch_norm)
        X = random_state.standard_normal((5, plan.n_inputs)).astype(dtype)
        train(plan, gaussian_parameters(plan, random_state, dtype), X, solver="adam", n_threads=2, level=level)
    train_on(3, *network_problem(STACK, (16, 16, 3), 41, dtype), level=level)
    assert rooms
    for room, n in rooms:
        assert np.all(room[:256] == 12345)
        assert np.all(room[256 + n :] == 12345)


# --------------------------------------------------------------------------------------------- the caller's environment


def control_word():
    """Rounding, flush-to-zero and trap bits of this thread (x86-64: MXCSR without its exception flags)."""
    buffer = (ctypes.c_uint32 * 16)()
    ctypes.CDLL(ctypes.util.find_library("m")).fegetenv(buffer)
    return buffer[7] & ~0x3F


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="reads a register of x86-64")
@each_kernel
def test_floating_point_modes_are_left_alone(level, dtype):
    before = control_word()
    for layers, side, n_samples, worth_threads in SIZES:
        plan, parameters, X = network_problem(layers, (side, side, 3), n_samples, dtype)
        for n_threads in (1, 2):
            train_on(n_threads, plan, parameters, X, level=level, worth_threads=worth_threads)
            Network(plan, parameters, level=level).scores(X, n_threads=n_threads)
            assert control_word() == before
    assert before & 0x8040 == 0  # NumPy's and Python's own subnormal numbers live on
    assert np.float32(1e-40) * np.float32(1) > 0


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64", "aarch64"}, reason="no such mode is known there")
@each_kernel
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_subnormal_numbers_are_zero_on_every_thread(level, dtype, n_threads):
    """They take a hundred times as long, and would then depend on who computes them."""
    plan = build_plan((ConvolutionBlock(24, (3, 3), padding="same"),), (40, 40, 3))
    X = np.full((40, plan.n_inputs), 1000 * np.finfo(dtype).smallest_subnormal, dtype=dtype)
    parameters = np.ones(plan.parameter_size, dtype=dtype)
    parameters[plan.blocks[1].offset :] = 0  # beside a bias nothing of them would be seen
    assert np.all(X > 0)
    assert not Network(plan, parameters, level=level).scores(X, n_threads=n_threads).any()


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64", "aarch64"}, reason="no such mode is known there")
@each_kernel
def test_subnormal_numbers_take_no_longer_than_others(level, dtype):
    """The least of several times of the processor, to which other programs matter little."""
    plan, parameters, X = network_problem(STACK, (16, 16, 3), 41, dtype)
    subnormal = dtype(1000 * np.finfo(dtype).smallest_subnormal)

    def seconds(parameters, X):
        network, started = Network(plan, parameters, level=level), time.process_time()
        network.scores(X)
        train(plan, parameters, X, solver="sgd", n_threads=1, level=level)
        return time.process_time() - started

    assert (np.abs(subnormal * parameters) < np.finfo(dtype).tiny).all()
    times = np.array([(seconds(parameters, X), seconds(subnormal * parameters, subnormal * X)) for _ in range(9)])
    usual, unusual = times.min(axis=0)
    assert unusual <= 1.5 * usual


#: What fesetround takes, by machine.
ROUNDINGS = {
    "x86_64": {"down": 0x400, "up": 0x800, "to zero": 0xC00},
    "aarch64": {"up": 0x400000, "down": 0x800000, "to zero": 0xC00000},
}


@contextmanager
def rounding(direction):
    """Round as nobody does, and make sure of it."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    assert library.fesetround(ROUNDINGS[platform.machine()][direction]) == 0
    try:
        assert library.fegetround() == ROUNDINGS[platform.machine()][direction]
        yield
    finally:
        library.fesetround(0)


@pytest.mark.skipif(platform.machine() not in ROUNDINGS, reason="does not know how to round otherwise here")
@pytest.mark.parametrize("direction", ["up", "down", "to zero"])
@each_kernel
def test_the_callers_rounding_mode_changes_no_bit(level, dtype, direction):
    """Serial parts took it over: transformed weights, moments put together, sums of chunks, the rate of a step."""
    module = _kernels.kernels(dtype, level)
    for layers, side, n_samples, _ in SIZES:
        plan, parameters, X = network_problem(layers, (side, side, 3), n_samples, dtype)
        targets, weight = np.eye(3, dtype=dtype)[np.arange(n_samples) % 3], np.linspace(0.1, 2, n_samples, dtype=dtype)
        rows, found = np.arange(n_samples), []
        statistics = running_statistics(plan, np.random.default_rng(0), dtype)
        d_outputs = np.random.default_rng(1).standard_normal((n_samples, 3)).astype(dtype)
        for solver, n_threads in itertools.product(("adamw", "sgd"), (1, 2)):
            trainers = [
                Trainer(plan, parameters, loss="softmax", solver=solver, batch_size=n_samples, alpha=0.1, level=level,
                        n_threads=n_threads)
                for _ in range(2)
            ]  # fmt: skip
            network = Network(plan, parameters, statistics, level=level)
            for trainer, mode in zip(trainers, (contextlib.nullcontext(), rounding(direction)), strict=True):
                with mode:
                    losses = [trainer.step(X, rows, targets, weight, 0.01) for _ in range(3)]
                    scores, (_, gradient) = network.scores(X, n_threads=n_threads), network.gradients(X, d_outputs)
                    total = module.sum_of_weights(weight, rows)
                arrays = trainer.parameters, trainer.first_moment, trainer.second_moment, trainer.statistics, scores, gradient
                found.append((losses, total, [bits(array) for array in arrays]))
            assert found[-1] == found[-2]


@each_kernel
def test_numpy_sees_no_floating_point_errors(level, dtype):
    plan, parameters, X = network_problem(STACK, (16, 16, 3), 41, dtype)
    X[0], X[1], X[2] = np.inf, np.nan, np.finfo(dtype).max
    settings = np.geterr()
    with np.errstate(all="raise"):
        for n_threads in (1, 2):
            train_on(n_threads, plan, parameters, X, level=level)
            Network(plan, 1e30 * parameters, level=level).scores(X, n_threads=n_threads)
    assert np.geterr() == settings


def digest(n_threads, worth_threads=True):
    """What a process of its own prints of its training."""
    trained = train_on(n_threads, *network_problem(STACK, (16, 16, 3), 41, np.float32), worth_threads=worth_threads)
    return hashlib.sha256(repr(trained).encode()).hexdigest()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_the_same_and_does_not_hang():
    printed = run_python(
        """
        import os, signal
        from test_determinism import digest
        from sklearn_cnn import _kernels

        modules = [_kernels.kernels(dtype, level) for dtype in ("float32", "float64") for level in _kernels.available_levels()]

        before = digest(2)                      # opens a parallel region: its threads do not survive a fork
        for _ in range(3):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                signal.alarm(60)                # a child that hangs ends itself
                os.write(writer, digest(2, worth_threads=False).encode())  # it computes on one thread
                os._exit(0)
            os.close(writer)
            assert os.waitpid(child, 0)[1] == 0
            assert os.read(reader, 100).decode() == before
        child = os.fork()
        if child == 0:
            os._exit(0 if {module.max_threads() for module in modules} == {_kernels.effective_n_threads()} == {1} else 1)
        assert os.waitpid(child, 0)[1] == 0     # a child says that it has one thread, whichever module is asked
        assert digest(2) == before              # the parent goes on with threads
        print("same")
        """
    )
    assert printed == "same"


def test_fresh_processes_give_the_same_bits():
    first = "import sklearn.svm, scipy.linalg"  # they bring OpenMP and BLAS libraries of their own
    code = "from test_determinism import digest; print(digest({}))"
    runs = [code.format(1), f"{first}; {code.format(2)}", f"{code.format(4)}; {first}"]
    assert len({run_python(run) for run in runs} | {digest(3)}) == 1


@pytest.mark.parametrize("level", _kernels.available_levels())
def test_import_changes_no_mode(level):
    printed = run_python(
        """
        import numpy as np
        from test_determinism import control_word
        before = control_word()
        import sklearn_cnn
        assert control_word() == before
        print(np.float32(1e-40) * np.float32(1) > 0)
        """,
        SKLEARN_CNN_KERNELS=level,
    )
    assert printed == "True"
