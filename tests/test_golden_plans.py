"""Algorithms, sizes and offsets of many networks are what has been written down."""

import pytest
from golden import differences, recorded
from golden_plans import FILE, NETWORKS, described

EXPECTED = recorded(FILE)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_plan_has_changed(name):
    """A change that is meant: python tests/golden_plans.py --write."""
    assert differences(described(*NETWORKS[name]), EXPECTED[name]) == []


def test_every_plan_is_written_down():
    assert {*EXPECTED} == {*NETWORKS}
    values = {record.get(name, [0])[0] for plan in EXPECTED.values() for record in plan["records"] for name in ("backward",)}
    assert len(values) == 3  # all ways to go back
