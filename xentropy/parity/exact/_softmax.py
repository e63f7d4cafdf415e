"""The softmax of a row and what follows from it: shares, -log p, the log of the sum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from mpmath import mp, mpf

from xentropy.parity.exact._number import (
    INFINITY,
    NOT_A_NUMBER,
    ONE,
    UNDEFINED,
    ZERO,
    Exact,
    depth,
    total,
)


class Softmax:
    """The softmax of a row, from ``exp(z_j - top)`` and their sum, of which one top's own is 1.

    The differences and the rest of the sum have all digits, however small the entries are: a class
    that stands alone has no rest, and its -log p is 0.

    `shaken` holds, for each entry, how many epsilons a computation may have it off by: its distance
    to the largest one, which is rounded before it is exponentiated. From there errors follow to
    first order.
    """

    def __init__(self, z: Sequence[mpf], shaken: Sequence[mpf] | None = None) -> None:
        self.z = list(z)
        self.top = top_of(self.z)
        self.p, self.tail = _normalised(self.z, self.top)
        self.lse = self.top + self.tail
        self.shaken = list(shaken) if shaken else [distance(v, self.top) for v in self.z]
        self.mean = mp.fsum(p * d for p, d in zip(self.p, self.shaken, strict=True))

    @property
    def defined(self) -> bool:
        """Whether the row has a softmax."""
        return not self.p or not mp.isnan(self.p[0])

    def sensitivity(self, j: int) -> mpf:
        """The first-order error of ``log p_j``, in epsilons."""
        return self.mean + self.shaken[j] * (1 - 2 * self.p[j])

    def share(self, j: int) -> Exact:
        """p_j."""
        p = self.p[j]
        return Exact(p, p, p * self.sensitivity(j)) if self.defined else UNDEFINED

    def nat(self, j: int) -> Exact:
        """-log p_j: infinite where ``z_j`` is -inf."""
        if not self.defined:
            return UNDEFINED
        if mp.isinf(self.z[j]) or mp.isinf(self.lse):
            return Exact(ZERO if self.z[j] == self.lse else INFINITY, ZERO)
        value = (self.top - self.z[j]) + self.tail
        return Exact(value, value, self.sensitivity(j))

    @cached_property
    def entropy(self) -> Exact:
        """``sum(p * nat)``, in which nothing cancels: an entry's error moves its own exponential,
        and its nat against the mean of them.
        """
        if not self.defined:
            return UNDEFINED
        pairs = enumerate(zip(self.p, self.shaken, strict=True))
        terms = [(p, self.nat(j).value, shaken) for j, (p, shaken) in pairs if p]
        value = mp.fsum(p * nat for p, nat, _ in terms)
        slack = mp.fsum(p * (1 + abs(nat - value)) * shaken for p, nat, shaken in terms)
        others = mp.fsum(self.p) - max(self.p)
        gain = max(ONE, value / others) if others else ONE
        return Exact(value, value, slack, gain).looser(depth(len(terms)))

    def entropy_slope(self, j: int) -> Exact:
        """``p_j * (nat_j - H)``, the derivative of the entropy by ``z_j``."""
        share, entropy = self.share(j), self.entropy
        if not self.defined or not share.value:
            return share
        return share.product(total((self.nat(j), entropy.negated())))

    def logsumexp(self) -> Exact:
        """The log of the sum: the largest entry and a logarithm, of which neither may be lost in
        the other.
        """
        if mp.isnan(self.lse) or mp.isinf(self.lse):
            return Exact(self.lse, ZERO)
        return Exact(self.lse, max(abs(self.lse), abs(self.top)), self.mean)


def distance(z: mpf, top: mpf) -> mpf:
    """How far below the top a finite entry lies; an infinite one carries no rounding."""
    return ZERO if mp.isinf(z) or mp.isinf(top) or mp.isnan(z) or mp.isnan(top) else top - z


def top_of(z: Sequence[mpf]) -> mpf:
    """The largest entry; NaN if there is a NaN."""
    if any(mp.isnan(v) for v in z):
        return NOT_A_NUMBER
    return max(z, default=-INFINITY)


def _normalised(z: Sequence[mpf], top: mpf) -> tuple[list[mpf], mpf]:
    """The softmax, the infinite ones included, and how far the log of the sum is above the top."""
    undefined = [NOT_A_NUMBER] * len(z)
    if mp.isnan(top) or top == -INFINITY:
        return undefined, ZERO
    if top == INFINITY:
        tops = [ONE if v == top else ZERO for v in z]
        return (tops if sum(tops) == 1 else undefined), ZERO
    powers = [exponential(v - top) for v in z]
    others = list(powers)
    others.remove(ONE)
    rest = mp.fsum(others)
    return [e / (1 + rest) for e in powers], mp.log1p(rest)


_POWERS: dict[tuple[mpf, int], mpf] = {}


def exponential(z: mpf) -> mpf:
    """exp, remembered: rounded logits repeat, and a vocabulary of zeros repeats often."""
    key = (z, mp.prec)
    if key not in _POWERS:
        _POWERS[key] = ZERO if z == -INFINITY else mp.exp(z)
    return _POWERS[key]
