"""Augmentation: what happens to images while they are gathered, and what it depends on."""

from functools import lru_cache

import numpy as np
import pytest
from problems import bits, each_kernel, each_level, gaussian_parameters, regions_of
from reference import DRAWS, augment, draw_words, pad

from sklearn_cnn import _kernels
from sklearn_cnn._network.augmentation import augmentation_settings, augmented_images
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer
from sklearn_cnn._network.network import Workspace, scaling_arrays
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.trainer import Trainer

THREADS = (1, 2, 3, 7)
WITH_OPENMP = _kernels.kernels().describe()["openmp"]

#: Changes that move pixels, so that every bit is known ...
EXACT = [
    {"shift": (2, 1)},
    {"shift": (0, 3), "flip": "horizontal"},
    {"shift": (3, 2), "flip": "vertical"},
    {"shift": (1, 1), "flip": "both", "erase": 3},
    {"erase": 4},
]
#: ... and changes that compute.
BLENDED = [
    {"rotate": 30.0},
    {"zoom": 0.4},
    {"rotate": 180.0, "zoom": 0.9, "shift": (1, 2), "flip": "both"},
    {"brightness": 0.7},
    {"contrast": 0.8},
    {"rotate": 10.0, "zoom": 0.1, "contrast": 0.3, "brightness": 0.2, "erase": 2, "flip": "horizontal"},
]
SIGNALS = [
    {"shift": (0, 4), "flip": "horizontal"},
    {"shift": (0, 2), "erase": 5},
]
SHAPES = [(6, 5, 1), (5, 6, 3), (4, 4, 17), (4, 7, 70)]  # few channels, more than a vector, more than are scaled together
PADDING_MODES = ("zeros", "reflect", "edge")
NUMBER_TYPES = (np.uint8, np.float32, np.float64)


def images(shape, n=6, number_type=np.float64):
    """Rows of X, and a scaling that is exact for them."""
    random_state = np.random.default_rng(shape[2])
    X = random_state.integers(0, 256, (n, np.prod(shape))).astype(number_type)
    shift, factor = random_state.integers(20, 90, shape[2]) * 1.0, 2.0 ** random_state.integers(-6, 0, shape[2])
    return X, shift, factor


def plan_of(shape):
    return build_plan((DenseLayer(1),), shape)


def compiled(X, shape, settings, *, rows=None, seed=7, epoch=3, shift=None, factor=None, **options):
    rows = np.arange(len(X)) if rows is None else np.ascontiguousarray(rows)
    settings = augmentation_settings(seed, epoch, **settings)
    return augmented_images(plan_of(shape), X, rows, settings, shift=shift, factor=factor, **options)


def naive(X, shape, settings, *, rows=None, seed=7, epoch=3, shift=0.0, factor=1.0, dtype=np.float64):
    rows = range(len(X)) if rows is None else rows
    scaled = ((X.reshape(-1, *shape) - shift) * factor).astype(dtype)
    zeros = np.broadcast_to(((0 - np.asarray(shift)) * factor).astype(dtype), shape[2:])
    return np.stack([augment(scaled[row], zeros, seed, epoch, int(row), **settings) for row in rows])


@lru_cache(maxsize=4)
def twin_of(shape, settings, dtype):
    """What becomes of the images of a shape; the same for every type of number that they may have, and slow."""
    X, shift, factor = images(shape)
    return naive(X, shape, dict(settings), shift=shift, factor=factor, dtype=dtype)


# ------------------------------------------------------------------------------------------------------- random numbers


def test_the_generator_is_philox():
    """The known answers that its authors publish (Random123, kat_vectors)."""
    ones, pi = 2**64 - 1, (0x299F31D0A4093822, 0x85A308D3243F6A88, 0x13198A2E, 0x03707344)
    assert draw_words(0, 0, 0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert draw_words(ones, ones, 2**32 - 1, 2**32 - 1) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert draw_words(*pi) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def drawn_words(seed, epoch, places, level):
    """The first words of the compiled generator, read off what is added to a black pixel in double precision."""
    plan, X, order = plan_of((1, 1, 1)), np.zeros((1, 1)), np.zeros(len(places), dtype=np.int64)
    workspace = Workspace(plan, len(places), 1, True, np.float64, level)
    settings = {**augmentation_settings(seed, epoch, brightness=1.0), "rows": np.array(places, dtype=np.int64)}
    numbers, scaling = (np.zeros(plan.parameter_size), np.zeros(0)), scaling_arrays(None, None, np.dtype(np.float64))
    workspace.kernels.augment_images(workspace.session, *numbers, workspace.kernels.rows_of(X), order, *scaling, settings)
    added = workspace.area("values_at", 0, len(places), 1).ravel()
    return ((added + 1) * 2**31).astype(np.int64).tolist()


@each_level
@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**32, 2**64 - 1])
@pytest.mark.parametrize("epoch", [0, 1, 1000, 2**32 - 1])
def test_words_are_those_of_the_twin(level, seed, epoch):
    places = [*range(50), 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1]
    name = DRAWS["brightness"]
    assert drawn_words(seed, epoch, places, level) == [draw_words(seed, place, epoch, name)[0] for place in places]


