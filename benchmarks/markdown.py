"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks import table
from benchmarks.cases import DIRECTIONS
from benchmarks.floors import missed
from benchmarks.report import Report


def page(report: Report) -> str:
    """The whole page."""
    return "\n".join(["# Benchmark", "", machine(report), *_body(report)]) + "\n"


def machine(report: Report) -> str:
    """The machine and the versions in a sentence."""
    held = dict(report.machine)
    cores, processor = held.pop("cores", "?"), held.pop("processor", "?")
    rest = ", ".join(f"{name} {value}" for name, value in held.items())
    told = table.warning(report)
    return f"{processor}, {cores} cores; {rest}." + (f" **{told}.**" if told else "")


def _body(report: Report) -> Iterator[str]:
    for direction in DIRECTIONS:
        yield from _titled(f"Time, {direction}", ratio_tables(report, direction, wordy=True))
    yield from (f"{table.LEGEND.capitalize()}; quartiles of the rounds in parentheses.", "")
    for direction in DIRECTIONS:
        yield from _titled(f"Microseconds, {direction}", _tables(*table.times(report, direction)))
    for direction in DIRECTIONS:
        yield from _titled(f"Peak memory, {direction}", memory_tables(report, direction))
    yield from (f"{table.MEMORY_LEGEND.capitalize()}.", "")
    yield from _titled("Small inputs and dispatch", small_table(report))
    yield from _titled("GB/s on an accelerator", lines_table(table.RATES, table.rates(report)))
    yield from _titled("Floors that are not met", (f"- {_plain(each)}" for each in missed(report)))
    yield from _titled("Left out", (f"- {_plain(each)}" for each in report.left_out))


def ratio_tables(report: Report, direction: str, wordy: bool = False) -> Iterator[str]:
    """The ratios of a direction."""
    return _tables(*table.ratios(report, direction, wordy))


def memory_tables(report: Report, direction: str) -> Iterator[str]:
    """The peaks of a direction."""
    return _tables(*table.memory(report, direction))


def small_table(report: Report) -> Iterator[str]:
    """Small inputs, and the dispatch."""
    return lines_table(table.SMALL, table.small(report))


def lines_table(heads: Sequence[str], lines: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """A table with a heading for every column but the first; nothing without lines."""
    rows = [_row([_plain(name), *entries]) for name, entries in lines]
    if rows:
        yield from (_row(["", *heads]), _row(["---"] + ["--:"] * len(heads)), *rows)


def _tables(keys: Sequence[table.Key], sections: Iterable[table.Section]) -> Iterator[str]:
    for section in sections:
        heads = [" ".join(key.head).strip() for key in keys]
        used = [i for i in range(len(keys)) if any(r[i] != table.NONE for _, r in section.rows)]
        yield _row([section.title, *(heads[i] for i in used)])
        yield _row(["---"] + ["--:"] * len(used))
        for name, entries in section.rows:
            yield _row([name.replace("x", " × "), *(entries[i] for i in used)])
        yield ""


def _titled(title: str, lines: Iterable[str]) -> Iterator[str]:
    held = list(lines)
    if held:
        yield from (f"## {title}", "", *held, "")


def _row(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _plain(text: str) -> str:
    """Text that no table or markup takes apart."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
