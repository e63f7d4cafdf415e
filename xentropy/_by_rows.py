"""Functions of rows, each by itself, in blocks: softmax, its logarithm, logsumexp, scores.

Nothing is summed over rows, so a block makes its own part of the values, of what a pullback needs,
and of the gradient by the first leaf. Beside these there are a few blocks, where the operations of
a whole array would each have made another one as large. A kind of rules that has a way in place
says so in a class of its own, and leaves to this one what that way does not know.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

from xentropy._around import Around
from xentropy._blocks import Block, Buffers, blocks, wide
from xentropy._divergence import Divergence
from xentropy._known import Plan, cut
from xentropy._maps import Entropy, LogSumExp, Sigmoid, Softmax
from xentropy._pair import PairLoss
from xentropy._rows import Leaves
from xentropy._score import RowScore
from xentropy._threads import share, taken
from xentropy._typing import Array, Namespace

Arrays = tuple[Array, ...]


def class_axis(rule: Any, x: Array) -> int | None:
    """The axis that is whole in every block; None of rules that are not cut into rows."""
    known = _AXIS.get(type(rule))
    return None if known is None else known(rule, x)


def _of_sum(rule: LogSumExp, _: Array) -> int | None:
    return rule.axes[0] if len(rule.axes) == 1 else None


_AXIS: dict[type, Callable[[Any, Array], int | None]] = {
    Softmax: lambda rule, _: rule.axis,
    Entropy: lambda rule, _: rule.axis,
    LogSumExp: _of_sum,
    RowScore: lambda rule, _: rule.axis,
    Sigmoid: lambda _, x: x.ndim,  # none of its axes
    PairLoss: lambda _, x: x.ndim,
    Divergence: lambda rule, _: rule.axis,
}


class Work(NamedTuple):
    """One call: its leaves, and where values and residuals go, in this order.

    Of a pullback ``made`` are the residuals, ``bars`` the gradients by the values, ``gradient`` the
    place of the one by the first leaf. A visit that makes that as well has all of them.
    """

    xp: Namespace
    leaves: tuple[Array | None, ...]
    made: Arrays
    bars: tuple[Array | None, ...] = ()
    wanted: tuple[bool, ...] = ()
    gradient: Array | None = None

    @property
    def x(self) -> Array:
        """The first leaf."""
        return self.leaves[0]

    @property
    def bar(self) -> Array:
        """The gradient by the first value."""
        return self.bars[0]


@dataclass(frozen=True)
class ByRows(Around):
    """A rule with the plan that its rows are visited by."""

    rule: Any
    plan: Plan

    HANDS: ClassVar[int] = 0
    """In how many buffers a block is made in place."""

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[Arrays, Arrays]:
        """The values and the residuals, every block by itself."""
        if again:
            return self.rule.forward(xp, leaves, again=True)  # type: ignore[no-any-return]
        return self._observed(xp, leaves)

    def alone(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> Arrays:
        """The values, where nobody asks for a gradient."""
        return self.forward(xp, leaves)[0]

    def _observed(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        with self.plan.ops.quiet():
            values, left = self._room(xp, leaves)
            self._shared(self._visit, Work(xp, leaves, (*values, *left)))
            return values, left

    def both(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        bars: tuple[Array | None, ...],
        out: Array | None = None,
    ) -> tuple[Arrays, Arrays, Array]:
        """Values, residuals and the gradient by the first leaf, by one visit to every block.

        ``out`` is a place for the gradient, which may be that leaf.
        """
        wanted = (True, *(False for _ in leaves[1:]))
        with self.plan.ops.quiet():
            values, left = self._room(xp, leaves)
            gradient = self.plan.ops.result(leaves[0]) if out is None else out
            self._shared(self._visit, Work(xp, leaves, (*values, *left), bars, wanted, gradient))
            return values, left, gradient

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
        gradient = self._gradient(Work(xp, leaves, tuple(residuals), bars, wanted))
        return (gradient, *(None,) * (len(leaves) - 1))

    def _gradient(self, work: Work) -> Array:
        with self.plan.ops.quiet():
            gradient = self.plan.ops.result(work.x)
            self._shared(self._pull, work._replace(gradient=gradient))
            return gradient

    # Blocks.

    def _shared(self, take: Callable[[Work, deque[Block]], None], work: Work) -> None:
        """Have all blocks taken, by as many threads as the plan has."""
        blocks_ = self.cuts(work.leaves)
        share(partial(take, work), blocks_, self.plan.threads, self.plan.ops.quiet)

    def _axis(self, x: Array) -> int:
        axis = class_axis(self.rule, x)
        return x.ndim if axis is None else axis

    def cuts(self, leaves: tuple[Array | None, ...]) -> tuple[Block, ...]:
        """The blocks of a call."""
        x: Array = leaves[0]
        axis, plan = self._axis(x), self.plan
        shape = tuple(x.shape) if axis < x.ndim else (*x.shape, 1)
        return tuple(cut[: x.ndim] for cut in blocks(shape, axis, plan.block_size, plan.threads))

    def cut(self, leaves: tuple[Array | None, ...], block: Block) -> tuple[Array | None, ...]:
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
            return self.part(x, leaf, block)
        if leaf.ndim == x.ndim:
            return wide(leaf, block)
        if name == "pos_weight" and leaf.ndim:  # it spreads over the first axes
            return wide(leaf, block[x.ndim - leaf.ndim :])
        return leaf

    def part(self, x: Array, array: Array, block: Block) -> Array:
        """The part of values, bars or residuals, of which some have no class axis."""
        if array.ndim == x.ndim:
            return array[block]
        axis = self._axis(x)
        # With the dots NumPy makes no number of what has no axis.
        return array[(*block[:axis], *block[axis + 1 :], ...)]

    # Room for values and residuals.

    def _room(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Arrays, Arrays]:
        """By what is made of the first row."""
        x: Array = leaves[0]
        axis = self._axis(x)
        first = tuple(slice(None) if i == axis else slice(0, 1) for i in range(x.ndim))
        values, left = self.rule.forward(xp, self.cut(leaves, first))
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

    def _buffers(self, work: Work) -> Buffers:
        """What a thread makes its blocks in."""
        make = partial(self.plan.ops.buffer, dtype=self.rule.dtype, like=work.x)
        return Buffers(make, self.HANDS)

    # Visits.

    def _visit(self, work: Work, left: deque[Block]) -> None:
        """Take blocks until none is left, and write what is made of each."""
        room = self._buffers(work)
        for block in taken(left):
            places = tuple(self.part(work.x, array, block) for array in work.made)
            if work.gradient is None:
                made, place = self._values(work, block, places, room), None
            else:
                place = self.part(work.x, work.gradient, block)
                made = self._both(work, block, places, place, room)
            if made is None:
                made = self._all_by_rule(work, block, place)
            parts = dict(zip(map(id, work.made), zip(made, places, strict=True), strict=True))
            for part, here in parts.values():  # a value that is a residual too goes there once
                self._write(part, here)

    def _all_by_rule(self, work: Work, block: Block, place: Array | None) -> Arrays:
        """Values and residuals of a block as the rule makes them, the gradient in its place."""
        values, residuals = self.rule.forward(work.xp, self.cut(work.leaves, block))
        if place is not None:
            self._write(self._by_rule(work, block, residuals), place)
        return (*values, *residuals)

    def _pull(self, work: Work, left: deque[Block]) -> None:
        """Take blocks until none is left, and write the gradient of each."""
        room = self._buffers(work)
        for block in taken(left):
            place = self.part(work.x, work.gradient, block)
            made = self._slopes(work, block, place, room)
            if made is None:
                left_here = tuple(self.part(work.x, array, block) for array in work.made)
                made = self._by_rule(work, block, left_here)
            self._write(made, place)

    def _by_rule(self, work: Work, block: Block, residuals: Arrays) -> Array:
        """The gradient of a block as the rule makes it."""
        x = work.x
        asked = tuple(None if bar is None else self.part(x, bar, block) for bar in work.bars)
        leaves = self.cut(work.leaves, block)
        return self.rule.pullback(work.xp, leaves, residuals, asked, work.wanted)[0]

    def _write(self, made: Array, place: Array) -> None:
        """Write what was made elsewhere than in its place."""
        if made is not place:
            self.plan.ops.copy(made, out=place)

    def _values(self, work: Work, block: Block, places: Arrays, room: Buffers) -> Arrays | None:
        """The values and residuals of a block, made in place; None where the rule makes them."""

    def _both(
        self, work: Work, block: Block, places: Arrays, place: Array, room: Buffers
    ) -> Arrays | None:
        """The same, and the gradient written to its place; None where the rule makes all of it."""

    def _slopes(self, work: Work, block: Block, place: Array, room: Buffers) -> Array | None:
        """The gradient of a block, made in place; None where the rule makes it."""

    def _into(self, place: Array, buffer: Array) -> Array:
        """Where the last operation writes: the place itself, if nothing has to be narrowed."""
        return place if place.dtype == self.rule.dtype else buffer
