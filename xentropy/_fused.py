"""Whole rows of logits in forms that a compiler fuses: losses in two visits, gradients in one.

XLA on a CPU does not vectorise a sum that a comparison takes part in, and two sums over one
exponential are slow where the rows are long. So long rows have s, the sum of all exponentials,
which is 1 + r: where s >= 2, r = s - 1 loses nothing. Only where a row has s < 2, a confident
one whose top is alone, its exponentials are summed once more without the top; being below 1, they
are their own fractional parts. If its label is not the top, not even then: what is lost of r is
small beside the label's distance from the top, which is in the loss. Short rows, and rows that do
not lie along the last axis, have both sums at once, as one reduction of pairs.

Rows whose loss is not finite make the call visit all of them in the general form, which knows
infinities and NaN. The gradient is elementwise, where comparisons are free, and needs none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from xentropy import _reduction, _stats, _targets
from xentropy._rows import Leaves, Left, RowLoss
from xentropy._stats import Coefficients, Shares, Stats, times
from xentropy._targets import Targets
from xentropy._typing import Array, Namespace

T = TypeVar("T")

# Rows of fewer classes have both sums in one reduction of pairs.
SHORT = 128


class Compiler(Protocol):
    """What a compiler offers beyond its namespace."""

    @property
    def some(self) -> Callable[..., Array] | None:
        """Numbers of rows of which those with a flag, at most so many, are made of their rows.

        By the flags, their largest number, a function, its arrays, and the other rows' numbers;
        None where a compiler cannot take rows out of an array.
        """
        ...

    @property
    def sum_rows(self) -> Callable[..., Array] | None:
        """The sums of a function along the last axis of an array, which is kept.

        The function, which is hashable, takes the array, a column, and with `widens` another
        array, entry by entry; None where a namespace's own sum is as good.
        """
        ...

    @property
    def compares(self) -> bool:
        """Whether sums whose terms are chosen cost no more, and what two sums share is held."""
        ...

    def widens(self, x: Array, *, short: bool) -> bool:
        """Whether a sum over rows, short ones or long, has all of an array written anew."""
        ...

    def everywhere(self, flags: Array) -> Array:
        """Whether all flags are set, one answer for everything that is computed together."""
        ...

    def either(self, flag: Array, yes: Callable[[], T], no: Callable[[], T]) -> T:
        """What one of two functions gives; the other one costs nothing."""
        ...

    def sum_both(self, a: Array, b: Array, axis: int) -> tuple[Array, Array]:
        """The sums of two arrays along an axis, which is kept, in one visit."""
        ...

    def anew(self, x: Array) -> Array:
        """The same numbers, of which a compiler does not know that they are the same.

        What two sums share it writes to memory, even one number of a row at every entry.
        """
        ...


# A row has at most so many parts.
PARTS = 64


def parts_of(length: Any, longest: int) -> int:
    """Into how many parts rows are cut that are longer, and whose length has such a divisor."""
    if not isinstance(length, int) or length <= longest:
        return 1
    fitting = (n for n in range(-(-length // longest), PARTS + 1) if length % n == 0)
    return next(fitting, 1)


def sum_in_parts(
    xp: Namespace, function: Callable[[Array, Array], Array], count: int, x: Array, column: Array
) -> Array:
    """`Compiler.sum_rows` of parts of rows, and then of all parts of a row."""
    spread = (*x.shape[:-1], count)
    parts = xp.reshape(x, (-1, x.shape[-1] // count))
    columns = xp.reshape(xp.broadcast_to(column, spread), (-1, 1))
    sums = xp.sum(function(parts, columns), axis=-1)
    total: Array = xp.sum(xp.reshape(sums, spread), axis=-1, keepdims=True)
    return total


def suits(rule: Any, leaves: tuple[Array | None, ...]) -> bool:
    """Whether a loss has these forms: one of logits that no link bends."""
    if not isinstance(rule, RowLoss) or rule.source != "logits" or rule.link is not None:
        return False
    given = Leaves(*leaves)
    return given.alpha is None and 0 not in given.logits.shape


@dataclass(frozen=True)
class Fused:
    """A loss of logits in these forms, as a rule; other gradients are those of its general form."""

    loss: RowLoss
    ops: Compiler

    constant = RowLoss.constant
    outputs = RowLoss.outputs
    others = RowLoss.others

    @property
    def names(self) -> tuple[str, ...]:
        """The leaves as the public function calls them."""
        return self.loss.names

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], Left]:
        """The reduced loss, and what the pullback needs."""
        if again:
            return self.loss.forward(xp, leaves, again=True)
        left = observe(xp, self.ops, self.loss, Leaves(*leaves))
        return (reduced(xp, self.loss, Leaves(*leaves), left),), left

    def pullback(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        *,
        again: bool = False,
    ) -> tuple[Array | None, ...]:
        """The gradients by the wanted leaves, given the gradient by the reduced loss."""
        if again or any(wanted[1:]):
            return self.loss.pullback(xp, leaves, residuals, bars, wanted, again=again)
        given, left = Leaves(*leaves), Left(*residuals)
        rows = spread(xp, self.loss, given, left, bars[0])
        made = rows * gradient(xp, self.loss, given, left)
        return Leaves(xp.astype(made, given.logits.dtype), None)


def observe(xp: Namespace, ops: Compiler, rule: RowLoss, leaves: Leaves) -> Left:
    """What a visit to the rows leaves: their statistics and losses."""
    return visited(xp, ops, rule, leaves, lambda left: left)


def visited(
    xp: Namespace, ops: Compiler, rule: RowLoss, leaves: Leaves, then: Callable[[Left], T]
) -> T:
    """What a function makes of that.

    It is asked before a choice, and within: what a choice is given and gives a compiler holds all
    the time. Of a loss alone that is a number, and not the numbers of rows that it is made of.
    """
    left = _visit(xp, ops, rule, leaves, careful=False)
    made, fine = then(left), ops.everywhere(xp.isfinite(left.losses))
    return ops.either(fine, lambda: made, lambda: then(_visit(xp, ops, rule, leaves, careful=True)))


def reduced(xp: Namespace, rule: RowLoss, leaves: Leaves, left: Left) -> Array:
    """The reduced loss."""
    value = _reduction.reduce(xp, left.losses, _reducer(xp, rule, leaves, left))
    return xp.squeeze(value, axis=rule.axis) if rule.reduction == "none" else value


def spread(xp: Namespace, rule: RowLoss, leaves: Leaves, left: Left, bar: Array) -> Array:
    """The gradient by every row's loss, given the gradient ``bar`` by the reduced loss."""
    if rule.reduction == "none":
        bar = xp.expand_dims(bar, axis=rule.axis)
    return _reduction.spread(xp, _reducer(xp, rule, leaves, left), bar)


