"""The rule of binary_cross_entropy: two classes with the logits (x, 0), elementwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from xentropy import _reduction as reduction_
from xentropy import _stats
from xentropy._maps import sum_to
from xentropy._reduction import Reducer
from xentropy._stats import Stats, times
from xentropy._typing import Array, DType, Namespace, Normalizer, Reduction


class Leaves(NamedTuple):
    """The arrays that the loss takes; only the first two are always there."""

    logits: Array
    targets: Array
    pos_weight: Array = None
    sample_weights: Array = None
    normalizer: Array = None


class Pair(NamedTuple):
    """Every element's smoothed targets (t, 1 - t), and the weights that multiply them."""

    on: Array
    off: Array
    positive: Array
    negative: Array

    @property
    def coefficients(self) -> tuple[Array, Array]:
        """The coefficients of the positive and the negative class."""
        return self.positive * self.on, self.negative * self.off


@dataclass(frozen=True)
class PairLoss:
    """The binary loss with everything but the arrays fixed; ``hard``: the targets are integers."""

    dtype: DType
    hard: bool
    from_logits: bool = True
    label_smoothing: float = 0.0
    reduction: Reduction = "mean"
    normalizer: Normalizer = "weights"

    names: ClassVar[tuple[str, ...]] = Leaves._fields
    constant: ClassVar[tuple[str, ...]] = ()

    def forward(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Array, Stats]:
        """The reduced loss, and the statistics of the elements for the pullback."""
        given = Leaves(*leaves)
        stats = self._observe(xp, given, self._pair(xp, given))
        losses = _stats.finish(xp, stats)
        return reduction_.reduce(xp, losses, self._reducer(xp, given, stats)), stats

    def pullback(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        bar: Array,
        wanted: tuple[bool, ...],
        *,
        again: bool = False,
    ) -> tuple[Array | None, ...]:
        """The gradients by the wanted leaves, given the gradient ``bar`` by the loss."""
        given, want = Leaves(*leaves), Leaves(*wanted)
        pair = self._pair(xp, given)
        stats = self._observe(xp, given, pair) if again else Stats(*residuals)
        how = self._reducer(xp, given, stats)
        rows = reduction_.spread(xp, how, bar)
        by_logits = None
        if want.logits:
            by_logits = xp.astype(
                rows * self._slope(xp, self._scores(xp, given), pair), given.logits.dtype
            )
        if not any(want[1:]):
            return Leaves(by_logits, None)
        by_count = None
        if how.divisor is not None:
            by_count = reduction_.pull_count(xp, _stats.finish(xp, stats), how, bar)
        others = self._by_others(
            xp, given, want, pair, rows, by_count if how.divides_by_mass else None
        )
        return others._replace(logits=by_logits, normalizer=by_count if want.normalizer else None)

    def _scores(self, xp: Namespace, leaves: Leaves) -> Array:
        return xp.astype(leaves.logits, self.dtype)

    def _pair(self, xp: Namespace, leaves: Leaves) -> Pair:
        t = xp.astype(leaves.targets, self.dtype)
        if self.hard:
            t = xp.where((t == 0) | (t == 1), t, xp.zeros_like(t) + float("nan"))
        keep, share = 1 - self.label_smoothing, self.label_smoothing / 2
        scale = xp.ones_like(t)
        if leaves.sample_weights is not None:
            scale = xp.astype(leaves.sample_weights, self.dtype)
        positive = scale
        if leaves.pos_weight is not None:
            positive = scale * xp.astype(leaves.pos_weight, self.dtype)
        return Pair(keep * t + share, keep * (1 - t) + share, positive, scale)

    def _observe(self, xp: Namespace, leaves: Leaves, pair: Pair) -> Stats:
        x = self._scores(xp, leaves)
        if self.from_logits:
            return _stats.observe_pair(xp, x, *pair.coefficients)
        surprisals = self._surprisals(xp, x)
        return _stats.observe_pair_normalized(xp, *surprisals, *pair.coefficients)

    def _reducer(self, xp: Namespace, leaves: Leaves, stats: Stats) -> Reducer:
        kept = None
        if self.normalizer == "valid" and leaves.sample_weights is not None:
            one = xp.ones_like(stats.mass)
            kept = xp.sum(xp.where(leaves.sample_weights == 0, xp.zeros_like(one), one))
        number = leaves.normalizer
        number = None if number is None else xp.astype(number, self.dtype)
        return reduction_.reducer(xp, self.reduction, self.normalizer, stats.mass, kept, number)

    def _slope(self, xp: Namespace, x: Array, pair: Pair) -> Array:
        """The derivative of every element's loss by its logit, or by its probability."""
        on, off = pair.coefficients
        if self.from_logits:
            return _stats.pullback_pair(xp, x, on, off)
        return times(xp, off, 1 / (1 - x)) - times(xp, on, 1 / x)

    def _surprisals(self, xp: Namespace, x: Array) -> tuple[Array, Array]:
        """-log of the probability of the positive and of the negative class."""
        if self.from_logits:
            return _stats.surprisal_pair(xp, x)
        return -xp.log(x), -xp.log1p(-x)

    def _by_others(
        self,
        xp: Namespace,
        leaves: Leaves,
        want: Leaves,
        pair: Pair,
        rows: Array,
        through_count: Array | None,
    ) -> Leaves:
        yes, no = self._surprisals(xp, self._scores(xp, leaves))

        def weigh(factor: Array, surprisal: Array) -> Array:
            direct = rows * times(xp, factor, surprisal)
            return direct if through_count is None else direct + through_count * factor

        by_targets = by_positive = by_samples = None
        if want.targets:
            keep = 1 - self.label_smoothing
            by_targets = weigh(keep * pair.positive, yes) - weigh(keep * pair.negative, no)
            by_targets = xp.astype(by_targets, leaves.targets.dtype)
        if want.pos_weight:
            dense = weigh(pair.negative * pair.on, yes)
            by_positive = xp.astype(sum_to(xp, dense, leaves.pos_weight), leaves.pos_weight.dtype)
        if want.sample_weights:
            unscaled = self._pair(xp, leaves._replace(sample_weights=None))
            on, off = unscaled.coefficients
            by_samples = xp.astype(weigh(on, yes) + weigh(off, no), leaves.sample_weights.dtype)
        return Leaves(None, by_targets, by_positive, by_samples)
