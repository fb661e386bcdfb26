"""Values in messages."""

import reprlib

LARGEST_SHOWN_BITS = 1000  # of an integer; Python itself refuses to write very long ones


class _Shown(reprlib.Repr):
    def repr_int(self, x, level):
        if x.bit_length() > LARGEST_SHOWN_BITS:
            return f"an integer of {x.bit_length()} bits"
        return super().repr_int(x, level)


def shown(value):
    """Write any value in a few words, however large or deep it is.

    Examples
    --------
    >>> shown(10**5000), shown([[[[[[[[1]]]]]]]])
    ('an integer of 16610 bits', '[[[[[[[...]]]]]]]')
    """
    return _Shown().repr(value)