def _reducer(xp: Namespace, rule: RowLoss, leaves: Leaves, left: Left) -> _reduction.Reducer:
    kept = None
    if rule.normalizer == "valid":
        kept = _targets.kept_rows(xp, rule.targets(xp, leaves, rule.scores(xp, leaves)))
    return rule.reducer(xp, leaves, left.mass, kept)


def masses(xp: Namespace, rule: RowLoss, leaves: Leaves) -> Array:
    """The sum of the coefficients of every row."""
    targets = rule.targets(xp, leaves, rule.scores(xp, leaves))
    return _stats.mass(xp, _targets.coefficients(xp, targets), rule.axis)


# The statistics.


def _visit(xp: Namespace, ops: Compiler, rule: RowLoss, leaves: Leaves, *, careful: bool) -> Left:
    """The statistics and losses of rows; where all losses are finite, care makes no difference."""
    x = rule.scores(xp, leaves)
    targets = rule.targets(xp, leaves, x)
    t = _targets.coefficients(xp, targets)
    peak = _peak(xp, rule, leaves, x)
    own = None if t.on is None else own_scores(xp, rule, leaves, t.label)
    if careful:
        rest = _rest_with_care(xp, ops, rule, x, peak)
    elif short(rule, x):
        rest = _both_sums(xp, ops, rule, leaves, peak)
    else:
        # Where labels lie below the top r needs no care: their distance is in the loss.
        wrong = None if own is None else own < peak
        rest = _one_sum(xp, ops, rule, leaves, peak, wrong)
    careful = careful or leaves.where is not None
    if not careful and rule.as_given(leaves) and ops.widens(leaves.logits, short=short(rule, x)):
        losses, mass = _of_given(xp, ops, rule, leaves, peak, rest)
    else:
        if careful:
            value = -_stats.below(xp, x, peak, rule.temperature)
            gap, mass = _weighed(xp, ops, t, value, rule.axis)
        else:
            gap, mass = _gap(xp, ops, rule, leaves, peak, t, own), _stats.mass(xp, t, rule.axis)
        losses = _stats.finish(xp, Stats(peak, rest, gap, mass))
    # Else XLA takes the sum of all masses for another one over all probabilities.
    left = Left(peak, rest, mass if rule.hard else ops.anew(mass), None)
    return left._replace(losses=rule.with_z(xp, targets, left, losses))


