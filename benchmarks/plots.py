"""The report as plots: ratios, times and memory, each as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from benchmarks import table
from benchmarks.cases import DENSE, DIRECTIONS, DTYPES, LOSSES, Dims, size
from benchmarks.floors import floor_of, room_of
from benchmarks.report import Comparison, Report

COLOURS = {"float32": "#1f6f8b", "bfloat16": "#e0a526", "float16": "#b5495b"}
OURS, THEIRS = "#1f6f8b", "#a9a9a9"
PANELS = 4
FLOOR = "floor"


def draw(report: Report, folder: Path) -> list[Path]:
    """Every plot of a report that has something to show."""
    found = []
    for loss, direction in product(LOSSES, DIRECTIONS):
        of = "" if loss == DENSE else f"{loss}-"
        for what, panel in (("ratios", _ratios), ("times", _times), ("memory", _memory)):
            stem = folder / f"{of}{what}-{direction.replace('+', '-')}"
            found += _saved(stem, report, panel, (direction, loss))
    return found


Painter = Callable[[Any, Sequence[Any], Sequence[Dims]], None]
#: A direction and a loss.
Of = tuple[str, str]


def _saved(stem: Path, report: Report, panel: Callable[[Report, Of], Any], of: Of) -> list[Path]:
    """A figure with a panel for every column, as PNG and SVG."""
    title, paint, found = panel(report, of)
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
    labels += [FLOOR] * (paint in FLOORED)
    handles += [Line2D([], [], color="black", lw=2.5)] * (paint in FLOORED)
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


def _native(found: Sequence[Any], of: Of) -> list[Any]:
    """What is against the framework's own, with labels and an untrained model's logits."""
    chosen = [o for o in found if o.kind == "native" and (o.cell.direction, o.cell.loss) == of]
    return [one for one in chosen if (one.cell.targets, one.cell.rows) == ("hard", "normal")]


def _float32(found: Sequence[Any], of: Of) -> list[Any]:
    return [one for one in _native(found, of) if one.cell.dtype == "float32"]


def _ratios(report: Report, of: Of) -> tuple[str, Painter, list[Comparison]]:
    title = table.title("Time of ours over the framework's own", *of)
    return f"{title}, hard targets", _paint_ratios, _native(report.comparisons, of)


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


def _times(report: Report, of: Of) -> tuple[str, Painter, list[Comparison]]:
    title = table.title("Microseconds a call", *of)
    return f"{title}, float32, hard targets", _paint_times, _float32(report.comparisons, of)


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


def _memory(report: Report, of: Of) -> tuple[str, Painter, list[Any]]:
    dense = of[1] == DENSE
    beyond = "the inputs, in multiples of the logits" if dense else "inputs and gradients, in MB"
    title = table.title(f"Peak memory beyond {beyond}", *of)
    paint = _paint_memory if dense else _paint_room
    return f"{title}, float32, hard targets", paint, _float32(report.memory, of)


def _paint_memory(place: Any, found: Sequence[Any], shapes: Sequence[Dims]) -> None:
    for side, (label, colour) in enumerate((("ours", OURS), ("the framework's own", THEIRS))):
        at = [shapes.index(one.cell.shape) + (side - 0.5) * 0.4 for one in found]
        taken = [(one.ours if label == "ours" else one.theirs) / one.cell.nbytes for one in found]
        place.bar(at, taken, 0.4, color=colour, label=label)
    place.axhline(1.0, color="0.2", lw=1, ls="--")


def _paint_room(place: Any, found: Sequence[Any], shapes: Sequence[Dims]) -> None:
    """Megabytes without the gradients, with the floor across ours."""
    for side, (label, colour) in enumerate((("ours", OURS), ("the framework's own", THEIRS))):
        at = [shapes.index(one.cell.shape) + (side - 0.5) * 0.4 for one in found]
        place.bar(at, [one.extra[side] / 1e6 for one in found], 0.4, color=colour, label=label)
    floors = [(shapes.index(one.cell.shape) - 0.2, room_of(one)) for one in found]
    _floors(place, [(x, most / 1e6) for x, most in floors if most is not None], 0.4)
    place.set_yscale("symlog", linthresh=1.0)
    _plain_ticks(place)


#: The panels that show floors.
FLOORED = (_paint_ratios, _paint_room)
