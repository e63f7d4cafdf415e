"""``python -m benchmarks.sharded``: from the command line to JSON, Markdown and a plot."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.sharded import page
from benchmarks.sharded.measure import QUICK, Plan, measure

NEEDED = ("matplotlib", "numpy", "torch")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.sharded", description=__doc__)
    made.add_argument("--out", type=Path, default=Path("bench-report"), metavar="DIR")
    made.add_argument("--quick", action="store_true", help="a small shape: whether it runs")
    made.add_argument("--no-memory", action="store_true", help="leave the memory out")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; the exit status is 0 whatever was found, for speed is no test."""
    made = parser()
    given = made.parse_args(arguments)
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        made.error(f"it needs {', '.join(absent)}: install the groups `bench` and `torch`")
    from benchmarks.sharded import plot

    watch = partial(print, file=sys.stderr, flush=True)
    report = measure(QUICK if given.quick else Plan(), watch, not given.no_memory)
    given.out.mkdir(parents=True, exist_ok=True)
    report.write(given.out / "sharded.json")
    (given.out / "sharded.md").write_text(page.page(report), "utf-8")
    plot.draw(report, given.out / "sharded.png")
    print(page.page(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
