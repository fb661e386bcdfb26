"""
Data larger than memory: learning from a file, chunk by chunk
=============================================================

``partial_fit`` learns from a part of the data at a time. With the data in a file, only the chunk that is being learnt from is
in memory. The operating system says how much that is.
"""

# %%
# A file of images
# ----------------
# Handwritten digits of 8 x 8 pixels, enlarged to 24 x 24 and put somewhere on a black page of 32 x 32. They are drawn and
# written a chunk at a time, so that the file may be as large as the disk. (Here it is small enough to be quick.) The file
# contains nothing but bytes; the labels are few and stay in memory.

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_cnn import ConvNetClassifier

N_CHUNKS, SAMPLES_OF_CHUNK, SIDE = 24, 4000, 32

digits = load_digits()
bright = np.round(digits.images * (255 / 16)).astype(np.uint8).repeat(3, axis=1).repeat(3, axis=2)
images, images_test, labels, labels_test = train_test_split(bright, digits.target, random_state=0)


def on_pages(images, labels, n_samples, random_state):
    """Draw images and put each at a random place of an empty page."""
    drawn = random_state.randint(len(images), size=n_samples)
    pages = np.zeros((n_samples, SIDE, SIDE), dtype=np.uint8)
    side = images.shape[1]
    for page, image, (row, column) in zip(
        pages, images[drawn], random_state.randint(SIDE - side + 1, size=(n_samples, 2)), strict=True
    ):
        page[row : row + side, column : column + side] = image
    return pages, labels[drawn]


random_state = np.random.RandomState(0)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "images.bytes"
y = np.empty((N_CHUNKS, SAMPLES_OF_CHUNK), dtype=np.int64)
with path.open("wb") as file:
    for chunk in range(N_CHUNKS):
        pages, y[chunk] = on_pages(images, labels, SAMPLES_OF_CHUNK, random_state)
        pages.tofile(file)
X_test, y_test = on_pages(images_test, labels_test, 1000, random_state)


# %%
# One chunk at a time
# -------------------
# A chunk is mapped into memory, read in place, and given back: pages of a file count as memory of the process for as
# long as they are mapped. The network turns bytes into numbers one mini-batch at a time, so a chunk is never copied either.
#
# Every ``partial_fit`` is one epoch on its chunk. The learning rate takes ``max_iter`` for the number of epochs: if it is the
# number of chunks, one cycle lasts for one pass through the file.


def read_chunk(chunk):
    """Map one chunk of the file into memory."""
    shape = (SAMPLES_OF_CHUNK, SIDE, SIDE)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=chunk * SAMPLES_OF_CHUNK * SIDE**2, shape=shape)


def peak_memory():
    """Return the most memory that this process has ever had, in megabytes; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, whose `resource` counts the memory of the process that has started this one, too
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    try:
        import resource
    except ImportError:  # on Windows
        return np.nan
    units = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / units


network = ConvNetClassifier(
    n_filters=(8, 16), pool_size=[4, 2], batch_norm=False,
    learning_rate="one_cycle", learning_rate_init=5e-4, max_iter=N_CHUNKS, batch_size=100,
    random_state=0,
)  # fmt: skip
memory, scores = [peak_memory()], []
for chunk in random_state.permutation(N_CHUNKS):
    network.partial_fit(read_chunk(chunk), y[chunk], classes=np.arange(10))
    memory.append(peak_memory())
    scores.append(network.score(X_test, y_test))

size = path.stat().st_size / 1024**2
print(f"{network.t_:,} images, a file of {size:.0f} MB, chunks of {size / N_CHUNKS:.1f} MB")
print(f"peak memory while training: {memory[-1] - memory[0]:.0f} MB more than before")
print(f"accuracy on {len(y_test)} test images: {scores[-1]:.3f}")
folder.cleanup()

# %%
# What was needed
# ---------------

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
read = size / N_CHUNKS * np.arange(N_CHUNKS + 1)
left.plot(read[1:], scores, "o-", markersize=4)
left.set(xlabel="MB read", ylabel="accuracy on test images", ylim=(0, 1))
right.plot(read, read, color="0.6", linestyle="--", label="all that was read")
right.plot(read, np.subtract(memory, memory[0]), "o-", markersize=4, label="peak memory of training")
right.set(xlabel="MB read", ylabel="MB more than before")
right.legend(frameon=False)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Memory rises with the first chunks, to the size of a chunk and of the network's own arrays, and then no more: it does not
# matter how long the file is.
#
# Chunks should be alike. If a file is sorted, by class or by day for example, write it in a random order first: the network
# shuffles within a chunk, but not between chunks.
