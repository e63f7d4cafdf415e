"""The rule of the losses over classes, from cross_entropy to the focal loss, and its gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from xentropy import _links, _stats, _targets
from xentropy import _reduction as reduction_
from xentropy._links import Link
from xentropy._maps import sum_to
from xentropy._reduction import Reducer
from xentropy._stats import Coefficients, Shares, Stats, times
from xentropy._targets import Labels, Targets, Weigh, Whole
from xentropy._typing import Array, DType, Judged, Namespace, Normalizer, Reduction, Source


class Leaves(NamedTuple):
    """The arrays that a loss over classes takes; only the first two are always there."""

    logits: Array
    targets: Array
    class_weights: Array = None
    sample_weights: Array = None
    where: Array = None
    normalizer: Array = None
    alpha: Array = None


_OF_LOG_PROBS = ("log_probs", *Leaves._fields[1:])


class Left(NamedTuple):
    """What the forward leaves for the pullback: two statistics, the mass and the loss of rows."""

    max: Array
    rest: Array
    mass: Array
    losses: Array


class Visit(NamedTuple):
    """One visit to the rows.

    Scores and what makes the coefficients; the coefficients, and those that the loss is the sum
    over, which alpha balances; the exponentials (None where the scores are log-probabilities as
    given); what is left; the reducer.
    """

    scores: Array
    targets: Targets
    coefficients: Coefficients
    seen: Any  # Shares, or None
    left: Left
    how: Reducer


@dataclass(frozen=True)
class RowLoss:
    """A loss over classes with everything but the arrays fixed.

    ``source`` says what the first leaf holds, ``hard`` that the targets are labels; ``link``
    bends the surprisals; ``empty`` is what a mean over nothing is.
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
    link: Link | None = None
    empty: float = 0.0

    constant = ("where",)
    outputs = ("loss",)
    others = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The leaves as the public function calls them."""
        return _OF_LOG_PROBS if self.source == "log_probabilities" else Leaves._fields

    @property
    def of_surprisals(self) -> bool:
        """Whether it is a function of surprisals, of logits as they are."""
        return self.source == "logits" and self.softcap is None and self.z_loss == 0

    @property
    def of_labels(self) -> bool:
        """Whether those are the labels' alone."""
        return self.hard and self.label_smoothing == 0 and self.of_surprisals

    @property
    def plain(self) -> bool:
        """Whether it is what the coefficients weigh surprisals to."""
        return self.link is None and self.of_surprisals

    @property
    def bare(self) -> bool:
        """Whether it is the surprisal of labels itself."""
        return self.link is None and self.of_labels

    def judged(self, leaves: tuple[Array | None, ...]) -> Judged | None:
        """The labels, if the targets are some, of how many classes, and which is ignored."""
        if not self.hard:
            return None
        given = Leaves(*leaves)
        return given.targets, given.logits.shape[self.axis], self.ignore_index

    def as_given(self, leaves: Leaves) -> bool:
        """Whether the coefficients are probabilities as they were given."""
        weighed = leaves.class_weights is not None or leaves.sample_weights is not None
        return not (self.hard or weighed or self.label_smoothing)

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], Left]:
        """The reduced loss, and what the pullback needs."""
        visit = self.visit(xp, Leaves(*leaves), again=again)
        value = reduction_.reduce(xp, visit.left.losses, visit.how)
        if self.reduction == "none":
            value = xp.squeeze(value, axis=self.axis)
        return (value,), visit.left

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
        given, want = Leaves(*leaves), Leaves(*wanted)
        visit = self.visit(xp, given, Left(*residuals), again=again)
        return self.pull(xp, given, want, visit, bars)

    def pull(
        self,
        xp: Namespace,
        leaves: Leaves,
        want: Leaves,
        visit: Visit,
        bars: tuple[Array | None, ...],
    ) -> Leaves:
        """The gradients by the wanted leaves, of a visit."""
        by_first, others = self.pull_apart(xp, leaves, want, visit, bars[0])
        if by_first is None:
            return others
        return others._replace(logits=self.shaped(xp, leaves, by_first))

    def pull_apart(
        self, xp: Namespace, leaves: Leaves, want: Leaves, visit: Visit, bar: Array
    ) -> tuple[Array | None, Leaves]:
        """The gradients by the first leaf, not in its dtype yet, and by the others."""
        if self.reduction == "none":
            bar = xp.expand_dims(bar, axis=self.axis)
        rows, by_count = reduction_.spread(xp, visit.how, bar), None
        by_first = None
        if want.logits:
            by_first = rows * self.by_first(xp, leaves, visit)
        if not any(want[1:]):
            return by_first, Leaves(None, None)
        if visit.how.divisor is not None:
            by_count = reduction_.pull_count(xp, visit.left.losses, visit.how, bar)
        return by_first, self.by_others(xp, leaves, want, visit, rows, by_count)

    # The visit.

    def visit(
        self,
        xp: Namespace,
        leaves: Leaves,
        left: Left | None = None,
        whole: Whole | None = None,
        *,
        again: bool = False,
    ) -> Visit:
        """Visit the rows; with what an earlier visit left, only as far as a pullback needs.

        ``whole`` is what that one told of rows of which these are some classes. ``again`` visits
        in operations that can be differentiated to any order.
        """
        scores = self.scores(xp, leaves)
        targets = self.targets(xp, leaves, scores)._replace(whole=whole)
        t = _targets.coefficients(xp, targets)
        balanced = self.balanced(xp, leaves, t)
        peak, seen = self._shares(xp, scores, left, again=again)
        if left is None or again:
            left = self._leave(xp, scores, targets, t, balanced, peak, seen)
        kept = _targets.kept_rows(xp, targets) if self.normalizer == "valid" else None
        how = self.reducer(xp, leaves, left.mass, kept)
        return Visit(scores, targets, balanced, seen, left, how)

    def reducer(self, xp: Namespace, leaves: Leaves, mass: Array, kept: Array | None) -> Reducer:
        """How losses of rows with these masses are reduced; ``kept`` counts those that count."""
        number = leaves.normalizer
        return reduction_.reducer(
            xp, self.reduction, self.normalizer, mass, kept, number, self.empty
        )

    def scores(self, xp: Namespace, leaves: Leaves) -> Array:
        """What is observed: logits capped, or log-probabilities; -inf at a masked class."""
        x = xp.astype(leaves.logits, self.dtype)
        if self.source == "probabilities":
            x = xp.log(x)
        if self.softcap is not None:
            x = _stats.capped(xp, x, self.softcap)
        return _stats.masked(xp, x, self._mask(xp, leaves))

    def _mask(self, xp: Namespace, leaves: Leaves) -> Array | None:
        return _stats.along(xp, leaves.where, leaves.logits.ndim, self.axis)

    def targets(
        self, xp: Namespace, leaves: Leaves, scores: Array, labels: Labels | None = None
    ) -> Targets:
        """What makes the coefficients of rows of scores; ``labels`` may have been read before."""
        given = None
        if self.hard and labels is None:
            count = _stats.class_count(xp, scores, self.axis)
            kept_axis = xp.expand_dims(leaves.targets, axis=self.axis)
            labels = _targets.read_labels(xp, kept_axis, count, self.ignore_index, self.index_dtype)
        elif not self.hard:
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

    def balanced(self, xp: Namespace, leaves: Leaves, t: Coefficients) -> Coefficients:
        """The coefficients times alpha, which is no part of what a mean divides by."""
        if leaves.alpha is None:
            return t
        alpha = xp.astype(leaves.alpha, self.dtype)
        return _targets.balanced(xp, t, alpha, leaves.logits.ndim, self.axis)

    def _shares(
        self, xp: Namespace, scores: Array, left: Left | None, *, again: bool
    ) -> tuple[Array | None, Shares | None]:
        """The maxima and the exponentials of logits; probabilities as given need neither."""
        if self.source != "logits":
            return None, None
        peak = _stats.peak_of(xp, scores, self.axis, again=again) if left is None else left.max
        rest = None if left is None else left.rest
        seen = _stats.shares(
            xp,
            scores,
            peak,
            axis=self.axis,
            temperature=self.temperature,
            rest=rest,
            again=again,
        )
        return peak, seen

    def _leave(
        self,
        xp: Namespace,
        scores: Array,
        targets: Targets,
        t: Coefficients,
        balanced: Coefficients,
        peak: Array | None,
        seen: Shares | None,
    ) -> Left:
        total = _stats.mass(xp, t, self.axis)
        if seen is None:
            stats = _stats.observe_normalized(xp, scores, balanced, axis=self.axis)
        else:
            stats = _stats.tally(xp, seen, peak, balanced, axis=self.axis)
        left = Left(stats.max, stats.rest, total, None)
        if self.link is None:
            losses = _stats.finish(xp, stats)
        else:
            surprisal = self._surprisal(xp, scores, seen, left)
            bent = _links.bent(xp, balanced, self.link.value, surprisal, self.axis)
            losses = _stats.mass(xp, bent, self.axis)
        return left._replace(losses=self.with_z(xp, targets, left, losses))

    def _surprisal(self, xp: Namespace, scores: Array, seen: Shares | None, left: Left) -> Array:
        """-log p of every class."""
        return -scores if seen is None else _stats.surprisal(xp, seen, left.max)

    def lse(self, xp: Namespace, left: Left) -> Array:
        """The logsumexp of every row."""
        stats = Stats(left.max, left.rest, None, None)
        return _stats.logsumexp(xp, stats, temperature=self.temperature)

    def with_z(self, xp: Namespace, targets: Targets, left: Left, losses: Array) -> Array:
        if self.z_loss == 0:
            return losses
        lse = self.lse(xp, left)
        return losses + times(xp, self.z_loss * _targets.row_scale(xp, targets), lse * lse)

    # The gradients.

    def by_first(self, xp: Namespace, leaves: Leaves, visit: Visit) -> Array:
        """The gradient of every row's loss by the first leaf, not in its dtype yet."""
        return self.chain(xp, leaves, self._by_scores(xp, visit))

    def _by_scores(self, xp: Namespace, visit: Visit) -> Array:
        """The gradient of every row's loss by its scores."""
        t = visit.coefficients
        if self.link is not None:
            surprisal = self._surprisal(xp, visit.scores, visit.seen, visit.left)
            t = _links.bent(xp, t, self.link.slope, surprisal, self.axis)
        if visit.seen is None:
            # w - w is 0, and NaN throughout the row of a label that is no class.
            still = visit.left.mass - visit.left.mass
            return still - _stats.every(xp, t, visit.scores, self.axis)
        return _stats.pullback(
            xp,
            visit.seen,
            visit.left.max,
            t,
            axis=self.axis,
            temperature=self.temperature,
            lse_weight=self.lse_weight(xp, visit.targets, visit.left),
            total=visit.left.mass if _targets.is_part(visit.targets) else None,
        )

    def lse_weight(self, xp: Namespace, targets: Targets, left: Left) -> Array | None:
        """The derivative of z_loss s lse^2 by the logsumexp."""
        if self.z_loss == 0:
            return None
        lse = self.lse(xp, left)
        return times(xp, 2 * self.z_loss * _targets.row_scale(xp, targets), lse)

    def chain(self, xp: Namespace, leaves: Leaves, gradient: Array) -> Array:
        """From the gradient by the scores to the one by what the first leaf holds.

        A row without a gradient has none, whatever it holds: this comes before the factor that
        the pullback is linear in.
        """
        if self.source == "probabilities":
            return times(xp, gradient, 1 / xp.astype(leaves.logits, self.dtype))
        if self.softcap is not None:
            # 1 - tanh^2 in a form that keeps its precision for large logits.
            slope = 1 / xp.cosh(xp.astype(leaves.logits, self.dtype) / self.softcap)
            return times(xp, gradient, slope * slope)
        return gradient

    def shaped(self, xp: Namespace, leaves: Leaves, gradient: Array) -> Array:
        """The gradient in the dtype of the first leaf; masked classes are constants."""
        gradient = _stats.cut(xp, gradient, self._mask(xp, leaves))
        return xp.astype(gradient, leaves.logits.dtype)

    def by_others(
        self,
        xp: Namespace,
        leaves: Leaves,
        want: Leaves,
        visit: Visit,
        rows: Array,
        by_count: Array | None,
    ) -> Leaves:
        """The gradients by the other leaves, given those by the rows' losses and by the count."""
        by_targets = by_classes = by_samples = by_alpha = None
        weigh = self._weigher(xp, leaves, visit, rows, by_count)
        if want.targets and not self.hard:
            by_targets = _targets.pull_given(xp, visit.targets, weigh)
            by_targets = xp.astype(by_targets, leaves.targets.dtype)
        if want.class_weights:
            by_classes = self._by_class_weights(xp, leaves, visit, weigh)
        if want.sample_weights:
            by_samples = self._by_sample_weights(xp, leaves, visit, weigh, rows)
        if want.alpha:
            by_alpha = self._by_alpha(xp, leaves, visit, rows)
        if not want.normalizer:
            by_count = None
        return Leaves(None, by_targets, by_classes, by_samples, None, by_count, by_alpha)

    def _weigher(
        self, xp: Namespace, leaves: Leaves, visit: Visit, rows: Array, by_count: Array | None
    ) -> Weigh:
        """What a factor of every t_ij receives: f(q) of its class, and its part in a count."""
        bent = self._bent(xp, visit)
        if leaves.alpha is not None:
            alpha = xp.astype(leaves.alpha, self.dtype)
            bent = times(xp, _stats.along(xp, alpha, bent.ndim, self.axis), bent)
        return reduction_.weigher(xp, visit.how, rows, bent, by_count)

    def _bent(self, xp: Namespace, visit: Visit) -> Array:
        """f(q) of every class."""
        surprisal = self._surprisal(xp, visit.scores, visit.seen, visit.left)
        return surprisal if self.link is None else self.link.value(xp, surprisal)

    def _by_alpha(self, xp: Namespace, leaves: Leaves, visit: Visit, rows: Array) -> Array:
        """The gradient by what balances the classes: t_j f(q_j), summed over the rows."""
        t = _targets.coefficients(xp, visit.targets)
        dense = _stats.every(xp, t, visit.scores, self.axis)
        dense = rows * times(xp, dense, self._bent(xp, visit))
        return xp.astype(sum_to(xp, dense, leaves.alpha, self.axis), leaves.alpha.dtype)

    def _by_class_weights(self, xp: Namespace, leaves: Leaves, visit: Visit, weigh: Weigh) -> Array:
        dense = _targets.pull_weights(xp, visit.targets, weigh)
        gradient = sum_to(xp, dense, leaves.class_weights, self.axis)
        return xp.astype(gradient, leaves.class_weights.dtype)

    def _by_sample_weights(
        self, xp: Namespace, leaves: Leaves, visit: Visit, weigh: Weigh, rows: Array
    ) -> Array:
        gradient = _targets.pull_scale(xp, visit.targets, weigh)
        if self.z_loss != 0:
            lse = self.lse(xp, visit.left)
            kept = _targets.row_scale(xp, visit.targets._replace(scale=None))
            square = reduction_.counting(xp, visit.how, lse * lse)
            gradient = gradient + rows * times(xp, self.z_loss * kept, square)
        return xp.astype(xp.squeeze(gradient, axis=self.axis), leaves.sample_weights.dtype)
