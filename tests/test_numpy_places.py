"""Where NumPy's arrays have the entries of labels, however they lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.backends("numpy")

SHAPE = (3, 5, 4, 6)

LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "whole": lambda x: x,
    "a part": lambda x: np.tile(x, (1, 2, 2, 1))[:, :5, 2:6],
    "every other one": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "turned": lambda x: np.ascontiguousarray(x.T).T,
    "backwards": lambda x: x[:, ::-1],
    "in records": lambda x: np.stack((x, x), -1).astype("<f4").view("<f4,<i2,<i2")["f0"][..., 0],
}


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_are_found_in_any_layout(layout: str, axis: int) -> None:
    from xentropy_numpy import _mutable

    rng = np.random.default_rng(1)
    x = LAYOUTS[layout](rng.random(SHAPE, np.float32))
    rows = tuple(1 if i == axis else n for i, n in enumerate(SHAPE))
    labels = rng.integers(0, SHAPE[axis], rows)
    place = _mutable.place(x.shape, labels, axis)
    wanted = x.copy()
    found = _mutable.pick(x, place, axis)
    np.testing.assert_array_equal(found, np.take_along_axis(wanted, labels, axis))
    _mutable.put(x, place, found + 1, axis)
    np.put_along_axis(wanted, labels, found + 1, axis)
    np.testing.assert_array_equal(x, wanted)


def test_one_place_serves_arrays_that_lie_otherwise() -> None:
    from xentropy_numpy import _mutable

    x = np.arange(12.0).reshape(3, 4)
    labels = np.array([[1], [0], [3]])
    place = _mutable.place(x.shape, labels, 1)
    for each in (x, np.asfortranarray(x), np.tile(x, 2)[:, :4], x):
        np.testing.assert_array_equal(_mutable.pick(each, place, 1)[:, 0], [1.0, 4.0, 11.0])
