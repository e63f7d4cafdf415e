"""The errors of the package: each names the parameter, the rule and the value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def raise_as(
    twin: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], ours: Exception
) -> None:
    """Raise from our error what a framework's own function raises of the same arguments.

    So the traceback of a drop-in shows both. Where the function takes them, nothing is raised.
    """
    try:
        twin(*args, **kwargs)
    except Exception as theirs:
        raise theirs from ours


def option(name: str, rule: str, value: object) -> ValueError:
    """An option outside its range."""
    return ValueError(f"{name} must be {rule}, got {value!r}")


def one_of(name: str, choices: Iterable[str], value: object) -> ValueError:
    """An option that is not among its choices."""
    return option(name, "one of " + ", ".join(repr(choice) for choice in choices), value)


def shapes(name: str, shape: Any, rule: str, other: str, other_shape: Any) -> ValueError:
    """Two shapes that do not fit."""
    return ValueError(
        f"{name} has shape {show(shape)}, which does not fit {other} of shape "
        f"{show(other_shape)}: {rule}"
    )


def dtype(name: str, rule: str, value: object) -> TypeError:
    """An array of a dtype that the parameter does not take."""
    return TypeError(f"{name} must be {rule}, got dtype {value}")


def show(shape: Any) -> str:
    """A shape as a tuple, unknown lengths as None."""
    return str(tuple(None if n is None else int(n) for n in shape))


def entry(name: str, place: tuple[int, ...], value: object, rule: str) -> ValueError:
    """An entry of an array that breaks a rule, with the first place where one stands."""
    return ValueError(f"{_at(name, place)} is {value}, but every entry must be {rule}")


def _at(name: str, place: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, place))}]" if place else name


def label(value: int, place: tuple[int, ...], classes: int, name: str = "targets") -> IndexError:
    """A label outside the classes, with the first place where one stands."""
    return IndexError(
        f"{_at(name, place)} is {value}, but a label must be in 0..{classes - 1} "
        f"for {classes} classes (or be ignore_index)"
    )
