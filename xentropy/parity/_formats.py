"""The floating-point formats of the matrix in pure Python: rounding into them, and their units in
the last place.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Parameters
    ----------
    name : str
        The dtype's name, the same in every framework.
    digits : int
        Significant bits, the implicit one included.
    lowest : int
        Exponent of the smallest normal number, which is ``2**lowest``.
    compute : str
        Name of the format in which losses of such inputs are computed and returned.
    """

    name: str
    digits: int
    lowest: int
    compute: str

    @property
    def epsilon(self) -> float:
        """The distance from 1 to the next number."""
        return math.ldexp(1.0, 1 - self.digits)

    @property
    def tiny(self) -> float:
        """The smallest normal number; below it a framework may flush to zero."""
        return math.ldexp(1.0, self.lowest)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return math.ldexp(2.0 - self.epsilon, 1 - self.lowest)

    def ulp(self, x: float) -> float:
        """The unit in the last place of `x`: the spacing of the format in the binade of `x`."""
        exponent = max(math.frexp(x)[1] - 1, self.lowest) if x else self.lowest
        return math.ldexp(1.0, exponent + 1 - self.digits)


FORMATS = {
    f.name: f
    for f in (
        Format("float16", 11, -14, "float32"),
        Format("bfloat16", 8, -126, "float32"),
        Format("float32", 24, -126, "float32"),
        Format("float64", 53, -1022, "float64"),
    )
}


def compute_dtype(dtype: str) -> str:
    """The dtype a loss of inputs of `dtype` is computed and returned in."""
    return FORMATS[dtype].compute


def quantise(x: float, dtype: str) -> float:
    """Round `x` to the nearest number of `dtype`, as the frameworks will see it."""
    if dtype == "float64" or math.isinf(x) or math.isnan(x):
        return float(x)
    if dtype == "bfloat16":
        return _bfloat16(x)
    code = {"float16": "<e", "float32": "<f"}[dtype]
    return float(struct.unpack(code, struct.pack(code, x))[0])


def _bfloat16(x: float) -> float:
    """The upper half of the float32 nearest to `x`, rounded to nearest even."""
    (bits,) = struct.unpack("<I", struct.pack("<f", x))
    bits += 0x7FFF + (bits >> 16 & 1)
    return float(struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0])
