"""A short form of `python tests/fuzz_onnx.py`."""

import pytest
from children import fuzz

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import fuzz_onnx

SEED, N_CASES = 0, 500


def test_whatever_stands_in_an_onnx_model_is_refused_or_read():
    counts, failures = fuzz(fuzz_onnx.__file__, SEED, N_CASES)
    assert not failures, "\n".join(failures)
    assert counts.total() == N_CASES
    assert counts["refused"] > N_CASES / 3
    assert counts["ran, as in ONNX Runtime"] > N_CASES / 20
