"""Functions of rows, each by itself, in blocks: softmax, its logarithm, logsumexp, scores.

Nothing is summed over rows, so a block makes its own part of the values, of what a pullback needs,
and of the gradient by the first leaf. Beside these there are a few blocks, where the operations of
a whole array would each have made another one as large. Of finite rows without a mask the softmax,
its logarithm and the logsumexp are made in place; all else is the rule's own form, block by block.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from xentropy import _inplace
from xentropy._blocks import Block, Buffers, blocks, wide
from xentropy._divergence import Divergence
from xentropy._inplace import Found
from xentropy._known import Plan, cut
from xentropy._maps import Entropy, LogSumExp, Rest, Sigmoid, Softmax, SumRest
from xentropy._pair import PairLoss
from xentropy._rows import Leaves
from xentropy._score import RowScore
from xentropy._stats import Coefficients
from xentropy._threads import share, taken
from xentropy._typing import Array, Namespace

Arrays = tuple[Array, ...]
# In fewer entries operations cost more than what they do, and blocks would only be more of them.
FEW = 1 << 16


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether rows are made each by itself, and enough of them that blocks pay."""
    x: Array = leaves[0]
    if type(rule) not in _AXIS or 0 in x.shape or x.ndim == 0:
        return False
    return _AXIS[type(rule)](rule, x) is not None and (
        math.prod(x.shape) >= FEW or _in_place(rule, leaves)
    )


def _of_sum(rule: LogSumExp, _: Array) -> int | None:
    return rule.axes[0] if len(rule.axes) == 1 else None


# The axis that is whole in every block; None where there is none to cut along.
_AXIS: dict[type, Callable[[Any, Array], int | None]] = {
    Softmax: lambda rule, _: rule.axis,
    Entropy: lambda rule, _: rule.axis,
    LogSumExp: _of_sum,
    RowScore: lambda rule, _: rule.loss.axis,
    Sigmoid: lambda _, x: x.ndim,  # none of its axes
    PairLoss: lambda _, x: x.ndim,
    Divergence: lambda rule, _: rule.axis,
}


