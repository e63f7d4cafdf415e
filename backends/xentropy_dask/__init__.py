"""The Dask backend of xentropy: losses of arrays in chunks that are computed later."""

from xentropy_dask._backend import backend

__all__ = ["backend"]
