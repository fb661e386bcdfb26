"""Whatever stands in a fitted state: it is refused as damaged, or the model runs. Nothing else happens, and no process ends.

Every entry of the states of many models, at any depth, is replaced by a hostile value, and the model is loaded from a pickle or
a skops file, or changed in memory; then everything is done with it that reads the state. Replay a case that failed with the
command that is printed.

    python tests/fuzz_state.py --cases 20000 --seed 7
"""

import pickle
from contextlib import suppress

import numpy as np
from children import frames_of, main
from sklearn.exceptions import NotFittedError

from sklearn_cnn import ConvNetClassifier, ConvNetRegressor, ConvNetTransformer, ImageAugmentation
from sklearn_cnn._estimator.attributes import fitted_names
from sklearn_cnn._network.words import shown

try:
    import skops.io as skops
except ImportError:  # one way less
    skops = None

# What a ValueError says where the state is not what fit leaves, or not what the parameters beside it ask for.
EXPECTED_WORDS = (
    "damaged", "is not valid for", "Training diverged", "changed since", "not among the classes", "too large for this network",
)  # fmt: skip
X = np.random.default_rng(0).random((24, 36)).astype(np.float32)


# ------------------------------------------------------------------------------------------------------------- the models


def models():
    """Fitted models with every kind of entry and of layer that there is."""
    common = {"max_iter": 2, "random_state": 0, "n_jobs": 1, "input_shape": (6, 6), "batch_size": 8}
    three, two = np.arange(24) % 3, np.array(["no", "yes"])[np.arange(24) % 2]
    several = (np.arange(72).reshape(24, 3) % 2).astype(int)
    real = X[:, :2].astype(np.float64)
    classifiers = {
        "three classes": ({"n_filters": (3, 2), "hidden_layer_sizes": 4}, three),
        "two classes": ({"n_filters": 2, "pooling": "average", "weight_sharing": False, "batch_norm": False}, two),
        "several labels": ({"n_filters": 2, "padding": (1, 0), "early_stopping": True, "scale_input": False}, several),
        "no block": ({"n_filters": (), "global_pooling": "max", "solver": "sgd", "dropout": 0.2}, three),
        "full batch": ({"n_filters": 2, "solver": "lbfgs", "stride": 2, "pooling": None}, three),
        "many epochs": ({"n_filters": 1, "max_iter": 40, "padding_mode": "reflect"}, two),
    }
    fitted = {name: ConvNetClassifier(**{**common, **given}).fit(X, y) for name, (given, y) in classifiers.items()}
    fitted["one number"] = ConvNetRegressor(**{**common, "n_filters": 2}).fit(X, real[:, 0])
    fitted["two numbers"] = ConvNetRegressor(**{**common, "n_filters": 2, "activation": "tanh"}).fit(X, real)
    fitted["features"] = ConvNetTransformer(ConvNetClassifier(**{**common, "n_filters": 2}), layer=1).fit(X, three)
    fitted["features of a fitted network"] = ConvNetTransformer(fitted["two classes"], prefit=True)
    fitted["augmentation"] = ImageAugmentation(shift=(1, 2), flip="both", rotate=5.0, erase=2)
    targets = {**dict.fromkeys(fitted, three), **{name: y for name, (_, y) in classifiers.items()}}
    targets |= {"one number": real[:, 0], "two numbers": real}
    return {name: (network, targets[name]) for name, network in fitted.items()}


# ------------------------------------------------------------------------------------------------------ places and values


def places(value, place=()):
    """Yield the path of every entry, at any depth; of long tuples the first, the second and the last."""
    if isinstance(value, dict):
        for name in value:
            yield (*place, name)
            yield from places(value[name], (*place, name))
    elif isinstance(value, tuple):
        for number in sorted({0, 1, len(value) - 1} & {*range(len(value))}):
            yield (*place, number)
            yield from places(value[number], (*place, number))


def at(value, place):
    """Return what stands at a path."""
    for key in place:
        value = value[key]
    return value


class Without:
    """Says that the entry is to be taken away."""


