"""Who is timed on each backend: one module a framework, imported in its processes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from benchmarks.cases import ITSELF
from benchmarks.contenders._contender import Framework


@dataclass(frozen=True)
class Backend:
    """A backend: the packages that it needs, its modes, and those for the main dtypes alone."""

    packages: tuple[str, ...]
    modes: tuple[str, ...]
    spared: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether its packages can be imported here."""
        return all(find_spec(package) is not None for package in self.packages)


#: By name, in the order of the columns. NumPy's peers are PyTorch, for gradients, and SciPy.
BACKENDS = {
    "numpy": Backend(("numpy", "scipy", "torch"), ("eager",)),
    "torch": Backend(("torch",), ("eager", ITSELF, "compiled"), (ITSELF, "compiled")),
    "tensorflow": Backend(
        ("tensorflow",), ("eager", ITSELF, "tf.function", "XLA"), (ITSELF, "tf.function", "XLA")
    ),
    "jax": Backend(("jax", "optax"), ("plain", ITSELF, "jit"), (ITSELF,)),
}
MODES = tuple(dict.fromkeys(mode for backend in BACKENDS.values() for mode in backend.modes))


def columns() -> Iterator[tuple[str, str]]:
    """Backends with their modes, in their order."""
    return ((name, mode) for name, backend in BACKENDS.items() for mode in backend.modes)


def frameworks(name: str) -> list[Framework]:
    """A backend on each kind of device that it finds, its framework imported."""
    module = import_module(f"{__name__}._{name}")
    return cast("list[Framework]", module.frameworks())
