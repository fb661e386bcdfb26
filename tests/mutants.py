"""Every operator and number of a module changed, one at a time, by cosmic-ray: how many of these mutants do its tests notice?

Unlike the mistakes of `plant.py`, which somebody has thought of, mutants come from a table, and some of them change nothing
that anybody could notice. So their share is a measure and no test; what survives is printed, to be looked at.

    python tests/mutants.py --build build/mutants --modules _training/scaling.py
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from copies import ROOT, copy_with_compiled, output_of, python_in

#: Module -> the tests that are about it.
MODULES = {
    "_training/scaling.py": ("scaling", "survivors"),
    "_training/history.py": ("listeners", "watching"),
    "_training/holding_out.py": ("training",),
    "_training/schedules.py": ("listeners", "training"),
    "_training/initializers.py": ("initializers",),
    "_network/geometry.py": ("geometry", "plan"),
    "_network/layers.py": ("layers", "plan"),
    "_estimator/labels.py": ("classifier", "validation"),
}
#: Alternatives of annotations are no operators, and decorators are needed to import a module at all.
LEFT_OUT = [r"core/ReplaceBinaryOperator_BitOr_\w+", "core/RemoveDecorator"]
SECONDS = 60


def prepare(folder, module):
    """Copy the package and write the settings of the run; returns their path."""
    copy = copy_with_compiled(folder)
    tests = [str(ROOT / f"tests/test_{name}.py") for name in MODULES[module]]
    command = [sys.executable, "-P", "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-x", "-q", "-p", "no:cacheprovider",
               "-W", "ignore", *tests]  # fmt: skip
    settings = {
        "cosmic-ray": {
            "module-path": f"sklearn_cnn/{module}",
            "timeout": SECONDS,
            "excluded-modules": [],
            "test-command": shlex.join(command),
        },
        "cosmic-ray.distributor": {"name": "local"},
        "cosmic-ray.filters.operators-filter": {"exclude-operators": LEFT_OUT},
    }
    lines = []
    for table, values in settings.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""]
    path = copy / "mutants.toml"
    path.write_text("\n".join(lines))
    return path


def measure(folder, module):
    """Run all mutants of a module; returns (how many there were, those that survived)."""
    settings = prepare(folder, module)
    session = settings.with_suffix(".sqlite")
    session.unlink(missing_ok=True)
    tools = Path(sys.executable).parent

    def tool(name, *arguments):
        status, output = output_of([str(tools / name), *map(str, arguments)], python_in(settings.parent), cwd=settings.parent)
        if status != 0:
            raise SystemExit(f"{name} ended with {status}:\n{output[-3000:]}")
        return output

    tool("cosmic-ray", "baseline", settings)  # the tests pass without a mutant
    tool("cosmic-ray", "init", settings, session)
    tool("cr-filter-operators", session, settings)
    tool("cosmic-ray", "exec", settings, session)
    results = [json.loads(line) for line in tool("cosmic-ray", "dump", session).splitlines()]
    tested = [(work, result) for work, result in results if result is not None and result["worker_outcome"] != "skipped"]
    return len(tested), [(work, result) for work, result in tested if result["test_outcome"] == "survived"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder for the copy")
    parser.add_argument("--modules", nargs="+", choices=MODULES, default=list(MODULES))
    arguments = parser.parse_args()
    for module in arguments.modules:
        n_mutants, survivors = measure(arguments.build.resolve(), module)
        for _, result in survivors:
            print(result["diff"])
        n_noticed = n_mutants - len(survivors)
        print(f"{module}: {n_mutants} mutants, {n_noticed} noticed, {100 * n_noticed / max(1, n_mutants):.0f} %", flush=True)


if __name__ == "__main__":
    main()
