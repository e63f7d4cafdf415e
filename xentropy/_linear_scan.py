"""The labels' loss of a linear head in one visit, as a loop that a compiler compiles once.

A block's logits become its losses and their gradient, and that is multiplied into those of hidden,
weight and bias at once. So the gradients are made with the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from xentropy import _fused, _linear, _reduction, _stats, _targets
from xentropy._fused import Compiler
from xentropy._linear import TILE, Head, LinearLoss, LinearScore
from xentropy._linear_plans import MOVING, ROWS
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._typing import Array, DType, Namespace

# Of float32 a block of logits is 32 MB; a compiler holds an array or two of that size.
BLOCK = 1 << 23


class Sums(NamedTuple):
    """The gradients by leaves of classes, summed up over blocks; None where nobody asks.

    That by the weight is in the compiler's own form.
    """

    weight: Any
    bias: Array | None


Rows = tuple[Array, Array]
Step = Callable[[Sums, Any, int], tuple[Sums, Rows]]


class Loops(Compiler, Protocol):
    """What a compiler offers beyond: loops, and products in them."""

    def over(
        self, step: Step, sums: Sums, count: int, size: int, dtype: DType
    ) -> tuple[Sums, Rows]:
        """Steps at 0, size, ... (count times): the last sums, and all rows along one axis."""
        ...

    def cut(self, x: Array, start: Any, size: int) -> Array:
        """Some rows."""
        ...

    def logits(self, rule: RowLoss, rows: Head) -> Array:
        """The logits of rows, in the compute dtype."""
        ...

    def zeros(self, shape: tuple[int, int], dtype: DType) -> Any:
        """A sum of products that has none yet, in any form."""
        ...

    def added(self, total: Any, made: Array, hidden: Array) -> Any:
        """The sum and made.T @ hidden."""
        ...

    def whole(self, total: Any) -> Array:
        """The sum as an array."""
        ...

    def fused(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of operations that are one where that pays."""
        ...


def scans(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether these are rows of a head; none at all are left to the general form."""
    return isinstance(rule, LinearLoss | LinearScore) and 0 not in Head(*leaves).hidden.shape


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a head is visited once: its labels' loss, reduced to one number, shapes known."""
    if not isinstance(rule, LinearLoss) or not rule.loss.hard or rule.reduction == "none":
        return False
    head = Head(*leaves)
    known = all(isinstance(n, int) for n in (*head.hidden.shape, *head.weight.shape))
    return known and scans(rule, leaves) and (head.where is None or head.where.ndim == 1)


def moves(wanted: tuple[bool, ...]) -> bool:
    """Whether all gradients that are wanted are made in the visit."""
    named = zip(Head._fields, wanted, strict=True)
    return all(name in MOVING for name, asked in named if asked)


def visited(
    xp: Namespace, ops: Loops, rule: LinearLoss, leaves: Head, wanted: tuple[bool, ...]
) -> tuple[Array, Head]:
    """The reduced loss, and its gradients by the wanted leaves."""
    head, each = _linear.flat(xp, leaves, hard=True), replace(rule.loss, reduction="none")
    t = _targets.coefficients(xp, _linear.row_targets(xp, rule.loss, head))
    how = rule.reducer(xp, head, Left(None, None, _stats.mass(xp, t, 1), None))
    worth = _reduction.spread(xp, how, xp.ones((), dtype=rule.dtype))
    step = partial(_step, xp, ops, each, head, worth, Head(*wanted))
    zeros, rows = _zeros(xp, ops, head, wanted, rule.dtype), size(rule, leaves)
    sums, (losses, by_hidden) = _over_blocks(xp, ops, step, head, rows, zeros, rule.dtype)
    value = _reduction.reduce(xp, losses, how)
    by_weight = None if sums.weight is None else ops.whole(sums.weight)
    made = Head(by_hidden if wanted[0] else None, by_weight, None, sums.bias)
    return value, _linear.shaped(xp, leaves, made)


def size(rule: LinearLoss | LinearScore, head: Head) -> int:
    """How many rows a block has."""
    classes, asked = head.weight.shape[0], BLOCK
    if rule.tile is not None and rule.tile < TILE:  # a larger one is there to be unrolled
        asked = rule.tile
    rows = max(1, asked // classes) if isinstance(classes, int) else 1
    return rows // ROWS * ROWS or rows


def _zeros(xp: Namespace, ops: Loops, head: Head, wanted: tuple[bool, ...], dtype: DType) -> Sums:
    want, shape = Head(*wanted), tuple(head.weight.shape)
    weight = ops.zeros(shape, dtype) if want.weight else None
    return Sums(weight, xp.zeros(shape[:1], dtype=dtype) if want.bias else None)


def _over_blocks(
    xp: Namespace, ops: Loops, step: Step, head: Head, size: int, zeros: Sums, dtype: DType
) -> tuple[Sums, Rows]:
    """The sums, the losses and the gradient by hidden; rows that fill no block are one more."""
    count = head.hidden.shape[0]
    size = min(count, size)
    whole = count // size
    if whole > 1:
        sums, rows = ops.over(step, zeros, whole, size, dtype)
    else:
        sums, rows = step(zeros, 0, size)
    if whole * size == count:
        return sums, rows
    sums, rest = step(sums, whole * size, count - whole * size)
    losses, by_hidden = (xp.concat(list(pair), axis=0) for pair in zip(rows, rest, strict=True))
    return sums, (losses, by_hidden)


def _step(
    xp: Namespace,
    ops: Loops,
    each: RowLoss,
    head: Head,
    worth: Array,
    want: Head,
    sums: Sums,
    start: Any,
    size: int,
) -> tuple[Sums, Rows]:
    """A block of rows: what it adds to the sums, its losses and its gradient by hidden."""
    rows = _rows(ops, head, start, size)
    leaves = _linear.leaves_of(rows, ops.logits(each, rows))
    nothing = xp.zeros((size, 0), dtype=each.dtype)
    if not any(want):
        return sums, (ops.fused(partial(_losses, xp, ops, each))(leaves), nothing)
    losses, made = ops.fused(partial(_both, xp, ops, each))(leaves, worth)
    by_hidden = xp.matmul(made, xp.astype(head.weight, each.dtype)) if want.hidden else nothing
    if sums.weight is not None:
        hidden = _linear.silenced(xp, each, rows)
        sums = sums._replace(weight=ops.added(sums.weight, made, hidden))
    if sums.bias is not None:
        sums = sums._replace(bias=sums.bias + xp.sum(made, axis=0))
    return sums, (losses, by_hidden)


def _losses(xp: Namespace, ops: Loops, each: RowLoss, leaves: Leaves) -> Array:
    return _fused.observe(xp, ops, each, leaves).losses


def _both(
    xp: Namespace, ops: Loops, each: RowLoss, leaves: Leaves, worth: Array
) -> tuple[Array, Array]:
    """The losses of rows, and their gradient by the logits times what they are worth."""
    left = _fused.observe(xp, ops, each, leaves)
    return left.losses, worth * _fused.gradient(xp, each, leaves, left)


def _rows(ops: Loops, head: Head, start: Any, size: int) -> Head:
    """The leaves of some rows."""
    samples = head.sample_weights
    return head._replace(
        hidden=ops.cut(head.hidden, start, size),
        targets=ops.cut(head.targets, start, size),
        sample_weights=None if samples is None else ops.cut(samples, start, size),
        normalizer=None,
    )
