"""entropy and kl_divergence: docstring, validation, and the rules that they are."""

from __future__ import annotations

from typing import Any, SupportsFloat, TypeVar, get_args

from xentropy import _inputs
from xentropy._call import Call, of_logits
from xentropy._inputs import Inputs
from xentropy._typing import Normalizer, Reduction, TargetKind

A = TypeVar("A")


@of_logits
def entropy(logits: A, *, axis: int = -1, where: Any = None, temperature: float = 1.0) -> Call[A]:
    r"""Entropy of the softmax of every row, in nats.

    .. math:: H = -\sum_j p_j \log p_j
              = \log(1 + r) + \frac{\sum_j e^{x_j - m} (m - x_j)}{1 + r}

    with m the largest logit and r the sum of the other exponentials. No term of the second form
    [1]_ is negative, so that the small entropy of a confident row keeps its relative precision.

    Parameters
    ----------
    logits : array, floating, shape (..., K)
        Unnormalized log-probabilities, the classes along ``axis``.
    axis : int, default -1
        The axis of the classes.
    where : array of bool, optional
        True at the classes that take part, as in `softmax`.
    temperature : float, default 1.0
        What the logits are divided by.

    Returns
    -------
    array
        One number for every row: float64 for float64 logits and float32 for narrower ones. A row
        of -inf alone, or with two and more +inf, is NaN; with one +inf it is 0.

    Raises
    ------
    TypeError
        If logits are not floating or ``where`` not boolean.
    ValueError
        If a shape or an option does not fit.

    See Also
    --------
    cross_entropy : Relative to targets: never less than their own entropy.
    kl_divergence : The difference of the two.

    References
    ----------
    .. [1] T. M. Cover and J. A. Thomas, "Elements of Information Theory" (2006), section 2.1, for
       the definition; the second form follows from log p_j = x_j - m - log(1 + r).

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(xe.entropy(np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]])).round(6))
    [1.386294 0.947537]
    >>> print(f"{xe.entropy(np.array([30.0, 0.0], dtype=np.float32)):.6g}")
    2.90086e-12
    """
    from xentropy._maps import Entropy

    inputs = Inputs(logits, "logits")
    place = inputs.axis(axis)
    rule = Entropy(inputs.dtype, place, _inputs.positive("temperature", temperature))
    return Call(inputs.backend, rule, (inputs.x, inputs.mask(where, place)))


@of_logits
def kl_divergence(
    logits: A,
    targets: Any,
    *,
    targets_are: TargetKind = "probabilities",
    axis: int = -1,
    sample_weights: Any = None,
    where: Any = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
    normalizer: Normalizer | SupportsFloat = "weights",
) -> Call[A]:
    r"""Kullback-Leibler divergence of the softmax of logits from target distributions.

    .. math:: \ell = \sum_j t_j \log \frac{t_j}{p_j}

    with p the softmax of a row and t its targets [1]_. Where the targets are logits too, value and
    gradients are computed from the differences of the logits, so that two nearly equal
    distributions, a student that has learnt from its teacher, keep their relative precision.

    Parameters
    ----------
    logits : array, floating, shape (..., K)
        Unnormalized log-probabilities, the classes along ``axis``.
    targets : array of the same shape
        Probabilities of any real dtype, or log-probabilities, both as given: they need not be
        normalized; or logits, of which the softmax is taken.
    targets_are : {"probabilities", "log_probabilities", "logits"}
        What the targets are.
    axis : int, default -1
        The axis of the classes.
    sample_weights : array, shape of the rows, optional
        A factor of every row. A row with weight 0 contributes nothing, whatever it holds.
    where : array of bool, optional
        True at the classes that take part, as in `cross_entropy`.
    temperature : float, default 1.0
        What the logits are divided by, and targets that are logits too.
    reduction : {"mean", "sum", "none"}
        What becomes of the rows.
    normalizer : {"weights", "valid", "batch"} or number or array of shape ()
        What a mean divides by, as in `cross_entropy`: the sum of all targets times their sample
        weights, which is the number of rows for normalized targets without weights; the number of
        rows whose weight is not 0; of all rows; or a number.

    Returns
    -------
    array
        The divergence: a single number, or one for every row with ``reduction="none"``; float64
        for float64 logits, float32 for narrower ones.

    Raises
    ------
    TypeError
        If logits, or targets that are not probabilities, are not floating, or frameworks are
        mixed.
    ValueError
        If shapes do not fit or an option is out of its range.

    See Also
    --------
    cross_entropy : The same but for the entropy of the targets, which no logit moves.
    entropy : That of the softmax of logits.

    References
    ----------
    .. [1] S. Kullback and R. A. Leibler, "On information and sufficiency", The Annals of
       Mathematical Statistics 22 (1951).

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(f"{xe.kl_divergence(np.log([0.5, 0.5]), [0.9, 0.1]):.6g}")
    0.368064
    >>> teacher = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    >>> student = np.array([1.001, 2.0, 3.0], dtype=np.float32)
    >>> print(f"{xe.kl_divergence(student, teacher, targets_are='logits'):.6g}")
    4.09776e-08
    """
    from xentropy._divergence import Divergence

    inputs = Inputs(logits, "logits")
    place = inputs.axis(axis)
    _inputs.choice("targets_are", targets_are, get_args(TargetKind))
    reduced = _inputs.reduction(reduction)
    named, number = inputs.normalizer(normalizer, reduced)
    rule = Divergence(
        inputs.dtype,
        inputs.backend.index_dtype,
        place,
        targets_are,
        temperature=_inputs.positive("temperature", temperature),
        reduction=reduced,
        normalizer=named,
    )
    leaves = (
        inputs.x,
        inputs.distribution(targets, targets_are),
        inputs.row_weights(sample_weights, place, normalizer, number),
        inputs.mask(where, place),
        number,
    )
    return Call(inputs.backend, rule, leaves)
