"""binary_cross_entropy, its focal form, and the sigmoid they are built on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

from mpmath import mp, mpf

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity._grid import spread
from xentropy.parity.exact._curves import curve
from xentropy.parity.exact._given import Given
from xentropy.parity.exact._number import (
    INFINITY,
    NOT_A_NUMBER,
    NOTHING,
    ONE,
    UNDEFINED,
    ZERO,
    Exact,
    Tensor,
    dot,
    sure,
    total,
)
from xentropy.parity.exact._reduction import Reduction, reduction


def sigmoid(x: mpf) -> mpf:
    """1 / (1 + exp(-x))."""
    if mp.isinf(x):
        return ONE if x > 0 else ZERO
    return 1 / (1 + mp.exp(-x))


def softplus(x: mpf) -> mpf:
    """log(1 + exp(x))."""
    if mp.isinf(x):
        return INFINITY if x > 0 else ZERO
    return mp.log(1 + mp.exp(x))


def _minus_log(p: mpf) -> mpf:
    return -mp.log(p) if p > 0 else INFINITY


class Binary:
    """``sum_i t1_i * yes_i + t0_i * no_i`` with yes = -log p, no = -log(1 - p).

    The focal form sends both nats through its curve, with factors alpha and 1 - alpha that a mean's
    count knows nothing of. The coefficients are ``t1 = s * pos_weight * ((1 - e) t + e / 2)`` and
    ``t0 = s * ((1 - e) (1 - t) + e / 2)``.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)
        self.shape = self.given.shape
        self.entries = self.given.flat("logits")
        self.from_logits = bool(self.given.option("from_logits", True))
        self.share = self.given.number("label_smoothing", 0.0)
        self.weights = self.given.spread("sample_weights", 1.0, self.shape)
        self.favours = self.given.spread("pos_weight", 1.0, self.shape)
        self.curve = curve(self.given)
        alpha = self.given.option("alpha", None)
        self.alphas = (ONE, ONE) if alpha is None else (mpf(alpha), 1 - mpf(alpha))

    @property
    def whole(self) -> bool:
        """Whether the targets are labels, of which there are two."""
        return self.case.arrays["targets"].dtype.startswith(("int", "uint"))

    @cached_property
    def truths(self) -> list[tuple[mpf, mpf]]:
        """The smoothed pair (yes, no) of every entry; NaN for an integer that is neither."""
        return [self._truth(t) for t in self.given.flat("targets")]

    def _truth(self, t: mpf) -> tuple[mpf, mpf]:
        if self.whole and t not in (0, 1):
            return NOT_A_NUMBER, NOT_A_NUMBER
        on, half = 1 - self.share, self.share / 2
        return on * t + half, on * (1 - t) + half

    @cached_property
    def pairs(self) -> list[tuple[mpf, mpf]]:
        """t1 and t0; a label that is neither is an error whatever it weighs."""
        parts = zip(self.truths, self.weights, self.favours, strict=True)
        return [
            (s * f * yes, s * no) if s or (self.whole and mp.isnan(yes)) else (ZERO, ZERO)
            for (yes, no), s, f in parts
        ]

    @cached_property
    def nats(self) -> list[tuple[Exact, Exact]]:
        """-log p and -log(1 - p)."""
        if self.from_logits:
            return [(_exact(softplus, -x), _exact(softplus, x)) for x in self.entries]
        return [(_exact(_minus_log, p), _exact(_minus_log, 1 - p)) for p in self.entries]

    @cached_property
    def prices(self) -> list[tuple[Exact, Exact]]:
        """What a unit of t1 and of t0 costs."""
        on, off = self.alphas
        return [
            (self.curve.bend(yes).times(on), self.curve.bend(no).times(off))
            for yes, no in self.nats
        ]

    @cached_property
    def losses(self) -> list[Exact]:
        """Every entry's loss."""
        return [_weighted(t, prices) for t, prices in zip(self.pairs, self.prices, strict=True)]

    @cached_property
    def reduction(self) -> Reduction:
        """How the entries are reduced."""
        masses = [yes + no for yes, no in self.pairs]
        return reduction(self.given, masses, sum(s != 0 for s in self.weights))

    def value(self) -> Tensor:
        """The reduced loss."""
        shape, numbers = self.reduction.value(self.losses, self.shape)
        return Tensor(compute_dtype(self.case.first.dtype), shape, numbers)

    def gradient(self, name: str) -> Tensor:
        """The gradient by one of the arguments."""
        by: dict[str, Callable[[int], tuple[Exact, mpf]]] = {
            "logits": self._by_entry,
            "targets": self._by_target,
            "sample_weights": self._by_weight,
            "pos_weight": self._by_favour,
        }
        held = self.case.arrays[name]
        each = [by[name](i) for i in range(len(self.entries))]
        gathered = _gather(each, spread(held.shape, self.shape), math.prod(held.shape))
        numbers = [self.reduction.gradient(self.losses, g, n) for g, n in gathered]
        return Tensor(held.dtype, held.shape, numbers)

    def _by_entry(self, i: int) -> tuple[Exact, mpf]:
        if mp.isnan(self.pairs[i][0]):
            return UNDEFINED, ZERO
        x = self.entries[i]
        if self.from_logits:
            slopes = (_exact(lambda v: -sigmoid(-v), x), _exact(sigmoid, x))
        else:
            slopes = (_exact(lambda p: -_inverse(p), x), _exact(_inverse, 1 - x))
        pulls = self._pulls(i)
        parts = (t.product(slope) for t, slope in zip(pulls, slopes, strict=True) if t.value)
        return total(parts), ZERO

    def _pulls(self, i: int) -> list[Exact]:
        """How much of each nat a unit more of it costs."""
        parts = zip(self.pairs[i], self.alphas, self.nats[i], strict=True)
        return [self.curve.slope(nat).times(t * a) if t * a else NOTHING for t, a, nat in parts]

    def _by_target(self, i: int) -> tuple[Exact, mpf]:
        factor = self.weights[i] * (1 - self.share)
        yes, no = self.prices[i]
        direct = total((yes.times(factor * self.favours[i]), no.times(-factor)))
        return direct, factor * (self.favours[i] - 1)

    def _by_weight(self, i: int) -> tuple[Exact, mpf]:
        yes, no = self.truths[i]
        pair = (self.favours[i] * yes, no)
        return dot(pair, self.prices[i]), sum(pair, ZERO)

    def _by_favour(self, i: int) -> tuple[Exact, mpf]:
        factor = self.weights[i] * self.truths[i][0]
        return self.prices[i][0].times(factor), factor


def _inverse(p: mpf) -> mpf:
    return 1 / p if p else INFINITY


def _weighted(pair: tuple[mpf, mpf], nats: tuple[Exact, Exact]) -> Exact:
    return UNDEFINED if mp.isnan(pair[0]) else dot(pair, nats)


def _exact(function: Callable[[mpf], mpf], x: mpf) -> Exact:
    """A value that is to be right to the last places; NaN stays NaN."""
    if mp.isnan(x):
        return UNDEFINED
    value = function(x)
    return Exact(value, ZERO) if mp.isinf(value) else sure(value)


def _gather(
    each: Sequence[tuple[Exact, mpf]], places: Sequence[int], size: int
) -> list[tuple[Exact, mpf]]:
    """The sums over what was broadcast."""
    gathered: list[list[tuple[Exact, mpf]]] = [[] for _ in range(size)]
    for place, pair in zip(places, each, strict=True):
        gathered[place].append(pair)
    return [(total(g for g, _ in part), mp.fsum(n for _, n in part)) for part in gathered]
