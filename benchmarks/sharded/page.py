"""The points of a run as tables, beside the model's numbers; one that it does not give is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.markdown import lines_table
from benchmarks.sharded import model
from benchmarks.sharded.model import DENSE, HEAD, WAYS
from benchmarks.sharded.report import Point, Report

HEADS = ("one call, ms", "bytes handed over", "in messages", "peak, MB", "by the model")
#: What is told of the machine: other packages have no part in it.
TOLD = ("system", "architecture", "huge pages", "python", "torch")
#: Processes for which the model's table is written.
ACROSS = (1, 2, 4, 8, 64)
#: The cases of that table: what is computed, rows, classes and features.
SIZES = ((DENSE, 8192, 131072, 0), (HEAD, 8192, 131072, 4096))


def page(report: Report) -> str:
    """The whole page."""
    return "\n".join(["# Classes over several processes", "", *measured(report)]) + "\n"


def measured(report: Report) -> Iterator[str]:
    """The machine, and a table for each loss."""
    yield from (machine(report), "")
    for of in (DENSE, HEAD):
        yield from (f"### {titled(report, of)}", "", *lines_table(HEADS, lines(report, of)), "")
    yield from (f"- {each}" for each in (*report.left_out, *unlike(report)))


def machine(report: Report) -> str:
    """The machine and the versions in a sentence, and what ran beside."""
    held, loads = report.machine, sorted({point.load for point in report.points})
    rest = ", ".join(f"{name} {held[name]}" for name in TOLD if name in held)
    cores = f"{held['processor']}, {held['cores']} cores"
    return f"{cores}; load before each group {loads[0]} to {loads[-1]}; {rest}."


def titled(report: Report, of: str) -> str:
    """The shape of a loss, in words."""
    case = next(iter(report.found(of).values()))[0].case
    logits = f"logits {case.rows} × {case.classes}"
    return f"{logits}, float32" if of == DENSE else f"A head of {case.hidden} features, {logits}"


def lines(report: Report, of: str) -> Iterator[tuple[str, list[str]]]:
    """A line for every number of processes and way."""
    points = [point for found in report.found(of).values() for point in found]
    for point in sorted(points, key=lambda each: each.case.processes):
        yield f"{in_words(point.case.processes)}: {point.way}", entries(point)


def entries(point: Point) -> list[str]:
    """The numbers of a point."""
    low, high = point.seconds.low, point.seconds.high
    peak = "–" if point.peak is None else f"{point.peak / 1e6:.1f}"
    return [
        f"{1e3 * point.seconds.median:.0f} ({1e3 * low:.0f}–{1e3 * high:.0f})",
        f"{model.sent(point.messages):,}",
        str(len(point.messages)),
        peak,
        held(point),
    ]


def held(point: Point) -> str:
    """What the model says of the memory; of a head of ours it is a bound."""
    bound = "≤ " if WAYS[point.way].messages is model.shards and point.case.hidden else ""
    return f"{bound}{WAYS[point.way].held(point.case) / 1e6:.1f}"


#: What is measured may be beyond the model by this: blocks, numbers of rows, other libraries' own.
ROOM = 16e6
#: Gradients of float32 that differ by more are not the same.
SAME = 1e-4


def unlike(report: Report) -> Iterator[str]:
    """Where a point is not what the model says, or ways do not compute the same."""
    for point in report.points:
        name, formula = f"{in_words(point.case.processes)}: {point.way}", WAYS[point.way]
        wanted = formula.messages(point.case)
        if list(point.messages) != wanted:
            yield f"{name}: sent {list(map(tuple, point.messages))}, the model says {wanted}"
        if point.peak is not None and point.peak > formula.held(point.case) + ROOM:
            yield f"{name}: held {point.peak} bytes, the model says {formula.held(point.case)}"
        if not point.apart <= SAME:
            yield f"{name}: a gradient is off by {point.apart}"


def model_table() -> Iterator[str]:
    """The model's numbers for a language model's batch, a column for a number of processes."""
    heads = [in_words(count) for count in ACROSS]
    for of, rows, classes, hidden in SIZES:
        shape = f"{rows} rows, {classes} classes" + (f", {hidden} features" if hidden else "")
        cases = [model.Case(rows, classes, count, hidden) for count in ACROSS]
        table = lines_table(heads, modelled(of, cases))
        yield from (f"### {of.capitalize()}: {shape}, float32, MB", "", *table, "")


def modelled(of: str, cases: Sequence[model.Case]) -> Iterator[tuple[str, list[str]]]:
    """What leaves a process on a ring, and what it holds, in each case."""
    chosen = {name: formula for name, formula in WAYS.items() if formula.of == of}
    for name, formula in chosen.items():
        passed = (model.wire(formula.messages(case), case.processes) for case in cases)
        yield f"on a ring: {name}", [f"{number / 1e6:,.2f}" for number in passed]
    for name, formula in chosen.items():
        yield f"held: {name}", [f"{formula.held(case) / 1e6:,.0f}" for case in cases]


def in_words(count: int) -> str:
    """A number of processes."""
    return f"{count} process" + "es" * (count > 1)
