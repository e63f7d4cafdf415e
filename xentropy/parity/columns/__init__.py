"""How each framework computes a column: one adapter a framework, imported in that column's process
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec

from xentropy.parity.columns._adapter import Adapter, Together


@dataclass(frozen=True)
class Backend:
    """A backend of the matrix.

    Parameters
    ----------
    packages : tuple of str
        What it needs to be installed.
    modes : tuple of str
        Its columns: eager, compiled where it has a compiler, sharded where several can hold the
        classes, drop-in where it has drop-ins.
    blind : tuple of str
        The modes in which values cannot be read, so that a bad label is a NaN and not an error.
    compiles : tuple of str
        The modes in which every program waits for a compiler.
    left_out : mapping of str to mapping of str to str
        For a mode, the quantities that the backend cannot have there, and why. One that is left out
        without being declared here makes a cell bad.
    """

    packages: tuple[str, ...]
    modes: tuple[str, ...] = ("eager",)
    blind: tuple[str, ...] = ("compiled",)
    compiles: tuple[str, ...] = ("compiled",)
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        """Whether its packages can be imported here."""
        return all(find_spec(package) is not None for package in self.packages)


#: The groups of columns, in their order.
MODES = ("eager", "compiled", "sharded", "drop-in")

_PLAIN = "there is no automatic differentiation"
_WITHOUT = {"eager": {"jvp": _PLAIN, "hvp": _PLAIN}}

#: By name, in the order of the columns.
BACKENDS = {
    "numpy": Backend(("numpy",), left_out=_WITHOUT),
    "torch": Backend(("torch",), MODES),
    "tensorflow": Backend(("tensorflow",), ("eager", "compiled", "drop-in")),
    "jax": Backend(("jax",), MODES, blind=("compiled", "sharded"), compiles=MODES),
    "keras": Backend(("keras", "tensorflow"), ("drop-in",)),
    "strict": Backend(("array_api_strict",), blind=MODES, left_out=_WITHOUT),
}


def inspected(column: str) -> bool:
    """Whether a column, named by its backend and mode, can read values."""
    backend, _, mode = column.partition(" ")
    return mode not in BACKENDS[backend].blind


def compiles(column: str) -> bool:
    """Whether a compiler makes every program of a column."""
    backend, _, mode = column.partition(" ")
    return backend in BACKENDS and mode in BACKENDS[backend].compiles


def sharded(column: str) -> bool:
    """Whether the classes of a column's cases are held by several processes or devices."""
    return column.endswith(" sharded")


def drop_in(column: str) -> str:
    """The library whose drop-ins a column is about; empty for other columns."""
    backend, _, mode = column.partition(" ")
    return backend if mode == "drop-in" else ""


def left_out(column: str) -> Mapping[str, str]:
    """The quantities that a column cannot have, and why."""
    backend, _, mode = column.partition(" ")
    return BACKENDS[backend].left_out.get(mode, {}) if backend in BACKENDS else {}


def adapter(backend: str, mode: str) -> Adapter | Together:
    """The adapter of a backend, its framework imported."""
    if mode == "sharded":
        together: Adapter | Together = import_module(f"{__name__}._{backend}_sharded").make()
        return together
    made: Adapter = import_module(f"{__name__}._{backend}").make(mode == "compiled")
    return made
