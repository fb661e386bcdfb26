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
        entry = record["convolutions"][0]
        record["targets"] = [_judge(entry, level, direction, bound) for direction, bound in AT_LEAST.items()]
    return record


def _judge(entry, level, direction, bound):
    """Compare one direction of a geometry with its target; it may not have been measurable."""
    target = {
        "statement": f"{entry['name']}, {level}, {direction}: share of the multiply-add limit",
        "at_least": bound,
    }
    if direction in entry["fraction"]:
        value = entry["fraction"][direction]
        target.update(value=value, met=value >= bound)
    return target
