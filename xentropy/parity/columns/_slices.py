"""Cases of which several holders have some classes each: which arrays are cut, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xentropy.parity._case import OPERANDS, Array, Case

Cell = dict[str, Any]
Bounds = tuple[int, int]

#: The arrays that may have an entry for every class and no other axis.
VECTORS = frozenset({"bias", "class_weights", "where", "alpha", "b"})

#: The functions that take a group.
FUNCTIONS = frozenset(
    {
        "logsumexp",
        "cross_entropy",
        "focal_loss",
        "poly_loss",
        "generalized_cross_entropy",
        "score",
        "linear_cross_entropy",
        "linear_score",
    }
)


def lacking(case: Case) -> str | None:
    """Why nobody can hold some classes of a case; None where they can."""
    if case.function not in FUNCTIONS or case.options.get("form") == "sigmoid":
        return "group to hold the classes of this function"
    axis = case.options.get("axis", -1)
    if case.raises:
        return None
    if axis is None or isinstance(axis, tuple):
        return "single axis to cut"
    if classes(case) < 2:
        return "second class to hold"
    b = case.arrays.get("b")
    if b is not None and b.shape and "b" not in axes(case):
        return "factor of every class: one factor for several of them is not cut"
    return None


def classes(case: Case) -> int:
    """How many classes there are; 0 where the axis is none."""
    shape, axis = _logits(case)
    return shape[axis] if -len(shape) <= axis < len(shape) else 0


def _logits(case: Case) -> tuple[tuple[int, ...], int]:
    """The shape of the logits, and the axis of their classes."""
    first, axis = case.first.shape, case.options.get("axis", -1)
    if "hidden" in case.arrays:
        return (*first[:-1], case.arrays["weight"].shape[0]), -1
    return first, axis if isinstance(axis, int) else -1


def axes(case: Case) -> dict[str, int]:
    """The arrays that are cut, and along which axis."""
    shape, axis = _logits(case)
    if not classes(case):
        return {}
    place = axis % len(shape)
    named = {n: _axis(n, held, shape, place) for n, held in case.arrays.items()}
    return {name: found for name, found in named.items() if found is not None}


def _axis(name: str, held: Array, shape: tuple[int, ...], place: int) -> int | None:
    """Along which axis an array has an entry for every class, None if it has none."""
    if name == "hidden" or held.home == "unknown":
        return None
    if name == "weight":
        return 0
    if name in ("logits", "x", "targets"):
        return place if held.shape == shape else None
    if len(held.shape) == len(shape) and held.shape[place] == shape[place]:
        return place
    return 0 if name in VECTORS and held.shape == (shape[place],) else None


def part(case: Case, here: Bounds, group: Any) -> Case:
    """The case of the holder of some classes."""
    cut = axes(case)
    arrays = {n: _cut(held, cut.get(n), here) for n, held in case.arrays.items()}
    along = {n: _cut(held, cut.get(n), here) for n, held in case.along.items()}
    options = {**case.options, "group": group}
    return replace(case, arrays=arrays, along=along, options=options)


def _cut(held: Array, axis: int | None, here: Bounds) -> Array:
    if axis is None:
        return held
    grid = np.empty(len(held.values), object)
    grid[:] = held.values
    own = grid.reshape(held.shape).take(range(*here), axis=axis)
    return replace(held, shape=own.shape, values=tuple(own.ravel()))


# The way back.


def joined(case: Case, cells: Sequence[Cell]) -> Cell:
    """What all holders computed, as one cell; a contradiction is an error."""
    wrong = [cell for cell in cells if "error" in cell]
    if wrong:
        if len(wrong) < len(cells):
            return _contradiction(f"some raise, others do not: {wrong[0]}")
        # Those that refuse because another one does tell no reason of their own.
        reasons = (cell for cell in wrong if cell["error"]["classes"][0] != "RuntimeError")
        return next(reasons, wrong[0])
    names = list(cells[0]["quantities"])
    parts = {n: [cell["quantities"].get(n) for cell in cells] for n in names}
    made = {n: _whole(own, _axis_of(case, n)) for n, own in parts.items()}
    torn = [n for n, quantity in made.items() if quantity == "torn"]
    return _contradiction(f"they differ in the {torn[0]}") if torn else {"quantities": made}


def _axis_of(case: Case, quantity: str) -> int | None:
    """Along which axis a quantity is cut."""
    first, cut = OPERANDS[case.function][0], axes(case)
    if quantity == "hvp":
        return cut.get(first)
    return cut.get(quantity.removeprefix("gradient by "), None)


def _whole(parts: Sequence[Any], axis: int | None) -> Any:
    """A quantity put together, or what they have alike; "torn" if that differs."""
    if axis is None or parts[0] is None:
        return parts[0] if all(own == parts[0] for own in parts) else "torn"
    grids = [_grid(own) for own in parts]
    whole = np.concatenate(grids, axis=axis)
    return parts[0] | {"shape": list(whole.shape), "values": list(whole.ravel())}


def _grid(quantity: Mapping[str, Any]) -> Any:
    grid = np.empty(len(quantity["values"]), object)
    grid[:] = quantity["values"]
    return grid.reshape(quantity["shape"])


def _contradiction(message: str) -> Cell:
    return {"error": {"classes": ["Contradiction"], "message": message}}
