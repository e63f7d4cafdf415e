"""The sigmoid and its logarithm in place: 1 / (1 + e^-x), and min(x, 0) - log1p(e^-|x|).

Both lose nothing on either side, as long as no exponential overflows and no value lies below the
normal range; entries farther from 0, infinities and NaN are left to the rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, ByRows, Work
from xentropy._inplace import log1p_many, widened
from xentropy._maps import Sigmoid
from xentropy._typing import Array


@dataclass(frozen=True)
class BySigmoids(ByRows):
    """A sigmoid, or its logarithm."""

    HANDS: ClassVar[int] = 3

    @staticmethod
    def takes(rule: Any, _leaves: tuple[Array | None, ...]) -> bool:
        """Whether a rule is one of these."""
        return type(rule) is Sigmoid

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        ops, (one, other, spare) = self.plan.ops, room.of(places[0].shape)
        out = self._into(places[0], one)
        x = widened(ops, work.x[block], other)
        if self.rule.log:
            made = self._log(x, out, other, spare)
        else:
            made = self._plain(x, -ops.ONE, out) if ops.smallest(x) > -self._reach() else None
        return None if made is None else (made,)

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        """p (1 - p), or of the logarithm 1 - p, which is the sigmoid of -x."""
        ops, bar, (one, other, _) = self.plan.ops, work.bar, room.of(place.shape)
        x = widened(ops, work.x[block], one)
        low, high = ops.extremes(x)
        if not (high < self._reach() and (self.rule.log or low > -self._reach())):
            return None
        p = self._plain(x, ops.ONE, other)
        if not self.rule.log:
            e = ops.exp(x, out=one)
            p = ops.multiply(ops.multiply(e, p, out=e), p, out=p)
        return ops.multiply(p, bar[block], out=self._into(place, p))

    def _reach(self) -> float:
        """How far from 0 an entry may be, that its exponential and its sigmoid are normal."""
        return -math.log(float(self.plan.xp.finfo(self.rule.dtype).smallest_normal))

    def _plain(self, x: Array, sign: Any, out: Array) -> Array:
        """1 / (1 + e^(sign x))."""
        ops = self.plan.ops
        out = ops.exp(ops.multiply(x, sign, out=out), out=out)
        out += ops.ONE
        return ops.reciprocal(out, out=out)

    def _log(self, x: Array, out: Array, room: Array, spare: Array) -> Array | None:
        """min(x, 0) - log1p(e^-|x|); None where an entry is not finite."""
        ops = self.plan.ops
        up = ops.at_least(x, 0.0, out=out)
        down = ops.subtract(x, up, out=room)
        tail = ops.exp(ops.subtract(down, up, out=out), out=out)
        out = ops.subtract(down, log1p_many(ops, tail, spare), out=out)
        return out if ops.finite(out) else None
