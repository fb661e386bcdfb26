"""Arrays that stand between two pages that nobody may touch: a read or write outside them ends the process.

No import of the package here, so that a process that is to end ends soon."""

import ctypes
import mmap
from functools import cache

import numpy as np

SIDES = np.random.default_rng(0)


@cache
def c_library():
    return ctypes.CDLL(None, use_errno=True)


def forbid(address):
    """Let nobody touch the page that an address is in."""
    page = mmap.PAGESIZE
    if c_library().mprotect(ctypes.c_void_p(address // page * page), ctypes.c_size_t(page), 0) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")


def between_fences(n_bytes, ends_at_one=None):
    """Return uninitialised bytes between two pages without access, beside the one or the other."""
    page = mmap.PAGESIZE
    n_pages = -(-max(1, n_bytes) // page)
    block = mmap.mmap(-1, (n_pages + 2) * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    for fence in (address, address + (n_pages + 1) * page):
        forbid(fence)
    ends_at_one = SIDES.random() < 0.5 if ends_at_one is None else ends_at_one
    start = n_pages * page - n_bytes if ends_at_one else 0
    return np.frombuffer(block, dtype=np.uint8, count=n_bytes, offset=page + start)


def fenced(array):
    """Return a copy of an array between fences."""
    array = np.asarray(array)
    copy = between_fences(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
