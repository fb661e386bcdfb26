# The one door to everything that is run by hand; `make` alone lists the commands.
#
# Every environment is a directory .venv-<purpose> with a stamp file in it. The kernels are compiled once for each state of the
# sources, into the wheel in dist/, and that wheel is what every environment gets. A stamp is newer than what it depends on exactly
# when nothing has to be done, so a command builds and installs again only after something has changed.

PYTHON ?= python3
# Arguments for the command behind a target, e.g.  make test ARGS="-k pickle -x"
ARGS ?=
# How many processes run the tests, the examples and the code of the pages.
JOBS ?= 2
# Each of them computes on one thread, because they share the processors: with more, threads of one would wait for those of the
# others. What tests threads asks for them. Empty if JOBS is 1.
ONE_THREAD := $(if $(filter-out 1,$(JOBS)),OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1)
# Where `make demo` takes its images from: empty (look in the usual place), "digits", or a folder with Fashion-MNIST's four files.
DATA ?=

SOURCES := pyproject.toml README.md meson.build $(wildcard meson.options) \
           $(shell find sklearn_cnn -not -name '*.pyc' -not -name '*.so' -not -name __pycache__)

# The requirements of the tools that are no part of the package stand in pyproject.toml, like everything else.
GROUP = $(shell $(PYTHON) -c 'import tomllib; print(*map(repr, tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["$(1)"]))')

# The oldest versions that pyproject.toml allows of what the package and its tests need, one a line.
OLDEST = $(PYTHON) -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*(requirement.replace(">=", "==") for requirement in project["dependencies"] + project["optional-dependencies"]["test"]), sep="\n")'

# Bytecode is made of what is imported, when it is imported: making it of everything takes twice as long as the rest of an installation.
# So it has to be kept then, whatever the environment says: without it every process compiles scikit-learn again, for several seconds.
export PIP_COMPILE := 0
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# $(call PIP,purpose) installs into the environment of that purpose.
PIP = .venv-tools/bin/python -m pip --python .venv-$(1) --quiet install

.DEFAULT_GOAL := help
.PHONY: help cross needs environments demo test test-oldest clusters others fuzz-state fuzz-onnx fuzz-arguments fuzz-geometry fences \
        starvation checks fault endurance sanitize races memcheck compilers emulate systems planted mutate lint docs examples bench-smoke wheel \
        dev clean
.DELETE_ON_ERROR:

help:
	@echo "make demo         train, search, pickle and draw on real images             (ARGS=..., DATA=digits or a folder)"
	@echo "make test         run the tests against the installed package                (ARGS=\"-k pickle -x\", JOBS=2)"
	@echo "make test-oldest  run the tests of the estimators with the oldest versions of everything that pyproject.toml allows"
	@echo "make clusters     run searches on local clusters of Dask and Ray, and chunks through dask-ml"
	@echo "make others       run networks in libraries that somebody else wrote around scikit-learn's estimators"
	@echo "make fuzz-state   hostile values in fitted states, in child processes         (ARGS=\"--cases 20000 --seed 7\")"
	@echo "make fuzz-onnx    damaged and made-up ONNX models, in child processes         (ARGS=\"--cases 20000 --seed 7\")"
	@echo "make fuzz-arguments, fuzz-geometry, fences, starvation, checks, fault, endurance, sanitize, races, memcheck,"
	@echo "     compilers, emulate, systems, planted, mutate"
	@echo "                  proofs that are run by hand: RELIABILITY.md says what they are"
	@echo "make cross        compile kernels for 64-bit ARM, with gcc-aarch64-linux-gnu"
	@echo "make lint         ruff, cython-lint and mypy"
	@echo "make examples     run every program in examples/"
	@echo "make docs         build the documentation into docs/_build/html"
	@echo "make bench-smoke  run every benchmark once, on tiny problems"
	@echo "make wheel        build the wheel in dist/ that all of these install, and install it alone"
	@echo "make dev          editable installation in .venv-dev, compiled again at import"
	@echo "make clean        remove all of the above"

# ---------------------------------------------------------------------------------------------------------- environments

