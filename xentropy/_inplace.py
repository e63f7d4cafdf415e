"""One visit to finite rows in place: the mathematics of `_stats` for arrays that are written to.

A block of rows is turned into its exponentials where it lies, in a buffer that stays in a cache,
and that buffer into the gradient. Nothing is looked at twice that need not be:

- s, the sum of all exponentials, is 1 + r; where s >= 2, r = s - 1 loses nothing. Only where a
  row has s < 2, a confident one, the exponentials below the top are summed by themselves: those
  are their fractional parts, as those at the top are 1.
- Of a hard label only its own entry can need the careful form of the gradient: any other is
  w p_j, less a share of the smoothing.
- Long rows have their label's exponential e left out of the sum, and r is what is left and e - 1.
  That is exact where the label is the top, as e is 1 there. Elsewhere it rounds away what is small
  beside the label's distance from the top, which is part of the loss, and beside 1, which is part
  of what the probabilities divide by.

A class may be out, at -inf, if it has no coefficient: 0 times its infinity is 0. All other
infinities and NaN are left to `_stats`: they show in the loss of a row, which is not finite then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from xentropy._stats import Coefficients
from xentropy._typing import Array, DType

# A number stands for an array of rows whose entries are all equal.
Numbers = Any
# f of a surprisal, or its derivative, see `_links`.
Curve = Callable[[Array], Array]


class Ops(Protocol):
    """What a framework offers for arrays that can be written to; ``out`` may be an argument.

    Sums, maxima and what is picked keep the axis, with length one.
    """

    def subtract(self, a: Array, b: Numbers, *, out: Array | None) -> Array:
        """a - b."""
        ...

    def multiply(self, a: Array, b: Numbers, *, out: Array | None) -> Array:
        """a * b."""
        ...

    def less(self, x: Array, a: Numbers, b: Numbers, *, spare: Array | None) -> Array:
        """x - a * b, where x lies; a spare buffer may be written to."""
        ...

    def at_least(self, x: Array, least: float, *, out: Array) -> Array:
        """max(x, least), NaN where x is."""
        ...

    def no_nan(self, x: Array) -> Array:
        """0 where x is NaN, where it lies."""
        ...

    def exp(self, x: Array, *, out: Array | None = None) -> Array:
        """exp(x)."""
        ...

    def exp_below(self, x: Array, peak: Array, *, out: Array) -> Array | None:
        """exp(x) of numbers not above 0 where that takes less time than exp, else None.

        They may be NaN where a peak of rows is not finite.
        """
        ...

    def shares(self, x: Array, axis: int, *, out: Array) -> Array | None:
        """A softmax along an axis where that takes less time than exp(x), else None."""
        ...

    def log_softmax(
        self, shape: tuple[int, ...], axis: int, dtype: DType, *, labels: bool
    ) -> tuple[Callable[..., Array], int] | None:
        """The log-softmax of such an array where it takes less time than exp and loses little.

        Beside exp ``labels`` ask for fewer passes than probabilities do.
        It is called like `exp`, with the axis beside, and adds so many numbers one after the
        other; None where there is none.
        """
        ...

    def softmax(self, x: Array, axis: int) -> Array | None:
        """A new softmax of finite entries in one operation, or None.

        A row of +inf may have one; what it has, one operation does not say.
        """
        ...

    def expm1(self, x: Array) -> Array:
        """exp(x) - 1."""
        ...

    def fraction(self, x: Array, *, out: Array | None) -> Array:
        """x - floor(x) of numbers that are not negative."""
        ...

    def reciprocal(self, x: Array, *, out: Array | None = None) -> Array:
        """1 / x."""
        ...

    def divide(self, a: Numbers, x: Array) -> Array:
        """a / x."""
        ...

    def log(self, x: Array, *, out: Array) -> Array:
        """log(x), NaN where x is below 0."""
        ...

    def log1p(self, x: Array, *, out: Array | None = None) -> Array:
        """log(1 + x)."""
        ...

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        """a where the condition holds, else b."""
        ...

    def max(self, x: Array, axis: int) -> Array:
        """The maxima along an axis."""
        ...

    def sum(self, x: Array, axis: int, *, out: Array | None = None) -> Array:
        """The sums along an axis."""
        ...

    FEW: float
    """Up to which share rows are better taken out of a block than the whole block looked at."""

    ONE: Numbers
    """1, as a number that costs an operation least."""

    SCALAR_LOG1P: bool
    """Whether log1p takes so long that log and a few operations more take less time."""

    def round(self, x: Array, *, out: Array) -> Array:
        """The nearest whole numbers."""
        ...

    def smallest(self, x: Array) -> float:
        """The smallest entry, NaN if one is."""
        ...

    def extremes(self, x: Array) -> tuple[float, float]:
        """The smallest and the largest entry, NaN if one is."""
        ...

    def count(self, flags: Array) -> int:
        """How many flags are set."""
        ...

    def zeros(self, like: Array) -> Array:
        """Zeros of its shape and dtype."""
        ...

    def finite(self, x: Array) -> bool:
        """Whether no entry is infinite or NaN; rarely False of finite ones whose sum is not."""
        ...

    def place(self, shape: tuple[int, ...], labels: Array, axis: int) -> Any:
        """Where the labels of rows, the axis kept, lie in an array of this shape."""
        ...

    def pick(self, x: Array, place: Any, axis: int, *, out: Array | None = None) -> Array:
        """The entries at a place, the axis kept."""
        ...

    def put(self, x: Array, place: Any, value: Numbers, axis: int) -> None:
        """Write those entries."""

    def number(self, value: float, like: Array) -> Array:
        """A number as an array of no dimensions; it may be written over ``like``, one as well."""
        ...

    def squeeze(self, x: Array, axis: int) -> Array:
        """Without an axis of length one."""
        ...

    def unsqueeze(self, x: Array, axis: int) -> Array:
        """With an axis of length one, counted from the front, as a view."""
        ...

    def moveaxis(self, x: Array, source: int, destination: int) -> Array:
        """Another order of the axes."""
        ...

    def copy(self, x: Array, *, out: Array) -> Array:
        """Write x, cast to the dtype of ``out``."""
        ...

    def buffer(self, shape: tuple[int, ...], dtype: DType, like: Array) -> Array:
        """An array of no particular values beside another one."""
        ...

    def result(self, like: Array) -> Array:
        """An array of no particular values for a gradient by ``like``."""
        ...

    def index(self, labels: Array) -> Array:
        """Labels in a dtype to pick with."""
        ...

    def quiet(self) -> Any:
        """A context without warnings of infinities, and without a record of operations."""
        ...


class Rows(NamedTuple):
    """What is known of rows before they are visited; a number stands for equal ones.

    The coefficients, of which ``label`` is a place, and ``weights`` None where all are 1; their
    sum w; that of the label itself; z, the weight of lse^2, or None.
    """

    t: Coefficients
    mass: Numbers
    own: Numbers = None
    z: Numbers = None


class Found(NamedTuple):
    """What a visit finds out about rows: room for one number per row each.

    The maximum m; r; how far the label lies below the maximum; the part of g that the other
    coefficients have.
    """

    peak: Array
    rest: Array
    depth: Array | None
    gap: Array | None


def visit(
    ops: Ops,
    scores: Array,
    t: Coefficients,
    *,
    axis: int,
    temperature: float,
    buffer: Array,
    spare: Array | None,
) -> tuple[Found, bool] | None:
    """Visit a block of rows once; its exponentials fill the buffer, but for those at labels.

    The flag says whether the exponentials were summed again, for a row with s < 2 among them; then
    the spare buffer, or a new one, is written to, as it is for coefficients of every entry. It may
    be the same where there are none and nobody wants the exponentials. None where a row holds NaN
    or an infinity that cannot be taken here: it makes r NaN, or the sum of t_j (m - x_j).
    """
    made = _exponentials(ops, scores, t, axis, temperature, buffer, spare)
    if made is None:
        return None
    peak, depth, gap, exp = made
    apart = depth is not None and scores.shape[axis] >= LONG
    if apart:
        rest = _but_label(ops, exp, depth, t, axis)
        least = ops.smallest(rest)
    else:
        rest, least = _but_top(ops, exp, axis, spare)
    if math.isnan(least):
        return None
    return Found(peak, rest, depth, gap), not apart and least < 2


def _exponentials(
    ops: Ops,
    scores: Array,
    t: Coefficients,
    axis: int,
    temperature: float,
    buffer: Array,
    spare: Array | None,
) -> tuple[Array, Array | None, Array | None, Array] | None:
    """The maxima, how far labels lie below, the gap of other coefficients, the exponentials.

    None where that gap is not finite.
    """
    peak = ops.max(scores, axis)
    below = beneath(ops, scores, peak, temperature, out=buffer)
    depth = None if t.on is None else ops.pick(below, t.label, axis)
    gap = gap_of(ops, below, t, axis, spare)
    if gap is not None and not ops.finite(gap):
        gap = _gap_beside_holes(ops, below, t, axis, spare)
        if gap is None:
            return None
    return peak, depth, gap, exp_below(ops, below, peak, out=below)


def widened(ops: Ops, x: Array, buffer: Array) -> Array:
    """Entries in the dtype of a buffer, which is written to only where theirs is another."""
    return x if x.dtype == buffer.dtype else ops.copy(x, out=buffer)


def masked(ops: Ops, x: Array, mask: Array, *, out: Array, spare: Array) -> Array:
    """Entries with -inf where the mask is False: less 1 / 1 - 1 elsewhere, and 1 / 0 - 1 there.

    The spare buffer is written to if the mask has an entry for each of its own.
    """
    own = mask.shape != spare.shape
    bars = ops.buffer(mask.shape, spare.dtype, spare) if own else spare
    bars = ops.reciprocal(ops.copy(mask, out=bars), out=bars)
    bars -= ops.ONE
    return ops.subtract(widened(ops, x, out), bars, out=out)


def beneath(ops: Ops, scores: Array, peak: Array, temperature: float, *, out: Array) -> Array:
    """(x - m) / T."""
    out = ops.subtract(scores, peak, out=out)
    if temperature != 1.0:
        out /= temperature
    return out


def exp_below(ops: Ops, x: Array, peak: Array, *, out: Array) -> Array:
    """exp(x) of how far rows lie below their peaks."""
    made = ops.exp_below(x, peak, out=out)
    return ops.exp(x, out=out) if made is None else made


def log1p_many(ops: Ops, x: Array, spare: Array) -> Array:
    """log(1 + x) of many entries from 0 to 1, where they lie; the spare buffer is written to.

    By the logarithm of u = 1 + x, in which x - (u - 1), what u has rounded away, is worth 1 / u of
    itself. u - 1 is exact.
    """
    if not ops.SCALAR_LOG1P:
        return ops.log1p(x, out=x)
    u = ops.subtract(x, -ops.ONE, out=spare)
    u -= ops.ONE
    x -= u
    u += ops.ONE
    x /= u
    x += ops.log(u, out=u)
    return x


# In rows of fewer classes an entry of its own for each row costs more than another visit.
LONG = 64


def _but_label(ops: Ops, exp: Array, depth: Array, t: Coefficients, axis: int) -> Array:
    """r of rows with labels, whose exponentials are less by 1 from now on."""
    ops.put(exp, t.label, ops.expm1(depth), axis)
    return ops.sum(exp, axis)


def _but_top(ops: Ops, exp: Array, axis: int, spare: Array | None) -> tuple[Array, float]:
    """r of rows, and the smallest s: below 2 some of them are confident."""
    total = ops.sum(exp, axis)
    smallest = ops.smallest(total)
    if smallest < 2:
        return _sharp(ops, exp, total, axis, spare), smallest
    total -= ops.ONE
    return total, smallest


def gap_of(ops: Ops, below: Array, t: Coefficients, axis: int, spare: Array | None) -> Array | None:
    """The sum of t_j (m - x_j) / T over the coefficients but for the label's own."""
    others = others_of(t)
    if others is None:
        return None
    if t.weights is None and t.dense is None:
        return ops.sum(below, axis) * -others
    gap = ops.sum(ops.multiply(below, others, out=spare), axis)
    return ops.multiply(gap, -ops.ONE, out=gap)


