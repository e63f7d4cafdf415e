"""The JAX backend of xentropy."""

from xentropy_jax._backend import backend

__all__ = ["backend"]
