"""The names in the code of the differences of the JAX drop-ins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drop_ins import pick


def names(*, ours: bool) -> dict[str, Any]:
    """JAX's names, and its functions or the drop-ins; optax' functions stand beside jax.nn's."""
    import jax
    import jax.numpy as jnp
    from optax import losses

    import xentropy_jax

    offered = [name for name in xentropy_jax.__all__ if name != "backend"]
    maps = ("softmax", "log_softmax", "logsumexp")
    natives = [name for name in offered if name not in maps]
    functions = pick(jax.nn, *maps) | pick(losses, *natives)
    return {
        "jnp": jnp,
        "array": jnp.array,
        "inf": float("inf"),
        "nan": float("nan"),
        "grad": grad,
        "push": push,
        **(pick(xentropy_jax, *offered) if ours else functions),
    }


def grad(function: Callable[[Any], Any], x: Any) -> Any:
    """The gradient of the sum of a function's values."""
    import jax

    return jax.grad(lambda x: function(x).sum())(x)


def push(function: Callable[[Any], Any], x: Any, direction: Any) -> Any:
    """The derivative in a direction, in forward mode."""
    import jax

    return jax.jvp(function, (x,), (direction,))[1]
