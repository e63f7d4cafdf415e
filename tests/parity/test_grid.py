"""Index arithmetic against NumPy's own."""

import numpy as np
import pytest

from xentropy.parity._grid import drop, rows, spread

pytestmark = pytest.mark.backends("numpy")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3,), (0,)), ((2, 3), (-1,)), ((2, 3), (0,)), ((2, 4, 3), (1,)), ((2, 4, 3), (-1, 0))],
)
def test_rows_lie_where_numpy_moves_them(shape, axes):
    places = np.arange(np.prod(shape)).reshape(shape)
    kept = sorted(a % len(shape) for a in axes)
    moved = np.moveaxis(places, kept, range(-len(kept), 0))
    size = int(np.prod([shape[a] for a in kept]))
    assert rows(shape, axes) == moved.reshape(-1, size).tolist()


@pytest.mark.parametrize(
    ("shape", "onto"), [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (2, 3)), ((1, 3, 1), (2, 3, 4))]
)
def test_spread_is_broadcasting(shape, onto):
    places = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    assert spread(shape, onto) == np.broadcast_to(places, onto).ravel().tolist()


def test_drop():
    assert drop((2, 4, 3), (-2,)) == (2, 3)
    assert drop((2, 4, 3), (0, 2), keepdims=True) == (1, 4, 1)
