"""Print how long an epoch takes with colour photographs of 28 to 224 pixels: `python -m benchmarks.photograph_sizes`.

The network is written out, so that the numbers do not move with a default: blocks of 3x3 kernels with 16, 32, 64, 128 and 128
filters, each halving the image, until about seven pixels are left, then the mean of every map. Images are random bytes, since
the time does not depend on what they show. What is measured is processor time of one thread; the fastest epoch is the one that
other programs have disturbed least.
"""

import argparse
import statistics
import time
from datetime import date

import numpy as np

SIDES = (28, 32, 48, 64, 96, 128, 160, 224)
FILTERS = (16, 32, 64, 128, 128)
SMALLEST_MAP = 7
IMAGES_OF_EPOCH = 10_000


def filters_for(side):
    """Return the filters of as many blocks as leave `SMALLEST_MAP` pixels, and at least two."""
    depth = 2
    while depth < len(FILTERS) and side >> (depth + 1) >= SMALLEST_MAP:
        depth += 1
    return FILTERS[:depth]


def seconds_of_epochs(side, n_images, n_epochs):
    """Return the processor time in seconds of each epoch after the first."""
    from sklearn_cnn import ConvNetClassifier

    random = np.random.default_rng(0)
    X = random.integers(0, 256, (n_images, side, side, 3), dtype=np.uint8)
    y = np.arange(n_images) % 10
    network = ConvNetClassifier(
        n_filters=filters_for(side), kernel_size=3, pooling="max", batch_norm=True, global_pooling="average", batch_size=32,
        random_state=0, n_jobs=1,
    )  # fmt: skip
    seconds = []
    for _ in range(1 + n_epochs):
        start = time.process_time()
        network.partial_fit(X, y, classes=np.arange(10))
        seconds.append(time.process_time() - start)
    return seconds[1:]


def main(arguments=None):
    from benchmarks.machine import describe, versions

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--images", type=int, default=320, help="images of a measured epoch; the table is for 10,000")
    parser.add_argument("--epochs", type=int, default=9, help="measured epochs, after one of warming up")
    options = parser.parse_args(arguments)
    machine = describe()
    print(f"{machine['processor']}, one thread, {date.today():%d %B %Y}, sklearn_cnn {versions()['sklearn_cnn']}")
    print("pixels     filters                seconds per epoch of 10,000 images (median)   MB of images")
    for side in options.sides:
        seconds = seconds_of_epochs(side, options.images, options.epochs)
        least, median = (IMAGES_OF_EPOCH / options.images * f(seconds) for f in (min, statistics.median))
        megabytes = IMAGES_OF_EPOCH * side * side * 3 / 1e6
        filters = ", ".join(map(str, filters_for(side)))
        print(f"{side:3} x {side:<3}  {filters:22} {least:8.1f} ({median:.1f}) {megabytes:36,.0f}", flush=True)


if __name__ == "__main__":
    main()
