"""What blocks of rows have in common of which a softmax is told: how they are visited in place.

That is the visit of a loss without targets: the maxima m, r, and the exponentials in a buffer. A
class may be out, masked or at -inf: it has no part in any sum. Other rows that are not finite are
left to the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from xentropy import _inplace
from xentropy._blocks import Block, Buffers
from xentropy._by_rows import Arrays, ByRows, Work
from xentropy._inplace import Found, widened
from xentropy._stats import Coefficients, along
from xentropy._typing import Array


class Seen(NamedTuple):
    """A visited block: its entries, what was found, their exponentials, and another buffer."""

    x: Array
    found: Found
    exp: Array
    spare: Array


@dataclass(frozen=True)
class ByShares(ByRows):
    """A rule of rows of which the exponentials are made."""

    @property
    def temperature(self) -> float:
        """What the entries are divided by."""
        rule = getattr(self.rule, "loss", self.rule)
        return getattr(rule, "temperature", 1.0)

    def _entries(self, work: Work, block: Block, out: Array, spare: Array) -> Array | None:
        """The entries of a block; masked ones in a buffer, with another one written to.

        None if they are not finite beside a mask: it may be a masked one, which has no say.
        """
        ops, x, mask = self.plan.ops, work.x[block], self._mask(work, block)
        if mask is None:
            return x
        x = _inplace.masked(ops, x, mask, out=out, spare=spare)
        return x if ops.finite(ops.max(x, self._axis(x))) else None

    def _mask(self, work: Work, block: Block) -> Array | None:
        """Which classes of a block take part; None if all do."""
        mask = work.leaves[self.names.index("where")]
        if mask is None:
            return None
        mask = self._cut_one(work.x, "where", mask, block)
        return along(work.xp, mask, work.x.ndim, self._axis(work.x))

    def _seen(self, x: Array | None, exp: Array, spare: Array) -> Seen | None:
        """A block with its exponentials; None where its rows are not finite."""
        if x is None:
            return None
        scores = widened(self.plan.ops, x, spare)
        how: dict[str, Any] = {"axis": self._axis(x), "temperature": self.temperature}
        seen = _inplace.visit(self.plan.ops, scores, Coefficients(), **how, buffer=exp, spare=spare)
        return None if seen is None else Seen(x, seen[0], exp, spare)

    def _below(self, seen: Seen, out: Array) -> Array:
        """(x - m) / T once more, after it has become its exponential."""
        x, peak = widened(self.plan.ops, seen.x, out), seen.found.peak
        return _inplace.beneath(self.plan.ops, x, peak, self.temperature, out=out)

    def _exp(self, below: Array, seen: Seen) -> Array:
        """Its exponential once more."""
        return _inplace.exp_below(self.plan.ops, below, seen.found.peak, out=seen.exp)

    def _entropies(self, seen: Seen, below: Array) -> Array:
        """log1p(r) + the sum of e^-d d / (1 + r) with d = (m - x) / T; below is written over.

        No term is negative and the top's is 0, so all of a row may be summed.
        """
        ops, rest, axis = self.plan.ops, seen.found.rest, self._axis(seen.x)
        products = ops.multiply(below, seen.exp, out=below)
        total, _ = _inplace.sum_beside_holes(ops, products, axis)
        return ops.log1p(rest) - total / (rest + ops.ONE)

    def _again(self, work: Work, block: Block, room: Buffers) -> Seen | None:
        """A block whose exponentials are still to be made, as an earlier visit has found it."""
        exp, spare, _, own = room.of(work.x[block].shape)
        x = self._entries(work, block, own, spare)
        return None if x is None else Seen(x, self._known(work, block, work.made[:2]), exp, spare)

    def _known(self, work: Work, block: Block, left: Arrays) -> Found:
        """What an earlier visit has left of a block: m and r."""
        peak, rest = (self.part(work.x, array, block) for array in left)
        return Found(peak, rest, None, None)

    def _bar(self, work: Work, block: Block) -> Array:
        """The gradient by the values of a block, the class axis kept."""
        bar = self.part(work.x, work.bar, block)
        return bar if bar.ndim == work.x.ndim else self.plan.ops.unsqueeze(bar, self._axis(work.x))
