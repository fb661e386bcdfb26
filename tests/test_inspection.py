"""The displays: what they compute, what they draw on, and what they keep."""

import inspect
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from images import bars, small_network
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_cnn import ImageAugmentation, inspection
from sklearn_cnn.inspection import (
    AugmentationDisplay,
    FeatureMapDisplay,
    KernelDisplay,
    LossDisplay,
    OcclusionDisplay,
    ReceptiveFieldDisplay,
    SaliencyDisplay,
)
from sklearn_cnn.inspection._drawing import picture
from sklearn_cnn.inspection._receptive_field_display import _unit_nearest

matplotlib.use("agg")

import matplotlib.pyplot as plt

X, Y = bars()


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def network():
    return small_network(n_filters=(4, 6), early_stopping=True, max_iter=6).fit(X, Y)


@pytest.fixture(scope="module")
def signals():
    signal = np.random.RandomState(0).standard_normal((20, 30)).astype(np.float32)
    return small_network(n_filters=(3, 4)).fit(signal, np.arange(20) % 2), signal


def test_options_of_displays_have_names():
    """Only what a display is of, and axes to draw on, go without: an option may come to stand elsewhere."""
    for name in inspection.__all__:
        display = getattr(inspection, name)
        makers = [getattr(display, maker) for maker in vars(display) if maker.startswith("from_")]
        for call, most in [*((maker, 2) for maker in makers), (display, 2), (display.plot, 2)]:
            places = inspect.signature(call).parameters.values()
            assert sum(place.kind is place.POSITIONAL_OR_KEYWORD for place in places) <= most, (name, call)
            assert not any(place.kind in (place.POSITIONAL_ONLY, place.VAR_POSITIONAL) for place in places), (name, call)


def test_colours_of_any_numbers_are_scaled_to_what_can_be_drawn():
    image = np.array([[[-1.0, 3.0, 1.0]]])
    np.testing.assert_array_equal(picture(image), [[[0.0, 1.0, 0.5]]])
    np.testing.assert_array_equal(picture(np.array([[[2.0, 4.0, 3.0]]])), [[[0.0, 1.0, 0.5]]])
    np.testing.assert_array_equal(picture(np.array([[[0.5, 1.0, 0.0]]])), [[[0.5, 1.0, 0.0]]])


def test_many_versions_have_a_wide_figure():
    display = AugmentationDisplay(np.zeros((6, 6, 1)), np.zeros((19, 6, 6, 1)))
    widths = [display.plot(n_columns=n).figure_.get_size_inches()[0] for n in (10, 20)]
    assert widths[1] - 0.3 == pytest.approx(2 * (widths[0] - 0.3), rel=0.05)


def test_the_nearest_unit_is_that_whose_field_has_its_middle_there():
    row = {"origin": (-1, 0), "receptive_field": (2, 4), "effective_stride": (1, 2), "output_shape": (9, 5, 3)}
    assert _unit_nearest(row, (3.4, 4.4)) == (4, 1)  # its field: rows 3 and 4, columns 2 to 5
    assert _unit_nearest(row, (-9, 99)) == (0, 4)


def each_display(network, sample, ax=None):
    yield KernelDisplay.from_estimator(network, ax=ax)
    yield FeatureMapDisplay.from_estimator(network, sample, ax=ax)
    yield LossDisplay.from_estimator(network, ax=ax)
    yield ReceptiveFieldDisplay.from_estimator(network, sample, ax=ax)
    yield OcclusionDisplay.from_estimator(network, sample, ax=ax)


DISPLAYS = (KernelDisplay, FeatureMapDisplay, LossDisplay, ReceptiveFieldDisplay, OcclusionDisplay)


def from_estimator(display, estimator):
    takes_image = display not in (KernelDisplay, LossDisplay)
    return display.from_estimator(estimator, X[0]) if takes_image else display.from_estimator(estimator)


# ---------------------------------------------------------------------------------------------------------- the convention


