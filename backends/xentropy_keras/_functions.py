"""The losses as functions: what Keras hands over, as the core takes it."""

from __future__ import annotations

import warnings
from typing import Any

import keras
from keras import ops
from keras.src.backend import set_keras_mask

import xentropy as xe
from xentropy._pointwise import relative_entropy
from xentropy._typing import Array
from xentropy_keras._drop_in import drop_in
from xentropy_keras._tensors import (
    Given,
    alike,
    clipped,
    given,
    labels_of,
    normalized,
    smoothed,
    smoothed_pair,
)

#: The least normal numbers: a power of 0 has no slope.
_TINY = {"float32": 2.0**-126, "float64": 2.0**-1022}


@drop_in
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Cross-entropy with targets of the predictions' shape, as `keras.losses` has it.

    Parameters
    ----------
    y_true : array
        One-hot targets or probabilities.
    y_pred : array, floating
        Probabilities, or logits.
    from_logits : bool, default False
        Whether ``y_pred`` holds logits. Probabilities are normalized and clipped as in Keras.
    label_smoothing : float, default 0.0
        How much of the targets is spread over all classes of ``axis``.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    array
        The loss of every row, in the dtype of ``y_pred``. docs/drop-ins/keras.md lists what
        differs from Keras.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import categorical_crossentropy
    >>> loss = categorical_crossentropy(np.eye(3)[[0]], np.array([[0.7, 0.2, 0.1]]))
    >>> print(f"{float(loss[0]):.6f}")
    0.356675
    """
    name = "categorical_crossentropy"
    pred = given(y_pred, from_logits=from_logits, activation="Softmax", name=name)
    _check_classes(name, pred.x, axis)
    targets = smoothed(ops.cast(y_true, pred.x.dtype), label_smoothing, axis)
    x = pred.x if pred.from_logits else normalized(pred.x, axis)
    losses = xe.cross_entropy(x, targets, axis=axis, from_logits=pred.from_logits, reduction="none")
    return ops.cast(losses, pred.dtype)


@drop_in
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Array:
    """Cross-entropy with labels, as `keras.losses` has it.

    Parameters
    ----------
    y_true : array
        Labels, without the axis of the classes or with a length of 1 there.
    y_pred, from_logits, axis
        As in `categorical_crossentropy`; ``axis`` may be any axis.
    ignore_class : int, optional
        The label of rows whose loss is 0, and which the Keras mask of the result leaves out.

    Returns
    -------
    array
        The loss of every row, in the dtype of ``y_pred``.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import sparse_categorical_crossentropy
    >>> loss = sparse_categorical_crossentropy(np.array([0]), np.array([[0.7, 0.2, 0.1]]))
    >>> print(f"{float(loss[0]):.6f}")
    0.356675
    """
    name = "sparse_categorical_crossentropy"
    pred = given(y_pred, from_logits=from_logits, activation="Softmax", name=name)
    labels = labels_of(y_true, pred.x, axis)
    ignored = None if ignore_class is None else int(ignore_class)
    kept = None if ignored is None else ops.not_equal(labels, ignored)
    losses = xe.cross_entropy(
        _classes(pred, kept, axis),
        labels,
        axis=axis,
        from_logits=pred.from_logits,
        ignore_index=ignored,
        reduction="none",
    )
    losses = ops.cast(losses, pred.dtype)
    if kept is not None:
        set_keras_mask(losses, mask=kept)
    return losses


def _classes(pred: Given, kept: Array | None, axis: int) -> Array:
    """Logits as they are; probabilities normalized, except in rows that do not count."""
    if pred.from_logits:
        return pred.x
    x = pred.x
    if kept is not None:
        x = ops.where(ops.expand_dims(kept, axis), x, ops.ones_like(x))
    return normalized(x, axis)


@drop_in
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Any = -1,
) -> Array:
    """Binary cross-entropy, averaged over an axis, as `keras.losses` has it.

    Parameters
    ----------
    y_true : array
        Targets in [0, 1].
    y_pred : array of the same shape, floating
        Probabilities, or logits.
    from_logits : bool, default False
        Whether ``y_pred`` holds logits. Probabilities are clipped as in Keras.
    label_smoothing : float, default 0.0
        How far the targets are drawn to 1/2.
    axis : int, default -1
        What the loss is averaged over.

    Returns
    -------
    array
        The averages, in the dtype of ``y_pred``.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import binary_crossentropy
    >>> loss = binary_crossentropy(np.array([[0.0, 1.0]]), np.array([[0.6, 0.4]]))
    >>> print(f"{float(loss[0]):.6f}")
    0.916291
    """
    name = "binary_crossentropy"
    pred = given(y_pred, from_logits=from_logits, activation="Sigmoid", name=name)
    targets = smoothed_pair(ops.cast(y_true, pred.x.dtype), label_smoothing)
    return ops.cast(ops.mean(_pairs(pred, targets), axis=axis), pred.dtype)


def _pairs(pred: Given, targets: Array) -> Array:
    """The binary cross-entropy of every entry."""
    x = pred.x if pred.from_logits else clipped(pred.x)
    return xe.binary_cross_entropy(x, targets, from_logits=pred.from_logits, reduction="none")


@drop_in
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Focal loss over classes, as `keras.losses` has it.

    Parameters
    ----------
    y_true, y_pred, from_logits, label_smoothing, axis
        As in `categorical_crossentropy`.
    alpha : float or sequence of float, default 0.25
        A factor of all classes, or one for every class of ``axis``.
    gamma : float, default 2.0
        How fast the loss fades as a prediction gets better.

    Returns
    -------
    array
        The loss of every row, in the dtype of ``y_pred``.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import categorical_focal_crossentropy
    >>> loss = categorical_focal_crossentropy(np.eye(3)[[0]], np.array([[0.7, 0.2, 0.1]]))
    >>> print(f"{float(loss[0]):.6f}")
    0.008025
    """
    name = "categorical_focal_crossentropy"
    pred = given(y_pred, from_logits=from_logits, activation=None, name=name)
    _check_classes(name, pred.x, axis)
    targets = smoothed(ops.cast(y_true, pred.x.dtype), label_smoothing, axis)
    x, targets = alike(pred.x if pred.from_logits else normalized(pred.x, axis), targets)
    losses = xe.focal_loss(
        x,
        targets,
        gamma=gamma,
        alpha=ops.convert_to_tensor(alpha, dtype=x.dtype),
        axis=axis,
        from_logits=pred.from_logits,
        reduction="none",
    )
    return ops.cast(losses, pred.dtype)


