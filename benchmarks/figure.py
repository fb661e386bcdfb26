"""Draw the README's figure from stored results: `python -m benchmarks.figure [results.json [figure.svg]]`."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from benchmarks import results
from benchmarks.contenders import OURS

#: Row of the results -> title of its panel; one thread and two stand side by side as two bars of a contender.
PANELS = {
    "train-a/batch=128": "train, 28x28 images, batch 128",
    "train-a/batch=32": "train, 28x28 images, batch 32",
    "train-b/batch=64": "train, 32x32x3 images, batch 64",
    "predict-a/batch=1024": "predict, 28x28 images",
}
OWN_COLOURS, OTHER_COLOURS = ("#f2a65a", "#d9701a"), ("#b8c4d0", "#6f8194")


def speeds(rows, name):
    """Return contender -> {number of threads: images per second}, the fastest first."""
    found = {}
    for n_threads in (1, 2):
        for entrant in rows.get(f"{name}/threads={n_threads}", {}).get("entrants", {}).values():
            if "seconds_per_unit" in entrant and entrant["contender"] != "sklearn_cnn trainer":
                found.setdefault(entrant["contender"], {})[n_threads] = 1 / entrant["seconds_per_unit"]
    return dict(sorted(found.items(), key=lambda item: -max(item[1].values())))


def draw_panel(axes, title, found):
    """Draw one bar per contender and number of threads."""
    height = 0.38
    for place, (contender, of_threads) in enumerate(found.items()):
        colours = OWN_COLOURS if contender == OURS else OTHER_COLOURS
        for n_threads, speed in of_threads.items():
            position = place + (n_threads - 1.5) * height
            axes.barh(position, speed, height, color=colours[n_threads - 1])
            axes.text(speed, position, f" {speed:,.0f}", va="center", fontsize=7)
    axes.set_yticks(range(len(found)), found)
    if OURS in found:
        axes.get_yticklabels()[list(found).index(OURS)].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlim(right=1.18 * max(max(of_threads.values()) for of_threads in found.values()))
    axes.tick_params(labelsize=8, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw(rows):
    """Draw all panels that have results."""
    panels = {title: found for name, title in PANELS.items() if (found := speeds(rows, name))}
    if not panels:
        raise SystemExit("these results have none of the rows that the figure shows")
    n_rows, n_columns = -(-len(panels) // 2), min(2, len(panels))
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(5.5 * n_columns, 3.2 * n_rows), squeeze=False)
    for place, (title, found) in zip(axes.flat, panels.items(), strict=False):
        draw_panel(place, title, found)
    for place in list(axes.flat)[len(panels) :]:
        place.set_visible(False)
    record = next(record for record in rows.values() if "entrants" in record)
    machine = record["machine"]
    figure.suptitle("Images per second, one thread (light) and two (dark)", x=0.01, ha="left", fontsize=12, fontweight="bold")
    note = f"{machine['processor']}, {machine['processors']} processors, {record['measured']}; medians, {record['rounds']} rounds"
    figure.text(0.01, 0.005, note, fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.02, 1, 0.98))
    return figure


def main():
    defaults = [results.DEFAULT, results.FOLDER / "performance.svg"]
    source, target = [Path(argument) for argument in sys.argv[1:3]] + defaults[len(sys.argv[1:3]) :]
    draw(results.read(source)["rows"]).savefig(target, dpi=150)
    print(f"drawn to {target}")


if __name__ == "__main__":
    main()
