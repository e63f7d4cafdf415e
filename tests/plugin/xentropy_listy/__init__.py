"""The backend for listy: it unpacks its arrays and computes with NumPy."""

from __future__ import annotations

import numpy as np
from listy import Listy

from xentropy._backend import Backend


class ListyBackend(Backend):
    """Listy in, NumPy out."""

    def adopt(self, x: object) -> np.ndarray:
        return x.values if isinstance(x, Listy) else np.asarray(x)

    def make(self, value: object, like: np.ndarray, *, floating: bool) -> np.ndarray:
        return np.asarray(value, dtype=like.dtype if floating else None)


backend = ListyBackend("listy", np, np.int64)
