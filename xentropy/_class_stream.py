"""ClassStream: the scores of rows whose logits arrive class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, cast

from xentropy import _errors, _inputs, _partial
from xentropy._inputs import Inputs
from xentropy._losses import scaling
from xentropy._partial import Part
from xentropy._rows import Leaves, RowLoss
from xentropy._score import RowScore
from xentropy._scoring import Score
from xentropy._typing import Array

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # The targets do not tell what will be streamed: it is Any unless it is written down.
    A = TypeVar("A", default=Any)
else:
    from typing import TypeVar

    A = TypeVar("A")
Bounds = tuple[int, int]


@dataclass(frozen=True)
class _Given:
    """What the stream was made with."""

    targets: Any
    class_weights: Any
    sample_weights: Any
    where: Any
    options: dict[str, Any]


class ClassStream(Generic[A]):
    r"""Scores of rows whose logits arrive in parts of the classes, in any order.

    An accumulator of the logsumexp and of all else that `score` tells, for logits that are never
    all there: from a file, a generator, or several processes. Of every part it keeps a few numbers
    per row, and those of two parts merge [1]_: with :math:`M = \max(m, m')`

    .. math:: \sum_j e^{x_j - M} = e^{m - M} \sum_j e^{x_j - m} + e^{m' - M} \sum_j e^{x'_j - m'}

    Parameters
    ----------
    targets : array of int, shape (...)
        The label of every row, numbered over all classes. None if only ``lse``, ``entropy`` and
        ``prediction`` are asked for.
    ignore_index, label_smoothing, temperature, softcap, z_loss
        As in `cross_entropy`.
    class_weights : array, shape (K,), optional
        A factor of every class, of all of them.
    sample_weights : array, shape (...), optional
        A factor of every row.
    where : array of bool, shape (K,), optional
        True at the classes that take part.

    Raises
    ------
    ValueError
        If an option is out of its range.

    See Also
    --------
    RowStream : Totals of rows that arrive whole.
    score : The same of logits that are all there; it has gradients too.

    References
    ----------
    .. [1] M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax" (2018).

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> logits = np.array([[2.0, 1.0, 0.1, -1.0], [0.5, 2.0, 0.3, 4.0]])
    >>> stream = xe.ClassStream(np.array([0, 3]))
    >>> for start in (2, 0):
    ...     stream = stream.update(logits[:, start : start + 2], start)
    >>> print(stream.result().loss.round(6), stream.result().prediction)
    [0.449313 0.174169] [0 3]
    """

    def __init__(
        self,
        targets: Any = None,
        *,
        class_weights: Any = None,
        sample_weights: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        where: Any = None,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
    ) -> None:
        options = {
            "ignore_index": _inputs.integer_or_none("ignore_index", ignore_index),
            "label_smoothing": _inputs.fraction("label_smoothing", label_smoothing),
            **scaling(temperature, softcap, z_loss),
        }
        self._given = _Given(targets, class_weights, sample_weights, where, options)
        self._parts: tuple[Bounds, ...] = ()
        self._seen: Part | None = None
        self._last: _Bound | None = None

    def __repr__(self) -> str:
        """How many classes it has seen."""
        return f"ClassStream({sum(stop - start for start, stop in self._parts)} classes seen)"

    def update(self, logits: A, start: int | None = None) -> ClassStream[A]:
        """Take in the logits of some classes; nothing of them is kept.

        Parameters
        ----------
        logits : array, floating, shape (..., k)
            The logits of k classes of all rows. No gradient comes back to them.
        start : int, optional
            The number of the first one; without it they follow the last ones that are known.

        Returns
        -------
        ClassStream
            The stream itself.

        Raises
        ------
        TypeError
            If logits are not floating, labels are not integers, or frameworks are mixed, or
            float64 with narrower dtypes.
        ValueError
            If the rows are not those of the targets and of earlier parts, or a class comes twice.
        """
        bound = _Bound(Inputs(logits, "logits"), self._given)
        first = self._first(start)
        bounds = (first, first + bound.count)
        self._check(bounds)
        if self._last is not None:
            self._last.check_rows(bound, "logits")
        found = bound.observe(*bounds)
        if self._seen is not None:
            found = bound.merge(self._seen, found)
        self._seen, self._last, self._parts = found, bound, _with(self._parts, bounds)
        return self

    def merge(self, other: ClassStream[A]) -> ClassStream[A]:
        """Take in what another stream has seen of the same rows.

        Parameters
        ----------
        other : ClassStream
            A stream that was made with the same targets and options, and saw other classes.

        Returns
        -------
        ClassStream
            The stream itself.

        Raises
        ------
        TypeError
            If it has seen arrays of another framework, or float64 with narrower dtypes.
        ValueError
            If the options or the rows differ, or a class was seen by both.
        """
        if other._given.options != self._given.options:
            raise _errors.option("other", f"of the options {self._given.options}", other)
        if other._seen is None or other._last is None:
            return self
        for bounds in other._parts:
            self._check(bounds)
        if self._seen is None or self._last is None:
            self._seen, self._last = other._seen, other._last
        else:
            self._last.check_rows(other._last, "other")
            self._seen = self._last.merge(self._seen, other._seen)
        for bounds in other._parts:
            self._parts = _with(self._parts, bounds)
        return self

    def result(self) -> Score[A]:
        """The scores of the rows; the stream goes on.

        Returns
        -------
        Score
            As `score` gives of all logits; ``loss``, ``log_prob`` and ``correct`` are None where
            there are no targets.

        Raises
        ------
        ValueError
            If no class has been seen, or some that lie between those that have been.
        IndexError
            If a label is none of the classes, where labels can be looked at.
        """
        if self._seen is None or self._last is None:
            raise ValueError("the stream has seen no logits: call update first")
        expected = 0
        for start, stop in self._parts:
            if start != expected:
                raise ValueError(f"the classes {expected} to {start - 1} have not been seen")
            expected = stop
        return self._last.scores(self._seen, expected)

    def _first(self, start: int | None) -> int:
        """The number of the first class of a part."""
        if start is None:
            return self._parts[-1][1] if self._parts else 0
        number = _inputs.integer_or_none("start", start)
        if number is None or number < 0:
            raise _errors.option("start", "at least 0", start)
        return number

    def _check(self, bounds: Bounds) -> None:
        for start, stop in self._parts:
            if bounds[0] < stop and start < bounds[1]:
                low, high = max(start, bounds[0]), min(stop, bounds[1])
                raise ValueError(f"the classes {low} to {high - 1} have been seen before")


def _with(parts: tuple[Bounds, ...], bounds: Bounds) -> tuple[Bounds, ...]:
    """Bounds in order, those that touch made one, so that they stay few."""
    joined: list[Bounds] = []
    for start, stop in sorted((*parts, bounds)):
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)


class _Bound:
    """What was given, with the first array of a call: of its framework, and checked against it."""

    def __init__(self, inputs: Inputs, given: _Given) -> None:
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

    def check_rows(self, other: _Bound, name: str) -> None:
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
