"""Draw the picture on top of README and landing page: `python docs/overview.py` writes docs/_static/overview.png."""

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_cnn import ConvNetClassifier

TARGET = Path(__file__).parent / "_static" / "overview.png"
SHOWN = 4  # kernels and maps


def main():
    """Train, draw and write the picture."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    network = ConvNetClassifier(n_filters=(16, 32), input_shape=(8, 8), activation="relu", batch_norm=False, random_state=0)
    network.fit(X_train, y_train)
    image = X_test[y_test == 3][:1]
    maps, pooled = (network.feature_maps(image, stage=stage)[0] for stage in ("conv", "pool"))
    shown = sorted((-maps.std(axis=(0, 1))).argsort()[:SHOWN])
    figure = plt.figure(figsize=(10, 2.5), layout="constrained", facecolor="white")
    panels = figure.subfigures(1, 5, width_ratios=(1.35, 1, 1, 1, 1.5))
    columns = (network.kernels_[0][:, 0], maps.transpose(2, 0, 1), pooled.transpose(2, 0, 1))
    ax = panels[0].subplots()
    ax.imshow(image.reshape(8, 8), cmap="gray")
    ax.set_axis_off()
    for panel, pictures in zip(panels[1:4], columns, strict=True):
        pictures = pictures[shown]
        for ax, picture in zip(panel.subplots(2, 2).flat, pictures, strict=True):
            ax.imshow(picture, cmap="gray", vmin=min(pictures.min(), 0), vmax=pictures.max())
            ax.set_axis_off()
    ax = panels[4].subplots()
    ax.barh(range(10), network.predict_proba(image)[0], color="#2f6fb5")
    ax.set(yticks=range(10), xlim=(0, 1), xticks=(0, 0.5, 1))
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    titles = ("image", "kernels_", "feature_maps()", "after pooling", "predict_proba()")
    for panel, title in zip(panels, titles, strict=True):
        panel.suptitle(title, fontsize=12)
    figure.savefig(TARGET, dpi=110)


if __name__ == "__main__":
    main()
