"""Short forms of `python tests/endurance.py`, and that it finds what it is for."""

import platform

import endurance
import pytest
from endurance import MOST_LOST, failing, find_leaks, growth, limit_memory, soak

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="memory as Linux counts it")


@pytest.mark.filterwarnings("ignore")
def test_everything_that_has_to_be_true_of_a_random_fit_is():
    counts, failures = soak(0, seconds=60, n_steps=25)
    assert failures == []
    assert counts.total() == 25
    assert len(counts) > 10


def test_where_memory_ends_a_call_ends_and_nothing_else():
    assert limit_memory((0, 2, 10, 30, 80, 1000)) == []


@pytest.mark.filterwarnings("ignore")
def test_no_kind_of_call_loses_memory():
    assert find_leaks(0.02) == []


def test_a_call_that_loses_memory_is_named(monkeypatch):
    kept = []
    table = {"hoards": (lambda: kept.append(b"x" * 100 * MOST_LOST), 30), "forgets": (lambda: b"x" * 100 * MOST_LOST, 30)}
    monkeypatch.setattr(endurance, "calls", lambda share: table)
    (words,) = find_leaks(0.02)
    assert words.startswith("hoards lose")


def test_a_leak_is_found():
    kept = []
    assert growth(lambda: kept.append(b"x" * 100 * MOST_LOST), 300) > MOST_LOST  # more than lies about from earlier
    assert growth(lambda: b"x" * 10 * MOST_LOST, 300) < MOST_LOST


def test_a_call_that_ought_to_fail_has_to_fail():
    failing(lambda: 1 / 0, ZeroDivisionError)()
    with pytest.raises(AssertionError, match="did not fail"):
        failing(lambda: None, ZeroDivisionError)()
