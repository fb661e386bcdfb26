"""What the documents promise: their examples run, and the commands that they name exist."""

import ast
import doctest
import importlib
import inspect
import json
import os
import pkgutil
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.exceptions import NotFittedError

import sklearn_cnn.functional
import sklearn_cnn.inspection
from sklearn_cnn._estimator.docstrings import section_entries

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(ROOT.glob("*.md"))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def short(path):
    return path.relative_to(ROOT).as_posix()


def python_blocks(path):
    """The Python blocks of a Markdown file, with the line that each starts on."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start(1)) + 1, match.group(1)


# Not the compiled ones: importing a level that this processor cannot run would end the process.
MODULES = [module.name for module in pkgutil.walk_packages(sklearn_cnn.__path__, "sklearn_cnn.")]
MODULES = [name for name in MODULES if not name.startswith("sklearn_cnn._kernels.")]
PUBLIC_CLASSES = [name for name in sklearn_cnn.__all__ if inspect.isclass(getattr(sklearn_cnn, name))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_python_in_documents_runs(path, tmp_path, monkeypatch):
    """Blocks of one document share their names, as they do for somebody who types them in one after the other."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for line, block in python_blocks(path):
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, names, short(path), str(path), line)
            # the parser works on a copy, and later blocks need the names
            test.globs = names
            runner = doctest.DocTestRunner(optionflags=OPTIONS)
            runner.run(test, clear_globs=False)
            assert runner.failures == 0, f"the example in {short(path)}, line {line}, prints something else"
        else:
            exec(compile("\n" * (line - 1) + block, str(path), "exec"), names)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert result.failed == 0


@pytest.mark.parametrize("name", PUBLIC_CLASSES)
def test_examples_of_public_classes_run(name, tmp_path, monkeypatch):
    """Their code stands in another module than the one that their name says."""
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in doctest.DocTestFinder().find(getattr(sklearn_cnn, name), name, module=False, globs={}):
        runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


def test_every_public_object_has_an_example():
    for name in sklearn_cnn.__all__:
        public = getattr(sklearn_cnn, name)
        if callable(public):
            assert ">>>" in (public.__doc__ or ""), f"sklearn_cnn.{name} has no example in its docstring"


@pytest.mark.parametrize("estimator", [sklearn_cnn.ConvNetClassifier, sklearn_cnn.ConvNetRegressor])
def test_every_parameter_has_an_entry_of_its_own(estimator):
    """The table of parameters in a notebook looks them up by name."""
    entries = section_entries(inspect.cleandoc(estimator.__doc__), "Parameters", "\n")
    assert [entry.split(" : ")[0] for entry in entries] == list(inspect.signature(estimator).parameters)
    assert all(len(entry.split("\n", 1)[1].strip()) > 10 for entry in entries)


TEACHING = sorted(path for folder in ("docs", "docs/guide", "examples", "demo") for path in (ROOT / folder).glob("*.[rp][sy]*"))


@pytest.mark.parametrize("path", [*DOCUMENTS, *TEACHING], ids=short)
def test_nobody_is_taught_to_watch_training_with_test_images(path):
    assert not re.search(r"X_val=\w*test", path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("downloads")
    runpy.run_path(str(ROOT / "docs" / "standalone.py"))["write_standalone"](ROOT / "examples", folder)
    return folder


def test_downloaded_examples_stand_alone(downloads):
    neighbours = {path.stem for path in (ROOT / "examples").glob("*.py")}
    programs = sorted(downloads.glob("*.py"))
    assert {path.stem for path in programs} == neighbours - {"images"}
    for path in programs:
        nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "names")]
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {getattr(node, "module", None) or node.names[0].name for node in imports}
        assert not {name.split(".")[0] for name in names} & neighbours, path.name
        original = (ROOT / "examples" / path.name).read_text(encoding="utf-8")
        assert ("from images import" in original) == ("def load_images" in path.read_text(encoding="utf-8"))


