"""The curves f that a loss ``sum(t * f(nat))`` sends its -log p through, and their slopes.

A curve is a function of the nat alone, with ``p = exp(-nat)``. What the nat may be off by moves it
by its slope; the rounding of its own parts is granted beside that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Protocol, TypeVar

from mpmath import mp, mpf

from xentropy.parity.exact._given import Given
from xentropy.parity.exact._number import (
    NOTHING,
    ONE,
    UNDEFINED,
    ZERO,
    Exact,
    total,
)

#: Units in the last place that a power may be off by, and that ``1 - p`` may be when it is computed
#: without cancellation.
POWER, REST = 4, 2

C = TypeVar("C")


class Curve(Protocol):
    """What a loss makes of a nat."""

    def bend(self, nat: Exact, /) -> Exact:
        """f."""
        ...

    def slope(self, nat: Exact, /) -> Exact:
        """f'."""
        ...


def _defined(function: Callable[[C, Exact], Exact]) -> Callable[[C, Exact], Exact]:
    """A curve that takes NaN to NaN."""

    @wraps(function)
    def through(curve: C, nat: Exact) -> Exact:
        return UNDEFINED if mp.isnan(nat.value) else function(curve, nat)

    return through


@dataclass(frozen=True)
class Straight:
    """The cross-entropy's own: the nat itself."""

    def bend(self, nat: Exact) -> Exact:
        """The nat."""
        return nat

    def slope(self, nat: Exact) -> Exact:
        """1, whatever the nat."""
        return Exact(ONE, ONE)


@dataclass(frozen=True)
class Focal:
    """``(1 - p)**gamma * nat``."""

    gamma: mpf

    @property
    def rounded(self) -> mpf:
        """Units of a power: those of its base times its exponent, and its own."""
        return self.gamma * REST + POWER if self.gamma else ZERO

    def _power(self, nat: mpf, lower: int = 0) -> mpf:
        return _rest(nat) ** (self.gamma - lower)

    @_defined
    def bend(self, nat: Exact) -> Exact:
        """Infinite where the nat is."""
        if mp.isinf(nat.value) or not nat.value:
            return nat
        value = self._power(nat.value) * nat.value
        moved = nat.slack * self.slope(nat).value
        return Exact(value, value, moved + value * self.rounded)

    @_defined
    def slope(self, nat: Exact) -> Exact:
        """``(1 - p)**gamma + gamma * (1 - p)**(gamma - 1) * p * nat``."""
        if mp.isinf(nat.value):
            return Exact(ONE, ONE)
        if not nat.value:
            return NOTHING if self.gamma else Exact(ONE, ONE)
        p = mp.exp(-nat.value)
        value = self._power(nat.value) + self.gamma * self._power(nat.value, 1) * p * nat.value
        return Exact(value, value, nat.slack * self._sway(p, nat.value) + value * self.rounded)

    def _sway(self, p: mpf, nat: mpf) -> mpf:
        """How far the slope's terms move with the nat, whatever their signs."""
        once, twice = self._power(nat, 1) * p, self._power(nat, 2) * p * p
        return self.gamma * (2 * once + once * nat + abs(self.gamma - 1) * twice * nat)


@dataclass(frozen=True)
class Poly:
    """``nat + epsilon * (1 - p)``."""

    epsilon: mpf

    @_defined
    def bend(self, nat: Exact) -> Exact:
        """With a negative epsilon the difference of its two terms."""
        p = mp.exp(-nat.value) if mp.isfinite(nat.value) else ZERO
        beyond = _rest(nat.value) if p else ONE
        rest = Exact(beyond, beyond, p * nat.slack + REST * beyond)
        return total((nat, rest.times(self.epsilon)))

    @_defined
    def slope(self, nat: Exact) -> Exact:
        """``1 + epsilon * p``, which is ``(1 + epsilon) - epsilon * (1 - p)``: nothing cancels."""
        p = mp.exp(-nat.value) if mp.isfinite(nat.value) else ZERO
        value = 1 + self.epsilon * p
        return Exact(value, value, abs(self.epsilon) * p * nat.slack)


@dataclass(frozen=True)
class Generalised:
    """``(1 - p**q) / q``."""

    q: mpf

    @_defined
    def bend(self, nat: Exact) -> Exact:
        """At most ``1 / q``."""
        if mp.isinf(nat.value):
            return Exact(1 / self.q, 1 / self.q)
        power = mp.exp(-self.q * nat.value)
        value = _rest(self.q * nat.value) / self.q
        return Exact(value, value, power * nat.slack + REST * value)

    @_defined
    def slope(self, nat: Exact) -> Exact:
        """``p**q``."""
        if mp.isinf(nat.value):
            return NOTHING
        power = mp.exp(-self.q * nat.value)
        return Exact(power, power, power * (self.q * (nat.slack + nat.value) + POWER))


def _rest(nat: mpf) -> mpf:
    """1 - p to all digits, however near p is to 1."""
    return -mp.expm1(-nat)


def curve(given: Given) -> Curve:
    """The curve of a case's function."""
    name = given.case.function
    if name == "focal_loss":
        return Focal(given.number("gamma", 2.0))
    if name == "poly_loss":
        return Poly(given.number("epsilon", 2.0))
    if name == "generalized_cross_entropy":
        return Generalised(given.number("q", 0.7))
    return Straight()
