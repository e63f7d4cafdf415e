"""The rules of softmax, log_softmax, entropy, logsumexp, sigmoid and log_sigmoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xentropy import _stats
from xentropy._stats import Shares, along, cut, masked
from xentropy._typing import Array, DType, Namespace


class Rest(NamedTuple):
    """What a visit without targets leaves for the pullback."""

    max: Array
    rest: Array


class MapLeaves(NamedTuple):
    """The arrays of softmax and log_softmax."""

    x: Array
    where: Array = None


def nothing(_rule: object, _leaves: tuple[Array | None, ...]) -> None:
    """What is `judged` of the leaves of a rule without labels."""


@dataclass(frozen=True)
class _OfSoftmax:
    """What softmax, its logarithm and its entropy have in common: one visit along one axis."""

    dtype: DType
    axis: int
    temperature: float = 1.0

    constant = ("where",)
    others = ()
    judged = nothing

    def _visit(
        self, xp: Namespace, leaves: MapLeaves, left: Rest | None = None, *, again: bool = False
    ) -> tuple[Rest, Shares]:
        """The statistics of the rows and their exponentials; masked classes are at -inf."""
        x = xp.astype(leaves.x, self.dtype)
        x = masked(xp, x, along(xp, leaves.where, x.ndim, self.axis))
        peak = _stats.peak_of(xp, x, self.axis, again=again) if left is None else left.max
        seen = _stats.shares(
            xp,
            x,
            peak,
            axis=self.axis,
            temperature=self.temperature,
            rest=None if left is None else left.rest,
            again=again,
        )
        return Rest(peak, seen.rest), seen

    def _pulled(self, xp: Namespace, leaves: MapLeaves, gradient: Array) -> MapLeaves:
        """From the gradient by (x - m) / T to the one by x; masked classes are constants."""
        mask = along(xp, leaves.where, leaves.x.ndim, self.axis)
        gradient = cut(xp, gradient / self.temperature, mask)
        return MapLeaves(xp.astype(gradient, leaves.x.dtype))


@dataclass(frozen=True)
class Softmax(_OfSoftmax):
    """Softmax, or its logarithm, along one axis."""

    log: bool = False

    names = MapLeaves._fields
    outputs = ("value",)

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], Rest]:
        """The probabilities, or their logarithms, in the dtype of x."""
        given = MapLeaves(*leaves)
        left, seen = self._visit(xp, given, again=again)
        return (self._told(xp, given, left, seen),), left

    def of_part(self, xp: Namespace, leaves: MapLeaves, left: Rest) -> Array:
        """The values of some classes, by the statistics of all."""
        return self._told(xp, leaves, left, self._visit(xp, leaves, left)[1])

    def _told(self, xp: Namespace, leaves: MapLeaves, left: Rest, seen: Shares) -> Array:
        tell = _stats.surprisal if self.log else _stats.probabilities
        value = tell(xp, seen, left.max)
        return xp.astype(-value if self.log else value, leaves.x.dtype)

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
        """The gradient by x, given the gradient by the output."""
        given, left = MapLeaves(*leaves), Rest(*residuals)
        mask = along(xp, given.where, given.x.ndim, self.axis)
        bar = cut(xp, xp.astype(bars[0], self.dtype), mask)
        seen = self._visit(xp, given, left, again=again)[1]
        pull = _stats.pullback_log_softmax if self.log else _stats.pullback_softmax
        return self._pulled(xp, given, pull(xp, seen, left.max, bar, axis=self.axis))


@dataclass(frozen=True)
class Entropy(_OfSoftmax):
    """The entropy of the softmax along one axis."""

    names = ("logits", "where")
    outputs = ("entropy",)

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], Rest]:
        """The entropies in the compute dtype."""
        left, seen = self._visit(xp, MapLeaves(*leaves), again=again)
        value = _stats.entropy(xp, left.max, seen.rest, _stats.moment(xp, seen, self.axis))
        return (xp.squeeze(value, axis=self.axis),), left

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
        """The gradient by the logits, given the gradient by the entropies."""
        given, left = MapLeaves(*leaves), Rest(*residuals)
        seen = self._visit(xp, given, left, again=again)[1]
        total = _stats.moment(xp, seen, self.axis)
        gradient = _stats.pullback_entropy(xp, seen, left.max, total, axis=self.axis)
        return self._pulled(xp, given, xp.expand_dims(bars[0], axis=self.axis) * gradient)


class SumLeaves(NamedTuple):
    """The arrays of logsumexp."""

    x: Array
    b: Array = None
    where: Array = None


class SumRest(NamedTuple):
    """What a logsumexp leaves for its pullback; ``base`` was taken off before log b was added."""

    max: Array
    rest: Array
    base: Array


@dataclass(frozen=True)
class LogSumExp:
    """The log of the sum of exponentials along some axes, each entry counted b times.

    ``signed``: b may be negative. The value is the log of the sum's magnitude then, and its sign
    is another, which has no gradient: -1, 0 or 1.
    """

    dtype: DType
    axes: tuple[int, ...]
    keepdims: bool = False
    signed: bool = False

    names = SumLeaves._fields
    constant = ("where",)
    outputs = ("value",)
    judged = nothing

    @property
    def others(self) -> tuple[str, ...]:
        """The sign, where there is one."""
        return ("sign",) if self.signed else ()

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array, ...], SumRest]:
        """The logsumexp in the compute dtype, and the sign of the sum as an integer."""
        given = SumLeaves(*leaves)
        x, b = self.entries(xp, given)
        base = self._base(xp, x, b)
        scores = self._scores(xp, x, b, base)
        peak = _stats.peak_of(xp, scores, self.axis, again=again)
        base = xp.zeros_like(peak) if base is None else base
        lead, signs = self._signs(xp, scores, b)
        seen = _stats.shares(xp, scores, peak, axis=self.axis, signs=signs, again=again)
        left = SumRest(peak, seen.rest, base)
        if not self.signed:
            value = base + (peak + xp.log1p(seen.rest))
            return (self._shaped(xp, value, given.x),), left
        value = base + (peak + _stats.log_total(xp, seen.rest))
        sign = self._sign(xp, peak, seen.rest, lead)
        return (self._shaped(xp, value, given.x), self._shaped(xp, sign, given.x)), left

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
        """The gradients by x, the softmax, and by b, exp(x - logsumexp); 0 of an empty sum."""
        given, want = SumLeaves(*leaves), SumLeaves(*wanted)
        peak, rest, base = residuals
        x, b = self.entries(xp, given)
        scores = self._scores(xp, x, b, base)
        lead, signs = self._signs(xp, scores, b)
        seen = _stats.shares(xp, scores, peak, axis=self.axis, rest=rest, signs=signs, again=again)
        empty = peak == -float("inf")
        bar = xp.reshape(bars[0], _stats.shape_of(xp, peak))
        by_x = by_b = None
        if want.x:
            p = _stats.probabilities(xp, seen, peak)
            # What does not count has no part in a sum of 0 either.
            gone = empty | (scores == -float("inf")) if self.signed else empty
            by_x = bar * xp.where(gone, xp.zeros_like(p), p)
            by_x = xp.astype(self._back(xp, by_x, given.x), given.x.dtype)
        if want.b:
            weight = xp.exp((x - base) - peak) / (1 + seen.rest)
            weight = weight if lead is None else lead * weight
            by_b = bar * xp.where(empty, xp.zeros_like(weight), weight)
            by_b = sum_to(xp, self._back(xp, by_b, given.x), given.b, self.axis)
            by_b = xp.astype(by_b, given.b.dtype)
        return SumLeaves(by_x, by_b)

    @property
    def axis(self) -> int:
        """The axis that is summed over, or the one that several become."""
        return self.axes[0] if len(self.axes) == 1 else -1

    def entries(self, xp: Namespace, leaves: SumLeaves) -> tuple[Array, Array | None]:
        """x and b with one class axis; a masked entry is one that is counted 0 times."""
        x = xp.astype(leaves.x, self.dtype)
        b = along(xp, leaves.b, x.ndim, self.axis)
        x = masked(xp, x, along(xp, leaves.where, x.ndim, self.axis))
        if b is not None:
            b = xp.astype(b, self.dtype) + xp.zeros_like(x)
        return self._flat(xp, x), None if b is None else self._flat(xp, b)

    def _base(self, xp: Namespace, x: Array, b: Array | None) -> Array | None:
        """The largest entry that counts; taking it off first leaves log b its precision."""
        if b is None:
            return None
        counted = xp.where(b == 0, xp.zeros_like(x) - float("inf"), x)
        largest = xp.max(counted, axis=self.axis, keepdims=True)
        return xp.where(xp.isfinite(largest), largest, xp.zeros_like(largest))

    def _scores(self, xp: Namespace, x: Array, b: Array | None, base: Array) -> Array:
        if b is None:
            return x
        counted = xp.where(b == 0, xp.ones_like(b), b)
        if self.signed:
            counted = xp.where(b < 0, -counted, counted)
        return xp.where(b == 0, xp.zeros_like(x) - float("inf"), (x - base) + xp.log(counted))

    def _signs(
        self, xp: Namespace, scores: Array, b: Array | None
    ) -> tuple[Array | None, Array | None]:
        """The sign of the first of the largest terms, and those of all as seen from it."""
        if not self.signed or b is None:
            return None, None
        sign = xp.where(b < 0, -xp.ones_like(b), xp.ones_like(b))
        first = xp.argmax(scores, axis=self.axis, keepdims=True)
        lead = _stats.pick(xp, sign, first, self.axis)
        # Infinite terms of both signs have no sum.
        torn = (scores == float("inf")) & (lead != sign)
        return lead, xp.where(torn, xp.zeros_like(sign) + float("nan"), lead * sign)

    def _sign(self, xp: Namespace, peak: Array, rest: Array, lead: Array | None) -> Array:
        """The sign of a sum: 0 of an empty one, and of one whose terms cancel."""
        one = xp.ones_like(rest)
        sign = xp.where(rest < -1, -one, xp.where(rest == -1, xp.zeros_like(one), one))
        sign = sign if lead is None else lead * sign
        sign = xp.where(peak == -float("inf"), xp.zeros_like(sign), sign)
        return xp.astype(sign, xp.int32)

    def _order(self, ndim: int) -> tuple[int, ...]:
        kept = tuple(i for i in range(ndim) if i not in self.axes)
        return kept + self.axes

    def _flat(self, xp: Namespace, x: Array) -> Array:
        """The summed axes as one last axis, where they are not a single one already."""
        if len(self.axes) == 1:
            return x
        rows = _stats.shape_of(xp, x)
        kept = tuple(n for i, n in enumerate(rows) if i not in self.axes)
        # Not -1: where another axis is empty, it could be any length.
        count = 1
        for i in self.axes:
            count = count * rows[i]
        return xp.reshape(xp.permute_dims(x, self._order(x.ndim)), (*kept, count))

    def _back(self, xp: Namespace, flat: Array, like: Array) -> Array:
        if len(self.axes) == 1:
            return flat
        shape, order = _stats.shape_of(xp, like), self._order(like.ndim)
        inverse = tuple(order.index(i) for i in range(like.ndim))
        return xp.permute_dims(xp.reshape(flat, tuple(shape[i] for i in order)), inverse)

    def _shaped(self, xp: Namespace, value: Array, like: Array) -> Array:
        shape = _stats.shape_of(xp, like)
        if self.keepdims:
            return xp.reshape(value, tuple(1 if i in self.axes else n for i, n in enumerate(shape)))
        return xp.reshape(value, tuple(n for i, n in enumerate(shape) if i not in self.axes))


def sum_to(xp: Namespace, x: Array, like: Array, axis: int = -1) -> Array:
    """Sum ``x`` over the axes along which ``like`` was broadcast to it.

    One of shape (K,) lies along ``axis``, others along the last axes.
    """
    if like.ndim == 1 and x.ndim > 1 and like.shape[0] != 1:
        others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
        return xp.sum(x, axis=others)
    if like.ndim < x.ndim:
        x = xp.sum(x, axis=tuple(range(x.ndim - like.ndim)))
    ones = tuple(i for i, n in enumerate(like.shape) if n == 1)
    return xp.sum(x, axis=ones, keepdims=True) if ones else x


class ElementLeaves(NamedTuple):
    """The arrays of sigmoid and log_sigmoid."""

    x: Array


@dataclass(frozen=True)
class Sigmoid:
    """The sigmoid, or its logarithm, elementwise: the softmax of the two classes (x, 0)."""

    dtype: DType
    log: bool = False

    names = ElementLeaves._fields
    constant = ()
    outputs = ("value",)
    others = ()
    judged = nothing

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array], tuple[()]]:
        """The value in the dtype of x."""
        (given,) = ElementLeaves(*leaves)
        x = xp.astype(given, self.dtype)
        value = -_stats.surprisal_pair(xp, x)[0] if self.log else _stats.probability_pair(xp, x)
        return (xp.astype(value, given.dtype),), ()

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
        """The gradient by x: p (1 - p), or 1 - p for the logarithm."""
        (given,) = ElementLeaves(*leaves)
        x = xp.astype(given, self.dtype)
        slope = _stats.probability_pair(xp, -x)
        if not self.log:
            slope = slope * _stats.probability_pair(xp, x)
        return (xp.astype(xp.astype(bars[0], self.dtype) * slope, given.dtype),)
