"""The matrix as a table in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xentropy.parity._matrix import Matrix
from xentropy.parity._words import headline, sentence, spread_sentence, summary, worst_sentence

#: Cells outside their budget that are listed one by one.
LISTED = 40
#: Column heads that fit eight into eighty characters.
SHORT = {"tensorflow": "tensor-\nflow", "compiled": "com-\npiled"}


def print_report(console: Console, matrix: Matrix) -> None:
    """The table, the cells outside their budgets, and the two sentences."""
    console.print(_table(matrix))
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


def _table(matrix: Matrix) -> Table:
    caption = "the largest share of an error budget used; ✗: cells outside it"
    table = Table(caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("cases", vertical="bottom")
    for column in matrix.columns:
        backend, _, mode = column.name.partition(" ")
        heads = (escape(SHORT.get(name, name)) for name in (backend, mode))
        table.add_column("\n".join(heads), justify="right", vertical="bottom")
    for group, entries in summary(matrix):
        table.add_row(escape(group), *(_styled(e) for e in entries))
    table.add_row("[dim]seconds", *(f"[dim]{c.seconds:.0f}" for c in matrix.columns))
    return table


def _styled(entry: str) -> str:
    colours = {"✗": "red", "–": "dim"}
    return f"[{colours.get(entry[0], 'green')}]{entry}"
