"""One report of what the backends' processes left; no framework is needed for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.cases import Cell, cell_of
from benchmarks.report import Comparison, Report, Taken, Timing
from benchmarks.summary import apart, ratio, spread

#: The cell on which every backend is compared with PyTorch's own function as well.
SMALL = Cell((32, 10))
#: Losses that differ by more than this share are spoken of: one side is wrong or overflowed.
SAME = 0.02

#: What a process wrote, or what it died of.
Left = Mapping[str, Any]


def join(
    machine: Mapping[str, Any],
    settings: Mapping[str, Any],
    timed: Mapping[str, Left],
    measured: Mapping[str, Left],
) -> Report:
    """The report of a run, from what each backend's two processes left."""
    found = [one for name, left in timed.items() for one in comparisons(name, left)]
    memory = [one for name, left in measured.items() for one in taken(name, left)]
    dispatch = {n: round(left["dispatch"], 1) for n, left in timed.items() if "dispatch" in left}
    out = [*left_out(timed, "time"), *left_out(measured, "memory"), *unlike(found)]
    return Report(machine, settings, dispatch, [*found, *small(found)], memory, out)


def comparisons(backend: str, left: Left) -> Iterator[Comparison]:
    """The comparisons of a backend."""
    for record in left.get("cells", ()):
        samples, cell = record["samples"], cell_of(record["cell"])
        for mode, kind, *names in record["pairs"]:
            if all(name in samples for name in names):
                ours, theirs = (_timing(record, name) for name in names)
                ratios = ratio(*(samples[name] for name in names))
                where = (backend, record["device"], mode, kind, cell)
                yield Comparison(*where, ours, theirs, ratios, len(samples[names[0]]))


def _timing(record: Mapping[str, Any], name: str) -> Timing:
    return Timing(name, spread(record["samples"][name]), record["losses"].get(name))


def small(found: Sequence[Comparison]) -> Iterator[Comparison]:
    """The smallest cell of every backend against PyTorch's own, which ran in another process."""
    natives = [one for one in found if one.cell == SMALL and one.kind == "native" and one.on_host]
    for reference in natives:
        if (reference.backend, reference.mode) == ("torch", "eager"):
            for one in natives:
                yield _against(one, reference.theirs)


def _against(one: Comparison, theirs: Timing) -> Comparison:
    ratios = apart(one.ours.seconds, theirs.seconds)
    where = (one.backend, one.device, one.mode, "PyTorch", one.cell)
    return Comparison(*where, one.ours, theirs, ratios, one.rounds)


def taken(backend: str, left: Left) -> Iterator[Taken]:
    """What the calls of a backend took."""
    for record in left.get("cells", ()):
        found, cell = record["bytes"], cell_of(record["cell"])
        for mode, kind, ours, theirs in record["pairs"]:
            if ours in found and theirs in found:
                where = (backend, record["device"], mode, cell)
                yield Taken(*where, found[ours], found[theirs], kind)


def left_out(lefts: Mapping[str, Left], what: str) -> list[str]:
    """Why something is missing, each reason of a contender once."""
    reasons: dict[str, list[str]] = {}
    for backend, left in lefts.items():
        if "death" in left:
            reasons[f"{what}, {backend}: {left['death']}"] = []
        for record in left.get("cells", ()):
            for name, why in record["failed"].items():
                cells = reasons.setdefault(f"{what}, {backend} {name}: {why}", [])
                cells.append(cell_of(record["cell"]).name)
    return [why + _cells(cells) for why, cells in reasons.items()]


def _cells(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f" ({names[0]}{more})"


def unlike(found: Iterable[Comparison]) -> Iterator[str]:
    """Cells whose two sides returned different losses."""
    for one in found:
        ours, theirs = one.ours.loss, one.theirs.loss
        if ours is None or theirs is None:
            continue
        if not math.isclose(ours, theirs, rel_tol=SAME, abs_tol=1e-4):
            yield f"{one.name}: the loss is {ours:.6g}, {one.theirs.name} says {theirs:.6g}"
