"""The losses as classes: Keras' own, with this package's functions inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import losses, ops

from xentropy._typing import Array
from xentropy_keras import _functions
from xentropy_keras._tensors import keep_logits, wide

_serializable = keras.saving.register_keras_serializable(package="xentropy")
_MEAN = "sum_over_batch_size"


class _Exact:
    """What the classes have in common: labels keep their dtype, narrow dtypes compute in float32.

    Keras casts both arguments to the dtype of the loss before the loss sees them.
    """

    name: str
    reduction: str | None
    dtype: str
    call: Callable[[Array, Array], Array]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Array:
        """The reduced loss: masks, weights and reductions are Keras' own."""
        true, pred = _tensor(y_true), _tensor(y_pred)

        def call(_: Array, converted: Array) -> Array:
            return self.call(true, keep_logits(pred, converted))

        inner = _Inner(self, call)
        return ops.cast(inner(true, pred, sample_weight), self.dtype)


class _Inner(losses.Loss):
    """A loss for the length of one call, in a dtype that is wide enough."""

    def __init__(self, outer: _Exact, call: Callable[[Array, Array], Array]) -> None:
        super().__init__(outer.name, outer.reduction, wide(outer.dtype))
        self.call = call


def _tensor(x: Any) -> Array:
    """Lists as tensors; tensors stay what they are, with their masks."""
    return ops.convert_to_tensor(x) if isinstance(x, list | tuple) else x


@_serializable
class CategoricalCrossentropy(_Exact, losses.CategoricalCrossentropy):
    """As `keras.losses.CategoricalCrossentropy`, with `categorical_crossentropy` of this package.

    Parameters
    ----------
    from_logits, label_smoothing, axis
        As in `categorical_crossentropy`.
    reduction : str or None, default "sum_over_batch_size"
        What becomes of the rows.
    name, dtype
        As in `keras.losses.Loss`; narrow dtypes are what the result is rounded to.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import CategoricalCrossentropy
    >>> loss = CategoricalCrossentropy(from_logits=True)
    >>> print(f"{float(loss(np.eye(3)[[0]], np.array([[2.0, 1.0, 0.1]]))):.6f}")
    0.417030
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.fn = _functions.categorical_crossentropy


@_serializable
class SparseCategoricalCrossentropy(_Exact, losses.SparseCategoricalCrossentropy):
    """As `keras.losses.SparseCategoricalCrossentropy`, with the function of this package.

    Parameters
    ----------
    from_logits, ignore_class, axis
        As in `sparse_categorical_crossentropy`.
    reduction, name, dtype
        As in `CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import SparseCategoricalCrossentropy
    >>> loss = SparseCategoricalCrossentropy(from_logits=True)
    >>> print(f"{float(loss(np.array([0]), np.array([[2.0, 1.0, 0.1]]))):.6f}")
    0.417030
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = _MEAN,
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, ignore_class, reduction, axis, name, dtype)
        self.fn = _functions.sparse_categorical_crossentropy
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        """Keras' configuration, and the axis, which it leaves out."""
        return {**super().get_config(), "axis": self.axis}


@_serializable
class BinaryCrossentropy(_Exact, losses.BinaryCrossentropy):
    """As `keras.losses.BinaryCrossentropy`, with `binary_crossentropy` of this package.

    Parameters
    ----------
    from_logits, label_smoothing, axis
        As in `binary_crossentropy`.
    reduction, name, dtype
        As in `CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import BinaryCrossentropy
    >>> loss = BinaryCrossentropy(from_logits=True)
    >>> print(f"{float(loss(np.array([[1.0]]), np.array([[1.5]]))):.6f}")
    0.201413
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Any = -1,
        reduction: str | None = _MEAN,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.fn = _functions.binary_crossentropy


@_serializable
class CategoricalFocalCrossentropy(_Exact, losses.CategoricalFocalCrossentropy):
    """As `keras.losses.CategoricalFocalCrossentropy`, with the function of this package.

    Parameters
    ----------
    alpha, gamma, from_logits, label_smoothing, axis
        As in `categorical_focal_crossentropy`.
    reduction, name, dtype
        As in `CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import CategoricalFocalCrossentropy
    >>> loss = CategoricalFocalCrossentropy(from_logits=True)
    >>> print(f"{float(loss(np.eye(3)[[0]], np.array([[2.0, 1.0, 0.1]]))):.6f}")
    0.012123
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = _MEAN,
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = (alpha, gamma, from_logits, label_smoothing, axis)
        super().__init__(*options, reduction, name, dtype)
        self.fn = _functions.categorical_focal_crossentropy


@_serializable
class BinaryFocalCrossentropy(_Exact, losses.BinaryFocalCrossentropy):
    """As `keras.losses.BinaryFocalCrossentropy`, with the function of this package.

    Parameters
    ----------
    apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis
        As in `binary_focal_crossentropy`.
    reduction, name, dtype
        As in `CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import BinaryFocalCrossentropy
    >>> loss = BinaryFocalCrossentropy(from_logits=True)
    >>> print(f"{float(loss(np.array([[1.0]]), np.array([[1.5]]))):.6f}")
    0.006703
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Any = -1,
        reduction: str | None = _MEAN,
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = (apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis)
        super().__init__(*options, reduction, name, dtype)
        self.fn = _functions.binary_focal_crossentropy


@_serializable
class CategoricalGeneralizedCrossEntropy(_Exact, losses.CategoricalGeneralizedCrossEntropy):
    """As `keras.losses.CategoricalGeneralizedCrossEntropy`, with the function of this package.

    Parameters
    ----------
    q : float, default 0.5
        The exponent, in (0, 1).
    reduction, name, dtype
        As in `CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import CategoricalGeneralizedCrossEntropy
    >>> loss = CategoricalGeneralizedCrossEntropy()
    >>> print(f"{float(loss(np.array([0]), np.array([[0.7, 0.2, 0.1]]))):.6f}")
    0.326680
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = _MEAN,
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(q, reduction, name, dtype)
        self.fn = _functions.categorical_generalized_cross_entropy


@_serializable
class KLDivergence(_Exact, losses.KLDivergence):
    """As `keras.losses.KLDivergence`, with `kl_divergence` of this package.

    Parameters
    ----------
    reduction, name, dtype
        As in `CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy_keras import KLDivergence
    >>> print(f"{float(KLDivergence()(np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]]))):.6f}")
    0.368064
    """

    def __init__(
        self, reduction: str | None = _MEAN, name: str | None = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.fn = _functions.kl_divergence