def test_matplotlib_is_imported_when_something_is_drawn():
    code = "import sys, sklearn_cnn.inspection; assert not any(name.startswith('matplotlib') for name in sys.modules)"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_without_matplotlib_the_remedy_is_named(network, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn_cnn\[plot\]'"):
        KernelDisplay.from_estimator(network)


def test_figures_of_their_own(network):
    for display in each_display(network, X[0]):
        assert display.ax_.figure is display.figure_
        assert display.ax_.get_title()
        display.figure_.canvas.draw()


def test_an_axes_that_is_passed(network):
    figure, axes = plt.subplots(1, 5)
    for ax, number in zip(axes, range(5), strict=True):
        display = list(each_display(network, X[0], ax=ax))[number]
        assert display.ax_ is ax
        assert display.figure_ is figure
        ax.clear()


def test_plot_draws_again_and_returns_the_display(network):
    for display in each_display(network, X[0]):
        first = display.ax_
        assert display.plot() is display
        assert display.ax_ is not first


def test_signals_are_drawn_too(signals):
    network, signal = signals
    for display in each_display(network, signal[0]):
        display.figure_.canvas.draw()


@pytest.mark.parametrize("display", DISPLAYS)
def test_what_is_not_fitted(display):
    with pytest.raises(NotFittedError):
        from_estimator(display, small_network())


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_pipeline_is_told_to_pass_its_last_step(display):
    pipeline = make_pipeline(FunctionTransformer(), small_network()).fit(X, Y)
    with pytest.raises(TypeError, match=r"pipeline\[-1\]"):
        from_estimator(display, pipeline)


# ------------------------------------------------------------------------------------------------------------------ kernels


def test_kernels_share_a_scale_around_zero(network):
    display = KernelDisplay.from_estimator(network)
    np.testing.assert_array_equal(display.kernels, network.kernels_[0][:, 0])
    assert len(display.images_) == 4
    largest = float(np.abs(network.kernels_[0]).max())
    for image, kernel in zip(display.images_, network.kernels_[0][:, 0], strict=True):
        assert image.get_clim() == (-largest, largest)
        np.testing.assert_array_equal(image.get_array(), kernel)
    assert display.colorbar_ is not None
    assert KernelDisplay.from_estimator(network, colorbar=False).colorbar_ is None


def test_kernels_of_deeper_blocks(network):
    kernels = network.kernels_[1]
    np.testing.assert_array_equal(KernelDisplay.from_estimator(network, block=-1).kernels, kernels.mean(axis=1))
    display = KernelDisplay.from_estimator(network, block=1, channel=2)
    np.testing.assert_array_equal(display.kernels, kernels[:, 2])
    assert display.ax_.get_title().endswith(" (channel 2 of 4)")
    assert KernelDisplay.from_estimator(network, block=1).ax_.get_title().endswith(" (mean of 4 channels)")
    assert "channel" not in KernelDisplay.from_estimator(network, channel=0).ax_.get_title()


def test_kernels_in_colour():
    coloured = np.random.RandomState(0).standard_normal((20, 6, 6, 3))
    network = small_network().fit(coloured, np.arange(20) % 2)
    display = KernelDisplay.from_estimator(network)
    assert display.kernels.shape == (4, 3, 3, 3)
    np.testing.assert_array_equal(display.kernels[..., 1], network.kernels_[0][:, 1])
    shown = np.array([image.get_array() for image in display.images_])
    assert 0 <= shown.min() < shown.max() <= 1
    np.testing.assert_allclose((shown - 0.5) * 2 * np.abs(display.kernels).max(), display.kernels, atol=1e-6)
    assert KernelDisplay.from_estimator(network, channel="mean").kernels.shape == (4, 3, 3)


def test_kernels_of_a_locally_connected_block():
    network = small_network(weight_sharing=False).fit(X, Y)
    np.testing.assert_array_equal(KernelDisplay.from_estimator(network).kernels, network.kernels_[0][3, 3, :, 0])
    at_corner = KernelDisplay.from_estimator(network, position=(0, 5))
    np.testing.assert_array_equal(at_corner.kernels, network.kernels_[0][0, 5, :, 0])
    with pytest.raises(ValueError, match="outside the map, which has 6 rows"):
        KernelDisplay.from_estimator(network, position=(6, 0))


@pytest.mark.parametrize("n_filters", [1, 2, 7, 8, 32, 64])
@pytest.mark.parametrize("shape", [(3, 3), (7, 2), (1, 5)])
def test_tiles_do_not_overlap(n_filters, shape):
    display = KernelDisplay(np.random.RandomState(0).standard_normal((n_filters, *shape))).plot()
    assert len(display.images_) == n_filters
    display.figure_.canvas.draw()
    boxes = [image.get_window_extent() for image in display.images_]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
        assert box.width > 20 or shape[1] < shape[0]  # pixels: legible


def test_kernels_that_are_all_zero():
    assert KernelDisplay(np.zeros((2, 3, 3))).plot().images_[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"block": 2}, "block=2 does not exist: the network has 2"),
        ({"channel": 1}, "channel=1 must be 'mean' or a number from 0 to 0"),
        ({"channel": "red"}, "channel='red'"),
        ({"channel": True}, "channel=True must be"),
        ({"position": (0, 0)}, r"position=\(0, 0\) is for locally connected blocks"),
        ({"n_columns": -1}, "n_columns=-1 must be an integer of at least 1, or None"),
        ({"n_columns": 1.5}, "n_columns=1.5 must be"),
    ],
)
def test_kernels_that_do_not_exist(network, arguments, match):
    with pytest.raises(ValueError, match=match):
        KernelDisplay.from_estimator(network, **arguments)


