"""Heads that are multiplied by another library than usual: right whatever lies where in memory.

Eager heads of TensorFlow are multiplied by its own library instead of NumPy's, PyTorch's by oneDNN
where MKL is slow.
"""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import oracle
import pytest

import xentropy as xe
from xentropy import _linear_plans

pytestmark = pytest.mark.backends("torch", "tensorflow")

# Rows of 12 bytes: blocks of them begin where not every framework may read.
ROWS, WIDTH, CLASSES = 70, 3, 13
# Two blocks, the second of which begins at such a place.
TILE = 36 * CLASSES
RNG = np.random.default_rng(83)
HIDDEN = RNG.standard_normal((ROWS, WIDTH))
WEIGHT = RNG.standard_normal((CLASSES, WIDTH))
BIAS = RNG.standard_normal(CLASSES)
LABELS = RNG.integers(0, CLASSES - 1, ROWS)
SOFT = RNG.dirichlet(np.ones(CLASSES), ROWS)
SAMPLES = np.where(np.arange(ROWS) % 4 == 1, 0.0, 1.5)
OPEN = np.arange(CLASSES) < CLASSES - 1
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "smoothed": {"label_smoothing": 0.2, "z_loss": 0.25},
    "ignored": {"ignore_index": int(LABELS[0])},
    "weighed": {"sample_weights": SAMPLES},
    "masked": {"where": OPEN},
}


def defined(targets: Any, **options: Any) -> list[Any]:
    """The loss and its gradients by hidden, weight and bias by the definition, in float64."""
    arrays = [HIDDEN, WEIGHT, BIAS]

    def loss(hidden: Any, weight: Any, bias: Any) -> Any:
        return oracle.cross_entropy(hidden @ weight.T + bias, targets, **options)

    def by(i: int) -> Any:
        return oracle.gradient(lambda x: loss(*arrays[:i], x, *arrays[i + 1 :]), arrays[i])

    return [loss(*arrays), by(0), by(1), by(2)]


@cache
def of_labels(kind: str = "plain") -> list[Any]:
    return defined(LABELS, **OPTIONS[kind])


# In how many entries what is added to something is made: none of the products here is that small.
PART = {"tensorflow": 38, "torch": 4 * 36}


def module_of(framework: Any) -> Any:
    return importlib.import_module(f"xentropy_{framework.name}._products")


