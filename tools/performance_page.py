"""Write tables and plots of docs/performance.md from the reports of two runs, stored beside it.

    python tools/performance_page.py            write the tables, draw the plots
    python tools/performance_page.py --check    fail if the page holds other tables

`nox -s bench` leaves such a report in bench-report/report.json: of losses of logits it becomes
docs/performance.json, of linear heads alone docs/performance-heads.json. No framework is imported.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from blocks import DOCS, arguments, settle

# The benchmark is part of the checkout, not of what is installed; what is installed goes first.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import markdown, table
from benchmarks.cases import DIRECTIONS, HEAD
from benchmarks.report import Report, read

# Of all plots of a run those that the page shows.
PLOTS = ("ratios-forward", "ratios-forward-backward", "memory-forward-backward")
PAGE, RUN, HEADS = (DOCS / f"performance{end}" for end in (".md", ".json", "-heads.json"))


def block(lines: Iterable[str]) -> str:
    """Return everything between two marks of the page."""
    return "\n".join(lines) + "\n"


def tables(report: Report) -> Iterator[str]:
    """Lay out the tables of a report, each under its heading."""
    yield from about(report)
    for direction in DIRECTIONS:
        yield from titled(f"Time, {direction}", markdown.ratio_tables(report, direction))
    for direction in DIRECTIONS:
        found = markdown.memory_tables(report, direction)
        yield from titled(f"Peak memory, {direction}: ours/theirs, logits = 1", found)
    yield from titled("Small inputs, 32 × 10, forward+backward", markdown.small_table(report))


def about(report: Report) -> Iterator[str]:
    """Say where a report is from."""
    yield from (f"{markdown.machine(report)} {table.floors_line(report)}.", "")


def head_tables(report: Report) -> Iterator[str]:
    """Lay out the tables of a linear head."""
    yield from about(report)
    for direction in DIRECTIONS:
        found = markdown.ratio_tables(report, direction, loss=HEAD)
        yield from titled(f"Time of a head, {direction}", found)
    for direction in DIRECTIONS:
        found = markdown.products_tables(report, direction)
        yield from titled(f"Time over the bare matrix products, {direction}", found)
    for direction in DIRECTIONS:
        found = markdown.memory_tables(report, direction, HEAD)
        title = f"Peak memory of a head, {direction}: ours/theirs, MB beyond inputs and gradients"
        yield from titled(title, found)


def titled(title: str, lines: Iterator[str]) -> Iterator[str]:
    """Put a heading over what is not empty."""
    held = list(lines)
    if held:
        yield from (f"### {title}", "", *held)


def draw(report: Report) -> None:
    """Draw the page's plots."""
    from benchmarks import plots

    with tempfile.TemporaryDirectory() as folder:
        plots.draw(report, Path(folder))
        for name in PLOTS:
            shutil.copyfile(Path(folder) / f"{name}.png", picture(name))


def picture(name: str) -> Path:
    """Where a plot lies."""
    return PAGE.parent / "img" / f"performance-{name}.png"


def main() -> None:
    given, report = arguments(__doc__), read(RUN)
    made = {"performance": block(tables(report)), "heads": block(head_tables(read(HEADS)))}
    settle(PAGE, Path(__file__).name, made, check=given.check)
    if not given.check:
        draw(report)


if __name__ == "__main__":
    main()
