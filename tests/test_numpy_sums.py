"""How NumPy's arrays are added up along the last axis: in parts, where rows are long; and what is
done with a number of every row.
"""

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


@pytest.mark.parametrize("shape", [(128, 1000), (3, 40, 320), (9, 4095), (600, 100), (2, 20000)])
@pytest.mark.parametrize("name", ["subtract", "multiply"])
def test_a_number_of_every_row_leaves_numpys_buffer_as_it_was(
    name: str, shape: tuple[int, ...]
) -> None:
    from xentropy_numpy import _mutable

    random = np.random.default_rng(6)
    x, each = random.random(shape, np.float32), random.random((*shape[:-1], 1), np.float32)
    wanted = getattr(np, name)(x, np.broadcast_to(each, shape).copy())
    before = np.setbufsize(4096)
    try:
        np.testing.assert_array_equal(getattr(_mutable, name)(x.copy(), each, out=x), wanted)
        with pytest.raises(ValueError, match="shape"):
            getattr(_mutable, name)(x, each, out=np.empty((2, 2), np.float32))
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(before)
