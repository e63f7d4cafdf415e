"""The laws of the statistics: a commutative monoid, whatever the split, exact to the bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import exact_row, ulps

from xentropy import _stats
from xentropy._stats import Coefficients, Stats

NAMESPACES = ["numpy"]
try:
    import array_api_strict
except ImportError:
    array_api_strict = None
else:
    NAMESPACES.append("strict")


def namespace(name: str) -> Any:
    return np if name == "numpy" else array_api_strict


@pytest.fixture(params=NAMESPACES, scope="module")
def xp(request: pytest.FixtureRequest) -> Any:
    return namespace(request.param)


# Logits as wild as they come: far apart, tied, infinitely low; and coefficients, zeros among them.
LOGITS = st.one_of(
    st.sampled_from([-np.inf, 0.0, 1.0, -1.0, 700.0, -700.0, 1e6]),
    st.floats(-50, 50, width=32),
)
WEIGHTS = st.one_of(st.just(0.0), st.floats(0.015625, 4.0, width=32))
ENTRY = st.tuples(LOGITS, WEIGHTS)
ROWS = st.lists(ENTRY, min_size=1, max_size=8)


def see(xp: Any, entries: list[tuple[float, float]]) -> Stats:
    """One row's statistics; none of its classes is the identity."""
    if not entries:
        return _stats.identity(xp, xp.asarray([[0.0]], dtype=xp.float64))
    x, t = (xp.asarray([list(part)], dtype=xp.float64) for part in zip(*entries, strict=True))
    return _stats.observe(xp, x, Coefficients(dense=t))


def same(a: Stats, b: Stats) -> None:
    """Equal to rounding; where merging orders differ, sums differ in their last places."""
    for name, x, y in zip(Stats._fields, a, b, strict=True):
        np.testing.assert_allclose(
            np.asarray(x), np.asarray(y), rtol=1e-12, atol=1e-290, err_msg=name
        )


def merged(xp: Any, *parts: Stats) -> Stats:
    with np.errstate(all="ignore"):
        total = parts[0]
        for part in parts[1:]:
            total = _stats.merge(xp, total, part)
        return total


@given(st.sampled_from(NAMESPACES), ROWS, st.data())
@settings(deadline=None, max_examples=200)
def test_any_split_equals_the_whole(name: str, row: list[Any], data: st.DataObject) -> None:
    xp = namespace(name)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(row)), max_size=3)))
    pieces = [row[i:j] for i, j in zip([0, *cuts], [*cuts, len(row)], strict=True)]
    with np.errstate(all="ignore"):
        same(merged(xp, *(see(xp, piece) for piece in pieces)), see(xp, row))


@given(st.sampled_from(NAMESPACES), ROWS, ROWS, ROWS)
@settings(deadline=None, max_examples=200)
def test_merge_is_associative_and_commutative(
    name: str, a: list[Any], b: list[Any], c: list[Any]
) -> None:
    xp = namespace(name)
    with np.errstate(all="ignore"):
        one, two, three = (see(xp, part) for part in (a, b, c))
    same(merged(xp, one, two), merged(xp, two, one))
    same(merged(xp, merged(xp, one, two), three), merged(xp, one, merged(xp, two, three)))


@given(st.sampled_from(NAMESPACES), ROWS)
@settings(deadline=None)
def test_the_identity_changes_nothing(name: str, row: list[Any]) -> None:
    xp = namespace(name)
    with np.errstate(all="ignore"):
        stats, nothing = see(xp, row), see(xp, [])
    for merging in (merged(xp, stats, nothing), merged(xp, nothing, stats)):
        for x, y in zip(merging, stats, strict=True):
            np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@given(st.sampled_from(NAMESPACES), ROWS, st.randoms())
@settings(deadline=None)
def test_the_order_of_classes_is_free(name: str, row: list[Any], random: Any) -> None:
    xp = namespace(name)
    shuffled = row.copy()
    random.shuffle(shuffled)
    with np.errstate(all="ignore"):
        same(see(xp, row), see(xp, shuffled))


