"""A short form of `python tests/fuzz_geometry.py`, and that it finds what it is for."""

import numpy as np
import pytest
from fuzz_geometry import fuzz, run_case

from sklearn_cnn._network.network import Network

N_CASES = 200


@pytest.mark.parametrize("part", range(6))
def test_every_geometry_agrees_with_its_twin(part):
    counts, failures = fuzz(0, N_CASES * part, N_CASES)
    assert failures == []
    assert {kind.partition(",")[0] for kind in counts} == {"integers", "real numbers"}
    assert any("Winograd" in kind for kind in counts)


@pytest.mark.parametrize("name", ["scores", "gradients"])
def test_an_error_beyond_the_bound_is_found(monkeypatch, name):
    """Of some ten thousandths of the largest number."""
    original = getattr(Network, name)

    def wrong(self, *arguments, **options):
        results = original(self, *arguments, **options)
        array = results if name == "scores" else results[0]
        if array is not None:
            place = np.abs(array).argmax()
            array.reshape(-1)[place] *= 1 + 4e-4
        return results

    monkeypatch.setattr(Network, name, wrong)
    counts, failures = fuzz(0, 0, 20)
    assert len(failures) > counts.total()


def test_a_case_can_be_replayed():
    assert run_case(0, 7) == run_case(0, 7)
