"""How each framework computes a column: one adapter a framework, imported in that column's process
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from xentropy.parity.columns._adapter import Adapter


@dataclass(frozen=True)
class Backend:
    """A backend of the matrix.

    Parameters
    ----------
    package : str
        What it needs to be installed.
    compiles : bool
        Whether it has a compiler, and so a second column.
    inspects : bool
        Whether values can be read in eager mode, so that a bad label is an error and not a NaN.
    """

    package: str
    compiles: bool = True
    inspects: bool = True

    @property
    def installed(self) -> bool:
        """Whether its package can be imported here."""
        return find_spec(self.package) is not None

    @property
    def modes(self) -> tuple[str, ...]:
        """Its columns."""
        return ("eager", "compiled") if self.compiles else ("eager",)


#: By name, in the order of the columns.
BACKENDS = {
    "numpy": Backend("numpy", compiles=False),
    "torch": Backend("torch"),
    "tensorflow": Backend("tensorflow"),
    "jax": Backend("jax"),
    "strict": Backend("array_api_strict", compiles=False, inspects=False),
}


def inspected(column: str) -> bool:
    """Whether a column, named by its backend and mode, can read values."""
    backend, _, mode = column.partition(" ")
    return mode == "eager" and BACKENDS[backend].inspects


def adapter(backend: str, mode: str) -> Adapter:
    """The adapter of a backend, its framework imported."""
    module = import_module(f"{__name__}._{backend}")
    made: Adapter = module.make(mode == "compiled")
    return made