def _gap_beside_holes(
    ops: Ops, below: Array, t: Coefficients, axis: int, spare: Array | None
) -> Array | None:
    """The same where classes are out: what has no coefficient adds nothing. None if others do."""
    others = others_of(t)
    if not (hasattr(others, "shape") and ops.finite(others)):
        return None
    gap = ops.sum(ops.no_nan(ops.multiply(below, others, out=spare)), axis)
    return ops.multiply(gap, -ops.ONE, out=gap) if ops.finite(gap) else None


def sum_beside_holes(ops: Ops, products: Array, axis: int) -> tuple[Array, bool]:
    """The sum of products, and whether some are of 0 and an infinity: these are 0 from then on."""
    total = ops.sum(products, axis)
    if ops.finite(total):
        return total, False
    return ops.sum(ops.no_nan(products), axis), True


def others_of(t: Coefficients) -> Numbers:
    """The coefficients but for the label's own: of every entry, or a number for all of a row."""
    share = t.spread if t.weights is None or t.spread is None else t.spread * t.weights
    if t.dense is None or share is None:
        return share if t.dense is None else t.dense
    return t.dense + share


def _sharp(ops: Ops, exp: Array, total: Array, axis: int, spare: Array | None) -> Array:
    """r of rows of which some are confident: from the sum of what is below the top.

    That of the fractional parts leaves out all entries that are 1. What they sum to is a whole
    number, and one of them is the top.
    """
    few = total < 2 if ops.FEW else None
    if few is not None and ops.count(few) < ops.FEW * math.prod(total.shape):
        total -= ops.ONE
        rows = ops.moveaxis(exp, axis, -1)[ops.squeeze(few, axis)]
        total[few] = ops.sum(ops.fraction(rows, out=rows), -1)[:, 0]
        return total
    below = ops.sum(ops.fraction(exp, out=spare), axis)
    total -= below
    ties = ops.round(total, out=total)
    ties -= ops.ONE
    below += ties
    return below


