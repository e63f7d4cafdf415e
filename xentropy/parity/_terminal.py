"""The matrix as a table in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xentropy.parity._matrix import Column, Matrix
from xentropy.parity._words import (
    headline,
    omissions,
    sentence,
    spread_sentence,
    summary,
    worst_sentence,
)
from xentropy.parity.columns import MODES

#: Cells outside their budget that are listed one by one.
LISTED = 40
#: The mode whose columns stand apart.
DROP_IN = MODES[-1]
#: Column heads that fit eight into eighty characters, all on two lines.
SHORT = {"tensorflow": "tensor-\nflow"}


def print_report(console: Console, matrix: Matrix) -> None:
    """The table, the cells outside their budgets, and the two sentences."""
    for table in _tables(matrix):
        console.print(table)
    console.print("[dim]the largest share of an error budget used; ✗: cells outside it")
    for omission in omissions(matrix):
        console.print(f"[dim]left out, {escape(omission)}", highlight=False)
    for cell in matrix.bad[:LISTED]:
        where = f"[red]✗[/red] [bold]{escape(cell.column)}[/bold]  {escape(cell.case)}"
        console.print(f"{where}\n    {escape(sentence(cell))}", highlight=False)
    if len(matrix.bad) > LISTED:
        console.print(f"... and {len(matrix.bad) - LISTED} more")
    for column in matrix.columns:
        if column.death:
            console.print(f"[red]{escape(column.name)} died:[/red] {escape(column.death)}")
    console.print(f"[bold]Worst cell[/bold] {escape(worst_sentence(matrix))}", highlight=False)
    console.print(f"[bold]Farthest apart[/bold] {escape(spread_sentence(matrix))}", highlight=False)
    colour = "green" if matrix.green else "red"
    console.print(f"[bold {colour}]{headline(matrix)}")


def _tables(matrix: Matrix) -> Iterator[Table]:
    """The cases, and a table for every mode with the mode over it, side by side.

    The drop-ins follow below: all columns beside each other are wider than eighty characters.
    """
    starts = accumulate((len(columns) for _, columns in matrix.modes), initial=0)
    placed = [
        (mode, columns, start) for (mode, columns), start in zip(matrix.modes, starts, strict=False)
    ]
    for below in (False, True):
        together = [part for part in placed if (part[0] == DROP_IN) is below]
        if together:
            yield _abreast(matrix, together)


def _abreast(matrix: Matrix, modes: Sequence[tuple[str, list[Column], int]]) -> Table:
    """The cases and some modes, each with the place of its first column."""
    rows = list(summary(matrix))
    shown = Table.grid(padding=(0, 2, 0, 0))
    parts = [_part(" ", ["cases"], [[escape(group)] for group, _ in rows], ["[dim]seconds"])]
    for mode, columns, start in modes:
        entries = [[_styled(e) for e in line[start : start + len(columns)]] for _, line in rows]
        seconds = [f"[dim]{c.seconds:.0f}" for c in columns]
        parts.append(_part(mode, [c.backend for c in columns], entries, seconds))
    shown.add_row(*parts)
    return shown


def _part(title: str, heads: list[str], entries: list[list[str]], last: list[str]) -> Table:
    """One of the tables. What does not fit is cut, so that the lines of all of them stay level."""
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for head in heads:
        short = SHORT.get(head, f"\n{escape(head)}")
        table.add_column(short, justify="left" if head == "cases" else "right", no_wrap=True)
    for line in (*entries, last):
        table.add_row(*line)
    return table


def _styled(entry: str) -> str:
    colours = {"✗": "red", "–": "dim"}
    return f"[{colours.get(entry[0], 'green')}]{entry}"
