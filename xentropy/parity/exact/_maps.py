"""softmax, log_softmax, logsumexp, sigmoid and log_sigmoid, with the pullback of ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

from mpmath import mp, mpf

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity._grid import drop, rows, spread
from xentropy.parity.exact._binary import sigmoid, softplus
from xentropy.parity.exact._given import Given, pick
from xentropy.parity.exact._number import (
    INFINITY,
    NOTHING,
    ONE,
    UNDEFINED,
    ZERO,
    Exact,
    Tensor,
    depth,
    sure,
)
from xentropy.parity.exact._rows import Warp
from xentropy.parity.exact._softmax import Softmax, distance


class Elementwise:
    """The sigmoid or its logarithm."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.x = Given(case).flat("x")

    def value(self) -> Tensor:
        """The function's value."""
        of = {"sigmoid": sigmoid, "log_sigmoid": lambda x: -softplus(-x)}
        return self._map(of[self.case.function])

    def gradient(self, name: str) -> Tensor:
        """Its derivative."""
        of = {"sigmoid": lambda x: sigmoid(x) * sigmoid(-x), "log_sigmoid": lambda x: sigmoid(-x)}
        return self._map(of[self.case.function])

    def _map(self, function: Callable[[mpf], mpf]) -> Tensor:
        values = [function(x) for x in self.x]
        numbers = [Exact(v, ZERO) if mp.isinf(v) else sure(v) for v in values]
        return Tensor(self.case.first.dtype, self.case.first.shape, numbers)


class Normalised:
    """softmax or log_softmax along an axis."""

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)
        self.temperature = self.given.number("temperature", 1.0)

    @cached_property
    def rows(self) -> list[tuple[Softmax, list[bool]]]:
        """The softmax of every row, and which classes take part."""
        pairs = zip(self.given.split("x"), self.given.masks, strict=True)
        return [(self._row(x, mask), mask) for x, mask in pairs]

    def _row(self, x: Sequence[mpf], mask: Sequence[bool]) -> Softmax:
        warp = Warp(self.temperature)
        z = [warp.bent(v) if k else -INFINITY for v, k in zip(x, mask, strict=True)]
        top = Softmax(z).top
        return Softmax(z, [warp.shaken(v, top) for v in z])

    def value(self) -> Tensor:
        """The function's value."""
        of = {"softmax": Softmax.share, "log_softmax": _log_share}[self.case.function]
        return self._tensor([[of(s, j) for j in range(len(k))] for s, k in self.rows])

    def gradient(self, name: str) -> Tensor:
        """The pullback of ones: 0 for softmax, ``1 - K p`` for its logarithm."""
        of = {"softmax": _no_pull, "log_softmax": _log_pull}[self.case.function]
        factor = 1 / self.temperature
        return self._tensor([_pulled(of, s, k, factor) for s, k in self.rows])

    def _tensor(self, numbers: Sequence[Sequence[Exact]]) -> Tensor:
        return Tensor(self.case.first.dtype, self.given.shape, self.given.scatter(numbers))


def _pulled(
    of: Callable[[Softmax, int, int], Exact], softmax: Softmax, kept: Sequence[bool], factor: mpf
) -> list[Exact]:
    classes = sum(kept)
    return [of(softmax, j, classes).times(factor) if k else NOTHING for j, k in enumerate(kept)]


def _log_share(softmax: Softmax, j: int) -> Exact:
    nat = softmax.nat(j)
    return Exact(-nat.value, nat.scale, nat.slack)


def _no_pull(softmax: Softmax, j: int, classes: int) -> Exact:
    """``p_j (1 - sum p)``: nothing but the rounding of the sum of the shares."""
    share = softmax.share(j)
    if not softmax.defined:
        return UNDEFINED
    return Exact(ZERO, share.value, share.slack + depth(classes) * share.value)


def _log_pull(softmax: Softmax, j: int, classes: int) -> Exact:
    share = softmax.share(j).times(mpf(classes))
    if not softmax.defined:
        return UNDEFINED
    return Exact(1 - share.value, 1 + share.scale, share.slack)


class LogSumExp:
    """``log(sum(b * exp(x)))`` over any axes."""

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)
        shape, axis = self.given.shape, self.given.option("axis", -1)
        self.axes = (axis,) if isinstance(axis, int) else axis
        if axis is None:
            self.axes = tuple(range(len(shape)))
        self.indices = rows(shape, self.axes)

    @cached_property
    def rows(self) -> list[Softmax]:
        """Each sum as the softmax of its weighted terms, a factor of 0 winning over +inf."""
        x, b = self.given.flat("x"), self.given.spread("b", 1.0, self.given.shape)
        mask = self.mask()
        z = [_weighed(v, f if k else ZERO) for v, f, k in zip(x, b, mask, strict=True)]
        return [self._row(pick(z, row), pick(x, row)) for row in self.indices]

    def mask(self) -> list[bool]:
        """Which entries count."""
        held = self.case.arrays.get("where")
        if held is None:
            return [True] * math.prod(self.given.shape)
        return [bool(held.values[i]) for i in spread(held.shape, self.given.shape)]

    def _row(self, z: Sequence[mpf], x: Sequence[mpf]) -> Softmax:
        """A factor moves the error of its term: the entry below the top, and one rounding."""
        plain = Softmax(z)
        if "b" not in self.case.arrays:
            return plain
        top = max((v for v in x if mp.isfinite(v)), default=ZERO)
        return Softmax(z, [ONE + distance(v, top) for v in x])

    def value(self) -> Tensor:
        """The logarithm of the sum."""
        keep = bool(self.given.option("keepdims", False))
        shape = drop(self.given.shape, self.axes, keep)
        numbers = [self._number(s, row) for s, row in zip(self.rows, self.indices, strict=True)]
        return Tensor(compute_dtype(self.case.first.dtype), shape, numbers)

    def _number(self, softmax: Softmax, row: Sequence[int]) -> Exact:
        """With factors the sum may fall anywhere, so that its logarithm is right to an epsilon of
        1.
        """
        number = softmax.logsumexp()
        if "b" not in self.case.arrays or not number.scale:
            return number
        top = max((abs(v) for v in pick(self.given.flat("x"), row) if mp.isfinite(v)), default=ZERO)
        return Exact(number.value, max(number.scale, top), number.slack + 1)

    def gradient(self, name: str) -> Tensor:
        """The softmax of the terms; 0 where there is nothing to sum."""
        flat = [NOTHING] * math.prod(self.given.shape)
        for softmax, row in zip(self.rows, self.indices, strict=True):
            for j, place in enumerate(row):
                flat[place] = self._share(softmax, j)
        return Tensor(self.case.first.dtype, self.given.shape, flat)

    def _share(self, softmax: Softmax, j: int) -> Exact:
        return NOTHING if softmax.top == -INFINITY else softmax.share(j)


def _weighed(x: mpf, factor: mpf) -> mpf:
    if not factor:
        return -INFINITY
    return x if factor == 1 else x + mp.log(factor)