def _in_place(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether finite rows can be made in place: without a mask, without factors, without a sign."""
    known = type(rule) is Softmax or (type(rule) is LogSumExp and not rule.signed)
    return known and all(leaf is None for leaf in leaves[1:])


@dataclass(frozen=True)
class ByRows:
    """A rule that `suits`, with the plan that its rows are visited by."""

    rule: Any
    plan: Plan

    @property
    def names(self) -> tuple[str, ...]:
        """The rule's."""
        return self.rule.names  # type: ignore[no-any-return]

    @property
    def constant(self) -> tuple[str, ...]:
        """The rule's."""
        return self.rule.constant  # type: ignore[no-any-return]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The rule's."""
        return self.rule.outputs  # type: ignore[no-any-return]

    @property
    def others(self) -> tuple[str, ...]:
        """The rule's."""
        return self.rule.others  # type: ignore[no-any-return]

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[Arrays, Arrays]:
        """The values and the residuals, every block by itself."""
        if again:
            return self.rule.forward(xp, leaves, again=True)  # type: ignore[no-any-return]
        return self._observed(xp, leaves)

    def _observed(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        with self.plan.ops.quiet():
            in_place = _in_place(self.rule, leaves)
            make = self._known_room if in_place else self._room
            values, left = make(xp, leaves)
            work = partial(self._visit, xp, leaves, (*values, *left), in_place)
            share(work, self._cuts(leaves), self.plan.threads, self.plan.ops.quiet)
            return values, left

    def pullback(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: Arrays,
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        *,
        again: bool = False,
    ) -> tuple[Array | None, ...]:
        """The gradient by the first leaf, every block by itself; others go to the rule."""
        if again or True in wanted[1:] or not wanted[0]:
            return self.rule.pullback(  # type: ignore[no-any-return]
                xp, leaves, residuals, bars, wanted, again=again
            )
        gradient = self._gradient(xp, leaves, residuals, bars, wanted)
        return (gradient, *(None,) * (len(leaves) - 1))

    def _gradient(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: Arrays,
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
    ) -> Array:
        with self.plan.ops.quiet():
            gradient = self.plan.ops.result(leaves[0])
            work = partial(self._pull, xp, leaves, residuals, bars, wanted, gradient)
            share(work, self._cuts(leaves), self.plan.threads, self.plan.ops.quiet)
            return gradient

    # Blocks.

    def _axis(self, x: Array) -> int:
        axis = _AXIS[type(self.rule)](self.rule, x)
        return x.ndim if axis is None else axis

    def _cuts(self, leaves: tuple[Array | None, ...]) -> tuple[Block, ...]:
        x: Array = leaves[0]
        axis, plan = self._axis(x), self.plan
        shape = tuple(x.shape) if axis < x.ndim else (*x.shape, 1)
        return tuple(cut[: x.ndim] for cut in blocks(shape, axis, plan.block_size, plan.threads))

    def _cut(self, leaves: tuple[Array | None, ...], block: Block) -> tuple[Array | None, ...]:
        """The leaves of a block."""
        if type(self.rule) is RowScore:
            return cut(Leaves(*leaves), block, self.rule.loss)
        x: Array = leaves[0]
        return tuple(
            None if leaf is None else self._cut_one(x, name, leaf, block)
            for name, leaf in zip(self.names, leaves, strict=True)
        )

    def _cut_one(self, x: Array, name: str, leaf: Array, block: Block) -> Array:
        """The part of a leaf; what belongs to classes, or to all, belongs to every block."""
        if name == "sample_weights":
            return self._part(x, leaf, block)
        if leaf.ndim == x.ndim:
            return wide(leaf, block)
        if name == "pos_weight" and leaf.ndim:  # it spreads over the first axes
            return wide(leaf, block[x.ndim - leaf.ndim :])
        return leaf

    def _part(self, x: Array, array: Array, block: Block) -> Array:
        """The part of values, bars or residuals, of which some have no class axis."""
        if array.ndim == x.ndim:
            return array[block]
        axis = self._axis(x)
        # With the dots NumPy makes no number of what has no axis.
        return array[(*block[:axis], *block[axis + 1 :], ...)]

    # Room for values and residuals.

    def _known_room(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """Of what is made in place."""
        x: Array = leaves[0]
        rule, ops = self.rule, self.plan.ops
        kept = self._full(x, 1, x.ndim)
        peak, rest = (ops.buffer(kept, rule.dtype, x) for _ in range(2))
        if type(rule) is Softmax:
            return (ops.result(x),), Rest(peak, rest)
        shape = kept if rule.keepdims else self._full(x, 1, x.ndim - 1)
        return (ops.buffer(shape, rule.dtype, x),), SumRest(peak, rest, xp.zeros_like(peak))

    def _room(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """By what is made of the first row."""
        x: Array = leaves[0]
        axis = self._axis(x)
        first = tuple(slice(None) if i == axis else slice(0, 1) for i in range(x.ndim))
        values, left = self.rule.forward(xp, self._cut(leaves, first))
        # What is a value and a residual both has one place.
        room = {id(made): self._like(x, made) for made in (*values, *left)}
        return tuple(room[id(made)] for made in values), tuple(room[id(made)] for made in left)

    def _like(self, x: Array, made: Array) -> Array:
        axis = self._axis(x)
        length = made.shape[axis] if made.ndim == x.ndim and axis < x.ndim else 1
        shape = self._full(x, length, made.ndim)
        if (shape, made.dtype) == (tuple(x.shape), x.dtype):
            return self.plan.ops.result(x)
        return self.plan.ops.buffer(shape, made.dtype, x)

    def _full(self, x: Array, length: int, ndim: int) -> tuple[int, ...]:
        """The shape of values of all rows, with so many along the class axis, if it is kept."""
        shape, axis = tuple(x.shape), self._axis(x)
        here = (length,) if ndim == x.ndim and axis < x.ndim else ()
        return (*shape[:axis], *here, *shape[axis + 1 :])

    # Visits.

    def _visit(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        room: Arrays,
        in_place: bool,
        left: deque[Block],
    ) -> None:
        """Take blocks until none is left."""
        x: Array = leaves[0]
        make = partial(self.plan.ops.buffer, dtype=self.rule.dtype, like=x) if in_place else None
        buffers = None if make is None else Buffers(make, 2)
        for block in taken(left):
            if buffers is not None:
                into = tuple(self._part(x, array, block) for array in room)
                if self._made(x[block], into, buffers):
                    continue
            values, residuals = self.rule.forward(xp, self._cut(leaves, block))
            for place, part in _once(room, (*values, *residuals)):
                self.plan.ops.copy(part, out=self._part(x, place, block))

    def _made(self, x: Array, into: Arrays, room: Buffers) -> bool:
        """Make finite rows in place; False where there are others."""
        ops, rule, axis = self.plan.ops, self.rule, self._axis(x)
        value, peak, rest, *_ = into
        spare, buffer = room.of(x.shape)
        softmax = type(rule) is Softmax
        direct = softmax and value.dtype == rule.dtype
        temperature = rule.temperature if softmax else 1.0
        exp = value if direct else buffer
        how: dict[str, Any] = {"axis": axis, "temperature": temperature}
        scores = self._widened(x, spare)
        seen = _inplace.visit(ops, scores, Coefficients(), **how, buffer=exp, spare=spare)
        if seen is None:
            return False
        found = seen[0]
        ops.copy(found.peak, out=peak)
        ops.copy(found.rest, out=rest)
        made = self._told(x, found, exp, spare)
        if made is not value:
            ops.copy(made, out=value)
        return True

    def _told(self, x: Array, found: Found, exp: Array, spare: Array) -> Array:
        """The values, of what a visit has found; those of a softmax lie over its exponentials."""
        ops, rule = self.plan.ops, self.rule
        if type(rule) is not Softmax:
            made = found.peak + ops.log1p(found.rest)
            return made if rule.keepdims else ops.squeeze(made, self._axis(x))
        if rule.log:
            return self._logs(x, found, exp, spare)
        return ops.multiply(exp, ops.reciprocal(found.rest + ops.ONE), out=exp)

    def _logs(self, x: Array, found: Found, out: Array, spare: Array) -> Array:
        """The logarithm of the softmax: nothing cancels where the largest logit goes first."""
        ops = self.plan.ops
        out = ops.subtract(self._widened(x, spare), found.peak, out=out)
        if self.rule.temperature != 1.0:
            out /= self.rule.temperature
        return ops.subtract(out, ops.log1p(found.rest), out=out)

    def _widened(self, x: Array, spare: Array) -> Array:
        return x if x.dtype == self.rule.dtype else self.plan.ops.copy(x, out=spare)

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
        """Take blocks until none is left, and write the gradient of each."""
        x: Array = leaves[0]
        for block in taken(left):
            here = tuple(self._part(x, array, block) for array in residuals)
            asked = tuple(None if bar is None else self._part(x, bar, block) for bar in bars)
            found = self.rule.pullback(xp, self._cut(leaves, block), here, asked, wanted)
            self.plan.ops.copy(found[0], out=gradient[block])


def _once(room: Arrays, made: Arrays) -> Iterable[tuple[Array, Array]]:
    """Places with what is made for them, of which a value and a residual may be the same."""
    return {id(place): (place, part) for place, part in zip(room, made, strict=True)}.values()
