"""The NumPy backend of xentropy."""

from xentropy_numpy._backend import backend

__all__ = ["backend"]
