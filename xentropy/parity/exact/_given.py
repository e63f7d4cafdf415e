"""A case's arguments as exact numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import mpf

from xentropy.parity._case import Array, Case
from xentropy.parity._grid import Shape, drop, rows, spread
from xentropy.parity.exact._number import NOTHING, Exact


@dataclass(frozen=True)
class Given:
    """Reads the arguments of a case, its defaults filled in."""

    case: Case

    @property
    def shape(self) -> Shape:
        """The shape of the first operand."""
        return self.case.first.shape

    def option(self, name: str, default: Any) -> Any:
        """An option as it was given."""
        return self.case.options.get(name, default)

    def number(self, name: str, default: float) -> mpf:
        """An option that is a number."""
        return mpf(self.option(name, default))

    def flat(self, name: str) -> list[mpf]:
        """An array's entries in row-major order."""
        return [mpf(v) for v in self.case.arrays[name].values]

    def spread(self, name: str, default: float, onto: Shape) -> list[mpf]:
        """An array, a number or the default, broadcast over `onto`."""
        held = self.case.arrays.get(name)
        if held is None:
            return [self.number(name, default)] * math.prod(onto)
        values = self.flat(name)
        return [values[i] for i in spread(held.shape, onto)]

    @property
    def axis(self) -> int:
        """The class axis, from the front."""
        return int(self.option("axis", -1)) % len(self.shape)

    @property
    def rest(self) -> Shape:
        """The shape without the class axis."""
        return drop(self.shape, (self.axis,))

    @property
    def rows(self) -> list[list[int]]:
        """Where the entries of each row lie."""
        return rows(self.shape, (self.axis,))

    def mask(self) -> list[bool]:
        """For every entry, whether its class takes part; a vector lies along the class axis."""
        held = self.case.arrays.get("where")
        if held is None:
            return [True] * math.prod(self.shape)
        lengthwise = len(held.shape) == 1 and len(self.shape) > 1
        shape = self._along(held.shape[0]) if lengthwise else held.shape
        return [bool(held.values[i]) for i in spread(shape, self.shape)]

    @property
    def masks(self) -> list[list[bool]]:
        """For every row, which classes take part."""
        mask = self.mask()
        return [pick(mask, row) for row in self.rows]

    def split(self, name: str) -> list[list[mpf]]:
        """An array of the operand's shape as its rows."""
        values = self.flat(name)
        return [pick(values, row) for row in self.rows]

    def scatter(self, numbers: Sequence[Sequence[Exact]]) -> list[Exact]:
        """Numbers of rows, back in the order of the array."""
        flat = [NOTHING] * math.prod(self.shape)
        for places, row in zip(self.rows, numbers, strict=True):
            for place, number in zip(places, row, strict=True):
                flat[place] = number
        return flat

    def _along(self, count: int) -> Shape:
        return tuple(count if a == self.axis else 1 for a in range(len(self.shape)))


def is_labels(targets: Array, shape: Shape) -> bool:
    """Whether targets name classes: integers with the class axis removed."""
    return len(targets.shape) == len(shape) - 1


def pick(values: Sequence[Any], row: Sequence[int]) -> list[Any]:
    """The entries of one row."""
    return [values[i] for i in row]
