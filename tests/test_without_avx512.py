"""A benchmark's processor without AVX-512: what replaces the instruction cpuid, and what answers in its place."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"

pytestmark = [
    pytest.mark.skipif(not (BENCHMARKS / "cpuid.c").is_file(), reason="no checkout of the repository"),
    pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="what Linux on x86-64 does"),
    pytest.mark.skipif(shutil.which("gcc") is None or shutil.which("objdump") is None, reason="no compiler"),
]

#: The constant has the two bytes of the instruction in it, and is none.
ASKING = """
#include <stdint.h>
uint32_t asked(uint32_t question, uint32_t part, int number)
{
    uint32_t answer[4] = {question, 0, part, 0};
    __asm__ volatile("cpuid" : "+a"(answer[0]), "=b"(answer[1]), "+c"(answer[2]), "=d"(answer[3]));
    return answer[number];
}
uint32_t constant(void) { return 0x90a20f90u; }
"""
COMPARE = """
import ctypes, sys
from pathlib import Path
sys.path.append({root!r})
from benchmarks.without_avx512 import change

library, changed = Path({library!r}), Path({changed!r})
changed.write_bytes(library.read_bytes())
assert change(changed) == 1 and change(changed) == 0
ctypes.CDLL({answering!r})
own, other = ctypes.CDLL(str(library)), ctypes.CDLL(str(changed))
for asking in (own, other):
    asking.asked.restype = asking.constant.restype = ctypes.c_uint32
assert own.constant() == other.constant() == 0x90A20F90
WIDE = 1 << 16 | 1 << 17 | 1 << 21 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 30 | 1 << 31
assert other.asked(7, 0, 1) == own.asked(7, 0, 1) & ~WIDE
for number in range(4):  # what a processor is called, and its older instructions
    assert other.asked(0, 0, number) == own.asked(0, 0, number)
assert other.asked(1, 0, 2) == own.asked(1, 0, 2)
"""


def compiled(source, target):
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-x", "c", str(source), "-o", str(target)], check=True)
    return str(target)


def test_a_library_that_asks_is_told_of_no_avx512(tmp_path):
    source = tmp_path / "asking.c"
    source.write_text(ASKING)
    answering = compiled(BENCHMARKS / "cpuid.c", tmp_path / "answering.so")
    library = compiled(source, tmp_path / "asking.so")
    program = COMPARE.format(root=str(ROOT), library=library, changed=str(tmp_path / "changed.so"), answering=answering)
    result = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_another_unknown_instruction_still_ends_the_process(tmp_path):
    answering = compiled(BENCHMARKS / "cpuid.c", tmp_path / "answering.so")
    source = tmp_path / "unknown.c"
    source.write_text('void unknown(void) { __asm__ volatile(".byte 0x0f, 0xff, 0xc0"); }')
    library = compiled(source, tmp_path / "unknown.so")
    program = f"import ctypes; ctypes.CDLL({answering!r}); ctypes.CDLL({library!r}).unknown()"
    assert subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, check=False).returncode == -4
