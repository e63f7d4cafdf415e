"""Binary losses of logits alone, in place: the mathematics of `_pair` where nothing is weighed.

With u = max(x, 0) and d = min(x, 0) the loss is log1p(e^(d - u)) - t d + (1 - t) u, its derivative
((1 - t) e^d - t e^-u) / (e^d + e^-u), where one of the exponentials is 1: the same sums as there,
in buffers that stay in a cache. Of targets between 0 and 1 the coefficients sum to 1 exactly.
Infinities and NaN are left to `_pair`: they make a loss, or a derivative, that is not finite.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, ByRows
from xentropy._pair import Leaves, PairLoss
from xentropy._threads import taken
from xentropy._typing import Array, Namespace


def plain(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether it is a binary loss of logits that nothing weighs, bends or smooths."""
    if type(rule) is not PairLoss or rule.link is not None or rule.alpha is not None:
        return False
    given = Leaves(*leaves)
    weighed = given.pos_weight is not None or given.sample_weights is not None
    return rule.from_logits and rule.label_smoothing == 0 and not weighed


@dataclass(frozen=True)
class ByPairs(ByRows):
    """A rule that is `plain`, whose blocks are made in place where their logits are finite."""

    def _visit(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        room: Arrays,
        in_place: bool,
        left: deque[Block],
    ) -> None:
        losses, mass, *_ = room
        buffers = self._buffers(leaves)
        for block in taken(left):
            if self._losses(self._sides(leaves, block, buffers), losses[block]):
                mass[block] = 1
            else:
                super()._visit(xp, leaves, room, in_place, deque([block]))

    def _pull(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: Arrays,
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        gradient: Array,
        left: deque[Block],
    ) -> None:
        bar: Array = bars[0]  # of its only value
        buffers = self._buffers(leaves)
        for block in taken(left):
            slope = self._slope(self._sides(leaves, block, buffers))
            if slope is not None:
                slope *= bar[block]
                self.plan.ops.copy(slope, out=gradient[block])
            else:
                here = deque([block])
                super()._pull(xp, leaves, residuals, bars, wanted, gradient, here)

    def _buffers(self, leaves: tuple[Array | None, ...]) -> Buffers:
        make = partial(self.plan.ops.buffer, dtype=self.rule.dtype, like=leaves[0])
        return Buffers(make, 4)

    def _sides(
        self, leaves: tuple[Array | None, ...], block: Block, buffers: Buffers
    ) -> list[Array] | None:
        """The targets, max(x, 0) and min(x, 0) of a block, and one more buffer.

        None where a target lies elsewhere than between 0 and 1.
        """
        ops, given = self.plan.ops, Leaves(*leaves)
        x = given.logits[block]
        t, up, down, spare = buffers.of(x.shape)
        low, high = ops.extremes(ops.copy(given.targets[block], out=t))
        if not (low >= 0 and high <= 1):
            return None
        x = x if x.dtype == self.rule.dtype else ops.copy(x, out=spare)
        up = ops.above(x, out=up)
        return [t, up, ops.subtract(x, up, out=down), spare]

    def _losses(self, sides: list[Array] | None, out: Array) -> bool:
        """Write the losses of a block; False where they may be others."""
        if sides is None:
            return False
        ops, (t, up, down, tail) = self.plan.ops, sides
        tail = ops.exp(ops.subtract(down, up, out=tail), out=tail)
        tail = ops.log1p(tail, out=tail)
        down *= t
        t -= ops.ONE
        up *= t
        out = ops.subtract(tail, down, out=out)
        out -= up
        return ops.finite(out)

    def _slope(self, sides: list[Array] | None) -> Array | None:
        """The derivatives of a block; None where they may be others."""
        if sides is None:
            return None
        ops, (t, up, down, total) = self.plan.ops, sides
        on = ops.exp(ops.multiply(up, -ops.ONE, out=up), out=up)
        off = ops.exp(down, out=down)
        total = ops.multiply(off, -ops.ONE, out=total)
        total -= on
        on *= t
        t -= ops.ONE
        off *= t
        off += on
        off /= total
        return off if ops.finite(off) else None
