"""A short form of `python tests/fuzz_arguments.py`."""

import fuzz_arguments
from children import fuzz

SEED, N_CASES = 0, 500


def test_hostile_arguments_are_answered_or_refused():
    counts, failures = fuzz(fuzz_arguments.__file__, SEED, N_CASES)
    assert not failures, "\n".join(failures)
    assert counts.total() == N_CASES
    assert counts["answered"] > N_CASES / 20
    assert counts["ValueError"] > N_CASES / 5
