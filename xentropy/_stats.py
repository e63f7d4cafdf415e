"""The four numbers that one visit to a row of logits leaves behind, and all their mathematics.

A row of logits x with target coefficients t becomes ``max`` m, ``rest`` r (the sum of
exp(x_j - m) over every class but one that attains m), ``gap`` g (the sum of t_j (m - x_j)) and
``mass`` w (the sum of t_j). Then

    logsumexp = m + log1p(r),   loss = w log1p(r) + g,   p_j = exp(x_j - m) / (1 + r),

and every term but m is a sum of numbers of one sign, so nothing cancels. Statistics of parts of a
row merge into those of the whole: they are a commutative monoid with identity (-inf, 0, 0, 0).

With a temperature T the exponents are (x_j - m) / T; m stays a logit. The division comes after
the subtraction on purpose: a compiler that contracts x * (1 / T) - m into one rounding would
make the largest entry's exponent differ from zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

Array = Any
Namespace = Any


class Stats(NamedTuple):
    """The statistics of rows; every field has the class axis kept with length one."""

    max: Array
    rest: Array
    gap: Array
    mass: Array


class Contribution(NamedTuple):
    """What some classes add to the sums over all; ``tops`` is 1 where they attain the maximum."""

    rest: Array
    tops: Array
    gap: Array
    mass: Array


class Coefficients(NamedTuple):
    """Target coefficients t_j = on [j = label] + spread * weights_j + dense_j; None is absent.

    A hard label stays two numbers per row and smoothing a row times a column, so that only
    targets that are given densely are ever held densely.
    """

    label: Array = None
    on: Array = None
    spread: Array = None
    weights: Array = None
    dense: Array = None


class Shares(NamedTuple):
    """The exponentials of rows: exponents, their exp, the top entries, and two sums.

    ``others`` is the sum over every class but one top entry. ``rest`` has the same value, and in
    a differentiable visit also the derivative that flows through that top entry; there ``top``
    marks that one alone, and ``again`` is True.
    """

    below: Array
    exp: Array
    top: Array
    others: Array
    rest: Array
    again: bool = False


class Crest(NamedTuple):
    """The top entry: others / own, its probability 1 / (1 + ratio), and that of all the others.

    Made of products, so that derivatives do not cancel where the probability is near 1.
    """

    ratio: Array
    p: Array
    beyond: Array


# Small array operations that the array API leaves to its users.


def shape_of(xp: Namespace, x: Array) -> tuple[Any, ...]:
    """The shape of ``x``; a namespace whose shapes may be unknown while tracing brings its own."""
    dynamic = getattr(xp, "dynamic_shape", None)
    return tuple(x.shape) if dynamic is None else cast("tuple[Any, ...]", dynamic(x))


def along(xp: Namespace, factor: Array | None, ndim: int, axis: int) -> Array:
    """A factor or mask of shape (K,) laid along the class axis; others have all dimensions."""
    if factor is None or factor.ndim == ndim:
        return factor
    shape = [1] * ndim
    shape[axis] = -1
    return xp.reshape(factor, tuple(shape))


def masked(xp: Namespace, x: Array, mask: Array | None) -> Array:
    """-inf at the classes that take no part."""
    return x if mask is None else xp.where(mask, x, xp.zeros_like(x) - float("inf"))


def capped(xp: Namespace, x: Array, cap: float) -> Array:
    """cap tanh(x / cap), rounded before anything is subtracted from it.

    The minimum changes no value. Without it a compiler may contract the product and the difference
    from the maximum into one rounding, and the largest entry's exponent would differ from zero.
    """
    return xp.minimum(cap * xp.tanh(x / cap), xp.zeros_like(x) + cap)


def cut(xp: Namespace, gradient: Array, mask: Array | None) -> Array:
    """0 at the classes that take no part: they are constants."""
    return gradient if mask is None else xp.where(mask, gradient, xp.zeros_like(gradient))


def class_numbers(xp: Namespace, x: Array, axis: int, dtype: Any) -> Array:
    """The numbers of the classes, shaped to broadcast along the class axis of ``x``.

    They are 0 to K - 1, but in a namespace whose arrays hold some of the classes.
    """
    device, first = getattr(x, "device", None), getattr(xp, "first_class", None)
    numbers = xp.arange(shape_of(xp, x)[axis], dtype=dtype, device=device)
    if first is not None:
        numbers = numbers + first(numbers.shape[0])
    return along(xp, numbers, x.ndim, axis)


def class_count(xp: Namespace, x: Array, axis: int) -> Any:
    """How many classes there are, those that other arrays hold included."""
    count, total = shape_of(xp, x)[axis], getattr(xp, "all_classes", None)
    return count if total is None else total(count)


def sums(xp: Namespace, *arrays: Array, axis: int) -> list[Array]:
    """The sums of several arrays along an axis, which is kept; one message where they travel."""
    together = getattr(xp, "class_sums", None)
    if together is not None:
        return cast("list[Array]", together(*arrays, axis=axis))
    return [xp.sum(x, axis=axis, keepdims=True) for x in arrays]


def pick(xp: Namespace, x: Array, label: Array, axis: int) -> Array:
    """The entry of every row that ``label`` (class axis kept) names."""
    if hasattr(xp, "take_along_axis"):
        return xp.take_along_axis(x, label, axis=axis)
    chosen = class_numbers(xp, x, axis, label.dtype) == label
    return xp.sum(xp.where(chosen, x, xp.zeros_like(x)), axis=axis, keepdims=True)


def counted(xp: Namespace, weights: Array, like: Array) -> Array:
    """How many weights are not 0, in the dtype of ``like``, which has their shape."""
    return xp.sum(xp.where(weights == 0, xp.zeros_like(like), xp.ones_like(like)))


def times(xp: Namespace, weight: Array, value: Array) -> Array:
    """``weight * value`` with 0 * inf = 0 * nan = 0: a class without weight has no say.

    Only values that are not finite are replaced, before the product, so that its derivatives by
    both factors stay right where the weight is 0.
    """
    silent = (weight == 0) & ~xp.isfinite(value)
    return weight * xp.where(silent, xp.zeros_like(value), value)


def over_tangent(xp: Namespace, x: Array) -> Array:
    """x - 1 + e^-x, how far e^-x lies above its tangent at 0: by the series where that is near."""
    small = (x > -1) & (x < 1)
    near = xp.where(small, x, xp.zeros_like(x))
    series = xp.ones_like(near)
    # x^2 / 2 - x^3 / 6 + ..., to the last place of float64.
    for n in range(_TERMS, 2, -1):
        series = 1 - near * series / n
    return xp.where(small, near * near * series / 2, x + xp.expm1(-x))


_TERMS = 20


# The coefficients.


def mass(xp: Namespace, t: Coefficients, axis: int) -> Array:
    """The sum of the coefficients of every row."""
    total = t.on
    if t.spread is not None:
        spread = t.spread * xp.sum(t.weights, axis=axis, keepdims=True)
        total = spread if total is None else total + spread
    if t.dense is not None:
        dense = xp.sum(t.dense, axis=axis, keepdims=True)
        total = dense if total is None else total + dense
    return total


def weigh(xp: Namespace, t: Coefficients, value: Array, axis: int) -> Array:
    """The sum of t_j * value_j of every row, with 0 * inf = 0."""
    total = None if t.on is None else times(xp, t.on, pick(xp, value, t.label, axis))
    if t.spread is not None:
        share = xp.sum(times(xp, t.weights, value), axis=axis, keepdims=True)
        total = times(xp, t.spread, share) + (0 if total is None else total)
    if t.dense is not None:
        dense = xp.sum(times(xp, t.dense, value), axis=axis, keepdims=True)
        total = dense + (0 if total is None else total)
    return total


def every(xp: Namespace, t: Coefficients, like: Array, axis: int) -> Array:
    """The coefficient of every class, elementwise; ``like`` has the logits' shape and dtype."""
    total = xp.zeros_like(like) if t.dense is None else t.dense
    if t.spread is not None:
        total = total + t.spread * t.weights
    if t.on is not None:
        here = class_numbers(xp, like, axis, t.label.dtype) == t.label
        total = xp.where(here, total + t.on, total)
    return total


