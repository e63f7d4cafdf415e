"""Losses that bend the surprisal q = -log p of a class: the sum of t_j f(q_j).

Cross-entropy is the straight one, f(q) = q. As the derivative of q_i by a logit is p_j - [i = j],
the gradient of any of them is that of a cross-entropy with the coefficients t_j f'(q_j): a link
has nothing to say but f and f'. Both are exact where p is near 1, because 1 - p is -expm1(-q),
or known otherwise: of two classes it is the other one's p.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from xentropy._stats import Coefficients, every, over_tangent, pick, times
from xentropy._typing import Array, Namespace


class Shares(NamedTuple):
    """The probability of a class, and that of all others, where its surprisal is finite."""

    own: Array
    others: Array


class Link(Protocol):
    """A function of the surprisal with its derivative; links are immutable and hashable.

    The shares need not be computed anew where they are given.
    """

    def value(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """f(q)."""

    def slope(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """f'(q), finite also where q is infinite."""


@dataclass(frozen=True)
class Focal:
    """f(q) = (1 - p)^gamma q."""

    gamma: float

    def value(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """The surprisal, the less the more probable the class is."""
        return _others(xp, surprisal, shares) ** _whole(self.gamma) * surprisal

    def slope(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """(1 - p)^gamma (1 + gamma p q / (1 - p)), in which q / (1 - p) is 1 where q is 0.

        Or (1 - p)^(gamma - 1) (1 - p + gamma p q), which divides by nothing.
        """
        if shares is not None and self.gamma >= 1:
            bent = shares.own * surprisal
            return shares.others ** _whole(self.gamma - 1) * (shares.others + self.gamma * bent)
        zero = xp.zeros_like(surprisal)
        finite = xp.where(xp.isinf(surprisal), zero, surprisal)
        still = finite == 0
        nonzero = xp.where(still, xp.ones_like(finite), finite)
        ratio = xp.where(still, xp.ones_like(finite), nonzero / opposite(xp, nonzero))
        weight = opposite(xp, surprisal) ** _whole(self.gamma)
        return weight * (1 + self.gamma * xp.exp(-surprisal) * ratio)


@dataclass(frozen=True)
class Poly:
    """f(q) = q + epsilon (1 - p)."""

    epsilon: float

    def value(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """The surprisal and the first power of its expansion, weighted more.

        Where that would cancel: (1 + epsilon) q - epsilon (q - (1 - p)).
        """
        if self.epsilon < 0:
            above = over_tangent(xp, surprisal)
            if self.epsilon == -1:
                return above
            return (1 + self.epsilon) * surprisal - self.epsilon * above
        return surprisal + self.epsilon * _others(xp, surprisal, shares)

    def slope(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """1 + epsilon p, or where that would cancel (1 + epsilon) - epsilon (1 - p)."""
        if self.epsilon < 0:
            return (1 + self.epsilon) - self.epsilon * _others(xp, surprisal, shares)
        return 1 + self.epsilon * (xp.exp(-surprisal) if shares is None else shares.own)


@dataclass(frozen=True)
class Generalized:
    """f(q) = (1 - p^power) / power."""

    power: float

    def value(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """The Box-Cox transform of the probability, which is bounded."""
        return opposite(xp, self.power * surprisal) / self.power

    def slope(self, xp: Namespace, surprisal: Array, shares: Shares | None = None) -> Array:
        """p^power."""
        return xp.exp(-self.power * surprisal)


def _whole(power: float) -> float:
    """A whole power has derivatives at 0 where a broken one has none."""
    return int(power) if float(power).is_integer() else power


def _others(xp: Namespace, surprisal: Array, shares: Shares | None) -> Array:
    """1 - p."""
    return opposite(xp, surprisal) if shares is None else shares.others


def opposite(xp: Namespace, surprisal: Array) -> Array:
    """1 - p, and its derivative p: where p is small that of expm1, taken from its value, is not."""
    likely = surprisal < 0.7
    near = xp.expm1(xp.where(likely, -surprisal, xp.zeros_like(surprisal)))
    return xp.where(likely, -near, 1 - xp.exp(-surprisal))


def bent(
    xp: Namespace,
    t: Coefficients,
    curve: Callable[[Namespace, Array], Array],
    surprisal: Array,
    axis: int,
) -> Coefficients:
    """The coefficients t_j curve(q_j); of a label alone the curve is computed only there.

    With f they sum to the bent loss, with f' their cross-entropy has its gradient.
    """
    on = dense = None
    if t.on is not None:
        on = times(xp, t.on, curve(xp, pick(xp, surprisal, t.label, axis)))
    if t.spread is not None or t.dense is not None:
        others = every(xp, t._replace(label=None, on=None), surprisal, axis)
        dense = times(xp, others, curve(xp, surprisal))
    return Coefficients(label=t.label, on=on, dense=dense)
