"""NumPy's float16, which is cast to by way of rounded numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.backends("numpy")


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_cast_rounds_as_numpy_does(sign: float) -> None:
    from xentropy_numpy import _mutable

    rng = np.random.default_rng(3)
    x = (sign * 2.0 ** rng.uniform(-40, 15.99, 100_000)).astype(np.float32)
    x[:4] = [np.inf, -np.inf, np.nan, 0.0]
    before = x.copy()
    found = _mutable.copy(x, out=np.empty(x.shape, np.float16))
    wanted = before.astype(np.float64).astype(np.float16)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(x, before)
