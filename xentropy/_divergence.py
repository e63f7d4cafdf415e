"""The rule of kl_divergence: rows of targets against the softmax of rows of logits.

With t the targets, q_j = -log p_j and l_j = log(t_j / p_j) = log t_j + q_j the loss of a row is the
sum of t_j l_j, its gradient by a logit w p_j - t_j.

Targets that are logits too sum to 1, so that adding p_j - t_j to every term changes nothing but
the sign of the terms: t (l - 1 + e^-l) is never negative and about t l^2 / 2 where the two are
close, and p - t is -p expm1(l). So two nearly equal distributions keep their digits, if l does: it
comes from the differences of the logits, which are exact where it matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xentropy import _reduction as reduction_
from xentropy import _stats
from xentropy._maps import nothing
from xentropy._reduction import Reducer
from xentropy._stats import Shares, along, cut, masked, pick, times
from xentropy._typing import Array, DType, Namespace, Normalizer, Reduction, TargetKind


class Leaves(NamedTuple):
    """The arrays that the divergence takes; only the first two are always there."""

    logits: Array
    targets: Array
    sample_weights: Array = None
    where: Array = None
    normalizer: Array = None


class Side(NamedTuple):
    """One of the two distributions as logits: scores, maxima, exponentials, -log of the softmax.

    And the softmax itself, where both are logits.
    """

    scores: Array
    max: Array
    seen: Shares
    surprisal: Array
    p: Array = None

    def normalized(self, xp: Namespace) -> Side:
        """The same with its softmax."""
        return self._replace(p=_stats.probabilities(xp, self.seen, self.max))


class Visit(NamedTuple):
    """One visit to the rows.

    The logits' side, the targets', or None; t, l and p - t (or w p - t) of every class; every
    row's divergence and mass; the sample weights, and the reducer.
    """

    side: Side
    other: Side | None
    t: Array
    ratio: Array
    excess: Array
    divergence: Array
    mass: Array
    scale: Array | None
    how: Reducer

    def weighted(self, xp: Namespace, value: Array) -> Array:
        """A value times the weight of its row; a row of weight 0 has none, whatever it holds."""
        return value if self.scale is None else times(xp, self.scale, value)


@dataclass(frozen=True)
class Divergence:
    """The Kullback-Leibler divergence with everything but the arrays fixed."""

    dtype: DType
    index_dtype: DType
    axis: int
    targets_are: TargetKind = "probabilities"
    temperature: float = 1.0
    reduction: Reduction = "mean"
    normalizer: Normalizer = "weights"

    names = Leaves._fields
    constant = ("where",)
    outputs = ("loss",)
    others = ()
    judged = nothing

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], tuple[Array, ...]]:
        """The reduced divergence, and the statistics of the rows for the pullback."""
        visit = self._visit(xp, Leaves(*leaves), again=again)
        value = reduction_.reduce(xp, visit.weighted(xp, visit.divergence), visit.how)
        if self.reduction == "none":
            value = xp.squeeze(value, axis=self.axis)
        sides = [side for side in (visit.side, visit.other) if side is not None]
        parts = (part for side in sides for part in (side.max, side.seen.rest))
        return (value,), (visit.divergence, visit.mass, *parts)

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
        """The gradients by the wanted leaves, given the gradient by the reduced divergence."""
        given, want = Leaves(*leaves), Leaves(*wanted)
        visit = self._visit(xp, given, residuals, again=again)
        bar = bars[0]
        if self.reduction == "none":
            bar = xp.expand_dims(bar, axis=self.axis)
        rows = reduction_.spread(xp, visit.how, bar)
        by_logits = by_targets = by_samples = by_count = None
        if want.logits:
            by_logits = rows * visit.weighted(xp, visit.excess / self.temperature)
            by_logits = self._shaped(xp, given, by_logits, given.logits)
        if visit.how.divisor is not None and any(want[1:]):
            losses = visit.weighted(xp, visit.divergence)
            by_count = reduction_.pull_count(xp, losses, visit.how, bar)
        if want.targets:
            by_targets = self._by_targets(xp, given, visit, rows, by_count)
        if want.sample_weights:
            by_samples = rows * reduction_.counting(xp, visit.how, visit.divergence)
            if visit.how.divides_by_mass:
                by_samples = by_samples + by_count * visit.mass
            by_samples = xp.squeeze(by_samples, axis=self.axis)
            by_samples = xp.astype(by_samples, given.sample_weights.dtype)
        return Leaves(
            by_logits, by_targets, by_samples, None, by_count if want.normalizer else None
        )

    def _by_targets(
        self, xp: Namespace, leaves: Leaves, visit: Visit, rows: Array, by_count: Array | None
    ) -> Array:
        """t (l - KL) by logits, l + 1 by probabilities, t (l + 1) by log-probabilities."""
        if self.targets_are == "logits":
            gradient = times(xp, visit.t, visit.ratio) - visit.t * visit.divergence
            gradient = rows * visit.weighted(xp, gradient / self.temperature)
        else:
            factor = xp.ones_like(visit.t)
            factor = visit.t if self.targets_are == "log_probabilities" else factor
            weigh = reduction_.weigher(xp, visit.how, rows, visit.ratio + 1, by_count)
            gradient = weigh(visit.weighted(xp, factor))
        return self._shaped(xp, leaves, gradient, leaves.targets)

    def _shaped(self, xp: Namespace, leaves: Leaves, gradient: Array, like: Array) -> Array:
        """A gradient in the dtype of its array; masked classes are constants."""
        mask = along(xp, leaves.where, like.ndim, self.axis)
        return xp.astype(cut(xp, gradient, mask), like.dtype)

    # The visit.

    def _visit(
        self,
        xp: Namespace,
        leaves: Leaves,
        residuals: tuple[Array, ...] = (),
        *,
        again: bool = False,
    ) -> Visit:
        mask = along(xp, leaves.where, leaves.logits.ndim, self.axis)
        side, other = self._side(xp, leaves.logits, mask, residuals[2:4], again=again), None
        # What the forward has made is not made again, but where it is to be differentiated.
        divergence, mass = (None, None) if again or not residuals else residuals[:2]
        if self.targets_are == "logits":
            side = side.normalized(xp)
            other = self._side(xp, leaves.targets, mask, residuals[4:], again=again).normalized(xp)
            own = xp.argmax(side.scores, axis=self.axis, keepdims=True)
            own = xp.astype(own, self.index_dtype)
            t, ratio = other.p, log_ratio(xp, side, other, own, self.axis, self.temperature)
            excess = opposed(xp, side.p, t, ratio)
            mass = xp.ones_like(side.max) if mass is None else mass
            if divergence is None:
                divergence = xp.sum(terms(xp, t, ratio, excess), axis=self.axis, keepdims=True)
        else:
            t, log_t = self._given(xp, leaves.targets)
            mass = xp.sum(t, axis=self.axis, keepdims=True) if mass is None else mass
            ratio = log_t + side.surprisal
            excess = _stats.residual(xp, side.seen, side.max, t, mass)
            if divergence is None:
                divergence = xp.sum(times(xp, t, ratio), axis=self.axis, keepdims=True)
        scale = self._scale(xp, leaves)
        how = self.reducer(xp, leaves, (divergence, mass))
        return Visit(side, other, t, ratio, excess, divergence, mass, scale, how)

    def reducer(
        self, xp: Namespace, leaves: tuple[Array | None, ...], residuals: tuple[Array, ...]
    ) -> Reducer:
        """How the divergences of the rows are reduced."""
        given, mass, kept = Leaves(*leaves), residuals[1], None
        scale = self._scale(xp, given)
        if self.normalizer == "valid" and scale is not None:
            kept = _stats.counted(xp, scale, mass)
        mass = mass if scale is None else times(xp, scale, mass)
        number = given.normalizer
        return reduction_.reducer(xp, self.reduction, self.normalizer, mass, kept, number)

    def _scale(self, xp: Namespace, leaves: Leaves) -> Array | None:
        scale = leaves.sample_weights
        if scale is None:
            return None
        return xp.expand_dims(xp.astype(scale, self.dtype), axis=self.axis)

    def _given(self, xp: Namespace, targets: Array) -> tuple[Array, Array]:
        """The targets and their logarithms, as given."""
        given = xp.astype(targets, self.dtype)
        if self.targets_are == "probabilities":
            return given, xp.log(given)
        return xp.exp(given), given

    def _side(
        self,
        xp: Namespace,
        x: Array,
        mask: Array | None,
        left: tuple[Array, ...],
        *,
        again: bool,
    ) -> Side:
        x = masked(xp, xp.astype(x, self.dtype), mask)
        peak, rest = left or (_stats.peak_of(xp, x, self.axis, again=again), None)
        seen = _stats.shares(
            xp, x, peak, axis=self.axis, temperature=self.temperature, rest=rest, again=again
        )
        return Side(x, peak, seen, _stats.surprisal(xp, seen, peak))


def log_ratio(
    xp: Namespace, side: Side, other: Side, own: Array, axis: int, temperature: float
) -> Array:
    """log(t_j / p_j) of two softmaxes; ``own`` is the top class of the logits.

    With D the differences of the logits, less the one at that class, the ratio of the two
    sums of exponentials is 1 + sum of p_j expm1(D_j), and l_j = D_j - log1p(that sum): full
    relative precision where the two are close. Elsewhere the surprisals differ by enough.
    """
    pivot = pick(xp, other.scores, own, axis)
    apart = _difference(xp, other.scores, side.scores, pivot, pick(xp, side.scores, own, axis))
    both = xp.isfinite(apart)
    apart = xp.where(both, apart, xp.zeros_like(apart)) / temperature
    # What lies below the top of the logits there is 0, and has a derivative.
    height = _stats.below(xp, other.scores, pivot, temperature)
    height = height + pick(xp, side.seen.below, own, axis)
    total = _moved(xp, side, apart, both, height, axis)
    near = (total > -0.5) & (total < 1)
    total = xp.log1p(xp.where(near, total, xp.zeros_like(total)))
    ratio = xp.where(near & both, apart - total, side.surprisal - other.surprisal)
    return xp.where((side.p == 0) & (other.p == 0), xp.zeros_like(ratio), ratio)


def _moved(xp: Namespace, side: Side, apart: Array, both: Array, height: Array, axis: int) -> Array:
    """The sum of p_j expm1(D_j); of large D_j by exp(``height``) = exp(x_j - m + D_j)."""
    zero = xp.zeros_like(apart)
    small = both & (apart > -1) & (apart < 1)
    close = side.p * xp.expm1(xp.where(small, apart, zero))
    # Beyond this the sum is too large to matter, and an infinite derivative must not appear.
    height = xp.where(height < 80, height, zero + 80)
    far = xp.exp(height) / (1 + side.seen.rest) - side.p
    return xp.sum(xp.where(small, close, far), axis=axis, keepdims=True)


def _difference(xp: Namespace, y: Array, x: Array, pivot_y: Array, pivot_x: Array) -> Array:
    """(y - x) - (pivot_y - pivot_x) with the rounding errors of both differences put back."""
    high, low = _two_difference(xp, y, x)
    high_pivot, low_pivot = _two_difference(xp, pivot_y, pivot_x)
    return (high - high_pivot) + (low - low_pivot)


def _two_difference(xp: Namespace, a: Array, b: Array) -> tuple[Array, Array]:
    """a - b and its rounding error (D. E. Knuth, The Art of Computer Programming 2, 4.2.2)."""
    high = a - b
    back = high - a
    low = (a - (high - back)) - (b + back)
    return high, xp.where(xp.isfinite(high), low, xp.zeros_like(low))


def opposed(xp: Namespace, p: Array, t: Array, ratio: Array) -> Array:
    """p - t from l = log(t / p): the larger of the two times expm1(-|l|), NaN where either is."""
    lower = ratio <= 0
    step = xp.expm1(xp.where(lower, ratio, -ratio))
    return times(xp, xp.where(lower | xp.isnan(p), -p, t), step)


def terms(xp: Namespace, t: Array, ratio: Array, excess: Array) -> Array:
    """t l + (p - t) of every class, which is not negative: t (l - 1 + e^-l)."""
    small = (ratio > -1) & (ratio < 1)
    near = t * _stats.over_tangent(xp, xp.where(small, ratio, xp.zeros_like(ratio)))
    return xp.where(small, near, times(xp, t, ratio) + excess)
