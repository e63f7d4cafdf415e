"""The TensorFlow backend of xentropy."""

from xentropy_tensorflow._backend import backend

__all__ = ["backend"]
