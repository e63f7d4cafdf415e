"""The labels' loss of a linear head by exponentials that are made once, some classes at a time.

With m the largest logit of a row and n that of some classes,

    exp(x_j - m) = exp(x_j - n) exp(n - m),

of which the second factor is a number of the row. So the logits of some classes become exponentials
below their own maximum as soon as they are made, which are all that is held of a block of rows; the
gradient by the logits of these classes is made of them, and multiplied at once into those of
hidden, weight and bias. The label's own exponential is left out: the sum of all others is what a
confident row's loss is made of.

Classes are the first axis of whatever has both: some of them lie in one piece, and the weight is
not turned around to be multiplied.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Protocol

from xentropy import _fused, _linear, _linear_scan, _stats, _targets
from xentropy._linear import Bounds, Head, LinearLoss
from xentropy._linear_scan import Rows, Sums
from xentropy._rows import RowLoss
from xentropy._stats import Coefficients, Stats, times
from xentropy._typing import Array, Namespace


class Loops(_linear_scan.Loops, Protocol):
    """What a compiler offers beyond loops."""

    @property
    def held(self) -> int:
        """How many exponentials are held at a time."""
        ...

    def parts(self, shape: tuple[int, int]) -> int:
        """How many classes are visited at a time, for a weight of a shape."""
        ...

    def turned(self, x: Array) -> Array:
        """A matrix, turned around in memory."""
        ...

    def across(self, a: Array, b: Array) -> Array:
        """a.T @ b."""
        ...

    def then(self, x: Array, made: Any) -> Array:
        """An array that is known when something else is made."""
        ...


class Part(NamedTuple):
    """What is found of some classes: exponentials, and of every row the largest logit.

    ``others`` is the sum of the exponentials, ``own`` the label's logit, 0 where it is elsewhere.
    Without a gradient ``exp`` is None.
    """

    exp: Array | None
    peak: Array
    others: Array
    own: Array


class Slope(NamedTuple):
    """What makes the gradient of rows: a factor of every part, and the label's own entry."""

    factors: Array
    own: Array


