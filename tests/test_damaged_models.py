"""Model files that are damaged or made up: one error that names the entry, and never a crash, a hang or nonsense."""

import hashlib
import pickle
import time
import tracemalloc

import fuzz_state
import numpy as np
import pytest
from children import all_hold
from fuzz_state import replaced
from images import bars, small_network
from processes import run_python

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation, functional
from sklearn_cnn._estimator import persistence, state
from sklearn_cnn._estimator.state import fitted_plan
from sklearn_cnn._training.files import DIGEST_SIZE, MAGIC, write_whole

SEED, N_CASES = 0, 300


def fitted_state(network):
    return dict(vars(network)["_fitted"])


def damaged_file(network, name, value):
    """A pickle of a network with something else in its state; a name with dots stands deeper."""
    place = ("_fitted", *(int(part) if part.isdigit() else part for part in name.split(".")))
    changed = replaced(network.__getstate__(), place, value)
    other = object.__new__(type(network))
    vars(other).update(changed)
    return pickle.dumps(other)


def test_whatever_stands_in_a_state_is_refused_or_runs():
    counts = all_hold(fuzz_state.__file__, SEED, N_CASES)
    assert counts["refused by the gate"] > N_CASES / 10
    assert counts["ran"] > N_CASES / 20


def test_a_pickled_parameter_that_is_missing_has_its_default_or_the_model_is_damaged():
    """The transformer and the augmentation came back without it, and failed in use."""

    def without(model, name):
        other = object.__new__(type(model))
        vars(other).update({key: value for key, value in vars(model).items() if key != name})
        return pickle.dumps(other)

    X, y = bars()
    transformer = ConvNetTransformer(small_network()).fit(X, y)
    assert pickle.loads(without(transformer, "layer")).get_params(deep=False)["layer"] == -1
    assert pickle.loads(without(ImageAugmentation(shift=2, zoom=0.1), "zoom")).get_params() == ImageAugmentation(2).get_params()
    with pytest.raises(ValueError, match=r"^The fitted estimator must be a parameter.* it is missing: .* is damaged"):
        pickle.loads(without(transformer, "estimator"))
    for model in (transformer, ImageAugmentation()):
        with pytest.raises(ValueError, match="is damaged"):
            model.__setstate__([("layer", 1)])


@pytest.mark.parametrize("with_skops", [False, True])
def test_a_position_beyond_the_random_stream_does_not_end_the_interpreter(with_skops):
    if with_skops:
        pytest.importorskip("skops.io")
    code = f"""
        import pickle
        from images import bars, small_network
        X, y = bars()
        network = small_network().fit(X, y)
        network._fitted["random_state"] = {{**network._fitted["random_state"], "position": 10**9}}
        try:
            network.partial_fit(X, y)
        except ValueError as error:
            print(error)
        try:
            if {with_skops}:
                import skops.io
                skops.io.loads(skops.io.dumps(network), trusted=["sklearn_cnn.ConvNetClassifier"])
            else:
                pickle.loads(pickle.dumps(network))
        except ValueError as error:
            print(error)
    """
    told = run_python(code).splitlines()
    assert len(told) == 2
    for line in told:
        assert line.startswith("The fitted random_state['position'] must be an integer from 0 to 624, but it is 1000000000")
        assert "is damaged" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_state.algorithm", "PCG64"),
        ("random_state.keys", np.zeros(624, dtype=np.uint32)),
        ("random_state.keys", np.ones(623, dtype=np.uint32)),
        ("layers.0.1.2.1", (0, 1)),  # a stride
        ("layers.0.1.0.1", 0),  # filters
        ("layers.0.1.6.1", (0, 0)),  # a pooling window
        ("layers.0.0", "NoLayer"),
        ("layers.0.1.0.0", "no_field"),
        ("layers.1.1.1.1", "relu"),  # an activation of the output
        ("input_shape_", (6, 6)),
        ("input_shape_", (6.0, 6, 1)),
        ("n_features_in_", 35),
        ("n_parameters_", 1),
        ("n_layers_", 0),
        ("parameters", np.zeros(3, dtype=np.float32)),
        ("second_moment", None),
        ("solver", "newton"),
        ("parameters", np.zeros(192)),  # of the other type
        ("classes_", np.array([0, 1, 1])),
        ("classes_", np.array([2, 1, 0])),
        ("classes_", np.array([0, 1])),
        ("classes_", np.array([0, 1, 2, 3])),
        ("classes_", np.array([{}, [], None], dtype=object)),
        ("out_activation_", "logistic"),
        ("is_multilabel", 1),
        ("shift", None),
        ("factor", np.full(1, np.nan, dtype=np.float32)),
        ("input_moments", (1.0, np.zeros(1), np.full(1, np.inf))),
        ("t", -1),
        ("split_seed", 2**40),
        ("history.epochs", ((1.0,),)),
        ("history.epochs.0.1", (0.1, "fast", None, None)),
        ("history.best_loss", "small"),
        ("history.n_samples_seen", 10**400),
        ("history", []),
        ("loss_", "small"),
    ],
)
def test_an_entry_that_fit_has_not_made_is_named(name, value):
    X, y = bars()
    network = small_network().fit(X, y)
    first = name.split(".")[0]
    with pytest.raises(ValueError, match=rf"The fitted {first}.* is damaged\. Load a whole copy"):
        pickle.loads(damaged_file(network, name, value))


