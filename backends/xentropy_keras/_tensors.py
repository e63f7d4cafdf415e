"""What Keras does to the tensors of a loss before it computes: dtypes, labels, probabilities."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import keras
from keras import ops

from xentropy._typing import Array

#: Integers that every framework can compare with every Python integer once they are wider.
_NARROW = ("int8", "int16", "uint8", "uint16")


class Given(NamedTuple):
    """The predictions as a loss takes them: wide enough to compute with, and what they are.

    ``dtype`` is that of the result.
    """

    x: Array
    from_logits: bool
    dtype: str


def given(y_pred: Any, *, from_logits: bool, activation: str | None, name: str) -> Given:
    """The predictions of the loss ``name``, or the logits that Keras knows to be behind them.

    On TensorFlow Keras computes from the logits where it sees that the predictions are the
    ``activation`` of them; so does this.
    """
    x = ops.convert_to_tensor(y_pred)
    dtype = floating(x)
    logits = None
    if activation is not None and keras.backend.backend() == "tensorflow":
        logits = _behind(x, activation)
    if logits is not None and from_logits:
        warnings.warn(
            f'"`{name}` received `from_logits=True`, but the `output` argument was produced by a '
            f"{activation} activation and thus does not represent logits. Was this intended?",
            stacklevel=4,
        )
    if logits is None:
        return Given(ops.cast(x, wide(dtype)), from_logits, dtype)
    return Given(ops.cast(logits, wide(dtype)), True, dtype)


def _behind(x: Array, activation: str) -> Array | None:
    """The logits that a tensor of TensorFlow is the activation of, where that can be seen."""
    logits = getattr(x, "_keras_logits", None)
    operation = getattr(x, "op", None)  # eager tensors have none
    if logits is None and operation is not None and operation.type == activation:
        logits = operation.inputs[0]
    return logits


def keep_logits(x: Array, converted: Array) -> Array:
    """Predictions in another dtype, with what Keras has noted about them."""
    logits = getattr(x, "_keras_logits", None)
    if logits is not None and converted is not x:
        converted._keras_logits = logits
    return converted


def floating(x: Array) -> str:
    """The dtype of predictions, Keras' own for integers."""
    dtype: str = keras.backend.standardize_dtype(x.dtype)
    return dtype if keras.backend.is_float_dtype(dtype) else keras.backend.floatx()


def wide(dtype: str) -> str:
    """The dtype to compute in: 1 - 1e-7 is 1 in the narrow ones, and sums of rows overflow."""
    return dtype if dtype == "float64" else "float32"


def labels_of(y_true: Any, like: Array, axis: int) -> Array:
    """Labels as integers, never by way of a floating dtype; (N, 1) becomes (N,) as in Keras."""
    labels = ops.convert_to_tensor(y_true)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if not keras.backend.is_int_dtype(dtype) or dtype in _NARROW:
        labels = ops.cast(labels, "int32")
    if len(labels.shape) == len(like.shape) and labels.shape[axis] == 1:
        labels = ops.squeeze(labels, axis=axis)
    return labels


def smoothed(targets: Array, amount: float, axis: int) -> Array:
    """Keras' smoothing, which spreads over all classes whatever a row sums to."""
    if not amount:
        return targets
    count = ops.cast(ops.shape(targets)[axis], targets.dtype)
    return targets * (1.0 - amount) + amount / count


def smoothed_pair(targets: Array, amount: float) -> Array:
    """Keras' smoothing of the targets of two classes."""
    return targets * (1.0 - amount) + 0.5 * amount if amount else targets


def normalized(x: Array, axis: int) -> Array:
    """Keras' probabilities: made to sum to 1, then clipped."""
    return clipped(x / ops.sum(x, axis=axis, keepdims=True))


def clipped(x: Array) -> Array:
    """Keras' clipping."""
    epsilon = keras.backend.epsilon()
    return ops.clip(x, epsilon, 1.0 - epsilon)


def alike(x: Array, y: Array) -> tuple[Array, Array]:
    """Two tensors of one shape, broadcast as Keras does where they can be."""
    pairs = list(zip(reversed(x.shape), reversed(y.shape), strict=False))
    fits = all(n == m or 1 in (n, m) for n, m in pairs)
    if tuple(x.shape) == tuple(y.shape) or not fits:
        return x, y
    return x + ops.zeros_like(y), y + ops.zeros_like(x)
