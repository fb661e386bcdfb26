"""A short form of `python tests/fuzz_onnx.py`."""

import pytest
from children import all_hold

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import fuzz_onnx

SEED, N_CASES = 0, 500


def test_whatever_stands_in_an_onnx_model_is_refused_or_read():
    counts = all_hold(fuzz_onnx.__file__, SEED, N_CASES)
    assert counts["refused"] > N_CASES / 3
    assert counts["ran, as in ONNX Runtime"] > N_CASES / 20