def losses(
    ops: Ops, found: Found, rows: Rows, temperature: float, curve: Curve | None = None
) -> Array:
    """w log1p(r) + g + z lse^2 of every row; with a curve, of labels alone, t f(q) + z lse^2."""
    tail = ops.log1p(found.rest)
    if curve is None:
        value = _straight(ops, tail, found, rows)
    else:
        value = own_of(ops, curve(tail - found.depth), rows.t.on)
    if rows.z is None:
        return value
    lse = found.peak / temperature + tail
    return value + rows.z * lse * lse


def _straight(ops: Ops, tail: Array, found: Found, rows: Rows) -> Array:
    """w log1p(r) + g of every row."""
    value = tail if is_one(rows.mass) else tail * rows.mass
    if found.depth is not None:
        value = value - own_of(ops, found.depth, rows.t.on)
    if found.gap is not None:
        value += found.gap
    return value


def own_of(ops: Ops, value: Array, on: Numbers) -> Array:
    """The label's share, t times a value of its own, 0 where it has no weight."""
    if isinstance(on, float):
        if on == 0.0:
            return ops.zeros(value)
        return value if on == 1.0 else value * on
    return ops.where(on == 0, ops.zeros(value), value * on)


def bent(ops: Ops, found: Found, rows: Rows, slope: Curve) -> Rows:
    """Rows of labels alone with t f'(q) for t: the gradient of what a curve f makes of q is theirs.

    Their z is as it was, for it weighs what no curve bends.
    """
    factor = slope(ops.log1p(found.rest) - found.depth)
    return rows._replace(mass=factor * rows.mass, own=factor * rows.own)


