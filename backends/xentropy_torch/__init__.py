"""The PyTorch backend of xentropy."""

from xentropy_torch._backend import backend

__all__ = ["backend"]
