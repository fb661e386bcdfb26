"""PyTorch: eager on NCHW; eager on channels_last with the fused Adam; compiled by TorchInductor."""

import numpy as np
import torch
from torch import nn

from benchmarks import networks

POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def build_module(network):
    """Build the network as a user would write it."""
    layers = []
    for (_, _, channels, filters), is_pooled in zip(network.convolution_shapes, network.are_pooled, strict=True):
        layers += [nn.Conv2d(channels, filters, network.kernel_size, padding=network.border), nn.ReLU(inplace=True)]
        if is_pooled:
            layers.append(POOLINGS[network.pooling](2))
    layers.append(nn.Flatten())
    for n_inputs, n_units in network.dense_shapes:
        layers += [nn.Linear(n_inputs, n_units), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def load_weights(module, network, weights):
    """Copy the common initial weights into the module."""
    layers = [layer for layer in module if isinstance(layer, nn.Conv2d | nn.Linear)]
    n_blocks = len(network.n_filters)
    for number, (layer, (matrix, bias)) in enumerate(zip(layers, networks.pairs(weights), strict=True)):
        if number < n_blocks:
            matrix = matrix.transpose(3, 2, 0, 1)
        else:
            if number == n_blocks:  # flattened as channels, rows, columns here
                by_place = matrix.reshape(*network.flat_shape, -1)
                matrix = by_place.transpose(2, 0, 1, 3).reshape(matrix.shape)
            matrix = matrix.T
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(matrix)))
            layer.bias.copy_(torch.from_numpy(bias))
    return module


class Images:
    """Hands out batches (n, channels, rows, columns), stored in the order the mode wants."""

    def __init__(self, job):
        self.is_last = job.mode != "eager"
        images = torch.from_numpy(job.images)
        self.images = images if self.is_last else images.permute(0, 3, 1, 2).contiguous()

    def rows(self, rows):
        """Gather the rows of a mini-batch."""
        batch = self.images.index_select(0, rows)
        return batch.permute(0, 3, 1, 2) if self.is_last else batch

    def between(self, start, stop):
        """Return a slice without a copy."""
        batch = self.images[start:stop]
        return batch.permute(0, 3, 1, 2) if self.is_last else batch


def prepare(job):
    """Return the function that does one round."""
    torch.set_num_threads(job.n_threads)
    torch.set_num_interop_threads(1)
    module = load_weights(build_module(job.network), job.network, job.weights)
    if job.mode != "eager":
        module = module.to(memory_format=torch.channels_last)
    return prepare_training(job, module) if job.task == "train" else prepare_prediction(job, module)


def prepare_training(job, module):
    """Return a function that trains one epoch."""
    network = torch.compile(module) if job.mode == "compiled" else module
    loss_function = nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(
        module.parameters(),
        lr=networks.LEARNING_RATE,
        betas=(networks.BETA_1, networks.BETA_2),
        eps=networks.EPSILON,
        # The plain mode is what most programs do; the other two have the faster update as well.
        fused=True if job.mode != "eager" else None,
    )
    images, labels = Images(job), torch.from_numpy(job.labels)

    def epoch():
        total = 0.0
        for rows in job.batches():
            rows = torch.from_numpy(rows)
            loss = loss_function(network(images.rows(rows)), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        return total / job.n_steps

    return epoch


def prepare_prediction(job, module):
    """Return a function that gives the scores of the rows from start to stop."""
    images = Images(job)
    module.eval()
    if job.mode == "compiled":
        module = torch.compile(module)

    def scores(start, stop):
        with torch.inference_mode():
            return module(images.between(start, stop)).numpy()

    return scores
