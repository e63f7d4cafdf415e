"""RowStream: totals of rows that arrive block by block."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from xentropy import _errors
from xentropy._call import Call, prepare_of, prepared
from xentropy._heads import linear_score
from xentropy._scoring import score
from xentropy._typing import Array, Namespace

if TYPE_CHECKING:
    from xentropy._linear import LinearScore
    from xentropy._score import RowScore


class Totals(NamedTuple):
    """What `RowStream` tells of all rows that it has seen.

    Attributes
    ----------
    loss : float
        The mean cross-entropy, as `cross_entropy` gives of all rows at once.
    perplexity : float
        exp of the mean negative log-probability of the targets, without weights and smoothing.
    accuracy : float
        The share of the rows whose prediction is the label.
    entropy : float
        The mean entropy of the predicted distributions, in nats.
    rows : int
        How many rows were not ignored: what the last three are means over.
    """

    loss: float
    perplexity: float
    accuracy: float
    entropy: float
    rows: int


class _Sums(NamedTuple):
    """Sums over rows, in float64."""

    loss: float = 0.0
    mass: float = 0.0
    rows: float = 0.0
    log_prob: float = 0.0
    entropy: float = 0.0
    correct: float = 0.0


class RowStream:
    r"""Mean loss, perplexity, accuracy and entropy of rows that arrive block by block.

    For evaluations whose logits are never all there: batches of a loader, blocks of a file. Each
    block is scored and forgotten; its sums are kept as Python numbers, so that streams of several
    processes can be sent and merged. With s the masses of the targets, as in `cross_entropy` [1]_,

    .. math:: \text{loss} = \frac{\sum_i \ell_i}{\sum_i s_i}, \qquad
              \text{perplexity} = \exp\Bigl(-\frac{1}{n} \sum_i \log p_i\Bigr)

    Parameters
    ----------
    function : callable, default `score`
        What scores a block: `score` or `linear_score`, or a `functools.partial` of one.
    **options
        Options of the function that hold for every block, such as ``ignore_index``.

    Raises
    ------
    TypeError, ValueError
        If ``function`` is another one.

    See Also
    --------
    ClassStream : Rows that arrive class by class.
    score : The same numbers of every single row.

    References
    ----------
    .. [1] D. Jurafsky and J. H. Martin, "Speech and Language Processing", section 3.3, for the
       perplexity.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> stream = xe.RowStream(ignore_index=-1)
    >>> for logits, targets in [([[2.0, 1.0, 0.1]], [0]), ([[0.5, 2.0, 0.3]] * 2, [2, -1])]:
    ...     stream = stream.update(np.array(logits), np.array(targets))
    >>> totals = stream.result()
    >>> print(f"{totals.perplexity:.4f}", totals.accuracy, totals.rows)
    3.4172 0.5 2
    """

    def __init__(self, function: Callable[..., Any] = score, **options: Any) -> None:
        if prepare_of(function)[0] not in (prepare_of(score)[0], prepare_of(linear_score)[0]):
            raise _errors.option("function", "xentropy.score or xentropy.linear_score", function)
        self._function, self._options = function, options
        self._sums = _Sums()

    def __repr__(self) -> str:
        """How many rows it has seen."""
        return f"RowStream({int(self._sums.rows)} rows seen)"

    def update(self, *arrays: Any, **options: Any) -> RowStream:
        """Score a block of rows and add it to the totals.

        Parameters
        ----------
        *arrays
            What the function takes: logits and targets, or hidden, weight and targets.
        **options
            Options of this block, such as its ``sample_weights``.

        Returns
        -------
        RowStream
            The stream itself.

        Raises
        ------
        TypeError, ValueError, IndexError
            As from the function.
        """
        prepare, args, fixed = prepare_of(self._function)
        every = {**fixed, **self._options, **options}
        call: Call[Any] = prepared(prepare, (*args, *arrays), every)
        self._add(_Sums(*_of_block(call)))
        return self

    def merge(self, other: RowStream) -> RowStream:
        """Add what another stream has seen, of other rows.

        Parameters
        ----------
        other : RowStream
            It may have seen arrays of another framework.

        Returns
        -------
        RowStream
            The stream itself.
        """
        self._add(other._sums)
        return self

    def result(self) -> Totals:
        """The totals of all rows so far; the stream goes on.

        Returns
        -------
        Totals
            Without any row ``loss`` is 0, as `cross_entropy` is, and the others are NaN.
        """
        sums = self._sums
        mean = _mean(sums.log_prob, sums.rows)
        return Totals(
            loss=sums.loss / sums.mass if sums.mass else 0.0,
            perplexity=math.inf if -mean > _MOST else math.exp(-mean),
            accuracy=_mean(sums.correct, sums.rows),
            entropy=_mean(sums.entropy, sums.rows),
            rows=int(sums.rows),
        )

    def _add(self, more: _Sums) -> None:
        self._sums = _Sums(*(a + b for a, b in zip(self._sums, more, strict=True)))


# The largest number that has an exponential.
_MOST = math.log(1.7976931348623157e308)


def _mean(total: float, count: float) -> float:
    return total / count if count else math.nan


def _of_block(call: Call[Any]) -> list[float]:
    """The sums of a block of rows."""
    rule, backend = cast("RowScore | LinearScore", call.rule), call.backend
    return [backend.total(x) for x in backend.still(_summands, call.leaves, rule)]


def _summands(
    xp: Namespace, leaves: tuple[Array | None, ...], rule: RowScore | LinearScore
) -> tuple[Array, ...]:
    return rule.summands(xp, leaves)
