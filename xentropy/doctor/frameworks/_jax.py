"""JAX, through ``jax.vjp``."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jaxlib.version

from xentropy.doctor._exact import LABELS, LOGITS
from xentropy.doctor.frameworks import Loss, Numbers


def versions() -> dict[str, str]:
    """JAX's, and that of its compiled part."""
    return {"jax": jax.__version__, "jaxlib": jaxlib.version.__version__}


def devices() -> list[str]:
    """Those of the default platform."""
    return [f"{device.platform}:{device.id}" for device in jax.devices()]


def run(loss: Loss, compiled: bool) -> Numbers:
    """The call, inside a user's jit where that is asked for, and the pullback of ones."""

    def pulled(x: Any, labels: Any) -> Any:
        values, pullback = jax.vjp(lambda x: loss(x, labels, reduction="none"), x)
        return values, pullback(jnp.ones_like(values))[0]

    call = jax.jit(pulled) if compiled else pulled
    found = call(jnp.array(LOGITS, "float32"), jnp.array(LABELS, "int32"))
    values, gradient = (array.ravel().tolist() for array in found)
    return Numbers(values, gradient)
