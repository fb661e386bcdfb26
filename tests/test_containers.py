"""Labels and images in containers of other libraries: they work, or a message names the parameter and says what to pass."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from images import bars, fitted_arrays, small_network
from processes import run_python
from scipy import sparse
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_cnn import ConvNetRegressor

FORMATS = ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")


class Tensor:
    """What a tensor is to scikit-learn's checks: no ndarray, but something that exchanges its memory."""

    def __init__(self, values, device="cpu"):
        self.values, self.device = np.asarray(values), device
        self.shape, self.ndim, self.dtype = self.values.shape, self.values.ndim, f"tensor.{self.values.dtype}"

    def __dlpack__(self, **_):
        raise AssertionError("NumPy reads __array__ first")

    def __array__(self, dtype=None, copy=None):
        if self.device != "cpu":
            raise TypeError(f"can't convert {self.device} device type tensor to numpy")
        return self.values if dtype is None else self.values.astype(dtype)

    def __len__(self):
        return len(self.values)


@pytest.fixture(scope="module")
def multilabel():
    return make_multilabel_classification(n_samples=80, n_features=12, n_classes=4, random_state=0)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
def test_sparse_indicators_are_learnt_like_dense_ones(multilabel, form, container):
    X, y = multilabel
    network = small_network().fit(X, container(y).asformat(form))
    dense = small_network().fit(X, y)
    assert fitted_arrays(network)["parameters"] == fitted_arrays(dense)["parameters"]
    assert sparse.issparse(network.predict(X))
    assert not sparse.issparse(dense.predict(X))
    np.testing.assert_array_equal(network.predict(X).toarray(), dense.predict(X))
    assert network.score(X, container(y)) == network.score(X, y) == accuracy_score(y, dense.predict(X))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8, np.float64])
def test_indicators_of_any_order_and_type(multilabel, order, dtype):
    X, y = multilabel
    network = small_network(early_stopping=True).fit(X, y.astype(dtype, order=order), X_val=X, y_val=sparse.csc_array(y))
    assert fitted_arrays(network)["parameters"] == fitted_arrays(small_network().fit(X, y, X_val=X, y_val=y))["parameters"]


def test_targets_of_any_order():
    X, y = bars()
    Y = np.column_stack([y, y**2, -y]).astype(float)
    assert np.array_equal(
        ConvNetRegressor(4, max_iter=2, random_state=0).fit(X, np.asfortranarray(Y)).predict(X),
        ConvNetRegressor(4, max_iter=2, random_state=0).fit(X, Y).predict(X),
    )


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_multilabel_results_have_the_forms_of_mlp(multilabel, form):
    X, y = multilabel
    y = sparse.csr_matrix(y) if form == "sparse" else y
    ours, theirs = small_network().fit(X, y), MLPClassifier(max_iter=500, random_state=0).fit(X, y)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        a, b = getattr(ours, method)(X), getattr(theirs, method)(X)
        assert type(a) is type(b)
        assert (a.shape, a.dtype.kind) == (b.shape, b.dtype.kind)
    assert ours.predict(X).dtype == theirs.predict(X).dtype
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert (ours.n_outputs_, ours.out_activation_) == (theirs.n_outputs_, theirs.out_activation_)


def test_sparse_or_dense_is_decided_by_the_first_fit(multilabel):
    X, y = multilabel
    network = small_network().partial_fit(X, sparse.csr_matrix(y), classes=range(4)).partial_fit(X, y)
    network = pickle.loads(pickle.dumps(network))
    assert sparse.issparse(network.predict(X))
    assert network.score(X, y) >= 0.0
    with pytest.raises(ValueError, match=r"classes=array\(\[0, 1\]\) is not the same as \[0 1 2 3\]"):
        small_network().partial_fit(X, y, classes=[0, 1])


def test_a_state_that_does_not_say_is_dense(multilabel):
    X, y = multilabel
    network = small_network(warm_start=True).fit(X, y)
    del vars(network)["_fitted"]["is_sparse"]
    network = pickle.loads(pickle.dumps(network))
    assert isinstance(network.predict(X), np.ndarray)
    assert isinstance(network.fit(X, y).predict(X), np.ndarray)


@pytest.mark.parametrize("values", [[0, 3], [1, 2], [-1, 1], [0, 1, 2]])
@pytest.mark.parametrize("container", [np.array, sparse.csr_array])
def test_what_is_no_indicator_matrix(values, container):
    X, _ = bars(12)
    y = np.resize(values, (12, 4 if len(values) == 3 else 3))
    with pytest.raises(ValueError, match=r"y has . columns with other values than 0 and 1.*MultiLabelBinarizer"):
        small_network().fit(X, container(y))


