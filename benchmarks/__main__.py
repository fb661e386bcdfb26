"""The one command: run the rows asked for, print each as it is done, and store them."""

import argparse
import fnmatch
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, report, results, rows


@dataclass(frozen=True)
class Settings:
    """How to measure.

    `interpreters` maps a module of benchmarks/peers to the Python it runs in ("" stands for all that are not named).
    """

    rounds: int
    warm_up_rounds: int
    round_seconds: float
    threads: tuple[int, ...]
    smoke: bool
    wheel: str | None
    interpreters: dict


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows to run: beginnings of names, or patterns like 'train-*'")
    parser.add_argument("--without", nargs="+", metavar="ROW", default=[], help="rows to leave out")
    parser.add_argument("--list", action="store_true", help="list the rows with their approximate duration, and stop")
    parser.add_argument("--smoke", action="store_true", help="everything once, on tiny problems; the numbers mean nothing")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each contender (default 5)")
    parser.add_argument("--warm-up-rounds", type=int, default=1, help="rounds before those (default 1)")
    parser.add_argument("--round-seconds", type=float, default=300, help="give a contender up after this long (default 300)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts (default 1 2)")
    parser.add_argument("--python", action="append", default=[], metavar="[PEER=]PATH",
                        help="interpreter for one file of benchmarks/peers, or for all of them")  # fmt: skip
    parser.add_argument("--wheel", help="the wheel to weigh (default: the one in dist/, else one is built)")
    parser.add_argument("--output", type=Path, default=results.DEFAULT, help="where the results are stored; rows already "
                        "there are kept unless they are run again")  # fmt: skip
    parser.add_argument("--print", dest="print_only", action="store_true", help="print what is stored, and stop")
    return parser.parse_args(arguments)


def read_settings(options):
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = tuple(number for number in options.threads if number <= available)
    if len(threads) < len(options.threads):
        print(f"only {available} processor(s) here: rows with more threads are left out")
    pairs = [text.split("=", 1) if "=" in text else ("", text) for text in options.python]
    return Settings(
        rounds=min(options.rounds, 2) if options.smoke else options.rounds,
        warm_up_rounds=options.warm_up_rounds,
        round_seconds=options.round_seconds,
        threads=threads[:1] if options.smoke else threads,
        smoke=options.smoke,
        wheel=options.wheel,
        interpreters=dict(pairs),
    )


def is_named(name, patterns):
    return any(name.startswith(pattern) or fnmatch.fnmatch(name, pattern) for pattern in patterns)


def main(arguments=None):
    options = parse_arguments(arguments)
    settings = read_settings(options)
    table = rows.all_rows(settings)
    chosen = {name: row for name, row in table.items()
              if (options.only is None or is_named(name, options.only)) and not is_named(name, options.without)}  # fmt: skip
    if options.print_only:
        print(report.render(results.read(options.output)))
        return 0
    if options.list:
        print("\n".join(f"{name:28s} about {row.seconds:5.0f} s" for name, row in chosen.items()))
        return 0
    if not chosen:
        print(f"no such row; there are: {', '.join(table)}", file=sys.stderr)
        return 2
    output = results.SMOKE if options.smoke and options.output == results.DEFAULT else options.output
    stored = results.read(output)
    for number, (name, row) in enumerate(chosen.items(), start=1):
        print(f"[{number}/{len(chosen)}] {name}", flush=True)
        before = machine.busy_processors(0.1 if options.smoke else 1.0)
        record = {**row.measure(), "measured": results.now(), "busy_before": before}
        stored = results.store(output, stored, name, record)
        print(report.render_row(name, record), flush=True)
    print(report.render_targets(stored["rows"]))
    print(f"stored in {output}")
    return 0 if results.all_of_ours_ran(stored["rows"], chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
