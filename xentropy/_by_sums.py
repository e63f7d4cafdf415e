"""Losses of rows that are summed: the rows in blocks, each by itself, and their sum at the end.

So the sum is the same however the rows were cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from xentropy import _reduction as reduction_
from xentropy._by_pairs import ByPairs, plain
from xentropy._by_rows import Arrays, ByRows
from xentropy._known import Plan
from xentropy._typing import Array, Namespace


def in_blocks(rule: Any, leaves: tuple[Array | None, ...], plan: Plan) -> ByRows:
    """A rule that `_by_rows.suits`, evaluated in blocks."""
    if getattr(rule, "reduction", "none") != "none":
        return BySums(rule, plan)
    return ByPairs(rule, plan) if plain(rule, leaves) else ByRows(rule, plan)


@dataclass(frozen=True)
class BySums(ByRows):
    """A rule that sums what it would give of each row, or element, without a reduction."""

    def _each(self, leaves: tuple[Array | None, ...]) -> ByRows:
        return in_blocks(replace(self.rule, reduction="none"), leaves, self.plan)

    def _observed(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """The reduced loss; the residuals are those of the rows."""
        (losses,), left = self._each(leaves).forward(xp, leaves)
        how = self.rule.reducer(xp, leaves, left)
        return (reduction_.reduce(xp, losses, how),), left

    def _gradient(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: Arrays,
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
    ) -> Array:
        """The gradient by the first leaf, of which every row is worth what the sum makes of it."""
        share = reduction_.spread(xp, self.rule.reducer(xp, leaves, residuals), bars[0])
        x: Array = leaves[0]
        axis = self._axis(x)
        shape = tuple(x.shape)
        rows = xp.broadcast_to(share, shape[:axis] + shape[axis + 1 :])
        return self._each(leaves)._gradient(xp, leaves, residuals, (rows,), wanted)
