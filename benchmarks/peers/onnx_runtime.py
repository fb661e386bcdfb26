"""ONNX Runtime: a session over the network as an ONNX model."""

import numpy as np
import onnxruntime

from benchmarks.onnx_model import build_model


def prepare(job):
    """Return a function that gives the scores of the rows from start to stop: the bare call of a session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.n_threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = build_model(job.network, job.weights)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    images = np.ascontiguousarray(job.images.transpose(0, 3, 1, 2))
    return lambda start, stop: session.run(None, {"images": images[start:stop]})[0]
