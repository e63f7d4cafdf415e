"""The matrix as JSON and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from xentropy.parity._cases import identity
from xentropy.parity._describe import call_text
from xentropy.parity._join import show
from xentropy.parity._matrix import Cell, Matrix
from xentropy.parity._words import (
    headline,
    omissions,
    sentence,
    spread_sentence,
    summary,
    worst_sentence,
)


def as_data(matrix: Matrix) -> dict[str, Any]:
    """The matrix as JSON holds it; what is not finite as text."""
    data = {
        "green": matrix.green,
        "verdict": headline(matrix),
        "worst": worst_sentence(matrix),
        "widest": spread_sentence(matrix),
        "columns": [
            {"name": c.name, "mode": c.mode, "seconds": c.seconds, "death": c.death}
            for c in matrix.columns
        ],
        "cases": [
            {"case": identity(c), "group": c.group, "call": call_text(c), "policy": c.policy}
            for c in matrix.cases
        ],
        "cells": [_cell_data(c) for c in matrix.cells],
        "spreads": [asdict(s) for s in matrix.spreads],
    }
    held: dict[str, Any] = finite(data)
    return held


def _cell_data(cell: Cell) -> dict[str, Any]:
    return asdict(cell) | {"ratio": cell.ratio}


def finite(value: Any) -> Any:
    """A value in which what is not finite has become text."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return show(value) if isinstance(value, float) and not math.isfinite(value) else value


def as_markdown(matrix: Matrix) -> str:
    """The summary, the cells outside their budget, and the worst cell."""
    lines = [
        "# Parity matrix",
        "",
        headline(matrix),
        "",
        f"- Worst cell: {_md(worst_sentence(matrix))}",
        f"- Columns farthest apart: {_md(spread_sentence(matrix))}",
        "",
        _md_row(["", *_md_modes(matrix)]),
        _md_row(["---"] * (len(matrix.columns) + 1)),
        _md_row(["", *(c.backend for c in matrix.columns)]),
        *(_md_row([group, *entries]) for group, entries in summary(matrix)),
        "",
        "Each entry is the largest share of a budget used, or ✗ and the cells beyond it.",
        *_md_omissions(matrix),
        *_md_bad(matrix),
        *_md_dead(matrix),
    ]
    return "\n".join(lines) + "\n"


def _md_modes(matrix: Matrix) -> Iterator[str]:
    """The mode over the first of its columns: a cell of Markdown spans no other."""
    for mode, columns in matrix.modes:
        yield from (mode, *[""] * (len(columns) - 1))


def _md(text: str) -> str:
    """Text that no table or markup takes apart."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_<>[]#" else c for c in flat)


def _md_row(entries: Iterable[str]) -> str:
    return f"| {' | '.join(_md(e) if e != '---' else e for e in entries)} |"


def _md_omissions(matrix: Matrix) -> Iterator[str]:
    for place, sentence_of in enumerate(omissions(matrix)):
        yield from ([""] if not place else [])
        yield f"- Left out, {_md(sentence_of)}"


def _md_bad(matrix: Matrix) -> Iterator[str]:
    if matrix.bad:
        yield from ("", "## Outside their budgets", "")
    for cell in matrix.bad:
        yield f"- {_md(cell.case)}, {_md(cell.column)}: {_md(sentence(cell))}"


def _md_dead(matrix: Matrix) -> Iterator[str]:
    for column in matrix.columns:
        if column.death:
            yield from ("", f"## {_md(column.name)} died", "", _md(column.death))
