"""The bound that the package promises: (4 + |x_j - m|) units in the last place."""

from __future__ import annotations

import numpy as np
import pytest
from harness import Framework
from oracle import exact_row, ulps

import xentropy as xe

MARGINS = [0.0, 1.0, 5.0, 8.0, 12.0, 15.0, 17.0, 20.0, 30.0, 50.0, 70.0, 85.0]
# Below float64's underflow, far above float32's.
DOUBLE_MARGINS = [20.0, 37.0, 100.0, 400.0, 700.0]


def check_row(framework: Framework, mode: str, row: list[float], label: int, dtype: str) -> None:
    x = np.asarray([row], dtype)
    t = np.eye(len(row))[label]
    loss, gradient, _ = exact_row(x[0], t)
    value, grad = framework.value_and_grad(
        xe.cross_entropy,
        framework.array(x, dtype),
        framework.array([label], "int64"),
        mode=mode,
    )
    assert value.dtype == dtype
    depth = float(np.max(x) - x[0, label])
    assert ulps(value, loss, dtype) <= 4 + depth_of(x, label)
    for j, exact in enumerate(gradient):
        depth = float(np.max(x) - x[0, j]) if j != label else depth_of(x, label)
        assert ulps(grad[0, j], exact, dtype) <= 4 + depth, (j, grad[0, j], exact)


def depth_of(x: np.ndarray, label: int) -> float:
    """How far below the maximum the exponentials lie that the label's loss is made of."""
    others = np.delete(x[0], label)
    return float(abs(np.max(x) - np.max(others))) + float(np.max(x) - x[0, label])


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_margins(framework: Framework, margin: float, dtype: str) -> None:
    check_row(framework, "eager", [margin, 0.0, 0.0], 0, dtype)
    check_row(framework, "eager", [0.0, margin, -1.0], 0, dtype)
    check_row(framework, "eager", [0.0, margin, -1.0], 2, dtype)


@pytest.mark.parametrize("margin", DOUBLE_MARGINS)
def test_margins_of_float64(framework: Framework, margin: float) -> None:
    check_row(framework, "eager", [margin, 0.0, 0.0, 1.0], 0, "float64")


@pytest.mark.parametrize("margin", [0.0, 15.0, 30.0, 85.0])
def test_margins_compiled(framework: Framework, mode: str, margin: float) -> None:
    check_row(framework, mode, [margin, 0.0, 0.0], 0, "float32")


def test_the_promised_number(framework: Framework, mode: str) -> None:
    value, grad = framework.value_and_grad(
        xe.cross_entropy,
        framework.array([30.0, 0.0, 0.0]),
        framework.array(0, "int64"),
        mode=mode,
    )
    assert f"{value:.7e}" == "1.8715246e-13"
    assert f"{grad[0]:.7e}" == "-1.8715246e-13"


@pytest.mark.parametrize("cap", [10.0, 7.3])
def test_capped_rows_that_are_sure(framework: Framework, mode: str, cap: float) -> None:
    """The largest capped logit is itself, whatever a compiler makes of the cap's product."""
    x = np.random.default_rng(11).standard_normal((32, 10)).astype(np.float32)
    labels = np.arange(32) % 10
    x[np.arange(32), labels] = np.linspace(8.0, 14.0, 32, dtype=np.float32)
    scores = cap * np.tanh(x.astype(np.float64) / cap)
    below = scores - scores[np.arange(32), labels][:, None]
    below[np.arange(32), labels] = -np.inf
    rest = np.exp(below).sum(1)
    value, grad = framework.value_and_grad(
        xe.cross_entropy,
        framework.array(x),
        framework.array(labels, "int64"),
        mode=mode,
        softcap=cap,
        reduction="none",
    )
    np.testing.assert_allclose(value, np.log1p(rest), rtol=3e-6)
    slope = 1 - (scores[np.arange(32), labels] / cap) ** 2
    own = grad[np.arange(32), labels]
    np.testing.assert_allclose(own, -rest / (1 + rest) * slope, rtol=3e-6)


@pytest.mark.parametrize("shift", [1e3, 1e4, 1e6])
def test_shifts_change_nothing(framework: Framework, shift: float) -> None:
    x = np.float32([1.0, 2.0, 3.0])
    label = framework.array(0, "int64")
    plain = framework.value_and_grad(xe.cross_entropy, framework.array(x), label)
    moved = framework.value_and_grad(xe.cross_entropy, framework.array(x + shift), label)
    assert plain[0] == moved[0]
    assert plain[1].tolist() == moved[1].tolist()