class Block(NamedTuple):
    """Some rows: their leaves, hidden without what must not be met, and the labels' coefficients.

    ``idle`` is True at rows without weight, None where there are none.
    """

    head: Head
    hidden: Array
    t: Coefficients
    idle: Array | None

    @property
    def label(self) -> Array:
        """The labels."""
        return self.t.label[:, 0]


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a head is visited like this, of those that `_linear_scan` visits."""
    plain = isinstance(rule, LinearLoss) and rule.loss.bare and rule.loss.temperature == 1.0
    return plain and Head(*leaves).where is None


def visited(
    xp: Namespace, ops: Loops, rule: LinearLoss, leaves: Head, wanted: tuple[bool, ...]
) -> tuple[Array, Head]:
    """The reduced loss, and its gradients by the wanted leaves."""
    return _linear_scan.visited(xp, ops, rule, leaves, wanted, (_step, ops.held))


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
    block = _block(xp, each, _linear_scan.rows_of(ops, head, start, size))
    cuts = _linear.bounds(head.weight.shape[0], ops.parts(head.weight.shape))
    found = _found(xp, ops, each, block, cuts, hold=any(want))
    losses, slope = _finished(xp, block, found, worth)
    by_hidden = xp.zeros((size, 0), dtype=each.dtype)
    if not any(want):
        return sums, (losses, by_hidden)
    if want.hidden:
        sums = sums._replace(hidden=xp.zeros(block.hidden.shape, dtype=each.dtype))
    sums = _multiplied(xp, ops, each, block, found, slope, cuts, sums)
    if want.hidden:
        sums, by_hidden = sums._replace(hidden=None), sums.hidden
    return sums, (losses, by_hidden)


def _block(xp: Namespace, each: RowLoss, rows: Head) -> Block:
    t = _targets.coefficients(xp, _linear.row_targets(xp, each, rows))
    idle = t.on == 0 if _linear.may_idle(each, rows) or rows.class_weights is not None else None
    return Block(rows, _linear.silenced(xp, each, rows), t, idle)


# The exponentials.


def _found(
    xp: Namespace, ops: Loops, each: RowLoss, block: Block, cuts: list[Bounds], *, hold: bool
) -> list[Part]:
    """What is found of all classes, some of them after the others."""
    turned, idle = ops.turned(block.hidden), None
    if block.idle is not None:
        idle = xp.reshape(block.idle, (1, -1))
    see = ops.fused(partial(_seen, xp, hold))
    found: list[Part] = []
    for start, stop in cuts:
        here = ops.after(start, (turned, found[-1:]))
        logits = _logits(xp, ops, each, block.head, turned, here, stop - start)
        exp, peak, others = see(logits, block.label - xp.astype(here, block.label.dtype), idle)
        own = _own(xp, logits, block.label - xp.astype(here, block.label.dtype))
        found.append(Part(exp, peak, others, own))
    return found


def _logits(
    xp: Namespace, ops: Loops, each: RowLoss, head: Head, turned: Array, start: Any, size: int
) -> Array:
    """The logits of some classes, which are the first axis."""
    made = xp.matmul(xp.astype(ops.cut(head.weight, start, size), each.dtype), turned)
    if head.bias is None:
        return made
    return made + xp.reshape(xp.astype(ops.cut(head.bias, start, size), each.dtype), (-1, 1))


def _seen(
    xp: Namespace, hold: bool, x: Array, label: Array, idle: Array | None
) -> tuple[Array | None, Array, Array]:
    """The exponentials below the maximum, that maximum, and their sum."""
    peak = xp.max(x, axis=0, keepdims=True)
    exp = xp.exp(_fused.depth_of(xp, x, peak, 1.0))
    exp = xp.where(_stats.class_numbers(xp, x, 0, label.dtype) == label, xp.zeros_like(exp), exp)
    if idle is not None:
        exp = xp.where(idle, xp.zeros_like(exp), exp)
    return exp if hold else None, peak, xp.sum(exp, axis=0, keepdims=True)


def _own(xp: Namespace, x: Array, label: Array) -> Array:
    """The logits of labels that are among some classes; 0 of the others."""
    count, rows = x.shape
    here = (label >= 0) & (label < count)
    place = xp.where(here, label, xp.zeros_like(label)) * rows + xp.arange(rows, label.dtype)
    own = xp.take(xp.reshape(x, (-1,)), place, axis=0)
    return xp.reshape(xp.where(here, own, xp.zeros_like(own)), (1, -1))


def _finished(xp: Namespace, block: Block, found: list[Part], worth: Array) -> tuple[Array, Slope]:
    """The losses, and the gradient of rows whose losses are worth something."""
    peaks, sums, own = (
        xp.concat(list(parts), axis=0) for parts in list(zip(*found, strict=True))[1:]
    )
    mass = xp.reshape(block.t.on, (1, -1))
    peak, own = xp.max(peaks, axis=0, keepdims=True), xp.sum(own, axis=0, keepdims=True)
    share = xp.exp(_fused.depth_of(xp, peaks, peak, 1.0))
    others = xp.sum(share * sums, axis=0, keepdims=True)
    below = _stats.below(xp, own, peak, 1.0)
    # Where the label is not the top, what is lost of r is small beside its distance from the top.
    rest = xp.where(own == peak, others, (others - 1) + xp.exp(below))
    losses = _stats.finish(xp, Stats(peak, rest, times(xp, mass, -below), mass))
    factor = worth * mass / (1 + _stats.settled(xp, peak, rest))
    return xp.reshape(losses, (-1, 1)), _slope(xp, block, share, factor, others)


def _slope(xp: Namespace, block: Block, share: Array, factor: Array, others: Array) -> Slope:
    """The gradient of rows; those without weight have none, whatever their logits are."""
    own = -others * factor
    if block.idle is not None:
        idle, zero = xp.reshape(block.idle, (1, -1)), xp.zeros_like(factor)
        share = xp.where(idle, xp.zeros_like(share), share)
        factor, own = xp.where(idle, zero, factor), xp.where(idle, zero, own)
    return Slope(share * factor, xp.reshape(own, (-1,)))


# The gradients.


def _made(xp: Namespace, exp: Array, label: Array, factor: Array, own: Array) -> Array:
    """The gradient of a block by the logits of some classes."""
    here = _stats.class_numbers(xp, exp, 0, label.dtype) == label
    return xp.where(here, own, exp * factor)


def _multiplied(
    xp: Namespace,
    ops: Loops,
    each: RowLoss,
    block: Block,
    found: list[Part],
    slope: Slope,
    cuts: list[Bounds],
    sums: Sums,
) -> Sums:
    """The sums, and what a block adds to them, some classes after the others."""
    make = ops.fused(partial(_made, xp))
    for i, (start, _) in enumerate(cuts):
        label = block.label - xp.astype(ops.after(start, (slope, sums)), block.label.dtype)
        made = make(found[i].exp, label, slope.factors[i], slope.own)
        sums = _added(xp, ops, each, block, made, start, sums)
    return sums


def _added(
    xp: Namespace, ops: Loops, each: RowLoss, block: Block, made: Array, start: int, sums: Sums
) -> Sums:
    """The sums, and what some classes of a block add to them."""
    by_weight, by_bias, by_hidden = sums
    if by_hidden is not None:
        weight = xp.astype(ops.cut(block.head.weight, start, made.shape[0]), each.dtype)
        by_hidden = by_hidden + ops.across(made, weight)
    if by_weight is not None:
        hidden = ops.then(block.hidden, by_hidden)
        by_weight = ops.plus(by_weight, start, xp.matmul(made, hidden))
    if by_bias is not None:
        by_bias = ops.plus(by_bias, start, xp.sum(made, axis=1))
    return Sums(by_weight, by_bias, by_hidden)
