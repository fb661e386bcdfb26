"""Tables for the terminal."""


BUSY = 0.1  # processors at work before a row, above which the table warns


def _duration(seconds):
    """Write a duration in the unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _entrant_line(key, entrant, record, reference):
    if "seconds" not in entrant:
        reason = entrant.get("missing") or f"FAILED: {entrant.get('failed')}"
        return f"    {key:34s} {'missing: ' if 'missing' in entrant else ''}{reason}"
    seconds, median = entrant["seconds"], entrant["median_seconds"]
    rate = 1 / entrant["seconds_per_unit"]
    speed = f"{rate:10,.0f} {record['unit']}s/s" if record["unit"] == "image" else (
        f"{_duration(entrant['seconds_per_unit']):>10s} a {record['unit']}"
    )  # fmt: skip
    relative = f"{median / reference:7.2f} x our time" if reference else ""
    spread = f"{min(seconds) / median:.2f}-{max(seconds) / median:.2f}"
    checks = [f"{name} {entrant[name]:.4f}" for name in ("loss", "score", "agreement") if name in entrant]
    if not entrant.get("loss_agrees", True):
        checks.append("(NOT the others' loss)")
    return f"    {key:34s} {speed:22s} {relative:20s} spread {spread}  {' '.join(checks)}"


def _target_line(target):
    if "ratio" in target:
        value = f"{target['ratio']:.2f}x ({target['low']:.2f}-{target['high']:.2f}), at least {target['at_least']:.3g}x"
        value += f", against {target['against']}"
    elif "value" in target:
        spread = f" ({target['low']:.3g}-{target['high']:.3g})" if "low" in target else ""
        bound = f"at most {target['at_most']:g}" if "at_most" in target else f"at least {target['at_least']:g}"
        value = f"{target['value']:.3g}{spread}, {bound}"
    else:
        value = "not measured"
    verdict = {True: "reached", False: "SHORT", None: "-"}[target.get("met")]
    absent = f"; without {', '.join(target['absent'])}" if "met" in target and target.get("absent") else ""
    return f"{verdict:8s} {target['statement']}: {value}{absent}"


def _kernel_lines(record):
    """Print one line per geometry: the percentage of the limit for each direction."""
    limit = f"multiply-add limit {record['multiply_add_limit'] / 1e9:.0f} GFLOP/s"
    lines = [f"    {limit}; copying {record['copy_bandwidth'] / 1e9:.0f} GB/s"]
    for kind in ("convolutions", "poolings"):
        for entry in record[kind]:
            parts = [f"{name} {100 * value:4.0f} %" for name, value in entry["fraction"].items()]
            lines.append(f"    {entry['name']:44s} {'  '.join(parts)}")
    return lines


def render_row(name, record):
    """Return the table of one row."""
    lines = [name]
    if "failed" in record or "missing" in record:
        lines.append(f"    {'FAILED' if 'failed' in record else 'missing'}: {record.get('failed') or record['missing']}")
    if "entrants" in record:
        own = next(iter(record["entrants"].values()))
        reference = own.get("median_seconds")
        lines += [_entrant_line(key, entrant, record, reference) for key, entrant in record["entrants"].items()]
    if "convolutions" in record:
        lines += _kernel_lines(record)
    lines += [f"    {_target_line(target)}" for target in record.get("targets", [])]
    if None not in record.get("round_trips", [None]):
        before, after = map(_duration, record["round_trips"])
        lines.append(f"    a cache line goes to another processor and back in {before} before the race, in {after} behind it")
    if (record.get("busy_before") or 0.0) > BUSY:
        lines.append(f"    caution: {record['busy_before']:.2f} processors were busy before this row began")
    return "\n".join(lines)


def render_targets(rows):
    """Return all targets of all stored rows."""
    lines = ["", "What was to be reached"]
    for name, record in rows.items():
        lines += [f"    {name:28s} {_target_line(target)}" for target in record.get("targets", [])]
    return "\n".join(lines)


def render(stored):
    """Return everything that is stored."""
    tables = [render_row(name, record) for name, record in stored["rows"].items()]
    return "\n".join([*tables, render_targets(stored["rows"])])
