"""The report as plots: ratios, times and memory, each as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from benchmarks import table
from benchmarks.cases import DIRECTIONS, DTYPES, Dims, size
from benchmarks.floors import floor_of
from benchmarks.report import Comparison, Report

COLOURS = {"float32": "#1f6f8b", "bfloat16": "#e0a526", "float16": "#b5495b"}
OURS, THEIRS = "#1f6f8b", "#a9a9a9"
PANELS = 4
FLOOR = "floor"


def draw(report: Report, folder: Path) -> list[Path]:
    """Every plot of a report that has something to show."""
    found = []
    for direction in DIRECTIONS:
        title = direction.replace("+", "-")
        found += _saved(folder / f"ratios-{title}", report, _ratios, direction)
        found += _saved(folder / f"times-{title}", report, _times, direction)
        found += _saved(folder / f"memory-{title}", report, _memory, direction)
    return found


Painter = Callable[[Any, Sequence[Any], Sequence[Dims]], None]


def _saved(
    stem: Path, report: Report, panel: Callable[[Report, str], Any], direction: str
) -> list[Path]:
    """A figure with a panel for every column, as PNG and SVG."""
    title, paint, found = panel(report, direction)
    keys: dict[table.Key, list[Any]] = {}
    for one in found:
        keys.setdefault(table.Key(one.backend, one.mode, one.device), []).append(one)
    if not keys:
        return []
    figure = _figure(keys, paint, title)
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return paths


def _figure(keys: dict[table.Key, list[Any]], paint: Painter, title: str) -> Any:
    lines = -(-len(keys) // PANELS)
    across = min(len(keys), PANELS)
    figure, axes = plt.subplots(
        lines, across, figsize=(0.8 + 2.9 * across, 0.9 + 2.7 * lines), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for place, (key, found) in zip(axes.flat, keys.items(), strict=False):
        shapes = sorted({one.cell.shape for one in found}, key=lambda s: found_at(found, s))
        paint(place, found, shapes)
        place.set_title(" ".join(key.head).strip(), fontsize=10)
        _name(place, shapes)
    for place in list(axes.flat)[len(keys) :]:
        place.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    labels += [FLOOR] * (paint is _paint_ratios)
    handles += [Line2D([], [], color="black", lw=2.5)] * (paint is _paint_ratios)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    figure.suptitle(title, fontsize=12)
    return figure


def found_at(found: Sequence[Any], shape: Dims) -> int:
    """Where a shape is first met: the order of the table."""
    return next(i for i, one in enumerate(found) if one.cell.shape == shape)


def _name(place: Any, shapes: Sequence[Dims]) -> None:
    names = [size(shape).replace("x", "×") for shape in shapes]
    place.set_xticks(range(len(shapes)), names, rotation=40, ha="right", fontsize=8)
    place.grid(axis="y", alpha=0.3)
    place.set_axisbelow(True)
    place.spines[["top", "right"]].set_visible(False)


def _hard(found: Sequence[Any], direction: str) -> list[Any]:
    kinds = ("hard", "normal", direction)
    return [o for o in found if (o.cell.targets, o.cell.rows, o.cell.direction) == kinds]


def _native(report: Report, direction: str) -> list[Comparison]:
    return [one for one in _hard(report.comparisons, direction) if one.kind == "native"]


def _ratios(report: Report, direction: str) -> tuple[str, Painter, list[Comparison]]:
    title = f"Time of ours over the framework's own, {direction}, hard targets"
    return title, _paint_ratios, _native(report, direction)


def _paint_ratios(place: Any, found: Sequence[Comparison], shapes: Sequence[Dims]) -> None:
    """Bars that begin at 1: down is faster than the framework's own, up is slower."""
    dtypes = [dtype for dtype in DTYPES if any(one.cell.dtype == dtype for one in found)]
    width = 0.8 / len(dtypes)
    for step, dtype in enumerate(dtypes):
        chosen = [one for one in found if one.cell.dtype == dtype]
        shift = (step - (len(dtypes) - 1) / 2) * width
        at = [shapes.index(one.cell.shape) + shift for one in chosen]
        ratios = [one.ratio for one in chosen]
        heights = [ratio.median - 1 for ratio in ratios]
        place.bar(at, heights, width, bottom=1, color=COLOURS[dtype], label=dtype)
        place.vlines(at, [r.low for r in ratios], [r.high for r in ratios], color="0.25", lw=1)
        floors = [(x, floor_of(one)) for x, one in zip(at, chosen, strict=True)]
        _floors(place, [(x, most) for x, most in floors if most is not None], width)
    place.axhline(1.0, color="0.2", lw=1, ls="--")
    place.set_yscale("log")
    _plain_ticks(place)


def _floors(place: Any, floors: Sequence[tuple[float, float]], width: float) -> None:
    """A line across a bar where its floor is."""
    for x, most in floors:
        place.hlines(most, x - width / 2, x + width / 2, color="black", lw=2.5)


def _plain_ticks(place: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    place.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    place.yaxis.set_minor_formatter(NullFormatter())


def _times(report: Report, direction: str) -> tuple[str, Painter, list[Comparison]]:
    title = f"Microseconds a call, {direction}, float32, hard targets"
    found = [one for one in _native(report, direction) if one.cell.dtype == "float32"]
    return title, _paint_times, found


def _paint_times(place: Any, found: Sequence[Comparison], shapes: Sequence[Dims]) -> None:
    at = [shapes.index(one.cell.shape) for one in found]
    for label, colour, marker in (("ours", OURS, "o"), ("the framework's own", THEIRS, "s")):
        spreads = [(one.ours if label == "ours" else one.theirs).seconds for one in found]
        heights = [1e6 * each.median for each in spreads]
        place.plot(at, heights, marker, color=colour, label=label, ms=6)
        low, high = ([1e6 * getattr(s, end) for s in spreads] for end in ("low", "high"))
        place.vlines(at, low, high, color=colour, lw=1.5)
    place.set_yscale("log")
    place.set_xlim(-0.5, len(shapes) - 0.5)


def _memory(report: Report, direction: str) -> tuple[str, Painter, list[Any]]:
    title = f"Peak memory beyond the inputs, in multiples of the logits, {direction}, hard targets"
    found = [one for one in _hard(report.memory, direction) if one.cell.dtype == "float32"]
    return f"{title}, float32", _paint_memory, found


def _paint_memory(place: Any, found: Sequence[Any], shapes: Sequence[Dims]) -> None:
    for side, (label, colour) in enumerate((("ours", OURS), ("the framework's own", THEIRS))):
        at = [shapes.index(one.cell.shape) + (side - 0.5) * 0.4 for one in found]
        taken = [(one.ours if label == "ours" else one.theirs) / one.cell.nbytes for one in found]
        place.bar(at, taken, 0.4, color=colour, label=label)
    place.axhline(1.0, color="0.2", lw=1, ls="--")
