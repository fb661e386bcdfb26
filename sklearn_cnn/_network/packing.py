"""Layers as plain tuples, as a fitted state keeps them, and back: whatever the tuples hold, only layers come out of them."""

from dataclasses import fields
from typing import get_type_hints

from sklearn_cnn._network.activations import ACTIVATIONS
from sklearn_cnn._network.geometry import PADDING_MODES
from sklearn_cnn._network.layers import LAYERS, DenseLayer

# Of anything that a layer counts: indices in the kernels and in NumPy's random streams are safe below it, and no real
# network comes near.
LARGEST_SIZE = 2**31 - 1
LAYER_TYPES = {layer_type.__name__: layer_type for layer_type in LAYERS}


def is_size(value, low=1):
    """Say whether a value is a plain integer that a layer may have."""
    return type(value) is int and low <= value <= LARGEST_SIZE


def is_pair(value, accepts=is_size):
    """Say whether a value is a tuple of two things that are accepted."""
    return type(value) is tuple and len(value) == 2 and all(map(accepts, value))


def is_number_of_pixels(value):
    """Say whether a value may be the padding of one side."""
    return is_size(value, 0)


def is_padding(value):
    """Say whether a value is any of the forms that `ConvolutionBlock` takes."""
    if isinstance(value, str):
        return value in ("same", "valid")
    return is_pair(value, is_number_of_pixels) or is_pair(value, lambda sides: is_pair(sides, is_number_of_pixels))


#: Field of a layer -> what it may be, beside its type.
FIELDS = {
    **dict.fromkeys(("n_filters", "n_units"), is_size),
    **dict.fromkeys(("kernel_size", "stride", "pool_size", "pool_stride"), is_pair),
    "padding": is_padding,
    "padding_mode": PADDING_MODES.__contains__,
    "pooling": (None, "max", "average").__contains__,
    "activation": ACTIVATIONS.__contains__,
    **dict.fromkeys(("weight_sharing", "batch_norm"), lambda value: type(value) is bool),
    "winograd_tile": (2, 4).__contains__,
}


def pack_layers(layers):
    """Describe layers by plain tuples, ``(type name, ((field, value), ...))`` each.

    Parameters
    ----------
    layers : sequence of ConvolutionBlock, PoolingLayer and DenseLayer
        The network.

    Returns
    -------
    records : tuple
        Hashable, and made of nothing but tuples, strings and numbers.
    """
    return tuple(
        (type(layer).__name__, tuple((field.name, getattr(layer, field.name)) for field in fields(layer))) for layer in layers
    )


def unpack_layers(records):
    """Build the layers that `pack_layers` has described.

    Parameters
    ----------
    records : object
        Anything. A field that an earlier version did not have yet may be missing.

    Returns
    -------
    layers : tuple of layers
        The last one is dense and has neither activation nor normalisation.

    Raises
    ------
    ValueError
        If `pack_layers` cannot have made this; the message names layer and field.

    Examples
    --------
    >>> unpack_layers(pack_layers((DenseLayer(3),)))
    (DenseLayer(n_units=3, activation='identity', batch_norm=False),)
    >>> unpack_layers((("DenseLayer", (("n_units", 0),)),))
    Traceback (most recent call last):
        ...
    ValueError: layer 0: n_units is not valid.
    """
    if type(records) is not tuple:
        raise ValueError("layers are a tuple.")
    layers = tuple(unpack_layer(number, record) for number, record in enumerate(records))
    if not layers or layers[-1] != DenseLayer(getattr(layers[-1], "n_units", 0)):
        raise ValueError("the last layer is dense, without activation and normalisation.")
    return layers


def unpack_layer(number, record):
    """Build one layer; its number is for the message."""
    if not is_pair(record, lambda part: type(part) in (str, tuple)) or record[0] not in LAYER_TYPES:
        raise ValueError(f"layer {number}: there is no such layer.")
    layer_type, values = LAYER_TYPES[record[0]], record[1]
    if type(values) is not tuple or not all(is_pair(value, lambda part: True) and type(value[0]) is str for value in values):
        raise ValueError(f"layer {number}: its fields are no pairs of a name and a value.")
    types = get_type_hints(layer_type)
    for name, value in values:
        if name not in types or not isinstance(value, types[name]) or not FIELDS[name](value):
            raise ValueError(f"layer {number}: {name} is not valid.")
    try:
        return layer_type(**dict(values))
    except TypeError as error:
        raise ValueError(f"layer {number}: a field is missing.") from error
