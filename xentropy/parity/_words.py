"""The matrix in words and in a table small enough to read: what every report shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from xentropy.parity._cases import identity
from xentropy.parity._matrix import Cell, Matrix


def units(x: float) -> str:
    """A number of units in the last place, short."""
    return f"{x:.2g}" if x < 1000 else f"{x:.1e}" if math.isfinite(x) else "∞"


def headline(matrix: Matrix) -> str:
    """The verdict in one sentence."""
    judged = sum(c.state != "skipped" for c in matrix.cells)
    skipped = len(matrix.cells) - judged
    left_out = f" ({skipped} skipped)" if skipped else ""
    if matrix.green:
        return f"All {judged} cells are within their budgets{left_out}."
    return f"{len(matrix.bad)} of {judged} cells are outside their budgets{left_out}."


def sentence(cell: Cell) -> str:
    """What happened in a cell."""
    finding = cell.worst
    if cell.note or finding is None:
        return cell.note or "as expected"
    return (
        f"{finding.what}: expected {finding.expected}, got {finding.got}, "
        f"{units(finding.error)} ulp of {units(finding.budget)} allowed"
    )


def worst_sentence(matrix: Matrix) -> str:
    """Which cell is nearest to its budget, or farthest beyond it."""
    cell = matrix.worst
    if cell is None:
        return "nothing was compared"
    return f"{cell.case}, {cell.column}: {sentence(cell)}"


def spread_sentence(matrix: Matrix) -> str:
    """How far the columns lie apart."""
    spread = matrix.widest
    if spread is None:
        return "one column alone"
    return f"{spread.case}, {spread.what}: {units(spread.units)} ulp"


def omissions(matrix: Matrix) -> list[str]:
    """What columns are declared to be without, each with its reason, where a case asked for it."""
    said = (f"{c.column}: {c.without}" for c in matrix.cells if c.without and c.state != "skipped")
    whole = dict.fromkeys(said)
    return [s for s in whole if not any(s != other and other.startswith(s) for other in whole)]


def summary(matrix: Matrix) -> Iterator[tuple[str, list[str]]]:
    """For every group and column one entry."""
    groups = dict.fromkeys(c.group for c in matrix.cases)
    held = _grouped(matrix)
    for group in groups:
        cells = (held[group, column.name] for column in matrix.columns)
        yield group, [summarised(part) for part in cells]


def _grouped(matrix: Matrix) -> dict[tuple[str, str], list[Cell]]:
    group_of = {identity(c): c.group for c in matrix.cases}
    held: dict[tuple[str, str], list[Cell]] = {}
    for cell in matrix.cells:
        held.setdefault((group_of[cell.case], cell.column), []).append(cell)
    return held


def summarised(cells: Sequence[Cell]) -> str:
    """One entry of the summary: how many cells are bad, or how much of a budget was used."""
    bad = sum(c.state == "bad" for c in cells)
    if bad:
        return f"✗ {bad}"
    if all(c.state == "skipped" for c in cells):
        return "–"
    return f"{max(c.ratio for c in cells):.0%}"