# One pip, the newest, installs into all of them. That which comes with Python may be years old and three times as slow, and putting it
# into each of them takes several seconds.
.venv-tools/created.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sklearn_cnn needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one with  make PYTHON=/path/to/python3 ...")'
	@echo "creating .venv-tools"
	@rm -rf .venv-tools
	@$(PYTHON) -m venv .venv-tools
	@.venv-tools/bin/python -m pip install --quiet --upgrade pip build
	@touch $@

.venv-%/created.stamp: .venv-tools/created.stamp
	@echo "creating .venv-$*"
	@rm -rf .venv-$*
	@$(PYTHON) -m venv --without-pip .venv-$*
	@touch $@

# From a clean checkout by way of the source distribution: what that does not hold is missed here. With uncommitted changes
# from this folder, since a source distribution holds what is committed.
dist/wheel.stamp: .venv-tools/created.stamp $(SOURCES)
	@echo "building the wheel (this compiles the kernels, which takes a minute or two)"
	@rm -rf dist
	@if git diff --quiet HEAD 2> /dev/null && test -z "$$(git status --porcelain sklearn_cnn)"; then \
	    .venv-tools/bin/python -m build --quiet --outdir dist .; \
	else \
	    echo "note: built from this folder; there are uncommitted changes, which no source distribution holds"; \
	    .venv-tools/bin/python -m build --quiet --wheel --outdir dist .; \
	fi
	@touch $@

# What each environment needs of the tables of pyproject.toml: extras of the package, and groups for work on it.
EXTRAS_demo := demo
EXTRAS_test := test
GROUPS_test := clusters
EXTRAS_oldest := test
OPTIONS_oldest := --constraint .venv-oldest/constraints.txt
EXTRAS_clusters := test
GROUPS_clusters := clusters more-clusters
EXTRAS_others := test
GROUPS_others := others
EXTRAS_builds := test
GROUPS_builds := build
EXTRAS_mutants := test
GROUPS_mutants := mutation clusters
EXTRAS_docs := examples
GROUPS_docs := docs clusters
NEEDS = $(shell $(PYTHON) -c 'import tomllib; table = tomllib.load(open("pyproject.toml", "rb")); extras = table["project"]["optional-dependencies"]; print(*map(repr, sum([extras[name] for name in "$(EXTRAS_$(1))".split()] + [table["dependency-groups"][name] for name in "$(GROUPS_$(1))".split()], table["project"]["dependencies"])))')
PURPOSES := demo test oldest clusters others builds mutants docs

# It does not wait for the wheel, so that it can be installed while kernels are compiled.
$(PURPOSES:%=.venv-%/needs.stamp): .venv-%/needs.stamp: .venv-%/created.stamp pyproject.toml
	@echo "installing into .venv-$* what sklearn_cnn needs there"
	@$(call PIP,$*) $(call NEEDS,$*) $(OPTIONS_$*)
	@touch $@

.venv-oldest/needs.stamp: .venv-oldest/constraints.txt
.venv-oldest/constraints.txt: .venv-oldest/created.stamp pyproject.toml
	@$(OLDEST) > $@

