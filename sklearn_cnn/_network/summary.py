"""What a network consists of, layer by layer: sizes, parameters, what a unit sees, and which pixels nobody sees.

Everything here is integer arithmetic on a plan. The recursion of receptive fields is that of `geometry.receptive_field`.
"""

import math

from sklearn_cnn._network.geometry import resolve_padding
from sklearn_cnn._network.layers import ConvolutionBlock, DenseLayer, PoolingLayer, sees_all, skipped_pixels

NO_PADDING = ((0, 0), (0, 0))
NORMALISATION = "batch norm"
MOST_STRIDES = 2000  # that are looked at for a remedy, the largest first
MOST_RANGES = 3  # ranges of pixels that a warning lists one by one


def layer_table(plan):
    """Describe each layer of a network; a convolution, the pooling and the normalisation after it are layers of their own.

    Parameters
    ----------
    plan : Plan
        The network.

    Returns
    -------
    table : list of dict
        One row per layer. `ConvNetClassifier.layer_table_` says what the keys mean.
    """
    table = []
    sight = {"receptive_field": (1, 1), "effective_stride": (1, 1), "origin": (0, 0)}
    shape = plan.input_shape
    n_blocks = n_dense = 0
    for number, layer in enumerate(plan.layers):
        if isinstance(layer, ConvolutionBlock):
            rows, sight = _block_rows(layer, sight, shape, plan.map_shapes[number], plan.output_shapes[number])
            table += [{**row, "name": f"block {n_blocks}: {row['name']}"} for row in rows]
            n_blocks += 1
        elif isinstance(layer, PoolingLayer):
            row, sight = _pooling_row(layer, sight, shape, plan.output_shapes[number])
            table.append({**row, "name": f"global {row['name']}"})
        elif isinstance(layer, DenseLayer):
            is_last = number == len(plan.layers) - 1
            table += _dense_rows("output" if is_last else f"dense {n_dense}", layer, plan.input_shape, shape)
            n_dense += 1
        else:
            table.append(_pixelwise_row(plan, number, shape, sight))
        shape = plan.output_shapes[number]
    return table


def _block_rows(layer, sight, shape, map_shape, output_shape):
    """Return the rows of a block in the order in which it is computed, and what its units see."""
    padding = resolve_padding(layer.padding, shape[:2], layer.kernel_size, layer.stride)
    sight = _widened(sight, layer.kernel_size, layer.stride, padding)
    rows = [{
        "name": "convolution" if layer.weight_sharing else "locally connected",
        **_window(layer.kernel_size, layer.stride, shape, padding),
        "output_shape": map_shape,
        **_convolution_parameters(layer, shape, map_shape),
        **sight,
    }]  # fmt: skip
    if layer.batch_norm and layer.pooling != "max":
        rows.append(_normalisation_row(map_shape, sight))
    if layer.pooling is not None:
        row, sight = _pooling_row(layer, sight, map_shape, output_shape)
        rows.append(row)
    if layer.batch_norm and layer.pooling == "max":
        rows.append(_normalisation_row(output_shape, sight))
    return rows, sight


def _pooling_row(layer, sight, shape, output_shape):
    sight = _widened(sight, layer.pool_size, layer.pool_stride, NO_PADDING)
    row = {
        "name": f"{layer.pooling} pooling",
        **_window(layer.pool_size, layer.pool_stride, shape, NO_PADDING),
        "output_shape": output_shape,
        **_parameters(0, 0, 0),
        **sight,
    }
    return row, sight


def _normalisation_row(shape, sight):
    n_parameters = 2 * shape[2]  # gamma and beta
    return {
        "name": NORMALISATION, "window": None, "stride": None, "n_skipped": (0, 0), "output_shape": shape,
        **_parameters(n_parameters, n_parameters, n_parameters), **sight,
    }  # fmt: skip