# Observing and merging.


def below(xp: Namespace, x: Array, peak: Array, temperature: float) -> Array:
    """(x - m) / T, and 0 where x attains an infinite m (where the difference would be NaN)."""
    endless, zero = xp.isinf(peak) & (x == peak), xp.zeros_like(x)
    difference = xp.where(endless, zero, x - peak)
    if temperature == 1.0:
        return difference
    # TensorFlow differentiates by the divisor too: -inf times its change, which is 0.
    infinite = xp.isinf(difference)
    return xp.where(infinite, difference, xp.where(infinite, zero, difference) / temperature)


def shares(
    xp: Namespace,
    x: Array,
    peak: Array,
    *,
    axis: int,
    temperature: float = 1.0,
    rest: Array | None = None,
    signs: Array | None = None,
    again: bool = False,
) -> Shares:
    """The exponentials of the rows of ``x`` below their largest logits ``peak``.

    ``rest`` spares the sums where an earlier visit has them. ``signs``, as seen from the first
    top entry, make a sum of terms of both signs. ``again`` visits in operations that a framework
    can differentiate to any order with ``peak`` held constant: one top entry is singled out by
    its place, and its own exponential, exp(0), stays in the sums.
    """
    depth = below(xp, x, peak, temperature)
    exp = xp.exp(depth)
    if signs is not None:
        exp = exp * signs
    if again:
        return _shares_again(xp, x, peak, depth, exp, axis)
    top = x == peak
    if rest is None:
        rest = _rest(xp, peak, exp, top, axis, signs)
    return Shares(depth, exp, top, rest, rest)


