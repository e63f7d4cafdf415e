"""Eager heads of TensorFlow whose products are its own: right whatever lies where in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from small_heads import (
    BIAS,
    CLASSES,
    HIDDEN,
    LABELS,
    OPTIONS,
    RNG,
    ROWS,
    SAMPLES,
    SOFT,
    TILE,
    WEIGHT,
    WIDTH,
    defined,
    of_labels,
)

import xentropy as xe

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.backends("tensorflow")


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of TensorFlow's products, which are taken of small heads and in small parts."""
    from xentropy_tensorflow import _products

    seen: list[tuple[int, ...]] = []
    inner = _products._multiplied

    def noted(*given: Any) -> Any:
        made = inner(*given)
        seen.append(tuple(made.shape))
        return made

    monkeypatch.setattr(_products, "_multiplied", noted)
    monkeypatch.setattr(_products, "_LARGE", 1)
    monkeypatch.setattr(_products, "_PART", 38)
    return seen


def tensors(arrays: Any, dtype: str = "float32") -> list[Any]:
    return [tf.cast(tf.constant(x), dtype if x.dtype.kind == "f" else x.dtype) for x in arrays]


def taped(targets: Any, dtype: str = "float32", worth: Any = None, **options: Any) -> list[Any]:
    """The loss, or what it is worth, and its gradients by hidden, weight and bias."""
    *moving, targets = tensors([HIDDEN, WEIGHT, BIAS, targets], dtype)
    given = {k: tensors([v])[0] if isinstance(v, np.ndarray) else v for k, v in options.items()}
    with tf.GradientTape() as tape:
        tape.watch(moving)
        hidden, weight, bias = moving
        value = xe.linear_cross_entropy(hidden, weight, targets, bias=bias, **given)
        value = value if worth is None else worth(value)
    return [value, *tape.gradient(value, moving)]


def near(found: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    for ours, true in zip(found, wanted, strict=True):
        wide = tf.cast(ours, tf.float64).numpy()
        np.testing.assert_allclose(wide, true, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("tile", [None, TILE])
@pytest.mark.parametrize("kind", OPTIONS)
def test_labels(products: list[Any], kind: str, tile: int | None) -> None:
    with xe.options(block_size=tile):
        found = taped(LABELS, **OPTIONS[kind])
    near(found, of_labels(kind))
    # The weight's gradient is whole of the first block, and comes in parts of another one.
    parts = [shape for shape in products if shape[1] == WIDTH and shape[0] < 10]
    assert (CLASSES, WIDTH) in products
    assert sum(shape[0] for shape in parts) == (0 if tile is None else CLASSES)


def test_probabilities_and_losses_of_rows(products: list[Any]) -> None:
    worth = RNG.uniform(0.5, 2.0, ROWS)
    given = {"reduction": "none", "sample_weights": SAMPLES}
    with xe.options(block_size=TILE):
        near(taped(SOFT), defined(SOFT))
        found = taped(LABELS, worth=lambda x: tf.reduce_sum(x * tf.cast(worth, x.dtype)), **given)
    near(found, defined(LABELS, reduction="sum", sample_weights=SAMPLES * worth))
    assert products


def test_a_gradient_times_a_number(products: list[Any]) -> None:
    for number in (0.25, 3.0):
        found = taped(LABELS, worth=lambda x, n=number: n * x)
        near(found, [number * x for x in of_labels()])
    assert products


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes_are_left_to_numpy(products: list[Any], dtype: str) -> None:
    near(taped(LABELS, dtype), of_labels(), 1e-9 if dtype == "float64" else 0.05)
    assert not products


def test_small_heads_are_left_to_numpy(
    products: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from xentropy_tensorflow import _products

    for least, count in ((ROWS * WIDTH * CLASSES + 1, 0), (ROWS * WIDTH * CLASSES, 3)):
        monkeypatch.setattr(_products, "_LARGE", least)
        near(taped(LABELS), of_labels())
        assert len(products) == count


def test_gradients_stay_as_later_calls_take_memory(products: list[Any]) -> None:
    with xe.options(block_size=TILE):
        first = taped(LABELS)
        kept = [x.numpy().copy() for x in first]
        for _ in range(5):
            taped((LABELS + 1) % CLASSES)
    assert products
    for now, then in zip(first, kept, strict=True):
        np.testing.assert_array_equal(now.numpy(), then)


def test_calls_from_several_threads(products: list[Any]) -> None:
    def call(number: int) -> list[Any]:
        with xe.options(block_size=TILE), tf.device("CPU:0"):
            return taped(LABELS, worth=lambda x: x * number)

    with ThreadPoolExecutor(4) as pool:
        for i, found in enumerate(pool.map(call, range(16))):
            near(found, [i * x for x in of_labels()], 1e-4)
    assert products


@pytest.mark.parametrize("part", [slice(None), slice(3, 40), slice(None, None, 2)])
def test_arrays_as_operands(part: slice) -> None:
    from xentropy_tensorflow import _memory

    x = RNG.standard_normal((48, 16)).astype("float32")
    for given in (x[part], x.T[part], x[:, part], np.asfortranarray(x)[part], x[1:, :1], x[:1, 1:]):
        given.flags.writeable = False
        found, turned = _memory.operand(given)
        product = tf.matmul(found, tf.eye(given.shape[1]), transpose_a=turned)
        np.testing.assert_array_equal(product.numpy(), given)
