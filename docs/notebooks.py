"""Pages of the guide as notebooks: prose as Markdown, examples and figures as code that runs."""

import doctest
import json
import re
import textwrap
from pathlib import Path

DIRECTIVE = re.compile(r"^\.\. ([\w-]+)::(.*)\n((?:(?: {3}.*)?\n)*)", re.MULTILINE)
WITHOUT_CODE = {"glossary", "index", "play"}


def write_notebooks(guide, target):
    """Write every page of the guide that has code to a notebook of its name.

    Parameters
    ----------
    guide : path
        Folder of the pages; `drawing.py` stands in the one above.
    target : path
        Folder of the notebooks.
    """
    guide, target = Path(guide), Path(target)
    target.mkdir(parents=True, exist_ok=True)
    drawing = (guide.parent / "drawing.py").read_text(encoding="utf-8")
    for page in guide.glob("*.rst"):
        if page.stem not in WITHOUT_CODE:
            cells = cells_of(page.read_text(encoding="utf-8"), drawing)
            (target / f"{page.stem}.ipynb").write_text(json.dumps(notebook(cells), indent=1), encoding="utf-8")


def notebook(cells):
    """Return a notebook (format 4.5) of pairs of a kind and a text."""
    written = []
    for number, (kind, text) in enumerate(cells):
        cell = {"cell_type": "markdown" if kind == "markdown" else "code", "id": f"cell-{number}", "metadata": {}}
        if kind == "error":
            cell["metadata"]["tags"] = ["raises-exception"]  # shown, and the notebook goes on
        if kind != "markdown":
            cell |= {"execution_count": None, "outputs": []}
        written.append({**cell, "source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def cells_of(text, drawing):
    """Cut a page into cells: pairs of "markdown", "code" or "error" and a text.

    Parameters
    ----------
    text : str
        Of the page, in reStructuredText with doctests.
    drawing : str
        Source of the module that figures of the guide import, put in the place of its import.

    Returns
    -------
    cells : list of (str, str)
        A cell of code ends with the first example that shows something.
    """
    cells, waiting = [], ""
    for piece in doctest.DocTestParser().parse(text):
        if isinstance(piece, doctest.Example):
            waiting += piece.source
            if piece.want:
                cells.append(("error" if piece.exc_msg else "code", waiting))
                waiting = ""
        elif piece.strip():
            if waiting:
                cells.append(("code", waiting))
                waiting = ""
            cells += prose_cells(piece, drawing)
    if waiting:
        cells.append(("code", waiting))
    return [(kind, content.strip("\n")) for kind, content in cells if content.strip()]


def prose_cells(text, drawing):
    """Return cells for what stands between two examples: Markdown, and code for figures."""
    cells, at = [], 0
    for directive in DIRECTIVE.finditer(text):
        cells.append(("markdown", markdown(text[at : directive.start()])))
        name, argument, body = directive.group(1), directive.group(2).strip(), textwrap.dedent(directive.group(3))
        options = re.match(r"(?::[\w-]+:.*\n)*", body).group()
        body = body.removeprefix(options).strip("\n")
        if name == "plot":
            code = re.sub(r"^from drawing import .*$", lambda _: drawing, body, flags=re.MULTILINE)
            if ":context:" not in options:  # a figure with names of its own, which are not those of the page
                code = f"def draw():\n{textwrap.indent(code, '    ')}\n\ndraw()"
            cells.append(("code", code))
        elif name == "math":
            cells.append(("markdown", f"$$ {argument} {body} $$"))
        elif name == "code-block":
            cells.append(("markdown", f"```\n{body}\n```"))
        elif name == "list-table":
            cells.append(("markdown", table(body)))
        elif name == "rubric":
            cells.append(("markdown", f"**{argument}**"))
        at = directive.end()
    cells.append(("markdown", markdown(text[at:])))
    return cells


def table(body):
    """Write the rows of a list-table as a table in Markdown."""
    rows = [re.split(r"\n? {2}- ", f"  - {row}")[1:] for row in re.split(r"^\* - ", body, flags=re.MULTILINE)[1:]]
    lines = ["| " + " | ".join(markdown(" ".join(cell.split())) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def markdown(text):
    """Write paragraphs, titles and roles of reStructuredText in Markdown."""
    text = re.sub(r"^\.\. _[\w-]+:\n", "", text, flags=re.MULTILINE)
    for sign, line in (("#", "="), ("##", "-")):
        text = re.sub(rf"^(.+)\n{line}{{3,}}$", rf"{sign} \1", text, flags=re.MULTILINE)
    text = re.sub(r":\w+:`([^`<]+?) *<[^`>]+>`", r"*\1*", text)
    text = re.sub(r":doc:`/?([^`]+)`", r"*\1*", text)
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).strip("\n")
