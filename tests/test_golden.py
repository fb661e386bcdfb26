"""What displays draw, what plans decide and what summaries say is what has been written down.

A change that is meant: look at what it does, then run the `golden_*.py` that the failure names, with ``--write``.
"""

import golden_drawings
import golden_plans
import golden_words
import pytest
from golden import differences, recorded

MODULES = {module.__name__: module for module in (golden_drawings, golden_plans, golden_words)}
EXPECTED = {name: recorded(module.FILE) for name, module in MODULES.items()}


@pytest.mark.parametrize(("module", "case"), [(name, case) for name, module in MODULES.items() for case in module.CASES])
def test_nothing_has_changed(module, case):
    found = MODULES[module].described(*MODULES[module].CASES[case])
    assert differences(found, EXPECTED[module][case]) == []


@pytest.mark.parametrize("module", MODULES)
def test_everything_is_written_down(module):
    assert {*EXPECTED[module]} == {*MODULES[module].CASES}


def test_plans_go_back_in_every_way():
    records = [record for plan in EXPECTED["golden_plans"].values() for record in plan["records"]]
    assert len({record.get("backward", [0])[0] for record in records}) == 3


def test_differences_are_found():
    expected = {"size": [1.0, 2], "words": ["a", None]}
    assert differences({"size": [1.0 + 1e-9, 2], "words": ["a", None]}, expected) == []
    assert differences({"size": [1.1, 2], "words": ["a", None]}, expected) == ["/size/0 is 1.1 and was 1.0"]
    assert len(differences({"size": [1.0], "words": ["b", 0]}, expected)) == 3
    assert len(differences({"size": [1.0, 2]}, expected)) == 1
