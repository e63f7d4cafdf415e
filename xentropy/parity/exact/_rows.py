"""One row of a classification: what it gives each class, and how a loss pulls back to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mpmath import mp, mpf

from xentropy.parity.exact._given import Given
from xentropy.parity.exact._number import (
    INFINITY,
    NOTHING,
    ONE,
    UNDEFINED,
    ZERO,
    Exact,
    depth,
    sure,
    total,
)
from xentropy.parity.exact._softmax import Softmax, distance, top_of

#: Units in the last place a hyperbolic tangent may be off by.
TANH = 4


class Row(Protocol):
    """A row that a classification loss is made of."""

    @property
    def nats(self) -> list[Exact]:
        """-log p of every class."""
        ...

    def extra(self) -> Exact:
        """What the row adds to the loss for each unit of its sample weight."""
        ...

    def pull(self, coefficients: Sequence[Exact], weight: mpf) -> list[Exact]:
        """The gradient of ``sum(coefficients * nats) + weight * extra`` by the row's entries."""
        ...


@dataclass(frozen=True)
class Warp:
    """How raw logits become normalised ones: ``softcap * tanh(x / softcap) / temperature``."""

    temperature: mpf = ONE
    softcap: mpf | None = None
    z_loss: mpf = ZERO

    @classmethod
    def of(cls, given: Given) -> Warp:
        """The warp that a case's options ask for."""
        softcap = given.option("softcap", None)
        return cls(
            given.number("temperature", 1.0),
            None if softcap is None else mpf(softcap),
            given.number("z_loss", 0.0),
        )

    def bent(self, x: mpf) -> mpf:
        """The value of the warp."""
        capped = x if self.softcap is None else self.softcap * mp.tanh(x / self.softcap)
        return capped / self.temperature

    def slope(self, x: mpf) -> Exact:
        """Its derivative, ``1 - tanh(x / softcap)**2``, falling like ``exp(-2 x / softcap)``."""
        if self.softcap is None:
            return sure(1 / self.temperature)
        ratio = x / self.softcap
        slope = (1 - mp.tanh(ratio) ** 2) / self.temperature
        return Exact(slope, slope, slope * (TANH + 2 * abs(ratio)) if slope else ZERO)

    def shaken(self, z: mpf, top: mpf) -> mpf:
        """Epsilons that an entry may be off by before it is exponentiated."""
        scaled = distance(z, top) * (1 if self.temperature == 1 else 2)
        return scaled if self.softcap is None or mp.isinf(z) else scaled + TANH * abs(z)


