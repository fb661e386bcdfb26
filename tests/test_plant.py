"""The program that plants mistakes: it plants what its tables say, it sees who notices, and it sees who does not."""

import pytest
from copies import ROOT, Change, Mistake, copy_with_compiled
from plant import Planted, check_texts, failing_without, in_floors, in_kernels, noticed_by

INITIALIZERS = "_training/initializers.py"


def test_there_are_mistakes_enough_with_tests_that_exist():
    mistakes = in_floors() + in_kernels()
    assert len(mistakes) >= 80
    assert f"| {len(mistakes)} planted mistakes |" in (ROOT / "RELIABILITY.md").read_text(encoding="utf-8")
    assert len({mistake.name for mistake in mistakes}) == len(mistakes)
    assert all(path.is_file() for mistake in mistakes for path in mistake.test_files())


def test_every_text_is_where_its_mistake_is_to_be():
    check_texts(in_floors() + in_kernels())


@pytest.mark.parametrize("text", ["nowhere", "a"])
def test_a_text_that_is_not_there_once_ends_the_run(text):
    with pytest.raises(SystemExit, match="instead of once"):
        Change("file.py", text, "b").apply("a = a")


def test_a_table_whose_text_is_gone_is_refused():
    with pytest.raises(SystemExit, match="'gone' 0 times"):
        check_texts([Planted(INITIALIZERS, "«no such line»", "", "gone", "initializers")])


@pytest.mark.parametrize(
    ("mistake", "new"),
    [
        (Mistake("a.pxi", "f(«n - 1», x)", "n"), "f(((n) if planted == 3 else (n - 1)), x)"),
        (Mistake("a.h", "f(«n - 1», x)", "n"), "f((planted == 3 ? (n) : (n - 1)), x)"),
        (Mistake("a.pxi", "    «n += 1»", "n = 1"), "    if planted == 3:\n        n = 1\n    else:\n        n += 1"),
        (Mistake("a.pxi", "a\n  «F(n)\n»", "G(n)\n"), "a\n  if planted == 3:\n      G(n)\n  else:\n      F(n)\n"),
    ],
)
def test_a_switch_makes_the_mistake_or_leaves_it(mistake, new):
    assert mistake.switched(3).new == new
    assert mistake.switched(3).old == mistake.change().old


def test_a_mistake_is_noticed_and_a_change_that_is_none_is_not(tmp_path):
    real = next(mistake for mistake in in_floors() if mistake.file == INITIALIZERS)
    harmless = Planted(INITIALIZERS, "size = «math.prod(block.shape)»", "1 * math.prod(block.shape)", "harmless", "initializers")
    found = {mistake.name: noticed_by(copy_with_compiled(tmp_path, [mistake.change()]), mistake) for mistake in (real, harmless)}
    assert found["harmless"] == []
    assert found[real.name][0].startswith("tests/test_initializers.py::")
    assert failing_without(copy_with_compiled(tmp_path), found) == set()
