"""array-api-strict, which stands for any namespace without a backend of its own."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np

from xentropy.parity._case import Array, Case
from xentropy.parity.columns._array import entries, numpy_array
from xentropy.parity.columns._numpy import Numpy
from xentropy.parity.columns._twins import Twin


class Strict(Numpy):
    """Arrays that offer nothing but the standard."""

    def lacks(self, case: Case) -> str | None:
        """The half formats, which the standard does not know."""
        missing = sorted(case.dtypes & {"float16", "bfloat16"})
        return missing[0] if missing else None

    def tensor(self, held: Array) -> Any:
        """A strict array."""
        return array_api_strict.asarray(numpy_array(held))

    def foreign(self, held: Array) -> Any:
        """A NumPy array."""
        return numpy_array(held)

    def read(self, tensor: Any) -> tuple[str, tuple[int, ...], list[float]]:
        """A strict array, its dtype by the standard's name."""
        plain = np.asarray(tensor)
        return str(plain.dtype), tuple(tensor.shape), entries(plain)

    def native(self, case: Case) -> Twin | None:
        """The standard has no such functions."""
        return None


def make(_compiled: bool) -> Strict:
    """The adapter; the standard has no compiler."""
    return Strict()