def test_a_table_of_padding_that_is_too_large_is_refused_before_it_is_made():
    X, y = bars()
    network = small_network(padding_mode="reflect", padding=1).fit(X, y)
    fields = [name for name, _ in fitted_state(network)["layers"][0][1]]
    place = f"layers.0.1.{fields.index('padding')}.1"
    tracemalloc.start()
    started = time.perf_counter()
    for padding in (3000, 8000):
        with pytest.raises(ValueError, match=r"Layer 0: the table of its padding would take \d+ bytes.*is damaged"):
            pickle.loads(damaged_file(network, place, ((padding, padding), (padding, padding))))
        with pytest.raises(ValueError, match=r"the table of its padding would take \d+ bytes.*padding_mode='zeros'"):
            small_network(padding_mode="reflect", padding=padding).fit(X, y)
        with pytest.raises(ValueError, match="the table of its padding would take"):
            functional.pad(X[..., None], padding, mode="reflect")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.perf_counter() - started < 5
    assert peak < 2**24


def test_negative_second_moments_and_variances_are_damage():
    X, y = bars()
    network = small_network(batch_norm=True).fit(X, y)
    for name, words in {"second_moment": "finite numbers of at least 0", "statistics": "not negative"}.items():
        with pytest.raises(ValueError, match=f"The fitted {name} must be .*{words}"):
            pickle.loads(damaged_file(network, name, -1 - fitted_state(network)[name]))


def test_one_negative_variance_is_damage():
    X, y = bars()
    network = small_network(batch_norm=True).fit(X, y)
    _, _, variances_at, n_filters = fitted_plan(fitted_state(network)).statistics[0]
    for place in (0, n_filters - 1):
        statistics = fitted_state(network)["statistics"].copy()
        statistics[variances_at + place] = -1e-3
        with pytest.raises(ValueError, match=r"The fitted statistics must be .*not negative"):
            pickle.loads(damaged_file(network, "statistics", statistics))


@pytest.mark.parametrize(
    ("name", "value"), [("out_activation_", "softmax"), ("target_deviation", np.zeros(1)), ("n_outputs_", 2)]
)
def test_a_damaged_regressor_is_refused(name, value):
    X, y = bars()
    network = ConvNetRegressor(2, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=f"The fitted {name} .*is damaged"):
        pickle.loads(damaged_file(network, name, value))


def test_a_transformer_refuses_what_is_no_network():
    X, y = bars()
    transformer = ConvNetTransformer(small_network()).fit(X, y)
    transformer.estimator_ = None
    with pytest.raises(ValueError, match=r"The fitted estimator_ must be a convolutional network, but it is None.* is damaged"):
        pickle.loads(pickle.dumps(transformer)).transform(X)
    transformer.fit(X, y).estimator_._fitted["random_state"] = None
    with pytest.raises(ValueError, match=r"The fitted random_state must be a dictionary.* is damaged"):
        pickle.loads(pickle.dumps(transformer))


@pytest.mark.parametrize("estimator", [ConvNetClassifier, ConvNetRegressor])
def test_every_entry_of_a_state_has_a_row_and_every_row_an_entry(estimator):
    X, y = bars()
    network = estimator(2, max_iter=1).fit(X, y)
    rows = {*state.READ, *network._of_target, *state.GOING_ON, "layers", "input_shape_"}
    assert {*fitted_state(network)} == rows - {"feature_names_in_"}
    assert {*state.VALUES, *state.RECORD} <= rows
    assert {*fitted_state(network)["history"]} == {*state.HISTORY}


