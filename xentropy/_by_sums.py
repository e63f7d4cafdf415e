"""Which way in blocks a rule has; and losses of rows that are summed: their sum comes at the end.

So the sum is the same however the rows were cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from xentropy import _reduction as reduction_
from xentropy._by_divergence import ByDivergence
from xentropy._by_logits import ByLogits
from xentropy._by_maps import ByMaps
from xentropy._by_rows import Arrays, ByRows, Work, class_axis
from xentropy._by_scores import ByScores
from xentropy._by_sigmoids import BySigmoids
from xentropy._known import Plan
from xentropy._maps import LogSumExp, Softmax
from xentropy._plans import smaller
from xentropy._score import RowScore
from xentropy._typing import Array, Namespace

# In fewer entries operations cost more than what they do, and blocks would only be more of them.
FEW = 1 << 16
# Of these an operation in place costs less than one that makes an array, however few they are.
_SHORT = ((Softmax, ByMaps), (LogSumExp, ByMaps), (RowScore, ByScores))


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether rows are made each by itself, and enough of them that blocks pay."""
    x: Array = leaves[0]
    if class_axis(rule, x) is None or 0 in x.shape or x.ndim == 0:
        return False
    if math.prod(x.shape) >= FEW:
        return True
    return any(type(rule) is kind and way.takes(rule, leaves) for kind, way in _SHORT)


def in_blocks(rule: Any, leaves: tuple[Array | None, ...], plan: Plan) -> ByRows:
    """A rule that `suits`, evaluated in blocks: in place where that is known how to."""
    if getattr(rule, "reduction", "none") != "none":
        return BySums(rule, plan)
    for way in (ByMaps, ByScores, BySigmoids, ByDivergence):
        if way.takes(rule, leaves):
            return way(rule, plan)
    if ByLogits.takes(rule, leaves):
        return ByLogits(rule, smaller(plan))
    return ByRows(rule, plan)


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

    def _gradient(self, work: Work) -> Array:
        """The gradient by the first leaf, of which every row is worth what the sum makes of it."""
        xp, leaves, residuals, *_ = work
        share = reduction_.spread(xp, self.rule.reducer(xp, leaves, residuals), work.bar)
        axis, shape = self._axis(work.x), tuple(work.x.shape)
        rows = xp.broadcast_to(share, shape[:axis] + shape[axis + 1 :])
        return self._each(leaves)._gradient(work._replace(bars=(rows,)))