@pytest.mark.parametrize("position", [3, (1, 2, 3), (1.5, 2), "ab", None])
def test_a_position_is_a_row_and_a_column(position):
    network = small_network(weight_sharing=False).fit(X, Y)
    if position is None:
        assert KernelDisplay.from_estimator(network, position=np.array([2, 1])).kernels.shape == (4, 3, 3)
    else:
        with pytest.raises(ValueError, match=r"position=.* must be a pair \(row, column\) .* from \(0, 0\) to \(5, 5\)"):
            KernelDisplay.from_estimator(network, position=position)


# ------------------------------------------------------------------------------------------------------------- feature maps


@pytest.mark.parametrize(("block", "stage"), [(0, "conv"), (0, "pool"), (1, "conv"), (-1, "pool")])
def test_feature_maps_are_those_of_the_network(network, block, stage):
    display = FeatureMapDisplay.from_estimator(network, X[3], block=block, stage=stage)
    maps = network.feature_maps(X[3:4], block, stage)[0]
    np.testing.assert_array_equal(display.maps, maps)
    for number, image in enumerate(display.images_):
        np.testing.assert_array_equal(image.get_array(), maps[:, :, number])
        np.testing.assert_allclose(image.get_clim(), (maps.min(), maps.max()))
    np.testing.assert_array_equal(display.input_.get_array(), X[3])


def test_one_image_in_every_form(network):
    expected = network.feature_maps(X[:1])[0]
    for image in (X[0], X[:1], X[0][..., None], X[0].ravel(), X[0].reshape(1, -1), X[0].tolist()):
        np.testing.assert_array_equal(FeatureMapDisplay.from_estimator(network, image).maps, expected)
    for several in (X[:2], X[0][:3]):
        with pytest.raises(ValueError, match=r"One image has 36 values.*Pass one image"):
            FeatureMapDisplay.from_estimator(network, several)
    with pytest.raises(ValueError, match="X must be one image"):
        FeatureMapDisplay.from_estimator(network, [[1, 2], [3]])


CONV_AND_POOL = [
    ({"batch_norm": True, "pooling": "max"}, "the bare convolution", "after pooling and activation"),
    ({"batch_norm": True, "pooling": "average"}, "after the activation", "after the pooling"),
    ({"batch_norm": True, "pooling": None}, "after the activation", "after the activation"),
    ({"batch_norm": False, "pooling": "max"}, "after the activation", "after the pooling"),
    ({"batch_norm": False, "pooling": None}, "after the activation", "after the activation"),
]


@pytest.mark.parametrize(("settings", "conv", "pool"), CONV_AND_POOL)
def test_the_title_says_what_the_maps_are(settings, conv, pool):
    """With batch normalisation and maximum pooling it called the bare convolution a map after the activation."""
    network = small_network(activation="relu", max_iter=2, **settings).fit(X, Y)
    for stage, words in (("conv", conv), ("pool", pool)):
        display = FeatureMapDisplay.from_estimator(network, X[0], stage=stage)
        assert display.ax_.get_title().startswith(f"Block 0, {words}: 4 maps of ")
        assert (display.maps.min() < 0) == (words == "the bare convolution")
        assert display.colorbar_.ax.get_ylabel() == "value"


def test_one_row_of_a_data_frame():
    frame = pd.DataFrame(X.reshape(len(X), 36)).add_prefix("pixel")
    network = small_network(input_shape=(6, 6)).fit(frame, Y)
    assert FeatureMapDisplay.from_estimator(network, frame.iloc[[0]]).maps.shape == (6, 6, 4)