def test_a_model_too_large_for_this_machine_is_refused_before_its_memory_is_asked_for():
    X, y = bars()
    network = small_network(stride=3, pooling=None, padding=1).fit(X, y)
    layers = fitted_state(network)["layers"]
    values = layers[0][1]
    place = [field for field, _ in values].index("padding"), [field for field, _ in values].index("stride")
    wide = replaced(replaced(layers, (0, 1, place[0], 1), ((10**6, 0), (10**6, 0))), (0, 1, place[1], 1), (10**6, 10**6))
    with pytest.raises(ValueError, match=r"The fitted (layers|n_outputs_|parameters|n_parameters_).* is damaged"):
        pickle.loads(damaged_file(network, "layers", wide))


# ------------------------------------------------------------------------------------------------------------ checkpoints


@pytest.fixture
def checkpoint(tmp_path):
    """A fit that ended in its third epoch, its file, and how to go on."""
    X, y = bars()

    class Stop(Exception):
        pass

    def scoring(network, X, y, calls=[]):  # noqa: B006 (what it remembers)
        calls.append(0)
        if len(calls) == 3:
            raise Stop
        return 0.5

    def go_on(score):
        network = small_network(max_iter=5, early_stopping=True, scoring=score)
        return network.fit(X, y, checkpoint=tmp_path / "fit")

    with pytest.raises(Stop):
        go_on(scoring)
    return tmp_path / "fit", lambda: go_on(scoring)


def content_of(path):
    return pickle.loads(path.read_bytes()[len(MAGIC) + DIGEST_SIZE :])


def test_a_checkpoint_is_what_this_test_takes_it_for(checkpoint):
    path, go_on = checkpoint
    payload = path.read_bytes()[len(MAGIC) + DIGEST_SIZE :]
    assert hashlib.blake2b(payload, digest_size=DIGEST_SIZE).digest() == path.read_bytes()[len(MAGIC) :][:DIGEST_SIZE]
    assert go_on().n_iter_ == 5
    assert go_on().n_iter_ == 5


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("identity",), None),
        (("n_epochs",), "two"),
        (("saved", "random_state", "position"), 10**9),
        (("saved", "split_seed"), None),
        (("saved", "progress", "largest_loss"), "large"),
        (("saved", "watch", "history", "epochs"), ((1, 2),)),
        (("saved", "watch", "best", "merit"), (1.0,)),
        (("saved", "watch", "best", "state", "parameters"), np.zeros(2)),
        (("saved", "solver", "first_moment"), np.zeros(2, dtype=np.float32)),
        (("saved", "solver", "t"), -1),
        (("saved", "solver"), None),
    ],
)
def test_a_made_up_checkpoint_is_refused(checkpoint, place, value):
    path, go_on = checkpoint
    write_whole(str(path), replaced(content_of(path), place, value))
    with pytest.raises(ValueError, match=rf"The fitted .*{place[-1]}.* is damaged|The fitted state must be .* is damaged"):
        go_on()


def test_a_made_up_checkpoint_of_a_fit_that_has_ended_is_refused(checkpoint):
    path, go_on = checkpoint
    go_on()
    place = ("saved", "fitted", "random_state", "position")
    write_whole(str(path), replaced(content_of(path), place, 10**9))
    with pytest.raises(ValueError, match=r"The fitted random_state\['position'\] must be .* is damaged"):
        go_on()


def test_a_state_is_checked_again_only_when_an_entry_is_another(monkeypatch):
    calls = []
    monkeypatch.setattr(persistence, "check_reading", lambda *arguments: calls.append(arguments))
    X, y = bars()
    network = small_network().fit(X, y)
    network.predict(X)
    network.predict(X)
    assert len(calls) == 1
    network._fitted["parameters"] = network._fitted["parameters"].copy()
    network.predict(X)
    network.predict(X)
    assert len(calls) == 2
    network.fit(X, y).predict(X)
    assert len(calls) == 3


@pytest.mark.parametrize("seed", [0, 2**31, 2**32 - 1])
def test_every_seed_that_numpy_has_is_whole(seed):
    X, y = bars()
    network = small_network(early_stopping=True).fit(X, y)
    assert fitted_state(pickle.loads(damaged_file(network, "split_seed", seed)))["split_seed"] == seed
    with pytest.raises(ValueError, match="The fitted split_seed must be"):
        pickle.loads(damaged_file(network, "split_seed", seed + 2**32))
