"""The network in an estimator's HTML representation: a drawing to scale and the table of layers.

Two public protocols of notebooks, ``_repr_html_`` and ``_repr_mimebundle_``, exist in every version of scikit-learn. From
version 1.7 an estimator's table of parameters is HTML too, also where the estimator is a step of a pipeline or of a search;
there the network joins the table, and the two protocols have nothing left to add.
"""

import html
import math
from contextlib import suppress
from functools import partial
from inspect import isfunction

from sklearn.base import BaseEstimator

from sklearn_cnn._estimator.automatic import plain_dropout
from sklearn_cnn._estimator.parameters import is_one_of, plain
from sklearn_cnn._estimator.state import HISTORY, READ, check_entries, fitted_plan
from sklearn_cnn._network.summary import NORMALISATION, comparisons, layer_table, table_cells, times
from sklearn_cnn._network.trainer import FULL_BATCH_SOLVERS
from sklearn_cnn._training.schedules import resolve_schedule

MARK = "sklearn-cnn-network"

STYLE = f"""<style>
.{MARK} {{ font-size: 0.85rem; line-height: 1.4; overflow-x: auto; padding: 0.3rem 0.5rem; text-align: left;
  max-width: calc(100vw - 2.5rem); box-sizing: border-box; }}
.{MARK} summary {{ cursor: pointer; }}
.{MARK} svg {{ display: block; margin: 0.6rem 0; max-width: none; }}
.{MARK} table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 0.2rem 0; }}
.{MARK} th, .{MARK} td {{ padding: 0.15rem 0.6rem; text-align: right; white-space: nowrap; border: 0; background: none; }}
.{MARK} tr > :first-child {{ text-align: left; }}
.{MARK} thead th {{ font-weight: 600; border-bottom: 1px solid currentColor; }}
.{MARK} tr:last-child td {{ border-top: 1px solid currentColor; font-weight: 600; }}
.{MARK} p {{ margin: 0.2rem 0.6rem; max-width: 45rem; white-space: normal; }}
</style>"""

#: What the headings of the table mean.
TERMS = (
    "sees: the rows x columns of the input that a unit depends on. step: how far apart in the input two neighbouring units "
    "look. unshared: parameters with weights of its own at each place. as dense: parameters of a dense layer in its place."
)

COLOURS = {"input": "#8a8a8a", "convolution": "#3b78b5", "locally": "#7b57a8", "pooling": "#d98a29", "dense": "#4f9a5b"}
HIGHEST, NARROWEST, STEP, SKEW = 84, 6, 112, 0.28


class NetworkDiagram(BaseEstimator):
    """Adds the fitted network to an estimator's HTML representation."""

    @property
    def _repr_html_(self):
        show = super()._repr_html_  # raises AttributeError where scikit-learn is configured to show text
        return lambda: self._with_network(show())

    @property
    def _repr_mimebundle_(self):
        show = super()._repr_mimebundle_  # as above
        return lambda **kwargs: {
            kind: self._with_network(text) if kind == "text/html" else text for kind, text in show(**kwargs).items()
        }

    def _get_params_html(self, *args, **kwargs):
        # scikit-learn >= 1.7 calls this for every estimator it draws, a step of a pipeline included. It is no public protocol:
        # where it has changed, what scikit-learn shows is left as it is
        parameters = super()._get_params_html(*args, **kwargs)
        show = getattr(parameters, "_repr_html_inner", None)
        if callable(show):
            with suppress(AttributeError):  # of an object that takes no new attribute
                parameters._repr_html_inner = partial(self._show_with_network, show)
        return parameters

    def _show_with_network(self, show, *args, **kwargs):
        text = show(*args, **kwargs)
        return text + network_html(self) if isinstance(text, str) else text

    def _with_network(self, text):
        return text if MARK in text else text + network_html(self)


def network_html(estimator):
    """Draw the fitted network of an estimator.

    Parameters
    ----------
    estimator : BaseConvNet
        Where it is not fitted, or has been tampered with, there is nothing to draw.

    Returns
    -------
    text : str
        HTML that stands on its own.
    """
    fitted = vars(estimator).get("_fitted")
    try:
        plan = None if fitted is None else fitted_plan(fitted)
        training = "" if plan is None else training_sentence(estimator)
    except ValueError:
        plan = None
    if plan is None:
        return ""
    table = layer_table(plan)
    sentences = *comparisons(table), training, TERMS
    header, *rows = table_cells(table, plan.input_shape)
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    notes = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    return (
        f'{STYLE}<div class="{MARK}"><details open><summary>Network: {plan.n_parameters:,} parameters</summary>'
        f"{drawing(table, plan.input_shape)}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"
        "</details></div>"
    )


