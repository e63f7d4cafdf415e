"""What jax.export writes of losses: for as many rows, or classes, as a call brings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import xentropy as xe

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.backends("jax")

import jax.numpy as jnp  # noqa: E402 - after the skip

RNG = np.random.default_rng(23)
WEIGHT = RNG.standard_normal((300, 8)).astype(np.float32)
#: How many rows the calls bring.
SIZES = 5, 48

Found = tuple[np.ndarray, np.ndarray]


# The losses of rows and their gradients by the logits, in float64.


def normalized(x: np.ndarray) -> np.ndarray:
    depth = x.astype(float) - x.max(-1, keepdims=True)
    return depth - np.log(np.exp(depth).sum(-1, keepdims=True))


def of_coefficients(x: np.ndarray, t: np.ndarray) -> Found:
    log_p = normalized(x)
    return -(t * log_p).sum(-1), np.exp(log_p) * t.sum(-1, keepdims=True) - t


def one_hot(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (np.arange(x.shape[-1]) == labels[..., None]).astype(float)


def hard(x: np.ndarray, labels: np.ndarray) -> Found:
    return of_coefficients(x, one_hot(x, labels))


def smoothed(x: np.ndarray, labels: np.ndarray) -> Found:
    return of_coefficients(x, 0.9 * one_hot(x, labels) + 0.1 / x.shape[-1])


def curved(value: Callable[..., Any], slope: Callable[..., Any]) -> Callable[..., Found]:
    """Of the label's log-probability, and the derivative by it."""

    def rows(x: np.ndarray, labels: np.ndarray) -> Found:
        log_p, own = normalized(x), one_hot(x, labels)
        there = (log_p * own).sum(-1)
        return value(there), slope(there)[:, None] * (own - np.exp(log_p))

    return rows


def binary(x: np.ndarray, t: np.ndarray) -> Found:
    wide = x.astype(float)
    return np.logaddexp(0, wide) - t * wide, 1 / (1 + np.exp(-wide)) - t


def divergence(x: np.ndarray, t: np.ndarray) -> Found:
    losses, made = of_coefficients(x, t)
    return losses + (t * np.log(t)).sum(-1), made


def of_images(x: np.ndarray, labels: np.ndarray) -> Found:
    losses, made = hard(np.moveaxis(x, 1, -1), labels)
    return losses, np.moveaxis(made, -1, 1)


# What is exported.


def logits(*shape: int) -> np.ndarray:
    """Rows of which every third is confident."""
    x = RNG.standard_normal(shape).astype(np.float32) * 3
    x[::3] *= 4
    return x


