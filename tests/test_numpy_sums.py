"""How NumPy's arrays are added up along the last axis: in parts, where rows are long."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.backends("numpy")


@pytest.mark.parametrize("length", [33, 512, 1000, 8191, 128_256])
def test_long_rows_lose_no_more_digits_than_short_ones(length: int) -> None:
    from xentropy_numpy import _mutable

    x = np.random.default_rng(5).random((40, length), np.float32)
    wanted = x.sum(-1, keepdims=True, dtype=np.float64)
    found = _mutable.sum(x, -1)
    assert np.max(np.abs(found / wanted - 1)) * 2**23 <= 3
    into = np.empty((40, 2), np.float32)[:, :1]
    _mutable.sum(x, -1, out=into)
    np.testing.assert_array_equal(into, found)
    np.testing.assert_array_equal(_mutable.sum(x[3:4], -1), found[3:4])  # whatever is beside it
