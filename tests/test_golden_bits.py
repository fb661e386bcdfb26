"""What small networks learn and answer is, bit for bit, what has been written down, at every level."""

import platform

import golden_bits
import pytest
from copies import ROOT

from sklearn_cnn._kernels import available_levels


@pytest.mark.skipif(
    golden_bits.recorded()["toolchain"] != golden_bits.toolchain(),
    reason=f"the bits are those of {golden_bits.recorded()['toolchain']}, and this is {golden_bits.toolchain()}",
)
@pytest.mark.parametrize("level", available_levels())
def test_no_bit_has_changed(level):
    """A change that is meant: python tests/golden_bits.py --write, and a line under "Changed bits" of the changelog."""
    assert golden_bits.digests_of_level(level) == golden_bits.recorded()["levels"][level]


def test_every_network_is_written_down_at_every_level():
    """Every level of the kind of machine that they were written down on: another has levels of its own, but for the baseline."""
    levels, machine = golden_bits.recorded()["levels"], golden_bits.recorded()["toolchain"]["machine"]
    assert {*levels} >= ({*available_levels()} if machine == platform.machine() else {"baseline"})
    for digests in levels.values():
        assert {*digests} == {*golden_bits.NETWORKS}
        assert len({*digests.values()}) == len(digests) >= 12
    assert f"hashes of {len(golden_bits.NETWORKS)} networks " in (ROOT / "RELIABILITY.md").read_text(encoding="utf-8")