@pytest.mark.parametrize("axis", range(4))
def test_no_two_draws_are_the_same(axis):
    """Along every axis of the counter, and for neighbouring seeds."""
    values = [tuple(draw_words(*(n if k == axis else 5 for k in range(4)))) for n in range(2000)]
    assert len(set(values)) == 2000
    numbers = np.array(values) / 2**32
    assert abs(numbers.mean(axis=0) - 0.5).max() < 5 / np.sqrt(12 * 2000)
    assert abs(np.corrcoef(numbers.T, np.roll(numbers, 1, axis=0).T) - np.eye(8)).max() < 5 / np.sqrt(2000)


# ------------------------------------------------------------------------------------------------------ what is computed


@each_kernel
@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("settings", EXACT, ids=str)
def test_moved_pixels_are_exact(level, dtype, padding_mode, shape, settings):
    settings = {**settings, "padding_mode": padding_mode}
    for number_type in NUMBER_TYPES:
        X, shift, factor = images(shape, number_type=number_type)
        result = compiled(X, shape, settings, shift=shift, factor=factor, dtype=dtype, level=level)
        assert bits(result) == bits(twin_of(shape, tuple(settings.items()), dtype))


@each_kernel
@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("settings", BLENDED, ids=str)
def test_blended_pixels_are_those_of_the_twin(level, dtype, padding_mode, shape, settings):
    settings = {**settings, "padding_mode": padding_mode}
    for number_type in NUMBER_TYPES:
        X, shift, factor = images(shape, number_type=number_type)
        result = compiled(X, shape, settings, shift=shift, factor=factor, dtype=dtype, level=level)
        expected = twin_of(shape, tuple(settings.items()), dtype)
        # a place is a number in double precision, of up to ten times the image
        epsilon = 16 * np.finfo(dtype).eps + 256 * np.finfo(np.float64).eps
        tolerance = epsilon * np.abs((X.reshape(-1, shape[2]) - shift) * factor).max()
        np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


@each_kernel
@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("settings", SIGNALS, ids=str)
def test_signals_are_moved_along_their_length(level, dtype, padding_mode, channels, settings):
    shape, settings = (1, 9, channels), {**settings, "padding_mode": padding_mode}
    X, shift, factor = images(shape)
    result = compiled(X, shape, settings, shift=shift, factor=factor, dtype=dtype, level=level)
    assert bits(result) == bits(naive(X, shape, settings, shift=shift, factor=factor, dtype=dtype))


@each_level
def test_signals_are_stretched_along_their_length(level):
    X, shift, factor = images((1, 9, 2))
    result = compiled(X, (1, 9, 2), {"zoom": 0.5}, shift=shift, factor=factor, level=level)
    expected = naive(X, (1, 9, 2), {"zoom": 0.5}, shift=shift, factor=factor, dtype=np.float32)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@each_kernel
@pytest.mark.parametrize("padding_mode", ["reflect", "edge"])
def test_a_plain_image_stays_plain(level, dtype, padding_mode):
    """In every bit: neither a turn nor an enlargement nor contrast has anything to work on."""
    X = np.full((20, 48), 0.1)
    settings = {"rotate": 45, "zoom": 0.3, "shift": (2, 3), "padding_mode": padding_mode}
    result = compiled(X, (4, 4, 3), settings, dtype=dtype, level=level)
    assert bits(result) == bits(np.full((20, 4, 4, 3), 0.1, dtype=dtype))


@each_level
def test_every_change_that_is_allowed_happens(level):
    """And none beyond: 3 x 5 shifts, four mirrorings, each as often as the others."""
    X = np.arange(1.0, 31.0).reshape(1, 30)
    rows, n = np.zeros(1, dtype=np.int64), 6000
    seen = {}
    for epoch in range(n):
        image = compiled(X, (5, 6, 1), {"shift": (1, 2), "flip": "both"}, rows=rows, epoch=epoch, level=level)
        seen[image.tobytes()] = seen.get(image.tobytes(), 0) + 1
    assert len(seen) == 3 * 5 * 4
    expected = n / 60
    assert sum((count - expected) ** 2 / expected for count in seen.values()) < 59 + 5 * np.sqrt(2 * 59)


