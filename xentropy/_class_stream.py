"""ClassStream: the scores of rows whose logits arrive class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from xentropy import _errors, _inputs
from xentropy._inputs import Inputs
from xentropy._losses import scaling
from xentropy._scoring import Score

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from xentropy._class_parts import Bound
    from xentropy._partial import Part

    # The targets do not tell what will be streamed: it is Any unless it is written down.
    A = TypeVar("A", default=Any)
else:
    from typing import TypeVar

    A = TypeVar("A")
Bounds = tuple[int, int]


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
        temperature, softcap, z_loss = scaling(temperature, softcap, z_loss)
        options = {
            "ignore_index": _inputs.integer_or_none("ignore_index", ignore_index),
            "label_smoothing": _inputs.fraction("label_smoothing", label_smoothing),
            "temperature": temperature,
            "softcap": softcap,
            "z_loss": z_loss,
        }
        # Imported by the first stream: `import xentropy` stays light.
        from xentropy._class_parts import Given

        self._given = Given(targets, class_weights, sample_weights, where, options)
        self._parts: tuple[Bounds, ...] = ()
        self._seen: Part | None = None
        self._last: Bound | None = None

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
        from xentropy._class_parts import Bound

        bound = Bound(Inputs(logits, "logits"), self._given)
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
