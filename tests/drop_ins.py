"""The code of a declared difference, evaluated with a framework's functions and with the drop-ins.

The same names stand for both, so that what changes is what a user changes: the import.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

#: What a name means in the code of a difference.
Names = Mapping[str, Any]


def as_installed(library: str) -> AbstractContextManager[Any]:
    """The framework as a user finds it: other tests switch JAX to 64 bits for their process."""
    if library != "jax":
        return nullcontext()
    context: AbstractContextManager[Any] = importlib.import_module("jax").enable_x64(False)
    return context


def answer(library: str, code: str, *, ours: bool) -> str:
    """What an expression gives, as text: its numbers, or the class of its error."""
    names = importlib.import_module(f"names_{library}").names(ours=ours)
    try:
        with as_installed(library):
            return show(eval(code, dict(names)))  # noqa: S307 - code of our own declaration
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return type(error).__name__


def show(value: Any) -> str:
    """Numbers to six digits, tuples and nested lists of them; anything else as itself."""
    if isinstance(value, tuple):
        return ", ".join(map(show, value))
    if isinstance(value, str) or not hasattr(value, "__array__"):
        return number(value) if isinstance(value, float) else str(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu().double()
    return listed(np.asarray(value).astype(np.float64).tolist())


def listed(nested: Any) -> str:
    """Nested lists of numbers."""
    if isinstance(nested, list):
        return f"[{', '.join(map(listed, nested))}]"
    return number(nested)


def number(x: float) -> str:
    return f"{x:.6g}" if math.isfinite(x) else str(x)


def pick(module: Any, *names: str) -> dict[str, Callable[..., Any]]:
    """Some names of a module."""
    return {name: getattr(module, name) for name in names}