@each_level
@pytest.mark.parametrize("flip", ["horizontal", "vertical", "both"])
def test_mirror_images_take_turns(level, flip):
    """Within eight epochs nothing is repeated before everything has been seen; who begins is drawn, and drawn anew."""
    n, n_epochs, period = 200, 400, 4 if flip == "both" else 2
    X, shape = np.tile(np.arange(1.0, 13.0), (n, 1)), (3, 4, 1)
    flips = np.array([compiled(X, shape, {"flip": flip}, epoch=epoch, level=level)[:, 0, 0, 0] for epoch in range(n_epochs)])
    assert len(set(flips.ravel())) == period
    if flip == "vertical":
        flips = flips[::2]
        n_epochs //= 2
    blocks = flips.reshape(-1, 8 if flip != "vertical" else 4, n)
    for start in range(blocks.shape[1] - period + 1):
        assert all(len(set(blocks[b, start : start + period, row])) == period for b in range(5) for row in range(n))
    begins = blocks[:, 0] == X[0, 0]
    assert abs(begins.mean() - 1 / period) < 5 * np.sqrt(0.25 / begins.size)
    assert abs(np.corrcoef(begins[:-1].ravel(), begins[1:].ravel())[0, 1]) < 5 / np.sqrt(begins.size)


# --------------------------------------------------------------------------------------------------- what it depends on

EVERYTHING = {
    "shift": (2, 2), "flip": "both", "rotate": 20.0, "zoom": 0.2, "erase": 3, "brightness": 0.3, "contrast": 0.4,
}  # fmt: skip


@each_kernel
@pytest.mark.parametrize("settings", [EVERYTHING, EXACT[3]], ids=["everything", "exact"])
def test_an_image_depends_on_seed_epoch_and_row_alone(level, dtype, settings):
    shape = (6, 5, 3)
    X, shift, factor = images(shape, n=300)
    options = {"shift": shift, "factor": factor, "dtype": dtype, "level": level}
    result = compiled(X, shape, settings, **options)
    for rows in (np.arange(300)[::-1], [7], [3, 299, 3], np.random.default_rng(0).permutation(300)[:270]):
        assert bits(compiled(X, shape, settings, rows=rows, **options)) == bits(result[np.asarray(rows)])
    for other in ({"seed": 8}, {"epoch": 4}):
        assert bits(compiled(X, shape, settings, **other, **options)) != bits(result)
    twins = np.repeat(X[:1], 300, axis=0)
    assert len({image.tobytes() for image in compiled(twins, shape, EVERYTHING, **options)}) == 300


@each_level
def test_one_kind_of_change_has_no_say_in_another(level):
    X, _, _ = images((6, 5, 3))
    both = compiled(X, (6, 5, 3), {"shift": (2, 1), "flip": "horizontal"}, level=level)
    erased = compiled(X, (6, 5, 3), {"shift": (2, 1), "flip": "horizontal", "erase": 2}, level=level)
    assert np.all((erased == both) | (erased == 0))
    assert (erased != both).any()


# --------------------------------------------------------------------------------------------------------- in training

BLOCKS = {
    "zeros": ConvolutionBlock(4, (3, 3), padding="same", activation="relu", pooling="max"),
    "reflect": ConvolutionBlock(4, (3, 5), padding=((1, 0), (2, 3)), padding_mode="reflect"),
    "valid": ConvolutionBlock(4, (3, 3)),
    "local": ConvolutionBlock(4, (3, 3), padding="same", weight_sharing=False),
    "dense": DenseLayer(5, "relu"),
}


def trainer_of(block, shape, dtype, level, *, batch_size=20, n_threads=1):
    plan = build_plan((block, DenseLayer(3)), shape)
    parameters = gaussian_parameters(plan, np.random.default_rng(1), dtype)
    trainer = Trainer(
        plan, parameters, loss="softmax", solver="sgd", batch_size=batch_size, n_threads=n_threads, level=level
    )
    return trainer, plan


def seen_in_training(trainer, plan, n):
    """The padded images of the last mini-batch, as the first layer has seen them."""
    record = plan.records[0]
    size = record["padded_rows"] * record["padded_columns"] * record["channels"]
    size = int(size) if record["input_is_padded"] else plan.n_inputs
    return trainer._workspace.area("values_at", 0, n, size)


