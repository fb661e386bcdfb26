"""A call that fails or is interrupted anywhere leaves everything as it was: a short form of `python tests/faults.py`."""

import signal

import numpy as np
import pytest
from faults import CASES, Case, Fault, classifier, examine, expected_of, fault_at, inject, interrupt, points_of

SEED = 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_a_call_that_fails_changes_nothing(name):
    outcomes, failures = inject(name, SEED, 8)
    assert failures == []
    assert outcomes["nothing changed"] > 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="interrupts come by a timer of Unix")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_a_call_that_is_interrupted_changes_nothing(name):
    outcomes, failures = interrupt(name, SEED, 4)
    assert failures == []
    assert outcomes.total() == 4


class Halfway:
    """An estimator that changes before it has finished."""

    def __init__(self):
        self.first = self.second = 0

    def fit(self):
        self.first += 1
        self.second += 1


def test_a_state_that_changes_in_parts_is_found(monkeypatch):
    monkeypatch.setattr("faults.content", lambda value: ("", dict(vars(value))) if isinstance(value, Halfway) else None)
    case = Case(lambda folder: Halfway(), lambda network, folder: network.fit())
    line = Halfway.fit.__code__.co_firstlineno + 2
    with pytest.raises(AssertionError, match="a part of the state"):
        examine(case, expected_of(case), fault_at(__file__, line, 1, Fault))


def test_what_a_fault_leaves_changed_in_the_process_is_found():
    case = Case(lambda folder: classifier(), lambda network, folder: np.seterr(all="raise"))
    with np.errstate(), pytest.raises(AssertionError, match="NumPy's errors"):
        examine(case, expected_of(Case(case.make, lambda network, folder: None)), lambda call: bool(call()))


def test_lines_of_all_wings_are_among_those_that_fail():
    files = {file.replace("\\", "/").rsplit("sklearn_cnn/", 1)[1].split("/")[0] for file, _, _ in points_of(CASES["fit"], 0)}
    assert files >= {"_estimator", "_training", "_network", "_kernels"}
