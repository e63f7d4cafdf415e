"""The matrix as a table in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xentropy.parity._matrix import Matrix
from xentropy.parity._words import (
    headline,
    omissions,
    sentence,
    spread_sentence,
    summary,
    worst_sentence,
)

#: Cells outside their budget that are listed one by one.
LISTED = 40
#: Column heads that fit eight into eighty characters, all on two lines.
SHORT = {"tensorflow": "tensor-\nflow"}


def print_report(console: Console, matrix: Matrix) -> None:
    """The table, the cells outside their budgets, and the two sentences."""
    console.print(_tables(matrix))
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


def _tables(matrix: Matrix) -> Table:
    """The cases, and a table for every mode with the mode over it, side by side."""
    rows = list(summary(matrix))
    shown = Table.grid(padding=(0, 2, 0, 0))
    parts = [_part(" ", ["cases"], [[escape(group)] for group, _ in rows], ["[dim]seconds"])]
    start = 0
    for mode, columns in matrix.modes:
        stop = start + len(columns)
        entries = [[_styled(e) for e in line[start:stop]] for _, line in rows]
        seconds = [f"[dim]{c.seconds:.0f}" for c in columns]
        parts.append(_part(mode, [c.backend for c in columns], entries, seconds))
        start = stop
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
