"""What makes a function a drop-in: symbolic tensors, serialisation, and Keras' errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, cast

import keras

from xentropy import _errors
from xentropy._typing import Array

P = ParamSpec("P")
Function = Callable[..., Array]

#: The functions by name, for what is recorded in a graph of symbolic tensors.
_functions: dict[str, Function] = {}


def drop_in(function: Callable[P, Array]) -> Callable[P, Array]:
    """Make the drop-in for the function of ``keras.losses`` that has the same name."""
    twin: Function = getattr(keras.losses, function.__name__)

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Array:
        if any(map(keras.backend.is_keras_tensor, (*args, *kwargs.values()))):
            return _record(function, args, kwargs)
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as ours:
            _errors.raise_as(twin, args, kwargs, ours)
            raise

    registered = keras.saving.register_keras_serializable(package="xentropy")(checked)
    _functions[function.__name__] = registered
    return cast("Callable[P, Array]", registered)


def _record(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Array:
    """Record a call with symbolic tensors in their graph."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    options = dict(bound.arguments)
    y_true, y_pred = options.pop("y_true"), options.pop("y_pred")
    return Recorded(function.__name__, options)(y_true, y_pred)


@keras.saving.register_keras_serializable(package="xentropy")
class Recorded(keras.Operation):
    """A loss of this package as a node of a functional model.

    Parameters
    ----------
    function : str
        The name of the loss.
    options : dict
        Its options.
    name : str, optional
        The name of the node.
    """

    def __init__(self, function: str, options: dict[str, Any], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.function = function
        self.options = options

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """The loss of every row."""
        return _functions[self.function](y_true, y_pred, **self.options)

    def compute_output_spec(self, y_true: Array, y_pred: Array) -> Array:
        """The shape of the predictions without the axes that the loss sums over."""
        axis = self.options.get("axis", -1)
        rank = len(y_pred.shape)
        axes = range(rank) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
        gone = {one % rank for one in axes}
        shape = [length for place, length in enumerate(y_pred.shape) if place not in gone]
        return keras.KerasTensor(shape, dtype=y_pred.dtype)

    def get_config(self) -> dict[str, Any]:
        """What makes the same node again."""
        return {"function": self.function, "options": self.options, "name": self.name}
