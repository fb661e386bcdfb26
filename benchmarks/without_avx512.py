"""Turn the virtual environment that runs this into one of a processor without AVX-512: `python -m benchmarks.without_avx512`.

Most users have processors with AVX2 and without AVX-512, and those that benchmarks run on often have it. PyTorch and TensorFlow
can be told to do without; ONNX Runtime and OpenVINO can't. So every instruction `cpuid` of an environment's libraries is replaced
by one of the same length that no processor has. A small library (`cpuid.c`), loaded whenever Python starts there, answers for the
processor, without AVX-512. Nothing else changes: all of them, this package too, choose what they choose on a processor with AVX2.

It takes a virtual environment made for it, Linux on x86-64, a C compiler and objdump. Which packages were changed is printed;
installing a package again takes that back.

    python3 -m venv .venv-avx2
    .venv-avx2/bin/pip install onnx onnxruntime openvino .
    .venv-avx2/bin/python -m benchmarks.without_avx512
    .venv-avx2/bin/python -m benchmarks --only predict latency

For the rows of training, install torch, tensorflow-cpu, keras, jax and skorch there, too, and name them all:

    .venv-avx2/bin/python -m benchmarks.without_avx512 --packages sklearn_cnn numpy numpy.libs scipy.libs torch tensorflow jaxlib
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

#: Import names of what is changed unless others are named; PyTorch and TensorFlow take several minutes each.
PACKAGES = ("sklearn_cnn", "numpy", "numpy.libs", "scipy.libs", "onnxruntime", "openvino")
CPUID, UNDEFINED = b"\x0f\xa2", b"\x0f\x0b"
#: The module that Python imports at each start, and whose presence says that the processor is another.
HOOK = "processor_without_avx512"
START = f"""
import ctypes
from pathlib import Path
ctypes.CDLL(str(Path(__file__).with_name("lib{HOOK}.so")))
"""


def is_in_force():
    """Say whether this process runs in such an environment."""
    return HOOK in sys.modules


def addresses(library):
    """Return where instructions `cpuid` stand in a library, as distances from the beginning of the file."""
    sections = subprocess.run(["objdump", "-h", library], check=True, capture_output=True, text=True).stdout
    places = re.findall(r"^\s*\d+\s+\S+\s+([0-9a-f]+)\s+([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)", sections, re.MULTILINE)
    ranges = [[int(number, 16) for number in place] for place in places]
    command = ["objdump", "-d", "--no-show-raw-insn", library]
    listing = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")
    found = []
    assert listing.stdout is not None
    for line in listing.stdout:  # gigabytes
        if "\tcpuid" in line:
            address = int(line.split(":")[0], 16)
            found += [address - begin + at for size, begin, at in ranges if begin <= address < begin + size]
    if listing.wait() != 0:
        raise SystemExit(f"objdump could not read {library}")
    return found


def change(library):
    """Replace every `cpuid` of a library; return how many there were."""
    content = bytearray(library.read_bytes())
    if content[:4] != b"\x7fELF" or CPUID not in content:
        return 0
    places = addresses(library)
    for place in places:
        if content[place : place + 2] != CPUID:
            raise SystemExit(f"{library} has no cpuid at byte {place}, where objdump saw one")
        content[place : place + 2] = UNDEFINED
    if places:
        new = library.with_suffix(library.suffix + ".new")  # another file: the old one may be shared with other environments
        new.write_bytes(content)
        shutil.copymode(library, new)
        os.replace(new, library)
    return len(places)


def main():
    """Change the libraries, and have Python load what answers in their place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", nargs="+", default=PACKAGES, help="folders in site-packages")
    packages = parser.parse_args().packages
    if sys.prefix == sys.base_prefix:
        raise SystemExit("this changes installed packages: make a virtual environment for it, and run it with that one's Python")
    site = Path(sysconfig.get_path("platlib"))
    command = ["gcc", "-O2", "-shared", "-fPIC", str(Path(__file__).with_name("cpuid.c")), "-o", str(site / f"lib{HOOK}.so")]
    subprocess.run(command, check=True)
    (site / f"{HOOK}.py").write_text(START)
    (site / f"{HOOK}.pth").write_text(f"import {HOOK}\n")
    for package in packages:
        libraries = sorted(path for path in (site / package).rglob("*.so*") if path.is_file() and not path.is_symlink())
        n_places = sum(change(library) for library in libraries)
        print(f"{package}: {len(libraries)} libraries, {n_places} instructions replaced", flush=True)


if __name__ == "__main__":
    main()