def training_sentence(estimator):
    """Name the parameters of training that are at work.

    Parameters
    ----------
    estimator : BaseConvNet
        Fitted.

    Returns
    -------
    sentence : str
        The values are those of the estimator; "auto" is what it stood for in the last fit.
    """
    fitted = vars(estimator)["_fitted"]
    check_entries(fitted, {"solver": READ["solver"], "history": {"epoch_of_cycle": HISTORY["epoch_of_cycle"]}}, None)
    settings = {"solver": fitted["solver"]}
    if fitted["solver"] not in FULL_BATCH_SOLVERS:  # which has no rate, and refuses dropout and augmentation
        has_end = fitted["history"]["epoch_of_cycle"] > 0
        is_automatic = is_one_of(estimator.learning_rate, ("auto",))
        settings["learning_rate"] = resolve_schedule("auto", has_end) if is_automatic else estimator.learning_rate
        settings |= {"dropout": plain_dropout(estimator), "augment": estimator.augment}
    settings["label_smoothing"] = plain(getattr(estimator, "label_smoothing", 0.0))
    texts = [f"{name}={_in_one_line(value)}" for name, value in settings.items() if not _does_nothing(value)]
    return f"Parameters of training: {', '.join(texts)}."


def _does_nothing(value):
    return value is None or value == 0.0 or (isinstance(value, list | tuple) and not any(value))


def _in_one_line(value):
    """Write a value of a parameter; a function is known by its name, because its address is another in every process."""
    return value.__name__ if isfunction(value) else " ".join(repr(value).split())


def drawing(table, input_shape):
    """Draw the maps of a network as boxes: a side goes with the square root of the pixels, the depth with the channels.

    Parameters
    ----------
    table : list of dict
        Made by `layer_table`.
    input_shape : (rows, columns, channels)
        Of the network.

    Returns
    -------
    svg : str
        An SVG element.
    """
    signal = input_shape[0] == 1
    boxes_of = [("input", input_shape, "")]
    for row in table:
        if row["name"].endswith(NORMALISATION):  # it leaves the shape as it is, so it is a word below its box
            boxes_of[-1] = *boxes_of[-1][:2], NORMALISATION
        else:
            boxes_of.append((row["name"], row["output_shape"], ""))
    scale = HIGHEST / math.sqrt(max(max(shape[:2]) for _, shape, _ in boxes_of))
    boxes = "".join(_box(number, *box, scale, signal) for number, box in enumerate(boxes_of))
    width, height = STEP * len(boxes_of) + 20, HIGHEST + 80 + 15 * any(note for *_, note in boxes_of)
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Drawing of the network" font-size="11" fill="currentColor">{boxes}</svg>'
    )


def _box(number, name, shape, note, scale, signal):
    rows, columns, channels = shape
    kind = next((kind for kind in COLOURS if kind in name), "dense")
    depth = NARROWEST + 5 * math.log2(max(1, channels))
    if kind == "dense":  # a column of units
        front, side, depth = 10.0, min(HIGHEST, NARROWEST + 12 * math.log2(1 + channels)), 4.0
        label = str(channels)
    else:
        front, side = max(4.0, scale * math.sqrt(columns)), max(4.0, scale * math.sqrt(rows))
        front, label = front * 0.5, times(shape, signal)
    middle, bottom = STEP * number + STEP / 2, (HIGHEST + side) / 2 + 50
    left, top = middle - (front + depth) / 2, bottom - side
    lift = depth * SKEW
    colour = COLOURS[kind]
    upper = f"{left},{top} {left + depth},{top - lift} {left + depth + front},{top - lift} {left + front},{top}"
    right = (
        f"{left + front},{top} {left + front + depth},{top - lift} {left + front + depth},{bottom - lift} {left + front},{bottom}"
    )
    words = name.removeprefix(f"{name.split(':')[0]}: ")
    block = name.split(":")[0] if ":" in name else ""
    return (
        f'<polygon points="{upper}" fill="{colour}" fill-opacity="0.55"/><polygon points="{right}" fill="{colour}" '
        f'fill-opacity="0.8"/><rect x="{left}" y="{top}" width="{front}" height="{side}" fill="{colour}"/>'
        f'<text x="{middle}" y="12" text-anchor="middle" fill-opacity="0.65">{html.escape(block)}</text>'
        f'<text x="{middle}" y="26" text-anchor="middle">{html.escape(words)}</text>'
        f'<text x="{middle}" y="{HIGHEST + 70}" text-anchor="middle">{label.replace(" x ", "&times;")}</text>'
        + (f'<text x="{middle}" y="{HIGHEST + 85}" text-anchor="middle" fill-opacity="0.65">{note}</text>' if note else "")
    )