def short(rule: RowLoss, x: Array) -> bool:
    """Whether rows are short, or do not lie along the last axis; of a length unknown, not."""
    count = x.shape[rule.axis]
    return rule.axis != x.ndim - 1 or (isinstance(count, int) and count < SHORT)


def _peak(xp: Namespace, rule: RowLoss, leaves: Leaves, x: Array) -> Array:
    """The largest score of every row.

    Of narrow logits the largest is looked for before it is widened: what several sums share of
    widened entries, XLA on a CPU writes to memory.
    """
    if rule.softcap is not None or leaves.where is not None:
        return xp.max(x, axis=rule.axis, keepdims=True)
    return xp.astype(xp.max(leaves.logits, axis=rule.axis, keepdims=True), rule.dtype)


def _there(xp: Namespace, rule: RowLoss, leaves: Leaves, label: Array) -> Leaves:
    """The logits at the labels, and what masks them; picked before they are widened."""
    mask = _stats.along(xp, leaves.where, leaves.logits.ndim, rule.axis)
    pick = partial(_picked, xp, label, rule.axis)
    if mask is not None:
        mask = pick(xp.broadcast_to(mask, _stats.shape_of(xp, leaves.logits)))
    return leaves._replace(logits=pick(leaves.logits), where=mask)


def own_scores(xp: Namespace, rule: RowLoss, leaves: Leaves, label: Array) -> Array:
    """The scores at the labels."""
    return rule.scores(xp, _there(xp, rule, leaves, label))


def _exponentials(xp: Namespace, rule: RowLoss, leaves: Leaves, peak: Array) -> Array:
    """exp((x - m) / T). Made anew for every sum: what two sums share would be written to memory."""
    depth = rule.scores(xp, leaves) - peak
    return xp.exp(depth if rule.temperature == 1.0 else depth / rule.temperature)


@dataclass(frozen=True)
class _Exponentials:
    """Those of logits and the maxima of their rows, or what is below 1 of them."""

    xp: Namespace
    rule: RowLoss
    below: bool

    def __call__(self, logits: Array, peak: Array) -> Array:
        return self.of(Leaves(logits, None), peak)

    def of(self, leaves: Leaves, peak: Array) -> Array:
        """The same of logits with a mask."""
        exp = _exponentials(self.xp, self.rule, leaves, peak)
        return exp - self.xp.floor(exp) if self.below else exp


def sum_of_exponentials(
    xp: Namespace, ops: Compiler, rule: RowLoss, leaves: Leaves, peak: Array, *, below: bool = False
) -> Array:
    """The sum of all exponentials of every long row, or of what is below 1 of them."""
    function = _Exponentials(xp, rule, below)
    if ops.sum_rows is not None and leaves.where is None:
        return ops.sum_rows(function, leaves.logits, peak)
    total: Array = xp.sum(function.of(leaves, peak), axis=-1, keepdims=True)
    return total


def _both_sums(xp: Namespace, ops: Compiler, rule: RowLoss, leaves: Leaves, peak: Array) -> Array:
    """r: the fractional parts leave out what is 1, of which one is the top."""
    return _apart(xp, ops, _exponentials(xp, rule, leaves, peak), rule.axis)


