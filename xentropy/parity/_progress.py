"""A bar for every process while the matrix is computed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xentropy.parity._run import Watch


@contextmanager
def progress(console: Console, names: Sequence[str], cases: int) -> Generator[Watch]:
    """Bars on the console; what it yields is told each case as it begins."""
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[case]}"),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {n: bars.add_task(n, total=cases, case="", start=False) for n in names}

        def watch(name: str, case: str) -> None:
            bars.start_task(tasks[name])
            bars.update(tasks[name], advance=1, case=case[:48])
            if bars.tasks[tasks[name]].finished:
                bars.update(tasks[name], case="")

        yield watch