def _rest(
    xp: Namespace, peak: Array, exp: Array, top: Array, axis: int, signs: Array | None
) -> Array:
    """r: the classes below the maximum, and every class but one that attains it."""
    zero = xp.zeros_like(exp)
    one = xp.ones_like(exp) if signs is None else signs
    below_top, at_top = xp.where(top, zero, exp), xp.where(top, one, zero)
    others, ties = sums(xp, below_top, at_top, axis=axis)
    return xp.where(peak == -float("inf"), xp.zeros_like(others), others + (ties - 1))


def _shares_again(
    xp: Namespace, x: Array, peak: Array, depth: Array, exp: Array, axis: int
) -> Shares:
    first = xp.argmax(x, axis=axis, keepdims=True)
    top = class_numbers(xp, x, axis, first.dtype) == first
    zero = xp.zeros_like(exp)
    own = xp.sum(xp.where(top, exp, zero), axis=axis, keepdims=True)
    others = xp.sum(xp.where(top, zero, exp), axis=axis, keepdims=True)
    others = xp.where(peak == -float("inf"), xp.zeros_like(others), others)
    return Shares(depth, exp, top, others, others + (own - 1), again=True)


def peak_of(xp: Namespace, x: Array, axis: int, *, again: bool = False) -> Array:
    """The largest logit of every row; again, the first of them as an entry of the row.

    Then the statistics are, near by as well, those of a fixed class, and so have its derivatives.
    """
    if not again:
        return xp.max(x, axis=axis, keepdims=True)
    return pick(xp, x, xp.argmax(x, axis=axis, keepdims=True), axis)