def test_a_downloaded_example_reads_its_images(downloads, tmp_path):
    """Its imports and functions run in an empty folder."""
    tree = ast.parse((downloads / "plot_stride.py").read_text(encoding="utf-8"))
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    tree.body = [node for node in tree.body if isinstance(node, kinds) or ast.unparse(node).startswith("FOLDER =")]
    program = ast.unparse(tree) + "\nX, y, *_ = load_images()\nassert len(draw_samples(X, y, 7, 0)[0]) == 7"
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "MPLBACKEND": "agg"}
    result = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_commands_in_documents_exist(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(
        re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)(?=[`\s])", "".join(re.findall(r"`[^`]+`", path.read_text(encoding="utf-8"))))
    )
    assert named <= targets, f"{short(path)} names {sorted(named - targets)}"


def anchors(path):
    """The anchors that GitHub gives to the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*DOCUMENTS, *sorted((ROOT / "benchmarks").rglob("*.md"))], ids=short)
def test_links_inside_the_project_lead_somewhere(path):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            file = path.parent / target if target else path
            assert file.exists(), f"{short(path)} links to {target}"
            assert not anchor or anchor in anchors(file), f"{short(path)} links to {target}#{anchor}"


PAGES = sorted([*(ROOT / "docs").glob("[!s]*.rst"), *(ROOT / "docs" / "guide").glob("*.rst")])  # no sg_execution_times


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_links_that_sphinx_does_not_know_lead_somewhere(path):
    for target in re.findall(r'(?:href|src)="([^"]+)"', path.read_text(encoding="utf-8")):
        assert (path.parent / target).resolve().is_file(), f"{short(path)} links to {target}"


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_figures_have_a_text_in_place_of_them(path):
    figures = r"^ *\.\. (plot|image|figure)::[^\n]*\n((?: +:[^\n]*\n)*)"
    for directive, options in re.findall(figures, path.read_text(encoding="utf-8"), re.MULTILINE):
        assert ":alt:" in options, f"a {directive} in {short(path)} has no :alt:"


def test_every_statement_of_the_lecture_has_a_call_a_page_and_an_exercise():
    guide = ROOT / "docs" / "guide"
    lecture, exercises = ((guide / f"{name}.rst").read_text(encoding="utf-8") for name in ("lecture", "exercises"))
    statements = re.findall(r"^def test_(\d\d)_", (ROOT / "tests" / "test_lecture.py").read_text(encoding="utf-8"), re.MULTILINE)
    rows = re.findall(r"^   \* - (\d+)" + r"\n     - (.+)" * 4, lecture, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(map(int, statements))
    estimator = sklearn_cnn.ConvNetClassifier
    attributes = re.findall(r"^ *(\w+_) :", estimator.__doc__, re.MULTILINE)
    known = {*dir(sklearn_cnn.functional), *inspect.signature(estimator).parameters, *dir(estimator), *attributes}
    for number, _, calls, pages, exercise in rows:
        names = set(re.findall(r"`([a-z]\w+)", calls))
        assert names <= known, f"row {number} names {sorted(names - known)}"
        for page in re.findall(r"<([^>/]+)>", pages):
            assert (guide / f"{page}.rst").exists()
        assert f"<exercise-{number}>" in exercise
        assert f".. _exercise-{number}:\n" in exercises


def test_every_display_has_a_picture_on_its_page():
    pictures = runpy.run_path(str(ROOT / "docs" / "displays.py"))["PICTURES"]
    assert sorted(pictures) == sorted(sklearn_cnn.inspection.__all__)


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    runpy.run_path(str(ROOT / "docs" / "notebooks.py"))["write_notebooks"](ROOT / "docs" / "guide", folder)
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.ipynb")}


def test_every_page_of_the_guide_with_code_is_a_notebook(notebooks):
    with_code = {path.stem for path in PAGES if path.parent.name == "guide" and "\n>>> " in path.read_text(encoding="utf-8")}
    assert set(notebooks) == with_code
    for content in notebooks.values():
        assert content["nbformat"] == 4
        kinds = [cell["cell_type"] for cell in content["cells"]]
        assert kinds.count("code") > 1
        assert kinds.count("markdown") > 1
        prose = "".join("".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "markdown")
        assert prose.startswith("# ")
        assert not re.search(r">>> |^\.\. |:\w+:`|^(===|---)", prose, re.MULTILINE)


@pytest.mark.parametrize("name", ["convolution", "errors", "sizes"])
def test_a_notebook_runs(notebooks, name, tmp_path, monkeypatch):
    """All of its cells, figures included, from an empty folder."""
    monkeypatch.chdir(tmp_path)
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    names = {"__name__": "__main__"}
    for cell in notebooks[name]["cells"]:
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), f"{name}, {cell['id']}", "exec")
            if "raises-exception" in cell["metadata"].get("tags", ()):
                with pytest.raises((ValueError, NotFittedError)):
                    exec(code, names)
            else:
                exec(code, names)
    pyplot.close("all")
