"""The losses of a linear head: those of its exact logits, their gradients multiplied back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mpmath import mpf

from xentropy.parity._case import Array, Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity.exact._classification import Classification
from xentropy.parity.exact._number import NOTHING, Exact, Tensor, dot, total
from xentropy.parity.exact._score import Score

#: The function of logits that each one equals.
DENSE = {"linear_cross_entropy": "cross_entropy", "linear_score": "score"}


def dense(case: Case) -> Case:
    """The case with its logits, hidden @ weight.T + bias, in place of what they are made of."""
    hidden, weight, bias = (case.arrays.get(name) for name in ("hidden", "weight", "bias"))
    if hidden is None or weight is None:
        raise KeyError("a case of a linear head has hidden and weight")
    offsets = [0.0] * weight.shape[0] if bias is None else bias.values
    values = [
        float(sum((mpf(a) * mpf(b) for a, b in zip(h, w, strict=True)), mpf(offset)))
        for h in _lines(hidden)
        for w, offset in zip(_lines(weight), offsets, strict=True)
    ]
    shape = (*hidden.shape[:-1], weight.shape[0])
    logits = Array(compute_dtype(hidden.dtype), shape, tuple(values))
    others = {n: a for n, a in case.arrays.items() if n not in ("hidden", "weight", "bias")}
    return replace(case, function=DENSE[case.function], arrays={"logits": logits, **others})


def _lines(array: Array) -> list[tuple[float, ...]]:
    """The entries along the last axis."""
    length = array.shape[-1]
    count = len(array.values) // length if length else 0
    return [array.values[i * length : (i + 1) * length] for i in range(count)]


class Linear:
    """A loss of a linear head, or the scores of its rows."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.inner: Classification | Score
        self.inner = (Score if case.function == "linear_score" else Classification)(dense(case))

    def values(self) -> dict[str, Tensor]:
        """Every output."""
        if isinstance(self.inner, Score):
            return self.inner.values()
        return {"value": self.inner.value()}

    def value(self) -> Tensor:
        """The output that is differentiated."""
        return self.inner.value()

    def gradient(self, name: str) -> Tensor:
        """The gradient by one of the arguments: sums of the logits' times the other factor."""
        by = {"hidden": self._by_hidden, "weight": self._by_weight, "bias": self._by_bias}
        if name not in by:
            return self.inner.gradient(name)
        held = self.case.arrays[name]
        return Tensor(held.dtype, held.shape, by[name]())

    def _rows(self) -> list[list[Exact]]:
        """The gradient by the logits, row by row."""
        flat, count = self.inner.gradient("logits").numbers, self.case.arrays["weight"].shape[0]
        return [flat[i : i + count] for i in range(0, len(flat), count)]

    def _by_hidden(self) -> list[Exact]:
        columns = [_exact(c) for c in zip(*_lines(self.case.arrays["weight"]), strict=True)]
        return [_dot(column, row) for row in self._rows() for column in columns]

    def _by_weight(self) -> list[Exact]:
        hidden, count = self.case.arrays["hidden"], self.case.arrays["weight"].shape[0]
        columns = [_exact(hidden.values[d :: hidden.shape[-1]]) for d in range(hidden.shape[-1])]
        flat = self.inner.gradient("logits").numbers
        by_class = [flat[k::count] for k in range(count)]
        return [_dot(column, row) for row in by_class for column in columns]

    def _by_bias(self) -> list[Exact]:
        flat, count = self.inner.gradient("logits").numbers, self.case.arrays["weight"].shape[0]
        return [total(flat[k::count]) for k in range(count)]


def _dot(factors: Sequence[mpf], terms: Sequence[Exact]) -> Exact:
    """The sum of products; what an ignored row holds does not meet its gradient of 0."""
    pairs = [(f, term) for f, term in zip(factors, terms, strict=True) if term != NOTHING]
    return dot([f for f, _ in pairs], [term for _, term in pairs])


def _exact(values: tuple[float, ...]) -> list[mpf]:
    return [mpf(v) for v in values]
