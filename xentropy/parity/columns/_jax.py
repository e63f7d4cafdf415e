"""JAX: gradients through ``jax.vjp``, compiled inside the user's ``jax.jit``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp

from xentropy.parity._case import Array, Case
from xentropy.parity.columns._adapter import Result, along, described, output
from xentropy.parity.columns._array import entries, numpy_array
from xentropy.parity.columns._jax_twins import twin
from xentropy.parity.columns._twins import Call, Twin

WIDE = {"float64", "int64", "uint64"}


class Jax:
    """JAX's arrays."""

    autograd = True

    def __init__(self, compiled: bool) -> None:
        self.compiled = compiled

    def context(self, case: Case) -> AbstractContextManager[Any]:
        """64 bits for the cases that hold them."""
        context: AbstractContextManager[Any] = jax.enable_x64(bool(case.dtypes & WIDE))
        return context

    def lacks(self, case: Case) -> str | None:
        """JAX has every dtype of the matrix."""
        return None

    def tensor(self, held: Array) -> Any:
        """An array."""
        return jnp.asarray(numpy_array(held))

    def foreign(self, held: Array) -> Any:
        """A NumPy array."""
        return numpy_array(held)

    def start(self) -> None:
        """JAX may remember everything."""

    def forward(self, case: Case, call: Call) -> Call:
        """The call, inside a user's jit where that is asked for."""
        compiled: Call = jax.jit(call) if self.compiled else call
        return compiled

    def differentiate(self, case: Case, call: Call) -> Call:
        """The value and the pullback of ones, in one function."""

        def pulled(**leaves: Any) -> Result:
            still = {n: t for n, t in leaves.items() if n not in case.wrt}
            moving = {n: leaves[n] for n in case.wrt}

            def both(moving: Any) -> tuple[Any, Any]:
                value = call(**moving, **still)
                return output(case, value), value

            found, pullback, value = jax.vjp(both, moving, has_aux=True)
            return value, pullback(jnp.ones_like(found))[0]

        return self.forward(case, pulled)

    def derivatives(self, case: Case, call: Call) -> Call:
        """Forward mode over the value and over its gradient, in one function."""

        def run(tensors: Any, directions: Any) -> Any:
            paths = along(case, call, tensors, lambda f: jax.grad(lambda x: jnp.sum(f(x))))

            def every(moving: Any) -> Any:
                return {name: path(moving) for name, path in paths.items()}

            return jax.jvp(every, ({n: tensors[n] for n in directions},), (directions,))[1]

        return self.forward(case, run)

    def read(self, tensor: Any) -> tuple[str, tuple[int, ...], list[float]]:
        """An array."""
        return str(tensor.dtype), tuple(tensor.shape), entries(tensor)

    def describe(self, error: Exception) -> tuple[list[str], str]:
        """The error as it is."""
        return described(error)

    def native(self, case: Case) -> Twin | None:
        """optax' or JAX's function, compiled in either mode, which is how it is used."""
        found = twin(case)
        return None if found is None else found._replace(run=jax.jit)


def make(compiled: bool) -> Jax:
    """The adapter."""
    return Jax(compiled)
