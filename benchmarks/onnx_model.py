"""A network written down node by node, for the peers that read ONNX models."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks import networks


def build_model(network, weights):
    """Return the bytes of the network as an ONNX model; images enter as (n, channels, rows, columns)."""
    nodes, constants, value = [], [], "images"
    n_blocks = len(network.n_filters)

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(operator, inputs, **attributes):
        name = f"value_{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    for number, (matrix, bias) in enumerate(networks.pairs(weights)):
        if number < n_blocks:
            kernels = constant(f"kernels_{number}", matrix.transpose(3, 2, 0, 1))
            border = [network.border] * 4
            value = node("Conv", [value, kernels, constant(f"bias_{number}", bias)], pads=border)
            value = node("Relu", [value])
            if network.are_pooled[number]:
                value = node("MaxPool", [value], kernel_shape=[2, 2], strides=[2, 2])
            continue
        if number == n_blocks:
            value = node("Flatten", [value])
            matrix = matrix.reshape(*network.flat_shape, -1).transpose(2, 0, 1, 3).reshape(matrix.shape)
        value = node("Gemm", [value, constant(f"matrix_{number}", matrix), constant(f"bias_{number}", bias)])
        if number < n_blocks + len(network.hidden_layer_sizes):
            value = node("Relu", [value])
    rows, columns, channels = network.input_shape
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", channels, rows, columns])
    scores = helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", network.n_outputs])
    graph = helper.make_graph(nodes, "network", [images], [scores], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()
