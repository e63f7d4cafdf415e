"""Gradients by a softmax and its logarithm in place: `_stats.pullback_softmax` and its sibling.

With p = exp / (1 + r) and b the gradient by every value they are p_j (b_j - sum of b p), and
b_j - p_j times the sum of b. At the top of a confident row, r < 1, b_j is taken off a sum that it
is most of. There they are f (b r f - o) with o the sum of all other b p, and f (b r - o) with that
of all other b, where f = 1 / (1 + r). No such row has a second top.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from xentropy._inplace import Ops
from xentropy._typing import Array


class Shares(NamedTuple):
    """The softmax of rows, its axis, r, f, and the places of the tops where a row is confident."""

    p: Array
    axis: int
    rest: Array
    factor: Array
    top: Any


def shares(ops: Ops, xp: Any, exp: Array, rest: Array, axis: int) -> Shares:
    """The softmax over its exponentials."""
    top, factor = None, ops.reciprocal(rest + ops.ONE)
    if ops.smallest(rest) < 1:
        best = ops.index(xp.argmax(exp, axis=axis, keepdims=True))
        top = ops.place(exp.shape, best, axis)
    return Shares(ops.multiply(exp, factor, out=exp), axis, rest, factor, top)


def by_softmax(ops: Ops, seen: Shares, bar: Array, *, out: Array) -> Array:
    """p_j (b_j - sum of b p)."""
    p, axis, rest, factor, top = seen
    weighed, own = ops.multiply(p, bar, out=out), None
    if top is not None:
        own = ops.pick(weighed, top, axis)
        ops.put(weighed, top, 0.0, axis)
    others = ops.sum(weighed, axis)
    total = others if own is None else others + own
    made = ops.multiply(ops.subtract(bar, total, out=out), p, out=out)
    if top is not None:
        own = ops.pick(bar, top, axis) * rest * factor
        ops.put(made, top, (own - others) * factor, axis)
    return made


def by_log_softmax(ops: Ops, seen: Shares, bar: Array, *, out: Array) -> Array:
    """b_j - p_j times the sum of b."""
    p, axis, rest, factor, top = seen
    total = ops.sum(bar, axis)
    made = ops.subtract(bar, ops.multiply(p, total, out=out), out=out)
    if top is not None:
        own = ops.pick(bar, top, axis)
        ops.put(made, top, (own * rest - (total - own)) * factor, axis)
    return made
