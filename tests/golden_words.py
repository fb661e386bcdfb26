"""What summaries and diagrams say of networks: words, and the numbers in them, so that no change alters one unnoticed.

    python tests/golden_words.py            compare
    python tests/golden_words.py --write    write them down anew; look at a summary and at a diagram of a change first
"""

import re
from pathlib import Path

import golden_plans
from golden import main, plain

from sklearn_cnn._estimator.diagram import drawing
from sklearn_cnn._network.plan import build_plan
from sklearn_cnn._network.summary import comparisons, geometry_warnings, layer_table, summary_text, table_cells

FILE = Path(__file__).with_name("golden_words.json")
NAMES = ("A", "B, normalised", "C", "few filters", "signals", "unshared", "large windows", "averages", "windows of 3 x 3")
NUMBER = re.compile(r"\d+\.\d+(?:e[+-]\d+)?")
CASES = {name: golden_plans.CASES[name] for name in NAMES}


def with_numbers(text):
    """A text without its fractions, and these: the last digit of one is the processor's."""
    return [NUMBER.sub("#", text), [float(number) for number in NUMBER.findall(text)]]


def described(layers, input_shape, _):
    plan = build_plan(layers, input_shape)
    table = layer_table(plan)
    return plain({
        "table": table,
        "cells": table_cells(table, input_shape),
        "summary": summary_text("Network", table, input_shape),
        "comparisons": list(comparisons(table)),
        "warnings": list(map(str, geometry_warnings(plan))),
        "drawing": with_numbers(drawing(table, input_shape)),
    })  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main(__doc__, FILE, {name: described(*network) for name, network in CASES.items()}))
