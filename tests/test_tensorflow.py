"""What TensorFlow users do: unknown shapes, nested tapes, graphs with and without XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy as xe

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.backends("tensorflow")

RNG = np.random.default_rng(7)
X = RNG.standard_normal((3, 4))
LABELS = np.array([1, 0, 3])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


GRADIENT = softmax(X) - np.eye(4)[LABELS]


def total(x: Any, labels: Any) -> Any:
    return xe.cross_entropy(x, labels, reduction="sum", label_smoothing=0.0)


@pytest.mark.parametrize("jit", [False, True])
def test_unknown_lengths(jit: bool) -> None:
    signature = [tf.TensorSpec([None, None], tf.float64), tf.TensorSpec([None], tf.int32)]

    @tf.function(input_signature=signature, jit_compile=jit, autograph=False)
    def both(x: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = xe.cross_entropy(x, labels, reduction="sum", label_smoothing=0.2)
        return loss, tape.gradient(loss, x)

    for rows, classes in ((3, 4), (2, 3), (5, 7)):
        x = RNG.standard_normal((rows, classes))
        labels = RNG.integers(0, classes, rows)
        loss, grad = both(tf.constant(x), tf.constant(labels, tf.int32))
        t = 0.8 * np.eye(classes)[labels] + 0.2 / classes
        np.testing.assert_allclose(loss, -(t * np.log(softmax(x))).sum(), rtol=1e-12)
        np.testing.assert_allclose(grad, softmax(x) - t, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.uint64, tf.int64])
def test_an_unknown_number_of_classes_still_bounds_the_labels(dtype: Any) -> None:
    @tf.function(autograph=False)
    def losses(x: Any, labels: Any) -> Any:
        return xe.cross_entropy(x, labels, reduction="none")

    graph = losses.get_concrete_function(
        tf.TensorSpec([None, None], tf.float64), tf.TensorSpec([None], dtype)
    )
    got = graph(tf.constant(X), tf.constant([1, 200, 3], dtype))
    assert np.isnan(got.numpy()).tolist() == [False, True, False]


def test_nested_tapes() -> None:
    """The Hessian of a row is diag(p) - p p'."""
    x = tf.constant(X[0])
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = xe.cross_entropy(x, 1)
        grad = inner.gradient(loss, x)
    p = softmax(X[0])
    got = outer.jacobian(grad, x, experimental_use_pfor=False)
    np.testing.assert_allclose(got, np.diag(p) - np.outer(p, p), rtol=1e-12, atol=1e-15)


def test_forward_mode_and_forward_over_reverse() -> None:
    x, direction = tf.constant(X), tf.constant(RNG.standard_normal(X.shape))
    with tf.autodiff.ForwardAccumulator(x, direction) as forward:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = total(x, tf.constant(LABELS))
        grad = tape.gradient(loss, x)
    v, p = direction.numpy(), softmax(X)
    np.testing.assert_allclose(forward.jvp(loss), (GRADIENT * v).sum(), rtol=1e-12)
    product = p * (v - (p * v).sum(-1, keepdims=True))
    np.testing.assert_allclose(forward.jvp(grad), product, rtol=1e-11, atol=1e-15)


def test_vectorized_map_over_gradients() -> None:
    def one(row: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(row[0])
            loss = xe.cross_entropy(*row)
        return tape.gradient(loss, row[0])

    got = tf.vectorized_map(one, (tf.constant(X), tf.constant(LABELS)))
    np.testing.assert_allclose(got, GRADIENT, rtol=1e-12, atol=1e-15)


def test_a_saved_model_holds_the_loss(tmp_path: Any) -> None:
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float64)], autograph=False)
        def loss(self, x: Any) -> Any:
            return xe.cross_entropy(x, tf.zeros(tf.shape(x)[:1], tf.int32), reduction="sum")

    tf.saved_model.save(Model(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    wanted = -np.log(softmax(X)[:, 0]).sum()
    np.testing.assert_allclose(loaded.loss(tf.constant(X)), wanted, rtol=1e-12)


def test_second_derivatives_reach_soft_labels() -> None:
    """TensorFlow's own op returns 0 here without a word."""
    x, v = tf.constant([[1.0, 2.0, 3.0]], tf.float64), tf.constant([[1.0, -2.0, 0.5]], tf.float64)
    t = tf.constant([[0.2, 0.3, 0.5]], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(t)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = xe.cross_entropy(x, t, reduction="sum")
        product = tf.reduce_sum(v * inner.gradient(loss, x))
    p = softmax(np.array([1.0, 2.0, 3.0]))
    wanted = (p * v.numpy()[0]).sum() - v.numpy()[0]
    np.testing.assert_allclose(outer.gradient(product, t).numpy()[0], wanted, rtol=1e-12)


@pytest.mark.parametrize("jit", [False, True])
def test_graphs_with_and_without_xla(jit: bool) -> None:
    @tf.function(jit_compile=jit, autograph=False)
    def grad(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = total(x, tf.constant(LABELS))
        return tape.gradient(loss, x)

    np.testing.assert_allclose(grad(tf.constant(X)), GRADIENT, rtol=1e-12, atol=1e-15)


def test_labels_that_a_graph_closes_over() -> None:
    labels, bad = tf.constant(LABELS), tf.constant(LABELS + 4)
    loss = tf.function(lambda x: total(x, labels), autograph=False)
    wanted = -np.log(softmax(X)[range(3), LABELS]).sum()
    np.testing.assert_allclose(loss(tf.constant(X)), wanted, rtol=1e-12)
    loss = tf.function(lambda x: total(x, bad), autograph=False)
    assert np.isnan(loss(tf.constant(X)).numpy())


def test_an_unknown_rank_is_named() -> None:
    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32)], autograph=False)
    def loss(x: Any) -> Any:
        return xe.softmax(x)

    with pytest.raises(ValueError, match="unknown rank"):
        loss.get_concrete_function()


def test_long_axes_are_summed_precisely_under_xla() -> None:
    """One number after the other, XLA's sum of these would be off by several units."""
    from xentropy_tensorflow import _namespace

    x = np.random.default_rng(0).random((2, 50_001), dtype=np.float32)
    compiled = tf.function(lambda x: _namespace.sum(x, axis=1), jit_compile=True, autograph=False)
    exact = x.astype(np.float64).sum(1)
    error = np.abs(compiled(x).numpy() - exact) / np.spacing(exact.astype(np.float32))
    assert error.max() < 3


def test_only_the_watched_gradients_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from xentropy import _targets

    def fail(*_: Any) -> Any:
        raise AssertionError("a gradient that nobody asked for")

    for name in ("pull_given", "pull_scale", "pull_weights"):
        monkeypatch.setattr(_targets, name, fail)
    x, targets, weights = tf.constant(X), tf.constant(np.abs(X)), tf.constant(np.abs(X[0]))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        loss = xe.cross_entropy(x, targets, class_weights=weights)
    assert tape.gradient(loss, x) is not None
    with tf.GradientTape() as tape:
        tape.watch(targets)
        loss = xe.cross_entropy(x, targets, class_weights=weights)
    with pytest.raises(AssertionError, match="nobody"):
        tape.gradient(loss, targets)
