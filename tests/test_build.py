"""What the build and the installation have to look like, and what importing the package must leave alone."""

import importlib.machinery
import importlib.metadata
import importlib.resources
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import sklearn_cnn


def extension_modules():
    """The files of the package's compiled modules, wherever an ordinary or an editable installation keeps them."""
    import sklearn_cnn._kernels

    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    files = {
        Path(module.__file__)
        for name, module in list(sys.modules.items())
        if name.startswith("sklearn_cnn.") and getattr(module, "__file__", None) and module.__file__.endswith(suffixes)
    }
    folder = Path(sklearn_cnn._kernels.__file__).parent
    files |= {path for path in folder.iterdir() if path.name.endswith(suffixes)}
    return sorted(files)


def readelf(*arguments):
    if shutil.which("readelf") is None:
        pytest.skip("readelf (binutils) is not installed")
    return subprocess.run(["readelf", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def run_python(code):
    """Run code in a fresh process that does not see the folder it runs in."""
    return subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True).stdout


needs_elf = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF files are Linux's")


def test_version_is_that_of_the_installed_distribution():
    assert sklearn_cnn.__version__ == importlib.metadata.version("sklearn_cnn")


def test_type_information_is_installed():
    assert importlib.resources.files("sklearn_cnn").joinpath("py.typed").is_file()


def test_every_python_file_is_installed():
    """The build lists its files; one that is missing from the list is missed by users only."""
    installed = Path(sklearn_cnn.__file__).parent
    sources = Path(__file__).resolve().parent.parent / "sklearn_cnn"
    files = [path.relative_to(sources) for path in sources.rglob("*.py*") if path.suffix in {".py", ".pyi"}]
    missing = [path.as_posix() for path in files if not (installed / path).exists()]
    assert not missing, f"not installed, so not in any meson.build: {missing}"


def test_there_are_extension_modules():
    assert extension_modules()


@needs_elf
def test_relocations_are_read_only_and_bound_at_start():
    for path in extension_modules():
        assert "GNU_RELRO" in readelf("--wide", "--program-headers", path), path


@needs_elf
def test_the_stack_is_not_executable():
    for path in extension_modules():
        rows = [line.split() for line in readelf("--wide", "--program-headers", path).splitlines() if "GNU_STACK" in line]
        # type, offset, two addresses, two sizes, flags, alignment; a file without the row would get an executable stack
        assert len(rows) == 1, path
        assert "E" not in "".join(rows[0][6:-1]), path


@needs_elf
def test_no_library_search_path_from_the_build():
    for path in extension_modules():
        dynamic = readelf("--wide", "--dynamic", path)
        assert "RPATH" not in dynamic, path
        assert "RUNPATH" not in dynamic, path


# Reads MXCSR: rounding, flush-to-zero and denormals-are-zero. Its lowest six bits only record what has happened.
CONTROL_REGISTER = """
import ctypes
library = ctypes.CDLL("libm.so.6")
def control():
    environment = (ctypes.c_uint32 * 8)()  # seven words of the x87, then MXCSR
    assert library.fegetenv(environment) == 0
    return environment[7] & ~0x3F
"""

needs_control_register = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or platform.machine() != "x86_64", reason="reads glibc's fenv_t on x86-64"
)


@needs_control_register
def test_no_extension_module_was_linked_with_fast_math():
    """A library linked with -ffast-math sets flush-to-zero for the whole process as soon as it is loaded.

    Loading runs such start-up code and nothing else, so levels that this processor cannot run are looked at, too.
    """
    paths = [str(path) for path in extension_modules()]
    code = f"""{CONTROL_REGISTER}
before = control()
for path in {paths!r}:
    ctypes.CDLL(path)
    assert control() == before, path
"""
    run_python(code)


@needs_control_register
def test_import_and_use_leave_the_control_register_alone():
    code = f"""{CONTROL_REGISTER}
import numpy as np
import sklearn.neural_network, sklearn.ensemble, scipy.special  # what the package imports may do what it likes
before = control()
import sklearn_cnn
assert control() == before, "import"
X = np.random.default_rng(0).normal(size=(40, 6, 6))
model = sklearn_cnn.ConvNetClassifier(n_filters=2, max_iter=2, n_jobs=2, random_state=0).fit(X, np.arange(40) % 2)
assert control() == before, "fit"
model.predict(X)
assert control() == before, "predict"
"""
    run_python(code)


def test_import_leaves_numpy_and_the_process_alone():
    code = """
import json, os, signal, sys, warnings
import numpy as np, sklearn.neural_network, sklearn.ensemble, scipy.special
def state():
    return [np.geterr(), np.get_printoptions(), dict(os.environ), len(warnings.filters), sys.path,
            sys.getrecursionlimit(), str(signal.getsignal(signal.SIGINT)), np.random.get_state()[1].tolist()]
before = json.dumps(state(), default=str)
import sklearn_cnn
print(json.dumps(state(), default=str) == before)
"""
    assert run_python(code).strip() == "True"


