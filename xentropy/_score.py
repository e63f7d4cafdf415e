"""The rule of score: everything that one visit to rows of logits tells about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xentropy import _stats, _targets
from xentropy._rows import Leaves, Left, RowLoss, Visit
from xentropy._stats import times
from xentropy._typing import Array, DType, Judged, Namespace


class Bars(NamedTuple):
    """The gradients by the floating outputs; None where nobody asks."""

    loss: Array | None
    log_prob: Array | None
    lse: Array | None
    entropy: Array | None


def summands(
    xp: Namespace, rule: RowLoss, targets: Array, values: tuple[Array, ...], left: Left
) -> tuple[Array, ...]:
    """Loss, mass, whether the row is kept, log-probability, entropy and correctness of rows."""
    loss, log_prob, _, entropy, _, correct = values
    kept = xp.ones_like(loss)
    if rule.hard:
        labels = _targets.read_labels(xp, targets, 1, rule.ignore_index, rule.index_dtype)
        kept = xp.astype(labels.kept, loss.dtype)
    return loss, left.mass, kept, log_prob, entropy, correct


@dataclass(frozen=True)
class RowScore:
    """The scores of rows; ``loss`` is the rule of their loss, not reduced."""

    loss: RowLoss

    constant = RowLoss.constant
    outputs = Bars._fields
    others = ("prediction", "correct")

    @property
    def names(self) -> tuple[str, ...]:
        """The leaves as the public function calls them."""
        return self.loss.names

    @property
    def dtype(self) -> DType:
        """The dtype of the computation."""
        return self.loss.dtype

    @property
    def axis(self) -> int:
        """The axis of the classes."""
        return self.loss.axis

    def judged(self, leaves: tuple[Array | None, ...]) -> Judged | None:
        """The labels, as those of the loss."""
        return self.loss.judged(leaves)

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array, ...], Left]:
        """Loss, log-probability, logsumexp, entropy, prediction and correctness of every row."""
        axis = self.loss.axis
        visit = self.loss.visit(xp, Leaves(*leaves), again=again)
        kept, left = self._kept(xp, visit), visit.left
        total = _stats.moment(xp, visit.seen, axis)
        values = (
            left.losses,
            self._log_prob(xp, visit),
            times(xp, kept, self.loss.lse(xp, left)),
            times(xp, kept, _stats.entropy(xp, left.max, visit.seen.rest, total)),
            *self._judged(xp, visit),
        )
        return tuple(xp.squeeze(value, axis=axis) for value in values), left

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
        """The gradients by the wanted leaves, given those by the floating outputs."""
        given, want = Leaves(*leaves), Leaves(*wanted)
        visit = self.loss.visit(xp, given, Left(*residuals), again=again)
        return self.pull(xp, given, want, visit, bars)

    def pull(
        self,
        xp: Namespace,
        given: Leaves,
        want: Leaves,
        visit: Visit,
        bars: tuple[Array | None, ...],
    ) -> Leaves:
        """The gradients by the wanted leaves, of a visit."""
        bar, axis = Bars(*bars), self.loss.axis
        wide = Bars(*(None if x is None else xp.expand_dims(x, axis=axis) for x in bar))
        by_first, others = self._of_loss(xp, given, want, visit, bar.loss)
        if want.targets and not self.loss.hard and wide.log_prob is not None:
            more = self._by_targets(xp, visit) * wide.log_prob
            more = xp.astype(more, given.targets.dtype)
            others = others._replace(targets=others.targets + more)
        if by_first is None:
            return others
        for part_bar, part in self._by_scores(xp, visit, wide):
            by_first = by_first + part_bar * self.loss.chain(xp, given, part)
        return others._replace(logits=self.loss.shaped(xp, given, by_first))

    def summands(self, xp: Namespace, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """What the totals of rows are sums of."""
        values, left = self.forward(xp, leaves)
        return summands(xp, self.loss, leaves[1], values, left)

    def _of_loss(
        self, xp: Namespace, leaves: Leaves, want: Leaves, visit: Visit, bar: Array | None
    ) -> tuple[Array | None, Leaves]:
        """What the loss pulls back; where nobody asks for it not even its NaN."""
        if bar is not None:
            return self.loss.pull_apart(xp, leaves, want, visit, bar)
        still = (
            xp.zeros_like(leaf) if asked else None for leaf, asked in zip(leaves, want, strict=True)
        )
        by_first = xp.zeros_like(visit.scores) if want.logits else None
        return by_first, Leaves(*still)._replace(logits=None)

    def _kept(self, xp: Namespace, visit: Visit) -> Array:
        """1 in the rows that are not ignored."""
        return _targets.row_scale(xp, visit.targets._replace(scale=None))

    def _log_prob(self, xp: Namespace, visit: Visit) -> Array:
        """The sum of B_j log p_j, without weights and smoothing."""
        t = _targets.belief(xp, visit.targets)
        stats = _stats.tally(xp, visit.seen, visit.left.max, t, axis=self.loss.axis)
        return -_stats.finish(xp, stats)

    def _judged(self, xp: Namespace, visit: Visit) -> tuple[Array, Array]:
        """The most probable class, and whether it is the target's; the first one of equals."""
        axis, index_dtype = self.loss.axis, self.loss.index_dtype
        best = xp.astype(xp.argmax(visit.scores, axis=axis, keepdims=True), index_dtype)
        labels = visit.targets.labels
        if labels is not None:
            return best, labels.kept & labels.valid & (best == labels.index)
        likely = xp.argmax(visit.targets.given, axis=axis, keepdims=True)
        return best, best == xp.astype(likely, index_dtype)

    def _by_scores(self, xp: Namespace, visit: Visit, bars: Bars) -> list[tuple[Array, Array]]:
        """The gradients of log-probability, logsumexp and entropy by the scores, and their bars."""
        peak, axis, temperature = visit.left.max, self.loss.axis, self.loss.temperature
        kept, parts = self._kept(xp, visit), []
        if bars.log_prob is not None:
            t = _targets.belief(xp, visit.targets)
            parts.append((-bars.log_prob, _stats.pullback(xp, visit.seen, peak, t, axis=axis)))
        if bars.lse is not None:
            p = _stats.probabilities(xp, visit.seen, peak)
            # The logsumexp of a row of -inf is -inf, and no logit moves it.
            p = xp.where(peak == -float("inf"), xp.zeros_like(p), p)
            parts.append((bars.lse, times(xp, kept, p)))
        if bars.entropy is not None:
            total = _stats.moment(xp, visit.seen, axis)
            slope = _stats.pullback_entropy(xp, visit.seen, peak, total, axis=axis)
            parts.append((bars.entropy, times(xp, kept, slope)))
        return [(bar, part / temperature) for bar, part in parts]

    def _by_targets(self, xp: Namespace, visit: Visit) -> Array:
        """The gradient of the log-probability by the targets: log p."""
        return -_stats.surprisal(xp, visit.seen, visit.left.max)
