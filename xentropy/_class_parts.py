"""What a ClassStream was given, bound to the arrays of a part, and what a visit to them leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from xentropy import _errors, _partial
from xentropy._inputs import Inputs
from xentropy._partial import Part
from xentropy._rows import Leaves, RowLoss
from xentropy._score import RowScore
from xentropy._scoring import Score
from xentropy._typing import Array


@dataclass(frozen=True)
class Given:
    """What the stream was made with."""

    targets: Any
    class_weights: Any
    sample_weights: Any
    where: Any
    options: dict[str, Any]


class Bound:
    """What was given, with the first array of a call: of its framework, and checked against it."""

    def __init__(self, inputs: Inputs, given: Given) -> None:
        self.inputs, self.given, axis = inputs, given, inputs.axis(-1)
        self.count, self.rows = cast("int", inputs.shape[axis]), inputs.rows(axis)
        index = inputs.backend.index_dtype
        self.rule = RowLoss(inputs.dtype, index, axis, True, "logits", **given.options)
        self.told = RowScore(self.rule)
        self.leaves = Leaves(
            inputs.x,
            self._labels(),
            self._of_classes(given.class_weights, "class_weights"),
            inputs.sample_weights(given.sample_weights, self.rows),
            self._of_classes(given.where, "where"),
        )

    def observe(self, start: int, stop: int) -> Part:
        """What a visit to the classes of the array leaves, which is then forgotten."""
        self._fit(stop, "at least")
        leaves = _partial.part_of(self.leaves, start, stop)
        self.inputs.x, self.leaves = None, self.leaves._replace(logits=None)
        return self.inputs.backend.still(_partial.observe, (leaves, start), self.told)

    def merge(self, a: Part, b: Part) -> Part:
        """The union of two parts."""
        return self.inputs.backend.still(_partial.merge, (a, b), self.told)

    def scores(self, part: Part, count: int) -> Score[Any]:
        """The scores of rows of which all ``count`` classes have been seen."""
        self._fit(count, "exactly")
        labels = self.leaves.targets
        if labels is not None:
            ignored = self.rule.ignore_index
            self.inputs.check_labels(labels, count, ignored, self.given.targets)
        leaves = self.leaves._replace(logits=part.own.max)
        values, *_ = self.inputs.backend.still(_partial.scores, (leaves, part), self.told)
        found = Score(*values)
        if labels is not None:
            return found
        return found._replace(loss=None, log_prob=None, correct=None)

    def check_rows(self, other: Bound, name: str) -> None:
        """Raise if the rows of another one, of that name, are not these."""
        ours, theirs = self.inputs.backend, other.inputs.backend
        if ours is not theirs:
            raise TypeError(f"{name} is of {theirs.name}, but the stream has seen {ours.name}")
        if self.rule.dtype != other.rule.dtype:
            raise TypeError(
                f"{name} is computed in {other.rule.dtype}, but earlier parts were in "
                f"{self.rule.dtype}: float64 and narrower dtypes are not mixed"
            )
        if other.rows != self.rows:
            rule = "all parts have the same rows"
            raise _errors.shapes(name, other.rows, rule, "rows seen earlier", self.rows)

    def _labels(self) -> Array | None:
        """The labels, checked as far as they can be before all classes are known."""
        if self.given.targets is None:
            return None
        labels = self.inputs.array(self.given.targets, "targets", floating=False)
        self.inputs.fit(labels, self.rows, "targets", "there is one label for every row")
        if self.inputs.backend.kind(labels) != "integral":
            raise _errors.dtype("targets", "integer labels", labels.dtype)
        return labels

    def _of_classes(self, value: Any, name: str) -> Array | None:
        """One entry for every class, of all classes."""
        if value is None:
            return None
        floating = name != "where"
        array = self.inputs.array(value, name, floating=floating)
        kind, shape = self.inputs.backend.kind(array), self.inputs.backend.shape(array)
        if kind in ("complex floating", "other") if floating else kind != "bool":
            raise _errors.dtype(name, "real" if floating else "boolean", array.dtype)
        if len(shape) != 1:
            raise _errors.option(name, "of shape (K,), one entry for every class", shape)
        return array

    def _fit(self, count: int, how: str) -> None:
        """Whether what has an entry for every class has enough of them."""
        for name in ("class_weights", "where"):
            array = getattr(self.leaves, name)
            found = count if array is None else self.inputs.backend.shape(array)[0]
            if found is not None and (found < count if how == "at least" else found != count):
                raise ValueError(
                    f"{name} has {found} entries, but there are {how} {count} classes: "
                    "it has one entry for every class"
                )
