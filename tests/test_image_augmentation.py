"""The parameter `augment`: an object that is searched and looked at, or a function; and where it has no say."""

import copy
import pickle

import numpy as np
import pytest
from images import assert_calls_add_up, bars, digits, fitted_arrays, small_network
from problems import on_threads
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_cnn import ConvNetClassifier, ImageAugmentation
from sklearn_cnn._estimator.parameters import AUGMENTATION_RULES, InvalidParameterError

MOVED = {"shift": 1, "flip": "horizontal"}
EVERYTHING = {
    "shift": (1, 2), "flip": "both", "rotate": 20.0, "zoom": 0.2, "erase": 2, "brightness": 0.3, "contrast": 0.4,
}  # fmt: skip


def noise(batch, random_state):
    """A function of the caller's, as documented."""
    return batch + 0.1 * random_state.standard_normal(batch.shape).astype(np.float32)


AUGMENTS = {"moved": ImageAugmentation(**MOVED), "everything": ImageAugmentation(**EVERYTHING), "function": noise}
each_augment = pytest.mark.parametrize("augment", AUGMENTS.values(), ids=AUGMENTS)


# ------------------------------------------------------------------------------------------------- where it has no say


def test_nothing_that_may_happen_is_no_augmentation():
    X, y = bars()
    plain, idle = small_network().fit(X, y), small_network(augment=ImageAugmentation()).fit(X, y)
    assert fitted_arrays(idle) == fitted_arrays(plain)


@each_augment
def test_the_fit_draws_from_the_same_stream_with_and_without(augment):
    X, y = bars()
    plain, augmented = small_network().fit(X, y), small_network(augment=augment).fit(X, y)
    assert fitted_arrays(augmented)["random_state"] == fitted_arrays(plain)["random_state"]
    assert augmented.loss_curve_ != plain.loss_curve_


@each_augment
def test_predictions_and_validation_see_images_as_they_are(augment):
    X, y = bars(90)
    network = small_network(augment=augment, max_iter=1)
    network.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    expected = -network.predict_log_proba(X[60:])[np.arange(30), y[60:]].astype(float).mean()
    np.testing.assert_allclose(network.validation_loss_curve_, expected, rtol=1e-5)
    assert network.validation_scores_ == [network.score(X[60:], y[60:])]
    before = network.predict_proba(X)
    assert network.set_params(augment=None).predict_proba(X).tobytes() == before.tobytes()


@each_augment
def test_the_scaling_is_learnt_from_images_as_they_are(augment):
    X, y = bars()
    plain, augmented = small_network().fit(X, y), small_network(augment=augment).fit(X, y)
    assert fitted_arrays(augmented)["shift"] == fitted_arrays(plain)["shift"]
    assert fitted_arrays(augmented)["factor"] == fitted_arrays(plain)["factor"]


class Mirrored(ImageAugmentation):
    """With a parameter of its own, and none of the class."""

    def __init__(self, upright=True):
        self.upright = upright
        super().__init__(flip="horizontal" if upright else "vertical")


def test_a_subclass_may_have_parameters_of_its_own():
    """It was no ImageAugmentation to the check of `augment`."""
    X, y = bars()
    own, plain = small_network(augment=Mirrored(upright=False)), small_network(augment=ImageAugmentation(flip="vertical"))
    assert fitted_arrays(clone(own).fit(X, y)) == fitted_arrays(plain.fit(X, y))
    assert pickle.loads(pickle.dumps(own)).set_params(augment__upright=True).augment.get_params() == {"upright": True}
    previews = [way.preview(X, random_state=0) for way in (Mirrored(), ImageAugmentation(flip="horizontal"))]
    assert previews[0].tobytes() == previews[1].tobytes()
    broken = Mirrored()
    broken.shift = "a"
    with pytest.raises(ValueError, match=r"^shift='a' is not valid for Mirrored"):
        small_network(augment=broken).fit(X, y)


def test_an_exported_network_does_not_know_what_its_fit_has_drawn():
    pytest.importorskip("matplotlib")
    from sklearn_cnn.inspection import AugmentationDisplay

    X, y = bars()
    network = small_network(augment=ImageAugmentation(shift=1), max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=r"^This ConvNetClassifier was exported: .* does not know what its fit has drawn"):
        AugmentationDisplay.from_estimator(network.export(), X[0])


# ------------------------------------------------------------------------------------------------ what it depends on


