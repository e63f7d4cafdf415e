"""The losses of a linear head: docstring, validation, and the rule that they are."""

from __future__ import annotations

from typing import Any, SupportsFloat, TypeVar, Unpack, cast

from xentropy import _errors, _inputs
from xentropy._call import Call, call_of, of_hidden, score_of_hidden
from xentropy._inputs import Inputs
from xentropy._losses import rows, scaling
from xentropy._scoring import Score
from xentropy._typing import Array, HeadOptions, Normalizer, Reduction

A = TypeVar("A")


@of_hidden
def linear_cross_entropy(
    hidden: A,
    weight: Any,
    targets: Any,
    *,
    bias: Any = None,
    class_weights: Any = None,
    sample_weights: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    where: Any = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    reduction: Reduction = "mean",
    normalizer: Normalizer | SupportsFloat = "weights",
    group: Any = None,
) -> Call[A]:
    r"""Cross-entropy of a linear head; its logits are never held.

    It equals ``cross_entropy(hidden @ weight.T + bias, targets, ...)``,

    .. math:: \ell = \sum_j t_j \Bigl(\log \sum_k e^{x_k} - x_j\Bigr), \qquad
              x_j = w_j \cdot h + b_j

    but the logits are made tile by tile, some rows by some classes, and the gradients of all
    leaves while a tile is in hand [1]_: beyond arguments and gradients it takes one tile and a
    few numbers per row, whatever the number of rows and classes.

    Parameters
    ----------
    hidden : array, floating, shape (..., D)
        What the head is applied to, for example the last states of a language model.
    weight : array, floating, shape (K, D)
        One row of the head for every class.
    targets : array
        Labels of any integer dtype and the shape of ``hidden`` without its last axis; or
        probabilities of that shape with K entries more.
    bias : array, floating, shape (K,), optional
        Added to the logits.
    class_weights, sample_weights, ignore_index, label_smoothing, where
        As in `cross_entropy`, of logits of shape (..., K). Rows that are ignored are not
        multiplied at all where arrays are eager.
    temperature, softcap, z_loss, reduction, normalizer
        As in `cross_entropy`.
    group : optional
        Who holds the classes, where ``weight`` and ``bias`` are the caller's slice of them, as in
        `cross_entropy`; ``hidden`` is the same for every member, and so is its gradient.

    Returns
    -------
    array
        The loss, as in `cross_entropy`: float64 if hidden, weight or bias is float64, else
        float32. Narrower heads are multiplied and summed up in float32; the gradients have the
        dtypes of their arguments.

    Raises
    ------
    TypeError, ValueError, IndexError
        As in `cross_entropy`; and if the shapes of hidden, weight and bias do not fit.

    See Also
    --------
    cross_entropy : The same of logits that are there.
    linear_score : Losses, entropies and predictions of every row.

    References
    ----------
    .. [1] E. Wijmans, B. Huval, A. Hertzberg, V. Koltun and P. Krahenbuhl, "Cut your losses in
       large-vocabulary language models", ICLR (2025), sections 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> hidden = np.array([[1.0, 0.5], [0.0, 2.0]])
    >>> weight = np.array([[2.0, 0.0], [0.5, 1.0], [-1.0, 0.5]])
    >>> print(f"{xe.linear_cross_entropy(hidden, weight, np.array([0, 1])):.6f}")
    0.383272
    >>> loss = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight"))
    >>> print([grad.shape for grad in loss(hidden, weight, np.array([0, 1]))[1]])
    [(2, 2), (3, 2)]
    """
    # Imported by the first call that needs it: `import xentropy` stays light.
    from dataclasses import replace

    from xentropy._linear import LinearLoss

    inputs = _Head(hidden, weight, bias, group)
    rule, (_, labels, *others, _) = rows(
        inputs,
        targets,
        "logits",
        axis=-1,
        class_weights=class_weights,
        sample_weights=sample_weights,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        where=where,
        reduction=reduction,
        normalizer=normalizer,
        scale=scaling(temperature, softcap, z_loss),
    )
    leaves = (inputs.x, inputs.weight, labels, inputs.bias, *others)
    # The rule sees all rows along one axis.
    linear = LinearLoss(replace(rule, axis=1), _tile(inputs))
    return Call(inputs.backend, linear, leaves, group=inputs.group, given=targets)


