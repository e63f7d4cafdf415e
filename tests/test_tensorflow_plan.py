"""Eager TensorFlow in blocks of rows: when it is chosen, and that every use of a tape is right."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import xentropy as xe

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.backends("tensorflow")

N, K = 12, 7
RNG = np.random.default_rng(5)
X = RNG.standard_normal((N, K)) * 3
LABELS = RNG.integers(0, K, N)
ON = np.eye(K)[LABELS]
P = np.exp(X) / np.exp(X).sum(1, keepdims=True)
LOSSES = -np.log((P * ON).sum(1))
ROWS = P - ON  # the gradient of every row's loss


def logits(dtype: str = "float32") -> Any:
    return tf.cast(tf.constant(X), dtype)


def gradient(x: Any, worth: Any = None, **options: Any) -> Any:
    """The gradient of a loss, or of what it is worth."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = xe.cross_entropy(x, tf.constant(LABELS), **options)
        value = value if worth is None else worth(value)
    return tape.gradient(value, x)


def near(found: Any, wanted: np.ndarray, tolerance: float = 2e-6) -> None:
    found = tf.convert_to_tensor(found).numpy().astype(np.float64)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done in blocks of rows."""
    from xentropy import _plans

    seen: list[str] = []
    for name in ("loss", "loss_and_gradient"):
        inner = getattr(_plans, name)

        def outer(*args: Any, _inner: Any = inner, _name: str = name, **kwargs: Any) -> Any:
            seen.append(_name)
            return _inner(*args, **kwargs)

        monkeypatch.setattr(_plans, name, outer)
    return seen


# Which plan.


def test_blocks_are_for_eager_tensors_and_gradients_by_logits(visits: list[str]) -> None:
    x, t = logits(), tf.constant(LABELS)
    xe.cross_entropy(x, t)
    assert visits == ["loss"]
    gradient(x)
    assert visits == ["loss", "loss_and_gradient"]
    gradient(x, reduction="none")
    assert visits[2:] == ["loss", "loss_and_gradient"]


def test_graphs_and_gradients_by_weights_are_whole(visits: list[str]) -> None:
    x, t, weights = logits(), tf.constant(LABELS), tf.ones(N)
    tf.function(xe.cross_entropy, autograph=False)(x, t)
    with tf.GradientTape() as tape:
        tape.watch([x, weights])
        value = xe.cross_entropy(x, t, sample_weights=weights, reduction="sum")
    by_logits, by_weights = tape.gradient(value, [x, weights])
    near(by_logits, ROWS)
    near(by_weights, LOSSES)
    soft = tf.constant(ON, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(soft)
        value = xe.cross_entropy(x, soft, reduction="sum")
    near(tape.gradient(value, soft), -np.log(P))
    assert visits == []


def test_a_version_that_does_not_tell_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    from xentropy_tensorflow import _tapes

    monkeypatch.setattr(_tapes, "_kinds", None)
    monkeypatch.setattr(_tapes, "_tangents", None)
    near(gradient(logits()), ROWS / N)
    near(xe.cross_entropy(logits(), tf.constant(LABELS)), LOSSES.mean())
    near(tf.function(gradient, autograph=False)(logits()), ROWS / N)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [{"block_size": 1}, {"threads": 1}, {"block_size": K * 5}])
def test_options_change_nothing_but_the_schedule(options: Any, reduction: Any) -> None:
    with xe.options(**options):
        found = gradient(logits(), reduction=reduction)
    near(found, ROWS / N if reduction == "mean" else ROWS)


def test_value_and_grad(visits: list[str]) -> None:
    value, grad = xe.value_and_grad(xe.cross_entropy)(logits(), tf.constant(LABELS))
    near(value, LOSSES.mean())
    near(grad, ROWS / N)
    assert visits == ["loss_and_gradient"]


# Memory.


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(N, K), (), (0, 3), (3,), (1024, 513)])
def test_tensors_and_arrays_share_memory(dtype: str, shape: tuple[int, ...]) -> None:
    from xentropy_tensorflow import _memory

    like = tf.zeros(shape, dtype)
    seen = _memory.view(like)
    assert seen.shape == shape
    assert seen.dtype == like.dtype.as_numpy_dtype
    assert not seen.flags.writeable
    array = _memory.empty(shape, like.dtype.as_numpy_dtype)
    assert array.ctypes.data % 64 == 0 or array.size == 0
    given = _memory.tensor(array, like)
    array[...] = 3
    assert given.dtype == like.dtype
    np.testing.assert_array_equal(given.numpy().astype(float), np.full(shape, 3.0))
    if array.size:
        assert _memory.view(given).ctypes.data == array.ctypes.data


@pytest.mark.parametrize("shape", [(), (N,), (0,), (1024, 513)])
def test_numbers_are_copied_into_memory_of_their_own(shape: tuple[int, ...]) -> None:
    from xentropy_tensorflow import _memory

    array = np.full(shape, 2.5, np.float32)[()]  # a scalar where there are no dimensions
    made = _memory.copied(array)
    assert made.shape == shape
    assert made.dtype == tf.float32
    assert "CPU" in made.device
    if array.ndim:
        array[...] = 0.0
    np.testing.assert_array_equal(made.numpy(), np.full(shape, 2.5))
    assert _memory.view(made).ctypes.data % 64 == 0 or array.size == 0


def test_large_memory_is_kept_by_tensorflow_and_never_shared() -> None:
    """Memory that is new to a process costs a pass or more; what a tensor holds is not new."""
    from xentropy_tensorflow import _memory

    arrays = [_memory.empty((512, 1024), np.float32) for _ in range(3)]
    for value, array in enumerate(arrays):
        array[...] = value
    tensors = [_memory.tensor(array, tf.zeros(())) for array in arrays]
    owner = arrays[0]
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert tf.is_tensor(owner.kept)
    del arrays, array, owner
    others = [tf.zeros((512, 1024)) - 7 for _ in range(6)]  # would be in what was freed
    for value, tensor in enumerate(tensors):
        np.testing.assert_array_equal(tensor.numpy(), np.float32(value))
    assert all(float(tf.reduce_max(x)) == -7 for x in others)


def test_labels_that_python_has_no_buffers_for() -> None:
    x, labels = logits(), tf.cast(tf.constant(LABELS), tf.as_dtype("int4"))
    near(xe.cross_entropy(x, labels), LOSSES.mean())


def test_a_gradient_outlives_what_made_it_and_can_be_worked_with() -> None:
    variable = tf.Variable(logits())
    with tf.GradientTape() as tape:
        value = xe.cross_entropy(variable, tf.constant(LABELS), reduction="sum")
    found = tape.gradient(value, variable)
    del tape, value
    variable.assign_sub(found)
    near(variable, X - ROWS)
    near(found, ROWS)
    near(tf.matmul(found, found, transpose_b=True), ROWS @ ROWS.T, 1e-5)


def test_a_variable_that_changes_before_the_backward() -> None:
    variable = tf.Variable(logits())
    with tf.GradientTape() as tape:
        value = xe.cross_entropy(variable, tf.constant(LABELS), reduction="none")
    variable.assign(tf.zeros_like(variable))
    variable.scatter_nd_update([[0]], [[9.0] * K])
    near(tape.gradient(value, variable), ROWS)


# What the loss is worth.


@pytest.mark.parametrize("factor", [1.0, 0.25, -0.5, 3.0, 1024.0, 0.0])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_losses_that_are_scaled(dtype: str, factor: float) -> None:
    found = gradient(logits(dtype), lambda value: value * factor, reduction="sum")
    assert found.dtype == dtype
    exact = logits(dtype).numpy().astype(np.float64)
    p = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    tolerance = {"float16": 2e-3, "bfloat16": 1.6e-2}.get(dtype, 4e-6)
    near(found, (p - ON) * factor, tolerance * max(1.0, abs(factor)))


def test_a_large_factor_saves_entries_that_float16_loses() -> None:
    row = np.zeros((1, K))
    row[0, 0] = -18.0  # a probability of 2.5e-9, below the smallest float16
    with tf.GradientTape() as tape:
        x = tf.constant(row, tf.float16)
        tape.watch(x)
        value = xe.cross_entropy(x, tf.constant([1])) * 2.0**16
    wanted = 2.0**16 * np.exp(-18.0) / (np.exp(-18.0) + K - 1)
    assert float(tape.gradient(value, x)[0, 0]) == pytest.approx(wanted, rel=2e-3)


def test_rows_of_different_worth() -> None:
    worth = RNG.standard_normal(N)
    found = gradient(logits(), lambda v: tf.reduce_sum(v * worth.astype("f")), reduction="none")
    near(found, ROWS * worth[:, None])


def test_rows_that_are_gathered() -> None:
    found = gradient(logits(), lambda v: tf.gather(v, [3, 3, 5]), reduction="none")
    count = np.bincount([3, 3, 5], minlength=N)
    near(found, ROWS * count[:, None])


# Tapes.


def test_a_persistent_tape_gives_each_gradient_by_itself() -> None:
    x, t = logits(), tf.constant(LABELS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        value = xe.cross_entropy(x, t, reduction="sum")
        twice = 2.0 * value
    first, second = tape.gradient(value, x), tape.gradient(twice, x)
    half = tape.gradient(value, x, output_gradients=tf.constant(0.5))
    near(first, ROWS)
    near(second, 2 * ROWS)
    near(half, ROWS / 2)


def test_a_persistent_tape_that_still_records() -> None:
    x, t = logits(), tf.constant(LABELS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        value = xe.cross_entropy(x, t, reduction="sum")
        first = tape.gradient(value, x)
    near(first, ROWS)
    near(tape.gradient(first, x), np.zeros((N, K)))  # a row of a Hessian sums to 0


HESSIAN = np.einsum("ij,jk->ijk", P, np.eye(K)) - np.einsum("ij,ik->ijk", P, P)


def test_nested_tapes_and_forward_mode() -> None:
    x, t, v = logits(), tf.constant(LABELS), RNG.standard_normal((N, K))
    wanted = np.einsum("ijk,ik->ij", HESSIAN, v)
    direction = tf.constant(v, tf.float32)
    with tf.GradientTape() as outer:
        outer.watch(x)
        inner = tf.reduce_sum(gradient(x, reduction="sum") * direction)
    near(outer.gradient(inner, x), wanted, 1e-5)
    with tf.autodiff.ForwardAccumulator(x, direction) as forward:
        value = xe.cross_entropy(x, t, reduction="none")
        slope = gradient(x, reduction="sum")
    near(forward.jvp(value), (ROWS * v).sum(1), 1e-5)
    near(forward.jvp(slope), wanted, 1e-5)


@pytest.mark.parametrize("pfor", [True, False])
def test_jacobians(pfor: bool) -> None:
    x, t = logits(), tf.constant(LABELS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        value = xe.cross_entropy(x, t, reduction="none")
    jacobian = tape.jacobian(value, x, experimental_use_pfor=pfor)
    near(jacobian, np.einsum("ij,ik->ijk", np.eye(N), ROWS))
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        slope = gradient(x, reduction="sum")
    near(outer.batch_jacobian(slope, x, experimental_use_pfor=pfor), HESSIAN, 1e-5)


def test_a_graph_that_takes_the_gradient_of_an_eager_loss() -> None:
    x, t = logits(), tf.constant(LABELS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        value = xe.cross_entropy(x, t, reduction="sum")
    near(tf.function(lambda: tape.gradient(value, x), autograph=False)(), ROWS)


MEMORY = """
import os, resource, sys
import numpy as np, tensorflow as tf, xentropy as xe
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def step(x, t):
    with tf.GradientTape() as tape:
        tape.watch(x)
        if sys.argv[1] == "ours": loss = xe.cross_entropy(x, t)
        else:
            rows = tf.nn.sparse_softmax_cross_entropy_with_logits(t, x)
            loss = tf.reduce_mean(rows)
    return tape.gradient(loss, x)
step(tf.zeros((8, 16)), tf.zeros(8, tf.int32))
x = tf.zeros((512, 50000)); t = tf.zeros(512, tf.int32)
before = peak()
step(x, t)
print((peak() - before) / (512 * 50000 * 4))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in other units elsewhere")
def test_memory_beyond_the_logits_is_one_gradient() -> None:
    found = {}
    for whose in ("ours", "native"):
        command = [sys.executable, "-c", MEMORY, whose]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[whose] = float(done.stdout)
    assert found["ours"] < 1.25
    assert found["ours"] <= found["native"] + 0.05
