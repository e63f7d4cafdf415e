"""score: everything about the rows, each output a quantity of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from mpmath import mpf

from xentropy.parity._case import Case
from xentropy.parity._formats import compute_dtype
from xentropy.parity.exact._classification import Classification
from xentropy.parity.exact._given import Given
from xentropy.parity.exact._number import NOTHING, ZERO, Exact, Tensor
from xentropy.parity.exact._rows import LogitRow, Row

#: What weighs and bends a loss, and has no say in the probability of the target.
WEIGHING = ("class_weights", "sample_weights", "label_smoothing", "z_loss")


class Score:
    """The loss, the target's log-probability, lse, entropy, the prediction and its rightness."""

    def __init__(self, case: Case) -> None:
        options = {**case.options, "reduction": "none"}
        self.case, self.given = case, Given(case)
        self.loss = Classification(replace(case, function="cross_entropy", options=options))
        self.nats = Classification(_unweighted(self.loss.case))

    def values(self) -> dict[str, Tensor]:
        """Every output."""
        tops = [0 if row is None else self._top(row) for row, _ in self._rows]
        correct = [self._correct(i, top) for i, top in enumerate(tops)]
        return {
            "loss": self.loss.value(),
            "log_prob": _negated(self.nats.value()),
            "lse": self._each(lambda row: row.softmax.logsumexp()),
            "entropy": self._each(lambda row: row.softmax.entropy),
            "prediction": Tensor("integer", self.given.rest, [_whole(top) for top in tops]),
            "correct": Tensor("boolean", self.given.rest, [_whole(c) for c in correct]),
        }

    def value(self) -> Tensor:
        """The output that is differentiated."""
        return self.values()[str(self.case.of)]

    def gradient(self, name: str) -> Tensor:
        """The gradient of that output's sum by one of the arguments."""
        if self.case.of == "loss":
            return self.loss.gradient(name)
        if self.case.of == "log_prob":
            return _negated(self.nats.gradient(name))
        if self.case.of == "lse":
            return self._pulled(lambda row: row.pull_logsumexp())
        return self._pulled(lambda row: row.pull_entropy())

    @cached_property
    def _rows(self) -> list[tuple[LogitRow | None, bool]]:
        """The rows, and which of them are left out."""
        pairs = zip(self.loss.rows, self.loss.ignored, strict=True)
        return [(_logits(row), gone) for row, gone in pairs]

    def _each(self, of: Callable[[LogitRow], Exact]) -> Tensor:
        numbers = [NOTHING if gone or row is None else of(row) for row, gone in self._rows]
        return Tensor(compute_dtype(self.case.first.dtype), self.given.rest, numbers)

    def _pulled(self, of: Callable[[LogitRow], list[Exact]]) -> Tensor:
        nothing = [NOTHING] * self.loss.count
        rows = [nothing if gone or row is None else of(row) for row, gone in self._rows]
        return Tensor(self.case.first.dtype, self.given.shape, self.given.scatter(rows))

    @staticmethod
    def _top(row: LogitRow) -> int:
        """The first of the largest entries; a masked one is -inf, which a softcap makes finite."""
        z = row.softmax.z
        return z.index(max(z))

    def _correct(self, i: int, top: int) -> int:
        if self.loss.labels is not None:
            return int(not self.loss.ignored[i] and self.loss.labels[i] == top)
        beliefs = self.loss.beliefs[i]
        return int(beliefs.index(max(beliefs)) == top)


def _unweighted(case: Case) -> Case:
    """The case without what the probability of the target knows nothing of."""
    arrays = {n: a for n, a in case.arrays.items() if n not in WEIGHING}
    options = {n: v for n, v in case.options.items() if n not in WEIGHING}
    return replace(case, arrays=arrays, options=options)


def _logits(row: Row) -> LogitRow | None:
    return row if isinstance(row, LogitRow) else None


def _negated(tensor: Tensor) -> Tensor:
    return replace(tensor, numbers=[n.negated() for n in tensor.numbers])


def _whole(n: int) -> Exact:
    """A number that is met exactly."""
    return Exact(mpf(n), ZERO)
