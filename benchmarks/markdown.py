"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from benchmarks import table
from benchmarks.cases import DENSE, DIRECTIONS, LOSSES
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
    yield from (f"Ratios are {table.LEGEND}; quartiles of the rounds in parentheses.", "")
    for loss in LOSSES:
        yield from _loss(report, loss)
    for direction in DIRECTIONS:
        title = f"Time over the bare matrix products, {direction}"
        yield from _titled(title, products_tables(report, direction, wordy=True))
    yield from _titled("Small inputs and dispatch", small_table(report))
    yield from _titled("GB/s on an accelerator", lines_table(table.RATES, table.rates(report)))
    yield from _titled("Floors that are not met", (f"- {_plain(each)}" for each in missed(report)))
    yield from _titled("Left out", (f"- {_plain(each)}" for each in report.left_out))


def _loss(report: Report, loss: str) -> Iterator[str]:
    """The tables of a loss."""
    name = partial(table.title, loss=loss)
    for way in DIRECTIONS:
        yield from _titled(name("Time", way), ratio_tables(report, way, True, loss))
    for way in DIRECTIONS:
        yield from _titled(name("Microseconds", way), _tables(*table.times(report, way, loss)))
    for way in DIRECTIONS:
        found = list(memory_tables(report, way, loss))
        legend = [f"{table.legend(loss).capitalize()}.", ""] if found else []
        yield from _titled(name("Peak memory", way), [*legend, *found])


def ratio_tables(
    report: Report, direction: str, wordy: bool = False, loss: str = DENSE
) -> Iterator[str]:
    """The ratios of a direction."""
    return _tables(*table.ratios(report, direction, wordy, loss))


def products_tables(report: Report, direction: str, wordy: bool = False) -> Iterator[str]:
    """The ratios to the matrix products of a head."""
    return _tables(*table.products(report, direction, wordy))


def memory_tables(report: Report, direction: str, loss: str = DENSE) -> Iterator[str]:
    """The peaks of a direction."""
    return _tables(*table.memory(report, direction, loss))


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
