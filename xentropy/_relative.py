"""The rule of the relative entropy of every entry: t log(t / p), of numbers taken as given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xentropy._divergence import opposed, terms
from xentropy._stats import times
from xentropy._typing import Array, DType, Namespace, Source


class Leaves(NamedTuple):
    """The arrays that the rule takes."""

    x: Array
    targets: Array


class Entries(NamedTuple):
    """p, t and l = log(t / p) of every entry."""

    p: Array
    t: Array
    ratio: Array


@dataclass(frozen=True)
class RelativeEntropy:
    """t log(t / p) of every entry, with everything but the arrays fixed.

    ``source`` and ``targets_are`` say whether x and the targets hold logarithms. ``generalized``
    adds p - t, so that no entry is negative.
    """

    dtype: DType
    source: Source = "log_probabilities"
    targets_are: Source = "probabilities"
    generalized: bool = False

    names = Leaves._fields
    constant = ()
    outputs = ("value",)
    others = ()

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], tuple[()]]:
        """The relative entropy of every entry."""
        p, t, ratio = self._entries(xp, Leaves(*leaves))
        if self.generalized:
            return (terms(xp, t, ratio, opposed(xp, p, t, ratio)),), ()
        return (times(xp, t, ratio),), ()

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
        """The gradients by x and by the targets."""
        given, want, (bar,) = Leaves(*leaves), Leaves(*wanted), bars
        entries = self._entries(xp, given)
        by_x = by_targets = None
        if want.x:
            by_x = xp.astype(bar * self._by_x(xp, entries), given.x.dtype)
        if want.targets:
            by_targets = xp.astype(bar * self._by_targets(xp, entries), given.targets.dtype)
        return Leaves(by_x, by_targets)

    def _by_x(self, xp: Namespace, entries: Entries) -> Array:
        """-t or p - t by log p; by p that over p."""
        p, t, ratio = entries
        slope = opposed(xp, p, t, ratio) if self.generalized else -t
        return slope if self.source == "log_probabilities" else times(xp, slope, 1 / p)

    def _by_targets(self, xp: Namespace, entries: Entries) -> Array:
        """l + 1 or l by t; by log t that times t."""
        slope = entries.ratio if self.generalized else entries.ratio + 1
        return slope if self.targets_are == "probabilities" else times(xp, entries.t, slope)

    def _entries(self, xp: Namespace, leaves: Leaves) -> Entries:
        x, y = (xp.astype(leaf, self.dtype) for leaf in leaves)
        if self.source == self.targets_are == "probabilities":
            return Entries(x, y, log_quotient(xp, y, x))
        log_p, p = (x, xp.exp(x)) if self.source == "log_probabilities" else (xp.log(x), x)
        log_t, t = (y, xp.exp(y)) if self.targets_are == "log_probabilities" else (xp.log(y), y)
        return Entries(p, t, log_t - log_p)


def log_quotient(xp: Namespace, t: Array, p: Array) -> Array:
    """log(t / p): from the difference of the two, which is exact where they are close."""
    near = (t < 2 * p) & (p < 2 * t)
    step = xp.where(near, t - p, xp.zeros_like(p)) / xp.where(near, p, xp.ones_like(p))
    return xp.where(near, xp.log1p(step), xp.log(t) - xp.log(p))
