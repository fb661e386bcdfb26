"""Layers as data, the plan that the kernels walk, and one parameter vector. Knows the kernels, and nothing of training data."""