@drop_in
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Any = -1,
) -> Array:
    """Binary focal loss, averaged over an axis, as `keras.losses` has it.

    Parameters
    ----------
    y_true, y_pred, from_logits, label_smoothing, axis
        As in `binary_crossentropy`.
    apply_class_balancing : bool, default False
        Whether ``alpha`` is applied.
    alpha : float, default 0.25
        The factor of positives, and 1 - alpha that of negatives.
    gamma : float, default 2.0
        How fast the loss fades as a prediction gets better.

    Returns
    -------
    array
        The averages, in the dtype of ``y_pred``.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import binary_focal_crossentropy
    >>> loss = binary_focal_crossentropy(np.array([[0.0, 1.0]]), np.array([[0.6, 0.4]]))
    >>> print(f"{float(loss[0]):.6f}")
    0.329865
    """
    name = "binary_focal_crossentropy"
    # From logits Keras takes the sigmoid of what it is given, without a look behind it.
    activation = None if from_logits else "Sigmoid"
    pred = given(y_pred, from_logits=from_logits, activation=activation, name=name)
    targets = smoothed_pair(ops.cast(y_true, pred.x.dtype), label_smoothing)
    losses = _missed(pred, targets, gamma) * _pairs(pred, targets)
    if apply_class_balancing:
        losses = losses * (targets * alpha + (1.0 - targets) * (1.0 - alpha))
    return ops.cast(ops.mean(losses, axis=axis), pred.dtype)


def _missed(pred: Given, targets: Array, gamma: float) -> Array:
    """(1 - p_t)^gamma with p_t = t p + (1 - t) (1 - p), of terms that do not cancel."""
    if gamma == 0:
        return ops.ones_like(targets)
    if pred.from_logits:
        yes, no = xe.sigmoid(pred.x), xe.sigmoid(-pred.x)
    else:
        yes, no = pred.x, 1.0 - pred.x
    wrong = targets * no + (1.0 - targets) * yes
    dtype = "float64" if "float64" in str(wrong.dtype) else "float32"
    return ops.power(ops.maximum(wrong, _TINY[dtype]), gamma)


@drop_in
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Array:
    """Generalized cross-entropy of labels, as `keras.losses` has it.

    Parameters
    ----------
    y_true : array
        Labels of shape (N,) or (N, 1).
    y_pred : array, floating
        Probabilities, which are neither clipped nor normalized.
    q : float
        The exponent, in (0, 1].

    Returns
    -------
    array
        The loss of every row, in the dtype of ``y_pred``.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import categorical_generalized_cross_entropy
    >>> probabilities = np.array([[0.7, 0.2, 0.1]])
    >>> loss = categorical_generalized_cross_entropy(np.array([0]), probabilities, 0.5)
    >>> print(f"{float(loss[0]):.6f}")
    0.326680
    """
    name = "categorical_generalized_cross_entropy"
    pred = given(y_pred, from_logits=False, activation=None, name=name)
    labels = labels_of(y_true, pred.x, -1)
    losses = xe.generalized_cross_entropy(pred.x, labels, q=q, from_logits=False, reduction="none")
    return ops.cast(losses, pred.dtype)


@drop_in
def kl_divergence(y_true: Any, y_pred: Any) -> Array:
    """Kullback-Leibler divergence of the predictions from the targets, as `keras.losses` has it.

    Parameters
    ----------
    y_true : array
        Probabilities.
    y_pred : array of the same shape, floating
        Probabilities. Both are clipped to [1e-7, 1] as in Keras.

    Returns
    -------
    array
        The divergence of every row, in the dtype of ``y_pred``.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import kl_divergence
    >>> loss = kl_divergence(np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]]))
    >>> print(f"{float(loss[0]):.6f}")
    0.368064
    """
    pred = given(y_pred, from_logits=False, activation=None, name="kl_divergence")
    least = keras.backend.epsilon()
    x = ops.clip(pred.x, least, 1.0)
    targets = ops.clip(ops.cast(y_true, x.dtype), least, 1.0)
    entries = relative_entropy(*alike(x, targets), source="probabilities")
    return ops.cast(ops.sum(entries, axis=-1), pred.dtype)


def _check_classes(name: str, x: Array, axis: Any) -> None:
    """What Keras says about an axis of the classes."""
    if isinstance(axis, bool):
        # Keras' class of error, whose text it is that is raised.
        raise ValueError(f"axis must be an integer, got {axis}")  # noqa: TRY004
    if -len(x.shape) <= axis < len(x.shape) and x.shape[axis] == 1:
        warnings.warn(
            f"In loss {name}, expected y_pred.shape to be (batch_size, num_classes) with "
            f"num_classes > 1. Received: y_pred.shape={x.shape}. Consider using "
            "'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
            stacklevel=4,
        )