@given(
    st.sampled_from(NAMESPACES),
    st.lists(st.tuples(st.integers(-1000, 1000), WEIGHTS), min_size=1, max_size=8),
    st.integers(-(2**20), 2**20),
)
@settings(deadline=None)
def test_a_shift_moves_only_the_maximum(name: str, row: list[Any], shift: int) -> None:
    """Integers shift without rounding, so nothing else may change at all."""
    xp = namespace(name)
    plain = see(xp, [(float(x), t) for x, t in row])
    moved = see(xp, [(float(x + shift), t) for x, t in row])
    assert float(np.asarray(moved.max)[0, 0]) == float(np.asarray(plain.max)[0, 0]) + shift
    for x, y in zip(plain[1:], moved[1:], strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@given(
    st.sampled_from(NAMESPACES),
    st.lists(st.floats(-80, 80, width=32), min_size=2, max_size=12),
    st.data(),
)
@settings(deadline=None, max_examples=200)
def test_the_bound_holds_through_merges(name: str, row: list[float], data: st.DataObject) -> None:
    """Loss and gradient of float32 rows, split anywhere, against exact arithmetic."""
    xp = namespace(name)
    label = data.draw(st.integers(0, len(row) - 1))
    cut = data.draw(st.integers(1, len(row) - 1))
    t = [float(j == label) for j in range(len(row))]
    loss, gradient, _ = exact_row(row, t)
    x, dense = (xp.asarray([v], dtype=xp.float32) for v in (row, t))
    coefficients = Coefficients(dense=dense)
    halves = [
        _stats.observe(xp, x[:, part], Coefficients(dense=dense[:, part]))
        for part in (slice(None, cut), slice(cut, None))
    ]
    stats = _stats.merge(xp, *halves)
    seen = _stats.shares(xp, x, stats.max, axis=-1, rest=stats.rest)
    got = np.asarray(_stats.pullback(xp, seen, stats.max, coefficients))[0]
    top = max(row)
    others = max(v for j, v in enumerate(row) if j != label)
    depth = (top - row[label]) + (top - others)
    # A merge rounds once more than a single visit, and once for the shift between the parts.
    margin = 8 + 2 * depth
    assert ulps(np.asarray(_stats.finish(xp, stats))[0, 0], loss, "float32") <= margin
    for j, exact in enumerate(gradient):
        below = depth if j == label else top - row[j]
        assert ulps(got[j], exact, "float32") <= 8 + 2 * below, j


def test_ties_across_parts(xp: Any) -> None:
    """The maximum attained on both sides counts once as the top and once as the rest."""
    both = merged(xp, see(xp, [(5.0, 1.0), (1.0, 0.0)]), see(xp, [(5.0, 0.0)]))
    assert float(np.asarray(both.rest)[0, 0]) == pytest.approx(1 + np.exp(-4.0), rel=1e-15)
    assert float(np.asarray(both.max)[0, 0]) == 5.0


def test_a_part_of_minus_infinity(xp: Any) -> None:
    with np.errstate(all="ignore"):
        low = see(xp, [(-np.inf, 0.0), (-np.inf, 0.0)])
        same(merged(xp, low, see(xp, [(1.0, 1.0), (0.0, 0.0)])), see(xp, [(1.0, 1.0), (0.0, 0.0)]))
        target = see(xp, [(-np.inf, 1.0)])
        lost = merged(xp, target, see(xp, [(1.0, 0.0)]))
    assert float(np.asarray(_stats.finish(xp, lost))[0, 0]) == np.inf


@given(
    st.lists(st.tuples(st.floats(-30, 30, width=32), WEIGHTS), min_size=2, max_size=8),
    st.sampled_from([0.25, 0.7, 3.0]),
    st.data(),
)
@settings(deadline=None)
def test_merging_with_a_temperature(
    row: list[Any], temperature: float, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(row) - 1))
    x, t = (np.array([list(part)]) for part in zip(*row, strict=True))
    parts = [
        _stats.observe(np, x[:, s], Coefficients(dense=t[:, s]), temperature=temperature)
        for s in (slice(None, cut), slice(cut, None))
    ]
    both = _stats.merge(np, *parts, temperature=temperature)
    loss, _, _ = exact_row(x[0], t[0], temperature)
    np.testing.assert_allclose(float(_stats.finish(np, both)[0, 0]), float(loss), rtol=1e-12)


def test_labels_and_smoothing_are_the_dense_coefficients(xp: Any) -> None:
    """The three ways to write coefficients down agree."""
    x = xp.asarray([[1.0, -2.0, 0.5]], dtype=xp.float64)
    label = xp.asarray([[2]], dtype=xp.int64)
    on = xp.asarray([[0.9]], dtype=xp.float64)
    spread = xp.asarray([[0.1]], dtype=xp.float64)
    weights = xp.asarray([[1.0, 0.5, 2.0]], dtype=xp.float64)
    short = Coefficients(label, on, spread, weights)
    dense = Coefficients(dense=xp.asarray([[0.1, 0.05, 1.1]], dtype=xp.float64))
    same(_stats.observe(xp, x, short), _stats.observe(xp, x, dense))
    np.testing.assert_allclose(
        np.asarray(_stats.every(xp, short, x, -1)), np.asarray(dense.dense), rtol=1e-15
    )