@each_augment
def test_the_same_seed_gives_the_same_network(augment):
    X, y = bars()
    network = small_network(augment=augment, n_filters=(32, 32), batch_size=60)
    expected = fitted_arrays(clone(network).fit(X, y))
    for n_jobs in (1, 2, 3, 7):
        again = clone(network).set_params(n_jobs=n_jobs)
        assert fitted_arrays(on_threads(n_jobs, lambda: again.fit(X, y))) == expected  # noqa: B023
    assert fitted_arrays(clone(network).set_params(random_state=1).fit(X, y)) != expected


@each_augment
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_pause_changes_nothing(augment, early_stopping):
    """A pickle that is loaded in the middle goes on bit for bit; held-out rows keep their places in X."""
    X, y = bars()
    parameters = {"augment": augment, "warm_start": True, "batch_size": 16, "n_iter_no_change": 100}
    if early_stopping:
        stops = {"early_stopping": True, "validation_fraction": 0.3}
        halfway = small_network(max_iter=3, **parameters, **stops).fit(X, y)
        resumed = pickle.loads(pickle.dumps(halfway)).fit(X, y)
        assert fitted_arrays(halfway.fit(X, y)) == fitted_arrays(resumed)
        return
    whole = small_network(max_iter=6, **parameters).fit(X, y)
    resumed = pickle.loads(pickle.dumps(small_network(max_iter=2, **parameters).fit(X, y)))
    resumed = pickle.loads(pickle.dumps(resumed.fit(X, y))).fit(X, y)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert fitted_arrays(resumed) == {**fitted_arrays(whole), "n_iter_": 2}
    stepwise = small_network(**parameters)
    for _ in range(6):
        stepwise.partial_fit(X, y, classes=[0, 1, 2])
    assert_calls_add_up(stepwise, whole, 6)


@pytest.mark.parametrize("batch_size", [7, 60])
@pytest.mark.parametrize("settings", [MOVED, EVERYTHING], ids=["moved", "everything"])
def test_training_sees_what_the_preview_shows(settings, batch_size):
    """Epoch by epoch: the fit to images that were augmented beforehand is the same fit."""
    X, y = bars()
    parameters = {"batch_size": batch_size, "shuffle": False, "scale_input": False, "max_iter": 1, "warm_start": True}
    augmentation = ImageAugmentation(**settings)
    network, expected = small_network(augment=augmentation, **parameters), small_network(**parameters)
    for epoch in (1, 2, 3):
        versions = augmentation.preview(X, epoch=epoch, random_state=0, scale_input=False)
        assert versions.tobytes() != X.tobytes()
        network.fit(X, y)
        expected.fit(versions, y)
        np.testing.assert_allclose(network.coefs_[0], expected.coefs_[0], rtol=1e-4, atol=1e-6)
        if settings is MOVED:
            assert fitted_arrays(network) == fitted_arrays(expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16, bool])
def test_every_number_type_is_augmented_alike(dtype):
    X, y = bars()
    X = (X > 0.5).astype(dtype)
    network = small_network(augment=ImageAugmentation(**EVERYTHING)).fit(X, y)
    expected = small_network(augment=ImageAugmentation(**EVERYTHING)).fit(X.astype(np.float32), y)
    assert fitted_arrays(network) == fitted_arrays(expected)


def test_rows_without_weight_change_no_draw():
    X, y = bars()
    weight = np.ones(60)
    weight[10:20] = 0
    X_other = X.copy()
    X_other[10:20] = 7
    network = small_network(augment=AUGMENTS["everything"])
    fitted = fitted_arrays(clone(network).fit(X, y, weight))
    assert fitted_arrays(clone(network).fit(X_other, y, weight)) == fitted


