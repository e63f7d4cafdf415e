"""What a run found, as the tables and plots read it and as JSON holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import Cell, cell_of
from benchmarks.summary import Spread

#: Devices that are the host's processor, as the frameworks call it.
HOST = ("cpu", "CPU")


@dataclass(frozen=True)
class Timing:
    """Seconds a call of one contender, and the loss that it returned."""

    name: str
    seconds: Spread
    loss: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Ours against another in one cell, timed in turns."""

    backend: str
    device: str
    mode: str
    kind: str
    cell: Cell
    ours: Timing
    theirs: Timing
    ratio: Spread
    rounds: int

    @property
    def on_host(self) -> bool:
        """Whether it ran on the host's processor."""
        return self.device in HOST

    @property
    def name(self) -> str:
        """Where it was, in words."""
        return f"{self.backend} {self.mode} {self.cell.name}"

    def rate(self, of: Timing) -> float:
        """The bytes a second of a timing: those that nothing can avoid, or a copy's."""
        moved = 2 * self.cell.nbytes if of.name == "copy" else self.cell.moved
        return moved / of.seconds.median


@dataclass(frozen=True)
class Taken:
    """Bytes at the peak of a call beyond its inputs; gradients are part of them."""

    backend: str
    device: str
    mode: str
    cell: Cell
    ours: int
    theirs: int
    kind: str = "native"

    @property
    def name(self) -> str:
        """Where it was, in words."""
        return f"{self.backend} {self.mode} {self.cell.name}"

    @property
    def extra(self) -> tuple[int, int]:
        """Ours and theirs without the gradients."""
        gradients = self.cell.gradients
        return max(0, self.ours - gradients), max(0, self.theirs - gradients)


@dataclass(frozen=True)
class Report:
    """Everything."""

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    dispatch: Mapping[str, float]
    comparisons: Sequence[Comparison]
    memory: Sequence[Taken]
    left_out: Sequence[str] = field(default_factory=tuple)

    def write(self, path: Path) -> None:
        """Write it as JSON, a comparison a line."""
        head = {"machine": self.machine, "settings": self.settings, "dispatch": self.dispatch}
        parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        for name, records in (
            ("comparisons", map(_comparison, self.comparisons)),
            ("memory", map(_taken, self.memory)),
            ("left_out", iter(self.left_out)),
        ):
            lines = ",\n".join(f"  {json.dumps(record)}" for record in records)
            parts.append(f'"{name}": [\n{lines}\n]')
        path.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")


def read(path: Path) -> Report:
    """The report that a JSON holds."""
    held = json.loads(path.read_text("utf-8"))
    return Report(
        held["machine"],
        held["settings"],
        held["dispatch"],
        [_read_comparison(each) for each in held["comparisons"]],
        [_read_taken(each) for each in held["memory"]],
        held["left_out"],
    )


def _comparison(one: Comparison) -> dict[str, Any]:
    return (
        {"backend": one.backend, "device": one.device, "mode": one.mode, "kind": one.kind}
        | one.cell.json()
        | {"ours": _timing(one.ours), "theirs": _timing(one.theirs)}
        | {"ratio": list(one.ratio), "rounds": one.rounds}
    )


def _timing(one: Timing) -> dict[str, Any]:
    # A loss may be infinite or NaN, which JSON does not have.
    loss = None if one.loss is None else repr(one.loss)
    return {"name": one.name, "seconds": list(one.seconds), "loss": loss}


def _taken(one: Taken) -> dict[str, Any]:
    where = {"backend": one.backend, "device": one.device, "mode": one.mode, "kind": one.kind}
    return where | one.cell.json() | {"ours": one.ours, "theirs": one.theirs}


def _read_comparison(held: dict[str, Any]) -> Comparison:
    return Comparison(
        held["backend"],
        held["device"],
        held["mode"],
        held["kind"],
        cell_of(held),
        _read_timing(held["ours"]),
        _read_timing(held["theirs"]),
        Spread(*held["ratio"]),
        held["rounds"],
    )


def _read_timing(held: dict[str, Any]) -> Timing:
    loss = None if held["loss"] is None else float(held["loss"])
    return Timing(held["name"], Spread(*held["seconds"]), loss)


def _read_taken(held: dict[str, Any]) -> Taken:
    backend, device, mode = held["backend"], held["device"], held["mode"]
    found = held["ours"], held["theirs"]
    return Taken(backend, device, mode, cell_of(held), *found, held.get("kind", "native"))