def test_a_data_frame_has_names_and_nobody_warns_of_them():
    """Covered and noisy images have none; the pictures are those of an array."""
    frame = pd.DataFrame(X.reshape(len(X), 36)).add_prefix("pixel")
    settings = {"input_shape": (6, 6), "augment": ImageAugmentation(shift=1)}
    named, nameless = small_network(**settings).fit(frame, Y), small_network(**settings).fit(X, Y)
    show = SaliencyDisplay.from_estimator
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for network, image in ((named, frame.iloc[[0]]), (nameless, X[0])):
            FeatureMapDisplay.from_estimator(network, image)
            ReceptiveFieldDisplay.from_estimator(network, image)
            AugmentationDisplay.from_estimator(network, image)
        drops = [OcclusionDisplay.from_estimator(*pair).drops for pair in ((named, frame.iloc[[0]]), (nameless, X[0]))]
        np.testing.assert_array_equal(*drops)
        for method in ("gradient", "grad_cam"):
            pairs = ((named, frame.iloc[[0]]), (nameless, X[0]))
            np.testing.assert_array_equal(*[show(*pair, method=method, random_state=0).saliency for pair in pairs])
    for display in (OcclusionDisplay, SaliencyDisplay):
        with pytest.raises(ValueError, match="feature names"):
            display.from_estimator(named, frame.iloc[[0]].add_prefix("other "))


def test_a_network_without_blocks_has_none_to_show():
    network = small_network(n_filters=(), hidden_layer_sizes=3).fit(X, Y)
    for display in (KernelDisplay, FeatureMapDisplay, ReceptiveFieldDisplay):
        with pytest.raises(ValueError, match=r"block=(0|-1) does not exist: the network has no blocks"):
            from_estimator(display, network)
    with pytest.raises(ValueError, match="the network has no blocks"):
        SaliencyDisplay.from_estimator(network, X[0], method="grad_cam")
    assert OcclusionDisplay.from_estimator(network, X[0]).drops.shape == (6, 6)


# --------------------------------------------------------------------------------------------------------------------- loss


def test_curves(network):
    display = LossDisplay.from_estimator(network)
    epochs = np.arange(1, len(network.loss_curve_) + 1)
    np.testing.assert_array_equal(display.line_.get_xdata(), epochs)
    np.testing.assert_array_equal(display.line_.get_ydata(), network.loss_curve_)
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), network.validation_loss_curve_)
    np.testing.assert_array_equal(display.score_line_.get_ydata(), network.validation_scores_)
    np.testing.assert_array_equal(display.learning_rate_line_.get_ydata(), network.learning_rate_curve_)
    assert list(display.best_line_.get_xdata()) == [network.best_iter_] * 2
    assert display.best_line_.get_label() == f"best epoch: {network.best_iter_}"
    assert len(display.ax_.get_legend().get_texts()) == 5
    assert len({id(axis) for axis in (display.ax_, display.score_ax_, display.learning_rate_ax_)}) == 3
    assert LossDisplay.from_estimator(network, scores=False).score_ax_ is None
    assert LossDisplay.from_estimator(network, learning_rate=False).learning_rate_ax_ is None
    assert LossDisplay.from_estimator(network, log_scale=True).ax_.get_yscale() == "log"


def test_curves_without_validation():
    network = small_network(learning_rate="one_cycle").fit(X, Y)
    display = LossDisplay.from_estimator(network)
    assert display.validation_line_ is display.score_line_ is display.score_ax_ is None
    np.testing.assert_array_equal(display.line_.get_ydata(), network.loss_curve_)
    assert np.ptp(display.learning_rate_line_.get_ydata()) > 0
    assert network.best_iter_ == 1 + np.argmin(network.loss_curve_)
    assert list(display.best_line_.get_xdata()) == [network.best_iter_] * 2


def test_the_best_epoch_is_that_of_the_validation_data_also_where_training_does_not_stop():
    """It was the epoch with the smallest training loss, though validation data were there to watch."""
    network = small_network(early_stopping=False, max_iter=6, alpha=0.0, learning_rate_init=0.1)
    network.fit(X[:30], Y[:30], X_val=X[30:], y_val=(Y[30:] + 1) % 3)  # the better in training, the worse here
    assert network.best_iter_ < 1 + np.argmin(network.loss_curve_)
    assert list(LossDisplay.from_estimator(network).best_line_.get_xdata()) == [network.best_iter_] * 2


