"""The operations of a convolutional network on NumPy arrays, one call each, on the kernels that training uses.

Batches of images are ``(n, rows, columns, channels)``, kernels ``(n_filters, channels, kernel rows, kernel columns)``
as in ``ConvNetClassifier.kernels_``, PyTorch and ONNX. ``stride`` and ``padding`` take one integer for both axes or a
pair (rows, columns); ``padding`` also ``((top, bottom), (left, right))``, "same" and "valid".

Numbers: float32 and float64 arrays are computed in their own type and give it back. Where arguments differ, float64
wins. Integers, booleans and float16 follow the other arguments: with float32 they are float32, without any float they
become float64 (float16 alone becomes float32). Complex numbers, strings and objects are refused with a TypeError.

Every function accepts an empty batch (n = 0). An image, a kernel or a window without pixels is a ValueError.

Examples
--------
The patch of an image and the kernel that looks for a vertical edge:

>>> import numpy as np
>>> from sklearn_cnn.functional import cross_correlate
>>> x = np.array([[200.0, 150, 150], [100, 50, 100], [25, 25, 10]])
>>> kernel = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
>>> cross_correlate(x, kernel)
array([[65.]])
"""

from sklearn_cnn.functional._convolution import conv2d, conv2d_backward, local2d, local2d_backward
from sklearn_cnn.functional._padding import col2im, im2col, pad
from sklearn_cnn.functional._pooling import (
    average_pool2d,
    average_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from sklearn_cnn.functional._signals import convolve, cross_correlate, flip_kernel
from sklearn_cnn.functional._sizes import output_shape, parameter_count, receptive_field

__all__ = [
    "average_pool2d",
    "average_pool2d_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "convolve",
    "cross_correlate",
    "flip_kernel",
    "im2col",
    "local2d",
    "local2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "output_shape",
    "pad",
    "parameter_count",
    "receptive_field",
]
