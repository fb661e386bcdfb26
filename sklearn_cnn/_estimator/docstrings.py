"""Docstrings of the estimators: what several have in common is written once, in the class that they share."""

import inspect
import re

#: Section -> what stands between two entries.
SHARED_SECTIONS = {"Parameters": "\n", "Attributes": "\n", "References": "\n\n"}


def completed(estimator_class):
    """Add to the docstring of an estimator what its base class says of parameters, attributes and references.

    Parameters
    ----------
    estimator_class : type
        Its docstring has the sections "Parameters", "Attributes" and "References", each with what is its own alone, and so has
        that of its last base class. Parameters are put in the order of its signature.

    Returns
    -------
    estimator_class : type
        The same.
    """
    if estimator_class.__doc__ is None:  # docstrings are stripped by python -OO
        return estimator_class
    text, shared = inspect.cleandoc(estimator_class.__doc__), inspect.cleandoc(estimator_class.__bases__[-1].__doc__)
    order = list(inspect.signature(estimator_class).parameters)
    for section, separator in SHARED_SECTIONS.items():
        entries = [*section_entries(text, section, separator), *section_entries(shared, section, separator)]
        if section == "Parameters":
            entries.sort(key=lambda entry: order.index(entry.split(" : ")[0]))
        start, end = section_span(text, section)
        text = text[:start] + separator.join(entries) + text[end:]
    estimator_class.__doc__ = text
    return estimator_class


def section_span(text, section):
    """Return where the entries of a section begin and end in a docstring without indentation."""
    found = re.search(rf"^{section}\n-+\n(.*?)(?=\n\n\w[^\n]*\n---|\Z)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"the docstring has no section {section!r}")
    return found.span(1)


def section_entries(text, section, separator):
    r"""Return the entries of a section: its paragraphs, or each line that is not indented with the indented ones below it.

    Examples
    --------
    >>> section_entries("Parameters\n----------\na : int\n    The first.\nb : int\n    The second.", "Parameters", "\n")
    ['a : int\n    The first.', 'b : int\n    The second.']
    """
    start, end = section_span(text, section)
    return re.split(rf"{separator}(?=\S)", text[start:end])
