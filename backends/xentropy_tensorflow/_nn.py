"""TensorFlow's own names for the losses and maps: the same arguments, computed by xentropy."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any, TypeVar, cast

import tensorflow as tf

import xentropy as xe
from xentropy import _errors
from xentropy._inputs import Inputs
from xentropy._typing import Array, DType
from xentropy_tensorflow._backend import backend

F = TypeVar("F", bound=Callable[..., Any])


def _like(native: Callable[..., Any]) -> Callable[[F], F]:
    """Raise the error of TensorFlow's function, where it has one, from that of a drop-in.

    Only eagerly: a graph that is traced shall not hold operations of both. AutoGraph has nothing
    to convert in a drop-in.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def outer(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except (TypeError, ValueError, IndexError, tf.errors.OpError) as ours:
                if not tf.executing_eagerly():
                    raise
                _errors.raise_as(native, args, kwargs, ours)
                raise

        return cast("F", tf.autograph.experimental.do_not_convert(outer))

    return decorate


@_like(tf.nn.softmax)
def softmax(logits: Any, axis: Any = None, name: str | None = None) -> Array:
    """Probabilities, as ``tf.nn.softmax``.

    Parameters
    ----------
    logits : tensor, floating
        Or anything that becomes one.
    axis : int, optional
        The axis of the classes; the last unless it is given.
    name : str, optional
        The name of the operation in a graph.

    Returns
    -------
    tensor
        Of the shape and dtype of the logits. docs/drop-ins/tensorflow.md lists what differs.

    Examples
    --------
    >>> import xentropy_tensorflow as nn
    >>> print(nn.softmax([2.0, 1.0, 0.1]).numpy().round(4))
    [0.659  0.2424 0.0986]
    """
    with tf.name_scope(name or "Softmax") as scope:
        x = _tensor(logits)
        return _output(xe.softmax(x, axis=_axis(axis)), x.dtype, scope)


@_like(tf.nn.log_softmax)
def log_softmax(logits: Any, axis: Any = None, name: str | None = None) -> Array:
    """Logarithms of probabilities, as ``tf.nn.log_softmax``.

    Parameters
    ----------
    logits, axis, name
        As in `softmax`.

    Returns
    -------
    tensor
        Of the shape and dtype of the logits. docs/drop-ins/tensorflow.md lists what differs.

    Examples
    --------
    >>> import xentropy_tensorflow as nn
    >>> print(nn.log_softmax([40.0, 0.0]).numpy())
    [-4.248354e-18 -4.000000e+01]
    """
    with tf.name_scope(name or "LogSoftmax") as scope:
        x = _tensor(logits)
        return _output(xe.log_softmax(x, axis=_axis(axis)), x.dtype, scope)


@_like(tf.reduce_logsumexp)
def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Array:
    """The logarithm of a sum of exponentials, as ``tf.reduce_logsumexp``.

    Parameters
    ----------
    input_tensor : tensor, floating
        Exponents.
    axis : int or list of int, optional
        What is summed over; all axes unless it is given, and each entry by itself for ``[]``.
    keepdims : bool, default False
        Whether summed axes stay with length 1.
    name : str, optional
        The name of the operation in a graph.

    Returns
    -------
    tensor
        Of the dtype of the input. docs/drop-ins/tensorflow.md lists what differs.

    Examples
    --------
    >>> import xentropy_tensorflow as nn
    >>> print(nn.reduce_logsumexp([[0.0, -40.0], [-40.0, 0.0]], axis=1).numpy())
    [4.248354e-18 4.248354e-18]
    """
    with tf.name_scope(name or "ReduceLogSumExp") as scope:
        x, axes = _tensor(input_tensor), _axes(axis)
        if _sums_nothing(x, axes):
            value = tf.reduce_max(x, axis=axes, keepdims=keepdims)
        else:
            value = xe.logsumexp(x, axis=axes, keepdims=bool(keepdims))
        return _output(value, x.dtype, scope)


@_like(tf.nn.softmax_cross_entropy_with_logits)
def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: Any = -1, name: str | None = None
) -> Array:
    """Cross-entropy with probabilities, as ``tf.nn.softmax_cross_entropy_with_logits``.

    Parameters
    ----------
    labels : tensor of any real dtype
        Probabilities, which need not sum to 1, of the shape of the logits; one row, or one
        column, serves all.
    logits : tensor, floating
        Logits.
    axis : int, default -1
        The axis of the classes.
    name : str, optional
        The name of the operation in a graph.

    Returns
    -------
    tensor
        The loss of every row, in the dtype of the logits, with derivatives of every order to both.
        docs/drop-ins/tensorflow.md lists what differs.

    Examples
    --------
    >>> import xentropy_tensorflow as nn
    >>> print(nn.softmax_cross_entropy_with_logits(labels=[[1, 0]], logits=[[30.0, 0.0]]).numpy())
    [9.357623e-14]
    """
    with tf.name_scope(name or "softmax_cross_entropy_with_logits") as scope:
        x, place = _tensor(logits), _axis(axis)
        t = tf.cast(_tensor(labels), backend.compute_dtype(x))
        if t.shape == x.shape and x.shape.is_fully_defined():
            value = xe.cross_entropy(x, t, axis=place, reduction="none")
        else:
            value = _broadcast_rows(x, t, place)
        return _output(value, x.dtype, scope)