def is_one(x: Numbers) -> bool:
    """Whether a number is 1."""
    return isinstance(x, float) and x == 1.0


def gradient(
    ops: Ops,
    exp: Array,
    found: Found,
    rows: Rows,
    bar: Numbers,
    temperature: float,
    sharp: bool,
    *,
    out: Array,
    spare: Array | None = None,
) -> Array:
    """The gradient bar (w p_j - t_j) / T of all but the label, over the exponentials or elsewhere.

    It may lie over nothing else that is read; a spare buffer is written to. Where p is near 1
    probabilities t are taken off e - t first, then t r: that does not cancel.
    """
    bar = bar / temperature
    z, others = _lse_weight(ops, found, rows, temperature), others_of(rows.t)
    p = found.rest + ops.ONE
    p = ops.reciprocal(p, out=p)
    if sharp and rows.t.dense is not None:
        more = None if z is None else exp * z
        made = ops.multiply(exp, rows.mass, out=out)
        made -= others
        made = ops.less(made, others, found.rest, spare=spare)
        if more is not None:
            made += more
        p *= bar
        return ops.multiply(made, p, out=out)
    p *= (rows.mass if z is None else rows.mass + z) * bar
    made = ops.multiply(exp, p, out=out)
    return made if others is None else ops.less(made, others, bar, spare=spare)


def _lse_weight(ops: Ops, found: Found, rows: Rows, temperature: float) -> Numbers:
    """What z lse^2 adds to w, which weighs the probabilities, or None.

    Where w - t cancels it is apart from w: what is left of their sum may be rounding.
    """
    if rows.z is None:
        return None
    return 2 * rows.z * (found.peak / temperature + ops.log1p(found.rest))


def gradient_at_label(
    ops: Ops, found: Found, rows: Rows, bar: Numbers, *, temperature: float
) -> Array:
    """The gradient at the label: ((w e - t) - t r) p, in which e - t is 0 where it is the top."""
    exp, z = ops.exp(found.depth), _lse_weight(ops, found, rows, temperature)
    more = None if z is None else exp * z
    apart = exp if is_one(rows.mass) else exp * rows.mass
    apart -= ops.ONE if is_one(rows.own) else rows.own
    apart -= found.rest if is_one(rows.own) else found.rest * rows.own
    if more is not None:
        apart += more
    return apart / (found.rest + ops.ONE) * (bar / temperature)
