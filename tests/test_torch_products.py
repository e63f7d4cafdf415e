"""Heads of PyTorch whose products are oneDNN's: right whatever is multiplied, and where it goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_heads import (
    BIAS,
    CLASSES,
    HIDDEN,
    LABELS,
    OPTIONS,
    ROWS,
    SOFT,
    TILE,
    WEIGHT,
    WIDTH,
    defined,
    of_labels,
)

import xentropy as xe

torch = pytest.importorskip("torch")
from xentropy_torch import _mutable, _products  # noqa: E402

pytestmark = [
    pytest.mark.backends("torch"),
    pytest.mark.skipif(_products._linear is None, reason="this PyTorch has no oneDNN"),
]


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of oneDNN's products, which are taken of small heads and on any processor."""
    seen: list[tuple[int, ...]] = []
    inner = _products._multiplied

    def noted(a: Any, b: Any) -> Any:
        made = inner(a, b)
        seen.append(tuple(made.shape))
        return made

    monkeypatch.setattr(_products, "_multiplied", noted)
    monkeypatch.setattr(_products, "_quicker", lambda: True)
    monkeypatch.setattr(_products, "_LARGE", 1)
    monkeypatch.setattr(_products, "_PART", 4 * 36)
    return seen


def by_autograd(targets: Any, dtype: str = "float32", worth: Any = None, **options: Any) -> Any:
    """The loss, or what it is worth, and its gradients by hidden, weight and bias."""
    kind = getattr(torch, dtype)
    leaves = [torch.tensor(x, dtype=kind, requires_grad=True) for x in (HIDDEN, WEIGHT, BIAS)]
    given = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    labels = torch.tensor(targets, dtype=kind if targets.dtype.kind == "f" else None)
    hidden, weight, bias = leaves
    value = xe.linear_cross_entropy(hidden, weight, labels, bias=bias, **given)
    value = value if worth is None else worth(value)
    value.backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def near(found: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    for ours, true in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours.double().numpy(), true, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("tile", [None, TILE])
@pytest.mark.parametrize("kind", OPTIONS)
def test_labels(products: list[Any], kind: str, tile: int | None) -> None:
    with xe.options(block_size=tile):
        found = by_autograd(LABELS, **OPTIONS[kind])
    near(found, of_labels(kind))
    # The weight's gradient comes in parts, of every block.
    parts = [shape[0] for shape in products if shape[1] == WIDTH and shape[0] < 10]
    assert sum(parts) == CLASSES * (1 if tile is None else 2)


def test_probabilities(products: list[Any]) -> None:
    with xe.options(block_size=TILE):
        near(by_autograd(SOFT), defined(SOFT))
    assert products


def test_a_gradient_times_a_number(products: list[Any]) -> None:
    for number in (0.25, 3.0):
        found = by_autograd(LABELS, worth=lambda x, n=number: n * x)
        near(found, [number * x for x in of_labels()])
    assert products


def test_compiled(products: list[Any]) -> None:
    torch._dynamo.reset()
    loss = torch.compile(xe.linear_cross_entropy, fullgraph=True, backend="aot_eager")
    leaves = [torch.tensor(x, dtype=torch.float32, requires_grad=True) for x in (HIDDEN, WEIGHT)]
    value = loss(*leaves, torch.tensor(LABELS), bias=torch.tensor(BIAS, dtype=torch.float32))
    value.backward()
    near([value.detach(), *(leaf.grad for leaf in leaves)], of_labels()[:3])
    assert products


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes_are_left_to_pytorch(products: list[Any], dtype: str) -> None:
    near(by_autograd(LABELS, dtype), of_labels(), 1e-9 if dtype == "float64" else 0.05)
    assert not products


def test_small_heads_are_left_to_pytorch(
    products: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for least, some in ((ROWS * WIDTH * CLASSES + 1, False), (ROWS * WIDTH * CLASSES, True)):
        monkeypatch.setattr(_products, "_LARGE", least)
        near(by_autograd(LABELS), of_labels())
        assert bool(products) == some


def test_one_dnn_is_asked_for_where_mkl_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    for slow in (False, True):
        monkeypatch.setattr(_mutable, "slow", lambda slow=slow: slow)
        assert _products._quicker() == slow
    monkeypatch.setattr(torch._C, "_get_mkldnn_enabled", lambda: False)
    assert not _products._quicker()
    monkeypatch.setattr(torch._C, "_get_mkldnn_enabled", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not _products._quicker()
