"""OpenVINO: the network as an ONNX model, compiled for batches of one size."""

import numpy as np
import openvino

from benchmarks.onnx_model import build_model


def prepare(job):
    """Return a function that gives the scores of the rows from start to stop: the bare call of a request.

    It computes in single precision, as the others do, and does not copy the images.
    """
    images = np.ascontiguousarray(job.images.transpose(0, 3, 1, 2))
    core = openvino.Core()
    model = core.read_model(model=build_model(job.network, job.weights))
    model.reshape([job.batch_size, *images.shape[1:]])
    options = {"INFERENCE_NUM_THREADS": job.n_threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda start, stop: request.infer({0: images[start:stop]}, share_inputs=True)[0]
