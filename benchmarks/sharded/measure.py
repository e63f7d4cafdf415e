"""The points of a run: for every number of processes the clocks, then the memory by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import peak
from benchmarks.machine import machine
from benchmarks.sharded import launch
from benchmarks.sharded.model import DENSE, HEAD, WAYS, Case, Message
from benchmarks.sharded.page import in_words
from benchmarks.sharded.report import Point, Report
from benchmarks.summary import spread

Watch = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """The shapes, the numbers of processes and the rounds of a run."""

    rows: int = 1024
    classes: int = 32000
    hidden: int = 256
    processes: tuple[int, ...] = (1, 2, 4)
    rounds: int = 5

    def case(self, of: str, processes: int) -> Case:
        """A case of a loss, or of a head."""
        return Case(self.rows, self.classes, processes, self.hidden if of == HEAD else 0)


QUICK = Plan(64, 1024, 16, rounds=3)


def measure(plan: Plan, watch: Watch, memory: bool = True) -> Report:
    """Measure everything, one group of processes after the other."""
    host = machine()
    points: list[Point] = []
    out: list[str] = []
    for count in plan.processes:
        for of in (DENSE, HEAD):
            watch(f"{in_words(count)}, {of}")
            found, failed = timed(plan, plan.case(of, count))
            points += remembered(found) if memory else found
            out += failed
    if memory and peak.lacking():
        out.append(f"memory: {peak.lacking()}")
    return Report(host, points, out)


def timed(plan: Plan, case: Case) -> tuple[list[Point], list[str]]:
    """The points of the ways of a case, called in turns; and why others are left out."""
    of = HEAD if case.hidden else DENSE
    names = [name for name, formula in WAYS.items() if formula.of == of]
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else -1.0
    left = launch.run(_request(case, names, plan.rounds), case.processes)
    failed = [f"{in_words(case.processes)}, {n}: {w}" for n, w in left[0]["failed"].items()]
    return [_point(name, case, left, load) for name in left[0]["samples"]], failed


def _point(name: str, case: Case, left: Sequence[dict[str, Any]], load: float) -> Point:
    """A point of what the processes left: a round is over when the last of them is."""
    samples = [max(together) for together in zip(*(x["samples"][name] for x in left), strict=True)]
    return Point(
        name,
        case,
        spread(samples),
        len(samples),
        _alike(name, [x["messages"][name] for x in left]),
        left[0]["losses"][name],
        float(f"{max(x['apart'][name] for x in left):.2g}"),
        load,
    )


def _alike(name: str, found: Sequence[list[list[Any]]]) -> list[Message]:
    """The messages, which are the same in all processes."""
    if any(each != found[0] for each in found):
        raise ValueError(f"{name}: processes sent different messages: {found}")
    return [Message(*message) for message in found[0]]


def remembered(points: Sequence[Point]) -> Sequence[Point]:
    """The same points with their memory, of a group that looks at nothing else."""
    if peak.lacking() or not points:
        return points
    case, names = points[0].case, [point.way for point in points]
    left = launch.run(_request(case, names, 0), case.processes)
    return [replace(point, peak=max(x["peaks"][point.way] for x in left)) for point in points]


def _request(case: Case, names: Sequence[str], rounds: int) -> dict[str, Any]:
    """What a process is asked; the processors are shared out among the processes."""
    threads = max(1, int(machine()["cores"]) // case.processes)
    return {"case": asdict(case), "ways": list(names), "threads": threads, "rounds": rounds}