def _rest_with_care(xp: Namespace, ops: Compiler, rule: RowLoss, x: Array, peak: Array) -> Array:
    """r of any rows: a row of -inf has none."""
    depth = depth_of(xp, x, peak, rule.temperature)
    if ops.compares:
        rest = _apart_by_depth(xp, ops, depth, rule.axis)
    else:
        rest = _apart(xp, ops, xp.exp(depth), rule.axis)
    return xp.where(peak == -float("inf"), xp.zeros_like(rest), rest)


def _apart(xp: Namespace, ops: Compiler, exp: Array, axis: int) -> Array:
    whole = xp.floor(exp)
    below, tops = ops.sum_both(exp - whole, whole, axis)
    return below + (tops - 1)


def _apart_by_depth(xp: Namespace, ops: Compiler, depth: Array, axis: int) -> Array:
    """The same, with one use of every exponential: what has two is written to memory."""
    top = depth >= 0
    below = xp.where(top, xp.zeros_like(depth), xp.exp(depth))
    below, tops = ops.sum_both(below, xp.astype(top, depth.dtype), axis)
    return below + (tops - 1)


def _one_sum(
    xp: Namespace,
    ops: Compiler,
    rule: RowLoss,
    leaves: Leaves,
    peak: Array,
    wrong: Array | None,
) -> Array:
    """r from the sum of all; only where rows are confident, and right, all are looked at again."""
    total = sum_of_exponentials(xp, ops, rule, leaves, peak)
    many = total >= 2 if wrong is None else (total >= 2) | wrong
    return sharpened(xp, ops, rule, leaves, peak, total - 1, many)


def sharpened(
    xp: Namespace,
    ops: Compiler,
    rule: RowLoss,
    leaves: Leaves,
    peak: Array,
    rest: Array,
    many: Array,
) -> Array:
    """r of rows, of which those that are not ``many`` are summed once more without their top."""

    def below(logits: Array, peak: Array) -> Array:
        mine = leaves._replace(logits=logits)
        return sum_of_exponentials(xp, ops, rule, mine, peak, below=True)

    def sharp() -> Array:
        # XLA computes what it takes for cheap, sums of anything, on both sides of a choice.
        return xp.where(many, rest, below(ops.anew(leaves.logits), peak))

    def seldom() -> Array:
        return ops.either(_seldom(xp, ops, many), some, sharp)

    def some() -> Array:
        pick = cast("Callable[..., Array]", ops.some)
        return pick(~many, _few(many), below, (leaves.logits, peak), rest)

    picks = ops.some is not None and leaves.where is None and _few(many)
    return ops.either(ops.everywhere(many), lambda: rest, seldom if picks else sharp)


def _few(many: Array) -> int:
    """How many confident rows are looked at by themselves, rather than all; 0 if nobody knows."""
    count: Any = math.prod(many.shape)
    return count // 16 if isinstance(count, int) else 0


def _seldom(xp: Namespace, ops: Compiler, many: Array) -> Array:
    sharp = xp.sum(xp.astype(~many, xp.int32))
    return ops.everywhere(sharp <= _few(many))


def _gap(
    xp: Namespace,
    ops: Compiler,
    rule: RowLoss,
    leaves: Leaves,
    peak: Array,
    t: Coefficients,
    own: Array | None,
) -> Array:
    """The sum of t_j (m - x_j) / T; ``own`` are the labels' scores."""
    total = None
    if t.on is not None:
        total = times(xp, t.on, -_stats.below(xp, own, peak, rule.temperature))
    if t.spread is not None or t.dense is not None:
        others = _gap_of_others(xp, ops, rule, leaves, ops.anew(peak)) / rule.temperature
        total = others if total is None else total + others
    return total


def _gap_of_others(
    xp: Namespace, ops: Compiler, rule: RowLoss, leaves: Leaves, peak: Array
) -> Array:
    """The part of the coefficients but for the labels' own, times T."""
    mine = leaves._replace(logits=ops.anew(leaves.logits), targets=ops.anew(leaves.targets))
    x, total = rule.scores(xp, mine), None
    t = _targets.coefficients(xp, rule.targets(xp, mine, x))
    if t.spread is not None:
        share = xp.sum(t.weights * (peak - x), axis=rule.axis, keepdims=True)
        total = times(xp, t.spread, share)
    if t.dense is not None:
        dense = xp.sum(t.dense * (peak - x), axis=rule.axis, keepdims=True)
        total = dense if total is None else total + dense
    return total


