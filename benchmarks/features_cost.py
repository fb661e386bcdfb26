"""Print what normalisation, dropout and augmentation add to the time of an epoch: `python -m benchmarks.features_cost`.

The network is B of the other benchmarks: 32x32x3 images, blocks of 32, 64 and 128 filters with maximum pooling, a dense layer
of 128, mini-batches of 100. All variants are trained side by side, each in every round. An epoch is a third of what a fit of
four epochs takes longer than one of a single epoch: so what a fit does once, such as to find the scaling of its input, is not in
it. A ratio is that of an epoch to the plain one of the same round; the table shows the median over the rounds, and their
quartiles. With one thread it is processor time that is measured, which other programs change least; with more it is the time by
the clock, and nothing else may run.

The images are patches of photographs, whose labels can be learnt. With --noise they are random numbers with labels that have
nothing to do with them. There ReLU cuts off more, and the plain network, which leaves out gradients that are zero, has less to
do than on any real images.

With --profile it prints where an epoch's time goes on one thread: the parallel regions of the kernels by the clock, and what is
left.
"""

import argparse
import statistics
import sys
import time
from datetime import date

import numpy as np

PLAIN = "plain"
SIDE, N_CLASSES, BATCH_SIZE = 32, 10, 100


def noise(batch, random_state):
    """What a user's own augmentation does, in NumPy."""
    return batch + random_state.normal(scale=8.0, size=batch.shape)


def unchanged(batch, random_state):
    """Cost of the call alone."""
    return batch


def variants():
    """Return the parameters of each variant, by name; the first is the plain one."""
    from sklearn_cnn import ImageAugmentation

    augment = ImageAugmentation(shift=2, flip="horizontal")
    everything = ImageAugmentation(shift=2, flip="horizontal", rotate=10, zoom=0.1, erase=4, brightness=0.1, contrast=0.1)
    return {
        PLAIN: {},
        "batch_norm": {"batch_norm": True},
        "dropout of dense inputs": {"dropout": 0.3},
        "dropout of maps, too": {"dropout": [0.1, 0.1, 0.1, 0.3, 0.3]},
        "augment: shift, flip": {"augment": augment},
        "augment: all it has": {"augment": everything},
        "augment: a function that changes nothing": {"augment": unchanged},
        "augment: a function that adds noise": {"augment": noise},
        "batch_norm, dropout of dense inputs, shift, flip": {"batch_norm": True, "dropout": 0.3, "augment": augment},
        "the same with dropout of maps": {"batch_norm": True, "dropout": [0.1, 0.1, 0.1, 0.3, 0.3], "augment": augment},
    }


def random_images(n_images):
    """Return images of random numbers, labels that have nothing to do with them, and what they are."""
    X = np.random.default_rng(0).integers(0, 256, (n_images, SIDE, SIDE, 3), dtype=np.uint8)
    return X, np.arange(n_images) % N_CLASSES, "random numbers with labels that have nothing to do with them"


def fits_of(X, y, n_threads, winograd_tile):
    """Return for each variant a function that trains for some epochs."""
    from benchmarks.networks import NETWORKS
    from sklearn_cnn import ConvNetClassifier

    network = NETWORKS["B"]
    common = {
        **network.parameters, "global_pooling": None, "batch_size": BATCH_SIZE, "random_state": 0, "n_jobs": n_threads,
        "learning_rate": "constant", "early_stopping": False, "winograd_tile": winograd_tile,
    }  # fmt: skip

    def fit_of(parameters):
        return lambda n_epochs: ConvNetClassifier(**common | parameters, max_iter=n_epochs).fit(X, y)

    return {name: fit_of(parameters) for name, parameters in variants().items()}


def seconds_of_epoch(fit, now):
    """Return what an epoch takes: three are what four take longer than one."""
    start = now()
    fit(1)
    between = now()
    fit(4)
    return (now() - between - (between - start)) / 3


def seconds_of_rounds(X, y, n_rounds, n_threads, winograd_tile):
    """Return for each variant the seconds of an epoch, round by round, after one round of warming up."""
    now = time.process_time if n_threads == 1 else time.perf_counter
    fits = fits_of(X, y, n_threads, winograd_tile)
    seconds: dict = {name: [] for name in fits}
    for _ in range(1 + n_rounds):
        for name, fit in fits.items():
            seconds[name].append(seconds_of_epoch(fit, now))
    return {name: values[1:] for name, values in seconds.items()}


def print_profile(X, y, winograd_tile):
    """Print for each variant the seconds of an epoch on one thread, by the regions of the kernels that they are spent in."""
    from sklearn_cnn import _kernels

    kernels = _kernels.kernels()

    def regions_of(fit, n_epochs):
        kernels.take_region_times()
        fit(n_epochs)
        return {region: record["seconds"] for region, record in kernels.take_region_times().items()}

    for name, fit in fits_of(X, y, 1, winograd_tile).items():
        fit(1)
        total = seconds_of_epoch(fit, time.perf_counter)
        kernels.time_regions(True)
        one, four = regions_of(fit, 1), regions_of(fit, 4)
        kernels.time_regions(False)
        parts = {region: (seconds - one[region]) / 3 for region, seconds in four.items()}
        parts["else"] = total - sum(parts.values())
        spent = ", ".join(f"{region} {seconds:.3f}" for region, seconds in parts.items() if seconds > 0.01 * total)
        print(f"    {name:50s} {total:7.3f}   {spent}", flush=True)


def main(arguments=None):
    """Measure and print the table."""
    from benchmarks.images import photographs
    from benchmarks.machine import describe, versions

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=2000, help="images of an epoch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--winograd-tile", type=int, default=2, choices=(2, 4), help="of all variants, the plain one included")
    parser.add_argument("--noise", action="store_true", help="train on random numbers")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args(arguments)
    print(f"{describe()['processor']}, {date.today():%d %B %Y}, sklearn_cnn {versions()['sklearn_cnn']}")
    X, y, source = random_images(options.images) if options.noise else photographs(options.images)
    print(source)
    if options.profile:
        print(f"seconds of an epoch of {options.images:,} images on one thread, by the clock, and where they go")
        print_profile(X, y, options.winograd_tile)
        return
    for n_threads in options.threads:
        print(f"threads: {n_threads}; seconds of an epoch of {options.images:,} images, and their ratio to the plain one")
        rounds = seconds_of_rounds(X, y, options.rounds, n_threads, options.winograd_tile)
        for name, seconds in rounds.items():
            ratios = [value / plain for value, plain in zip(seconds, rounds[PLAIN], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
            print(f"    {name:50s} {statistics.median(seconds):7.2f}   {middle:5.2f} ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
