"""The benchmarks that asv runs for each commit: all of them run, on a few images, without asv."""

import importlib
import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "asv"


@pytest.fixture
def suite(monkeypatch, request):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module(f"suites.{request.param}")


@pytest.mark.parametrize("suite", ["networks"], indirect=True)
@pytest.mark.parametrize(("kind", "prefix"), [("Speed", "time_"), ("Memory", "peakmem_")])
def test_every_network_is_measured(suite, kind, prefix, monkeypatch):
    monkeypatch.setattr(suite, "N_IMAGES", 40)
    benchmark = getattr(suite, kind)()
    names = [name for name in dir(benchmark) if name.startswith(prefix)]
    assert [name.removeprefix(prefix) for name in names] == ["fit", "partial_fit", "predict"]
    made = benchmark.setup_cache()
    for network in benchmark.params:
        benchmark.setup(made, network)
        before = benchmark.classifier.t_
        for name in names:
            getattr(benchmark, name)(made, network)
        assert (before, benchmark.classifier.t_) == (40, 80)  # begun again by fit, gone on by partial_fit


@pytest.mark.parametrize("suite", ["accuracy"], indirect=True)
def test_an_accuracy_is_tracked(suite):
    assert suite.track_accuracy_on_digits() > 0.95


def test_asv_finds_the_suites():
    text = (FOLDER / "asv.conf.json").read_text(encoding="utf-8")
    configuration = json.loads(re.sub(r"^ *//.*$", "", text, flags=re.MULTILINE))
    assert (FOLDER / configuration["benchmark_dir"]).is_dir()
    assert (FOLDER / configuration["repo"] / "pyproject.toml").is_file()