class LogitRow:
    """A row of raw logits, some classes masked."""

    def __init__(self, x: Sequence[mpf], kept: Sequence[bool], warp: Warp) -> None:
        z = [warp.bent(v) if k else -INFINITY for v, k in zip(x, kept, strict=True)]
        top = top_of(z)
        self.softmax = Softmax(z, [warp.shaken(v, top) for v in z])
        self.x, self.kept, self.warp = x, kept, warp
        self.nats = _distinct(z, self.softmax.nat)

    def extra(self) -> Exact:
        """``z_loss * lse**2``."""
        if not self.warp.z_loss:
            return NOTHING
        lse = self.softmax.logsumexp()
        size = abs(lse.value)
        return Exact(lse.value**2, 2 * size * lse.scale, 2 * size * lse.slack).times(
            self.warp.z_loss
        )

    def pull_entropy(self) -> list[Exact]:
        """The gradient of the entropy by the row's entries."""
        slopes = _distinct(self.softmax.z, self.softmax.entropy_slope)
        return [self.through(j, slope) for j, slope in enumerate(slopes)]

    def pull_logsumexp(self) -> list[Exact]:
        """The gradient of the log of the sum: 0 in a row of nothing but -inf."""
        if self.softmax.top == -INFINITY:
            return [NOTHING] * len(self.x)
        return [self.through(j, self.softmax.share(j)) for j in range(len(self.x))]

    def pull(self, coefficients: Sequence[Exact], weight: mpf) -> list[Exact]:
        """``w * p - t``, through the warp."""
        given = [t for t in coefficients if t.value]
        sums = (mp.fsum(getattr(t, name) for t in given) for name in ("value", "scale", "slack"))
        mass, terms = Exact(*sums), len(given)

        def entry(j: int) -> Exact:
            bare = self._entry(j, coefficients[j], mass, terms)
            extra = self._extra(j).times(weight) if self.warp.z_loss else NOTHING
            return self.through(j, total((bare, extra)) if self.warp.z_loss else bare)

        keys = list(zip(self.x, coefficients, self.kept, strict=True))
        return _distinct(keys, entry)

    def _entry(self, j: int, t: Exact, mass: Exact, terms: int) -> Exact:
        """One entry: of a hard label relative to itself, of soft targets to ``w * p + t``."""
        share = self.softmax.share(j)
        product = share.product(mass)
        value = product.value - t.value
        if terms <= 1:
            return _hard(value, share, mass)
        slack = product.slack + t.slack + depth(terms) * product.scale
        return Exact(value, product.scale + t.scale, slack)

    def _extra(self, j: int) -> Exact:
        lse, share = self.softmax.logsumexp(), self.softmax.share(j)
        size = abs(lse.value)
        slack = size * share.slack + lse.slack * share.value
        extra = Exact(lse.value * share.value, lse.scale * share.value, slack, max(ONE, size))
        return extra.times(2 * self.warp.z_loss)

    def through(self, j: int, g: Exact) -> Exact:
        """The chain rule: what is masked or weighs nothing moves nothing, whatever it holds."""
        if not self.kept[j] or g == NOTHING:
            return NOTHING
        if mp.isnan(g.value):
            return UNDEFINED
        slope = self.warp.slope(self.x[j])
        return Exact(
            g.value * slope.value,
            g.scale * slope.value,
            g.slack * slope.value + g.scale * slope.slack,
            max(ONE, g.gain * slope.value),
        )


def _hard(value: mpf, share: Exact, mass: Exact) -> Exact:
    """``w * (p - 1)`` or ``w * p``: what w is off by, it is off by."""
    if not mass.value:
        return Exact(value, abs(value))
    of_mass = abs(value) * mass.slack / mass.value
    return Exact(value, abs(value), share.slack * mass.value + of_mass)


def _distinct(keys: Sequence[Hashable], compute: Callable[[int], Exact]) -> list[Exact]:
    """A number for each place, computed once for equal keys: a vocabulary's row may hold few
    distinct logits.
    """
    known: dict[Hashable, Exact] = {}
    for j, key in enumerate(keys):
        if key not in known:
            known[key] = compute(j)
    return [known[key] for key in keys]


class ProbabilityRow:
    """A row of probabilities, taken as given."""

    def __init__(self, p: Sequence[mpf], kept: Sequence[bool]) -> None:
        self.p, self.kept = p, kept
        self.nats = [self._nat(v, k) for v, k in zip(p, kept, strict=True)]

    @staticmethod
    def _nat(p: mpf, kept: bool) -> Exact:
        if mp.isnan(p):
            return UNDEFINED
        return sure(-mp.log(p)) if kept and p > 0 else Exact(INFINITY, ZERO)

    def extra(self) -> Exact:
        """Nothing."""
        return NOTHING

    def pull(self, coefficients: Sequence[Exact], weight: mpf) -> list[Exact]:
        """``-t / p``, 0 where t is 0."""
        return [self._slope(t, j) for j, t in enumerate(coefficients)]

    def _slope(self, t: Exact, j: int) -> Exact:
        if not t.value or not self.kept[j]:
            return NOTHING
        return t.times(-1 / self.p[j]) if self.p[j] else Exact(-INFINITY, ZERO)


class LogProbabilityRow:
    """A row of log-probabilities, taken as given."""

    def __init__(self, logs: Sequence[mpf], kept: Sequence[bool]) -> None:
        self.kept = kept
        self.nats = [
            sure(-v) if k else Exact(INFINITY, ZERO) for v, k in zip(logs, kept, strict=True)
        ]

    def extra(self) -> Exact:
        """Nothing."""
        return NOTHING

    def pull(self, coefficients: Sequence[Exact], weight: mpf) -> list[Exact]:
        """``-t``."""
        pairs = zip(coefficients, self.kept, strict=True)
        return [t.negated() if k else NOTHING for t, k in pairs]