@pytest.fixture
def products(framework: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the library's products, which are taken of small heads and in small parts."""
    module, seen = module_of(framework), list[tuple[int, ...]]()
    inner = module._multiplied

    def noted(*given: Any) -> Any:
        made = inner(*given)
        seen.append(tuple(made.shape))
        return made

    monkeypatch.setattr(module, "_multiplied", noted)
    monkeypatch.setattr(_linear_plans, "LARGE", 1)
    monkeypatch.setattr(module, "_PART", PART[framework.name])
    if framework.name == "torch":
        if module._linear is None:
            pytest.skip("this PyTorch has no oneDNN")
        monkeypatch.setattr(module, "_quicker", lambda: True)
    return seen


def made(
    framework: Any,
    targets: Any,
    dtype: str = "float32",
    worth: Any = None,
    mode: str = "eager",
    **options: Any,
) -> list[Any]:
    """The loss, or what it is worth, and its gradients by hidden, weight and bias."""

    def array(x: Any) -> Any:
        return framework.array(x, dtype if x.dtype.kind == "f" else x.dtype.name)

    given = {k: array(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}

    def loss(hidden: Any, weight: Any, bias: Any) -> Any:
        value = xe.linear_cross_entropy(hidden, weight, labels, bias=bias, **given)
        return value if worth is None else worth(value)

    labels, arrays = array(targets), [array(x) for x in (HIDDEN, WEIGHT, BIAS)]
    value, gradients = framework.value_and_grads(loss, *arrays, wrt=(0, 1, 2), mode=mode)
    return [value, *gradients]


def near(framework: Any, found: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    for ours, true in zip(found, wanted, strict=True):
        wide = framework.numpy(ours).astype(np.float64)
        np.testing.assert_allclose(wide, true, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("tile", [None, TILE])
@pytest.mark.parametrize("kind", OPTIONS)
def test_labels(framework: Any, products: list[Any], kind: str, tile: int | None) -> None:
    with xe.options(block_size=tile):
        found = made(framework, LABELS, **OPTIONS[kind])
    near(framework, found, of_labels(kind))
    parts = sum(shape[0] for shape in products if shape[1] == WIDTH and shape[0] < 10)
    blocks = 1 if tile is None else 2
    if framework.name == "torch":  # both come in parts, of every block
        assert parts == blocks * CLASSES
        tiles = [shape[0] for shape in products if shape[1] == CLASSES]
        assert 0 < max(tiles) <= PART["torch"] // CLASSES
    else:  # it is whole of the first block, and comes in parts of another one
        assert (CLASSES, WIDTH) in products
        assert parts == (blocks - 1) * CLASSES


def test_probabilities_and_losses_of_rows(framework: Any, products: list[Any]) -> None:
    worth = RNG.uniform(0.5, 2.0, ROWS)
    given = {"reduction": "none", "sample_weights": SAMPLES}
    with xe.options(block_size=TILE):
        near(framework, made(framework, SOFT), defined(SOFT))
        value, *found = made(framework, LABELS, worth=lambda x: x * framework.array(worth), **given)
    wanted = defined(LABELS, reduction="sum", sample_weights=SAMPLES * worth)
    near(framework, found, wanted[1:])
    np.testing.assert_allclose(framework.numpy(value).sum(), wanted[0], rtol=1e-5, atol=1e-5)
    assert products


def test_a_gradient_times_a_number(framework: Any, products: list[Any]) -> None:
    for number in (0.25, 3.0):
        found = made(framework, LABELS, worth=lambda x, n=number: n * x)
        near(framework, found, [number * x for x in of_labels()])
    assert products


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes_are_left_to_the_usual_one(
    framework: Any, products: list[Any], dtype: str
) -> None:
    near(framework, made(framework, LABELS, dtype), of_labels(), OF_DTYPE[dtype])
    assert not products


OF_DTYPE = {"float64": 1e-9, "bfloat16": 0.05}


def test_small_heads_are_left_to_the_usual_one(
    framework: Any, products: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of one tile: of logits, of hidden, and of the weight, whole or in parts.
    parts = -(-ROWS // (PART["torch"] // CLASSES)) + -(-CLASSES // (PART["torch"] // ROWS))
    count = {"tensorflow": 3, "torch": parts + 1}
    for least, some in ((ROWS * WIDTH * CLASSES + 1, 0), (ROWS * WIDTH * CLASSES, 1)):
        monkeypatch.setattr(_linear_plans, "LARGE", least)
        near(framework, made(framework, LABELS), of_labels())
        assert len(products) == some * count[framework.name]


def test_gradients_stay_as_later_calls_take_memory(framework: Any, products: list[Any]) -> None:
    with xe.options(block_size=TILE):
        first = made(framework, LABELS)
        kept = [framework.numpy(x).copy() for x in first]
        for _ in range(5):
            made(framework, (LABELS + 1) % CLASSES)
    assert products
    for now, then in zip(first, kept, strict=True):
        np.testing.assert_array_equal(framework.numpy(now), then)


def scope(framework: Any) -> Any:
    """A scope of a device, which in TensorFlow belongs to a thread."""
    if framework.name != "tensorflow":
        return nullcontext()
    import tensorflow as tf

    return tf.device("CPU:0")


def test_calls_from_several_threads(framework: Any, products: list[Any]) -> None:
    def call(number: int) -> list[Any]:
        with xe.options(block_size=TILE), scope(framework):
            return made(framework, LABELS, worth=lambda x: x * number)

    with ThreadPoolExecutor(4) as pool:
        for i, found in enumerate(pool.map(call, range(16))):
            near(framework, found, [i * x for x in of_labels()], 1e-4)
    assert products


@pytest.mark.backends("torch")
def test_compiled(framework: Any, products: list[Any]) -> None:
    near(framework, made(framework, LABELS, mode="compiled"), of_labels())
    assert products


@pytest.mark.backends("torch")
@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("kind", ["turned", "part", "every", "part turned"])
def test_weights_that_do_not_lie_row_by_row(
    framework: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from xentropy_torch import _products

    inner, seen = _products._linear, list[bool]()

    def noted(a: Any, b: Any, *rest: Any) -> Any:
        seen.append(b.is_contiguous() or b.T.is_contiguous())
        return inner(a, b, *rest)

    monkeypatch.setattr(_products, "_linear", noted)
    weight = {
        "turned": framework.array(WEIGHT.T.copy()).T,
        "part": framework.array(np.tile(WEIGHT, 2))[:, :WIDTH],
        "every": framework.array(np.repeat(WEIGHT, 2, axis=1))[:, ::2],
        "part turned": framework.array(np.tile(WEIGHT.T, 2).copy()).T[:CLASSES],
    }[kind]
    leaves = [x.requires_grad_() for x in (framework.array(HIDDEN), weight, framework.array(BIAS))]
    labels = framework.array(LABELS, "int64")
    with xe.options(block_size=TILE):
        value = xe.linear_cross_entropy(*leaves[:2], labels, bias=leaves[2])
    near(framework, [value, *torch.autograd.grad(value, leaves)], of_labels())
    # What is no whole matrix is MKL's: oneDNN takes 500 times as long.
    assert all(seen)
    assert bool(seen) == (kind == "turned")


@pytest.mark.backends("tensorflow")
@pytest.mark.parametrize("part", [slice(None), slice(3, 40), slice(None, None, 2)])
def test_arrays_as_operands(part: slice) -> None:
    import tensorflow as tf

    from xentropy_tensorflow import _memory

    x = RNG.standard_normal((48, 16)).astype("float32")
    for given in (x[part], x.T[part], x[:, part], np.asfortranarray(x)[part], x[1:, :1], x[:1, 1:]):
        given.flags.writeable = False
        found, turned = _memory.operand(given)
        product = tf.matmul(found, tf.eye(given.shape[1]), transpose_a=turned)
        np.testing.assert_array_equal(product.numpy(), given)


@pytest.mark.backends("torch")
def test_one_dnn_is_asked_for_where_mkl_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from xentropy_torch import _mutable, _products

    if _products._linear is None:
        pytest.skip("this PyTorch has no oneDNN")
    judged = _mutable.slow.__wrapped__
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    for slow in (False, True):
        monkeypatch.setattr(_mutable, "slow", lambda slow=slow: slow)
        assert _products._quicker() == slow
    monkeypatch.setattr(torch._C, "_get_mkldnn_enabled", lambda: False)
    assert not _products._quicker()
    monkeypatch.setattr(torch._C, "_get_mkldnn_enabled", lambda: True)
    monkeypatch.setattr(_mutable, "slow", judged)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not _products._quicker()
