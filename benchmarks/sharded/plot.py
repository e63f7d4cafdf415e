"""A run as a plot: time, bytes on the wire and memory by the number of processes, and the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.sharded import model
from benchmarks.sharded.model import DENSE, HEAD, WAYS, Case, Message
from benchmarks.sharded.page import titled
from benchmarks.sharded.report import Point, Report

OURS, PARALLEL, GATHER = "#1f6f8b", "#e0a526", "#b5495b"
COLOURS = dict(zip(WAYS, (OURS, PARALLEL, GATHER, OURS, GATHER), strict=True))
MARKERS = {OURS: "o", PARALLEL: "s", GATHER: "^"}
#: The processes for which the model is drawn.
ACROSS = (1, 2, 4, 8, 16, 32, 64)

Measure = Callable[[Point], float | None]
Modelled = Callable[[str, Case], float]


def draw(report: Report, path: Path, mark: str = "") -> None:
    """The figure: a row for the dense loss, one for the head. ``mark`` is kept in the file."""
    figure, places = plt.subplots(2, 3, figsize=(10.5, 6.4), layout="constrained")
    for row, of in zip(places, (DENSE, HEAD), strict=True):
        found = report.found(of)
        _times(row[0], found)
        _against_model(row[1], found, _passed, lambda n, c: _ring(WAYS[n].messages(c), c))
        _against_model(row[2], found, _held, lambda n, c: WAYS[n].held(c) / 1e6)
        titles = ("ms a call", "MB from a process, on a ring", "MB held beyond the inputs")
        for place, title in zip(row, titles, strict=True):
            _dress(place, title)
        row[0].set_ylabel(titled(report, of).replace(", logits", "\nlogits"), fontsize=9)
        row[0].legend(fontsize=7, loc="upper right")
    figure.supxlabel("processes; lines are the model, points were measured", fontsize=10)
    figure.savefig(path, dpi=110, metadata={"Software": None, "Comment": mark})
    plt.close(figure)


def _times(place: Any, found: Mapping[str, Sequence[Point]]) -> None:
    """Medians between their quartiles."""
    for name, points in found.items():
        at = [point.case.processes for point in points]
        spreads = [point.seconds for point in points]
        colour = COLOURS[name]
        heights = [1e3 * each.median for each in spreads]
        place.plot(at, heights, MARKERS[colour] + "-", color=colour, lw=0.8, label=name)
        low, high = ([1e3 * getattr(s, end) for s in spreads] for end in ("low", "high"))
        place.vlines(at, low, high, color=colour, lw=2)
    place.set_ylim(0, 1.3 * place.get_ylim()[1])  # with room for the legend
    place.set_xlim(0.85, 4.7)


def _against_model(
    place: Any, found: Mapping[str, Sequence[Point]], measure: Measure, modelled: Modelled
) -> None:
    """Points, and the line on which the model puts them."""
    for name, points in found.items():
        case, colour = points[0].case, COLOURS[name]
        cases = [Case(case.rows, case.classes, count, case.hidden) for count in ACROSS]
        heights = [modelled(name, each) for each in cases]
        line = [(at, height) for at, height in zip(ACROSS, heights, strict=True) if height]
        place.plot(*zip(*line, strict=True), color=colour, lw=1, alpha=0.7)
        seen = [(point.case.processes, measure(point)) for point in points]
        pairs = [(at, height) for at, height in seen if height]
        if pairs:
            place.plot(*zip(*pairs, strict=True), MARKERS[colour], color=colour)
    place.set_yscale("log")


def _passed(point: Point) -> float:
    return _ring(point.messages, point.case)


def _ring(messages: Iterable[Message], case: Case) -> float:
    """Megabytes; one process alone sends nothing, for which a logarithm has no place."""
    return model.wire(messages, case.processes) / 1e6


def _held(point: Point) -> float | None:
    return None if point.peak is None else point.peak / 1e6


def _dress(place: Any, title: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    place.set_title(title, fontsize=10)
    place.set_xscale("log", base=2)
    place.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    place.xaxis.set_minor_locator(NullLocator())
    place.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    place.yaxis.set_minor_formatter(NullFormatter())
    place.grid(axis="y", alpha=0.3)
    place.spines[["top", "right"]].set_visible(False)