@score_of_hidden
def linear_score(
    hidden: A, weight: Any, targets: Any, *, bias: Any = None, **options: Unpack[HeadOptions]
) -> Call[Score[A]]:
    r"""`score` of a linear head; its logits are never held.

    Loss, log-probability, logsumexp, entropy, prediction and correctness of every row of
    ``hidden @ weight.T + bias``, block by block of rows: perplexity, entropy and accuracy of a
    language model without its logits.

    .. math:: x_j = w_j \cdot h + b_j, \qquad
              H = \log \sum_k e^{x_k} - \sum_j p_j x_j

    is the entropy, from the running sums of `score` [1]_.

    Parameters
    ----------
    hidden, weight, targets, bias
        As in `linear_cross_entropy`.
    **options
        The options of `linear_cross_entropy`, but for ``reduction`` and ``normalizer``: nothing is
        reduced.

    Returns
    -------
    Score
        As in `score`, of the shape of ``hidden`` without its last axis.

    Raises
    ------
    TypeError, ValueError, IndexError
        As in `linear_cross_entropy`.

    See Also
    --------
    linear_cross_entropy : The loss alone, reduced.
    score : The same of logits that are there.

    References
    ----------
    .. [1] C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), sections 1.6 and 4.3.4.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> hidden = np.array([[1.0, 0.5], [0.0, 2.0]])
    >>> weight = np.array([[2.0, 0.0], [0.5, 1.0], [-1.0, 0.5]])
    >>> result = xe.linear_score(hidden, weight, np.array([0, 0]))
    >>> print(result.prediction, result.correct, result.entropy.round(6))
    [0 1] [ True False] [0.738654 0.832396]
    """
    from xentropy._linear import LinearLoss, LinearScore
    from xentropy._score import RowScore

    _inputs.known("linear_score", options, HeadOptions)
    head = {"bias": bias, **options, "reduction": "none"}
    call = call_of(linear_cross_entropy, hidden, weight, targets, **head)
    loss = cast("LinearLoss", call.rule)
    return call._replace(rule=LinearScore(RowScore(loss.loss), loss.tile), form=Score)


def _tile(inputs: Inputs) -> int | None:
    """About how many logits a tile has, if a plan does not choose."""
    from xentropy._linear import TILE, UNROLLED

    asked = inputs.backend.options().block_size
    if asked is not None or not inputs.backend.unrolls():
        return asked
    count = 1
    for length in inputs.shape:
        if not isinstance(length, int):  # unknown while tracing
            return None
        count *= length
    return max(TILE, count // UNROLLED)


class _Head(Inputs):
    """The arrays of a head; to all others it stands for its logits."""

    def __init__(self, hidden: Any, weight: Any, bias: Any, group: Any = None) -> None:
        super().__init__(hidden, "hidden", group)
        if not self.shape:
            raise ValueError("hidden has shape (): it must have at least one axis, (..., D)")
        self.weight = self._floating(weight, "weight")
        found = self.backend.shape(self.weight)
        rule = "weight has one row for every class, as long as the last axis of hidden: (K, D)"
        if len(found) != 2:
            raise _errors.shapes("weight", found, rule, "hidden", self.shape)
        self.fit(self.weight, (found[0], self.shape[-1]), "weight", rule)
        self.shape = (*self.shape[:-1], found[0])
        self.name = "hidden @ weight.T"
        self.bias = None if bias is None else self._floating(bias, "bias")
        if self.bias is not None:
            self.fit(self.bias, found[:1], "bias", "one entry for every class")

    def _floating(self, value: Any, name: str) -> Array:
        """A floating array; float64 makes all of the call float64."""
        array = self.array(value, name)
        if self.backend.kind(array) != "real floating":
            raise _errors.dtype(name, "real floating", array.dtype)
        if self.backend.compute_dtype(array) == self.xp.float64:
            self.dtype = self.xp.float64
        return array