@_like(tf.nn.sparse_softmax_cross_entropy_with_logits)
def sparse_softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, name: str | None = None
) -> Array:
    """Cross-entropy with labels, as ``tf.nn.sparse_softmax_cross_entropy_with_logits``.

    Parameters
    ----------
    labels : tensor of any integer dtype
        Classes, of the shape of the logits without their last axis.
    logits : tensor, floating
        Logits, the classes along the last axis.
    name : str, optional
        The name of the operation in a graph.

    Returns
    -------
    tensor
        The loss of every row, in the dtype of the logits. docs/drop-ins/tensorflow.md lists what
        differs.

    Examples
    --------
    >>> import xentropy_tensorflow as nn
    >>> print(nn.sparse_softmax_cross_entropy_with_logits([0], [[30.0, 0.0]]).numpy())
    [9.357623e-14]
    """
    with tf.name_scope(name or "SparseSoftmaxCrossEntropyWithLogits") as scope:
        x, t = _tensor(logits), _tensor(labels)
        if None not in (x.shape.rank, t.shape.rank) and t.shape.rank != x.shape.rank - 1:
            raise ValueError(
                f"labels must have the shape of the logits without the last axis, "
                f"got {t.shape} and {x.shape}"
            )
        value = xe.cross_entropy(x, t, reduction="none")
        return _output(value, x.dtype, scope)


@_like(tf.nn.sigmoid_cross_entropy_with_logits)
def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: str | None = None
) -> Array:
    """Binary cross-entropy of every entry, as ``tf.nn.sigmoid_cross_entropy_with_logits``.

    Parameters
    ----------
    labels : tensor of the shape of the logits
        Probabilities of the positive class, or 0 and 1 in any dtype.
    logits : tensor, floating
        Logits of the positive class.
    name : str, optional
        The name of the operation in a graph.

    Returns
    -------
    tensor
        The loss of every entry, in the dtype of the logits. docs/drop-ins/tensorflow.md lists what
        differs.

    Examples
    --------
    >>> import xentropy_tensorflow as nn
    >>> loss = nn.sigmoid_cross_entropy_with_logits(labels=[1.0, 0.0], logits=[40.0, -40.0])
    >>> print(loss.numpy())
    [4.248354e-18 4.248354e-18]
    """
    with tf.name_scope(name or "logistic_loss") as scope:
        x, t = _pair(logits, labels)
        if not _fully_defined(x, t):
            x, t = _spread(x, t)
        return _output(xe.binary_cross_entropy(x, t, reduction="none"), x.dtype, scope)


@_like(tf.nn.weighted_cross_entropy_with_logits)
def weighted_cross_entropy_with_logits(
    labels: Any, logits: Any, pos_weight: Any, name: str | None = None
) -> Array:
    """Weighted binary cross-entropy, as ``tf.nn.weighted_cross_entropy_with_logits``.

    Parameters
    ----------
    labels, logits, name
        As in `sigmoid_cross_entropy_with_logits`.
    pos_weight : number or tensor
        The factor of the positive class; it broadcasts with the logits.

    Returns
    -------
    tensor
        The loss of every entry, in the dtype of the logits, with a gradient to ``pos_weight`` too.
        docs/drop-ins/tensorflow.md lists what differs.

    Examples
    --------
    >>> import xentropy_tensorflow as nn
    >>> print(nn.weighted_cross_entropy_with_logits([1.0], [40.0], pos_weight=2.0).numpy())
    [8.496708e-18]
    """
    with tf.name_scope(name or "logistic_loss") as scope:
        x, t = _pair(logits, labels)
        weight: Any
        if isinstance(pos_weight, numbers.Real):
            weight = float(pos_weight)
            if not _fully_defined(x, t):
                x, t = _spread(x, t)
        else:
            weight = _tensor(pos_weight)
            joint = tf.broadcast_static_shape(x.shape, weight.shape)
            if joint != x.shape or not _fully_defined(x, t, weight):
                x, t, weight = _spread(x, t, weight)
        value = xe.binary_cross_entropy(x, t, pos_weight=weight, reduction="none")
        return _output(value, x.dtype, scope)