# The wheel itself, also where one of the same version is installed already.
$(PURPOSES:%=.venv-%/installed.stamp): .venv-%/installed.stamp: .venv-%/needs.stamp dist/wheel.stamp
	@echo "installing sklearn_cnn into .venv-$*"
	@$(call PIP,$*) --force-reinstall --no-deps dist/*.whl
	@touch $@

# As a user does: what it needs is what the wheel says.
.venv-wheel/installed.stamp: .venv-wheel/created.stamp dist/wheel.stamp
	@echo "installing sklearn_cnn into .venv-wheel"
	@$(call PIP,wheel) dist/*.whl
	@$(call PIP,wheel) --force-reinstall --no-deps dist/*.whl
	@touch $@

# For a run of everything: all that they need, beside the wheel, with  make --jobs 3 wheel needs cross
needs: $(foreach purpose,demo test oldest docs,.venv-$(purpose)/needs.stamp) .venv-lint/installed.stamp
environments: $(foreach purpose,demo test oldest docs lint,.venv-$(purpose)/installed.stamp)

.venv-lint/installed.stamp: .venv-lint/created.stamp pyproject.toml
	@echo "installing the linters into .venv-lint"
	@$(call PIP,lint) $(call GROUP,lint)
	@touch $@

# --------------------------------------------------------------------------------------------------------------- commands

demo: .venv-demo/installed.stamp
	@.venv-demo/bin/python demo/run.py $(if $(DATA),--data $(DATA)) $(ARGS)

# From inside the environment and with -P: the folder sklearn_cnn/ here has no compiled modules and must not be imported.
test: .venv-test/installed.stamp
	cd .venv-test && $(ONE_THREAD) bin/python -P -m pytest --numprocesses $(JOBS) ../tests $(ARGS)

# What touches scikit-learn, NumPy, SciPy, joblib and pandas; kernels and plans do not depend on their versions.
OLDEST_TESTS := attributes classifier model_selection outputs pickling regressor sklearn_checks summary transformer

test-oldest: .venv-oldest/installed.stamp
	cd .venv-oldest && $(ONE_THREAD) bin/python -P -m pytest --numprocesses $(JOBS) $(OLDEST_TESTS:%=../tests/test_%.py) -k "not settings" $(ARGS)

# Two with libraries that take too long to install for every run of everything; .github/workflows/tests.yml runs them.
clusters: .venv-clusters/installed.stamp
	cd .venv-clusters && bin/python -P -m pytest ../tests/test_clusters.py $(ARGS)

others: .venv-others/installed.stamp
	cd .venv-others && $(ONE_THREAD) bin/python -P -m pytest --numprocesses $(JOBS) ../tests/test_other_libraries.py $(ARGS)

fuzz-state: .venv-test/installed.stamp
	.venv-test/bin/python tests/fuzz_state.py $(ARGS)

fuzz-onnx: .venv-test/installed.stamp
	.venv-test/bin/python tests/fuzz_onnx.py $(ARGS)

# Proofs that are run by hand; RELIABILITY.md says what each is for, and what it has found. Those in .venv-builds build kernels of their
# own, in build/.
fuzz-arguments: .venv-test/installed.stamp
	.venv-test/bin/python tests/fuzz_arguments.py $(ARGS)

fuzz-geometry: .venv-test/installed.stamp
	.venv-test/bin/python tests/fuzz_geometry.py $(ARGS)

fences: .venv-test/installed.stamp
	.venv-test/bin/python tests/bounds.py $(ARGS)

checks: .venv-test/installed.stamp
	.venv-test/bin/python tests/checks.py $(ARGS)

starvation: .venv-test/installed.stamp
	.venv-test/bin/python tests/starvation.py $(ARGS)

fault: .venv-test/installed.stamp
	.venv-test/bin/python tests/faults.py $(ARGS)

endurance: .venv-test/installed.stamp
	.venv-test/bin/python tests/endurance.py $(ARGS)

sanitize: .venv-builds/installed.stamp
	.venv-builds/bin/python tests/sanitize.py --build build/sanitize $(ARGS)

races: .venv-builds/installed.stamp
	.venv-builds/bin/python tests/races.py --build build/races $(ARGS)

memcheck: .venv-test/installed.stamp
	.venv-test/bin/python tests/memcheck.py $(ARGS)

compilers: .venv-builds/installed.stamp
	.venv-builds/bin/python tests/compilers.py --build build/compilers $(ARGS)

emulate: .venv-builds/installed.stamp
	@$(call PIP,builds) pip
	.venv-builds/bin/python tests/emulate.py --build build/emulated $(ARGS)

planted: .venv-builds/installed.stamp
	.venv-builds/bin/python tests/plant.py --build build/planted $(ARGS)

mutate: .venv-mutants/installed.stamp
	.venv-mutants/bin/python tests/mutate.py --build build/mutants $(ARGS)

# All three say what they have to say before it fails. cython-lint looks for pycodestyle on the path.
lint: .venv-lint/installed.stamp
	@export PATH="$(CURDIR)/.venv-lint/bin:$$PATH"; status=0; for command in "ruff check ." "cython-lint sklearn_cnn" mypy; do \
	    echo "$$command"; $$command || status=1; \
	done; exit $$status

# 64-bit ARM with the compiler of Debian's gcc-aarch64-linux-gnu: one module, which takes a minute; `ninja -C build/aarch64` makes
# them all. Without MAKEFLAGS ninja does not complain about a server of jobs that make keeps to itself. Debian's own Python asks for a
# header of the other processor's Python, and gets that of this one, which says the same about numbers and pointers.
CROSS_HEADER := build/headers/aarch64-linux-gnu/python$$(python -c 'import sysconfig; print(sysconfig.get_python_version())')/pyconfig.h
cross: .venv-cross/created.stamp
	@$(call PIP,cross) $(call GROUP,build)
	@export PATH="$(CURDIR)/.venv-cross/bin:$$PATH" CPATH="$(CURDIR)/build/headers"; set -e; \
	    mkdir -p "$$(dirname "$(CROSS_HEADER)")"; \
	    python -c 'from sysconfig import *; print("#include <%s/../%s/python%s/pyconfig.h>" % (get_path("include"), get_config_var("MULTIARCH"), get_python_version()))' > "$(CROSS_HEADER)"; \
	    test -d build/aarch64 || meson setup --buildtype=release --cross-file tests/aarch64.ini build/aarch64 .; \
	    MAKEFLAGS= ninja -C build/aarch64 "sklearn_cnn/_kernels/float32_neon$$(python -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')"

# Objects for macOS and Windows, with the compiler that the package ziglang brings.
systems: .venv-cross/created.stamp
	@$(call PIP,cross) $(call GROUP,build) ziglang
	@.venv-cross/bin/python tests/systems.py --build build/systems $(ARGS)

examples: .venv-docs/installed.stamp
	@set -e; for example in examples/plot_*.py; do \
	    echo; echo "running $$example"; (cd .venv-docs && MPLBACKEND=agg bin/python ../$$example); \
	done

# Every number in the pages first, then the pages, then their links; Sphinx runs the examples, and a warning is an error.
docs: .venv-docs/installed.stamp
	cd .venv-docs && ls ../docs/*.rst ../docs/guide/*.rst | $(ONE_THREAD) xargs -P $(JOBS) -n 8 bin/python -P -m doctest -o ELLIPSIS -o NORMALIZE_WHITESPACE
	$(ONE_THREAD) .venv-docs/bin/python -P -m sphinx --quiet -W --keep-going -b html docs docs/_build/html $(ARGS)
	.venv-docs/bin/python docs/links.py docs/_build/html
	@echo "docs/_build/html/index.html"

bench-smoke: .venv-test/installed.stamp
	cd .venv-test && bin/python ../benchmarks/run.py --smoke $(ARGS)
	cd .venv-test && bin/python ../benchmarks/run.py cores
	cd .venv-test && bin/python ../benchmarks/run.py photograph_sizes --sides 28 --images 16 --epochs 1
	cd .venv-test && bin/python ../benchmarks/run.py features_cost --images 100 --rounds 1
	cd .venv-test && bin/python ../benchmarks/run.py serial_share --images 128 --rounds 1 --networks A-32 C-32
	cd .venv-test && bin/python ../benchmarks/run.py accuracy.optimisers --data digits --samples 500 --epochs 1 --seeds 1
	cd .venv-test && bin/python ../benchmarks/run.py scheduler_cost --tasks 50 --rounds 1
	if command -v wrk > /dev/null; then cd .venv-test && bin/python ../benchmarks/run.py serving --seconds 2; fi

wheel: .venv-wheel/installed.stamp
	cd .venv-wheel && bin/python -P -c "import sklearn_cnn; sklearn_cnn.show_versions()"
	@ls -l dist

dev: .venv-dev/created.stamp
	@$(call PIP,dev) $(call GROUP,build) $(call GROUP,lint) pip
# Without isolation meson and ninja are looked for on the path.
	@PATH="$(CURDIR)/.venv-dev/bin:$$PATH" $(call PIP,dev) --no-build-isolation --editable ".[test,demo]"
	@echo "ready:  source .venv-dev/bin/activate && pytest"

clean:
	rm -rf .venv-* build dist demo/output docs/_build docs/auto_examples docs/generated .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
