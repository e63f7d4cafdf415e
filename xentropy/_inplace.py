"""One visit to finite rows in place: the mathematics of `_stats` for arrays that are written to.

A block of rows is turned into its exponentials where it lies, in a buffer that stays in a cache,
and that buffer into the gradient. Nothing is looked at twice that need not be:

- s, the sum of all exponentials, is 1 + r; where s >= 2, r = s - 1 loses nothing. Only where a
  row has s < 2, a confident one, the exponentials without the top are summed by themselves: the
  top is the only one there that is 1, so what is left of them is their fractional parts.
- Only the label's own entry can need the careful form of the gradient: any other is w p_j, or
  less a small share.

Infinities and NaN are left to `_stats`: they show in the loss of a row, which is not finite then.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

from xentropy._stats import Coefficients
from xentropy._typing import Array, DType

# A number stands for an array of rows whose entries are all equal.
Numbers = Any


class Ops(Protocol):
    """What a framework offers for arrays that can be written to; ``out`` may be an argument.

    Sums, maxima and what is picked keep the axis, with length one.
    """

    def subtract(self, a: Array, b: Numbers, *, out: Array) -> Array:
        """a - b."""

    def multiply(self, a: Array, b: Numbers, *, out: Array) -> Array:
        """a * b."""

    def exp(self, x: Array, *, out: Array | None = None) -> Array:
        """exp(x)."""

    def fraction(self, x: Array) -> Array:
        """x - floor(x) of numbers that are not negative, as a new array."""

    def log1p(self, x: Array) -> Array:
        """log(1 + x)."""

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        """a where the condition holds, else b."""

    def max(self, x: Array, axis: int) -> Array:
        """The maxima along an axis."""

    def sum(self, x: Array, axis: int) -> Array:
        """The sums along an axis."""

    def count(self, flags: Array) -> int:
        """How many flags are set."""

    def finite(self, x: Array) -> bool:
        """Whether no entry is infinite or NaN; rarely False of finite ones whose sum is not."""

    def place(self, shape: tuple[int, ...], labels: Array, axis: int) -> Any:
        """Where the labels of rows, the axis kept, lie in an array of this shape."""

    def pick(self, x: Array, place: Any, axis: int) -> Array:
        """The entries at a place, the axis kept."""

    def put(self, x: Array, place: Any, value: Array, axis: int) -> None:
        """Write those entries."""

    def squeeze(self, x: Array, axis: int) -> Array:
        """Without an axis of length one."""

    def moveaxis(self, x: Array, source: int, destination: int) -> Array:
        """Another order of the axes."""

    def copy(self, x: Array, *, out: Array) -> Array:
        """Write x, cast to the dtype of ``out``."""

    def buffer(self, count: int, dtype: DType, like: Array) -> Array:
        """A flat array of no particular values beside another one."""

    def result(self, like: Array) -> Array:
        """An array of no particular values for a gradient by ``like``."""

    def index(self, labels: Array) -> Array:
        """Labels in a dtype to pick with."""

    def quiet(self) -> Any:
        """A context without warnings of infinities, and without a record of operations."""


class Rows(NamedTuple):
    """What is known of rows before they are visited; a number stands for equal ones.

    The coefficients, of which ``weights`` is None where all are 1 and ``label`` is a place; their
    sum w; that of the label itself; z, the weight of lse^2, or None.
    """

    t: Coefficients
    mass: Numbers
    own: Numbers = None
    z: Numbers = None


class Seen(NamedTuple):
    """What a visit leaves: exponentials, and numbers of the rows.

    ``own`` is how far the label lies below the maximum; ``sharp`` that a row has s < 2.
    """

    exp: Array
    peak: Array
    rest: Array
    gap: Array
    own: Array
    sharp: bool


def visit(
    ops: Ops, scores: Array, t: Coefficients, *, axis: int, temperature: float, buffer: Array
) -> Seen:
    """Visit a block of rows once; its exponentials fill the buffer."""
    peak = ops.max(scores, axis)
    depth = ops.subtract(scores, peak, out=buffer)
    if temperature != 1.0:
        depth /= temperature
    own = None if t.on is None else ops.pick(depth, t.label, axis)
    gap = _gap(ops, depth, own, t, axis)
    exp = ops.exp(depth, out=buffer)
    total = ops.sum(exp, axis)
    rest, sharp = total - 1, total < 2
    count = ops.count(sharp)
    if count:
        _sharpen(ops, exp, rest, sharp, axis, few=4 * count < math.prod(rest.shape))
    return Seen(exp, peak, rest, gap, own, count > 0)


def _sharpen(ops: Ops, exp: Array, rest: Array, sharp: Array, axis: int, *, few: bool) -> None:
    """Sum the exponentials below the top by themselves, in those rows only if they are few."""
    if few:
        rows = ops.moveaxis(exp, axis, -1)[ops.squeeze(sharp, axis)]
        rest[sharp] = ops.sum(ops.fraction(rows), -1)[:, 0]
    else:
        ops.copy(ops.where(sharp, ops.sum(ops.fraction(exp), axis), rest), out=rest)


def _gap(ops: Ops, depth: Array, own: Array | None, t: Coefficients, axis: int) -> Array:
    """g, the sum of t_j (m - x_j) / T."""
    gap = None if own is None else own * -t.on
    if t.spread is not None:
        weighted = depth if t.weights is None else depth * t.weights
        gap = ops.sum(weighted, axis) * -t.spread + (0 if gap is None else gap)
    if t.dense is not None:
        gap = -ops.sum(depth * t.dense, axis) + (0 if gap is None else gap)
    return gap


def losses(ops: Ops, seen: Seen, rows: Rows, temperature: float) -> Array:
    """w log1p(r) + g + z lse^2 of every row."""
    tail = ops.log1p(seen.rest)
    value = tail * rows.mass + seen.gap
    if rows.z is None:
        return value
    lse = seen.peak / temperature + tail
    return value + rows.z * lse * lse


def gradient(
    ops: Ops,
    seen: Seen,
    rows: Rows,
    bar: Numbers,
    *,
    axis: int,
    temperature: float,
    out: Array,
) -> Array:
    """The gradient bar (w p_j - t_j) / T, written over the exponentials or elsewhere."""
    t, mass, bar = rows.t, rows.mass, bar / temperature
    if rows.z is not None:
        mass = mass + 2 * rows.z * (seen.peak / temperature + ops.log1p(seen.rest))
    p = 1 / (1 + seen.rest)
    # Before the exponentials are written over.
    tops = seen.exp == 1 if seen.sharp and t.dense is not None else None
    found = ops.multiply(seen.exp, p * (mass * bar), out=out)
    others = _others(t)
    if others is not None:
        found -= others * bar
    if tops is not None:
        careful = _careful(ops, seen.rest, p, mass, others) * bar
        ops.copy(ops.where(tops, careful, found), out=found)
    if t.on is not None:
        usual = ops.exp(seen.own) * p * mass - rows.own
        careful = _careful(ops, seen.rest, p, mass, rows.own)
        at_label = ops.where(seen.own == 0, careful, usual)
        ops.put(found, t.label, at_label * bar, axis)
    return found


def _others(t: Coefficients) -> Numbers:
    """The coefficients but for the label's own: of every entry, or a number for all of a row."""
    share = t.spread if t.weights is None or t.spread is None else t.spread * t.weights
    if t.dense is None or share is None:
        return share if t.dense is None else t.dense
    return t.dense + share


def _careful(ops: Ops, rest: Array, p: Array, mass: Numbers, t: Numbers) -> Array:
    """w p - t of an entry that attains the maximum: (w - t) p - t r / (1 + r)."""
    beyond = ops.where(rest < 1, rest * p, 1 - p)
    return (mass - t) * p - t * beyond
