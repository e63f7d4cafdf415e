"""score: docstring, validation, and the rule that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, Unpack, cast

from xentropy import _inputs
from xentropy._call import Call, call_of, score_of_logits
from xentropy._losses import cross_entropy
from xentropy._typing import RowOptions

if TYPE_CHECKING:
    from xentropy._rows import RowLoss

A = TypeVar("A")


class Score(NamedTuple, Generic[A]):
    """What `score` tells of every row; the first four fields are differentiable.

    Attributes
    ----------
    loss : array
        The cross-entropy, weighted and smoothed as the options say.
    log_prob : array
        The log-probability of the target: the sum of t log p over the targets t as given, without
        weights and smoothing. Its mean over rows is the negative logarithm of the perplexity.
    lse : array
        The logsumexp of the logits, divided by the temperature.
    entropy : array
        The entropy of their softmax, in nats.
    prediction : array of int
        The class of the largest logit, the first one of equals; large ones are equal where the
        softcap makes them so.
    correct : array of bool
        Whether it is the label, or the most probable class of the targets.
    """

    loss: A
    log_prob: A
    lse: A
    entropy: A
    prediction: A
    correct: A


@score_of_logits
def score(logits: A, targets: Any, **options: Unpack[RowOptions]) -> Call[Score[A]]:
    r"""Loss, log-probability, logsumexp, entropy, prediction and correctness of every row.

    Everything that one visit to the logits tells, from the running sums m, r and

    .. math:: \sum_j t_j (m - x_j), \qquad \sum_j e^{x_j - m} (m - x_j)

    of `cross_entropy` and `entropy` [1]_: for perplexities, accuracies and confidences of an
    evaluation, and for objectives that mix them, as each field but the last two is differentiable.

    Parameters
    ----------
    logits, targets
        As in `cross_entropy`.
    **options
        The options of `cross_entropy`, but for ``from_logits``, ``reduction`` and ``normalizer``:
        nothing is reduced. Weights and smoothing act on ``loss`` alone; temperature, softcap and
        ``where`` on everything.

    Returns
    -------
    Score
        A named tuple of arrays of the shape of the rows. The floating ones are float64 for float64
        logits and float32 for narrower ones. In a row that is ignored they are 0, and ``correct``
        is False.

    Raises
    ------
    TypeError, ValueError, IndexError
        As in `cross_entropy`.

    See Also
    --------
    cross_entropy : The loss alone, reduced.
    entropy : The entropy alone.

    References
    ----------
    .. [1] C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), sections 1.6 and 4.3.4.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> logits = np.array([[2.0, 1.0, 0.1], [0.5, 2.0, 0.3]])
    >>> result = xe.score(logits, np.array([0, 2]))
    >>> print(result.log_prob.round(6), result.entropy.round(6))
    [-0.41703  -2.040616] [0.846738 0.799608]
    >>> print(result.prediction, result.correct, f"{np.exp(-result.log_prob.mean()):.4f}")
    [0 1] [ True False] 3.4172
    """
    from xentropy._score import RowScore

    _inputs.known("score", options, RowOptions)
    call = call_of(cross_entropy, logits, targets, **options, reduction="none")
    return call._replace(rule=RowScore(cast("RowLoss", call.rule)), form=Score)