@pytest.mark.parametrize("make", [lambda y: y, lambda y: pd.Series(y, dtype="string"), lambda y: pd.Series(y, dtype="category")])
def test_strings_that_work(make):
    X, y = bars()
    labels = np.array(["ab", "cde", "f"])[y]
    network = small_network(max_iter=20).fit(X, make(labels))
    assert network.classes_.tolist() == ["ab", "cde", "f"]
    assert network.score(X, make(labels)) == network.score(X, labels) > 0.5


def test_strings_of_any_length_are_refused_with_a_way_out():
    X, y = bars()
    labels = np.array(["ab", "cde", "f"])[y].astype(np.dtypes.StringDType())
    with pytest.raises(ValueError, match=r"y has dtype StringDType\(\).*pass y\.astype\(object\)"):
        small_network().fit(X, labels)
    with pytest.raises(ValueError, match=r"y_val has dtype StringDType"):
        small_network().fit(X, y, X_val=X, y_val=labels)
    with pytest.raises(ValueError, match=r"classes has dtype StringDType\(\).*pass classes\.astype\(object\)"):
        small_network().partial_fit(X, labels, classes=np.unique(labels))
    with pytest.raises(ValueError, match=r"y has dtype StringDType"):
        ConvNetRegressor().fit(X, labels)
    assert small_network().fit(X, labels.astype(object)).classes_.tolist() == ["ab", "cde", "f"]


@pytest.mark.parametrize(
    ("make", "images"),
    [
        (lambda X: pd.Series(list(X)), "X"),
        (lambda X: np.array(pd.Series(list(X))), "X"),
        (lambda X: pd.DataFrame({"image": list(X)}), "X['image']"),
    ],
    ids=["series", "objects", "frame"],
)
def test_images_inside_of_something(make, images):
    X, y = bars()
    network = small_network()
    words = r"X is a \w+ with arrays in place of numbers.*" + re.escape(f"numpy.stack({images}).")
    with pytest.raises(ValueError, match=words):
        network.fit(make(X), y)
    network.fit(np.stack(pd.Series(list(X))), y)
    with pytest.raises(ValueError, match=words):
        network.predict(make(X))


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (sparse.csr_array([[0, 1, 2]]), TypeError, "classes is a sparse matrix; pass the labels as a list"),
        (sparse.coo_matrix([[0], [1]]), TypeError, "classes is a sparse matrix"),
        ([[0, 1, 2]], ValueError, r"classes=\[\[0, 1, 2\]\] must be a list or a one-dimensional array"),
        (3, ValueError, "classes=3 must be a list"),
        ("abc", ValueError, "classes='abc' must be a list"),
        ([], ValueError, r"classes=\[\] must be a list"),
    ],
)
def test_classes_that_are_no_list(classes, error, message):
    X, y = bars()
    network = small_network()
    with pytest.raises(error, match=message):
        network.partial_fit(X, y, classes=classes)
    assert "_fitted" not in vars(network)


def test_classes_in_any_order():
    X, y = bars()
    network = small_network().partial_fit(X, y, classes=pd.Series([2, 1, 0, 1]))
    assert network.partial_fit(X, y, classes=(1, 0, 2)).classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("shape", [(60, 36), (60, 6, 6), (60, 6, 6, 1)])
def test_tensors_are_read_as_arrays(shape):
    X, y = bars()
    X = X.reshape(shape)
    weight = np.linspace(0.5, 1.0, len(X))
    network = small_network().fit(Tensor(X), Tensor(y), Tensor(weight), X_val=Tensor(X[:9]), y_val=Tensor(y[:9]))
    assert fitted_arrays(network) == fitted_arrays(small_network().fit(X, y, weight, X_val=X[:9], y_val=y[:9]))
    assert network.predict_proba(Tensor(X)).tobytes() == network.predict_proba(X).tobytes()
    assert small_network().partial_fit(Tensor(X), Tensor(y), classes=Tensor([0, 1, 2])).classes_.tolist() == [0, 1, 2]
    assert np.array_equal(
        ConvNetRegressor(4, max_iter=1, random_state=0).fit(Tensor(X), Tensor(weight)).predict(X),
        ConvNetRegressor(4, max_iter=1, random_state=0).fit(X, weight).predict(X),
    )


@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "classes"])
def test_tensors_out_of_reach(name):
    X, y = bars()
    arguments = {"X": X, "y": y, "sample_weight": np.ones(len(X)), "classes": [0, 1, 2]}
    arguments[name] = Tensor(arguments[name], "cuda:0")
    network = small_network()
    message = f"{name} is a Tensor that NumPy cannot read: can't convert cuda:0 .*Pass it as a NumPy array"
    with pytest.raises(TypeError, match=message):
        network.partial_fit(**arguments)
    assert "_fitted" not in vars(network)