def labels_of(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Every other one is the top."""
    labels = np.moveaxis(x, axis, -1).argmax(-1).astype(np.int32)
    labels[1::2] = RNG.integers(0, x.shape[axis], labels[1::2].shape)
    return labels


def probabilities(x: np.ndarray) -> np.ndarray:
    t = RNG.uniform(0.1, 1, x.shape)
    return (t / t.sum(-1, keepdims=True)).astype(np.float32)


def exported(function: Any, *specs: tuple[str, Any]) -> Callable[..., Any]:
    """The function as it is written for symbols of shapes; what is read again warns of nothing."""
    scope = jax.export.SymbolicScope()
    shapes = [
        jax.ShapeDtypeStruct(jax.export.symbolic_shape(shape, scope=scope), dtype)
        for shape, dtype in specs
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = jax.export.export(jax.jit(function))(*shapes).serialize(vjp_order=0)
    return jax.export.deserialize(written).call


def every(function: Any) -> Callable[..., tuple[Any, ...]]:
    """The values, and the gradients of their sum: by JAX and without."""

    def total(x: Any, t: Any) -> Any:
        return function(x, t).sum()

    def all_of_it(x: Any, t: Any) -> tuple[Any, ...]:
        both = xe.value_and_grad(function)
        return function(x, t), jax.grad(total)(x, t), *both(x, t)

    return all_of_it


def compared(found: Any, rows: Found, reduction: str, near: float = 2e-6) -> None:
    """Compare values and gradients of all ways with those of rows."""
    losses, made = rows
    values, scale = losses if reduction == "none" else losses.sum(), 1
    if reduction == "mean":
        values, scale = losses.mean(), losses.size
    for value, gradient in (found[:2], found[2:]):
        np.testing.assert_allclose(value, values, rtol=2e-5)
        np.testing.assert_allclose(gradient, made / scale, rtol=2e-5, atol=near / scale)


KINDS: dict[str, Any] = {"hard": (hard, labels_of), "soft": (of_coefficients, probabilities)}


def targets_like(kind: str, rows: str, classes: Any) -> tuple[str, Any]:
    return (rows, jnp.int32) if kind == "hard" else (f"{rows}, {classes}", jnp.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("classes", "reduction"),
    [(10, "mean"), (64, "mean"), (300, "mean"), (300, "sum"), (300, "none"), (40000, "mean")],
)
def test_any_number_of_rows(classes: int, reduction: Any, kind: str) -> None:
    """Short rows, long ones, and such as are summed in parts."""
    loss = partial(xe.cross_entropy, reduction=reduction)
    like = targets_like(kind, "rows", classes)
    function = exported(every(loss), (f"rows, {classes}", jnp.float32), like)
    expected, make = KINDS[kind]
    for size in SIZES:
        x = logits(size, classes)
        t = make(x)
        compared(function(x, t), expected(x, t), reduction)


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_classes(kind: str) -> None:
    function = exported(
        every(xe.cross_entropy),
        ("rows, classes", jnp.float32),
        targets_like(kind, "rows", "classes"),
    )
    expected, make = KINDS[kind]
    for shape in ((5, 7), (48, 300)):
        x = logits(*shape)
        t = make(x)
        compared(function(x, t), expected(x, t), "mean")


LOSSES: dict[str, tuple[Any, Any, str]] = {
    "binary": (xe.binary_cross_entropy, binary, "soft"),
    "divergence": (xe.kl_divergence, divergence, "soft"),
    "focal": (
        xe.focal_loss,
        curved(
            lambda s: -((1 - np.exp(s)) ** 2) * s,
            lambda s: 2 * np.exp(s) * (1 - np.exp(s)) * s - (1 - np.exp(s)) ** 2,
        ),
        "hard",
    ),
    "poly": (
        xe.poly_loss,
        curved(lambda s: -s + 2 * (1 - np.exp(s)), lambda s: -1 - 2 * np.exp(s)),
        "hard",
    ),
    "generalized": (
        xe.generalized_cross_entropy,
        curved(lambda s: (1 - np.exp(0.7 * s)) / 0.7, lambda s: -np.exp(0.7 * s)),
        "hard",
    ),
    "smoothed": (partial(xe.cross_entropy, label_smoothing=0.1), smoothed, "hard"),
    "masked": (partial(xe.cross_entropy, where=jnp.ones(300, bool)), hard, "hard"),
    "log-probabilities": (xe.nll_loss, None, "hard"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_other_losses(name: str) -> None:
    loss, expected, kind = LOSSES[name]
    given = every(loss)
    if expected is None:  # of log-probabilities as they are
        expected = lambda x, t: (-(x * one_hot(x, t)).sum(-1), -one_hot(x, t))  # noqa: E731
    function = exported(given, ("rows, 300", jnp.float32), targets_like(kind, "rows", 300))
    for size in SIZES:
        x = logits(size, 300)
        t = KINDS[kind][1](x)
        compared(function(x, t), expected(x, t), "mean")


def test_images_of_any_size() -> None:
    loss = partial(xe.cross_entropy, axis=1)
    shapes = ("images, 12, height, width", jnp.float32), ("images, height, width", jnp.int32)
    function = exported(every(loss), *shapes)
    for shape in ((2, 12, 3, 5), (3, 12, 8, 2)):
        x = logits(*shape)
        labels = labels_of(x, axis=1)
        compared(function(x, labels), of_images(x, labels), "mean")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_heads(reduction: Any, kind: str) -> None:
    weight = jnp.asarray(WEIGHT)

    def loss(hidden: Any, t: Any) -> Any:
        return xe.linear_cross_entropy(hidden, weight, t, reduction=reduction)

    def both(hidden: Any, t: Any) -> tuple[Any, ...]:
        total = jax.grad(lambda hidden: loss(hidden, t).sum())
        made = xe.value_and_grad(partial(xe.linear_cross_entropy, reduction=reduction))
        return loss(hidden, t), total(hidden), *made(hidden, weight, t)

    function = exported(both, ("rows, 8", jnp.float32), targets_like(kind, "rows", 300))
    expected, make = KINDS[kind]
    for size in SIZES:
        hidden = logits(size, 8)
        x = hidden.astype(float) @ WEIGHT.T
        t = make(x)
        losses, made = expected(x, t)
        compared(function(hidden, t), (losses, made @ WEIGHT), reduction, 2e-5)


def test_scores() -> None:
    """All that is told of rows, and gradients of what is floating beside what is not."""

    def scored(x: Any, labels: Any) -> tuple[Any, ...]:
        by = jax.grad(lambda x: xe.score(x, labels).loss.sum())
        return *xe.score(x, labels), by(x)

    function = exported(scored, ("rows, 300", jnp.float32), ("rows", jnp.int32))
    for size in SIZES:
        x = logits(size, 300)
        labels = labels_of(x)
        log_p, (losses, made) = normalized(x), hard(x, labels)
        *found, gradient = function(x, labels)
        entropy = -(np.exp(log_p) * log_p).sum(-1)
        lse = x[:, 0] - log_p[:, 0]
        wanted = losses, -losses, lse, entropy, x.argmax(-1), x.argmax(-1) == labels
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(gradient, made, rtol=2e-5, atol=2e-6)


def test_gradients_by_logits_and_weights() -> None:
    """Labels stand still, whose tangent has the symbol for its length too."""

    def by_both(x: Any, labels: Any, weights: Any) -> Any:
        def loss(x: Any, weights: Any) -> Any:
            return xe.cross_entropy(x, labels, sample_weights=weights, reduction="sum")

        return jax.grad(loss, argnums=(0, 1))(x, weights)

    row = ("rows", jnp.float32)
    function = exported(by_both, ("rows, 300", jnp.float32), ("rows", jnp.int32), row)
    for size in SIZES:
        x, weights = logits(size, 300), RNG.uniform(0.5, 2, size).astype(np.float32)
        labels = labels_of(x)
        losses, made = hard(x, labels)
        by_logits, by_weights = function(x, labels, weights)
        np.testing.assert_allclose(by_weights, losses, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(by_logits, weights[:, None] * made, rtol=2e-5, atol=4e-6)


def test_labels_that_are_closed_over() -> None:
    """Of how many classes they are is not known before the call; one that is none makes NaN."""
    labels = jnp.asarray([1, 2, 4])
    loss = partial(xe.cross_entropy, reduction="none")
    function = exported(lambda x: loss(x, labels), ("3, classes", jnp.float32))
    x = logits(3, 7)
    np.testing.assert_allclose(function(x), hard(x, np.asarray(labels))[0], rtol=2e-5, atol=1e-6)
    assert np.isnan(function(x[:, :4])).tolist() == [False, False, True]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int32"])
def test_labels_of_any_dtype(dtype: str) -> None:
    """Which is no class is told without a wrap, of more classes than a dtype has numbers too."""
    loss = partial(xe.cross_entropy, reduction="none")
    function = exported(loss, ("rows, classes", jnp.float32), ("rows", jnp.dtype(dtype)))
    x = logits(4, 300)
    labels = np.array([0, 255, 44, np.iinfo(dtype).max], dtype)
    found = np.asarray(function(x, labels))
    valid = labels < 300
    assert np.isnan(found).tolist() == (~valid).tolist()
    wanted = hard(x[valid], labels[valid].astype(int))[0]
    np.testing.assert_allclose(found[valid], wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_alone(kind: str) -> None:
    """What is evaluated abstractly, and lowered for shapes without numbers."""
    expected, make = KINDS[kind]
    x = logits(6, 300)
    t = make(x)
    like = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in (x, t)]
    function = every(partial(xe.cross_entropy, reduction="none"))
    shapes = [(6,), (6, 300), (6,), (6, 300)]
    assert [one.shape for one in jax.eval_shape(function, *like)] == shapes
    compiled = jax.jit(function).lower(*like).compile()
    compared(compiled(x, t), expected(x, t), "none")
