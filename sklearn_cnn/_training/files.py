"""Files that are either there as a whole or not at all, and that are known to be what was written."""

import hashlib
import os
import pickle

# What every file begins with; the number changes with what may follow it.
MAGIC = b"sklearn_cnn checkpoint 3\n"
DIGEST_SIZE = 32


def write_whole(path, content):
    """Put plain Python and arrays into a file, in one step: whoever is killed on the way leaves the file of before.

    Parameters
    ----------
    path : str
        The file, replaced if it is there. ``path + ".tmp"`` is made beside it on the way.
    content : object
        To be pickled.
    """
    payload = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    with open(f"{path}.tmp", "wb") as file:
        file.write(MAGIC + hashlib.blake2b(payload, digest_size=DIGEST_SIZE).digest())
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.tmp", path)
    if os.name != "nt":  # Windows does not open folders
        folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_whole(path):
    """Return what `write_whole` has put into a file; None if there is no file.

    Raises
    ------
    ValueError
        If the file is not, to the last bit, what was written.
    """
    try:
        with open(path, "rb") as file:
            magic, digest, payload = file.read(len(MAGIC)), file.read(DIGEST_SIZE), file.read()
    except FileNotFoundError:
        return None
    if magic != MAGIC:
        raise ValueError(f"{path} is no checkpoint that this version of sklearn_cnn reads. Name another file, or delete it.")
    if hashlib.blake2b(payload, digest_size=DIGEST_SIZE).digest() != digest:
        raise ValueError(f"The checkpoint {path} is damaged. Put a whole copy in its place, or delete it to begin anew.")
    return pickle.loads(payload)
