"""The losses over classes: coefficients, rows, the curve of a nat, and every gradient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from mpmath import mp, mpf

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity.exact._curves import curve
from xentropy.parity.exact._given import Given, is_labels
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
)


class Classification:
    """A loss over classes, ``sum_ij t_ij * alpha_j * f(nats_ij)``.

    f is the curve of the function, the identity for the cross-entropy, and alpha the focal loss'
    factors, which a mean's count knows nothing of.

    The coefficients are ``t_ij = s_i c_j ((1 - e) B_ij + e mass_i / K_i)`` with B the one-hot of
    the label or the probabilities as given, and K_i the number of unmasked classes, over which
    alone the second part is spread.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.given = case, Given(case)
        self.indices = self.given.rows
        self.count = self.given.shape[self.given.axis]
        self.share = self.given.number("label_smoothing", 0.0)
        self.curve = curve(self.given)

    # What the arguments say.

    @cached_property
    def masks(self) -> list[list[bool]]:
        """Which classes of each row take part."""
        return self.given.masks

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
        return self.given.split("targets")

    @cached_property
    def astray(self) -> list[bool]:
        """Which rows have a label that names no class: that is an error whatever they weigh."""
        if self.labels is None:
            return [False] * len(self.indices)
        pairs = zip(self.labels, self.ignored, strict=True)
        return [not gone and not 0 <= label < self.count for label, gone in pairs]

    def _one_hot(self, i: int) -> list[mpf]:
        label = (self.labels or [])[i]
        if self.astray[i]:
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
            [s * c * v for c, v in zip(self.class_weights, row, strict=True)] if s or gone else []
            for s, row, gone in zip(self.sample_weights, self.patterns, self.astray, strict=True)
        ]

    @cached_property
    def rows(self) -> list[Row]:
        """The rows themselves."""
        entries = self.given.split(next(iter(self.case.arrays)))
        return [self._row(x, mask) for x, mask in zip(entries, self.masks, strict=True)]

    def _row(self, entries: Sequence[mpf], mask: Sequence[bool]) -> Row:
        if self.case.function == "nll_loss":
            return LogProbabilityRow(entries, mask)
        if not self.given.option("from_logits", True):
            return ProbabilityRow(entries, mask)
        return LogitRow(entries, mask, Warp.of(self.given))

    @cached_property
    def alphas(self) -> list[mpf]:
        """alpha_j."""
        if self.given.option("alpha", None) is None and "alpha" not in self.case.arrays:
            return [ONE] * self.count
        return self.given.spread("alpha", 1.0, (self.count,))

    def _price(self, i: int, j: int) -> Exact:
        """What a unit of t_ij costs."""
        return self.curve.bend(self.rows[i].nats[j]).times(self.alphas[j])

    def _prices(self, i: int) -> list[Exact]:
        return [self._price(i, j) for j in range(self.count)]

    def _pulls(self, i: int) -> list[Exact]:
        """How much of a nat a unit more of it costs, t_ij of them: ``t_ij * alpha_j * f'``."""
        parts = zip(self.coefficients[i], self.alphas, self.rows[i].nats, strict=True)
        return [self.curve.slope(nat).times(t * a) if t * a else NOTHING for t, a, nat in parts]

    # The loss and its gradients.

    @cached_property
    def losses(self) -> list[Exact]:
        """Every row's loss; a row of weight 0 adds nothing, whatever it holds."""
        return [self._loss(i) for i in range(len(self.rows))]

    def _loss(self, i: int) -> Exact:
        weight, coefficients = self.sample_weights[i], self.coefficients[i]
        if any(mp.isnan(t) for t in coefficients):
            return UNDEFINED
        if not weight:
            return NOTHING
        return self._priced(i, coefficients, weight)

    def _priced(self, i: int, coefficients: Sequence[mpf], weight: mpf) -> Exact:
        """A row at its prices, and what it adds besides."""
        priced = (self._price(i, j).times(t) for j, t in enumerate(coefficients) if t)
        return total((total(priced), self.rows[i].extra().times(weight)))

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

    def _by_entries(self) -> list[Exact]:
        pulled = [self._pulled(i) for i in range(len(self.rows))]
        over = self.reduction.over
        # A masked class is a constant, of a mean that is NaN too.
        rows = [
            [over(g) if kept else NOTHING for g, kept in zip(row, mask, strict=True)]
            for row, mask in zip(pulled, self.masks, strict=True)
        ]
        return self.given.scatter(rows)

    def _pulled(self, i: int) -> list[Exact]:
        weight = self.sample_weights[i]
        if any(mp.isnan(t) for t in self.coefficients[i]):
            return [UNDEFINED if kept else NOTHING for kept in self.masks[i]]
        if not weight:
            return [NOTHING] * self.count
        return self.rows[i].pull(self._pulls(i), weight)

    def _total(self, direct: Exact, of_count: mpf) -> Exact:
        return self.reduction.gradient(self.losses, direct, of_count)

    def _by_targets(self) -> list[Exact]:
        return self.given.scatter([self._by_beliefs(i) for i in range(len(self.rows))])

    def _by_beliefs(self, i: int) -> list[Exact]:
        """By B_i: directly, and through the mass that the smoothing spreads."""
        s, on = self.sample_weights[i], 1 - self.share
        spread = [
            c * self.shares[i] if k else ZERO
            for c, k in zip(self.class_weights, self.masks[i], strict=True)
        ]
        prices = self._prices(i)
        through = dot(spread, prices)
        each = [
            total((price.times(on * c), through))
            for c, price in zip(self.class_weights, prices, strict=True)
        ]
        count = [on * c + mp.fsum(spread) for c in self.class_weights]
        return [self._total(g.times(s), s * n) for g, n in zip(each, count, strict=True)]

    def _by_class_weights(self) -> list[Exact]:
        return [self._by_class_weight(j) for j in range(self.count)]

    def _by_class_weight(self, j: int) -> Exact:
        factors = [s * v[j] for s, v in zip(self.sample_weights, self.patterns, strict=True)]
        prices = [self._price(i, j) for i in range(len(self.rows))]
        return self._total(dot(factors, prices), mp.fsum(factors))

    def _by_sample_weights(self) -> list[Exact]:
        return [self._by_sample_weight(i) for i in range(len(self.rows))]

    def _by_sample_weight(self, i: int) -> Exact:
        if self.ignored[i]:
            return NOTHING
        products = zip(self.class_weights, self.patterns[i], strict=True)
        factors = [c * v for c, v in products]
        return self._total(self._priced(i, factors, ONE), mp.fsum(factors))
