"""The type of an array chooses the backend."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from xentropy._typing import Array

if TYPE_CHECKING:
    from xentropy._backend import Backend
    from xentropy._shards import Group

A = TypeVar("A")

GROUP = "xentropy.backends"

# One lookup in this dictionary is the whole cost of the dispatch once a type has been seen.
_known: dict[type, Backend] = {}
_plugins: dict[str, Backend | None] = {}


def _numpy() -> Backend:
    import xentropy_numpy

    return xentropy_numpy.backend


def _torch() -> Backend:
    import xentropy_torch

    return xentropy_torch.backend


def _tensorflow() -> Backend:
    import xentropy_tensorflow

    return xentropy_tensorflow.backend


def _jax() -> Backend:
    import xentropy_jax

    return xentropy_jax.backend


def _dask() -> Backend:
    import xentropy_dask

    return xentropy_dask.backend


# Literal imports, so that a compiler that traces a first call can follow them.
_BUILT_IN: dict[str, Callable[[], Backend]] = {
    "numpy": _numpy,
    "torch": _torch,
    "tensorflow": _tensorflow,
    "jax": _jax,
    "jaxlib": _jax,
    "dask": _dask,
}


def backend_of(x: Array, name: str) -> Backend:
    """The backend for an array; ``name`` is the parameter that errors speak of."""
    backend = _known.get(type(x))
    return _find(x, name) if backend is None else backend


def seen(x: Any) -> Backend | None:
    """The backend of a type that was seen before, or None."""
    return _known.get(type(x))


def group_of(group: Any) -> Group:
    """A group by what its framework calls one; a TypeError if it is none of a framework's."""
    backend = _of_module(type(group).__module__)
    if backend is None:
        raise TypeError(f"group must be a group of a framework, got {group!r}")
    return backend.group(group)


def aside(function: Callable[..., A], *args: Any) -> A:
    """What a function gives that torch.compile must not look into: processes that talk."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.compiler.is_compiling():
        return _torch().aside(function, *args)
    return function(*args)


def _find(x: Array, name: str) -> Backend:
    """Find the backend of a type that was not seen before, and remember it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.compiler.is_compiling():
        return _while_tracing(isinstance(x, torch.Tensor), name)
    cls = type(x)
    backend = _of_module(cls.__module__) or _of_bases(cls) or _of_namespace(x)
    if backend is None:
        raise TypeError(_unknown(cls, name))
    reason = backend.refuses(cls)
    if reason is not None:
        raise TypeError(f"{name} is a {cls.__module__}.{cls.__qualname__}: {reason}")
    _known[cls] = backend
    return backend


def _while_tracing(is_tensor: bool, name: str) -> Backend:
    """The backend inside torch.compile, which cannot look at the name of a class.

    It may meet the first call of all, when no type is known yet.
    """
    if not is_tensor:
        raise TypeError(
            f"{name} is no tensor: inside torch.compile every array must be one, not a list, a "
            "numpy array or an object that a backend would have to be installed for"
        )
    return _torch()


def _of_module(module: str) -> Backend | None:
    """The built-in backend for the root of a module's name."""
    load = _BUILT_IN.get(module.partition(".")[0])
    return None if load is None else load()


def _of_bases(cls: type) -> Backend | None:
    """By the bases of the class, for a user's subclass: built in, then plugins."""
    for base in cls.__mro__:
        backend = _of_module(base.__module__)
        if backend is not None:
            return backend
    for base in cls.__mro__:
        backend = _plugin(base.__module__.partition(".")[0])
        if backend is not None:
            return backend
    return None


def _plugin(root: str) -> Backend | None:
    """The backend that an installed distribution offers for a root module, loaded once."""
    if root == "builtins":
        return None
    if root not in _plugins:
        _plugins[root] = _load(root)
    return _plugins[root]


def _load(root: str) -> Backend | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=root):
        try:
            backend: Backend = entry.load()
        except Exception as error:  # noqa: BLE001 - no plugin may take its caller down
            message = f"the backend plugin {entry.value!r} for {root} failed to load: {error!r}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        else:
            return backend
    return None


def _of_namespace(x: Array) -> Backend | None:
    """The generic backend for anything that knows its array-API namespace."""
    from xentropy._backend import generic

    try:
        return generic(x)
    except TypeError:
        return None


def _unknown(cls: type, name: str) -> str:
    hint = (
        "pass a NumPy, PyTorch, TensorFlow or JAX array, or any array with an "
        f"__array_namespace__; a plugin for {cls.__module__.partition('.')[0]!r} can be installed "
        f"as an entry point in the group {GROUP!r}"
    )
    if cls.__module__ == "builtins":
        hint = "make it an array first, for example with numpy.asarray or torch.tensor"
    return f"{name} is a {cls.__module__}.{cls.__qualname__}, which no backend knows: {hint}"
