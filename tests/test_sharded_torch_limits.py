"""Rows at the limits, of classes that several processes hold: the policy, and full precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle import exact_row, ulps
from processes import Once
from sharded_cases import LAYOUTS
from sharded_limits import LIMITS, PLAIN, SURE

pytest.importorskip("torch")
from sharded_torch import NAME, Found, found, results
from sharded_torch_numbers import PAIRS

pytestmark = pytest.mark.backends("torch")

PLACES = [(layouts, layout) for layouts in PAIRS for layout in layouts]


@pytest.fixture(scope="module")
def ranks(once: Once) -> Found:
    return once(NAME, found)


def same(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("block", [None, 1])
@pytest.mark.parametrize("plainly", [False, True])
@pytest.mark.parametrize(("layouts", "layout"), PLACES, ids=lambda x: x if x in LAYOUTS else "")
class TestLimits:
    """Of every row, on every member."""

    @pytest.fixture
    def members(
        self, ranks: Found, layouts: tuple[str, ...], layout: str, plainly: bool, block: int | None
    ) -> list[Any]:
        name = f"limits {plainly}, {block}; {' and '.join(layouts)}"
        return list(results(ranks[name, layout]))

    @pytest.fixture
    def rows(self, plainly: bool) -> list[Any]:
        return list((PLAIN if plainly else LIMITS).values())

    def test_losses(self, members: list[Any], rows: list[Any]) -> None:
        wanted = [limit.loss for limit in rows]
        for told in members:
            same(told["loss"], wanted)
            same(told["score"]["loss"], wanted)
            np.testing.assert_array_equal(told["loss"], members[0]["loss"])

    def test_scores(self, members: list[Any], rows: list[Any]) -> None:
        kept = np.array([limit.label >= 0 for limit in rows])
        for told in members:
            for name in ("lse", "entropy", "prediction"):
                same(told["score"][name], [getattr(limit, name) for limit in rows])
            hits = [limit.prediction == limit.label for limit in rows]
            np.testing.assert_array_equal(told["score"]["correct"], hits)
            same(told["logsumexp"][kept], told["score"]["lse"][kept])

    def test_gradients(self, members: list[Any], rows: list[Any], layout: str) -> None:
        ignored = np.array([limit.label < 0 for limit in rows])
        for number, told in enumerate(members):
            part = slice(*LAYOUTS[layout].bounds(number))
            same(told["gradient"], told["gradient alone"][:, part])
            same(told["scored"], told["scored alone"][:, part])
            assert not told["gradient"][ignored].any()

    def test_the_mean(self, members: list[Any], rows: list[Any]) -> None:
        wanted = np.mean([limit.loss for limit in rows if limit.label >= 0])
        for told in members:
            same(told["mean"], wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("block", "whole"), [(None, False), (1, False), (None, True)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sure_rows_keep_their_precision(
    ranks: Found, dtype: str, block: int | None, whole: bool, layout: str
) -> None:
    """Within (4 + |x_j - m|) units in the last place, on every member."""
    members = ranks[f"sure {dtype}, {block}, {whole}; {layout}", layout]
    losses, gradients = zip(*results(members), strict=True)
    for own in losses[1:]:
        np.testing.assert_array_equal(own, losses[0])
    gradient = np.concatenate(gradients, axis=1)
    for i, (row, label) in enumerate(SURE):
        check_row(row, label, losses[0][i], gradient[i], dtype)


def check_row(row: tuple[float, ...], label: int, loss: Any, gradient: Any, dtype: str) -> None:
    exact, by, _ = exact_row(row, np.eye(len(row))[label])
    depths = max(row) - np.array(row)
    beyond = max(row) - max(np.delete(row, label)) + depths[label]
    depths[label] = beyond
    assert ulps(loss, exact, dtype) <= 4 + beyond, (row, label, loss, exact)
    for j, depth in enumerate(depths):
        assert ulps(gradient[j], by[j], dtype) <= 4 + depth, (row, label, j, gradient[j], by[j])


def test_slices_of_one_class_are_among_them() -> None:
    """What the layouts are for: a slice of one class, uneven slices, a group without process 0."""
    assert any(1 in np.diff(layout.cuts) for layout in LAYOUTS.values())
    assert any(layout.members[0] for layout in LAYOUTS.values())
    assert {layout.cuts[-1] for layout in LAYOUTS.values()} == {8}