@dataclass(frozen=True)
class _Given:
    """Probabilities as given, or what they add to the gap, times T, or with log(1 + r) the loss."""

    xp: Namespace
    rule: RowLoss
    gap: bool

    def __call__(
        self, logits: Array, peak: Array, targets: Array, log_total: Array | None = None
    ) -> Array:
        dense = self.xp.astype(targets, self.rule.dtype)
        if not self.gap:
            return dense
        depth = peak - self.rule.scores(self.xp, Leaves(logits, targets))
        return dense * (depth if log_total is None else depth + log_total)


def _of_given(
    xp: Namespace, ops: Compiler, rule: RowLoss, leaves: Leaves, peak: Array, rest: Array
) -> tuple[Array, Array]:
    """The losses and the masses of probabilities as given; nothing is widened in memory."""
    arrays = leaves.logits, peak, leaves.targets
    gap, dense = (_Given(xp, rule, gap=asked) for asked in (True, False))
    if short(rule, leaves.logits):
        # Two numbers of a row less are held at a time than if the gap came by itself.
        log_total = ops.anew(rule.temperature * xp.log1p(_stats.settled(xp, peak, rest)))
        share, mass = ops.sum_both(gap(*arrays, log_total), dense(*arrays), rule.axis)
        return share / rule.temperature, mass
    sum_rows = cast("Callable[..., Array]", ops.sum_rows)
    share, mass = sum_rows(gap, *arrays), sum_rows(dense, *arrays)
    return _stats.finish(xp, Stats(peak, rest, share / rule.temperature, mass)), mass


def _weighed(
    xp: Namespace, ops: Compiler, t: Coefficients, value: Array, axis: int
) -> tuple[Array, Array]:
    """`_stats.weigh` and `_stats.mass` in sums of pairs, whose terms no compiler holds."""
    gap: Any = 0
    mass: Any = 0
    if t.on is not None:
        gap, mass = times(xp, t.on, _stats.pick(xp, value, t.label, axis)), t.on
    if t.spread is not None:
        share, every = _pair(xp, ops, t.weights, value, axis)
        gap, mass = gap + times(xp, t.spread, share), mass + t.spread * every
    if t.dense is not None:
        share, every = _pair(xp, ops, t.dense, value, axis)
        gap, mass = gap + share, mass + every
    return gap, mass


def _pair(
    xp: Namespace, ops: Compiler, weights: Array, value: Array, axis: int
) -> tuple[Array, Array]:
    """The sum of weights times values, and that of the weights."""
    weights = xp.broadcast_to(weights, _stats.shape_of(xp, value))
    return ops.sum_both(times(xp, weights, value), weights, axis)


# The gradient.


class Parts(NamedTuple):
    """The gradient of every row's loss by the logits, not in their dtype yet, in parts.

    ``made`` times ``factor``, a number of every row, at any class but the label; ``own`` at the
    label. A compiler may have a better way to write few entries than to choose at every one, and
    each product with all of them takes time, so that factors are best put together.
    """

    made: Array
    factor: Array
    label: Array | None
    own: Array | None


def gradient(
    xp: Namespace, rule: RowLoss, leaves: Leaves, left: Left, targets: Targets | None = None
) -> Array:
    """The gradient of every row's loss by the logits, not in their dtype yet; elementwise.

    ``targets`` are those of `_targets.part` where the logits are those of some classes.
    """
    made, factor, label, own = parts(xp, rule, leaves, left, targets)
    if label is None:
        return made * factor
    here = _stats.class_numbers(xp, made, rule.axis, label.dtype) == label
    return xp.where(here, own, made * factor)


def parts(
    xp: Namespace, rule: RowLoss, leaves: Leaves, left: Left, targets: Targets | None = None
) -> Parts:
    """The same in parts."""
    x = rule.scores(xp, leaves)
    # Where the label is none of some classes, the first of them has the coefficient it has anyway.
    targets = rule.targets(xp, leaves, x) if targets is None else targets
    t = _targets.coefficients(xp, targets)
    z = rule.lse_weight(xp, targets, left)
    made, factor = _by_others(xp, rule, leaves, x, t, left, z)
    made, factor = _chained(xp, rule, leaves, made), factor / rule.temperature
    if t.on is None:
        return Parts(made, factor, None, None)
    there = _there(xp, rule, leaves, t.label)
    own = _by_own(xp, rule, rule.scores(xp, there), x, t, left, z)
    return Parts(made, factor, t.label, _chained(xp, rule, there, own / rule.temperature))