def test_it_helps():
    """Digits moved by up to two pixels in training are recognised when they are moved in the test."""
    X, y = digits(700)
    moved = np.roll(X[400:].reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    scores = []
    for augment in (None, ImageAugmentation(shift=1)):
        network = ConvNetClassifier(8, augment=augment, input_shape=(8, 8), max_iter=40, random_state=0)
        scores.append(network.fit(X[:400], y[:400]).score(moved, y[400:]))
    assert scores[1] > scores[0] + 0.05


# ----------------------------------------------------------------------------------------------------- a tool among tools


def test_it_is_searched():
    X, y = bars()
    network = small_network(augment=ImageAugmentation(flip="horizontal"), max_iter=2)
    grid = {"augment__shift": [0, 1, (1, 0)], "augment__flip": [None, "vertical"]}
    search = GridSearchCV(network, grid, cv=2, error_score="raise").fit(X, y)
    assert set(search.best_params_) == {"augment__shift", "augment__flip"}
    assert network.augment.shift == 0  # clones have been searched
    GridSearchCV(network, {"augment": [None, ImageAugmentation(), noise]}, cv=2, error_score="raise").fit(X, y)
    pipeline = make_pipeline(FunctionTransformer(), network)
    GridSearchCV(pipeline, {"convnetclassifier__augment__flip": [None, "both"]}, cv=2, error_score="raise").fit(X, y)


def test_it_is_cloned_printed_and_set():
    network = ConvNetClassifier(augment=ImageAugmentation(shift=2))
    assert network.get_params()["augment__shift"] == 2
    assert "augment__shift" not in network.get_params(deep=False)
    twin = clone(network)
    assert twin.augment is not network.augment
    assert twin.set_params(augment__shift=3).augment.shift == 3
    assert network.augment.shift == 2
    assert repr(network) == "ConvNetClassifier(augment=ImageAugmentation(shift=2))"
    assert "ImageAugmentation" in network._repr_html_()
    assert "shift" in network.augment._repr_html_()
    assert clone(ConvNetClassifier(augment=noise)).augment is noise
    assert not hasattr(ImageAugmentation, "transform")  # a pipeline would augment what is predicted, too
    assert not hasattr(ImageAugmentation, "fit")


def test_fit_does_not_change_it():
    X, y = bars()
    augmentation = ImageAugmentation(shift=np.array([1, 2]))
    network = small_network(augment=augmentation).fit(X, y)
    assert network.augment is augmentation
    assert vars(augmentation).keys() == AUGMENTATION_RULES.keys()
    pair = small_network(augment=ImageAugmentation(shift=(1, 2))).fit(X, y)
    assert fitted_arrays(pair) == fitted_arrays(network)


# ------------------------------------------------------------------------------------------------------------- what is refused

WRONG = [
    ("shift", -1), ("shift", 1.5), ("shift", True), ("shift", (1, 2, 3)), ("shift", (1, -1)), ("shift", None), ("shift", "1"),
    ("flip", "left"), ("flip", True), ("flip", 1),
    ("rotate", -1), ("rotate", 181), ("rotate", np.nan), ("rotate", "10"), ("rotate", None),
    ("zoom", 0.95), ("zoom", -0.1), ("zoom", np.inf), ("zoom", True),
    ("erase", -1), ("erase", 2.5), ("erase", (2, 2)), ("erase", None),
    ("brightness", -0.1), ("brightness", np.inf), ("brightness", 1e39), ("brightness", None),
    ("contrast", 1.1), ("contrast", -0.1), ("contrast", np.nan),
    ("padding_mode", "wrap"), ("padding_mode", None), ("padding_mode", 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=str)
def test_wrong_values_are_refused_before_anything_else(name, value):
    X, y = bars()
    network = small_network().fit(X, y)
    before = copy.copy(vars(network))
    network.set_params(augment=ImageAugmentation(**{name: value}))
    match = rf"^{name}=.* is not valid for ImageAugmentation: it must be .*; for example {name}="
    for method in (network.fit, network.partial_fit):
        with pytest.raises(InvalidParameterError, match=match):
            method("no images", y)
    assert network._fitted is before["_fitted"]
    with pytest.raises(InvalidParameterError, match=match):
        network.augment.preview(X)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shift": 6}, r"augment__shift=6 can leave nothing of images of 6 x 6 pixels"),
        ({"shift": (0, 2**62)}, r"augment__shift=\(0, 4611686018427387904\)"),
        ({"erase": 6}, r"augment__erase=6 can erase all of images of 6 x 6 pixels. Use less than 6"),
        ({"erase": 2**62}, r"augment__erase"),
    ],
)
def test_what_leaves_nothing_of_an_image_is_refused(settings, message):
    X, y = bars()
    network = small_network(augment=ImageAugmentation(**settings))
    with pytest.raises(ValueError, match=message):
        network.fit(X, y)
    assert not hasattr(network, "_fitted")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rotate": 5}, "augment__rotate=5 has no meaning: the samples are signals"),
        ({"flip": "vertical"}, "augment__flip='vertical' has no meaning"),
        ({"flip": "both"}, "augment__flip='both' has no meaning"),
        ({"shift": (1, 0)}, r"augment__shift=\(1, 0\) can leave nothing of signals of length 30"),
        ({"shift": 30}, "augment__shift=30"),
        ({"erase": 30}, "augment__erase=30"),
    ],
)
def test_what_signals_cannot_have_is_refused(settings, message):
    X = np.random.RandomState(0).standard_normal((20, 30))
    with pytest.raises(ValueError, match=message):
        small_network(augment=ImageAugmentation(**settings)).fit(X, np.arange(20) % 2)


