"""The report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import table
from benchmarks.cases import DIRECTIONS
from benchmarks.floors import missed
from benchmarks.report import Report

#: What is not met is listed one by one up to here.
LISTED = 30


def print_report(console: Console, report: Report) -> None:
    """Ratios, memory, small inputs, and what is not met."""
    for direction in DIRECTIONS:
        _print(console, f"Time, {direction}", table.ratios(report, direction))
    console.print(f"[dim]{table.LEGEND}", highlight=False)
    for direction in DIRECTIONS:
        _print(console, f"Peak memory, {direction}", table.memory(report, direction))
    console.print(f"[dim]{table.MEMORY_LEGEND}", highlight=False)
    _print_lines(console, "32x10, forward+backward", table.SMALL, list(table.small(report)))
    _print_lines(console, "GB/s", table.RATES, list(table.rates(report)))
    _print_rest(console, report)


def _print(
    console: Console, title: str, found: tuple[list[table.Key], list[table.Section]]
) -> None:
    keys, sections = found
    if not keys:
        return
    shown = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown.add_column("\nlogits", no_wrap=True)
    for key in keys:
        shown.add_column("\n".join(key.head), justify="right", no_wrap=True)
    for section in sections:
        shown.add_row(f"[bold]{section.title}")
        for name, entries in section.rows:
            shown.add_row(name, *map(_styled, entries))
    console.print(shown)


def _print_lines(
    console: Console, title: str, heads: Sequence[str], lines: list[tuple[str, list[str]]]
) -> None:
    if not lines:
        return
    shown = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown.add_column("")
    for head in heads:
        shown.add_column(head, justify="right", no_wrap=True)
    for name, entries in lines:
        shown.add_row(name, *map(_styled, entries))
    console.print(shown)


def _print_rest(console: Console, report: Report) -> None:
    found = missed(report)
    for line in found[:LISTED]:
        console.print(f"[red]✗[/red] {escape(line)}", highlight=False)
    if len(found) > LISTED:
        console.print(f"... and {len(found) - LISTED} more")
    for line in report.left_out:
        console.print(f"[dim]{escape(line)}", highlight=False)
    if table.warning(report):
        console.print(f"[bold yellow]{table.warning(report)}", highlight=False)
    colour = "red" if found else "green"
    console.print(f"[bold {colour}]{table.floors_line(report)}", highlight=False)


def _styled(entry: str) -> str:
    """Green where a floor is met, red where it is not, dim where there is nothing."""
    colours = {"✓": "green", "✗": "red", table.NONE: "dim"}
    colour = colours.get(entry[-1])
    return f"[{colour}]{entry}[/{colour}]" if colour else escape(entry)
