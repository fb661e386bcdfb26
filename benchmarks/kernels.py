"""Our kernels against the processor's limits, one row per instruction-set level."""

from benchmarks.limits import FLAGS
from benchmarks.supervisor import run_module

LEVELS = tuple(FLAGS)
AT_LEAST = {"forward": 0.75, "input gradient": 0.70, "weight gradient": 0.65}
LEVELS_WITH_TARGET = ("x86-64-v3", "x86-64-v4")


def run(level, settings):
    """Measure a level in a process of its own, and compare the geometry of the target with what is to be reached."""
    record = run_module(settings, "benchmarks.kernels_of_level", level, "smoke" if settings.smoke else "full")
    if "convolutions" in record and level in LEVELS_WITH_TARGET:
        target_entry = record["convolutions"][0]
        record["targets"] = [
            {
                "statement": f"{target_entry['name']}, {level}, {direction}: share of the multiply-add limit",
                "at_least": bound,
                "value": target_entry["fraction"][direction],
                "met": target_entry["fraction"][direction] >= bound,
            }
            for direction, bound in AT_LEAST.items()
        ]
    return record
