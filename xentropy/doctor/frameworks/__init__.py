"""What is asked of each framework: a module a framework, imported in its process alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol, TypeAlias

# A function of the package: to type checkers a variable of no other type can be any of them.
Loss: TypeAlias = Any


class Numbers(NamedTuple):
    """Losses of the rows, and the gradient of their sum where there is one, row by row."""

    values: Sequence[float]
    gradient: Sequence[float] | None


class Framework(Protocol):
    """The names of a framework's module."""

    def versions(self) -> dict[str, str]:
        """Its version under its name, and those of what it computes with."""
        ...

    def devices(self) -> list[str]:
        """Where it can compute, as it names them."""
        ...

    def run(self, loss: Loss, compiled: bool) -> Numbers:
        """A loss and its gradient of the call of `_exact`, on the framework's default device."""
        ...


@dataclass(frozen=True)
class Known:
    """A framework by the package that it is; `compiler` is its compiler's name, if it has one."""

    package: str
    compiler: str = ""

    @property
    def installed(self) -> bool:
        """Whether its package can be found here; it is not imported."""
        return find_spec(self.package) is not None


#: By the name of the extra that installs it.
FRAMEWORKS = {
    "numpy": Known("numpy"),
    "torch": Known("torch", "torch.compile"),
    "tensorflow": Known("tensorflow", "XLA"),
    "jax": Known("jax", "jax.jit"),
    "keras": Known("keras"),
    "dask": Known("dask"),
}


def framework(name: str) -> Framework:
    """The module of a framework, which imports it."""
    module: Any = import_module(f"{__name__}._{name}")
    found: Framework = module
    return found