def observe(
    xp: Namespace, x: Array, t: Coefficients, *, axis: int = -1, temperature: float = 1.0
) -> Stats:
    """Visit rows of logits ``x`` with coefficients ``t`` once."""
    peak = peak_of(xp, x, axis)
    seen = shares(xp, x, peak, axis=axis, temperature=temperature)
    return tally(xp, seen, peak, t, axis=axis)


def tally(xp: Namespace, seen: Shares, peak: Array, t: Coefficients, *, axis: int) -> Stats:
    """The statistics of rows whose exponentials are made already."""
    return Stats(peak, seen.rest, weigh(xp, t, -seen.below, axis), mass(xp, t, axis))


def observe_normalized(xp: Namespace, log_p: Array, t: Coefficients, *, axis: int = -1) -> Stats:
    """Statistics of rows of log-probabilities as given: their logsumexp is 0 by definition."""
    total = mass(xp, t, axis)
    gap = weigh(xp, t, -log_p, axis)
    return Stats(xp.zeros_like(total), xp.zeros_like(total), gap, total)


def identity(xp: Namespace, like: Array) -> Stats:
    """The statistics of no class at all, for rows shaped as ``like``."""
    zero = xp.zeros_like(like)
    return Stats(zero - float("inf"), zero, zero, zero)


def merge(xp: Namespace, a: Stats, b: Stats, *, temperature: float = 1.0) -> Stats:
    """The statistics of the union of two disjoint sets of classes of the same rows."""
    peak = xp.maximum(a.max, b.max)
    parts = [contribution(xp, stats, peak, temperature=temperature) for stats in (a, b)]
    return united(xp, peak, Contribution(*(sum(fields) for fields in zip(*parts, strict=True))))


def contribution(
    xp: Namespace, stats: Stats, peak: Array, *, temperature: float = 1.0
) -> Contribution:
    """What some classes add to the sums over all, of which ``peak`` is the largest logit.

    Where they attain it, one top class of theirs is counted apart: the rest may be far below 1.
    """
    down, zero = below(xp, stats.max, peak, temperature), xp.zeros_like(stats.rest)
    attains = stats.max == peak
    lower = xp.where(stats.max == -float("inf"), zero, 1 + stats.rest) * xp.exp(down)
    tops = xp.astype(attains & (peak != -float("inf")), zero.dtype)
    gap = stats.gap + times(xp, stats.mass, -down)
    return Contribution(xp.where(attains, stats.rest, lower), tops, gap, stats.mass)


def united(xp: Namespace, peak: Array, total: Contribution) -> Stats:
    """The statistics of all classes, by what their parts add up to."""
    rest = total.rest + (total.tops - 1)
    rest = xp.where(peak == -float("inf"), xp.zeros_like(rest), rest)
    return Stats(peak, rest, total.gap, total.mass)


def moment(xp: Namespace, seen: Shares, axis: int) -> Array:
    """The sum of exp(x_j - m) (m - x_j) over the classes below the top: one more running sum."""
    gaps = xp.where(seen.top, xp.zeros_like(seen.exp), times(xp, seen.exp, -seen.below))
    return xp.sum(gaps, axis=axis, keepdims=True)


def lowered_moment(
    xp: Namespace, stats: Stats, own: Array, peak: Array, *, temperature: float = 1.0
) -> Array:
    """What some classes add to the `moment` of all, of which ``peak`` is the largest logit.

    Those that lie d below it have e^-d (moment + (1 + r) d): their own top, whose term was 0, is
    below the new one.
    """
    down, zero = below(xp, stats.max, peak, temperature), xp.zeros_like(own)
    empty = down == -float("inf")
    near = xp.where(empty, zero, down)
    lowered = xp.exp(near) * (own - (1 + stats.rest) * near)
    return xp.where(empty, zero, lowered)


# What the statistics tell.


def settled(xp: Namespace, peak: Array, rest: Array) -> Array:
    """``rest``, or NaN for rows that have no softmax: all -inf, or two and more +inf."""
    lost = (peak == -float("inf")) | ((peak == float("inf")) & (rest >= 1))
    return xp.where(lost, xp.zeros_like(rest) + float("nan"), rest)