def _dense_rows(name, layer, input_shape, shape):
    sight = {"receptive_field": input_shape[:2], "effective_stride": None, "origin": (0, 0)}
    output_shape = (1, 1, layer.n_units)
    n_parameters = (math.prod(shape) + (not layer.batch_norm)) * layer.n_units
    row = {
        "name": name, "window": None, "stride": None, "n_skipped": (0, 0), "output_shape": output_shape,
        **_parameters(n_parameters, n_parameters, n_parameters), **sight,
    }  # fmt: skip
    normalisation = _normalisation_row(output_shape, sight)
    return [row, {**normalisation, "name": f"{name}: {NORMALISATION}"}] if layer.batch_norm else [row]


def _pixelwise_row(plan, number, shape, sight):
    """Return the row of any other layer, from the plan: it looks at single pixels, or has to have a function of its own here."""
    kind, output_shape = type(plan.layers[number]).__name__, plan.output_shapes[number]
    if tuple(output_shape[:2]) != tuple(shape[:2]):
        raise NotImplementedError(f"A {kind} changes the size of its input, and layer_table does not know what its units see.")
    n_parameters = sum(math.prod(block.shape) for block in plan.blocks if block.layer == number)
    return {
        "name": kind.removesuffix("Layer").lower(), "window": None, "stride": None, "n_skipped": (0, 0),
        "output_shape": output_shape, **_parameters(n_parameters, n_parameters, n_parameters), **sight,
    }  # fmt: skip


def _window(size, stride, shape, padding):
    axes = zip(shape[:2], size, stride, padding, strict=True)
    return {"window": size, "stride": stride, "n_skipped": tuple(len(_never_seen(*axis)) for axis in axes)}


def _widened(sight, size, stride, padding):
    """Return what a unit sees of the input after one more window."""
    jumps = sight["effective_stride"]
    return {
        "receptive_field": tuple(
            field + (k - 1) * jump for field, k, jump in zip(sight["receptive_field"], size, jumps, strict=True)
        ),
        "effective_stride": tuple(jump * s for jump, s in zip(jumps, stride, strict=True)),
        "origin": tuple(
            origin - before * jump for origin, (before, _), jump in zip(sight["origin"], padding, jumps, strict=True)
        ),
    }


def _convolution_parameters(layer, shape, map_shape):
    n_taps, n_bias = math.prod(layer.kernel_size) * shape[2], not layer.batch_norm  # the mean takes a bias away
    shared = (n_taps + n_bias) * layer.n_filters
    unshared = (n_taps + 1) * layer.n_filters * math.prod(map_shape[:2])  # but not one that differs from place to place
    dense = (math.prod(shape) + n_bias) * math.prod(map_shape)
    return _parameters(shared if layer.weight_sharing else unshared, unshared, dense)


def _parameters(as_built, unshared, dense):
    return {"n_parameters": as_built, "n_parameters_unshared": unshared, "n_parameters_dense": dense}


def block_receptive_field(table):
    """Return the receptive field of a unit after the last block; a network without blocks looks at single pixels."""
    return next((row["receptive_field"] for row in reversed(table) if row["name"].startswith("block")), (1, 1))


def totals(table):
    """Add up the three counts of parameters of a network."""
    names = ("n_parameters", "n_parameters_unshared", "n_parameters_dense")
    return {name: sum(row[name] for row in table) for name in names}


def times(numbers, is_signal):
    """Write a shape; the height of one is left out of signals.

    Examples
    --------
    >>> times((28, 28, 16), False), times((1, 30, 16), True), times(None, False)
    ('28 x 28 x 16', '30 x 16', '')
    """
    return "" if numbers is None else " x ".join(map(str, numbers[1:] if is_signal else numbers))