def test_import_does_not_bring_optional_packages():
    """Scikit-learn itself imports pandas where that is installed, so what it brings is not ours."""
    code = """
import sys
import sklearn.ensemble
before = set(sys.modules)
import sklearn_cnn
print([name for name in ("matplotlib", "pandas", "torch", "pytest", "Cython") if name in set(sys.modules) - before])
"""
    assert run_python(code).strip() == "[]"


def test_import_prints_nothing():
    assert run_python("import sklearn_cnn") == ""


def test_show_versions_names_what_a_bug_report_needs(capsys):
    sklearn_cnn.show_versions()
    printed = capsys.readouterr().out
    for word in (
        "Python",
        "numpy",
        "scipy",
        "scikit-learn",
        "joblib",
        "threadpoolctl",
        "sklearn_cnn",
        "OpenMP",
        "level",
        "threads",
    ):
        assert word in printed, word


# ------------------------------------------------------------------------------------------- the level of the processor


def compile_with_header(source, output, *options):
    """Compile a C program that includes processor.h, with the compiler that made Python, or that of the environment."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None or os.name == "nt":
        pytest.skip(f"{compiler} is not installed, or does not take these options")
    kernels = Path(__file__).resolve().parent.parent / "sklearn_cnn" / "_kernels"
    program = output.with_suffix(".c")
    program.write_text('#include <stdio.h>\n#include "processor.h"\n' + source)
    command = [compiler, "-Wall", "-Werror", "-Wno-unused-function", "-pthread", f"-I{kernels}", str(program), "-o", str(output)]
    subprocess.run([*command, *options], check=True)
    return output


needs_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="levels that a processor may lack are x86-64's")


@needs_x86_64
def test_the_processor_is_asked_without_a_library_of_the_compiler(tmp_path):
    """Such as holds `__cpu_model`, which clang-cl does not link on Windows."""
    compiled = compile_with_header("int level(void) { return processor_level(); }\n", tmp_path / "level.o", "-c")
    assert b"__cpu" not in compiled.read_bytes()


@needs_x86_64
def test_the_processor_has_the_level_that_the_compiler_sees(tmp_path):
    v3 = " && ".join(f'__builtin_cpu_supports("{name}")' for name in ("avx", "avx2", "bmi", "bmi2", "fma"))
    v4 = " && ".join(f'__builtin_cpu_supports("avx512{name}")' for name in ("f", "bw", "cd", "dq", "vl"))
    source = f"""int main(void)
{{
    __builtin_cpu_init();
    printf("%d %d", processor_level(), !({v3}) ? 1 : {v4} ? 4 : 3);
    return 0;
}}
"""
    program = compile_with_header(source, tmp_path / "level")
    ours, theirs = map(int, subprocess.run([program], capture_output=True, text=True, check=True).stdout.split())
    assert ours == theirs == sklearn_cnn._kernels.processor.level()


#: Where an answer stands, and what it lacks: an instruction, or a register that the system keeps -> the level that is left
LACKING = {
    **dict.fromkeys([("extended", f"HAS_AVX512{name}") for name in ("F", "DQ", "CD", "BW", "VL")], 3),
    **dict.fromkeys([("kept", f"KEEPS_{name}") for name in ("MASKS", "64_BYTES", "16_MORE")], 3),
    **dict.fromkeys([("kept", f"KEEPS_{name}") for name in ("16_BYTES", "32_BYTES")], 1),
    **dict.fromkeys([("extended", f"HAS_{name}") for name in ("AVX2", "BMI1", "BMI2")], 1),
    **dict.fromkeys([("basic", f"HAS_{name}") for name in ("AVX", "FMA", "MOVBE", "F16C", "XGETBV")], 1),
    ("more", "HAS_LZCNT"): 1,
    ("basic", "0"): 4,
}


@needs_x86_64
def test_a_level_needs_all_its_instructions_and_a_system_that_keeps_its_registers(tmp_path):
    lines = "".join(
        f'    has = all; has.{field} &= ~(unsigned){name}; printf("%d ", level_of(has));\n' for field, name in LACKING
    )
    source = f"int main(void)\n{{\n    Processor all = {{~0u, ~0u, ~0u, ~0u}}, has;\n{lines}    return 0;\n}}\n"
    program = compile_with_header(source, tmp_path / "lacking")
    levels = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert dict(zip(LACKING, map(int, levels), strict=True)) == LACKING


def test_clang_cl_gets_the_flags_of_the_kernels():
    """Those without "/clang:" in front it does not take. Meson then leaves them out, and a * b + c has two roundings."""
    kernels = Path(__file__).resolve().parent.parent / "sklearn_cnn" / "_kernels"
    text = re.sub(r"(?m)^\s*#.*$", "", (kernels / "meson.build").read_text(encoding="utf-8"))
    assert "clang = cc.get_id() == 'clang-cl' ? '/clang:' : ''" in text
    assert "cc.get_supported_arguments(clang + flag)" in text  # each by itself: a list would need it in front of every one
    assert len(re.findall(r"'-m\w+", text)) == len(re.findall(r"clang \+ '-m\w+", text)) > 0
    assert "if clang != '' or cc.has_function_attribute('always_inline')" in text
