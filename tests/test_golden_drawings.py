"""What the displays draw is, in numbers, what has been written down."""

import pytest
from golden import differences, recorded
from golden_drawings import DRAWINGS, FILE, described


@pytest.mark.parametrize("name", DRAWINGS)
def test_nothing_has_moved(name):
    """A change that is meant: look at the figure, then python tests/golden_drawings.py --write."""
    assert differences(described(*DRAWINGS[name]), recorded(FILE)[name]) == []


def test_every_drawing_is_written_down():
    assert {*recorded(FILE)} == {*DRAWINGS}


def test_differences_are_found():
    expected = {"size": [1.0, 2], "words": ["a", None]}
    assert differences({"size": [1.0 + 1e-9, 2], "words": ["a", None]}, expected) == []
    assert differences({"size": [1.1, 2], "words": ["a", None]}, expected) == ["/size/0 is 1.1 and was 1.0"]
    assert len(differences({"size": [1.0], "words": ["b", 0]}, expected)) == 3