def test_an_estimator_without_a_curve_of_rates():
    network = MLPClassifier(hidden_layer_sizes=2, max_iter=2).fit(X.reshape(len(X), -1), Y)
    display = LossDisplay.from_estimator(network)
    assert display.learning_rate_ax_ is display.learning_rate_line_ is display.best_line_ is None


@pytest.mark.parametrize("kind", [np.array, pd.Series, list, tuple])
def test_curves_of_any_kind(kind):
    """The truth of an array is none, so they failed."""
    losses, later, none = kind([4.0, 3.0, 2.0, 1.0]), kind([0.5, 0.7]), kind([])
    curves = {"validation_loss_curve": later, "validation_scores": later, "learning_rate_curve": losses}
    display = LossDisplay(losses, **curves).plot()
    np.testing.assert_array_equal(display.line_.get_ydata(), [4, 3, 2, 1])
    for line in (display.validation_line_, display.score_line_):
        np.testing.assert_array_equal(line.get_xdata(), [3, 4])
        np.testing.assert_array_equal(line.get_ydata(), [0.5, 0.7])
    np.testing.assert_array_equal(display.learning_rate_line_.get_ydata(), [4, 3, 2, 1])
    empty = LossDisplay(losses, **dict.fromkeys(curves, none)).plot()
    assert empty.validation_line_ is empty.score_line_ is empty.learning_rate_line_ is None
    with pytest.raises(ValueError, match="validation_scores has 4 values, but loss_curve only 2"):
        LossDisplay(later, validation_scores=losses).plot()


def test_validation_that_began_late():
    display = LossDisplay([4.0, 3.0, 2.0, 1.0], validation_loss_curve=[2.5, 2.4]).plot()
    assert display.validation_line_.get_xdata().tolist() == [3, 4]


# --------------------------------------------------------------------------------------------------------- receptive fields


def test_receptive_field_of_a_unit(network):
    display = ReceptiveFieldDisplay.from_estimator(network, X[0], unit=(0, 0))
    assert display.names == [row["name"] for row in network.layer_table_[:-1]]
    assert (display.origins[-1], display.fields[-1]) == ((-3, -3), (10, 10))
    assert display.ax_.get_title() == "What unit (0, 0) of block 1 (max pooling) sees"
    rectangle = display.patches_[-1]
    assert (*rectangle.get_xy(), rectangle.get_width(), rectangle.get_height()) == (-3.5, -3.5, 10, 10)
    assert display.ax_.get_xlim()[0] <= -3.5  # padding is in the picture
    first = ReceptiveFieldDisplay.from_estimator(network, X[0], block=0, stage="conv", unit=(2, 5))
    assert (first.names, first.origins, first.fields) == (["block 0: convolution"], [(1, 4)], [(3, 3)])
    assert len(display.plot(nested=False).patches_) == 1


@pytest.mark.parametrize(
    "parameters", [{}, {"padding": "valid"}, {"stride": 2, "pooling": None}, {"pool_size": 3, "pool_stride": 2}]
)
def test_fields_are_nested(parameters):
    images = np.random.RandomState(0).standard_normal((12, 19, 17))
    network = small_network(n_filters=(2, 2), max_iter=1, **parameters).fit(images, np.arange(12) % 2)
    rows, columns = network.feature_maps(images[:1], -1, "pool").shape[1:3]
    for unit in np.ndindex(rows, columns):
        display = ReceptiveFieldDisplay.from_estimator(network, images[0], unit=unit)
        plt.close("all")
        first = np.array(display.origins)
        last = first + display.fields
        assert (first[1:] <= first[:-1]).all()
        assert (last[:-1] <= last[1:]).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"unit": (1, 0)}, r"unit=\(1, 0\) is outside the map of block 1: max pooling, which has 1 rows and 1 columns"),
        ({"unit": 9}, r"unit=9 must be a pair \(row, column\)"),
        ({"block": 2}, "block=2 does not exist"),
        ({"stage": "dense"}, "stage='dense'"),
    ],
)
def test_fields_that_do_not_exist(network, arguments, match):
    with pytest.raises(ValueError, match=match):
        ReceptiveFieldDisplay.from_estimator(network, X[0], **arguments)


# ---------------------------------------------------------------------------------------------------------------- occlusion


