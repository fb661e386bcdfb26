# The one door to everything that is run by hand; `make` alone lists the commands.
#
# Every environment is a directory .venv-<purpose> with a stamp file in it. The stamp is newer than the sources exactly when
# the package installed in that environment is up to date, so a command installs again only after something has changed.

PYTHON ?= python3
# Arguments for the command behind a target, e.g.  make test ARGS="-k pickle -x"
ARGS ?=
# Where `make demo` takes its images from: empty (look in the usual place), "digits", or a folder with Fashion-MNIST's four files.
DATA ?=

SOURCES := pyproject.toml README.md meson.build $(wildcard meson.options) \
           $(shell find sklearn_cnn -not -name '*.pyc' -not -name __pycache__)

# The requirements of the tools that are no part of the package stand in pyproject.toml, like everything else.
GROUP = $(shell $(PYTHON) -c 'import tomllib; print(*map(repr, tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["$(1)"]))')

QUIET_PIP := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs examples bench-smoke wheel dev clean
.DELETE_ON_ERROR:

help:
	@echo "make demo         train, search, pickle and draw on real images             (ARGS=..., DATA=digits or a folder)"
	@echo "make test         run the tests against the installed package                (ARGS=\"-k pickle -x\")"
	@echo "make lint         ruff, cython-lint and mypy"
	@echo "make examples     run every program in examples/"
	@echo "make docs         build the documentation into docs/_build/html"
	@echo "make bench-smoke  run every benchmark once, on tiny problems"
	@echo "make wheel        source distribution -> wheel -> installed wheel, into dist/"
	@echo "make dev          editable installation in .venv-dev, compiled again at import"
	@echo "make clean        remove all of the above"

# ---------------------------------------------------------------------------------------------------------- environments

.venv-%/created.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sklearn_cnn needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one with  make PYTHON=/path/to/python3 ...")'
	@echo "creating .venv-$*"
	@rm -rf .venv-$*
	@$(PYTHON) -m venv .venv-$*
	@touch $@

.venv-demo/installed.stamp: .venv-demo/created.stamp $(SOURCES)
	@echo "installing sklearn_cnn and matplotlib into .venv-demo (this compiles the kernels, a minute or two the first time)"
	@.venv-demo/bin/python $(QUIET_PIP) ".[demo]"
	@touch $@

.venv-test/installed.stamp: .venv-test/created.stamp $(SOURCES)
	@echo "installing sklearn_cnn and its test requirements into .venv-test (this compiles the kernels)"
	@.venv-test/bin/python $(QUIET_PIP) ".[test]"
	@touch $@

.venv-lint/installed.stamp: .venv-lint/created.stamp pyproject.toml
	@echo "installing the linters into .venv-lint"
	@.venv-lint/bin/python $(QUIET_PIP) $(call GROUP,lint)
	@touch $@

.venv-docs/installed.stamp: .venv-docs/created.stamp $(SOURCES)
	@echo "installing sklearn_cnn and Sphinx into .venv-docs"
	@.venv-docs/bin/python $(QUIET_PIP) ".[examples]" $(call GROUP,docs)
	@touch $@

# --------------------------------------------------------------------------------------------------------------- commands

demo: .venv-demo/installed.stamp
	@.venv-demo/bin/python demo/run.py $(if $(DATA),--data $(DATA)) $(ARGS)

# From inside the environment and with -P: the folder sklearn_cnn/ here has no compiled modules and must not be imported.
test: .venv-test/installed.stamp
	cd .venv-test && bin/python -P -m pytest ../tests $(ARGS)

# All three say what they have to say before it fails. cython-lint looks for pycodestyle on the path.
lint: .venv-lint/installed.stamp
	@export PATH="$(CURDIR)/.venv-lint/bin:$$PATH"; status=0; for command in "ruff check ." "cython-lint sklearn_cnn" mypy; do \
	    echo "$$command"; $$command || status=1; \
	done; exit $$status

examples: .venv-docs/installed.stamp
	@set -e; for example in examples/plot_*.py; do \
	    echo; echo "running $$example"; (cd .venv-docs && MPLBACKEND=agg bin/python ../$$example); \
	done

# Every number in the pages first, then the pages; Sphinx runs the examples, and a warning is an error.
docs: .venv-docs/installed.stamp
	cd .venv-docs && bin/python -P -m doctest -o ELLIPSIS -o NORMALIZE_WHITESPACE ../docs/*.rst ../docs/guide/*.rst
	.venv-docs/bin/python -P -m sphinx --quiet -W --keep-going -b html docs docs/_build/html $(ARGS)
	@echo "docs/_build/html/index.html"

bench-smoke: .venv-test/installed.stamp
	cd .venv-test && bin/python ../benchmarks/run.py --smoke $(ARGS)

# `build` makes the wheel from the unpacked source distribution, never from this folder: what is not in it is missed here.
wheel: .venv-wheel/created.stamp
	@test -z "$$(git status --porcelain)" || echo "note: a source distribution holds what is committed; there are uncommitted changes"
	rm -rf dist
	.venv-wheel/bin/python $(QUIET_PIP) build
	.venv-wheel/bin/python -m build --quiet --outdir dist .
	.venv-wheel/bin/python $(QUIET_PIP) --force-reinstall dist/*.whl
	cd .venv-wheel && bin/python -P -c "import sklearn_cnn; sklearn_cnn.show_versions()"
	@ls -l dist

dev: .venv-dev/created.stamp
	.venv-dev/bin/python $(QUIET_PIP) $(call GROUP,build) $(call GROUP,lint)
	.venv-dev/bin/python $(QUIET_PIP) --no-build-isolation --editable ".[test,demo]"
	@echo "ready:  source .venv-dev/bin/activate && pytest"

clean:
	rm -rf .venv-demo .venv-test .venv-lint .venv-docs .venv-wheel .venv-dev build dist demo/output docs/_build docs/auto_examples \
	       docs/generated .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
