"""The plan of a linear head where arrays lie in memory and can be written to.

Loss and gradients are made in one visit: a block of rows is multiplied into a tile of logits,
which the plan of the dense loss turns into their gradient where they lie, and that into those of
hidden, weight and bias. So the cost is three products, and beyond the gradients there is one
tile. Rows that are ignored are left out of the products.

Where rows are so long that a tile has few of them, and where the weight is narrower than the
dtype of the computation, a tile is some of the classes: statistics first, then the gradients, that
of each part of the weight summed up before it is rounded. That is a product more.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol, cast

from xentropy import _linear, _plans
from xentropy._blocks import blocks
from xentropy._inplace import Ops
from xentropy._known import Plan, known
from xentropy._linear import Bars, Bounds, Cuts, Head, LinearLoss, Tile
from xentropy._rows import Left, RowLoss
from xentropy._typing import Array, DType

# Libraries that multiply take so many rows at a time; a rest costs as much as all of them.
ROWS = 32
# One visit to fewer rows takes longer than two to more of them, in parts of classes.
FEW = 32
# Products of fewer multiplications are not worth another library than the usual one.
LARGE = 1 << 24
# The leaves whose gradients are part of the visit.
MOVING = ("hidden", "weight", "bias")


class Products(Ops, Protocol):
    """What a framework offers beyond, for arrays of two dimensions."""

    APART: bool
    """Whether a product comes in memory of its own, which is not its place."""
    PLACED: bool
    """Whether a tile and what it adds to the weight's gradient go to a place nevertheless."""

    def product(self, a: Array, b: Array, *, out: Array | None = None) -> Array:
        """a @ b, which may be written to; it is ``out`` where that is given, see above."""

    def add_product(self, a: Array, b: Array, *, out: Array) -> None:
        """Add a @ b, in place and without room for as much again."""

    def spread(self, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """An array of one number in memory, which has any shape; nobody reads it."""

    def places(self, flags: Array) -> Array:
        """Where flags are set, of one dimension."""

    def clear(self, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """Zeros beside another array."""


class Visit(NamedTuple):
    """One call, its rows along one axis; ``kept`` are those that count, None if they all do.

    ``bar`` is the gradient by every row's loss: a number for all, or one for each.
    """

    plan: Plan
    rule: LinearLoss
    head: Head
    kept: Array | None
    divisor: float | None
    bar: Any

    @property
    def ops(self) -> Products:
        """The operations."""
        return cast("Products", self.plan.ops)

    @property
    def each(self) -> RowLoss:
        """The rule of the rows' losses."""
        return replace(self.rule.loss, reduction="none")

    @property
    def number(self) -> int:
        """How many rows count."""
        rows = self.head.hidden if self.kept is None else self.kept
        return int(rows.shape[0])

    def rows(self, start: int, stop: int) -> Head:
        """The leaves of some of the rows that count."""
        if self.kept is None:
            return _linear.rows_of(self.head, start, stop)
        place, head = self.kept[start:stop], self.head
        samples, where = head.sample_weights, head.where
        return head._replace(
            hidden=head.hidden[place],
            targets=head.targets[place],
            sample_weights=None if samples is None else samples[place],
            where=where if where is None or where.ndim == 1 or len(where) == 1 else where[place],
        )

    def bars(self, start: int, stop: int) -> Any:
        """The gradient by the losses of some rows."""
        if isinstance(self.bar, float):
            return self.bar
        return self.bar[start:stop] if self.kept is None else self.bar[self.kept[start:stop]]

    def place(self, start: int, stop: int) -> Any:
        """Where some of the rows lie among all."""
        return slice(start, stop) if self.kept is None else self.kept[start:stop]


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a rule can be visited like this: the loss of a head of any row at all."""
    return isinstance(rule, LinearLoss) and 0 not in Head(*leaves).hidden.shape


def large(rule: Any, leaves: tuple[Array | None, ...], dtype: DType) -> bool:
    """Whether a loss is that of a head of a dtype whose products are large."""
    if not isinstance(rule, LinearLoss):
        return False
    hidden, weight, *_ = Head(*leaves)
    count = math.prod(hidden.shape) * weight.shape[0]
    return hidden.dtype == weight.dtype == dtype and bool(count >= LARGE)


def loss(chosen: Plan, rule: Any, leaves: tuple[Array | None, ...]) -> Array:
    """The reduced loss."""
    return loss_and_gradients(chosen, rule, leaves, (False,) * len(leaves))[0]


def loss_and_gradients(
    chosen: Plan,
    rule: Any,
    leaves: tuple[Array | None, ...],
    wanted: tuple[bool, ...],
    *,
    bar: Array | float = 1.0,
) -> tuple[Array, Head]:
    """The reduced loss, and bar times its gradients by the wanted leaves, which all `moves`."""
    given = Head(*leaves)
    with chosen.ops.quiet():
        visit = _visit(chosen, rule, _linear.flat(chosen.xp, given, hard=rule.loss.hard), bar)
        losses, made = (_in_one if _whole(visit) else _in_parts)(visit, Head(*wanted))
        return _reduced(visit, given.hidden.shape[:-1], losses), shaped(chosen, given, made)


def shaped(chosen: Plan, leaves: Head, made: Head) -> Head:
    """The gradients in the shapes and dtypes of their leaves."""
    return _linear.shaped(chosen.xp, leaves, made)


def _visit(chosen: Plan, rule: LinearLoss, head: Head, bar: Array | float) -> Visit:
    """What is known before: the rows that count, what a mean divides by, what a loss is worth."""
    xp, ops, loss = chosen.xp, cast("Products", chosen.ops), rule.loss
    shape = (head.hidden.shape[0], head.weight.shape[0])
    leaves = _linear.leaves_of(head, ops.spread(shape, loss.dtype, head.hidden))
    cuts = blocks(shape, 1, chosen.block_size, chosen.threads)
    divisor = known(chosen, loss, leaves, cuts, in_place=not _by_row(head.where))[2]
    kept = None
    if head.sample_weights is not None or (loss.hard and loss.ignore_index is not None):
        flags = xp.reshape(_linear.row_scale(xp, loss, head), (-1,)) != 0
        kept = None if bool(xp.all(flags)) else ops.places(flags)
    if loss.reduction == "none":
        worth = bar if isinstance(bar, float) else xp.reshape(bar, (-1,))
    else:
        worth = float(bar) if divisor is None else float(bar) / divisor if divisor else 0.0
    return Visit(chosen, rule, head, kept, divisor, worth)


def _by_row(where: Array | None) -> bool:
    """Whether every row has a mask of its own."""
    return where is not None and where.ndim > 1 and where.shape[0] != 1


def _whole(visit: Visit) -> bool:
    """Whether a tile has all classes: what is not narrow, of rows enough."""
    head, dtype = visit.head, visit.rule.loss.dtype
    if head.hidden.dtype != dtype or head.weight.dtype != dtype:
        return False
    held = not visit.rule.loss.hard or _by_row(head.where)
    return held or _size(visit) >= min(FEW, visit.number)


def _size(visit: Visit) -> int:
    """How many rows a tile of all classes has."""
    return max(1, (visit.rule.tile or visit.plan.tile) // int(visit.head.weight.shape[0]))


def even(count: int, size: int) -> int:
    """The size of blocks of about one size, no larger than another; products take no rest of it."""
    each = -(-count // -(-count // size))
    whole = -(-each // ROWS) * ROWS
    return whole if whole <= min(size, count) else each


def _cuts(visit: Visit) -> list[Bounds]:
    """Bounds of blocks of rows."""
    size = even(visit.number, _size(visit))
    return [(start, min(start + size, visit.number)) for start in range(0, visit.number, size)]


def _reduced(visit: Visit, lead: tuple[int, ...], losses: Array) -> Array:
    """The reduced loss; rows that do not count have none."""
    rule = visit.rule.loss
    if rule.reduction == "none":
        if visit.kept is not None:
            all_ = visit.ops.clear((math.prod(lead),), rule.dtype, losses)
            all_[visit.kept] = losses
            losses = all_
        return losses.reshape(lead)
    total = losses.sum()
    if visit.divisor is None:
        return total
    nothing = visit.plan.xp.zeros_like(total) + rule.empty
    return total / visit.divisor if visit.divisor else nothing


# One visit.


def _in_one(visit: Visit, want: Head) -> tuple[Array, Head]:
    """The losses and gradients in one visit to blocks of rows with all classes."""
    head, ops, dtype = visit.head, visit.ops, visit.rule.loss.dtype
    losses = ops.buffer((visit.number,), dtype, head.hidden)
    if visit.number == 0:
        return losses, _room(visit, want)
    made = SimpleNamespace(**_room(visit, want)._asdict())
    cuts = _cuts(visit)
    shape = (max(stop - start for start, stop in cuts), head.weight.shape[0])
    tile = None if ops.APART and not ops.PLACED else ops.buffer(shape, dtype, head.hidden)
    for block in cuts:
        _visited(visit, made, losses, tile, block)
    return losses, Head(**vars(made))


def _visited(
    visit: Visit, made: SimpleNamespace, losses: Array, tile: Array | None, block: Bounds
) -> None:
    """Visit a block of rows; a tile of its own is gone before the next one is made."""
    head, (start, stop) = visit.head, block
    rows, into = visit.rows(start, stop), None if tile is None else tile[: stop - start]
    x = visit.ops.product(rows.hidden, head.weight.T, out=into)
    if head.bias is not None:
        x += head.bias
    gradient = any(x is not None for x in vars(made).values())
    losses[start:stop] = _turned(visit, rows, x, visit.bars(start, stop), gradient)
    _multiply(visit, rows, x, made, block)


def _turned(visit: Visit, rows: Head, x: Array, bars: Any, gradient: bool) -> Array:
    """The losses of rows; their logits become the gradient where one is wanted."""
    leaves = tuple(_linear.leaves_of(rows, x))
    if not gradient:
        return _plans.loss(visit.plan, visit.each, leaves)
    return _plans.loss_and_gradient(visit.plan, visit.each, leaves, bar=bars, out=x)[0]


def _multiply(visit: Visit, rows: Head, x: Array, made: SimpleNamespace, block: Bounds) -> None:
    """Multiply the gradient of a tile into those that are wanted; the first one is written."""
    ops = visit.ops
    if made.hidden is not None:
        _by_hidden(visit, x, made.hidden, visit.place(*block))
    if made.weight is not None and block[0] == 0:
        into, made.weight = made.weight, None
        if ops.APART and not ops.PLACED:  # this was kept for the product, which takes it now
            into = None
        made.weight = ops.product(x.T, rows.hidden, out=into)
    elif made.weight is not None:
        ops.add_product(x.T, rows.hidden, out=made.weight)
    if made.bias is not None:
        made.bias[...] = x.sum(0) + (made.bias if block[0] else 0)


def _by_hidden(visit: Visit, x: Array, made: Array, place: Any) -> None:
    """Write the gradient by the rows of a tile."""
    if visit.kept is None and not visit.ops.APART:
        visit.ops.product(x, visit.head.weight, out=made[place])
    else:
        made[place] = visit.ops.product(x, visit.head.weight)


def _room(visit: Visit, want: Head) -> Head:
    """Room for the gradients; that of rows that do not count is 0."""
    head, ops = visit.head, visit.ops
    asked = (ops.result(x) if name else None for x, name in zip(head, want, strict=True))
    made = Head(*asked)
    if made.hidden is not None and visit.kept is not None:
        made.hidden[...] = 0
    if visit.number == 0:
        for x in made:
            if x is not None:
                x[...] = 0
    return made


# In parts of classes.


def _in_parts(visit: Visit, want: Head) -> tuple[Array, Head]:
    """The losses, and then the gradients, tile by tile in the general form."""
    xp, rule = visit.plan.xp, visit.rule
    if visit.number == 0:
        return visit.ops.buffer((0,), rule.dtype, visit.head.hidden), _room(visit, want)
    cuts = rule.cuts(xp, visit.head, visit.number, again=False)
    seen = [rule.observe(xp, visit.rows(*block), cuts.classes) for block in cuts.rows]
    losses = _linear.joined(xp, Left, seen).losses[:, 0]
    made = _pulled(visit, want, cuts, seen) if any(want) else Head(None, None, None)
    return losses, made


def _pulled(visit: Visit, want: Head, cuts: Cuts, seen: list[Left]) -> Head:
    """The gradients of rows whose statistics are known, part by part of the classes."""
    xp, rule, head = visit.plan.xp, visit.rule, visit.head
    made, by_rows = _room(visit, want), None
    if want.hidden:  # summed up over the classes, and rounded at the end
        by_rows = visit.ops.clear(head.hidden.shape, rule.dtype, head.hidden)
    tiles = [_tile(visit, b, left, cuts) for b, left in zip(cuts.rows, seen, strict=True)]
    for part in cuts.classes:
        total = None
        for block, tile in zip(cuts.rows, tiles, strict=True):
            by = _linear.pull_tile(xp, rule, _linear.part_of(tile, *part), want, again=False)
            if by_rows is not None:
                by_rows[visit.place(*block)] += by.hidden
            total = _linear.added(total, by._replace(hidden=None))
        _write(visit, made, part, total)
    if by_rows is not None:
        visit.ops.copy(by_rows, out=made.hidden)
    return made


def _tile(visit: Visit, block: Bounds, left: Left, cuts: Cuts) -> Tile:
    """A block of rows with all classes, and what is known of it."""
    rows, bars = visit.rows(*block), visit.bars(*block)
    if not isinstance(bars, float):
        bars = visit.plan.xp.reshape(bars, (-1, 1))
    whole = None
    if len(cuts.classes) > 1:
        whole = _linear.row_targets(visit.plan.xp, visit.each, rows)
    return Tile(rows, 0, whole, left, Bars((bars,)))


def _write(visit: Visit, made: Head, part: Bounds, total: Head | None) -> None:
    """Write the gradients by a part of the classes, rounded once."""
    for name in ("weight", "bias"):
        into = getattr(made, name)
        if into is not None:
            visit.ops.copy(getattr(total, name), out=into[slice(*part)])
