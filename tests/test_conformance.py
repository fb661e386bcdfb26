"""Other people's answers: the backend cases of the ONNX project."""

import importlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the cases are in the package onnx, which the extra 'test' brings")

from onnx_operators import OPERATORS, Outside, run_model  # noqa: E402

NODE_MODULES = [
    "conv", "convtranspose", "maxpool", "averagepool", "pad", "col2im", "gemm", "relu", "tanh", "sigmoid", "softmax",
    "logsoftmax", "softmax_cross_entropy_loss", "batch_normalization",
]  # fmt: skip

# These have to run: nothing about them is outside the interface.
REQUIRED = [
    "basic_conv_with_padding", "basic_conv_without_padding", "conv_with_autopad_same", "conv_with_strides_no_padding",
    "conv_with_strides_padding", "conv_with_strides_and_asymmetric_padding", "maxpool_2d_default", "maxpool_2d_pads",
    "maxpool_2d_strides", "maxpool_2d_same_lower", "maxpool_2d_same_upper", "maxpool_2d_precomputed_pads",
    "maxpool_2d_precomputed_strides", "maxpool_2d_precomputed_same_upper", "maxpool_with_argmax_2d_precomputed_pads",
    "maxpool_1d_default", "averagepool_2d_default", "averagepool_2d_pads", "averagepool_2d_pads_count_include_pad",
    "averagepool_2d_strides", "averagepool_2d_precomputed_pads", "averagepool_2d_precomputed_pads_count_include_pad",
    "averagepool_2d_precomputed_strides", "averagepool_2d_precomputed_same_upper", "averagepool_1d_default",
    "convtranspose", "convtranspose_pads", "convtranspose_kernel_shape", "convtranspose_1d", "col2im", "col2im_pads",
    "col2im_strides", "constant_pad", "constant_pad_axes", "constant_pad_negative_axes", "reflect_pad", "relu", "tanh",
    "tanh_example", "sigmoid", "sigmoid_example", "gemm_default_zero_bias", "gemm_default_no_bias",
    "gemm_default_scalar_bias", "gemm_default_single_elem_vector_bias", "gemm_default_vector_bias", "gemm_transposeA",
    "gemm_transposeB", "gemm_alpha", "gemm_beta", "gemm_all_attributes", "softmax_example", "softmax_axis_0",
    "softmax_axis_1", "softmax_axis_2", "softmax_default_axis", "softmax_negative_axis", "softmax_large_number",
    "logsoftmax_example_1", "logsoftmax_axis_0", "logsoftmax_axis_1", "logsoftmax_axis_2", "logsoftmax_default_axis",
    "logsoftmax_negative_axis", "logsoftmax_large_number", "sce_mean", "sce_mean_log_prob", "sce_mean_no_weight_ii",
    "sce_mean_no_weight_ii_log_prob", "sce_mean_weight", "sce_mean_weight_log_prob", "sce_mean_weight_ii",
    "sce_mean_weight_ii_log_prob", "sce_none", "sce_none_log_prob", "sce_none_weights", "sce_none_weights_log_prob",
    "sce_sum", "sce_sum_log_prob", "batchnorm_example", "batchnorm_epsilon",
]  # fmt: skip

# Directories of models that were converted from PyTorch, in onnx/backend/test/data.
FILES = {
    "pytorch-converted": [
        "Conv2d", "Conv2d_no_bias", "Conv2d_padding", "Conv2d_strided", "Conv1d", "Conv1d_pad1", "Conv1d_pad1size1",
        "Conv1d_pad2", "Conv1d_pad2size1", "Conv1d_stride", "MaxPool2d", "MaxPool1d", "MaxPool1d_stride", "AvgPool2d",
        "AvgPool2d_stride", "AvgPool1d", "AvgPool1d_stride", "ConvTranspose2d", "ConvTranspose2d_no_bias",
        "ReflectionPad2d", "ZeroPad2d", "ConstantPad2d", "Linear", "Linear_no_bias", "ReLU", "Tanh", "Sigmoid",
        "Softmax", "LogSoftmax", "softmax_lastdim", "softmax_functional_dim3", "log_softmax_lastdim", "log_softmax_dim3",
    ],
    "pytorch-operator": ["operator_conv", "operator_maxpool"],
}  # fmt: skip


@lru_cache(maxsize=1)
def node_cases():
    """Name -> (model, inputs, outputs) of every case for one of our operators, as this version of onnx has them.

    The cases "..._expanded" are left out: they hold the same numbers, for a graph that spells the operator out in others.
    """
    node = importlib.import_module("onnx.backend.test.case.node")
    for name in NODE_MODULES:
        importlib.import_module(f"onnx.backend.test.case.node.{name}")
    return {
        case.name.removeprefix("test_"): (case.model, *case.data_sets[0])
        for case in node._NodeTestCases
        if case.model.graph.node[0].op_type in OPERATORS and len(case.model.graph.node) == 1
    }


def assert_conforms(model, inputs, expected):
    outputs = run_model(model, [np.asarray(array) for array in inputs])
    assert len(outputs) == len(expected)
    for output, answer in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, np.asarray(answer), rtol=1e-5, atol=1e-7)
        assert np.shape(output) == np.shape(answer)


def test_required_cases_are_there():
    assert set(REQUIRED) <= set(node_cases())


@pytest.mark.parametrize("name", sorted(node_cases()))
def test_onnx_operator(name):
    try:
        assert_conforms(*node_cases()[name])
    except Outside as reason:
        if name in REQUIRED:
            raise
        pytest.skip(str(reason))


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder, names in FILES.items() for name in names])
def test_onnx_model_converted_from_pytorch(folder, name):
    case = Path(onnx.__file__).parent / "backend/test/data" / folder / f"test_{name}"
    data = case / "test_data_set_0"

    def arrays(kind):
        paths = sorted(data.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
        return [onnx.numpy_helper.to_array(onnx.load_tensor(path)) for path in paths]

    assert_conforms(onnx.load(case / "model.onnx"), arrays("input"), arrays("output"))
