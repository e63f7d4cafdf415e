"""The logarithm of 1 + x of many entries on NumPy: by another one, and with as many digits."""

from __future__ import annotations

import numpy as np
import pytest

from xentropy._inplace import log1p_many
from xentropy_numpy import _mutable

pytestmark = pytest.mark.backends("numpy")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(-1,), (3, -1), (-1, 700), (2, 7, -1)])
def test_log1p_of_many_keeps_its_digits(dtype: str, shape: tuple[int, ...]) -> None:
    """From 1 down to the smallest normal numbers, and 0."""
    rng = np.random.default_rng(4)
    x = np.concatenate((rng.random(45_000), np.exp(-700 * rng.random(45_000)), [0.0, 1.0]))
    x = np.resize(x, 88_200).astype(dtype).reshape(shape)
    exact = np.log1p(x.astype(np.longdouble))
    made = x.copy()
    assert log1p_many(_mutable, made, np.empty_like(x)) is made
    apart = np.abs(made.astype(np.longdouble) - exact) / np.spacing(exact.astype(dtype))
    assert apart.max() < 4