def replaced(value, place, new):
    """Return a copy with something else at a path; nothing else is copied."""
    if not place:
        return new
    key, *rest = place
    if isinstance(value, dict):
        if new is Without and not rest:
            return {name: entry for name, entry in value.items() if name != key}
        return {**value, key: replaced(value[key], rest, new)}
    entries = list(value)
    if new is Without and not rest:
        del entries[key]
    else:
        entries[key] = replaced(value[key], rest, new)
    return tuple(entries)


def nested(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


HOSTILE = [
    None, True, False, -1, 0, 1, 2, 3, 7, 625, 10**6, 10**9, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, -(10**9),
    10**4000,
    0.0, -0.5, 1.0, 2.5, 1e-320, 1e38, 1e308, float("nan"), float("inf"), -float("inf"), 1j,
    "", "x", "softmax", "logistic", "identity", "relu", "max", "average", "same", "reflect", "adam", "lbfgs", "sgd", "MT19937",
    "DenseLayer", "PoolingLayer", "a" * 10_000, "\x00", b"bytes",
    (), (0, 0), (1, 1), (0, 1), (-1, 2), (2**31, 1), (10**6, 10**6), (3000, 3000), (8000, 8000), (30_000, 30_000),
    (1, 1, 1), (6, 6), (36,), ((0, 0), (0, 0)),
    ((10**5, 0), (0, 10**5)), ((8000, 8000), (8000, 8000)), (1.0, 2.0), ("a", "b"), nested(50), nested(5_000), ("DenseLayer", ()),
    (("DenseLayer", (("n_units", 3),)),),
    [], [1, 2], {}, {"a": 1}, set(), Without,
    np.zeros(0, np.float32), np.zeros(3, np.float32), np.zeros((2, 2)), np.float32(1), np.int64(3), np.array(None, dtype=object),
    np.full(624, 0, np.uint32), np.array([[1, 2], [3, 4]], dtype=object), np.array(["a", "a"]), np.array([2, 1, 0]),
    np.zeros(3, "M8[s]"), np.zeros(2, [("a", "f4"), ("b", "i4")]), np.ma.masked_array([1.0, 2.0], [0, 1]),
]  # fmt: skip


def variations(value):
    """Values that are nearly right."""
    if isinstance(value, bool):
        return [not value, int(value)]
    if isinstance(value, int):
        return [value + 1, value - 1, -value, 2 * value, float(value), str(value), np.int64(value), value + 2**32]
    if isinstance(value, float):
        return [-value, value * 1e30, int(value) if np.isfinite(value) else 0, np.float64(value), str(value)]
    if isinstance(value, str):
        return [value + " ", value.upper(), value[:-1], value.encode()]
    if isinstance(value, tuple):
        return [value[:-1], value + value[-1:], value[::-1], list(value), (value,), value * 40]
    if isinstance(value, dict):
        return [dict.fromkeys(value), {**value, "more": 1}, list(value), tuple(value.items())]
    if isinstance(value, np.ndarray) and value.size:
        kinds = [value.astype(kind) for kind in ("f8", "f4", ">f4", "i8", "c8", "O") if value.dtype.kind in "iuf"]
        filled = [np.full_like(value, number) for number in (np.nan, np.inf, -1, 1e38, 0) if value.dtype.kind == "f"]
        shaped = [value[:-1], value[None], np.concatenate([value, value]), value[::-1], np.repeat(value, 2)[::2], value[:0]]
        equal = [np.repeat(value[:1], len(value)), value.copy(), np.broadcast_to(value[:1], value.shape)]
        return [*kinds, *filled, *shaped, *equal, value.tolist(), value[0]]
    return []


# ---------------------------------------------------------------------------------------------------------- what is done


def unchecked(network, state):
    """Build an estimator that holds a state as it is, to be written to a file."""
    other = object.__new__(type(network))
    other.__dict__.update(state)
    return other


def through_pickle(network, state):
    return pickle.loads(pickle.dumps(unchecked(network, state)))


def through_skops(network, state):
    file = skops.dumps(unchecked(network, state))
    return skops.loads(file, trusted=skops.get_untrusted_types(data=file))


def in_memory(network, state):
    return unchecked(network, {name: value for name, value in state.items() if name != "_sklearn_cnn_version"})


WAYS = {"pickle": through_pickle, "memory": in_memory, **({"skops": through_skops} if skops else {})}


def use(model, y):
    """Do everything that reads the state; compare what can be compared."""
    if isinstance(model, ImageAugmentation):
        assert model.preview(X, input_shape=(6, 6), random_state=0).shape == X.shape
    elif isinstance(model, ConvNetTransformer):
        assert model.transform(X).shape == (len(X), len(model.get_feature_names_out()))
        assert model.fit(X, y).n_features_in_ == X.shape[1]
    else:
        use_network(model, y)


def use_network(network, y):
    answers = network.predict(X)
    if isinstance(network, ConvNetClassifier):
        probabilities = network.predict_proba(X)
        n_classes = len(network.classes_)
        assert probabilities.shape == (len(X), n_classes), probabilities.shape
        assert network.predict_log_proba(X).shape == probabilities.shape
        network.decision_function(X)
        if np.ndim(answers) == 1:
            assert set(answers.tolist()) <= set(network.classes_.tolist())
            assert not np.isfinite(probabilities).all() or np.allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    network.feature_maps(X[:2]) if network.kernels_ else None
    assert all((network.summary(), network.coefs_, network.layer_table_))
    with suppress(RecursionError):  # scikit-learn's own, of a parameter
        network._repr_html_()
    for name in fitted_names(network):
        getattr(network, name)
    if not hasattr(network, "partial_fit"):
        network.set_params(warm_start=True).fit(X, y)
    else:
        network.partial_fit(X, y)
    network.set_params(warm_start=True, max_iter=1).fit(X, y)
    assert len(network.loss_curve_) >= 2
    pickle.loads(pickle.dumps(network)).predict(X[:1])


def draw(known, random_state):
    """Draw a case: a model, a place in its state, a value for it and a way to bring it there."""
    name = sorted(known)[random_state.integers(len(known))]
    network, y = known[name]
    state = network.__getstate__()
    all_places = list(places(state))
    place = all_places[random_state.integers(len(all_places))]
    values = variations(at(state, place))
    values = values if values and random_state.random() < 0.5 else HOSTILE
    value = values[random_state.integers(len(values))]
    # a parameter that somebody has deleted in memory is nobody's file
    ways = sorted(WAYS if place[0] == "_fitted" else {*WAYS} - {"memory"})
    way = ways[random_state.integers(len(ways))]
    return name, place, value, way, network, replaced(state, place, value), y


def outcome(way, place, network, state, y):
    """Run one case; returns what became of it, or raises what must not be."""
    try:
        changed = WAYS[way](network, state)
    except ValueError as error:
        if way == "skops" and "damaged" not in str(error):
            return "no file"  # skops cannot write that, or does not read it
        if "damaged" not in str(error):
            raise
        return "refused by the gate"
    except Exception as error:
        if way == "memory" or any("sklearn_cnn" in name for name in frames_of(error)[-1:]):
            raise
        return "no file"  # neither can pickle
    try:
        use(changed, y)
    except NotFittedError:
        if not {"_fitted", "estimator", "estimator_", "prefit"} & {*place}:
            raise
        return "not fitted"
    except ValueError as error:  # a parameter beside the state may be anything, and its check says so; it may be a TypeError, too
        if "_fitted" in place[:1] and not any(words in str(error) for words in EXPECTED_WORDS):
            raise
        return "refused in use"
    except MemoryError:
        return "no memory"
    return "ran"


def prepare():
    """Fit the models; return what draws a case of them."""
    known = models()

    def draw_case(random_state):
        name, place, value, way, network, state, y = draw(known, random_state)
        return f"{name}, {place} = {shown(value):.80}, {way}", lambda: outcome(way, place, network, state, y)

    return draw_case


if __name__ == "__main__":
    main(__file__, __doc__, prepare)