@each_kernel
@pytest.mark.parametrize("number_type", [*NUMBER_TYPES, np.int16])  # the last is copied before it is read
@pytest.mark.parametrize("name", BLOCKS)
def test_training_sees_augmented_images_in_their_padding(level, dtype, number_type, name):
    shape, block = (6, 7, 3), BLOCKS[name]
    X, shift, factor = images(shape, n=40, number_type=number_type)
    rows = np.random.default_rng(2).permutation(40)[:20]
    trainer, plan = trainer_of(block, shape, dtype, level)
    scaling = {"shift": shift.astype(dtype), "factor": factor.astype(dtype)}
    settings = EXACT[3]
    targets = np.eye(3, dtype=dtype)[np.arange(40) % 3]
    trainer.step(X, rows, targets, None, 0.0, **scaling, augmentation=augmentation_settings(7, 3, **settings))
    expected = naive(X, shape, settings, rows=rows, shift=shift, factor=factor, dtype=dtype)
    if name != "dense":
        padding = {"zeros": ((1, 1), (1, 1)), "local": ((1, 1), (1, 1))}.get(name, block.padding)
        expected = expected if padding == "valid" else pad(expected, padding, block.padding_mode)
    assert bits(seen_in_training(trainer, plan, 20)) == bits(expected.reshape(20, -1))


@each_kernel
@pytest.mark.parametrize("name", BLOCKS)
def test_training_on_augmented_images_is_training_on_those_images(level, dtype, name):
    """One way through the kernels, whoever has augmented."""
    shape = (16, 18, 3)
    X, shift, factor = images(shape, n=64)
    scaling = {"shift": shift.astype(dtype), "factor": factor.astype(dtype)}
    targets, weight = np.eye(3, dtype=dtype)[np.arange(64) % 3], np.linspace(0.5, 2, 64).astype(dtype)
    settings = augmentation_settings(7, 3, **EVERYTHING)
    rows = np.random.default_rng(2).permutation(64)
    before = augmented_images(plan_of(shape), X, np.arange(64), settings, **scaling, dtype=dtype, level=level).reshape(64, -1)
    trainer, _ = trainer_of(BLOCKS[name], shape, dtype, level, batch_size=64)
    other, _ = trainer_of(BLOCKS[name], shape, dtype, level, batch_size=64)
    assert other.step(X, rows, targets, weight, 0.1, **scaling, augmentation=settings) == trainer.step(
        before, rows, targets, weight, 0.1
    )
    assert bits(other.parameters) == bits(trainer.parameters)


@each_kernel
def test_augmented_training_does_not_depend_on_threads(level, dtype):
    shape, n = (24, 24, 3), 200
    X, shift, factor = images(shape, n=n)
    targets, settings = np.eye(3, dtype=dtype)[np.arange(n) % 3], augmentation_settings(7, 3, **EVERYTHING)
    scaling = {"shift": shift.astype(dtype), "factor": factor.astype(dtype)}
    module, results = _kernels.kernels(dtype, level), []
    for n_threads in THREADS:
        trainer, plan = trainer_of(BLOCKS["zeros"], shape, dtype, level, batch_size=n, n_threads=n_threads)

        def step():
            return trainer.step(X, np.arange(n), targets, None, 0.1, **scaling, augmentation=settings)  # noqa: B023

        loss, records = regions_of(module, step)
        assert records["forward_chunks"][1] == (min(n_threads, records["forward_chunks"][0]) if WITH_OPENMP else 1)
        results.append((loss, bits(trainer.parameters), bits(seen_in_training(trainer, plan, n))))
    assert all(result == results[0] for result in results[1:])


def test_settings_that_do_not_fit_are_refused():
    X = np.zeros((3, 20))
    for settings in ({"shift": (4, 0)}, {"shift": (0, 5)}, {"shift": (-1, 0)}, {"zoom": 0.95}, {"rotate": 181}, {"erase": -1}):
        with pytest.raises(ValueError, match=r"shift must leave a pixel|no augmentation"):
            compiled(X, (4, 5, 1), settings)
    with pytest.raises(ValueError, match=r"row 3 was asked for, there are 3"):
        compiled(X, (4, 5, 1), {"flip": "both"}, rows=[3])
    trainer, _ = trainer_of(BLOCKS["valid"], (4, 5, 1), np.float32, None)
    one_row = {**augmentation_settings(0, 0), "rows": np.arange(1)}
    with pytest.raises(ValueError, match="2 samples are to be augmented"):
        trainer._workspace.kernels.augment_images(
            trainer._workspace.session, trainer.parameters, trainer.statistics,
            trainer._workspace.kernels.rows_of(X), np.arange(2),
            *scaling_arrays(None, None, np.dtype(np.float32)), one_row,
        )  # fmt: skip