def finish(xp: Namespace, stats: Stats) -> Array:
    """The loss of every row: w log1p(r) + g."""
    rest = settled(xp, stats.max, stats.rest)
    return times(xp, stats.mass, xp.log1p(rest)) + stats.gap


def logsumexp(xp: Namespace, stats: Stats, *, temperature: float = 1.0) -> Array:
    """The log of the sum of exponentials of every row: m / T + log1p(r)."""
    return stats.max / temperature + xp.log1p(stats.rest)


def log_total(xp: Namespace, rest: Array) -> Array:
    """log abs(1 + r) where the terms of r have signs of their own."""
    beyond, zero = rest < -1, xp.zeros_like(rest)
    turned = xp.log(xp.where(beyond, -1 - rest, xp.ones_like(rest)))
    return xp.where(beyond, turned, xp.log1p(xp.where(beyond, zero, rest)))


def entropy(xp: Namespace, peak: Array, rest: Array, total: Array) -> Array:
    """The entropy of every row's softmax: log1p(r) + moment / (1 + r), and no term is negative."""
    rest = settled(xp, peak, rest)
    return xp.log1p(rest) + total / (1 + rest)


def _crest(xp: Namespace, seen: Shares, peak: Array) -> Crest:
    """The top entry of every row, whose own exponential is exp(0); elsewhere of no meaning."""
    ratio = settled(xp, peak, seen.others)
    if seen.again:
        ratio = ratio / xp.where(seen.top, seen.exp, xp.ones_like(seen.exp))
    p = 1 / (1 + ratio)
    return Crest(ratio, p, xp.where(ratio < 1, ratio * p, 1 - p))


def probabilities(xp: Namespace, seen: Shares, peak: Array) -> Array:
    """The softmax of every row: exp(x_j - m) / (1 + r)."""
    p = seen.exp / (1 + settled(xp, peak, seen.rest))
    return xp.where(seen.top, _crest(xp, seen, peak).p, p) if seen.again else p


def residual(xp: Namespace, seen: Shares, peak: Array, t: Array, total: Array) -> Array:
    """w p_j - t_j, the gradient of a row's loss, in the form that does not cancel.

    At the top entry p = 1 / (1 + r), and w p - t = (w - t) p - t r / (1 + r): for a hard label
    exactly -r / (1 + r), which survives where p has long been rounded to 1.
    """
    crest = _crest(xp, seen, peak)
    usual = times(xp, total, seen.exp / (1 + settled(xp, peak, seen.rest))) - t
    careful = (total - t) * crest.p - times(xp, t, crest.beyond)
    return xp.where(seen.top & (total != 0), careful, usual)


def surprisal(xp: Namespace, seen: Shares, peak: Array) -> Array:
    """logsumexp - x_j of every class, the derivative of a row's loss by its coefficient t_j."""
    usual = xp.log1p(settled(xp, peak, seen.rest)) - seen.below
    if not seen.again:
        return usual
    return xp.where(seen.top, xp.log1p(_crest(xp, seen, peak).ratio), usual)


def pullback(
    xp: Namespace,
    seen: Shares,
    peak: Array,
    t: Coefficients,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    lse_weight: Array | None = None,
    total: Array | None = None,
) -> Array:
    """The gradient by the logits of ``loss + lse_weight * logsumexp`` of every row.

    ``lse_weight`` is a constant here: a caller whose weight depends on the logsumexp passes the
    derivative of its term. ``total`` is the mass of rows of which this is a part, and then
    ``peak`` and the rest in ``seen`` are those of the whole rows too.
    """
    dense = every(xp, t, seen.exp, axis)
    if total is None:
        total = mass(xp, t, axis)
    gradient = residual(xp, seen, peak, dense, total)
    if lse_weight is not None:
        gradient = gradient + times(xp, lse_weight, probabilities(xp, seen, peak))
    return gradient if temperature == 1.0 else gradient / temperature


