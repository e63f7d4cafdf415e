"""What a run of `benchmarks.sharded` found, as the page and the plot read it and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sharded.model import WAYS, Case, Message
from benchmarks.summary import Spread


@dataclass(frozen=True)
class Point:
    """One way in one number of processes; seconds are those of the slowest process of a round."""

    way: str
    case: Case
    seconds: Spread
    rounds: int
    messages: Sequence[Message]
    loss: float
    apart: float
    load: float
    peak: int | None = None


@dataclass(frozen=True)
class Report:
    """Everything."""

    machine: Mapping[str, Any]
    points: Sequence[Point]
    left_out: Sequence[str] = ()

    def found(self, of: str) -> dict[str, list[Point]]:
        """The points of each way to a loss, by the number of processes."""
        names = [name for name, formula in WAYS.items() if formula.of == of]
        by_way = {name: [point for point in self.points if point.way == name] for name in names}
        return {name: points for name, points in by_way.items() if points}

    def write(self, path: Path) -> None:
        """Write it as JSON, a point a line."""
        lines = ",\n".join(f"  {json.dumps(_json(point))}" for point in self.points)
        parts = [
            f'"machine": {json.dumps(self.machine)}',
            f'"points": [\n{lines}\n]',
            f'"left_out": {json.dumps(list(self.left_out))}',
        ]
        path.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")


def read(path: Path) -> Report:
    """The report that a JSON holds."""
    held = json.loads(path.read_text("utf-8"))
    return Report(held["machine"], [_point(each) for each in held["points"]], held["left_out"])


def _json(point: Point) -> dict[str, Any]:
    case = {name: getattr(point.case, name) for name in Case.__dataclass_fields__}
    rest = {name: getattr(point, name) for name in Point.__dataclass_fields__ if name != "case"}
    return {"way": point.way, "case": case} | rest


def _point(held: Mapping[str, Any]) -> Point:
    made = dict(held)
    made["case"] = Case(**made["case"])
    made["seconds"] = Spread(*made["seconds"])
    made["messages"] = tuple(Message(*message) for message in made["messages"])
    return Point(**made)
