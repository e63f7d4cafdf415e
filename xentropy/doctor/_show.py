"""What the doctor found: as a table, with rich or without, and as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from typing import Any, NamedTuple

from xentropy import __version__
from xentropy._dispatch import GROUP
from xentropy.doctor._health import MODES, Agreement, Health

HEADS = ("backend", "version", "devices", "eager", "compiled")
CAPTION = "eager, compiled: the largest error of losses / of gradients, in units in the last place"


class Line(NamedTuple):
    """A backend in the table; `state` is what colours it."""

    state: str
    cells: tuple[str, ...]


def about() -> dict[str, Any]:
    """The package, the machine, and the backends of other distributions, which are not loaded."""
    return {
        "xentropy": __version__,
        "array-api-compat": _version("array-api-compat"),
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "plugins": {entry.name: entry.value for entry in entry_points(group=GROUP)},
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def is_fine(found: Sequence[Health], asked: bool) -> bool:
    """Whether nothing is wrong; what was asked for has to be there, and one backend has to be."""
    there = [health for health in found if health.installed]
    complete = len(there) == len(found) if asked else bool(there)
    return complete and not any(health.wrong for health in there)


def verdict(found: Sequence[Health], asked: bool) -> str:
    """The same in a sentence or two."""
    there = [health for health in found if health.installed]
    bad = [health.name for health in there if health.wrong]
    absent = [health.name for health in found if not health.installed]
    said = f"Something is wrong with {', '.join(bad)}." if bad else ""
    if absent and (asked or not there):
        extra = ",".join(absent) if asked else "numpy"
        how = (
            f'Not installed: {", ".join(absent)}. python -m pip install "xentropy-losses[{extra}]"'
        )
        return f"{said} {how}".lstrip()
    count = f"All {len(there)} backends agree" if len(there) > 1 else f"{there[0].name} agrees"
    return said or f"{count} with the exact numbers, within the bound that is promised."


# For people.


def lines(found: Sequence[Health]) -> list[Line]:
    """The rows of the table."""
    return [Line(_state(health), _cells(health)) for health in found]


def _state(health: Health) -> str:
    return "bad" if health.wrong else "good" if health.installed else "absent"


def _cells(health: Health) -> tuple[str, ...]:
    if not health.installed:
        return (health.name, "not installed", "", "", "")
    own, *others = [*health.versions.items()] or [(health.name, "?")]
    below = [f"{name} {number}" for name, number in others]
    mark = "✗" if health.wrong else "✓"
    return (
        f"{mark} {health.name}",
        f"{own[1]} ({', '.join(below)})" if below else own[1],
        ", ".join(health.devices),
        *(_apart(health, mode) for mode in MODES),
    )


def _apart(health: Health, mode: str) -> str:
    found = health.modes.get(mode)
    if found is None:
        return "–"
    gradient = "–" if found.gradient is None else _units(found.gradient)
    return f"{_units(found.value)} / {gradient}{' ✗' * (not found.fine)}"


def _units(x: float) -> str:
    return f"{x:.2g}" if math.isfinite(x) else "∞"


def remarks(found: Sequence[Health]) -> list[tuple[str, str]]:
    """What is wrong and what is not there, each after its backend's name."""
    return [(health.name, text) for health in found for text in (*health.wrong, *health.notes)]


def heading() -> str:
    """The package and the machine in a line, and the plugins in another."""
    held = about()
    line = (
        f"xentropy {held['xentropy']}, array-api-compat {held['array-api-compat']}, "
        f"Python {held['python']}, {held['system']} {held['machine']}, {held['cpus']} CPUs"
    )
    plugins = ", ".join(f"{name} ({value})" for name, value in held["plugins"].items())
    return f"{line}\nplugins: {plugins}" if plugins else line


def as_text(found: Sequence[Health], asked: bool) -> str:
    """Aligned columns."""
    rows = [HEADS, *(line.cells for line in lines(found))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    said = [f"{name}: {text}" for name, text in remarks(found)]
    parts = [[heading()], [*table, CAPTION], said, [verdict(found, asked)]]
    return "\n\n".join("\n".join(part) for part in parts if part)


def show(found: Sequence[Health], asked: bool) -> None:
    """Print it, as a table of rich's where there is one."""
    if find_spec("rich") is None:
        print(as_text(found, asked))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"good": "green", "bad": "red", "absent": "dim"}
    console, table = Console(highlight=False), Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in HEADS:
        table.add_column(head, overflow="fold")
    for line in lines(found):
        first, *rest = line.cells
        table.add_row(Text(first, colours[line.state]), *map(Text, rest))
    table.caption = Text(CAPTION)
    console.print(Text(heading()), soft_wrap=True)
    console.print(table)
    for name, text in remarks(found):
        console.print(Text.assemble((f"{name}: ", "bold"), text), soft_wrap=True)
    colour = "green" if is_fine(found, asked) else "red"
    console.print(Text(verdict(found, asked), f"bold {colour}"), soft_wrap=True)


# For machines.


def as_json(found: Sequence[Health], asked: bool) -> str:
    """One object; an error that is not finite has no number in JSON."""
    data = about() | {"fine": is_fine(found, asked), "backends": {h.name: _data(h) for h in found}}
    return json.dumps(data, allow_nan=False)


def _data(health: Health) -> dict[str, Any]:
    if not health.installed:
        return {"installed": False}
    return {
        "installed": True,
        "fine": not health.wrong,
        "versions": health.versions,
        "devices": health.devices,
        "compiler": health.compiler or None,
        **{mode: _numbers(health.modes.get(mode)) for mode in MODES},
        "wrong": health.wrong,
        "notes": health.notes,
    }


def _numbers(found: Agreement | None) -> dict[str, Any] | None:
    """Errors in units in the last place."""
    if found is None:
        return None
    errors = {"value": found.value, "gradient": found.gradient}
    return {
        "fine": found.fine,
        **{n: e if e is not None and math.isfinite(e) else None for n, e in errors.items()},
    }