def test_signals_are_augmented():
    X = np.random.RandomState(0).standard_normal((20, 2, 30)).transpose(0, 2, 1).reshape(20, 1, 30, 2)
    y = np.arange(20) % 2
    augmentation = ImageAugmentation(shift=4, flip="horizontal", zoom=0.2, erase=5, brightness=0.1, contrast=0.2)
    network = small_network(augment=augmentation).fit(X, y)
    assert network.loss_curve_ != small_network().fit(X, y).loss_curve_
    version = ImageAugmentation(shift=4).preview(X, random_state=0, epoch=1)
    for before, after in zip(X[:, 0].astype(np.float32), version[:, 0], strict=True):
        shifts = [shift for shift in range(-4, 5) if np.array_equal(after, moved(before, shift))]
        assert len(shifts) == 1


def moved(signal, shift):
    """A signal of several channels moved to the right, zeros behind it."""
    result = np.zeros_like(signal)
    n = len(signal)
    result[max(shift, 0) : n + min(shift, 0)] = signal[max(-shift, 0) : n - max(shift, 0)]
    return result


def test_a_sample_of_one_value_stays():
    X, y = np.arange(20.0).reshape(20, 1), np.arange(20) % 2
    network = small_network(augment=ImageAugmentation(shift=3, erase=2, flip="horizontal")).fit(X, y)
    assert network.loss_curve_ == small_network().fit(X, y).loss_curve_


# --------------------------------------------------------------------------------------------------------------- functions


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16])
def test_a_function_gets_a_copy_of_each_mini_batch(dtype):
    X, y = bars()
    X = (50 * X).astype(dtype)
    before, seen = X.copy(), []

    def spoil(batch, random_state):
        seen.append((batch.copy(), random_state.randint(10**9)))
        batch[...] = 0
        return np.asfortranarray(seen[-1][0])

    network = small_network(augment=spoil, batch_size=16, max_iter=2, random_state=0).fit(X, y)
    assert np.array_equal(X, before)
    assert [batch.shape for batch, _ in seen] == 2 * [(16, 6, 6, 1), (16, 6, 6, 1), (16, 6, 6, 1), (12, 6, 6, 1)]
    assert {batch.dtype for batch, _ in seen} == {np.dtype(dtype)}
    assert len({number for _, number in seen}) == 8  # every mini-batch has a random state of its own
    first = np.sort(np.concatenate([batch for batch, _ in seen[:4]]).reshape(60, 36), axis=0)
    assert np.array_equal(first, np.sort(X.reshape(60, 36), axis=0))
    assert fitted_arrays(network) == fitted_arrays(small_network(batch_size=16, max_iter=2).fit(X, y))


def test_weights_and_targets_go_with_their_rows():
    X, y = bars()
    weight = np.random.RandomState(0).uniform(0, 2, 60)
    unchanged = small_network(augment=lambda batch, random_state: batch, batch_size=16).fit(X, y, weight)
    assert fitted_arrays(unchanged) == fitted_arrays(small_network(batch_size=16).fit(X, y, weight))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda batch, random_state: None, "of the shape it was given, .* returned NoneType"),
        (lambda batch, random_state: batch[:, :5], r"it returned an array of shape \(60, 5, 6, 1\)"),
        (lambda batch, random_state: batch[:3], r"it returned an array of shape \(3, 6, 6, 1\)"),
        (lambda batch, random_state: batch * np.nan, "NaN, infinity"),
        (lambda batch, random_state: batch.astype(float) * 1e39, "too large for float32"),
        (lambda batch, random_state: batch * 1j, "real numbers.* complex"),
        (lambda batch, random_state: batch.astype(str), "real numbers"),
        (lambda batch, random_state: 1 / 0, "division by zero"),
        (lambda batch: batch, "positional argument"),
    ],
)
def test_what_a_function_gets_wrong_is_said_and_changes_nothing(function, message):
    X, y = bars()
    network = small_network(batch_size=60).fit(X, y)
    fitted = network._fitted
    network.set_params(augment=function)
    for method in (network.fit, network.partial_fit):
        with pytest.raises((ValueError, TypeError, ZeroDivisionError), match=message) as caught:
            method(X, y)
        assert "augment" in str(caught.value) or caught.type in (ZeroDivisionError, TypeError)
    assert network._fitted is fitted


