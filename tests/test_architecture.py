"""The wings of the package: imports go one way, and nothing is imported that a plain installation does not bring.

The wings are those of ``ARCHITECTURE.md``: the tables here are its import diagram, and a test says so.
"""

import ast
import graphlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sklearn_cnn"
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

# Wing -> the wings it may import from. Whoever is not named here is a face: what users import, and nobody below imports back.
WINGS = {
    "_onnx": ("_estimator", "_network", "_kernels"),
    "_estimator": ("_training", "_network", "_kernels", "_version"),
    "_training": ("_network",),
    "_network": ("_kernels",),
    "_kernels": (),
    "_version": (),
}
# Face -> what it may import from. The functional interface runs the kernels without knowing that estimators exist.
FACES = {
    "_augmentation": ("_estimator",),
    "_checkpoint": ("_estimator",),
    "_classifier": ("_onnx", "_estimator"),
    "_regressor": ("_onnx", "_estimator", "_training"),
    "_transformer": ("_onnx", "_estimator"),
    "functional": ("_network", "_kernels"),
    "inspection": ("_estimator",),
    "onnx": ("_classifier", "_regressor", "_onnx", "_network", "_version"),
    "_show_versions": ("_kernels",),
    "__init__": ("_augmentation", "_checkpoint", "_classifier", "_regressor", "_show_versions", "_transformer", "_version"),
}
ALLOWED = {**WINGS, **FACES}

# The guide is 300 lines; where a file passes the ceiling, it has become two things and has to be cut. What a Python file says
# in its docstrings is the reference that users read: it is as long as there are parameters, and does not count.
MAXIMUM_LINES = {".py": 350}
MAXIMUM_LINES_OF_OTHERS = 400
MAXIMUM_LINES_OF = {"fit": 20, "fit_network": 20, "prepare_fit": 30, "run_fit": 30}

# What a distribution is called where it is required, and what it is called where it is imported.
IMPORT_NAMES = {"scikit-learn": "sklearn"}

PYTHON_FILES = sorted(path for path in PACKAGE.rglob("*.py*") if path.suffix in {".py", ".pyi"})
SOURCE_FILES = sorted(
    path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h"}
)


def short(path):
    return path.relative_to(ROOT).as_posix()


def module_of(path):
    """The name under sklearn_cnn that a file belongs to: a module of its own, or the folder that it is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(path.suffix)


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def import_nodes(tree, *, inside_functions):
    """Every import statement that runs; those for the type checker alone do not."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        for child in ast.iter_child_nodes(node):
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if is_type_checking(child) or (is_function and not inside_functions):
                continue
            waiting.append(child)


def imported_names(path, *, inside_functions=True):
    """Every dotted name that a file imports; ``from a.b import c`` counts as ``a.b.c``."""
    for node in import_nodes(ast.parse(path.read_text(encoding="utf-8")), inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{short(path)}:{node.lineno}: a relative import; write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path):
    """The modules under sklearn_cnn that a file imports; the package itself counts as ``__init__``."""
    for name in imported_names(path):
        parts = name.split(".")
        if parts[0] == "sklearn_cnn":
            yield parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "__init__"


def declared_dependencies():
    """What may be imported at module level: the standard library and the requirements of a plain installation."""
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.match(r"[A-Za-z0-9_.-]+", requirement).group() for requirement in requirements}
    return {IMPORT_NAMES.get(name, name) for name in names} | set(sys.stdlib_module_names) | {"sklearn_cnn"}


@pytest.mark.parametrize("path", PYTHON_FILES, ids=short)
def test_every_module_has_a_place(path):
    assert module_of(path) in ALLOWED, (
        f"{short(path)} has no place: put it into a wing, or give a new face its row in {Path(__file__).name} and ARCHITECTURE.md"
    )


@pytest.mark.parametrize("path", PYTHON_FILES, ids=short)
def test_imports_go_one_way(path):
    module = module_of(path)
    forbidden = set(own_imports(path)) - {module, *ALLOWED[module]}
    assert not forbidden, f"{short(path)} imports from {sorted(forbidden)}; {module} may import from {ALLOWED[module]} only"


def test_no_allowance_is_unused():
    """The table is the import diagram: an arrow in it that no import needs would be a way back in."""
    used = {module: set() for module in ALLOWED}
    for path in PYTHON_FILES:
        used[module_of(path)] |= set(own_imports(path)) - {module_of(path)}
    unused = {module: sorted(set(allowed) - used[module]) for module, allowed in ALLOWED.items() if set(allowed) - used[module]}
    assert not unused


def test_the_wings_form_no_cycle():
    graphlib.TopologicalSorter(ALLOWED).prepare()  # raises CycleError, which names the cycle


