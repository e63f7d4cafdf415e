"""Errors in the words of the function that a drop-in stands for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, NoReturn, ParamSpec, TypeVar

import jax

from xentropy import _errors

P = ParamSpec("P")
R = TypeVar("R")


def stands_for(module: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a drop-in raise the error of the function of its name in ``module``.

    That function is called only after the drop-in has refused its arguments, and not while they
    are traced. Where it is not installed, or takes them, the drop-in's own error stands.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def drop_in(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except (TypeError, ValueError, IndexError) as error:
                _raise(error, _twin(module, function.__name__), args, kwargs)

        return drop_in

    return decorate


def _twin(module: str, name: str) -> Callable[..., Any] | None:
    try:
        found: Callable[..., Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        return None
    return found


def _raise(
    error: Exception, twin: Callable[..., Any] | None, args: Any, kwargs: dict[str, Any]
) -> NoReturn:
    """Raise what the twin raises of the same arguments, from our error, or that itself."""
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs)))
    if twin is None or traced:
        raise error
    _errors.raise_as(twin, args, kwargs, error)
    raise error
