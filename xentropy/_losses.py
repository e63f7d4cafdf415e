"""The losses: docstring, validation, and the rule that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsFloat, TypeAlias, TypeVar

from xentropy import _errors, _inputs
from xentropy._call import Call, of_log_probs, of_logits
from xentropy._inputs import Inputs
from xentropy._typing import Array, Normalizer, Reduction, Source

if TYPE_CHECKING:
    from xentropy._rows import RowLoss

A = TypeVar("A")

# A temperature, a softcap and the weight of a z-loss, in the order of a rule's fields.
Scaling: TypeAlias = tuple[float, float | None, float]
UNSCALED: Scaling = (1.0, None, 0.0)


@of_logits
def cross_entropy(
    logits: A,
    targets: Any,
    *,
    axis: int = -1,
    from_logits: bool = True,
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
    r"""Cross-entropy between logits and labels or probabilities.

    With p the softmax of a row of logits x and t its target coefficients, the loss of the row is

    .. math:: \ell = -\sum_j t_j \log p_j
              = \sum_j t_j \Bigl(\log \sum_k e^{x_k} - x_j\Bigr)

    and it is computed as w log1p(r) + g from sums of numbers of one sign [1]_, so that a
    confident prediction keeps its full relative precision and a gradient that is not 0.

    Parameters
    ----------
    logits : array, floating, shape (..., K)
        Unnormalized log-probabilities, the classes along ``axis``; with ``from_logits=False``
        probabilities, which are taken as they are: not clipped, not normalized.
    targets : array
        Labels of any integer dtype, of the logits' shape without ``axis``; or an array of the
        logits' shape with probabilities or a one-hot of any real dtype. Probabilities need not
        sum to 1.
    axis : int, default -1
        The axis of the classes.
    from_logits : bool, default True
        Whether ``logits`` are logits rather than probabilities.
    class_weights : array, shape (K,), optional
        A factor c of every class.
    sample_weights : array, shape of the rows, optional
        A factor s of every row. A row with weight 0 contributes nothing, whatever it holds.
    ignore_index : int, optional
        The label of rows to leave out; it may be outside the classes.
    label_smoothing : float, default 0.0
        e in [0, 1]: the targets become (1 - e) t + e mass / K over the unmasked classes, before
        class weights.
    where : array of bool, optional
        True at the classes that take part; of the logits' shape, with lengths of 1 in it, or of
        shape (K,). A target on a class that takes no part makes the loss infinite.
    temperature : float, default 1.0
        What the logits are divided by.
    softcap : float, optional
        Logits become softcap * tanh(logits / softcap), before the temperature.
    z_loss : float, default 0.0
        Adds z_loss * s * logsumexp**2 to every row that is kept.
    reduction : {"mean", "sum", "none"}
        What becomes of the rows.
    normalizer : {"weights", "valid", "batch"} or number or array of shape ()
        What a mean divides by: the sum of all coefficients, the number of rows that are kept,
        the number of all rows, or a number, such as the count of all tokens of an accumulated
        batch. A mean over nothing is 0, with a gradient of 0, by NaN too where a number of 0 can
        be looked at without waiting.
    group : optional
        Who holds the classes, where ``logits`` are the caller's slice of them: in PyTorch a
        ``ProcessGroup`` or a ``DeviceMesh`` of one dimension, in JAX the name of an axis of
        ``shard_map``. Labels are numbered over all classes and the same for every member;
        probabilities, ``class_weights`` and ``where`` belong to the slice. The loss is the same
        for every member, and of the gradients each has its own.

    Returns
    -------
    array
        The loss: a single number, or one for every row with ``reduction="none"``. It is float64
        for float64 logits and float32 for narrower ones, which are computed in float32.

    Raises
    ------
    TypeError
        If logits are not floating, labels are not integers, or frameworks are mixed.
    ValueError
        If shapes do not fit (never a silent broadcast) or an option is out of its range.
    IndexError
        If a label is no class, where labels can be looked at without waiting: eagerly and on the
        host. Elsewhere such a row's loss and gradient are NaN.

    See Also
    --------
    nll_loss : The same for log-probabilities.
    binary_cross_entropy : Two classes given by one logit; targets are elementwise.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA Journal of Numerical Analysis 41 (2021), for the shifted form with
       log1p.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> logits = np.array([[2.0, 1.0, 0.1], [0.5, 2.0, 0.3]])
    >>> print(xe.cross_entropy(logits, np.array([0, 1]), reduction="none").round(6))
    [0.41703  0.340616]
    >>> confident = np.array([30.0, 0.0, 0.0], dtype=np.float32)
    >>> print(f"{xe.cross_entropy(confident, 0):.7g}")
    1.871525e-13
    """
    from_logits = _inputs.flag("from_logits", from_logits)
    source: Source = "logits" if from_logits else "probabilities"
    inputs = Inputs(logits, "logits", group)
    if not from_logits:
        _only_logits(temperature=(temperature, 1.0), softcap=(softcap, None), z_loss=(z_loss, 0.0))
    rule, leaves = rows(
        inputs,
        targets,
        source,
        axis=axis,
        class_weights=class_weights,
        sample_weights=sample_weights,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        where=where,
        reduction=reduction,
        normalizer=normalizer,
        scale=scaling(temperature, softcap, z_loss),
    )
    return Call(inputs.backend, rule, leaves, group=inputs.group, given=targets)


@of_log_probs
def nll_loss(
    log_probs: A,
    targets: Any,
    *,
    axis: int = -1,
    class_weights: Any = None,
    sample_weights: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    where: Any = None,
    reduction: Reduction = "mean",
    normalizer: Normalizer | SupportsFloat = "weights",
) -> Call[A]:
    r"""Negative log-likelihood of labels or probabilities under log-probabilities.

    .. math:: \ell = -\sum_j t_j \, \mathrm{log\_probs}_j

    The log-probabilities are taken as they are: nothing is normalized (the definition of the
    negative log-likelihood of a categorical distribution, e.g. [1]_).

    Parameters
    ----------
    log_probs : array, floating, shape (..., K)
        Log-probabilities, the classes along ``axis``, for example from `log_softmax`.
    targets, axis, class_weights, sample_weights, ignore_index, label_smoothing, where
        As in `cross_entropy`.
    reduction, normalizer
        As in `cross_entropy`.

    Returns
    -------
    array
        The loss, as in `cross_entropy`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As in `cross_entropy`.

    See Also
    --------
    cross_entropy : From logits; it keeps the precision that log-probabilities have rounded away.

    References
    ----------
    .. [1] C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> log_probs = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]))
    >>> print(xe.nll_loss(log_probs, np.array([0, 0]), reduction="none").round(6))
    [0.356675 2.302585]
    """
    inputs = Inputs(log_probs, "log_probs")
    rule, leaves = rows(
        inputs,
        targets,
        "log_probabilities",
        axis=axis,
        class_weights=class_weights,
        sample_weights=sample_weights,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        where=where,
        reduction=reduction,
        normalizer=normalizer,
    )
    return Call(inputs.backend, rule, leaves)


@of_logits
def binary_cross_entropy(
    logits: A,
    targets: Any,
    *,
    from_logits: bool = True,
    pos_weight: Any = None,
    sample_weights: Any = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    normalizer: Normalizer | SupportsFloat = "weights",
) -> Call[A]:
    r"""Binary cross-entropy of every element, between logits and targets in [0, 1].

    .. math:: \ell = s \bigl(v\, t \log(1 + e^{-x}) + (1 - t) \log(1 + e^{x})\bigr)

    with v the ``pos_weight`` and s the ``sample_weights``: the cross-entropy of the two classes
    with the logits (x, 0) and the targets (t, 1 - t) [1]_, and like it exact for confident
    predictions on both sides.

    Parameters
    ----------
    logits : array, floating, any shape
        Logits of the positive class; with ``from_logits=False`` its probabilities, which are
        not clipped.
    targets : array of the same shape
        0 and 1 in any dtype, or probabilities.
    from_logits : bool, default True
        Whether ``logits`` are logits rather than probabilities.
    pos_weight : number or array, optional
        A factor of the positive class: one number, one for every entry of the last axis, or
        anything else that broadcasts to the shape of the logits.
    sample_weights : array of the same shape, optional
        A factor of every element. An element with weight 0 contributes nothing.
    label_smoothing : float, default 0.0
        e in [0, 1]: t becomes (1 - e) t + e / 2.
    reduction : {"mean", "sum", "none"}
        What becomes of the elements.
    normalizer : {"weights", "valid", "batch"} or number or array of shape ()
        What a mean divides by: the sum of the coefficients of both classes, the number of
        elements whose weight is not 0, the number of all elements, or a number.

    Returns
    -------
    array
        The loss: a single number, or one for every element with ``reduction="none"``; float64 for
        float64 logits, float32 for narrower ones.

    Raises
    ------
    TypeError
        If logits are not floating, targets are complex, or frameworks are mixed.
    ValueError
        If shapes do not fit or an option is out of its range.
    IndexError
        If an integer target is neither 0 nor 1, where it can be looked at without waiting;
        elsewhere such an element's loss and gradient are NaN.

    See Also
    --------
    cross_entropy : Any number of exclusive classes, each with a logit of its own.

    References
    ----------
    .. [1] C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(f"{xe.binary_cross_entropy(np.array([40.0, -40.0]), [1, 0]):.6g}")
    4.24835e-18
    """
    from xentropy._pair import PairLoss

    inputs = Inputs(logits, "logits")
    leaf = inputs.array(targets, "targets", floating=False)
    inputs.fit(leaf, inputs.shape, "targets", "both must have the same shape")
    kind = inputs.backend.kind(leaf)
    if kind in ("complex floating", "other"):
        raise _errors.dtype("targets", "real", leaf.dtype)
    if kind == "integral":
        inputs.check_labels(leaf, 2, None, targets)
    reduced = _inputs.reduction(reduction)
    named, number = inputs.normalizer(normalizer, reduced)
    rule = PairLoss(
        inputs.dtype,
        kind == "integral",
        from_logits=_inputs.flag("from_logits", from_logits),
        label_smoothing=_inputs.fraction("label_smoothing", label_smoothing),
        reduction=reduced,
        normalizer=named,
    )
    weights = inputs.row_weights(sample_weights, None, normalizer, number)
    positive = _pos_weight(inputs, pos_weight)
    return Call(inputs.backend, rule, (inputs.x, leaf, positive, weights, number))


def rows(
    inputs: Inputs,
    targets: Any,
    source: Source,
    *,
    axis: Any,
    class_weights: Any,
    sample_weights: Any,
    ignore_index: Any,
    label_smoothing: Any,
    where: Any,
    reduction: Any,
    normalizer: Any,
    scale: Scaling = UNSCALED,
) -> tuple[RowLoss, tuple[Array | None, ...]]:
    """What the losses over classes have in common: the rule and its leaves, validated."""
    # Imported by the first call that needs it: `import xentropy` stays light.
    from xentropy._rows import RowLoss

    place = inputs.axis(axis)
    ignored = _inputs.integer_or_none("ignore_index", ignore_index)
    leaf, hard = inputs.targets(targets, place, ignored)
    reduced = _inputs.reduction(reduction)
    named, number = inputs.normalizer(normalizer, reduced)
    rule = RowLoss(
        inputs.dtype,
        inputs.backend.index_dtype,
        place,
        hard,
        source,
        ignored,
        _inputs.fraction("label_smoothing", label_smoothing),
        *scale,
        reduced,
        named,
    )
    return rule, (
        inputs.x,
        leaf,
        inputs.class_weights(class_weights, place),
        inputs.row_weights(sample_weights, place, normalizer, number),
        inputs.mask(where, place),
        number,
        None,
    )


def scaling(temperature: Any, softcap: Any, z_loss: Any) -> Scaling:
    """The options that mean something for logits only, validated."""
    return (
        _inputs.positive("temperature", temperature),
        None if softcap is None else _inputs.positive("softcap", softcap),
        _inputs.at_least_zero("z_loss", z_loss),
    )


def _only_logits(**options: Any) -> None:
    """Options that mean something for logits only must be left at their defaults."""
    for name, (value, default) in options.items():
        if value != default:
            raise _errors.option(name, f"{default} where from_logits is False", value)


def _pos_weight(inputs: Inputs, pos_weight: Any) -> Array | None:
    """A factor of the positive class: whatever spreads over the logits."""
    if pos_weight is None:
        return None
    array = inputs.weights(pos_weight, "pos_weight")
    shape = inputs.backend.shape(array)
    last = inputs.shape[len(inputs.shape) - len(shape) :]
    full = tuple(n if n == 1 else m for n, m in zip(shape, last, strict=False))
    if len(shape) > len(inputs.shape) or not _inputs.same_shape(shape, full):
        rule = "it must be one number, one for every entry of the last axis, or broadcast to them"
        raise _errors.shapes("pos_weight", shape, rule, inputs.name, inputs.shape)
    return array
