"""Programs of the gallery as they are downloaded: each alone, with what they import from their neighbour put in its place."""

import re
from pathlib import Path


def standalone(program, neighbour):
    """Put the code of `images.py` in the place of its import.

    Parameters
    ----------
    program : str
        Source of an example.
    neighbour : str
        Source of `images.py`, which begins with a docstring.

    Returns
    -------
    program : str
        It imports nothing that is not installed.
    """
    code = re.sub(r'\A""".*?"""\n', "", neighbour, flags=re.DOTALL).strip()
    return re.sub(r"^from images import [^\n]*$", lambda _: code, program, flags=re.MULTILINE)


def write_standalone(source, target):
    """Write the examples of one folder to another, each standing alone; what has not changed keeps its time."""
    source, target = Path(source), Path(target)
    target.mkdir(parents=True, exist_ok=True)
    neighbour = (source / "images.py").read_text(encoding="utf-8")
    paths = [path for path in source.glob("*.py") if path.name != "images.py"]
    programs = {path.name: standalone(path.read_text(encoding="utf-8"), neighbour) for path in paths}
    texts = {"README.rst": (source / "README.rst").read_text(encoding="utf-8"), **programs}
    for path in target.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = target / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
