"""The choice among compiled levels, and the number of threads."""

import os
import subprocess
import sys

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sklearn_cnn import _kernels
from sklearn_cnn._kernels import available_levels, default_level, effective_n_threads, kernels


def run_python(code, **environment):
    """Run a line in a process of its own, without what this one was told about levels and threads."""
    inherited = {name: value for name, value in os.environ.items() if name != _kernels.ENVIRONMENT_VARIABLE}
    inherited = {name: value for name, value in inherited.items() if not name.startswith("OMP_")}
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**inherited, **environment},
    )


def test_levels_go_from_narrow_to_wide():
    names = list(_kernels.LEVELS)
    assert available_levels() == [name for name in names if name in available_levels()]
    assert available_levels()[0] == "baseline"
    assert default_level() in available_levels()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", available_levels())
def test_every_level_loads_beside_the_others(dtype, level):
    module = kernels(dtype, level)
    assert module.__name__ == f"sklearn_cnn._kernels.{_kernels.module_name(dtype, level)}"
    assert kernels(dtype, level) is module


def test_only_double_precision_is_borrowed_and_from_a_narrower_level():
    names = list(_kernels.LEVELS)
    for level in names:
        assert _kernels.module_name(np.float32, level) == f"float32_{_kernels.LEVELS[level][0]}"
    for level, lender in _kernels.DOUBLE_PRECISION.items():
        assert names.index(lender) < names.index(level)
        assert _kernels.module_name(np.float64, level) == f"float64_{_kernels.LEVELS[lender][0]}"


def test_unknown_level_is_an_error():
    with pytest.raises(ImportError, match=r"level .sse9. is not available\. Available: baseline"):
        kernels(np.float32, "sse9")


@pytest.mark.parametrize("level", available_levels())
def test_environment_forces_a_level(level):
    code = "import sklearn_cnn; from sklearn_cnn._kernels import kernels; print(kernels().__name__)"
    result = run_python(code, SKLEARN_CNN_KERNELS=level)
    assert result.stdout.strip().endswith(_kernels.LEVELS[level][0]), result.stderr


def test_widest_level_is_the_default():
    result = run_python(
        "from sklearn_cnn._kernels import default_level; print(default_level())", SKLEARN_CNN_KERNELS=""
    )
    assert result.stdout.strip() == available_levels()[-1], result.stderr


def test_unknown_name_in_the_environment_fails_at_import():
    # One process for all names, because an import that has failed leaves nothing behind: the next one begins anew.
    names = "avx1024", "x86_64_v3", "Baseline", "baseline "
    code = (
        "import os\n"
        f"for os.environ['SKLEARN_CNN_KERNELS'] in {names!r}:\n"
        "    try:\n"
        "        import sklearn_cnn\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    result = run_python(code)
    messages = result.stdout.splitlines()
    assert len(messages) == len(names), result.stderr
    for name, message in zip(names, messages, strict=True):
        assert message.startswith(f"SKLEARN_CNN_KERNELS={name!r} names no level. The levels are baseline, ")
        assert message.endswith("Unset the variable to use the widest.")


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [pytest.param("processor.level = lambda: 1", "this processor lacks its instructions", marks=pytest.mark.skipif(
         not _kernels._is_built("x86_64_v3"), reason="x86-64-v3 was not built")),
     ("find = importlib.util.find_spec; importlib.util.find_spec = "
      "lambda name: None if name.endswith('v3') else find(name)", "it was not built")],
)  # fmt: skip
def test_a_level_that_cannot_be_used_fails_at_import(lacking, reason):
    # The package's own processor module is put in place before the package asks it.
    code = (
        "import importlib.util, sys, pathlib\n"
        "folder = pathlib.Path(importlib.util.find_spec('sklearn_cnn').origin).parent / '_kernels'\n"
        "path = next(path for path in folder.glob('processor.*') if path.suffix in ('.so', '.pyd'))\n"
        "spec = importlib.util.spec_from_file_location('sklearn_cnn._kernels.processor', path)\n"
        "processor = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(processor)\n"
        "import types\n"
        "stand_in = types.ModuleType('processor'); stand_in.level = processor.level; processor = stand_in\n"
        "sys.modules['sklearn_cnn._kernels.processor'] = processor\n"
        f"{lacking}\n"
        "import sklearn_cnn\n"
    )
    result = run_python(code, SKLEARN_CNN_KERNELS="x86-64-v3")
    assert result.returncode != 0
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError: SKLEARN_CNN_KERNELS='x86-64-v3' cannot be used here"), message
    assert reason in message


# -------------------------------------------------------------------------------------------------------------- threads


def test_n_jobs_is_honoured_up_to_four_threads_for_each_processor():
    most = 4 * joblib.cpu_count()
    assert [effective_n_threads(n) for n in (1, 2, 3, most, most + 1, 1024)] == [1, 2, 3, most, most, most]
    assert effective_n_threads(-1) == joblib.cpu_count()
    assert effective_n_threads(-2) == max(1, joblib.cpu_count() - 1)
    assert effective_n_threads(-10_000) == 1
    assert effective_n_threads(np.int64(3)) == 3
    with pytest.raises(ValueError, match="n_jobs=0"):
        effective_n_threads(0)


def test_threadpoolctl_limits_are_obeyed():
    with threadpool_limits(1):
        assert effective_n_threads() == 1
        assert effective_n_threads(3) == 3
    assert 1 <= effective_n_threads() <= joblib.cpu_count()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"OMP_NUM_THREADS": "1"}, 1), ({"LOKY_MAX_CPU_COUNT": "1"}, 1), ({}, joblib.cpu_count()),
     ({"OMP_NUM_THREADS": "1000"}, joblib.cpu_count())],
    ids=["OMP_NUM_THREADS=1", "LOKY_MAX_CPU_COUNT=1", "nothing set", "OMP_NUM_THREADS=1000"],
)  # fmt: skip
def test_environment_limits_are_obeyed(environment, expected):
    if not kernels().describe()["openmp"]:
        expected = 1
    code = "from sklearn_cnn._kernels import effective_n_threads; print(effective_n_threads())"
    result = run_python(code, **environment)
    assert result.stdout.strip() == str(expected), result.stderr


def test_threads_of_a_joblib_worker_are_limited():
    # joblib tells its workers how many threads each may use: two workers share the processors.
    counts = joblib.Parallel(n_jobs=2)(joblib.delayed(effective_n_threads)() for _ in range(2))
    assert max(counts) <= max(1, joblib.cpu_count() // 2)
