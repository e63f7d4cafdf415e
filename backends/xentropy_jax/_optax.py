"""Drop-ins for optax.losses: the classification losses and smooth_labels."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import xentropy as xe
from xentropy._call import call_of
from xentropy._links import Poly
from xentropy._pointwise import faded, relative_entropy
from xentropy_jax._arrays import (
    Axis,
    Classes,
    array,
    axes_of,
    flags,
    floating,
    from_the_end,
    inexact,
    integral,
    wide,
)
from xentropy_jax._native import stands_for

_OPTAX = "optax.losses"


@stands_for(_OPTAX)
def softmax_cross_entropy(
    logits: Any, labels: Any, axis: Axis = -1, where: Any = None
) -> jax.Array:
    """As `optax.softmax_cross_entropy`.

    Parameters
    ----------
    logits : array, floating
        Unnormalized log-probabilities.
    labels : array
        Probabilities or a one-hot of any real dtype, broadcast against the logits.
    axis : int, tuple of int or None, default -1
        The axes that hold the classes together; None for all.
    where : array of bool, optional
        True at the rows that count, or with all dimensions at the classes that do.

    Returns
    -------
    array
        The loss of every row, of the dtype that logits and labels promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import softmax_cross_entropy
    >>> print(softmax_cross_entropy(jnp.array([30.0, 0.0]), jnp.array([1.0, 0.0])))
    9.357623e-14
    """
    return _dense(logits, array(labels, "labels"), axis, where).loss()


@stands_for(_OPTAX)
def safe_softmax_cross_entropy(logits: Any, labels: Any) -> jax.Array:
    """As `optax.safe_softmax_cross_entropy`.

    Parameters
    ----------
    logits : array, floating, shape (..., K)
        Unnormalized log-probabilities.
    labels : array
        Probabilities or a one-hot, broadcast against the logits.

    Returns
    -------
    array
        The loss of every row, of the dtype that logits and labels promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import safe_softmax_cross_entropy
    >>> print(safe_softmax_cross_entropy(jnp.array([0.0, -jnp.inf]), jnp.array([1.0, 0.0])))
    0.0
    """
    return _dense(logits, array(labels, "labels"), -1, None).loss()


@stands_for(_OPTAX)
def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: Any = -1, where: Any = None
) -> jax.Array:
    """As `optax.softmax_cross_entropy_with_integer_labels`.

    Parameters
    ----------
    logits : array, floating
        Unnormalized log-probabilities.
    labels : array of integers
        The class of every row; for several axes a flat index into them, in the order given.
    axis : int or tuple of int, default -1
        The axes that hold the classes together.
    where : array of bool, optional
        True at the rows that count, or with all dimensions at the classes that do.

    Returns
    -------
    array
        The loss of every row, of the logits' dtype.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import softmax_cross_entropy_with_integer_labels
    >>> print(softmax_cross_entropy_with_integer_labels(jnp.array([30.0, 0.0]), jnp.array(0)))
    9.357623e-14
    """
    x, index = floating(logits, "logits"), integral(labels, "labels")
    if not isinstance(axis, int | tuple):
        rule = f"axis must be an int or a tuple of them, got {type(axis)}"
        raise ValueError(rule)  # noqa: TRY004 - the class that optax raises
    axes = axes_of(axis, x.ndim)
    mask = None if where is None else _mask(where, x.ndim, axes)
    classes = _common(x.shape, () if mask is None else mask.shape, axes)
    rows = _rows(classes, index)
    x, index = _labelled(classes, x, rows), jnp.broadcast_to(index, rows)
    kept = None
    if mask is not None:
        mask = _labelled(classes, mask, rows)
        index, kept = _kept(mask, index, classes.axis)
    value: jax.Array = xe.cross_entropy(
        x, index, axis=classes.axis, where=mask, sample_weights=kept, reduction="none"
    )
    return value.astype(x.dtype)


@stands_for(_OPTAX)
def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> jax.Array:
    """As `optax.sigmoid_binary_cross_entropy`.

    Parameters
    ----------
    logits : array, floating
        Logits of the positive class.
    labels : array
        0 and 1 in any dtype, or probabilities, broadcast against the logits.

    Returns
    -------
    array
        The loss of every element, of the logits' dtype.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import sigmoid_binary_cross_entropy
    >>> print(sigmoid_binary_cross_entropy(jnp.array([2.0, -1.0]), jnp.array([1, 0])).round(6))
    [0.126928 0.313262]
    """
    x, t = _pair(logits, labels)
    value: jax.Array = xe.binary_cross_entropy(x, t, reduction="none")
    return value.astype(x.dtype)


@stands_for(_OPTAX)
def sigmoid_focal_loss(
    logits: Any, labels: Any, *, alpha: Any = None, gamma: Any = 2.0
) -> jax.Array:
    """As `optax.losses.sigmoid_focal_loss`.

    Parameters
    ----------
    logits : array, floating
        Logits of the positive class.
    labels : array
        0 and 1 in any dtype, or probabilities, broadcast against the logits.
    alpha : number or array, optional
        The factor of positives, and 1 - alpha that of negatives.
    gamma : number or array, default 2.0
        The exponent of the probability that is missing.

    Returns
    -------
    array
        The loss of every element, of the dtype that logits, alpha and gamma promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import sigmoid_focal_loss
    >>> print(sigmoid_focal_loss(jnp.array(1.5), jnp.array(1), alpha=0.25).round(8))
    0.00167571
    """
    x, t = _pair(logits, labels)
    dtype = inexact(x, gamma, *(() if alpha is None else (alpha,)))
    compute = wide(dtype)
    x, t = x.astype(compute), t.astype(compute)
    power = jnp.asarray(gamma, compute)
    x, t, power = jnp.broadcast_arrays(x, t, power)
    loss = xe.binary_cross_entropy(x, t, reduction="none")
    loss = faded(loss, _log_miss(x, t), power)
    if alpha is not None:
        share = jnp.asarray(alpha, compute)
        loss = (share * t + (1 - share) * (1 - t)) * loss
    return loss.astype(dtype)


@stands_for(_OPTAX)
def poly_loss_cross_entropy(
    logits: Any, labels: Any, *, epsilon: Any = 2.0, axis: Axis = -1, where: Any = None
) -> jax.Array:
    """As `optax.losses.poly_loss_cross_entropy`.

    Parameters
    ----------
    logits : array, floating
        Unnormalized log-probabilities.
    labels : array, floating
        Probabilities or a one-hot, broadcast against the logits.
    epsilon : number or array, default 2.0
        The weight of the first term in 1 - p.
    axis, where
        As in `softmax_cross_entropy`.

    Returns
    -------
    array
        The loss of every row, of the dtype that logits, labels and epsilon promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import poly_loss_cross_entropy
    >>> logits, labels = jnp.array([2.0, 1.0, 0.1]), jnp.array([1.0, 0.0, 0.0])
    >>> print(poly_loss_cross_entropy(logits, labels).round(5))
    1.09903
    """
    given = _dense(logits, floating(labels, "labels"), axis, where)
    dtype = inexact(jnp.zeros((), given.dtype), epsilon)
    if isinstance(epsilon, int | float) and math.isfinite(epsilon):
        return given.loss(link=Poly(float(epsilon))).astype(dtype)
    # With weights 1 + epsilon and -epsilon nothing cancels where epsilon is in [-1, 0], and
    # elsewhere little: the loss is at least the first part.
    given = given._replace(dtype=wide(dtype))
    plain, least = given.loss(), given.loss(link=Poly(-1.0))
    weight = jnp.asarray(epsilon, plain.dtype)
    value = (1 + weight) * plain - weight * least
    return jnp.where(jnp.isinf(plain), plain, value).astype(dtype)


@stands_for(_OPTAX)
def kl_divergence(
    log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None
) -> jax.Array:
    """As `optax.losses.kl_divergence`.

    Parameters
    ----------
    log_predictions : array, floating
        Log-probabilities, taken as they are.
    targets : array, floating
        Probabilities, broadcast against them.
    axis : int, tuple of int or None, default -1
        What is summed over; None for all.
    where : array of bool, optional
        True at the entries that count.

    Returns
    -------
    array
        Of the dtype that both promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import kl_divergence
    >>> print(kl_divergence(jnp.log(jnp.array([0.5, 0.5])), jnp.array([0.9, 0.1])).round(6))
    0.368064
    """
    return _divergence(log_predictions, targets, "targets", axis, where)


@stands_for(_OPTAX)
def kl_divergence_with_log_targets(
    log_predictions: Any, log_targets: Any, axis: Axis = -1, where: Any = None
) -> jax.Array:
    """As `optax.losses.kl_divergence_with_log_targets`.

    Parameters
    ----------
    log_predictions, axis, where
        As in `kl_divergence`.
    log_targets : array, floating
        Log-probabilities, broadcast against the predictions.

    Returns
    -------
    array
        Of the dtype that both promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import kl_divergence_with_log_targets
    >>> p, t = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.9, 0.1]))
    >>> print(kl_divergence_with_log_targets(p, t).round(6))
    0.368064
    """
    name = "log_targets"
    return _divergence(
        log_predictions, log_targets, name, axis, where, targets_are="log_probabilities"
    )


@stands_for(_OPTAX)
def generalized_kl_divergence(
    log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None
) -> jax.Array:
    """As `optax.losses.generalized_kl_divergence`.

    Parameters
    ----------
    log_predictions, targets, axis, where
        As in `kl_divergence`; neither need sum to 1.

    Returns
    -------
    array
        Of the dtype that both promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import generalized_kl_divergence
    >>> p, t = jnp.log(jnp.array([0.5, 0.5])), jnp.array([0.9, 0.2])
    >>> print(generalized_kl_divergence(p, t).round(6))
    0.24575
    """
    return _divergence(log_predictions, targets, "targets", axis, where, generalized=True)


def convex_kl_divergence(
    log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None
) -> jax.Array:
    """As `optax.losses.convex_kl_divergence`: the deprecated name of generalized_kl_divergence.

    Parameters
    ----------
    log_predictions, targets, axis, where
        As in `generalized_kl_divergence`.

    Returns
    -------
    array
        The same.

    Examples
    --------
    >>> import warnings
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import convex_kl_divergence
    >>> with warnings.catch_warnings(action="ignore"):
    ...     print(convex_kl_divergence(jnp.log(jnp.array([0.5, 0.5])), jnp.array([0.9, 0.2])))
    0.2457...
    """
    message = (
        "The function convex_kl_divergence is deprecated. "
        "Please use generalized_kl_divergence instead."
    )
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return generalized_kl_divergence(log_predictions, targets, axis=axis, where=where)


@stands_for(_OPTAX)
def smooth_labels(labels: Any, alpha: Any, *, axis: Axis = -1, where: Any = None) -> jax.Array:
    """As `optax.losses.smooth_labels`.

    Parameters
    ----------
    labels : array, floating
        A one-hot, or probabilities.
    alpha : number or array
        How much of them is spread evenly.
    axis : int, tuple of int or None, default -1
        The axes that hold the classes together; None for all.
    where : array of bool, optional
        True at the classes that are counted.

    Returns
    -------
    array
        Of the dtype that labels and alpha promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import smooth_labels
    >>> print(smooth_labels(jnp.array([1.0, 0.0, 0.0, 0.0]), 0.2).round(6))
    [0.85 0.05 0.05 0.05]
    """
    given = floating(labels, "labels")
    # A division makes integers a float of their own.
    dtype = jax.eval_shape(lambda t, part: t + part / 1, given, alpha).dtype
    share = jnp.asarray(alpha, wide(dtype))
    if where is None:
        axes = axes_of(axis, given.ndim)
        count: Any = Classes(given.shape, axes).number
    else:
        mask = array(where, "where")
        count = jnp.sum(mask, axis=axes_of(axis, mask.ndim), keepdims=True)
    value: jax.Array = (1 - share) * given.astype(share.dtype) + share / count
    return value.astype(dtype)


# What the losses have in common.


class _Dense(NamedTuple):
    """Logits and labels of one shape, with one axis of classes, and which of these take part."""

    classes: Classes
    logits: jax.Array
    labels: jax.Array
    mask: jax.Array | None
    dtype: Any

    def loss(self, **fields: Any) -> jax.Array:
        """The cross-entropy of every row, with some fields of its rule changed."""
        if self.classes.number == 0:
            return jnp.zeros(self.classes.rows, self.dtype)
        call = call_of(
            xe.cross_entropy,
            self.logits,
            self.labels,
            axis=self.classes.axis,
            where=self.mask,
            reduction="none",
        )
        value: jax.Array = call.changed(**fields).value()
        return value.astype(self.dtype)


def _dense(logits: Any, labels: jax.Array, axis: Axis, where: Any) -> _Dense:
    """The arrays of a loss over classes; a label at a class that takes no part is not counted."""
    x = floating(logits, "logits")
    axes = axes_of(axis, x.ndim)
    mask = None if where is None else _mask(where, x.ndim, axes)
    other = labels.shape if mask is None else jnp.broadcast_shapes(labels.shape, mask.shape)
    if len(other) > x.ndim and not from_the_end(axis):
        raise ValueError(
            f"labels of shape {other} have more dimensions than logits of shape {x.shape}: "
            "axis must count from the end, in negative numbers"
        )
    classes = _common(x.shape, other, axes)
    dtype = jnp.result_type(x, labels)
    if jnp.issubdtype(dtype, jnp.floating):
        x = x.astype(dtype)
    x, t = (classes.together(jnp.broadcast_to(one, classes.shape)) for one in (x, labels))
    if mask is None:
        return _Dense(classes, x, t, None, dtype)
    mask = classes.together(jnp.broadcast_to(mask, classes.shape))
    return _Dense(classes, x, jnp.where(mask, t, jnp.zeros_like(t)), mask, dtype)


def _mask(where: Any, ndim: int, axes: tuple[int, ...]) -> jax.Array:
    """Which entries take part; what lacks the axes of the classes says it of whole rows."""
    mask = flags(where)
    return mask if mask.ndim == ndim else jnp.expand_dims(mask, axes)


def _common(shape: tuple[int, ...], other: tuple[int, ...], axes: tuple[int, ...]) -> Classes:
    """The shape that both spread to; the classes are those of the first."""
    found = jnp.broadcast_shapes(shape, other)
    more = len(found) - len(shape)
    moved = tuple(axis + more for axis in axes)
    if any(found[there] != shape[here] for here, there in zip(axes, moved, strict=True)):
        raise ValueError(
            f"logits of shape {shape} and labels or where of shape {other} differ in the number "
            f"of classes, along the axes {axes}"
        )
    return Classes(found, moved)


def _labelled(classes: Classes, x: jax.Array, rows: tuple[int, ...]) -> jax.Array:
    """An array of rows with one axis of classes, spread over the rows that labels have."""
    x = classes.together(jnp.broadcast_to(x, classes.shape))
    axis = classes.axis % x.ndim
    return jnp.broadcast_to(x, (*rows[:axis], classes.number, *rows[axis:]))


def _rows(classes: Classes, labels: jax.Array) -> tuple[int, ...]:
    """The rows that logits and labels spread to."""
    if labels.ndim != len(classes.rows):
        raise ValueError(
            f"labels of shape {labels.shape} do not fit logits whose shape without the classes "
            f"is {classes.rows}"
        )
    return jnp.broadcast_shapes(classes.rows, labels.shape)


def _kept(mask: jax.Array, labels: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Labels of the rows that count, and which those are: a row without a class may have any."""
    taken = jnp.any(mask, axis=axis)
    return jnp.where(taken, labels, jnp.zeros_like(labels)), taken