class Fake(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probability is the value of one pixel."""

    input_shape_, n_features_in_ = (5, 6, 1), 30
    classes_ = np.array(["dark", "bright"])

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        p = np.asarray(X).reshape(len(X), 5, 6)[:, 2, 3]
        return np.stack([1 - p, p], axis=1)


def test_only_the_pixel_that_decides_is_hot():
    image = np.zeros((5, 6))
    image[2, 3] = 0.75
    display = OcclusionDisplay.from_estimator(Fake(), image, window=1, fill=0.0)
    assert (display.label, display.probability) == ("bright", 0.75)
    np.testing.assert_allclose(display.drops, image)
    np.testing.assert_array_equal(display.heat_.get_array(), display.drops)
    other = OcclusionDisplay.from_estimator(Fake(), image, window=1, fill=0.0, target="dark")
    np.testing.assert_allclose(other.drops, -image)


def test_a_pixel_has_the_mean_of_the_patches_that_cover_it():
    image = np.zeros((5, 6))
    image[2, 3] = 0.75
    drops = OcclusionDisplay.from_estimator(Fake(), image, window=3, step=1, fill=0.0).drops
    rows, columns = np.maximum(3 - abs(np.arange(5) - 2), 0), np.maximum(3 - abs(np.arange(6) - 3), 0)
    np.testing.assert_allclose(drops, 0.75 * np.outer(rows, columns) / 9)


@pytest.mark.parametrize(("side", "window"), [(2, 2), (9, 3), (13, 3), (14, 4), (20, 5)])
def test_a_patch_is_a_quarter_of_the_image_but_three_pixels_at_least(side, window):
    images = np.random.RandomState(0).standard_normal((12, side, side))
    network = small_network(max_iter=1, pooling=None).fit(images, np.arange(12) % 2)
    assert OcclusionDisplay.from_estimator(network, images[0], step=window).window == (window, window)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_every_pixel_is_covered(network, step):
    drops = OcclusionDisplay.from_estimator(network, X[0], window=3, step=step).drops
    assert drops.shape == (6, 6)
    assert np.isfinite(drops).all()


def test_occlusion_finds_the_bar():
    network = small_network(n_filters=8, max_iter=60).fit(X, Y)
    column = 1 + Y[0]
    drops = OcclusionDisplay.from_estimator(network, X[0], window=(6, 1), fill=0.0).drops
    assert drops.mean(axis=0).argmax() == column


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"target": "bar"}, "target='bar' is none of the classes"),
        ({"target": [0, 1]}, r"target=\[0, 1\] is none of the classes"),
        ({"window": 7}, "window=7 must be an integer or a pair .* from 1 to those of the image, 6 x 6"),
        ({"window": 1.5}, "window=1.5 must be an integer or a pair"),
        ({"window": (1, 2, 3)}, r"window=\(1, 2, 3\) must be an integer or a pair"),
        ({"window": True}, "window=True must be"),
        ({"window": 2, "step": 3}, "step=3 must be an integer from 1 to 2, the size of the patch"),
        ({"step": (1, 1)}, r"step=\(1, 1\) must be an integer from 1"),
        ({"step": 1.5}, "step=1.5 must be an integer from 1"),
        ({"fill": [1, 2]}, r"fill=\[1, 2\] must be a finite number, or one for each channel of the image, which has 1"),
        ({"fill": "grey"}, "fill='grey' must be"),
        ({"fill": np.nan}, "fill=nan must be"),
        ({"fill": [[1], [2, 3]]}, "fill=.* must be"),
    ],
)
def test_occlusion_of_what_is_not_there(network, arguments, match):
    with pytest.raises(ValueError, match=match):
        OcclusionDisplay.from_estimator(network, X[0], **arguments)


def test_a_patch_has_the_colour_that_fill_says():
    image = np.zeros((5, 6))
    for fill in (0.25, np.float32(0.25), [0.25], np.array([0.25]), np.array(0.25)):
        display = OcclusionDisplay.from_estimator(Fake(), image, window=1, fill=fill, target="dark")
        assert display.drops[2, 3] == 0.25
    colours = np.random.RandomState(0).random_sample((12, 6, 6, 3))
    network = small_network(max_iter=1).fit(colours, np.arange(12) % 2)
    for fill in (colours[0].mean(axis=(0, 1)).tolist(), None):
        drops = OcclusionDisplay.from_estimator(network, colours[0], fill=fill).drops
    np.testing.assert_array_equal(drops, OcclusionDisplay.from_estimator(network, colours[0]).drops)


def test_the_image_is_not_changed(network):
    image = X[0].copy()
    OcclusionDisplay.from_estimator(network, image)
    np.testing.assert_array_equal(image, X[0])


# ------------------------------------------------------------------------------------------------------------ augmentation


def test_an_image_beside_its_versions():
    augmentation = ImageAugmentation(shift=1, flip="horizontal")
    display = AugmentationDisplay.from_augmentation(augmentation, X, sample=3, n_versions=5, random_state=2)
    np.testing.assert_array_equal(display.image[..., 0], X[3])
    for epoch, version in enumerate(display.versions, 1):
        seen = augmentation.preview(X, epoch=epoch, random_state=2)[3]
        np.testing.assert_array_equal(version[..., 0].astype(np.float32), seen)
    assert len(display.images_) == 6
    np.testing.assert_allclose(display.images_[0].get_array(), X[3])
    assert len({image.get_clim() for image in display.images_}) == 1
    assert [text.get_text() for text in display.ax_.texts][:3] == ["the image", "epoch 1", "epoch 2"]
    assert display.ax_.get_title() == "ImageAugmentation(flip='horizontal', shift=1)"
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first


def test_versions_of_a_fit_have_its_scaling_and_its_draws():
    network = small_network(augment=ImageAugmentation(brightness=1.0, erase=2)).fit(X, Y)
    display = AugmentationDisplay.from_estimator(network, X[0])
    expected = network.augment.preview(X, epoch=1, random_state=0)
    np.testing.assert_allclose(display.versions[0][..., 0], expected[0], rtol=1e-5, atol=1e-6)
    by_function = small_network(augment=lambda batch, random_state: batch + 1).fit(X, Y)
    display = AugmentationDisplay.from_estimator(by_function, X[:1], n_versions=2)
    np.testing.assert_allclose(display.versions[..., 0], np.stack([X[0] + 1] * 2), rtol=1e-6)


def test_augmented_colours_and_signals(signals):
    _, signal = signals
    colours = np.random.RandomState(0).randint(0, 256, (5, 8, 9, 3)).astype(np.uint8)
    display = AugmentationDisplay.from_augmentation(ImageAugmentation(contrast=0.5), colours, n_versions=3)
    assert display.images_[1].get_array().shape == (8, 9, 3)
    np.testing.assert_allclose(display.images_[0].get_array(), colours[0] / 255)
    display = AugmentationDisplay.from_augmentation(ImageAugmentation(shift=4), signal, n_versions=3)
    assert len(display.images_) == 4
    _, ax = plt.subplots()
    assert AugmentationDisplay.from_augmentation(ImageAugmentation(), colours, ax=ax).ax_ is ax
    plain = np.zeros((2, 4, 4))
    AugmentationDisplay.from_augmentation(ImageAugmentation(), plain).figure_.canvas.draw()


def test_what_augmentation_cannot_be_drawn(network):
    with pytest.raises(ValueError, match="augment=None"):
        AugmentationDisplay.from_estimator(network, X[0])
    with pytest.raises(NotFittedError):
        AugmentationDisplay.from_estimator(small_network(augment=ImageAugmentation()), X[0])
    for sample in (60, -61, 1.5, "first", True):
        with pytest.raises(ValueError, match=r"sample=.* 60 samples in X: an integer from -60 to 59"):
            AugmentationDisplay.from_augmentation(ImageAugmentation(), X, sample=sample)
    last = AugmentationDisplay.from_augmentation(ImageAugmentation(), X, sample=-1)
    np.testing.assert_array_equal(last.image[..., 0], X[-1])
    for n_versions in (0, 1.5, True, 2**31):
        with pytest.raises(ValueError, match=r"n_versions=.* must be an integer from 1 to 1000"):
            AugmentationDisplay.from_augmentation(ImageAugmentation(), X, n_versions=n_versions)
        with pytest.raises(ValueError, match=r"n_versions=.* must be an integer from 1 to 1000"):
            AugmentationDisplay.from_estimator(small_network(augment=ImageAugmentation()).fit(X, Y), X[0], n_versions=n_versions)
    for augmentation in (None, ImageAugmentation, "shift"):
        with pytest.raises(ValueError, match=r"augmentation=.* must be an ImageAugmentation"):
            AugmentationDisplay.from_augmentation(augmentation, X)


# --------------------------------------------------------------------------------------------- displays that are made by hand


@pytest.mark.parametrize(
    ("display", "words"),
    [
        (KernelDisplay(np.zeros((3, 3))), r"kernels must be an array of numbers of shape \(n_filters, rows, columns\) or"),
        (KernelDisplay(np.zeros((2, 3, 3, 2))), "kernels has 2 channels"),
        (KernelDisplay([[[1, 2], [3]]]), "kernels must be an array of numbers"),
        (FeatureMapDisplay(np.zeros((3, 3))), r"maps must be .* but its shape is \(3, 3\)"),
        (FeatureMapDisplay(np.zeros((3, 3, 1)), image=np.zeros((3, 3))), "image must be"),
        (LossDisplay([]), r"loss_curve has shape \(0,\): there is nothing to draw"),
        (LossDisplay([1.0], validation_scores=[[1.0]]), "validation_scores must be"),
        (LossDisplay(["a"]), "loss_curve must be"),
        (LossDisplay([1.0], best_iter=1.5), r"best_iter=1\.5 must be an integer of at least 0, or None"),
        (ReceptiveFieldDisplay(np.zeros((3, 3, 1)), names=["a"], origins=[], fields=[]), r"\(1, 0, 0\) entries"),
        (OcclusionDisplay(np.zeros((2, 2)), image=np.zeros((3, 3, 1)), label=0), r"drops has shape \(2, 2\), but image"),
        (SaliencyDisplay(np.full((3, 3), np.nan), image=np.zeros((3, 3, 1)), label=0), "saliency has values that are not finite"),
        (AugmentationDisplay(np.zeros((3, 3, 1)), np.zeros((2, 4, 3, 1))), r"versions has shape \(2, 4, 3, 1\), but image has"),
    ],
)
def test_what_cannot_be_drawn(display, words):
    with pytest.raises(ValueError, match=words):
        display.plot()
    assert not hasattr(display, "figure_")
    assert not plt.get_fignums()


@pytest.mark.parametrize("value", ["no", None, np.ones(2), 1])
def test_what_is_drawn_or_not_is_true_or_false(network, value):
    for display, name in ((LossDisplay, "scores"), (LossDisplay, "log_scale"), (KernelDisplay, "colorbar")):
        with pytest.raises(ValueError, match=f"{name}=.* must be True or False"):
            display.from_estimator(network, **{name: value})
    with pytest.raises(ValueError, match=r"nested=.* must be True or False"):
        ReceptiveFieldDisplay.from_estimator(network, X[0], nested=value)


def test_an_image_of_numbers_without_gaps(network):
    with pytest.raises(ValueError, match="X must hold numbers"):
        ReceptiveFieldDisplay.from_estimator(network, ["a"] * 36)
    with pytest.raises(ValueError, match="X has masked values"):
        OcclusionDisplay.from_estimator(network, np.ma.masked_array(X[0], X[0] > 0))
    objects = OcclusionDisplay.from_estimator(network, X[0].astype(object))
    np.testing.assert_array_equal(objects.drops, OcclusionDisplay.from_estimator(network, X[0].astype(float)).drops)
    for estimator in (3, ((),), type(network)):
        with pytest.raises(TypeError, match=r"estimator=.* must be a fitted network"):
            LossDisplay.from_estimator(estimator)


def test_one_axes_and_not_several(network):
    with pytest.raises(TypeError, match=r"ax=.* must be one Axes of matplotlib"):
        LossDisplay.from_estimator(network, ax=plt.subplots(1, 2)[1])


@pytest.mark.parametrize("value", [200.0, -3.0, 1e30])
def test_an_image_of_one_colour(value):
    """Above 1 or below 0 it was zero divided by zero."""
    colours = 255 * np.random.RandomState(0).random_sample((12, 6, 6, 3))
    network = small_network(max_iter=1).fit(colours, np.arange(12) % 2)
    image = np.full((6, 6, 3), value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for display in (OcclusionDisplay, SaliencyDisplay, FeatureMapDisplay, ReceptiveFieldDisplay):
            shown = display.from_estimator(network, image)
            picture = shown.input_ if display is FeatureMapDisplay else shown.image_
            np.testing.assert_array_equal(picture.get_array(), np.zeros((6, 6, 3)))