def test_array_api_dispatch():
    pytest.importorskip("array_api_strict")
    code = """
    import array_api_strict as xp, numpy as np, sklearn
    from images import bars, small_network
    from sklearn_cnn import ConvNetRegressor

    X, y = bars()
    flat = X.reshape(60, 36)
    with sklearn.config_context(array_api_dispatch=True):
        network = small_network().fit(xp.asarray(X), xp.asarray(y), sample_weight=xp.ones(60))
        print(np.array_equal(network.predict(xp.asarray(flat)), small_network().fit(X, y, np.ones(60)).predict(X)))
        regressor = ConvNetRegressor(4, max_iter=2, random_state=0).fit(xp.asarray(flat), xp.asarray(y))
        print(regressor.predict(xp.asarray(flat)).shape, type(regressor.predict(flat)).__name__)
        print(small_network().partial_fit(flat, y, classes=xp.asarray([0, 1, 2])).classes_.tolist())
        print(0 <= network.score(xp.asarray(X), y) <= 1)
    """
    assert run_python(code, SCIPY_ARRAY_API="1").splitlines() == ["True", "(60,) ndarray", "[0, 1, 2]", "True"]


@pytest.mark.parametrize(
    "y",
    [
        [["a", "b"], ["c"]] * 40,
        np.array([("a",), ("b", "c")] * 40, dtype=object),
    ],
    ids=["ragged lists", "tuples"],
)
def test_lists_of_labels_are_no_indicators(multilabel, y):
    network = small_network()
    with pytest.raises(ValueError, match=r"y has lists in place of labels.*MultiLabelBinarizer"):
        network.fit(multilabel[0], y)
    with pytest.raises(ValueError, match=r"y_val has lists in place of labels.*MultiLabelBinarizer"):
        network.fit(*multilabel, X_val=multilabel[0], y_val=y)
    assert "_fitted" not in vars(network)


@pytest.mark.parametrize("form", FORMATS)
def test_one_sparse_column_is_refused_as_by_mlp(multilabel, form):
    X, y = multilabel
    column = sparse.csr_array(y[:, :1]).asformat(form)
    with pytest.raises(TypeError, match=r"[Ss]parse data was passed for y"):
        MLPClassifier().fit(X, column)
    with pytest.raises(TypeError, match=r"y is a sparse matrix of shape \(80, 1\).*Pass y\.toarray\(\)"):
        small_network().fit(X, column)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_kind_of_labels_than_before_is_refused(multilabel, method):
    X, y = multilabel
    network = small_network(warm_start=True).fit(X, y)
    go_on = getattr(network, method)
    before = fitted_arrays(network)
    with pytest.raises(ValueError, match=r"y is one label for each sample, but training has begun with .* matrix of 4 columns"):
        go_on(X, y[:, 0])
    with pytest.raises(ValueError, match=r"y is a multilabel matrix of 3 columns, but training has begun with .* of 4 columns"):
        go_on(X, y[:, :3])
    assert fitted_arrays(network) == before
    network = small_network(warm_start=True).fit(X, y[:, 0])
    with pytest.raises(ValueError, match=r"y is a multilabel matrix of 4 columns, but training has begun with one label for"):
        getattr(network, method)(X, y)


@pytest.mark.parametrize("container", [np.array, sparse.csr_matrix])
def test_model_selection_over_several_labels(multilabel, container):
    X, y = multilabel
    network = small_network(max_iter=2)
    search = GridSearchCV(network, {"n_filters": [2, 3]}, cv=2, scoring="f1_micro").fit(X, container(y))
    assert 0 < search.best_score_ <= 1
    predicted = cross_val_predict(network, X, container(y), cv=2)
    assert predicted.shape == y.shape
    assert sparse.issparse(predicted) == sparse.issparse(container(y))
    assert cross_val_score(network, X, y, cv=2, scoring="average_precision").shape == (2,)


def test_class_weights_of_several_labels(multilabel):
    X, y = multilabel
    weights = [{0: 1.0, 1: 2.0}, {0: 3.0, 1: 1.0}, {0: 1.0, 1: 1.0}, {0: 0.5, 1: 1.0}]
    expected = compute_sample_weight(weights, y)
    weighed = small_network(class_weight=weights).fit(X, sparse.csr_array(y))
    assert fitted_arrays(weighed)["parameters"] == fitted_arrays(small_network().fit(X, y, expected))["parameters"]