def table_cells(table, input_shape):
    """Write a layer table: a header, a row for the input, one per layer, and the totals.

    Parameters
    ----------
    table : list of dict
        Made by `layer_table`.
    input_shape : (rows, columns, channels)
        Of the network.

    Returns
    -------
    rows : list of list of str
        All of the same length.
    """
    signal = input_shape[0] == 1
    header = ["layer", "window", "output", "sees", "step", "parameters", "unshared", "as dense"]
    rows = [header, ["input", "", times(input_shape, signal), "", "", "", "", ""]]
    for row in table:
        field, step = row["receptive_field"], row["effective_stride"]
        sees = "everything" if step is None else times(field, signal)
        window = times(row["window"], signal)
        if row["stride"] is not None and set(row["stride"]) != {1}:
            window += " / " + times(row["stride"], signal)
        shape = str(row["output_shape"][-1]) if step is None else times(row["output_shape"], signal)
        counts = [f"{n:,}" if n else "-" for n in _parameter_counts(row)]
        rows.append([row["name"], window, shape, sees, times(step, signal), *counts])
    rows.append(["total", "", "", "", "", *(f"{n:,}" for n in totals(table).values())])
    return rows


def _parameter_counts(row):
    return row["n_parameters"], row["n_parameters_unshared"], row["n_parameters_dense"]