def table_of_imports():
    """The table of ARCHITECTURE.md: module -> the wings that it may import from."""
    table = {}
    lines = ARCHITECTURE.split("| from | may import |\n", 1)[1].splitlines()
    for line in lines[1 : lines.index("")]:
        modules, allowed = (re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|"))
        table |= {module: set(allowed) for module in modules}
    return table


def test_the_map_has_the_same_table():
    assert table_of_imports() == {module: set(allowed) for module, allowed in ALLOWED.items() if allowed and module != "__init__"}


@pytest.mark.parametrize("path", [path for path in SOURCE_FILES if path.stem != "__init__"], ids=short)
def test_every_module_is_on_the_map(path):
    """Python modules in the drawing, beside the name of their wing; files of the compiled floor in its table."""
    if path.suffix in {".pyx", ".pxi", ".h"}:
        assert f"`{path.name}`" in ARCHITECTURE
        return
    drawing = ARCHITECTURE.split("```")[1]
    rows = re.split(r"\n (?=\S)", drawing)
    place = module_of(path)
    row = next((row for row in rows if row.strip().startswith(f"{place}/ ")), next(row for row in rows if "faces " in row))
    if place in ("_kernels", "_version", "functional", "inspection"):  # whose modules the drawing does not name
        assert f"{place}/" in drawing or place == "_version"
    else:
        assert path.stem in row.split(), f"ARCHITECTURE.md does not name {path.stem} where it draws {place}"


@pytest.mark.parametrize("wing", sorted(WINGS))
def test_no_import_cycles_inside_a_wing(wing):
    graph = {}
    for path in PYTHON_FILES:
        if module_of(path) == wing and path.suffix == ".py":
            names = {name for name in imported_names(path) if name.startswith(f"sklearn_cnn.{wing}.")}
            graph[path.stem] = {name.split(".")[2] for name in names} - {path.stem}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", [path for path in PYTHON_FILES if module_of(path) == "_network"], ids=short)
def test_only_the_records_of_a_plan_know_both_layers_and_kernels(path):
    names = set(imported_names(path))
    knows_layers = any(name.startswith("sklearn_cnn._network.layers") for name in names)
    knows_kernels = any(name.startswith("sklearn_cnn._kernels") for name in names)
    assert not (knows_layers and knows_kernels) or path.stem in ("records", "network")


@pytest.mark.parametrize("path", PYTHON_FILES, ids=short)
def test_no_optional_imports_at_module_level(path):
    top_level = {name.split(".")[0] for name in imported_names(path, inside_functions=False)}
    undeclared = top_level - declared_dependencies()
    assert not undeclared, (
        f"{short(path)} imports {sorted(undeclared)}: no dependency of the package, so import it where it is used"
    )


@pytest.mark.parametrize("path", PYTHON_FILES, ids=short)
def test_only_public_parts_of_scikit_learn(path):
    private = {
        name
        for name in imported_names(path)
        if name.split(".")[0] == "sklearn"
        and any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
    }
    assert not private, f"{short(path)} imports {sorted(private)}, which the next release of scikit-learn may move"


@pytest.mark.parametrize("path", SOURCE_FILES, ids=short)
def test_files_stay_short(path):
    text = path.read_text(encoding="utf-8")
    n_lines = len(text.splitlines()) - (n_lines_of_docstrings(text) if path.suffix == ".py" else 0)
    maximum = MAXIMUM_LINES.get(path.suffix, MAXIMUM_LINES_OF_OTHERS)
    assert n_lines <= maximum, f"{short(path)} has {n_lines} lines, docstrings not counted; at most {maximum}"


def n_lines_of_docstrings(text):
    with_docstrings = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, with_docstrings)]
    firsts = [node.body[0] for node in nodes if ast.get_docstring(node, clean=False) is not None]
    return sum(first.end_lineno - first.lineno + 1 for first in firsts)


def test_every_parallel_region_is_recorded():
    """One that is not could run on a single thread in all tests of threads, and nobody would know."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCE_FILES if path.suffix in {".pyx", ".pxi"})
    opening = re.compile(r" with parallel\(.*\):\n +mode = begin_region\(region, n_pieces\)\n +for .* in prange\(")
    in_bands = re.compile(r" with parallel\(.*\):\n +mode = enter_float_mode\(\)\n +take_shares\(")
    assert len(opening.findall(text)) == len(re.findall(r"\bprange\(", text)) == 2
    assert len(in_bands.findall(text)) == len(re.findall(r"\bparallel\(num_threads", text)) - 2 == 1
    names = re.search(r"REGION_NAMES = \((.*?\))\)\n", text, re.DOTALL)[1]
    shared = re.findall(r"\b(?:take_in_turn|divide|share_copies|record_region)\(([A-Z_]+),", text)
    assert sorted(shared) == sorted(re.findall(r"\", ([A-Z_]+)\)", names))


def test_fit_stays_a_table_of_contents():
    for path in PYTHON_FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in MAXIMUM_LINES_OF:
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                n_lines = body[-1].end_lineno - body[0].lineno + 1
                assert n_lines <= MAXIMUM_LINES_OF[node.name], (
                    f"{node.name} in {short(path)} has {n_lines} lines; move its parts into functions"
                )
