"""The rule of the losses over classes, cross_entropy and nll_loss: the value and its gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from xentropy import _reduction as reduction_
from xentropy import _stats, _targets
from xentropy._reduction import Reducer
from xentropy._stats import Coefficients, Shares, Stats, times
from xentropy._targets import Targets, Weigh
from xentropy._typing import Array, DType, Namespace, Normalizer, Reduction, Source


class Leaves(NamedTuple):
    """The arrays that a loss over classes takes; only the first two are always there."""

    logits: Array
    targets: Array
    class_weights: Array = None
    sample_weights: Array = None
    where: Array = None
    normalizer: Array = None


class Visit(NamedTuple):
    """One visit to the rows: scores, coefficients, statistics, every row's loss, the reducer."""

    scores: Array
    targets: Targets
    coefficients: Coefficients
    stats: Stats
    losses: Array
    how: Reducer


@dataclass(frozen=True)
class RowLoss:
    """A loss over classes with everything but the arrays fixed.

    ``source`` says what the first leaf holds, ``hard`` that the targets are labels.
    """

    dtype: DType
    index_dtype: DType
    axis: int
    hard: bool
    source: Source = "logits"
    ignore_index: int | None = None
    label_smoothing: float = 0.0
    temperature: float = 1.0
    softcap: float | None = None
    z_loss: float = 0.0
    reduction: Reduction = "mean"
    normalizer: Normalizer = "weights"

    constant: ClassVar[tuple[str, ...]] = ("where",)

    @property
    def names(self) -> tuple[str, ...]:
        """The leaves as the public function calls them."""
        first = "log_probs" if self.source == "log_probabilities" else "logits"
        return (first, *Leaves._fields[1:])

    def forward(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Array, Stats]:
        """The reduced loss, and the statistics of the rows for the pullback."""
        visit = self._visit(xp, Leaves(*leaves), None, again=False)
        value = reduction_.reduce(xp, visit.losses, visit.how)
        if self.reduction == "none":
            value = xp.squeeze(value, axis=self.axis)
        return value, visit.stats

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
        """The gradients by the wanted leaves, given the gradient ``bar`` by the loss.

        The residuals are constants. ``again`` visits the rows anew, in operations that let a
        framework differentiate the gradients themselves.
        """
        given, want = Leaves(*leaves), Leaves(*wanted)
        visit = self._visit(xp, given, Stats(*residuals), again=again)
        seen = self._shares(xp, visit, again=again)
        if self.reduction == "none":
            bar = xp.expand_dims(bar, axis=self.axis)
        rows = reduction_.spread(xp, visit.how, bar)
        by_logits = self._by_logits(xp, given, visit, seen, rows) if want.logits else None
        if not any(want[1:]):
            return Leaves(by_logits, None)
        return self._by_others(xp, given, want, visit, seen, rows, bar)._replace(logits=by_logits)

    # The visit.

    def _visit(
        self, xp: Namespace, leaves: Leaves, residuals: Stats | None, *, again: bool
    ) -> Visit:
        scores = self._scores(xp, leaves)
        targets = self._targets(xp, leaves, scores)
        t = _targets.coefficients(xp, targets)
        stats = residuals
        if stats is None or again:
            stats = self._observe(xp, scores, t, None if residuals is None else residuals.max)
        how = reduction_.reducer(
            xp,
            self.reduction,
            self.normalizer,
            stats.mass,
            _targets.kept_rows(xp, targets) if self.normalizer == "valid" else None,
            None if leaves.normalizer is None else xp.astype(leaves.normalizer, self.dtype),
        )
        return Visit(scores, targets, t, stats, self._losses(xp, targets, stats), how)

    def _scores(self, xp: Namespace, leaves: Leaves) -> Array:
        """What is observed: logits capped, or log-probabilities; -inf at a masked class."""
        x = xp.astype(leaves.logits, self.dtype)
        if self.source == "probabilities":
            x = xp.log(x)
        if self.softcap is not None:
            x = self.softcap * xp.tanh(x / self.softcap)
        return _stats.masked(xp, x, self._mask(xp, leaves))

    def _mask(self, xp: Namespace, leaves: Leaves) -> Array | None:
        return _stats.along(xp, leaves.where, leaves.logits.ndim, self.axis)

    def _targets(self, xp: Namespace, leaves: Leaves, scores: Array) -> Targets:
        labels = given = None
        if self.hard:
            count = _stats.shape_of(xp, scores)[self.axis]
            kept_axis = xp.expand_dims(leaves.targets, axis=self.axis)
            labels = _targets.read_labels(xp, kept_axis, count, self.ignore_index, self.index_dtype)
        else:
            given = xp.astype(leaves.targets, self.dtype)
        scale = weights = None
        if leaves.sample_weights is not None:
            scale = xp.expand_dims(xp.astype(leaves.sample_weights, self.dtype), axis=self.axis)
        if leaves.class_weights is not None:
            weights = xp.astype(leaves.class_weights, self.dtype)
            weights = _stats.along(xp, weights, leaves.logits.ndim, self.axis)
        mask = self._mask(xp, leaves)
        smoothing = self.label_smoothing
        return Targets(labels, given, scale, weights, mask, smoothing, scores, self.axis)

    def _observe(self, xp: Namespace, x: Array, t: Coefficients, peak: Array | None) -> Stats:
        if self.source != "logits":
            return _stats.observe_normalized(xp, x, t, axis=self.axis)
        return _stats.observe(xp, x, t, axis=self.axis, temperature=self.temperature, peak=peak)

    def _losses(self, xp: Namespace, targets: Targets, stats: Stats) -> Array:
        losses = _stats.finish(xp, stats)
        if self.z_loss == 0:
            return losses
        lse = _stats.logsumexp(xp, stats, temperature=self.temperature)
        return losses + times(xp, self.z_loss * _targets.row_scale(xp, targets), lse * lse)

    def _shares(self, xp: Namespace, visit: Visit, *, again: bool) -> Shares | None:
        if self.source != "logits":
            return None
        return _stats.shares(
            xp,
            visit.scores,
            visit.stats.max,
            axis=self.axis,
            temperature=self.temperature,
            rest=visit.stats.rest,
            again=again,
        )

    # The gradients.

    def _by_logits(
        self, xp: Namespace, leaves: Leaves, visit: Visit, seen: Shares | None, rows: Array
    ) -> Array:
        if seen is None:
            t = _stats.every(xp, visit.coefficients, visit.scores, self.axis)
            # w - w is 0, and NaN throughout the row of a label that is no class.
            gradient = (visit.stats.mass - visit.stats.mass) - t
        else:
            lse_weight = self._lse_weight(xp, visit)
            gradient = _stats.pullback(
                xp,
                seen,
                visit.stats.max,
                visit.coefficients,
                axis=self.axis,
                temperature=self.temperature,
                lse_weight=lse_weight,
            )
        gradient = rows * self._chain(xp, leaves, gradient)
        gradient = _stats.cut(xp, gradient, self._mask(xp, leaves))
        return xp.astype(gradient, leaves.logits.dtype)

    def _lse_weight(self, xp: Namespace, visit: Visit) -> Array | None:
        """The derivative of z_loss s lse^2 by the logsumexp."""
        if self.z_loss == 0:
            return None
        lse = _stats.logsumexp(xp, visit.stats, temperature=self.temperature)
        return times(xp, 2 * self.z_loss * _targets.row_scale(xp, visit.targets), lse)

    def _chain(self, xp: Namespace, leaves: Leaves, gradient: Array) -> Array:
        """From the gradient by the scores to the one by what the first leaf holds."""
        if self.source == "probabilities":
            return times(xp, gradient, 1 / xp.astype(leaves.logits, self.dtype))
        if self.softcap is not None:
            # 1 - tanh^2 in a form that keeps its precision for large logits.
            slope = 1 / xp.cosh(xp.astype(leaves.logits, self.dtype) / self.softcap)
            return times(xp, gradient, slope * slope)
        return gradient

    def _by_others(
        self,
        xp: Namespace,
        leaves: Leaves,
        want: Leaves,
        visit: Visit,
        seen: Shares | None,
        rows: Array,
        bar: Array,
    ) -> Leaves:
        by_count = by_targets = by_classes = by_samples = None
        if visit.how.divisor is not None:
            by_count = reduction_.pull_count(xp, visit.losses, visit.how, bar)
        through = by_count if visit.how.divides_by_mass else None
        weigh = self._weigher(xp, visit, seen, rows, through)
        if want.targets and not self.hard:
            by_targets = _targets.pull_given(xp, visit.targets, weigh)
            by_targets = xp.astype(by_targets, leaves.targets.dtype)
        if want.class_weights:
            by_classes = self._by_class_weights(xp, leaves, visit, weigh)
        if want.sample_weights:
            by_samples = self._by_sample_weights(xp, leaves, visit, weigh, rows)
        if not want.normalizer:
            by_count = None
        return Leaves(None, by_targets, by_classes, by_samples, None, by_count)

    def _weigher(
        self,
        xp: Namespace,
        visit: Visit,
        seen: Shares | None,
        rows: Array,
        through_count: Array | None,
    ) -> Weigh:
        """What a factor of every t_ij receives: lse - x_j of its row, and its part in a count."""
        surprisal = -visit.scores
        if seen is not None:
            surprisal = _stats.surprisal(xp, seen, visit.stats.max)

        def weigh(factor: Array) -> Array:
            direct = rows * times(xp, factor, surprisal)
            return direct if through_count is None else direct + through_count * factor

        return weigh

    def _by_class_weights(self, xp: Namespace, leaves: Leaves, visit: Visit, weigh: Weigh) -> Array:
        dense = _targets.pull_weights(xp, visit.targets, weigh)
        others = tuple(i for i in range(dense.ndim) if i != self.axis)
        gradient = xp.sum(dense, axis=others) if others else dense
        return xp.astype(gradient, leaves.class_weights.dtype)

    def _by_sample_weights(
        self, xp: Namespace, leaves: Leaves, visit: Visit, weigh: Weigh, rows: Array
    ) -> Array:
        gradient = _targets.pull_scale(xp, visit.targets, weigh)
        if self.z_loss != 0:
            lse = _stats.logsumexp(xp, visit.stats, temperature=self.temperature)
            kept = _targets.row_scale(xp, visit.targets._replace(scale=None))
            gradient = gradient + rows * times(xp, self.z_loss * kept, lse * lse)
        return xp.astype(xp.squeeze(gradient, axis=self.axis), leaves.sample_weights.dtype)
