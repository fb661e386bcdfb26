"""ONNX models of nodes in a row, as frameworks other than this write them."""

import numpy as np
import onnx

random = np.random.RandomState(0)


def normal(*shape):
    return random.normal(scale=0.5, size=shape).astype(np.float32)


def chain(shape, *nodes):
    """A model of nodes in a row: ``(kind, constants..., attributes)``, or the kind alone."""
    nodes = [node if isinstance(node, tuple) else (node,) for node in nodes]
    value, protos, constants = "image", [], []
    for number, (kind, *rest) in enumerate(nodes):
        attributes = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        inputs = [f"{kind}_{number}_{place}" for place in range(len(rest))]
        constants += [onnx.numpy_helper.from_array(values, name) for values, name in zip(rest, inputs, strict=True)]
        output = f"value_{number}"
        protos.append(onnx.helper.make_node(kind, [value, *inputs], [output], name=f"{kind.lower()}_{number}", **attributes))
        value = output
    ends = [
        onnx.helper.make_tensor_value_info("image", 1, ("n", *shape)),
        onnx.helper.make_tensor_value_info(value, 1, ("n", "k")),
    ]
    graph = onnx.helper.make_graph(protos, "chain", ends[:1], ends[1:], constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def normalisation(n, gamma=None):
    return (
        "BatchNormalization",
        normal(n) if gamma is None else gamma,
        normal(n),
        normal(n),
        np.abs(normal(n)),
        {"epsilon": 1e-3},
    )


def convolution(n_filters, n_channels, size=3, **attributes):
    return ("Conv", normal(n_filters, n_channels, size, size), normal(n_filters), attributes)


POOL = {"kernel_shape": (2, 2), "strides": (2, 2)}
FEATURES = (  # of 3 x 10 x 8: what a framework that has channels first would write
    convolution(4, 3, pads=(1, 1, 1, 1)), "Relu", ("MaxPool", POOL), convolution(5, 4), "Relu", ("AveragePool", POOL), "Flatten",
)  # fmt: skip
TRANSPOSED = ("Transpose", {"perm": (0, 3, 1, 2)})
# name -> nodes; the input has three channels, 10 rows and 8 columns
NETWORKS = {
    "classes": (*FEATURES, ("Gemm", normal(4, 5), normal(4), {"transB": 1}), "Softmax"),
    "logarithms": (*FEATURES, ("Gemm", normal(4, 5), normal(4), {"transB": 1, "alpha": 0.5, "beta": 2.0}), "LogSoftmax"),
    "scores": (*FEATURES, ("MatMul", normal(5, 4)), ("Add", normal(4))),
    "one number": (*FEATURES, ("Gemm", normal(5, 1))),
    "two classes": (*FEATURES, ("Gemm", normal(5, 1), normal(1)), "Sigmoid"),
    "two scores": (*FEATURES, ("Gemm", normal(5, 2), normal(2)), "Softmax"),
    "labels": (*FEATURES, ("Gemm", normal(5, 3), normal(3)), "Sigmoid"),
    "hidden layers": (
        *FEATURES,
        ("Gemm", normal(5, 6), normal(6)),
        "Relu",
        "Dropout",
        ("MatMul", normal(6, 3)),
        ("Add", normal(3)),
        "Softmax",
    ),
    "no pooling": (convolution(4, 3, strides=(2, 1)), "Tanh", "Flatten", ("Gemm", normal(96, 3)), "Softmax"),
    "perceptron": ("Flatten", ("Gemm", normal(240, 5), normal(5)), "Sigmoid", ("Gemm", normal(5, 3)), "Softmax"),
    "activation last": (convolution(4, 3), ("MaxPool", POOL), "Tanh", "Flatten", ("Gemm", normal(48, 3)), "Softmax"),
    "whole maps": (convolution(4, 3), "Relu", "GlobalAveragePool", "Flatten", ("Gemm", normal(4, 3)), "Softmax"),
    "largest values": (
        convolution(4, 3),
        "Relu",
        "GlobalMaxPool",
        ("Squeeze", np.array([2, 3])),
        ("Gemm", normal(4, 3)),
        "Softmax",
    ),
    "reshaped": (convolution(4, 3), "Relu", ("Reshape", np.array([0, -1])), ("Gemm", normal(192, 3)), "Softmax"),
    "even kernel": (convolution(4, 3, 2, auto_pad="SAME_UPPER"), "Relu", "Flatten", ("Gemm", normal(320, 3)), "Softmax"),
    "reflection": (
        ("Pad", np.array([0, 0, 2, 1, 0, 0, 2, 1]), {"mode": "reflect"}),
        convolution(4, 3),
        "Relu",
        "Flatten",
        ("Gemm", normal(384, 3)),
        "Softmax",
    ),
    "scaled": (
        ("Div", np.float32(255.0)),
        ("Sub", normal(3, 1, 1)),
        ("Mul", normal(1, 3, 1, 1)),
        convolution(4, 3),
        "Relu",
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
    "normalised": (
        convolution(4, 3),
        normalisation(4),
        "Relu",
        ("MaxPool", POOL),
        convolution(5, 4, 2),
        normalisation(5),
        "Relu",
        ("AveragePool", POOL),
        "Flatten",
        ("Gemm", normal(5, 6)),
        normalisation(6),
        "Relu",
        ("Gemm", normal(6, 3)),
        "Softmax",
    ),
    "variances below our epsilon": (
        convolution(4, 3),
        ("BatchNormalization", 1e-3 * normal(4), normal(4), normal(4), np.full(4, 1e-7, np.float32), {"epsilon": 1e-7}),
        "Relu",
        "Flatten",
        ("Gemm", 0.1 * normal(192, 3)),
        "Softmax",
    ),
    "normalised after the maximum": (
        convolution(4, 3),
        ("MaxPool", POOL),
        normalisation(4),
        "Relu",
        "Flatten",
        ("Gemm", normal(48, 3)),
        "Softmax",
    ),
    "partly normalised": (
        convolution(4, 3),
        normalisation(4),
        "Relu",
        ("MaxPool", POOL),
        convolution(5, 4, 2),
        "Relu",
        "Flatten",
        ("Gemm", normal(30, 3)),
        normalisation(3),
        "Softmax",
    ),
    "folded after the maximum": (
        convolution(4, 3),
        ("MaxPool", POOL),
        normalisation(4, np.ones(4, np.float32)),
        "Relu",
        "Flatten",
        ("Gemm", normal(48, 6)),
        "Relu",
        ("Gemm", normal(6, 3)),
        "Softmax",
    ),
    "bias apart": (
        ("Conv", normal(4, 3, 3, 3)),
        ("Add", normal(1, 4, 1, 1)),
        "Relu",
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
    "targets": (
        *FEATURES,
        ("Gemm", normal(5, 2)),
        ("Mul", np.array([2.0, 3.0], np.float32)),
        ("Add", np.array([10.0, 20.0], np.float32)),
    ),
}
LAST = {
    "channels last": (TRANSPOSED, *FEATURES, ("Gemm", normal(5, 4), normal(4)), "Softmax"),
    "channels last throughout": (
        TRANSPOSED,
        convolution(4, 3),
        "Relu",
        ("Transpose", {"perm": (0, 2, 3, 1)}),
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
    "scaled with channels last": (
        ("Sub", normal(3)),
        TRANSPOSED,
        convolution(4, 3),
        "Flatten",
        ("Gemm", normal(192, 3)),
        "Softmax",
    ),
}