@pytest.mark.parametrize("classes", [1000, 50_000])
@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_many_classes(framework: Framework, mode: str, classes: int, spread: float) -> None:
    rng = np.random.default_rng(classes)
    x = (spread * rng.standard_normal(classes)).astype(np.float32)
    label = int(np.argmin(x))
    loss, gradient, _ = exact_row(x, np.eye(1, classes, label)[0])
    value, grad = framework.value_and_grad(
        xe.cross_entropy, framework.array(x), framework.array(label, "int64"), mode=mode
    )
    assert ulps(value, loss, "float32") <= 4
    below = float(x.max()) - x
    for j in [*range(0, classes, classes // 50), label]:
        assert ulps(grad[j], gradient[j], "float32") <= 4 + below[j], j


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_compute_in_float32(framework: Framework, mode: str, dtype: str) -> None:
    if dtype not in framework.floats:
        pytest.skip(f"{framework.name} has no {dtype}")
    x = framework.array(np.zeros((2, 100_000)), dtype)
    value, grad = framework.value_and_grads(
        xe.cross_entropy, x, framework.array([0, 99_999], "int64"), mode=mode
    )
    assert framework.dtype(value) == "float32"
    assert ulps(framework.numpy(value), exact_log(100_000), "float32") <= 2
    assert framework.dtype(grad[0]) == dtype


def exact_log(x: int) -> object:
    import mpmath

    return mpmath.log(x)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_million_classes_in_half(framework: Framework, mode: str, dtype: str) -> None:
    if dtype not in framework.floats:
        pytest.skip(f"{framework.name} has no {dtype}")
    x = framework.array(np.zeros((1, 1_000_000)), dtype)
    value = framework.call(xe.cross_entropy, x, framework.array([7], "int64"), mode=mode)
    assert framework.dtype(value) == "float32"
    value = framework.numpy(value)
    assert ulps(value, exact_log(1_000_000), "float32") <= 2


@pytest.mark.parametrize("temperature", [0.3, 0.7, 5.0])
def test_temperature_divides_after_the_maximum(
    framework: Framework, mode: str, temperature: float
) -> None:
    x = framework.array([2e9, 1e9, -2e9])
    p = framework.numpy(framework.call(xe.softmax, x, mode=mode, temperature=temperature))
    assert p.tolist() == [1.0, 0.0, 0.0]
    row = np.float32([3.0, 1.0, -2.0, 0.5])
    loss, gradient, _ = exact_row(row, [0, 1, 0, 0], temperature)
    value, grad = framework.value_and_grad(
        xe.cross_entropy,
        framework.array(row),
        framework.array(1, "int64"),
        mode=mode,
        temperature=temperature,
    )
    assert ulps(value, loss, "float32") <= 4 + 5 / temperature
    for got, exact in zip(grad, gradient, strict=True):
        assert ulps(got, exact, "float32") <= 5 + 5 / temperature


@pytest.mark.parametrize("x", [-85.0, -20.0, -1.0, 0.0, 0.5, 17.0, 40.0, 85.0])
@pytest.mark.parametrize("t", [0, 1])
def test_binary_on_both_sides(framework: Framework, mode: str, x: float, t: int) -> None:
    loss, gradient, _ = exact_row([x, 0.0], [t, 1 - t])
    value, grad = framework.value_and_grad(
        xe.binary_cross_entropy, framework.array([x]), framework.array([t], "int64"), mode=mode
    )
    assert ulps(value, loss, "float32") <= 4 + abs(x)
    assert ulps(grad[0], gradient[0], "float32") <= 4 + abs(x)


@pytest.mark.parametrize("margin", [0.0, 1.0, 20.0, 80.0])
def test_maps_keep_both_ends(framework: Framework, mode: str, margin: float) -> None:
    row = np.float32([margin, 0.0, -1.0])
    _, _, p = exact_row(row, [1, 0, 0])
    loss, gradient, _ = exact_row(row, [1, 0, 0])
    x = framework.array(row)
    soft = framework.numpy(framework.call(xe.softmax, x, mode=mode))
    for got, exact, below in zip(soft, p, row.max() - row, strict=True):
        assert ulps(got, exact, "float32") <= 4 + below
    value, grad = (
        framework.value_and_grad(first_of_log_softmax, x, mode=mode)
        if (framework.autograd)
        else (framework.numpy(xe.log_softmax(x))[0], None)
    )
    assert ulps(-value, loss, "float32") <= 4 + margin
    if grad is not None:
        for got, exact in zip(-grad, gradient, strict=True):
            assert ulps(got, exact, "float32") <= 5 + margin


def first_of_log_softmax(x: object) -> object:
    return xe.log_softmax(x)[0]


def test_logsumexp_keeps_a_tiny_result(framework: Framework, mode: str) -> None:
    x = framework.array([0.0, -40.0], "float64")
    value = framework.numpy(framework.call(xe.logsumexp, x, mode=mode))
    assert f"{value:.13e}" == "4.2483542552916e-18"
