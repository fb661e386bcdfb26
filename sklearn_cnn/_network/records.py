"""Layers become records: sizes, offsets and tables, layer by layer.

Here alone meet a layer's description and what the kernels want to know of it. The fields are those of `records.pxi`.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from sklearn_cnn import _kernels
from sklearn_cnn._network import algorithms
from sklearn_cnn._network.activations import ACTIVATIONS
from sklearn_cnn._network.algorithms import ALIGNMENT, aligned, padded_size
from sklearn_cnn._network.geometry import MOST_RUNS, count_padding_runs, output_length, padding_runs, resolve_padding
from sklearn_cnn._network.layers import (
    ConvolutionBlock,
    DenseLayer,
    NormalisationLayer,
    PoolingLayer,
    parts_of,
)

GROUP_SAMPLES, GROUP_NUMBERS = 8, 8192  # small images taken up together: a group stays in the first-level cache
LARGEST_SIZE = 1 << 40  # numbers of any one array; beyond it an architecture is surely a mistake

_kernel_names = _kernels.kernels()


@dataclass(frozen=True)
class ParameterBlock:
    """Where one layer's "weights" or "bias" stand in the flat vector, and "gamma" and "beta" of its normalisation.

    A layer whose bias its normalisation would take away has one of no numbers. Weights of a convolution have shape (kernel rows,
    kernel columns, channels, filters), those of a locally connected block (map rows, map columns, kernel rows, kernel columns,
    channels, filters), those of a dense layer (inputs, units).
    """

    layer: int
    kind: str
    offset: int
    shape: tuple
    fan_in: int
    fan_out: int


class RecordBuilder:
    """The records of a network in the making.

    Parameters
    ----------
    input_shape : (rows, columns, channels)

    input_gradient : bool
        Whether backward also computes the gradient of the network's input.

    is_local : bool
        Whether any block is locally connected: these take the whole mini-batch at once.
    """

    def __init__(self, input_shape, input_gradient, is_local):
        self.shape = self.input_shape = input_shape
        self.input_gradient, self.is_local = input_gradient, is_local
        self.records, self.runs, self.blocks, self.map_shapes, self.output_shapes = [], [], [], [], []
        self.parameters = 0
        self.statistics, self.statistics_size = [], 0
        self.n_runs = 0
        self.output_at = 0
        self.totals = dict.fromkeys(("kept", "kept_gradients", "positions", "flipped", "transformed", "remembered", "shared"), 0)
        self.totals.update(values=math.prod(input_shape), factors=0, sums=0, in_scratch=0, work=0)
        # scratch: frames whose borders stay zero, and areas that are written before they are read
        self.totals.update(padded=0, frames=0, band=0, d_padded=0, entries=0, panel=0)

    @property
    def n_layers(self):
        """The layers that are complete: the number of the one at hand."""
        return len(self.output_shapes)

    def add(self, layer):
        """Add the records of a layer."""
        first = len(self.records)
        for part in parts_of(layer):
            self._add_part(part)
        record = self.records[first]
        self.map_shapes.append((record["map_rows"], record["map_columns"], record["filters"]))
        self.output_shapes.append(self.shape)

    def _add_part(self, layer):
        record = {name: -1 if name.endswith("_at") else 0 for name in dtype_of("layer").names}
        rows, columns, channels = self.shape
        record.update(rows=rows, columns=columns, channels=channels)
        if self.records and isinstance(layer, (ConvolutionBlock, PoolingLayer)) and not self.is_local:
            record["input_in_scratch"] = self._leave_in_scratch(self.records[-1])
        record["input_at"] = self.output_at
        record["input_gradient_wanted"] = int(bool(self.records) or self.input_gradient)
        if isinstance(layer, DenseLayer):
            self._add_dense(layer, record)
        elif isinstance(layer, ConvolutionBlock):
            self._add_convolution(layer, record)
        else:
            self._add_pixelwise(layer, record)
        self._check_sizes(record)
        self.shape = (record["out_rows"], record["out_columns"], record["filters"])
        self.output_at = self.totals["values"]
        record["output_at"] = self.output_at
        self.totals["values"] += math.prod(self.shape)
        self.records.append(record)

    def _leave_in_scratch(self, record):
        """Keep what a normalisation makes only until the next layer has seen it; gradients change in place. Returns 0 or 1."""
        if record["kind"] != _kernel_names.NORMALISATION:
            return 0
        size = math.prod(self.shape)
        self.totals["values"] -= size
        self._make_room("in_scratch", size)
        record["output_in_scratch"] = 1
        record["output_at"] = self.output_at = record["input_at"]
        return 1

    def _add_dense(self, layer, record):
        n_inputs = math.prod(self.shape)
        record.update(kind=_kernel_names.DENSE, activation=ACTIVATIONS[layer.activation].kernel_name, filters=layer.n_units)
        record.update(map_rows=1, map_columns=1, out_rows=1, out_columns=1)
        self._add_weights(record, (n_inputs, layer.n_units), (layer.n_units,), n_inputs, layer.n_units, not layer.batch_norm)
        self._make_room("panel", layer.n_units * _kernel_names.DENSE_COLUMNS)
        self.totals["work"] += n_inputs * layer.n_units

    def _add_convolution(self, layer, record):
        (kernel_rows, kernel_columns), (rows, columns, channels) = layer.kernel_size, self.shape
        padding = resolve_padding(layer.padding, (rows, columns), layer.kernel_size, layer.stride)
        record.update(activation=ACTIVATIONS[layer.activation].kernel_name, kind=_kernel_names.CONVOLUTION)
        self._add_window(record, layer.kernel_size, layer.stride, padding, layer.n_filters)
        self._add_runs(record, padding, layer.padding_mode)
        self._add_pooling(layer, record)
        record["has_small_map"] = int(layer.weight_sharing and algorithms.has_small_map(record))
        kernel = (kernel_rows, kernel_columns, channels, layer.n_filters)
        map_shape = (record["map_rows"], record["map_columns"])
        self.totals["work"] += math.prod(map_shape) * math.prod(kernel)
        fans = kernel_rows * kernel_columns * channels, kernel_rows * kernel_columns * layer.n_filters
        if layer.weight_sharing:
            self._add_weights(record, kernel, (layer.n_filters,), *fans, not layer.batch_norm)
            self._add_gradients(record)
            self._add_scratch(layer, record)
        else:
            record["kind"] = _kernel_names.LOCAL
            self._add_weights(record, map_shape + kernel, (*map_shape, layer.n_filters), *fans, True)
            self._add_kept(record)
        keeps_map = not layer.weight_sharing or (layer.activation != "identity" and layer.pooling == "average")
        if keeps_map and layer.pooling is not None:
            record["map_at"] = self._take("kept", math.prod(map_shape) * layer.n_filters)
        if record["input_gradient_wanted"]:
            record["flipped_at"] = self._take("flipped", algorithms.flipped_weights(record))

    def _add_window(self, record, kernel_size, stride, padding, filters):
        rows, columns = record["rows"], record["columns"]
        map_rows, map_columns = map(lambda *axis: output_length(*axis)[0], (rows, columns), kernel_size, stride, padding)
        stride = tuple(s if n > 1 else 1 for n, s in zip((map_rows, map_columns), stride, strict=True))  # no step is taken
        record.update(
            kernel_rows=kernel_size[0], kernel_columns=kernel_size[1], stride_rows=stride[0], stride_columns=stride[1],
            padded_rows=rows + sum(padding[0]), padded_columns=columns + sum(padding[1]),
            map_rows=map_rows, map_columns=map_columns, filters=filters, pooling=_kernel_names.NO_POOLING,
            out_rows=map_rows, out_columns=map_columns, pool_rows=1, pool_columns=1, pool_stride_rows=1, pool_stride_columns=1,
        )  # fmt: skip
        if min(map_rows, map_columns) < 1:
            raise ValueError(
                f"Layer {self.n_layers}: kernel_size={tuple(kernel_size)} does not fit its input of {rows} x {columns} "
                f"pixels with padding={padding}; nothing would be left. Use a smaller kernel_size or more padding."
            )

    def _add_runs(self, record, padding, mode):
        # Zero padding takes no gradient: only the image inside the frame is wanted. Copied pixels give theirs back.
        zeros = mode == "zeros"
        record.update(
            crop_row=padding[0][0] if zeros else 0, crop_column=padding[1][0] if zeros else 0,
            crop_rows=record["rows"] if zeros else record["padded_rows"],
            crop_columns=record["columns"] if zeros else record["padded_columns"],
        )  # fmt: skip
        self._check_sizes(record)
        shape = record["rows"], record["columns"]
        if (n_runs := count_padding_runs(shape, padding, mode)) > MOST_RUNS:
            n_bytes = n_runs * dtype_of("run").itemsize
            raise ValueError(
                f"Layer {self.n_layers}: the table of its padding would take {n_bytes} bytes. Use a smaller padding, or "
                "padding_mode='zeros'."
            )
        runs = padding_runs(shape, padding, mode, record["channels"])
        record.update(first_run=self.n_runs, n_runs=len(runs))
        if not self.records:  # the kernels gather the rows of X straight into the padded image
            record["input_is_padded"] = 1
            self.totals["values"] = padded_size(record)
        self.runs.append(runs)
        self.n_runs += len(runs)

    def _add_pooling(self, layer, record):
        if layer.pooling is None:
            return
        record["pooling"] = {"max": _kernel_names.MAXIMUM, "average": _kernel_names.AVERAGE}[layer.pooling]
        record.update(pool_rows=layer.pool_size[0], pool_columns=layer.pool_size[1])
        record.update(pool_stride_rows=layer.pool_stride[0], pool_stride_columns=layer.pool_stride[1])
        record["out_rows"], _ = output_length(record["map_rows"], layer.pool_size[0], layer.pool_stride[0])
        record["out_columns"], _ = output_length(record["map_columns"], layer.pool_size[1], layer.pool_stride[1])
        if min(record["out_rows"], record["out_columns"]) < 1:
            raise ValueError(
                f"Layer {self.n_layers}: pool_size={tuple(layer.pool_size)} does not fit its map of "
                f"{record['map_rows']} x {record['map_columns']} pixels; nothing would be left. Use a smaller pool_size."
            )
        if layer.pooling == "max":
            width = 4 if math.prod(layer.pool_size) > 256 else 1
            n = record["out_rows"] * record["out_columns"] * record["filters"] * width
            record["positions_at"] = self._take("positions", -(-n // 4) * 4)

    def _add_gradients(self, record):
        """A chunk's weight gradient, and the algorithm that computes it."""
        record["group"] = max(1, min(GROUP_SAMPLES, GROUP_NUMBERS // padded_size(record)))
        record["backward"] = algorithms.backward_pass(record)
        record["filters_are_rows"] = int(algorithms.filters_are_rows(record))
        record["n_chunk_weights"] = aligned(record["n_weights"])
        if (tile := algorithms.sums_tile(record))[0]:
            record.update(sums_places=1, n_chunk_weights=algorithms.transformed_weights(record, tile[1]))
            self._make_room("entries", algorithms.summed_tiles(record, tile))
        if record["backward"] == _kernel_names.LISTED:
            record["n_chunk_weights"] = algorithms.listed_weights(record)
            n_pixels = record["out_rows"] * record["out_columns"] * record["group"]
            record["n_entries"] = algorithms.listed_entries(record, n_pixels)
            self._make_room("entries", 2 * record["n_entries"] + n_pixels)
        record["chunk_at"] = self._take("shared", record["n_chunk_weights"] + aligned(record["filters"]))

    def _add_scratch(self, layer, record):
        """Areas of one thread for a convolution: the padded image and the map's gradient in a frame of zeros."""
        lead_rows = lead_columns = 0
        rows, columns = record["map_rows"], record["map_columns"]
        tile = record["gradient_side"], record["gradient_places"] = algorithms.gradient_tile(record, layer.winograd_tile)
        if algorithms.sees_border(record, tile):
            lead_rows = -(-record["kernel_rows"] // record["stride_rows"]) - 1
            lead_columns = -(-record["kernel_columns"] // record["stride_columns"]) - 1
            rows = max(rows, (record["crop_row"] + record["crop_rows"] - 1) // record["stride_rows"] + 1)
            columns = max(columns, (record["crop_column"] + record["crop_columns"] - 1) // record["stride_columns"] + 1)
        record.update(lead_rows=lead_rows, lead_columns=lead_columns)
        record.update(gradient_rows=rows + lead_rows, gradient_columns=columns + lead_columns)
        self._add_band(layer, record)
        in_groups = record["backward"] == _kernel_names.LISTED or record["transformed_at"] >= 0
        padded = padded_size(record) * (record["group"] if in_groups else 1)
        if not record["input_is_padded"] and (in_groups or not record["has_small_map"]):  # a small map's image stays in place
            record["n_padded"] = aligned(padded) + ALIGNMENT  # a vector may read beyond the last patch
            record["padded_at"] = self._take("padded", record["n_padded"])
        record["gradient_group"] = algorithms.gradient_group(record)
        if record["backward"] == _kernel_names.WHOLE_MAP or tile[0]:
            record["n_frame"] = algorithms.frame_numbers(record)
            record["frame_at"] = self._take("frames", record["n_frame"])
        if tile[0]:
            self._make_room("entries", algorithms.transformed_tiles(record, tile, record["crop_columns"]))
        else:
            self._add_gradient_planes(record)
        if algorithms.folds_back(record) or record["backward"] == _kernel_names.LISTED:
            self._make_room("d_padded", aligned(padded) + ALIGNMENT)

    def _add_gradient_planes(self, record):
        columns, channels, filters = (record[name] for name in ("gradient_columns", "channels", "filters"))
        shape = record["crop_rows"], record["crop_columns"]
        whole = record["input_gradient_wanted"] and record["backward"] == _kernel_names.WHOLE_MAP
        first = algorithms.first_in_planes(record, filters, channels, shape, columns)
        if whole and first < channels:
            n_rows, size = algorithms.plane_of(record, shape[0], columns, filters)
            record.update(gradient_planes_rows=n_rows, gradient_planes_size=size, gradient_planes_first=first)
            self._make_room("entries", size * (channels - first + filters))

    def _add_band(self, layer, record):
        """Where a map stands until it is pooled, and what the algorithm that computes it takes."""
        rows, columns, channels, filters = (record[name] for name in ("map_rows", "map_columns", "channels", "filters"))
        pooled_map = rows * columns * filters if record["pooling"] else 0  # else the map is the output
        band = (rows if record["has_small_map"] else record["pool_rows"]) * columns * filters if record["pooling"] else 0
        first = algorithms.first_in_planes(record, channels, filters, (rows, columns), record["padded_columns"])
        tile = record["tile_side"], record["tile_places"] = algorithms.forward_tile(record, layer.winograd_tile)
        if tile[0]:
            record["transformed_at"] = self._take("transformed", algorithms.transformed_weights(record, tile[1]))
            record["remembered_at"] = self._take("remembered", aligned(record["n_weights"]))
            record["n_band"] = algorithms.transformed_tiles(record, tile, columns)
            band = record["n_band"] + record["group"] * pooled_map
        elif first < filters:
            record["planes_rows"], record["planes_size"] = algorithms.plane_of(record, rows, record["padded_columns"], channels)
            record["planes_first"] = first
            record["n_band"] = record["planes_size"] * (channels + filters - first)
            band = record["n_band"] + pooled_map
        self._make_room("band", band)

    def _add_kept(self, record):
        """Areas of the mini-batch for a locally connected block."""
        padded = padded_size(record)
        if not record["input_is_padded"]:
            record["kept_padded_at"] = self._take("kept", padded)
        n_map = record["map_rows"] * record["map_columns"] * record["filters"]
        record["kept_gradient_at"] = self._take("kept_gradients", n_map)
        record["kept_padded_gradient_at"] = self._take("kept_gradients", padded)

    def _make_room(self, area, n):
        """See that an area that layers share, one after another, has room for so many numbers."""
        self.totals[area] = max(self.totals[area], n)

    def _take(self, area, n):
        at = self.totals[area]
        self.totals[area] += n
        return at

    def _add_weights(self, record, weights_shape, bias_shape, fan_in, fan_out, has_bias):
        record["weights_at"], record["n_weights"] = self._add_block("weights", weights_shape, fan_in, fan_out)
        if has_bias:
            record["bias_at"], record["n_bias"] = self._add_block("bias", bias_shape, fan_in, fan_out)
        else:  # in its place stand zeros, for the kernels begin their sums with something
            record["bias_at"], _ = self._add_block("bias", (0,), fan_in, fan_out)
            self.parameters += aligned(math.prod(bias_shape))

    def _add_pixelwise(self, layer, record):
        """What takes the pixels of its input as they are: pooling alone, a normalisation, dropout."""
        self._add_window(record, (1, 1), (1, 1), ((0, 0), (0, 0)), record["channels"])
        if isinstance(layer, PoolingLayer):
            self._add_pooling(layer, record)
            record["kind"] = _kernel_names.POOLING
            return
        if isinstance(layer, NormalisationLayer):
            self._add_normalisation(layer, record)
        else:
            threshold = min(round(layer.rate * 2**32), 2**32 - 1)
            record.update(kind=_kernel_names.DROPOUT, threshold=threshold, drops_maps=int(layer.whole_maps))

    def _add_normalisation(self, layer, record):
        n_filters = record["filters"]
        record.update(kind=_kernel_names.NORMALISATION, activation=ACTIVATIONS[layer.activation].kernel_name)
        record["gamma_at"], _ = self._add_block("gamma", (n_filters,), 1, 1)
        record["bias_at"], record["n_bias"] = self._add_block("beta", (n_filters,), 1, 1)
        record["statistics_at"] = self.statistics_size
        self.statistics.append((self.n_layers, self.statistics_size, self.statistics_size + aligned(n_filters), n_filters))
        self.statistics_size += 2 * aligned(n_filters)
        record["factors_at"] = self._take("factors", 5 * aligned(n_filters))
        self._make_room("sums", ALIGNMENT + 3 * aligned(n_filters))

    def _add_block(self, kind, shape, fan_in, fan_out):
        """Append a block to the parameters; returns its offset and size."""
        offset, size = self.parameters, math.prod(shape)
        self.blocks.append(ParameterBlock(self.n_layers, kind, offset, shape, fan_in, fan_out))
        self.parameters += aligned(size)
        return offset, size

    def _check_sizes(self, record):
        sizes = {
            "weights": record["n_weights"],
            "padded input": padded_size(record),
            "feature map": record["map_rows"] * record["map_columns"] * record["filters"],
        }
        for name, size in sizes.items():
            if size > LARGEST_SIZE:
                raise ValueError(
                    f"Layer {self.n_layers}: its {name} would take {4 * size} bytes. Use a smaller n_filters, "
                    "kernel_size, padding or hidden_layer_sizes."
                )

    def finish(self):
        """Return the fields of a `Plan`, but for its layers."""
        records = np.array([tuple(record.values()) for record in self.records], dtype=dtype_of("layer"))
        runs = np.concatenate([np.empty((0, 3), dtype=np.int64), *self.runs])
        for array in (records, runs):
            array.flags.writeable = False
        return {
            "input_shape": self.input_shape, "blocks": tuple(self.blocks), "map_shapes": tuple(self.map_shapes),
            "output_shapes": tuple(self.output_shapes), "n_inputs": math.prod(self.input_shape),
            "n_outputs": math.prod(self.shape), "n_parameters": sum(math.prod(block.shape) for block in self.blocks),
            "parameter_size": self.parameters, "statistics": tuple(self.statistics),
            "statistics_size": self.statistics_size, "records": records,
            "runs": np.ascontiguousarray(runs).view(dtype_of("run")).reshape(-1), "totals": self.totals,
        }  # fmt: skip


@cache
def dtype_of(record):
    """Return the dtype of a "layer", a "run" or an "arena", as the kernels know them; reading one takes a millisecond.

    A field of a record inside it has both names: rows of the kernel are "kernel_rows".
    """
    return np.dtype(list(_flat_fields(np.asarray(getattr(_kernel_names, f"{record}_format")()).dtype)))


def _flat_fields(dtype):
    for name, (field, _) in dtype.fields.items():
        if field.names:
            yield from ((f"{name}_{inner}", kind) for inner, kind in _flat_fields(field))
        else:
            yield name, field
