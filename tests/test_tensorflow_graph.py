"""Losses in TensorFlow's graphs: the few operations they become, compiled and not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import processes
import pytest

import xentropy as xe

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.backends("tensorflow")

N, K = 6, 150  # rows that are long enough to be summed once
RNG = np.random.default_rng(8)
X = RNG.standard_normal((N, K)) * 2
LABELS = RNG.integers(0, K, N)
ON = np.eye(K)[LABELS]
P = np.exp(X) / np.exp(X).sum(1, keepdims=True)
LOSSES = -np.log((P * ON).sum(1))
ROWS = P - ON
T = tf.constant(LABELS)


@pytest.fixture(params=[False, True], ids=["operations", "compiled"])
def compiled(request: pytest.FixtureRequest) -> Iterator[bool]:
    with xe.options(compile=request.param):
        yield request.param


def logits() -> Any:
    return tf.constant(X, tf.float32)


def graph(function: Any, *args: Any, shapes: Any = None) -> Any:
    signature = None
    if shapes is not None:
        kinds = [x.dtype for x in args]
        signature = [tf.TensorSpec(s, d) for s, d in zip(shapes, kinds, strict=True)]
    return tf.function(function, input_signature=signature, autograph=False)(*args)


def both(x: Any, t: Any, **options: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = xe.cross_entropy(x, t, **options)
    return value, tape.gradient(value, x)


def near(found: Any, wanted: np.ndarray, tolerance: float = 3e-6) -> None:
    np.testing.assert_allclose(found.numpy(), wanted, rtol=tolerance, atol=tolerance)


def test_which_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    from xentropy_tensorflow import _backend, _graph

    call = xe.cross_entropy.__xentropy_prepare__
    found: list[Any] = []

    def look(x: Any, t: Any) -> Any:
        prepared = call(x, t)
        found.append(_backend.plan(prepared.rule, prepared.leaves))
        return x

    def seen(*shapes: Any) -> Any:
        tf.function(look).get_concrete_function(
            tf.TensorSpec(shapes, tf.float32), tf.TensorSpec(shapes[:-1], tf.int64)
        )
        return found.pop()

    monkeypatch.setattr(_graph, "_LARGE", N * K)
    assert seen(N, K).compiled
    assert not seen(N - 1, K).compiled
    assert not seen(None, K).compiled
    assert seen(N, None) is None
    with xe.options(compile=False):
        assert not seen(N, K).compiled
    with xe.options(compile=True):
        assert seen(N - 1, K).compiled
        assert not seen(None, K).compiled


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("shapes", [None, [(None, K), (None,)], [(None, None), (None,)]])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_value_and_gradient(shapes: Any, reduction: Any) -> None:
    value, slope = graph(lambda x, t: both(x, t, reduction=reduction), logits(), T, shapes=shapes)
    mean = reduction == "mean"
    near(value, LOSSES.mean() if mean else LOSSES)
    near(slope, ROWS / N if mean else ROWS)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("weighted", [False, True])
def test_narrow_logits_whose_classes_come_first(dtype: str, weighted: bool) -> None:
    weights = np.linspace(0.5, 2.0, K) if weighted else np.ones(K)
    x = tf.cast(tf.constant(X.T), dtype)
    options = {"class_weights": tf.constant(weights, tf.float32)} if weighted else {}
    value, slope = graph(lambda x, t: both(x, t, axis=0, **options), x, T)
    wide = tf.cast(x, tf.float64).numpy()
    p, mass = np.exp(wide) / np.exp(wide).sum(0), weights[LABELS]
    wanted = (p - ON.T) * mass / mass.sum()
    near(value, -(np.log((p * ON.T).sum(0)) * mass).sum() / mass.sum())
    digits = {"bfloat16": 2.0**-8, "float16": 2.0**-10}[dtype]
    np.testing.assert_allclose(tf.cast(slope, tf.float64), wanted, rtol=digits, atol=2.0**-24)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_entries_are_picked_as_they_are(dtype: str) -> None:
    from xentropy_tensorflow import _entries

    strange = [[np.nan, np.inf, 1e-7], [-np.inf, -0.0, 3.0], [-5.0, np.inf, 6e4]]
    x = tf.cast(tf.constant(strange, tf.float64), dtype)
    for axis, indices in ((0, [[0, 1, 2]]), (1, [[2], [0], [1]])):
        found = tf.cast(_entries.take_along_axis(x, tf.constant(indices), axis), tf.float64)
        wanted = np.take_along_axis(tf.cast(x, tf.float64).numpy(), np.array(indices), axis)
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("shapes", [None, [(None, K), (None,)]])
def test_masks_with_smoothing(shapes: Any) -> None:
    where = RNG.random((N, K)) < 0.7
    where[np.arange(N), LABELS] = True
    options = {"where": tf.constant(where), "label_smoothing": 0.2, "reduction": "sum"}
    value, slope = graph(lambda x, t: both(x, t, **options), logits(), T, shapes=shapes)
    exp = np.where(where, np.exp(X), 0.0)
    p = exp / exp.sum(1, keepdims=True)
    goals = 0.8 * ON + 0.2 * where / where.sum(1, keepdims=True)
    near(value, -(goals * np.log(np.where(where, p, 1.0))).sum())
    near(slope, p - goals)


@pytest.mark.usefixtures("compiled")
def test_masks_where_classes_are_not_last() -> None:
    where = RNG.random((N, K)) < 0.7
    where[np.arange(N), LABELS] = True
    options = {"where": tf.constant(where.T), "reduction": "sum", "axis": 0}
    value, slope = graph(lambda x, t: both(x, t, **options), tf.transpose(logits()), T)
    exp = np.where(where, np.exp(X), 0.0)
    p = exp / exp.sum(1, keepdims=True)
    near(value, -np.log(p[ON == 1]).sum())
    near(slope, (p - ON).T)


@pytest.mark.usefixtures("compiled")
def test_confident_rows_and_ties() -> None:
    x = np.zeros((3, K))
    x[0, 4], x[1, 7] = 40.0, 3.0
    x[1, 2:5] = 3.0
    t = np.array([4, 3, 9])
    value, slope = graph(
        lambda x, t: both(x, t, reduction="none"), tf.constant(x, tf.float32), tf.constant(t)
    )
    rest = (K - 1) * np.exp(-40.0)
    np.testing.assert_allclose(value[0], np.log1p(rest), rtol=1e-6)
    np.testing.assert_allclose(slope[0, 4], -rest / (1 + rest), rtol=1e-6)
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    near(value[1:], -np.log(p[[1, 2], t[1:]]))
    near(slope[1:], (p - np.eye(K)[t])[1:])


@pytest.mark.usefixtures("compiled")
def test_infinities() -> None:
    x = X.copy()
    x[0, 0], x[1, 1], x[2, 2] = -np.inf, np.nan, np.inf
    t = LABELS.copy()
    t[:3] = [5, 5, 2]
    value, slope = graph(
        lambda x, t: both(x, t, reduction="none"), tf.constant(x, tf.float32), tf.constant(t)
    )
    p = np.exp(x[0]) / np.exp(x[0]).sum()
    near(value[0], -np.log(p[5]))
    near(slope[0], p - np.eye(K)[5])
    assert np.isnan(value[1])
    assert np.isnan(slope[1]).all()
    near(value[2], np.zeros(()))
    near(slope[2], np.zeros(K))
    near(value[3:], LOSSES[3:])
    near(slope[3:], ROWS[3:])


@pytest.mark.usefixtures("compiled")
def test_other_leaves_have_gradients_of_both_orders() -> None:
    weights = tf.constant(RNG.uniform(0.5, 2, N), tf.float32)

    def run(x: Any, weights: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as tape:
                tape.watch([x, weights])
                value = xe.cross_entropy(x, T, sample_weights=weights, reduction="sum")
            by_x, by_weights = tape.gradient(value, [x, weights])
            total = tf.reduce_sum(by_x * by_x)
        return by_x, by_weights, outer.gradient(total, weights)

    by_x, by_weights, mixed = graph(run, logits(), weights)
    near(by_x, ROWS * weights.numpy()[:, None])
    near(by_weights, LOSSES)
    near(mixed, 2 * weights.numpy() * (ROWS**2).sum(1), 1e-5)


@pytest.mark.usefixtures("compiled")
def test_higher_orders_and_forward_mode() -> None:
    v = RNG.standard_normal((N, K))
    direction = tf.constant(v, tf.float32)
    wanted = P * (v - (P * v).sum(1, keepdims=True))

    def twice(x: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            slope = both(x, T, reduction="sum")[1]
            along = tf.reduce_sum(slope * direction)
        return outer.gradient(along, x)

    def forward(x: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(x, direction) as pushed:
            value, slope = both(x, T, reduction="sum")
        return pushed.jvp(value), pushed.jvp(slope)

    near(graph(twice, logits()), wanted, 1e-5)
    by_value, by_slope = graph(forward, logits())
    near(by_value, (ROWS * v).sum(), 1e-5)
    near(by_slope, wanted, 1e-5)
    x = logits()
    inside = tf.function(lambda x: both(x, T, reduction="sum"), autograph=False)
    with tf.autodiff.ForwardAccumulator(x, direction) as pushed:
        value, slope = inside(x)
    near(pushed.jvp(value), (ROWS * v).sum(), 1e-5)
    near(pushed.jvp(slope), wanted, 1e-5)


@pytest.mark.usefixtures("compiled")
def test_jacobians_in_a_graph() -> None:
    def run(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = xe.cross_entropy(x, T, reduction="none")
        return tape.jacobian(value, x)

    near(graph(run, logits()), np.einsum("ij,ik->ijk", np.eye(N), ROWS))


@pytest.mark.usefixtures("compiled")
def test_inside_what_is_compiled_itself() -> None:
    value, slope = tf.function(lambda x: both(x, T), jit_compile=True, autograph=False)(logits())
    near(value, LOSSES.mean())
    near(slope, ROWS / N)


IN_PARTS = {
    "rows": (19, K),
    "few rows": (3, K),
    "one row": (K,),
    "images": (2, 40, 21),
    "classes first": (40, 17),
}
AXES = {"images": 1, "classes first": 0}


@pytest.mark.parametrize("soft", [False, True], ids=["labels", "probabilities"])
@pytest.mark.parametrize("case", IN_PARTS)
def test_large_losses_are_visited_in_parts(case: str, soft: bool) -> None:
    shape, axis = IN_PARTS[case], AXES.get(case, -1)
    rng = np.random.default_rng(5)
    x, classes = rng.standard_normal(shape) * 2, shape[axis]
    rows = np.moveaxis(x, axis, -1)
    labels = rng.integers(0, classes, rows.shape[:-1])
    weights = rng.random(labels.shape)
    where = rng.random((*(1 for _ in labels.shape), classes)) < 0.8
    where = where | (np.eye(classes)[labels].sum(tuple(range(labels.ndim))) > 0)
    goals = np.eye(classes)[labels]
    if soft:
        goals = where * rng.random(rows.shape)
    options = {
        "sample_weights": tf.constant(weights, tf.float32),
        "where": tf.constant(np.moveaxis(where, -1, axis)),
        "axis": axis,
        "reduction": "none",
    }
    t = tf.constant(np.moveaxis(goals, -1, axis), tf.float32) if soft else tf.constant(labels)
    with xe.options(compile=True):
        value, slope = graph(lambda x, t: both(x, t, **options), tf.constant(x, tf.float32), t)
    exp = np.where(where, np.exp(rows), 0.0)
    p = exp / exp.sum(-1, keepdims=True)
    near(value, -weights * (goals * np.log(np.where(where, p, 1.0))).sum(-1), 2e-5)
    made = weights[..., None] * (goals.sum(-1, keepdims=True) * p - goals)
    near(slope, np.moveaxis(made, -1, axis), 2e-5)


def held(function: Any, *given: Any) -> int | None:
    """The bytes at the peak of a call that is not the first one; None if not known."""
    # Else all of a piece may count that is up to twice as large as what is asked for.
    tf.zeros(1 << 29, tf.uint8)
    function(*given)
    memory = tf.config.experimental
    try:
        before = memory.get_memory_info("CPU:0")["current"]
    except ValueError:
        return None
    memory.reset_memory_stats("CPU:0")
    function(*given)
    return int(memory.get_memory_info("CPU:0")["peak"] - before)


def share_held(rank: processes.Rank, inside: bool | None) -> float | None:  # noqa: ARG001
    """What a loss in a graph holds, as a multiple of the logits; None if not known."""
    x, t = tf.random.normal((256, 8192)), tf.zeros(256, tf.int32)
    found = held(tf.function(xe.cross_entropy, autograph=False, jit_compile=inside), x, t)
    return None if found is None else found / (4 * 256 * 8192)


def numbers_held(rank: processes.Rank, shape: tuple[int, ...]) -> float | None:  # noqa: ARG001
    """What loss and gradient hold beyond the gradient, in numbers of float32 for every row."""
    x, rows = tf.random.normal(shape), (shape[0], *shape[2:])
    step = tf.function(lambda x, t: both(x, t, axis=1), autograph=False)
    found = held(step, x, tf.zeros(rows, tf.int32))
    return None if found is None else (found / 4 - math.prod(shape)) / math.prod(rows)


@pytest.mark.parametrize(
    ("shape", "most"), [((1 << 16, 10), 6), ((8, 12, 256, 256), 10)], ids=["rows", "images"]
)
def test_few_numbers_of_rows_are_held_beside_the_gradient(
    shape: tuple[int, ...], most: float
) -> None:
    environment = {"TF_ENABLE_ONEDNN_OPTS": "1"}
    (found,) = processes.run(numbers_held, 1, shape, environment=environment)
    if found is None:
        pytest.skip("TensorFlow's allocator does not count here")
    assert found < most


@pytest.mark.parametrize("inside", [None, True], ids=["function", "XLA"])
def test_exponentials_of_all_rows_are_never_held_together(inside: bool | None) -> None:
    # The allocator that oneDNN brings is the one that counts.
    environment = {"TF_ENABLE_ONEDNN_OPTS": "1"}
    (found,) = processes.run(share_held, 1, inside, environment=environment)
    if found is None:
        pytest.skip("TensorFlow's allocator does not count here")
    assert found < 0.6
