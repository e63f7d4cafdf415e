"""The rule of binary_cross_entropy and its kin: two classes with the logits (x, 0), elementwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xentropy import _reduction as reduction_
from xentropy import _stats
from xentropy._links import Link
from xentropy._maps import sum_to
from xentropy._reduction import Reducer
from xentropy._stats import times
from xentropy._typing import Array, DType, Judged, Namespace, Normalizer, Reduction


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


class Left(NamedTuple):
    """What the forward leaves for the pullback: the mass and the loss of every element."""

    mass: Array
    losses: Array


# What p (1 - p) counts as at least in a gradient that stays finite.
LEAST = 1e-12


@dataclass(frozen=True)
class PairLoss:
    """The binary loss with everything but the arrays fixed; ``hard``: the targets are integers.

    ``link`` bends the surprisals, and ``alpha`` balances the positive class against the negative;
    ``empty`` is what a mean over nothing is. With ``floor`` the logarithms of given probabilities
    are at least that, and the gradient stays finite too, as PyTorch has it.
    """

    dtype: DType
    hard: bool
    from_logits: bool = True
    label_smoothing: float = 0.0
    reduction: Reduction = "mean"
    normalizer: Normalizer = "weights"
    link: Link | None = None
    alpha: float | None = None
    empty: float = 0.0
    floor: float | None = None

    names = Leaves._fields
    constant = ()
    outputs = ("loss",)
    others = ()

    def judged(self, leaves: tuple[Array | None, ...]) -> Judged | None:
        """Targets that are integers: there are two classes."""
        return (leaves[1], 2, None) if self.hard else None

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], Left]:
        """The reduced loss, and the mass and the loss of the elements for the pullback."""
        given = Leaves(*leaves)
        left = self._visit(xp, given, self._pair(xp, given))
        return (reduction_.reduce(xp, left.losses, self.reducer(xp, leaves, left)),), left

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
        given, want, (bar,) = Leaves(*leaves), Leaves(*wanted), bars
        pair = self._pair(xp, given)
        left = self._visit(xp, given, pair) if again else Left(*residuals)
        how = self.reducer(xp, leaves, left)
        rows = reduction_.spread(xp, how, bar)
        by_logits = by_count = None
        if want.logits:
            by_logits = rows * self._slope(xp, self._scores(xp, given), pair)
            by_logits = xp.astype(by_logits, given.logits.dtype)
        if not any(want[1:]):
            return Leaves(by_logits, None)
        if how.divisor is not None:
            by_count = reduction_.pull_count(xp, left.losses, how, bar)
        others = self._by_others(xp, given, want, pair, how, rows, by_count)
        return others._replace(logits=by_logits, normalizer=by_count if want.normalizer else None)

    def reducer(
        self, xp: Namespace, leaves: tuple[Array | None, ...], residuals: tuple[Array, ...]
    ) -> Reducer:
        """How the losses of the elements are reduced."""
        given, left, kept = Leaves(*leaves), Left(*residuals), None
        if self.normalizer == "valid" and given.sample_weights is not None:
            kept = _stats.counted(xp, given.sample_weights, left.mass)
        number = given.normalizer
        return reduction_.reducer(
            xp, self.reduction, self.normalizer, left.mass, kept, number, self.empty
        )

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

    def _visit(self, xp: Namespace, leaves: Leaves, pair: Pair) -> Left:
        on, off = pair.coefficients
        yes, no = self._bent(xp, self._scores(xp, leaves))
        return Left(on + off, times(xp, on, yes) + times(xp, off, no))

    def _surprisals(self, xp: Namespace, x: Array) -> tuple[Array, Array]:
        """-log of the probability of the positive and of the negative class."""
        if self.from_logits:
            return _stats.surprisal_pair(xp, x)
        yes, no = -xp.log(x), -xp.log1p(-x)
        if self.floor is None:
            return yes, no
        most = xp.zeros_like(x) - self.floor
        return xp.where(yes > most, most, yes), xp.where(no > most, most, no)

    def _bent(self, xp: Namespace, x: Array) -> tuple[Array, Array]:
        """What the coefficients weigh: the bent surprisals, balanced."""
        yes, no = self._surprisals(xp, x)
        if self.link is not None:
            yes, no = self.link.value(xp, yes), self.link.value(xp, no)
        if self.alpha is None:
            return yes, no
        return _balanced(xp, self.alpha, yes), _balanced(xp, 1 - self.alpha, no)

    def _slope(self, xp: Namespace, x: Array, pair: Pair) -> Array:
        """The derivative of every element's loss by its logit, or by its probability."""
        on, off = pair.coefficients
        if self.alpha is not None:
            on, off = self.alpha * on, (1 - self.alpha) * off
        if self.link is not None:
            yes, no = self._surprisals(xp, x)
            on, off = (
                times(xp, on, self.link.slope(xp, yes)),
                times(xp, off, self.link.slope(xp, no)),
            )
        if self.from_logits:
            return _stats.pullback_pair(xp, x, on, off)
        if self.floor is not None:
            both = x * (1 - x)
            least = xp.zeros_like(both) + LEAST
            return (off * x - on * (1 - x)) / xp.where(both < least, least, both)
        return times(xp, off, 1 / (1 - x)) - times(xp, on, 1 / x)

    def _by_others(
        self,
        xp: Namespace,
        leaves: Leaves,
        want: Leaves,
        pair: Pair,
        how: Reducer,
        rows: Array,
        by_count: Array | None,
    ) -> Leaves:
        yes, no = (
            reduction_.weigher(xp, how, rows, bent, by_count)
            for bent in self._bent(xp, self._scores(xp, leaves))
        )
        by_targets = by_positive = by_samples = None
        if want.targets:
            keep = 1 - self.label_smoothing
            by_targets = yes(keep * pair.positive) - no(keep * pair.negative)
            by_targets = xp.astype(by_targets, leaves.targets.dtype)
        if want.pos_weight:
            dense = yes(pair.negative * pair.on)
            by_positive = xp.astype(sum_to(xp, dense, leaves.pos_weight), leaves.pos_weight.dtype)
        if want.sample_weights:
            on, off = self._pair(xp, leaves._replace(sample_weights=None)).coefficients
            by_samples = xp.astype(yes(on) + no(off), leaves.sample_weights.dtype)
        return Leaves(None, by_targets, by_positive, by_samples)


def _balanced(xp: Namespace, share: float, bent: Array) -> Array:
    """A class' share of what it costs: none where it is 0, however much that is."""
    return xp.zeros_like(bent) if share == 0 else share * bent