def _tensor(value: Any) -> Array:
    """A dense tensor of known rank; the core says why it takes no ragged or sparse one."""
    if isinstance(value, tf.RaggedTensor | tf.SparseTensor):
        from xentropy._dispatch import backend_of

        backend_of(value, "a tensor")
    tensor = tf.convert_to_tensor(value)
    if tensor.shape.rank is None:
        raise ValueError("a tensor of unknown rank is not supported: set its shape's rank")
    return tensor


def _output(value: Array, dtype: DType, scope: str) -> Array:
    """The result in the dtype of the input; in a graph under the name that was asked for."""
    value = tf.cast(value, dtype)
    return value if tf.executing_eagerly() else tf.identity(value, name=scope)


def _axis(axis: Any) -> Any:
    """None is the last axis; a tensor is the number that it holds."""
    return -1 if axis is None else _known(axis)


def _axes(axis: Any) -> Any:
    """None is all axes; lists and tensors are what they hold."""
    if axis is None or isinstance(axis, int):
        return axis
    if isinstance(axis, list | tuple):
        return tuple(map(_known, axis))
    held = _known(axis)
    listed = held.tolist() if hasattr(held, "tolist") else held
    return tuple(listed) if isinstance(listed, list) else listed


def _known(axis: Any) -> Any:
    """What a tensor holds, which must be known while tracing."""
    if not tf.is_tensor(axis):
        return axis
    value = tf.get_static_value(axis)
    if value is None:
        raise ValueError("axis must be known while tracing, got a tensor that is not")
    return value


def _sums_nothing(x: Array, axes: Any) -> bool:
    """Whether a sum goes over an axis of length 0: the maximum is -inf then, as its logarithm."""
    lengths = x.shape.as_list()
    if 0 not in lengths:
        return False
    summed = range(len(lengths)) if axes is None else axes if isinstance(axes, tuple) else (axes,)
    return x.dtype.is_floating and any(
        isinstance(i, int) and -len(lengths) <= i < len(lengths) and lengths[i] == 0 for i in summed
    )


def _broadcast_rows(x: Array, t: Array, axis: Any) -> Array:
    """The losses where labels may have to be broadcast, as TensorFlow's operation does it.

    It flattens both to rows, so that one row of labels serves all, and labels of another shape
    with as many rows are taken; where lengths are unknown, that is found out by the graph. Rows
    are broadcast to those of the logits, classes either way.
    """
    place = Inputs(x, "logits").axis(axis)
    rows = x.shape[:place] + x.shape[place + 1 :]
    if place != x.shape.rank - 1:
        t = tf.ensure_shape(t, [None] * x.shape.rank)
        last = [*range(place), *range(place + 1, x.shape.rank), place]
        x, t = tf.transpose(x, last), tf.transpose(t, last)
    shape = tf.shape(x)[:-1]
    x, t = _flat(x), _flat(t)
    if x.shape[1] is None or x.shape[1] != t.shape[1]:
        classes = tf.broadcast_dynamic_shape(tf.shape(x)[1:], tf.shape(t)[1:])
        x = tf.broadcast_to(x, tf.concat([tf.shape(x)[:1], classes], 0))
    t = tf.broadcast_to(t, tf.shape(x))
    losses = tf.reshape(xe.cross_entropy(x, t, reduction="none"), shape)
    return tf.ensure_shape(losses, rows)


def _flat(x: Array) -> Array:
    """Rows of classes."""
    classes = x.shape[-1]
    return tf.reshape(x, [-1, tf.shape(x)[-1] if classes is None else classes])


def _pair(logits: Any, labels: Any) -> tuple[Array, Array]:
    """Logits and labels of one shape, as far as it is known."""
    x, t = _tensor(logits), _tensor(labels)
    if not t.shape.is_compatible_with(x.shape):
        raise ValueError(f"labels and logits must have one shape, got {t.shape} and {x.shape}")
    return x, t


def _fully_defined(*tensors: Array) -> bool:
    return all(tensor.shape.is_fully_defined() for tensor in tensors)


def _spread(*tensors: Array) -> list[Array]:
    """All broadcast to one shape, each with a gradient of its own shape, whatever is unknown."""
    known = functools.reduce(tf.broadcast_static_shape, [tensor.shape for tensor in tensors])
    shape = functools.reduce(tf.broadcast_dynamic_shape, [tf.shape(one) for one in tensors])
    return [tf.ensure_shape(tf.broadcast_to(one, shape), known) for one in tensors]
