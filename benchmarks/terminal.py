"""The report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import table
from benchmarks.cases import DIRECTIONS, HEAD, ITSELF, LOSSES
from benchmarks.floors import missed
from benchmarks.report import Report

#: What is not met is listed one by one up to here.
LISTED = 30


def print_report(console: Console, report: Report) -> None:
    """Ratios, memory, small inputs, and what is not met."""
    for loss in LOSSES:
        _print_loss(console, report, loss)
    _print_lines(console, "32x10, forward+backward", table.SMALL, list(table.small(report)))
    _print_lines(console, "GB/s", table.RATES, list(table.rates(report)))
    _print_rest(console, report)


def _print_loss(console: Console, report: Report, loss: str) -> None:
    """Ratios and memory of a loss, each with what its entries mean."""
    ratios = {("Time", d): table.ratios(report, d, loss=loss) for d in DIRECTIONS}
    _print_all(console, loss, ratios, table.LEGEND)
    if loss == HEAD:
        products = {("Time over products", d): table.products(report, d) for d in DIRECTIONS}
        _print_all(console, loss, products, table.PRODUCTS_LEGEND)
    peaks = {("Peak memory", d): table.memory(report, d, loss) for d in DIRECTIONS}
    _print_all(console, loss, peaks, table.legend(loss))


def _print_all(
    console: Console, loss: str, found: dict[tuple[str, str], table.Laid], legend: str
) -> None:
    """The tables that hold something, and the legend where there are any."""
    shown = {of: laid for of, laid in found.items() if laid[0]}
    for (what, direction), laid in shown.items():
        _print(console, table.title(what, direction, loss), LOSSES[loss].given, laid)
    if shown:
        console.print(f"[dim]{legend}", highlight=False)


def _print(console: Console, title: str, given: str, found: table.Laid) -> None:
    keys, sections = _narrow(found)
    shown = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown.add_column(f"\n{given}", no_wrap=True)
    for key in keys:
        shown.add_column("\n".join(key.head), justify="right", no_wrap=True)
    for section in sections:
        shown.add_row(f"[bold]{section.title}")
        for name, entries in section.rows:
            shown.add_row(name, *map(_styled, entries))
    console.print(shown)


def _narrow(found: table.Laid) -> table.Laid:
    """Without the columns of value_and_grad: a hundred characters have no room for them."""
    keys, sections = found
    held = [i for i, key in enumerate(keys) if key.mode != ITSELF]
    return [keys[i] for i in held], [
        table.Section(title, [(name, [entries[i] for i in held]) for name, entries in rows])
        for title, rows in sections
    ]


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