def _picked(xp: Namespace, label: Array, axis: int, x: Array) -> Array:
    return _stats.pick(xp, x, label, axis)


def _chained(xp: Namespace, rule: RowLoss, leaves: Leaves, made: Array) -> Array:
    """From the gradient by the scores to the one by the logits; masked classes are constants."""
    mask = _stats.along(xp, leaves.where, made.ndim, rule.axis)
    return _stats.cut(xp, rule.chain(xp, leaves, made), mask)


def general_gradient(xp: Namespace, rule: RowLoss, leaves: Leaves, left: Left) -> Array:
    """The same in operations that can be differentiated to any order, statistics constant."""
    made = rule.by_first(xp, leaves, rule.visit(xp, leaves, left, again=True))
    mask = _stats.along(xp, leaves.where, leaves.logits.ndim, rule.axis)
    return _stats.cut(xp, made, mask)


def depth_of(xp: Namespace, x: Array, peak: Array, temperature: float) -> Array:
    """(x - m) / T, 0 at the top even where that is infinite, by a minimum.

    XLA on a CPU is half as slow again where one program chooses twice: at the top, and at labels.
    ``m`` may be below x, see `xentropy._unshifted`.
    """
    most = float(xp.finfo(peak.dtype).max)
    edge = xp.zeros_like(peak) + most
    near = xp.minimum(xp.maximum(peak, -edge), edge)
    depth = xp.minimum(x, xp.zeros_like(x) + most) - near
    return depth if temperature == 1.0 else depth / temperature


def _by_others(
    xp: Namespace,
    rule: RowLoss,
    leaves: Leaves,
    x: Array,
    t: Coefficients,
    left: Left,
    z: Array | None,
) -> tuple[Array, Array]:
    """w p_j - t_j but for the label: (w e - t) - t r over 1 + r, which does not cancel.

    The second one is a factor of all entries of a row. ``z`` adds to the weight of the
    probabilities, apart from w: where w e - t cancels, their sum would be rounded. A row that has
    no weight is not looked at.
    """
    rest = _stats.settled(xp, left.max, left.rest)
    mass = left.mass
    exp, p = xp.exp(depth_of(xp, x, left.max, rule.temperature)), 1 / (1 + rest)
    if t.spread is None and t.dense is None and z is None:
        made, factor, idle = exp, p * mass, xp.zeros_like(exp)
    else:
        share = _stats.every(xp, t._replace(on=None), x, rule.axis)
        made, factor, idle = (exp * mass - share) - share * rest, p, 0 - share
    if z is not None:
        made = made + exp * z
    weighed = leaves.class_weights is not None or leaves.sample_weights is not None
    if rule.hard and rule.ignore_index is None and not weighed:
        return made, factor  # all rows have the mass 1
    still = mass == 0 if z is None else (mass == 0) & (z == 0)
    return xp.where(still, idle, made), xp.where(still, xp.ones_like(p), factor)


def _by_own(
    xp: Namespace,
    rule: RowLoss,
    label: Array,
    x: Array,
    t: Coefficients,
    left: Left,
    z: Array | None,
) -> Array:
    """w p_j - t_j at the label of every row, in the general form: there are few."""
    peak, rest = left.max, left.rest
    depth = _stats.below(xp, label, peak, rule.temperature)
    seen = Shares(depth, xp.exp(depth), label == peak, rest, rest)
    own = t.on
    if t.spread is not None:
        weights = xp.broadcast_to(t.weights, _stats.shape_of(xp, x))  # masks come in several shapes
        own = own + t.spread * _stats.pick(xp, weights, t.label, rule.axis)
    made = _stats.residual(xp, seen, peak, own, left.mass)
    if z is None:
        return made
    return made + times(xp, z, _stats.probabilities(xp, seen, peak))