def pullback_entropy(xp: Namespace, seen: Shares, peak: Array, total: Array, *, axis: int) -> Array:
    """The gradient of the entropy by (x_j - m) / T: p_j (-log p_j - entropy), without log1p(r)."""
    mean = total / (1 + settled(xp, peak, seen.rest))
    p, gap = probabilities(xp, seen, peak), -seen.below - mean
    if seen.again:
        # The top's own gap is 0, but not its derivative.
        crest, zero = _crest(xp, seen, peak), xp.zeros_like(p)
        # Elsewhere it may be -inf, whose products have no derivative.
        below = xp.where(seen.top, seen.below, zero)
        own = xp.sum(p * below, axis=axis, keepdims=True)
        gap = xp.where(seen.top, -below * crest.beyond - mean, gap + own)
    return times(xp, p, gap)


def _sides(xp: Namespace, x: Array) -> tuple[Array, Array, Array]:
    """How far x is above 0, and below, at 0 with the slopes of the side above; and exp(-|x|).

    Not by |x| itself, whose slope at 0 a framework takes to be 0: a derivative through that would
    miss half of what the other side has.
    """
    above, zero = x >= 0, xp.zeros_like(x)
    up, down = xp.where(above, x, zero), xp.where(above, zero, -x)
    return up, down, xp.exp(-(up + down))


def pullback_pair(xp: Namespace, x: Array, on: Array, off: Array) -> Array:
    """The gradient by x of the loss of the two classes with logits (x, 0)."""
    rest = _sides(xp, x)[2]
    silent = (on == 0) & (off == 0)
    rest = xp.where(silent & xp.isnan(rest), xp.zeros_like(rest), rest)
    return xp.where(x >= 0, off - on * rest, off * rest - on) / (1 + rest)


def surprisal_pair(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """-log of the probability of the two classes with logits (x, 0)."""
    up, down, rest = _sides(xp, x)
    tail = xp.log1p(rest)
    return tail + down, tail + up


def probability_pair(xp: Namespace, x: Array) -> Array:
    """The probability of the first of the two classes with logits (x, 0): the sigmoid."""
    rest = _sides(xp, x)[2]
    return xp.where(x >= 0, xp.ones_like(rest), rest) / (1 + rest)


def pullback_log_softmax(
    xp: Namespace, seen: Shares, peak: Array, bar: Array, *, axis: int
) -> Array:
    """The gradient by (x_j - m) / T of the log-probabilities: the residual with t = ``bar``."""
    crest = _crest(xp, seen, peak)
    total = xp.sum(bar, axis=axis, keepdims=True)
    usual = bar - total * (seen.exp / (1 + settled(xp, peak, seen.rest)))
    if seen.again:
        others = xp.where(seen.top, xp.zeros_like(bar), bar)
        elsewhere = xp.sum(others, axis=axis, keepdims=True)
    else:
        elsewhere = total - bar
    return xp.where(seen.top, crest.beyond * bar - elsewhere * crest.p, usual)


def pullback_softmax(xp: Namespace, seen: Shares, peak: Array, bar: Array, *, axis: int) -> Array:
    """The gradient by (x_j - m) / T of the probabilities: p_j (bar_j - sum of bar p)."""
    p, zero = probabilities(xp, seen, peak), xp.zeros_like(bar)
    below = xp.sum(xp.where(seen.top, zero, bar * p), axis=axis, keepdims=True)
    top = xp.sum(xp.where(seen.top, bar * p, zero), axis=axis, keepdims=True)
    careful = bar * _crest(xp, seen, peak).beyond - below
    if not seen.again:
        # With ties, the other entries that attain the maximum count as well.
        careful = careful - (top - bar * p)
    return p * xp.where(seen.top, careful, bar - (below + top))
