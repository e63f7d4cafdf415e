"""The labels' loss of a linear head in one visit, as a loop that a compiler compiles once.

A block's logits become its losses, and then, some classes at a time, their gradient, which is
multiplied into those of hidden, weight and bias at once. So the gradients are made with the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from xentropy import _fused, _linear, _reduction, _stats, _targets
from xentropy._fused import Compiler
from xentropy._linear import TILE, Head, LinearLoss, LinearScore
from xentropy._linear_plans import MOVING, ROWS, even
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._targets import Targets
from xentropy._typing import Array, DType, Namespace

# Of float32 a block of logits is 32 MB; a compiler may hold an array or two of that size.
BLOCK = 1 << 23


class Sums(NamedTuple):
    """Gradients that are summed up: by weight and bias over blocks, by the rows of one over parts.

    None where nobody asks.
    """

    weight: Array | None
    bias: Array | None
    hidden: Array | None = None


Rows = tuple[Array, Array]
Step = Callable[[Sums, Any, int], tuple[Sums, Rows]]
# How a block of rows is visited, before a step is made of it, and of about how many logits.
Visit = tuple[Callable[..., tuple[Sums, Rows]], int]


class Block(NamedTuple):
    """Some rows, and what a visit to their logits leaves.

    ``whole`` is what makes the coefficients of all classes; None where these are taken at once.
    """

    head: Head
    leaves: Leaves
    left: Left
    whole: Targets | None


class Loops(Compiler, Protocol):
    """What a compiler offers beyond: loops, and products in them."""

    @property
    def block(self) -> int:
        """How many logits are held at a time."""
        ...

    def classes(self, shape: tuple[int, int]) -> int:
        """Of how many classes at a time the gradient is made, for a weight of a shape."""
        ...

    def over(
        self, step: Step, sums: Sums, count: int, size: int, dtype: DType
    ) -> tuple[Sums, Rows]:
        """Steps at 0, size, ... (count times): the last sums, and all rows along one axis."""
        ...

    def after(self, start: int, made: Any) -> Any:
        """A place which is known when something is made: what lies there waits for it."""
        ...

    def cut(self, x: Array, start: Any, size: int, axis: int = 0) -> Array:
        """Some entries along an axis."""
        ...

    def logits(self, rule: RowLoss, rows: Head) -> Array:
        """The logits of rows, in the compute dtype."""
        ...

    def observed(self, visit: Callable[[Leaves], Left], rule: RowLoss, leaves: Leaves) -> Left:
        """What a visit to a block leaves, all at once or part by part of its rows."""
        ...

    def plus(self, total: Array, start: int, x: Array) -> Array:
        """An array, and another one added to its entries from a place on."""
        ...

    def added(self, total: Array, start: int, made: Array, hidden: Array) -> Array:
        """The same of made.T @ hidden."""
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
    xp: Namespace,
    ops: Loops,
    rule: LinearLoss,
    leaves: Head,
    wanted: tuple[bool, ...],
    visit: Visit | None = None,
) -> tuple[Array, Head]:
    """The reduced loss, and its gradients by the wanted leaves; ``visit`` is that of a block."""
    head, each = _linear.flat(xp, leaves, hard=True), replace(rule.loss, reduction="none")
    t = _targets.coefficients(xp, _linear.row_targets(xp, rule.loss, head))
    how = rule.reducer(xp, head, Left(None, None, _stats.mass(xp, t, 1), None))
    worth = _reduction.spread(xp, how, xp.ones((), dtype=rule.dtype))
    one, block = visit or (_step, ops.block)
    step = partial(one, xp, ops, each, head, worth, Head(*wanted))
    zeros, rows = _zeros(xp, head, wanted, rule.dtype), size(rule, leaves, block)
    sums, (losses, by_hidden) = _over_blocks(xp, ops, step, head, rows, zeros, rule.dtype)
    value = _reduction.reduce(xp, losses, how)
    made = Head(by_hidden if wanted[0] else None, sums.weight, None, sums.bias)
    return value, _linear.shaped(xp, leaves, made)


def size(rule: LinearLoss | LinearScore, head: Head, block: int = BLOCK) -> int:
    """How many rows a block of about so many logits has."""
    classes, asked = head.weight.shape[0], block
    if rule.tile is not None and rule.tile < TILE:  # a larger one is there to be unrolled
        asked = rule.tile
    rows = max(1, asked // classes) if isinstance(classes, int) else 1
    return rows // ROWS * ROWS or rows


def _zeros(xp: Namespace, head: Head, wanted: tuple[bool, ...], dtype: DType) -> Sums:
    want, shape = Head(*wanted), tuple(head.weight.shape)
    weight = xp.zeros(shape, dtype=dtype) if want.weight else None
    return Sums(weight, xp.zeros(shape[:1], dtype=dtype) if want.bias else None)


def _over_blocks(
    xp: Namespace, ops: Loops, step: Step, head: Head, size: int, zeros: Sums, dtype: DType
) -> tuple[Sums, Rows]:
    """The sums, the losses and the gradient by hidden; rows that fill no block are one more."""
    count = head.hidden.shape[0]
    size = even(count, size)
    whole = count // size
    if whole > 1:
        sums, rows = ops.over(step, zeros, whole, size, dtype)
    else:
        sums, rows = step(zeros, 0, size)
    if whole * size == count:
        return sums, rows
    start = ops.after(whole * size, (sums, rows))
    sums, rest = step(sums, start, count - whole * size)
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
    rows = rows_of(ops, head, start, size)
    leaves = _linear.leaves_of(rows, ops.logits(each, rows))
    left = ops.observed(partial(_fused.observe, xp, ops, each), each, leaves)
    by_hidden = xp.zeros((size, 0), dtype=each.dtype)
    if not any(want):
        return sums, (left.losses, by_hidden)
    if want.hidden:
        sums = sums._replace(hidden=xp.zeros(rows.hidden.shape, dtype=each.dtype))
    sums = _over_classes(xp, ops, each, Block(rows, leaves, left, None), worth, sums)
    if want.hidden:
        sums, by_hidden = sums._replace(hidden=None), sums.hidden
    return sums, (left.losses, by_hidden)


def _over_classes(
    xp: Namespace, ops: Loops, each: RowLoss, block: Block, worth: Array, sums: Sums
) -> Sums:
    """What a block adds to the sums; no loop, as XLA writes to places that it knows."""
    count = block.head.weight.shape[0]
    size = min(count, ops.classes(block.head.weight.shape))
    if size < count:
        block = block._replace(whole=_linear.row_targets(xp, each, block.head))
    hidden = _linear.silenced(xp, each, block.head)
    # A function is compiled once for all parts of a size.
    made_of = {n: ops.fused(partial(_made, xp, ops, each, n)) for n in {size, count % size} - {0}}
    for start in range(0, count, size):
        length = min(size, count - start)
        made = made_of[length](*block[1:], worth, ops.after(start, sums))
        sums = _added(xp, ops, each, block.head, hidden, made, sums, (start, length))
    return sums


def _added(
    xp: Namespace,
    ops: Loops,
    each: RowLoss,
    head: Head,
    hidden: Array,
    made: Array,
    sums: Sums,
    part: tuple[int, int],
) -> Sums:
    """The sums, and what some classes of a block add to them."""
    by_hidden, by_weight, by_bias = sums.hidden, sums.weight, sums.bias
    if by_hidden is not None:
        by_hidden = by_hidden + xp.matmul(made, xp.astype(ops.cut(head.weight, *part), each.dtype))
    if by_weight is not None:
        by_weight = ops.added(by_weight, part[0], made, hidden)
    if by_bias is not None:
        by_bias = ops.plus(by_bias, part[0], xp.sum(made, axis=0))
    return Sums(by_weight, by_bias, by_hidden)


def _made(
    xp: Namespace,
    ops: Loops,
    each: RowLoss,
    size: int,
    leaves: Leaves,
    left: Left,
    whole: Targets | None,
    worth: Array,
    start: Any,
) -> Array:
    """The gradient of a block by the logits of some classes, times what its losses are worth."""
    if whole is None:
        return worth * _fused.gradient(xp, each, leaves, left)
    where = leaves.where
    part = leaves._replace(
        logits=ops.cut(leaves.logits, start, size, 1),
        where=None if where is None else ops.cut(where, start, size),
    )
    first = xp.astype(start, each.index_dtype)
    targets = _targets.part(xp, whole, first, each.scores(xp, part), partial(ops.cut, axis=1))
    return worth * _fused.gradient(xp, each, part, left, targets)


def rows_of(ops: Loops, head: Head, start: Any, size: int) -> Head:
    """The leaves of some rows."""
    samples = head.sample_weights
    return head._replace(
        hidden=ops.cut(head.hidden, start, size),
        targets=ops.cut(head.targets, start, size),
        sample_weights=None if samples is None else ops.cut(samples, start, size),
        normalizer=None,
    )
