"""A bar for every process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.run import Watch


@contextmanager
def progress(console: Console, names: Sequence[str]) -> Iterator[Watch]:
    """Bars on the console; what it yields is told every line of a process."""
    columns = (
        TextColumn("{task.description:<17}"),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[cell]}"),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {n: bars.add_task(n, total=None, cell="", start=False) for n in names}

        def watch(name: str, line: str) -> None:
            total = line.removeprefix("total ")
            if total != line and total.isdecimal():
                bars.start_task(tasks[name])
                bars.update(tasks[name], total=int(total))
                return
            bars.update(tasks[name], advance=1, cell=line[:45])
            if bars.tasks[tasks[name]].finished:
                bars.update(tasks[name], cell="")

        yield watch