def summary_text(name, table, input_shape, sentences=()):
    """Write a network as a table in plain text.

    Parameters
    ----------
    name : str
        What the network is called.
    table : list of dict
        Made by `layer_table`.
    input_shape : (rows, columns, channels)
        Of the network.
    sentences : sequence of str, default=()
        What else is to be said, below.

    Returns
    -------
    text : str
        Lines without trailing blanks or a final line break.
    """
    cells = table_cells(table, input_shape)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(text.ljust(n) if i < 2 else text.rjust(n) for i, (text, n) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    lines = [name, rule, lines[0], rule, *lines[1:-1], rule, lines[-1], rule, *comparisons(table), *sentences]
    return "\n".join(line.rstrip() for line in lines)


def comparisons(table):
    """Say in sentences what sharing weights saves, and what the network leaves out.

    Parameters
    ----------
    table : list of dict
        Made by `layer_table`.

    Returns
    -------
    sentences : list of str
        What does not apply is left out.
    """
    as_built, unshared, dense = totals(table).values()
    sentences = []
    if any(row["name"].endswith(NORMALISATION) for row in table):
        sentences.append("The activation of a layer that is normalised follows its batch norm.")
    if unshared > as_built:
        sentences.append(f"Without weight sharing there would be {unshared / as_built:,.1f} times as many parameters.")
    if dense > as_built:
        sentences.append(f"With a dense layer in place of each convolution there would be {dense / as_built:,.1f} times as many.")
    for row in table:
        if any(row["n_skipped"]):
            rows, columns = row["n_skipped"]
            words = " and ".join(_count(n, word) for n, word in ((rows, "row"), (columns, "column")) if n)
            sentences.append(f"{row['name']} never sees {words} of its input.")
    return sentences


def _count(n, word):
    return f"{n} {word}{'' if n == 1 else 's'}"


def geometry_warnings(plan):
    """Say of each block whose stride passes over pixels which they are, of each that pools a single pixel that it does.

    A pooling window that is as long as its step, or longer, is left alone: it loses less than a window at the end of an odd
    map, which `summary` tells, and every framework does the same.

    Parameters
    ----------
    plan : Plan
        The network.

    Yields
    ------
    message : str
        One for each block and kind of window.
    """
    shape = plan.input_shape
    for number, layer in enumerate(plan.layers):
        if isinstance(layer, ConvolutionBlock):
            yield from _skipping(number, layer, shape, plan.map_shapes[number])
            yield from _pooling_one_pixel(number, layer, plan)
        shape = plan.output_shapes[number]


def _skipping(block, layer, shape, map_shape):
    rows, columns = shape[:2]
    padding = resolve_padding(layer.padding, (rows, columns), layer.kernel_size, layer.stride)
    pixels = _pixels(shape, layer.kernel_size, layer.stride, padding)
    if pixels:
        yield (
            f"Block {block}: stride={layer.stride} with kernel_size={layer.kernel_size} and padding={layer.padding!r} never sees "
            f"{pixels} of its {rows} x {columns} input. {_remedy(layer, (rows, columns))}"
        )
    if layer.pooling is None or all(step <= n for step, n in zip(layer.pool_stride, layer.pool_size, strict=True)):
        return
    pixels = _pixels(map_shape, layer.pool_size, layer.pool_stride, NO_PADDING)
    if pixels:
        yield (
            f"Block {block}: pool_stride={layer.pool_stride} is longer than pool_size={layer.pool_size} and never sees {pixels} "
            f"of its {map_shape[0]} x {map_shape[1]} map. Use pool_stride=None, or a larger pool_size."
        )


def _pooling_one_pixel(block, layer, plan):
    """Say that pooling has nothing left to pool; of an input of one pixel nobody has to be told."""
    if layer.pooling is not None and tuple(plan.map_shapes[block][:2]) == (1, 1) and tuple(plan.input_shape[:2]) != (1, 1):
        yield (
            f"Block {block}: its map is a single pixel, and pooling={layer.pooling!r} does nothing there: the window is cut to "
            "1 x 1. Use fewer blocks, or less pooling in the blocks before, or pooling=None for this block."
        )


def _remedy(layer, shape):
    """Name the settings that leave no pixel out. A stride of 1 does; of larger ones not all are looked at."""
    largest = min(max(layer.stride) - 1, max(layer.kernel_size))
    strides = [*range(largest, max(largest - MOST_STRIDES, 1), -1), 1]
    ways = [f"stride={next(stride for stride in strides if _sees_all(layer, stride, shape))}"]
    if layer.padding != "same" and all(s <= k for s, k in zip(layer.stride, layer.kernel_size, strict=True)):
        ways.insert(0, "padding='same'")
    if any(s > k for s, k in zip(layer.stride, layer.kernel_size, strict=True)):
        ways.append("a kernel_size of at least the stride")
    return f"Use {' or '.join(ways)} to see all of it."


def _at_most(layer, stride, shape):
    """Return the layer's stride, limited, and the padding that goes with it."""
    limited = tuple(min(s, stride) for s in layer.stride)
    return limited, resolve_padding(layer.padding, shape, layer.kernel_size, limited)


def _sees_all(layer, stride, shape):
    """Say whether the layer with a stride of at most this leaves no pixel out."""
    axes = zip(shape, layer.kernel_size, *_at_most(layer, stride, shape), strict=True)
    return all(sees_all(*axis) for axis in axes)


def _pixels(shape, window, stride, padding):
    """Name the rows and columns that no window covers, "" if there are none."""
    words = ("row", "column") if shape[0] > 1 else ("row", "value")
    axes = zip(words, shape[:2], window, stride, padding, strict=True)
    return " and ".join(_named(word, unseen, length) for word, length, *axis in axes if (unseen := _never_seen(length, *axis)))


def _never_seen(length, window, stride, padding):
    return [] if sees_all(length, window, stride, padding) else skipped_pixels(length, window, stride, padding)


def _named(word, unseen, length):
    """Write pixels as ranges.

    Examples
    --------
    >>> _named("row", [3, 4], 5), _named("column", [7], 8), _named("row", [1, 3, 5, 7, 9], 10)
    ('rows 3 to 4', 'column 7', '5 of 10 rows (1, 3, 5, ...)')
    """
    ranges: list[list[int]] = []
    for pixel in unseen:
        if ranges and ranges[-1][1] == pixel - 1:
            ranges[-1][1] = pixel
        else:
            ranges.append([pixel, pixel])
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in ranges[:MOST_RANGES]]
    if len(ranges) > MOST_RANGES:
        return f"{len(unseen)} of {length} {word}s ({', '.join(texts)}, ...)"
    return f"{word}{'s' if len(unseen) > 1 else ''} {', '.join(texts)}"
