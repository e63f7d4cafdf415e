"""A drop-in refuses what its twin in PyTorch refuses, with the twin's own error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, cast

import torch

from xentropy import _errors

P = ParamSpec("P")
Function = Callable[P, torch.Tensor]


def like(twin: Callable[..., torch.Tensor]) -> Callable[[Function[P]], Function[P]]:
    """Give a function the errors of its twin.

    When it raises, the twin is asked for the same. The twin's error is raised from ours, so that
    the traceback shows both; where the twin has none, ours is raised. While torch.compile traces,
    ours is raised as it is. TorchScript calls the function back in Python.
    """

    def attach(function: Function[P]) -> Function[P]:
        @wraps(function)
        def drop_in(*args: P.args, **kwargs: P.kwargs) -> torch.Tensor:
            if torch.compiler.is_compiling():
                return function(*args, **kwargs)
            try:
                return function(*args, **kwargs)
            except Exception as ours:
                _refuse(twin, args, kwargs, ours)
                raise

        return cast("Function[P]", torch.jit.ignore(drop_in))

    return attach


def _refuse(
    twin: Callable[..., torch.Tensor],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    ours: Exception,
) -> None:
    """Raise the error of the twin, if it has one; what it warns of has been said already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _errors.raise_as(twin, args, kwargs, ours)