@pytest.mark.parametrize("value", [ImageAugmentation, 3, "flip", {"shift": 1}, ConvNetClassifier(), [noise]])
def test_what_is_no_augmentation_is_refused(value):
    X, y = bars()
    with pytest.raises(InvalidParameterError, match=r"augment=.* None, an ImageAugmentation or a function"):
        small_network(augment=value).fit(X, y)


# ----------------------------------------------------------------------------------------------------------------- preview


def test_the_preview_has_the_shape_and_the_scale_of_x():
    X, _ = digits(20)
    augmentation = ImageAugmentation(shift=1)
    flat = augmentation.preview(X, input_shape=(8, 8), random_state=0)
    assert (flat.shape, flat.dtype) == ((20, 64), np.float32)
    for other in (X.reshape(20, 8, 8), X.reshape(20, 8, 8, 1)):
        images = augmentation.preview(other, random_state=0)
        assert images.shape == other.shape
        assert images.tobytes() == flat.tobytes()
    assert set(np.unique(flat)) <= set(range(17))  # pixels are moved, not changed
    assert augmentation.preview(X.tolist(), input_shape=(8, 8), random_state=0).tobytes() == flat.tobytes()


def test_brightness_is_in_standard_deviations():
    X, _ = digits(50)
    augmentation = ImageAugmentation(brightness=0.5)
    versions = np.stack([augmentation.preview(X, input_shape=(8, 8), epoch=epoch, random_state=0) for epoch in range(1, 40)])
    added = (versions - X).reshape(-1, 64)
    assert np.ptp(added, axis=1).max() < 1e-5
    assert 0.95 * 0.5 * X.std() < np.abs(added).max() <= 0.5 * X.std() * 1.00001
    unscaled = ImageAugmentation(brightness=3.0).preview(X, input_shape=(8, 8), random_state=0, scale_input=False)
    assert 2 < np.abs(unscaled - X).max() <= 3.00001


def test_what_is_erased_is_the_mean_of_its_channel():
    X = np.random.RandomState(0).uniform(0, 1, (30, 6, 6, 3)) * [1, 10, 100]
    version = ImageAugmentation(erase=2).preview(X, random_state=0)
    is_erased = ~np.isclose(version, X).all(axis=3)
    assert set(is_erased.sum(axis=(1, 2))) <= {1, 2, 4}
    np.testing.assert_allclose(version[is_erased], np.tile(X.mean(axis=(0, 1, 2)), (is_erased.sum(), 1)), rtol=1e-5)
    zeros = ImageAugmentation(erase=2).preview(X, random_state=0, scale_input=False)
    assert np.array_equal((zeros == 0).all(axis=3), is_erased)


def test_contrast_keeps_the_mean_of_the_image():
    X, _ = digits(20)
    version = ImageAugmentation(contrast=1.0).preview(X, input_shape=(8, 8), random_state=0)
    np.testing.assert_allclose(version.mean(axis=1), X.mean(axis=1), rtol=1e-5)
    factors = version.std(axis=1) / X.std(axis=1)
    assert 0 <= factors.min() < 0.5 < 1.5 < factors.max() <= 2.00001


def test_a_random_state_is_left_alone_by_the_preview():
    X, _ = digits(20)
    random_state = np.random.RandomState(3)
    first = ImageAugmentation(shift=1).preview(X, input_shape=(8, 8), random_state=random_state)
    second = ImageAugmentation(shift=1).preview(X, input_shape=(8, 8), random_state=random_state)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("epoch", [0, -1, 1.5, None, "1", True])
def test_epochs_of_the_preview_are_counted_from_one(epoch):
    with pytest.raises(InvalidParameterError, match=r"epoch=.* integer of at least 1"):
        ImageAugmentation(shift=1).preview(np.zeros((2, 3, 3)), epoch=epoch)


def test_the_preview_checks_x():
    for X in (np.full((2, 3, 3), np.nan), np.zeros((2, 3, 3, 3, 3)), np.array([["a", "b"]])):
        with pytest.raises(ValueError, match=r"NaN|dimensions|dtype|convert"):
            ImageAugmentation().preview(X)
