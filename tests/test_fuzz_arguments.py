"""A short form of `python tests/fuzz_arguments.py`."""

import signal

import fuzz_arguments
import pytest
from children import alarm, all_hold

SEED, N_CASES = 0, 500


def test_hostile_arguments_are_answered_or_refused():
    counts = all_hold(fuzz_arguments.__file__, SEED, N_CASES)
    assert counts["answered"] > N_CASES / 20
    assert counts["ValueError"] > N_CASES / 5


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="has no timer for the processor")
def test_a_case_that_does_not_end_is_ended():
    def hang():
        while True:
            pass

    with pytest.raises(TimeoutError, match="more than"), alarm(0.05):
        hang()
