"""From real images to a tuned convolutional network, pickled, loaded and used.

``make demo`` runs this file. It needs the package and matplotlib; everything else is ordinary scikit-learn.
"""

import argparse
import pickle
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import datasets
import numpy as np
import pictures
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

import sklearn_cnn
from sklearn_cnn import ConvNetClassifier

HERE = Path(__file__).resolve().parent
WIDTH = 78


def main():
    arguments = parse_arguments()
    started = time.perf_counter()
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    print(f"sklearn_cnn {sklearn_cnn.__version__}: a convolutional network that behaves like any scikit-learn classifier")

    images = datasets.load_images(arguments.data)
    describe(images)
    network = train(images, arguments.epochs)
    draw(network, images, output)

    digits = datasets.digits()
    search = search_architecture(digits)
    print_table(search)
    best = use_best(search, digits)
    pickle_and_check(best, digits, output / "best_model.pickle")

    heading("Done")
    print(f"Everything took {time.perf_counter() - started:.0f} seconds. Look at:")
    for path in sorted(output.iterdir()):
        print(f"  {shortened(path)}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="'digits', or a folder with Fashion-MNIST's four idx files (default: look for it)")
    parser.add_argument("--epochs", type=int, help="epochs of the first training (default: 4 for Fashion-MNIST, 20 for digits)")
    parser.add_argument("--output", default=HERE / "output", help="folder for the model and the pictures")
    return parser.parse_args()


def describe(images):
    """Say what is being learned, and draw one image in characters so that it is seen at once."""
    heading("1  The images")
    rows, columns = images.X_train.shape[1:]
    print(f"{images.name}: {len(images.X_train):,} to learn from, {len(images.X_test):,} held out,")
    print(f"{rows}x{columns} pixels, {len(images.class_names)} classes:")
    print(textwrap.fill(f"{', '.join(images.class_names)}.", WIDTH) + "\n")
    print(f"One of them, {images.class_names[images.y_train[0]]!r}:\n")
    grey = images.X_train[0].astype(float) / images.X_train.max()
    for row in grey[:: max(1, rows // 14)]:
        print("    " + "".join(2 * " .:-=+*#%@"[int(9 * value)] for value in row[:: max(1, columns // 14)]))


def train(images, n_epochs):
    """Train one network and say how well it does on the held-out images."""
    large = len(images.X_train) > 10_000
    network = ConvNetClassifier(
        n_filters=(16, 32),
        kernel_size=5 if large else 3,
        hidden_layer_sizes=(64,) if large else (),
        max_iter=n_epochs or (4 if large else 20),
        batch_size=128 if large else 32,
        early_stopping=False,
        random_state=0,
        verbose=True,
    )
    heading("2  Training a network")
    print("ConvNetClassifier(n_filters=(16, 32), ...).fit(images, labels)\n")
    print("Two blocks of convolution, activation and max pooling, with 16 and 32 filters; one line")
    print("for each time that all images have been seen.\n")
    started = time.perf_counter()
    network.fit(images.X_train, images.y_train)
    seconds = time.perf_counter() - started
    accuracy = network.score(images.X_test, images.y_test)
    print(f"\n{network.n_iter_} epochs in {seconds:.1f} s, {network.n_parameters_:,} parameters.")
    print(f"Accuracy on the {len(images.X_test):,} held-out images: {accuracy:.2%}")
    return network


def draw(network, images, output):
    """Save a picture of the kernels of the first block and one of predictions."""
    pictures.draw_kernels(output / "kernels.png", network.kernels_[0], "Kernels of the first block")
    pictures.draw_predictions(
        output / "predictions.png",
        images.X_test,
        images.y_test,
        network.predict_proba(images.X_test),
        images.class_names,
        "What the network says of images it has never seen",
    )


def search_architecture(digits):
    """Search kernel size, filter count and pooling with GridSearchCV, inside a Pipeline."""
    model = make_pipeline(
        Normalizer(norm="max"),  # the brightest pixel of every image becomes 1
        ConvNetClassifier(input_shape=(8, 8), max_iter=20, batch_size=32, random_state=0),
    )
    grid = {
        "convnetclassifier__kernel_size": [2, 3],
        "convnetclassifier__n_filters": [8, (16, 32)],
        "convnetclassifier__pooling": ["max", "average"],
    }
    search = GridSearchCV(model, grid, cv=3, n_jobs=2)
    heading("3  Searching for a better architecture")
    print("GridSearchCV over a Pipeline, on the handwritten digits: 2 kernel sizes, 2 numbers of")
    print("filters and 2 poolings in 3 folds are 24 networks, 20 epochs each ...", end=" ", flush=True)
    started = time.perf_counter()
    search.fit(flat(digits.X_train), digits.y_train)
    print(f"{time.perf_counter() - started:.1f} s.\n")
    return search


def print_table(search):
    """Print what the search found, best first."""
    results = search.cv_results_
    columns = ("kernel_size", "n_filters", "pooling")
    print("  rank   kernel   filters    pooling    accuracy in 3 folds   seconds a fit")
    print("  " + "-" * (WIDTH - 6))
    for index in np.argsort(results["rank_test_score"], kind="stable"):
        kernel, filters, pooling = (results["params"][index][f"convnetclassifier__{name}"] for name in columns)
        filters = ", ".join(map(str, filters)) if isinstance(filters, tuple) else filters
        accuracy = f"{results['mean_test_score'][index]:.4f} +- {results['std_test_score'][index]:.4f}"
        rank, seconds = results["rank_test_score"][index], results["mean_fit_time"][index]
        print(f"  {rank:>4}   {f'{kernel}x{kernel}':<8} {filters!s:<10} {pooling:<10} {accuracy:<21} {seconds:.2f}")


def use_best(search, digits):
    """Say how well the best network does on the digits that the search has not seen."""
    best = search.best_estimator_
    accuracy = accuracy_score(digits.y_test, best.predict(flat(digits.X_test)))
    print(f"\nThe best of them on the {len(digits.X_test)} digits that the search has not seen: {accuracy:.2%}")
    return best


def pickle_and_check(model, digits, path):
    """Pickle the model, load it in a fresh process and compare every bit of what it predicts."""
    heading("4  Pickling the best one")
    path.write_bytes(pickle.dumps(model))
    print(f"{shortened(path)}: {path.stat().st_size:,} bytes")
    X = flat(digits.X_test)
    with tempfile.TemporaryDirectory() as folder:
        images_file, probabilities_file = Path(folder, "images.npy"), Path(folder, "probabilities.npy")
        np.save(images_file, X)
        script = HERE / "predict_in_fresh_process.py"
        subprocess.run([sys.executable, script, path, images_file, probabilities_file], check=True)
        loaded = np.load(probabilities_file)
    here = model.predict_proba(X)
    if loaded.dtype != here.dtype or loaded.tobytes() != here.tobytes():
        raise SystemExit("The loaded model predicts other numbers: that is a bug, please report it.")
    print(f"Loaded in a fresh process, it predicts the same {here.size:,} probabilities, bit for bit.")


def flat(images):
    """Images as rows of features, the form that every tool of scikit-learn takes."""
    return images.reshape(len(images), -1)


def heading(text):
    print(f"\n{text}\n{'-' * WIDTH}")


def shortened(path):
    """Give the path as seen from here, where that is shorter."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    main()