def _pair(logits: Any, labels: Any) -> tuple[jax.Array, jax.Array]:
    """Logits of two classes, and the probability of the first of them."""
    x, t = floating(logits, "logits"), array(labels, "labels")
    if not jnp.issubdtype(t.dtype, jnp.inexact):
        t = t.astype(wide(x.dtype))
    x, t = jnp.broadcast_arrays(x, t)
    return x, t


def _log_miss(x: jax.Array, t: jax.Array) -> jax.Array:
    """The logarithm of what the probability of the labels lacks; NaN where that is negative."""
    # Far out the derivative by a label of 0 or 1 would overflow, only to be multiplied by a loss
    # that is as small. There the label is a choice: its gradient lacks a part of gamma / abs(x).
    far = jnp.abs(x) > (700.0 if x.dtype == jnp.float64 else 80.0)
    chosen = far & ((t == 0) | (t == 1))
    near = jnp.where(chosen, jnp.zeros_like(x), x)
    both = jnp.stack([xe.log_sigmoid(near), xe.log_sigmoid(-near)], axis=-1)
    factors = jnp.stack([1 - t, t], axis=-1)
    value, sign = xe.logsumexp(both, b=factors, return_sign=True)
    value = jnp.where(sign < 0, jnp.nan, value)
    return jnp.where(chosen, xe.log_sigmoid(jnp.where(t == 1, -x, x)), value)


def _divergence(
    log_predictions: Any, targets: Any, name: str, axis: Axis, where: Any, **options: Any
) -> jax.Array:
    """The relative entropies of the entries that count, summed."""
    given = [floating(log_predictions, "log_predictions"), floating(targets, name)]
    dtype = jnp.result_type(*given)
    mask = jnp.ones((), bool) if where is None else flags(where)
    p, t, mask = jnp.broadcast_arrays(*(one.astype(dtype) for one in given), mask)
    if where is not None:
        p, t = (jnp.where(mask, one, jnp.zeros_like(one)) for one in (p, t))
    terms: jax.Array = relative_entropy(p, t, **options)
    axes = axes_of(axis, p.ndim)
    return jnp.sum(terms, axis=axes, where=None if where is None else mask).astype(dtype)
