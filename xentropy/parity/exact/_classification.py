"""cross_entropy and nll_loss: coefficients, rows, and every gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from mpmath import mp, mpf

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity.exact._given import Given, is_labels, pick
from xentropy.parity.exact._number import (
    NOT_A_NUMBER,
    NOTHING,
    ONE,
    UNDEFINED,
    ZERO,
    Exact,
    Tensor,
    dot,
    total,
)
from xentropy.parity.exact._reduction import Reduction, reduction
from xentropy.parity.exact._rows import (
    LogitRow,
    LogProbabilityRow,
    ProbabilityRow,
    Row,
    Warp,
    loss,
)


class Classification:
    """A loss over classes, ``sum_ij t_ij * nats_ij``.

    The coefficients are ``t_ij = s_i c_j ((1 - e) B_ij + e mass_i / K_i)`` with B the one-hot of
    the label or the probabilities as given, and K_i the number of unmasked classes, over which
    alone the second part is spread.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)
        self.indices = self.given.rows
        self.count = self.given.shape[self.given.axis]
        self.share = self.given.number("label_smoothing", 0.0)

    # What the arguments say.

    @cached_property
    def masks(self) -> list[list[bool]]:
        """Which classes of each row take part."""
        mask = self.given.mask()
        return [pick(mask, row) for row in self.indices]

    @cached_property
    def labels(self) -> list[int] | None:
        """The labels, where the targets are labels."""
        held = self.case.arrays["targets"]
        return [int(v) for v in held.values] if is_labels(held, self.given.shape) else None

    @cached_property
    def ignored(self) -> list[bool]:
        """Which rows are left out."""
        if self.labels is None:
            return [False] * len(self.indices)
        return [label == self.given.option("ignore_index", None) for label in self.labels]

    @cached_property
    def sample_weights(self) -> list[mpf]:
        """s_i, 0 for an ignored row."""
        weights = self.given.spread("sample_weights", 1.0, self.given.rest)
        return [ZERO if gone else s for s, gone in zip(weights, self.ignored, strict=True)]

    @cached_property
    def class_weights(self) -> list[mpf]:
        """c_j."""
        return self.given.spread("class_weights", 1.0, (self.count,))

    @cached_property
    def beliefs(self) -> list[list[mpf]]:
        """B_ij: NaN throughout the row of a label that names no class."""
        if self.labels is not None:
            return [self._one_hot(i) for i in range(len(self.indices))]
        targets = self.given.flat("targets")
        return [pick(targets, row) for row in self.indices]

    def _one_hot(self, i: int) -> list[mpf]:
        label = (self.labels or [])[i]
        if not self.ignored[i] and not 0 <= label < self.count:
            return [NOT_A_NUMBER] * self.count
        return [ONE if j == label else ZERO for j in range(self.count)]

    @cached_property
    def shares(self) -> list[mpf]:
        """e / K_i."""
        return [self.share / max(sum(mask), 1) for mask in self.masks]

    @cached_property
    def patterns(self) -> list[list[mpf]]:
        """The coefficients before the weights."""
        return [self._pattern(i) for i in range(len(self.indices))]

    def _pattern(self, i: int) -> list[mpf]:
        spread = self.shares[i] * mp.fsum(self.beliefs[i])
        on = 1 - self.share
        pairs = zip(self.beliefs[i], self.masks[i], strict=True)
        return [on * b + (spread if kept else 0) for b, kept in pairs]

    @cached_property
    def coefficients(self) -> list[list[mpf]]:
        """t_ij."""
        return [
            [s * c * v for c, v in zip(self.class_weights, row, strict=True)] if s else []
            for s, row in zip(self.sample_weights, self.patterns, strict=True)
        ]

    @cached_property
    def rows(self) -> list[Row]:
        """The rows themselves."""
        entries = self.given.flat(next(iter(self.case.arrays)))
        pairs = zip(self.indices, self.masks, strict=True)
        return [self._row(pick(entries, row), mask) for row, mask in pairs]

    def _row(self, entries: Sequence[mpf], mask: Sequence[bool]) -> Row:
        if self.case.function == "nll_loss":
            return LogProbabilityRow(entries, mask)
        if not self.given.option("from_logits", True):
            return ProbabilityRow(entries, mask)
        return LogitRow(entries, mask, self.warp)

    @cached_property
    def warp(self) -> Warp:
        """The options that bend the logits."""
        softcap = self.given.option("softcap", None)
        return Warp(
            self.given.number("temperature", 1.0),
            None if softcap is None else mpf(softcap),
            self.given.number("z_loss", 0.0),
        )

    # The loss and its gradients.

    @cached_property
    def losses(self) -> list[Exact]:
        """Every row's loss; a row of weight 0 adds nothing, whatever it holds."""
        parts = zip(self.rows, self.coefficients, self.sample_weights, strict=True)
        return [self._loss(row, t, s) for row, t, s in parts]

    @staticmethod
    def _loss(row: Row, coefficients: Sequence[mpf], weight: mpf) -> Exact:
        if not weight:
            return NOTHING
        if any(mp.isnan(t) for t in coefficients):
            return UNDEFINED
        return loss(row, coefficients, weight)

    @cached_property
    def reduction(self) -> Reduction:
        """How the rows are reduced."""
        masses = [mp.fsum(t) for t in self.coefficients]
        return reduction(self.given, masses, sum(s != 0 for s in self.sample_weights))

    def value(self) -> Tensor:
        """The reduced loss."""
        shape, numbers = self.reduction.value(self.losses, self.given.rest)
        return Tensor(compute_dtype(self.case.first.dtype), shape, numbers)

    def gradient(self, name: str) -> Tensor:
        """The gradient by one of the arguments."""
        by = {
            "targets": self._by_targets,
            "class_weights": self._by_class_weights,
            "sample_weights": self._by_sample_weights,
        }
        held = self.case.arrays[name]
        return Tensor(held.dtype, held.shape, by.get(name, self._by_entries)())

    def _scatter(self, rows: Sequence[Sequence[Exact]]) -> list[Exact]:
        """Numbers of rows, back in the order of the array."""
        flat = [NOTHING] * math.prod(self.given.shape)
        for places, numbers in zip(self.indices, rows, strict=True):
            for place, number in zip(places, numbers, strict=True):
                flat[place] = number
        return flat

    def _by_entries(self) -> list[Exact]:
        parts = zip(self.rows, self.coefficients, self.sample_weights, strict=True)
        pulled = [self._pulled(row, t, s) for row, t, s in parts]
        return self._scatter([[self.reduction.over(g) for g in row] for row in pulled])

    def _pulled(self, row: Row, coefficients: Sequence[mpf], weight: mpf) -> list[Exact]:
        if not weight:
            return [NOTHING] * self.count
        if any(mp.isnan(t) for t in coefficients):
            return [UNDEFINED] * self.count
        return row.pull(coefficients, weight)

    def _total(self, direct: Exact, of_count: mpf) -> Exact:
        return self.reduction.gradient(self.losses, direct, of_count)

    def _by_targets(self) -> list[Exact]:
        return self._scatter([self._by_beliefs(i) for i in range(len(self.rows))])

    def _by_beliefs(self, i: int) -> list[Exact]:
        """By B_i: directly, and through the mass that the smoothing spreads."""
        s, on = self.sample_weights[i], 1 - self.share
        spread = [
            c * self.shares[i] if k else ZERO
            for c, k in zip(self.class_weights, self.masks[i], strict=True)
        ]
        through = dot(spread, self.rows[i].nats)
        each = [
            total((nat.times(on * c), through))
            for c, nat in zip(self.class_weights, self.rows[i].nats, strict=True)
        ]
        count = [on * c + mp.fsum(spread) for c in self.class_weights]
        return [self._total(g.times(s), s * n) for g, n in zip(each, count, strict=True)]

    def _by_class_weights(self) -> list[Exact]:
        return [self._by_class_weight(j) for j in range(self.count)]

    def _by_class_weight(self, j: int) -> Exact:
        factors = [s * v[j] for s, v in zip(self.sample_weights, self.patterns, strict=True)]
        return self._total(dot(factors, [row.nats[j] for row in self.rows]), mp.fsum(factors))

    def _by_sample_weights(self) -> list[Exact]:
        return [self._by_sample_weight(i) for i in range(len(self.rows))]

    def _by_sample_weight(self, i: int) -> Exact:
        if self.ignored[i]:
            return NOTHING
        products = zip(self.class_weights, self.patterns[i], strict=True)
        factors = [c * v for c, v in products]
        return self._total(loss(self.rows[i], factors, ONE), mp.fsum(factors))
