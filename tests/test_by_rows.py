"""Functions of rows in blocks: however rows are cut, each of them is the definition's."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from harness import Framework

import xentropy as xe
from xentropy import _by_sums

pytestmark = pytest.mark.backends("numpy", "torch", "tensorflow")

RNG = np.random.default_rng(8)
SHAPES = [((9, 5), 1), ((2, 5, 4), 1), ((5, 6), 0), ((7,), 0)]
CUTS: list[dict[str, int]] = [
    {"block_size": 1, "threads": 1},
    {"block_size": 12, "threads": 3},
    {"block_size": 999},
]
# How near a result in a dtype is to that of the same entries in long double.
NEAR = {"float32": 3e-6, "float64": 1e-14, "float16": 2e-3, "bfloat16": 1e-2}
cuts = pytest.mark.parametrize("cut", CUTS, ids=str)


@pytest.fixture(autouse=True)
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few entries as tests have are visited in blocks too, and are the same in any order."""
    monkeypatch.setattr(_by_sums, "FEW", 0)
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(8))


def entries(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Rows of which some are confident, and one has two largest entries."""
    x = np.moveaxis(RNG.normal(size=shape) * 3, axis, -1).copy()
    rows = x.reshape(-1, shape[axis])
    rows[::3, 2] += 18
    rows[-1, :2] = rows[-1].max() + 1
    return np.moveaxis(x, -1, axis)


class Rows:
    """The definitions, in long double: nothing is lost where the largest entry is apart."""

    def __init__(self, x: np.ndarray, axis: int, temperature: float = 1.0) -> None:
        self.axis, wide = axis, np.moveaxis(x.astype(np.longdouble), axis, -1)
        self.peak = wide.max(-1, keepdims=True)
        self.below = (wide - self.peak) / temperature
        self.exp = np.exp(self.below)
        others = np.where(np.arange(wide.shape[-1]) == wide.argmax(-1)[..., None], 0, self.exp)
        self.rest = others.sum(-1, keepdims=True)

    def softmax(self) -> np.ndarray:
        return np.moveaxis(self.exp / (1 + self.rest), -1, self.axis)

    def log_softmax(self) -> np.ndarray:
        return np.moveaxis(self.below - np.log1p(self.rest), -1, self.axis)

    def logsumexp(self) -> np.ndarray:
        return (self.peak + np.log1p(self.rest))[..., 0]

    def entropy(self) -> np.ndarray:
        moment = (self.exp * -self.below).sum(-1, keepdims=True)
        return (np.log1p(self.rest) + moment / (1 + self.rest))[..., 0]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.longdouble)))


OF_ROWS: dict[str, Callable[..., Any]] = {
    "softmax": xe.softmax,
    "log_softmax": xe.log_softmax,
    "logsumexp": xe.logsumexp,
    "entropy": xe.entropy,
}


def near(found: np.ndarray, wanted: np.ndarray, dtype: str) -> None:
    assert found.shape == wanted.shape
    least = 6e-8 if dtype == "float16" else 1e-30
    np.testing.assert_allclose(found.astype(np.longdouble), wanted, rtol=NEAR[dtype], atol=least)


@cuts
@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("name", OF_ROWS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_values_of_rows(
    framework: Framework, name: str, shape: Any, axis: int, dtype: str, cut: Any
) -> None:
    x = framework.array(entries(shape, axis), dtype)
    with xe.options(**cut):
        found = framework.numpy(OF_ROWS[name](x, axis=axis))
    near(found, getattr(Rows(framework.numpy(x), axis), name)(), dtype)


@cuts
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "entropy"])
def test_temperature(framework: Framework, name: str, cut: Any) -> None:
    x = framework.array(entries((9, 5), 1))
    with xe.options(**cut):
        found = framework.numpy(OF_ROWS[name](x, axis=1, temperature=0.7))
    near(found, getattr(Rows(framework.numpy(x), 1, 0.7), name)(), "float32")


@cuts
def test_kept_axes_and_several(framework: Framework, cut: Any) -> None:
    x = entries((2, 5, 4), 1).astype(np.float32)
    wanted = Rows(x, 1).logsumexp()
    with xe.options(**cut):
        kept = framework.numpy(xe.logsumexp(framework.array(x), axis=1, keepdims=True))
        both = framework.numpy(xe.logsumexp(framework.array(x), axis=(0, 1)))
    near(kept, wanted[:, None], "float32")
    near(both, np.logaddexp(*wanted), "float32")


@cuts
@pytest.mark.parametrize("counted", [False, True])
def test_sums_with_a_sign(framework: Framework, counted: bool, cut: Any) -> None:
    x, b = entries((9, 5), 1).astype(np.float32), RNG.normal(size=(9, 5)).astype(np.float32)
    options = {"b": framework.array(b)} if counted else {}
    with xe.options(**cut):
        found = xe.logsumexp(framework.array(x), axis=1, return_sign=True, **options)
    total = ((b if counted else 1) * np.exp(x.astype(np.longdouble))).sum(1)
    assert framework.numpy(found[1]).tolist() == np.sign(total).tolist()
    wanted = np.log(np.abs(total))
    np.testing.assert_allclose(framework.numpy(found[0]), wanted, rtol=1e-5, atol=1e-5)


@cuts
@pytest.mark.parametrize("shape", [(40,), (3, 4, 5)])
def test_entries_by_themselves(framework: Framework, shape: Any, cut: Any) -> None:
    x = framework.array(RNG.normal(size=shape) * 9)
    wide = framework.numpy(x)
    with xe.options(**cut):
        near(framework.numpy(xe.sigmoid(x)), sigmoid(wide), "float32")
        logs = -np.log1p(np.exp(-wide.astype(np.longdouble)))
        near(framework.numpy(xe.log_sigmoid(x)), logs, "float32")


@cuts
@pytest.mark.parametrize("per", ["entry", "class"])
def test_masks_and_factors(framework: Framework, per: str, cut: Any) -> None:
    x, shape = entries((9, 5), 1).astype(np.float32), (5,) if per == "class" else (9, 5)
    mask = np.arange(math.prod(shape)).reshape(shape) % 5 != 1
    factors = RNG.uniform(0.5, 2.0, shape).astype(np.float32)
    hidden = np.where(mask, x, -np.inf)
    given, where = framework.array(x), framework.array(mask, "bool")
    with xe.options(**cut):
        masked = framework.numpy(xe.softmax(given, where=where))
        counted = framework.numpy(xe.logsumexp(given, axis=1, b=framework.array(factors)))
    near(masked, Rows(hidden, 1).softmax(), "float32")
    weighed = x.astype(np.longdouble) + np.log(factors.astype(np.longdouble))
    near(counted, Rows(weighed, 1).logsumexp(), "float32")


@cuts
def test_strange_rows_are_as_the_policy_has_them(framework: Framework, cut: Any) -> None:
    inf, nan = math.inf, math.nan
    x = entries((9, 3), 1).astype(np.float32)
    x[1], x[4], x[5], x[7], x[8] = -inf, (1, inf, 2), (inf, inf, 0), (nan, 1, 2), (-inf, 0, 0)
    with xe.options(**cut):
        p, logs, total = (
            framework.numpy(OF_ROWS[name](framework.array(x), axis=1))
            for name in ("softmax", "log_softmax", "logsumexp")
        )
    lost, fine = [1, 5, 7], [0, 2, 3, 6, 8]
    for found in (p, logs):
        assert np.isnan(found[lost]).all()
    assert p[4].tolist() == [0, 1, 0]
    assert logs[4].tolist() == [-inf, 0, -inf]
    np.testing.assert_array_equal(total[[1, 4, 5, 7]], [-inf, inf, inf, nan])
    wanted = Rows(x[fine], 1)
    for found, name in ((p, "softmax"), (logs, "log_softmax"), (total, "logsumexp")):
        near(found[fine], getattr(wanted, name)(), "float32")


@cuts
@pytest.mark.parametrize("soft", [False, True])
def test_scores(framework: Framework, soft: bool, cut: Any) -> None:
    x = entries((9, 5), 1).astype(np.float32)
    labels = RNG.integers(0, 5, 9)
    targets = np.eye(5)[labels]
    given = framework.array(targets) if soft else framework.array(labels, "int64")
    with xe.options(**cut):
        found = xe.score(framework.array(x), given)
    rows = Rows(x, 1)
    for value in (found.loss, -found.log_prob):
        near(framework.numpy(value), -(targets * rows.log_softmax()).sum(1), "float32")
    near(framework.numpy(found.lse), rows.logsumexp(), "float32")
    near(framework.numpy(found.entropy), rows.entropy(), "float32")
    assert framework.numpy(found.prediction).tolist() == x.argmax(1).tolist()
    assert framework.numpy(found.correct).tolist() == (x.argmax(1) == labels).tolist()


@cuts
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients(framework: Framework, dtype: str, cut: Any) -> None:
    """Of the sum of all values, each times the one before it in a fixed order."""
    x = entries((9, 5), 1)
    given = framework.array(x, dtype)
    p = Rows(framework.numpy(given), 1)
    slope = p.softmax()
    per_row = p.entropy()[:, None]
    wanted = {
        "softmax": 0 * slope,
        "log_softmax": 1 - 5 * slope,
        "logsumexp": slope,
        "entropy": -slope * (p.log_softmax() + per_row),
    }
    with xe.options(**cut):
        for name, exact in wanted.items():
            found = framework.value_and_grad(partial(OF_ROWS[name], axis=1), given)[1]
            scale = 1e-6 if dtype == "float32" else 1e-14
            np.testing.assert_allclose(found.astype(np.longdouble), exact, rtol=5e-6, atol=scale)
        found = framework.value_and_grad(xe.sigmoid, given)[1]
        s = sigmoid(framework.numpy(given))
        near(found, s * (1 - s), "float32")


@pytest.mark.backends("torch")
@cuts
def test_bars_of_rows_and_higher_orders(cut: Any) -> None:
    import torch

    x = torch.tensor(entries((4, 5), 1), requires_grad=True)
    bars = torch.tensor(RNG.normal(size=(3, 4, 5)))
    exact = torch.stack([_jacobian_of_softmax(row) for row in x.detach()])
    with xe.options(**cut):
        p = xe.softmax(x, axis=1)
        for bar in bars:
            (found,) = torch.autograd.grad(p, x, bar, retain_graph=True)
            torch.testing.assert_close(found, (bar[:, None] @ exact)[:, 0])
        (many,) = torch.autograd.grad(p, x, bars, is_grads_batched=True, retain_graph=True)
        torch.testing.assert_close(many, (bars[:, :, None] @ exact)[:, :, 0])
        for function in OF_ROWS.values():
            call = partial(function, axis=1)
            torch.autograd.gradcheck(call, x)
            torch.autograd.gradgradcheck(call, x)
        found = torch.func.vmap(torch.func.grad(xe.logsumexp))(x.detach())
    torch.testing.assert_close(found, p.detach())


def _jacobian_of_softmax(row: Any) -> Any:
    import torch

    p = torch.softmax(row, -1)
    return torch.diag(p) - p[:, None] * p


@pytest.mark.backends("numpy")
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "entropy", "score"])
def test_little_is_held_beside_the_values(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(_by_sums, "FEW", 1 << 16)
    x = RNG.normal(size=(4096, 512)).astype(np.float32)
    labels = np.zeros(4096, np.int64)
    call: Any = (
        partial(xe.score, x, labels) if name == "score" else partial(OF_ROWS[name], x, axis=1)
    )
    with xe.options(block_size=1 << 14, threads=2):
        call()
        tracemalloc.start()
        made = call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    own = made.nbytes if hasattr(made, "nbytes") else 0
    assert peak < own + 0.4 * x.nbytes


def test_a_scalar_and_nothing(framework: Framework) -> None:
    for shape in ((0, 3), (2, 0, 3)):
        empty = framework.array(np.zeros(shape))
        assert framework.numpy(xe.softmax(empty)).shape == shape
        assert framework.numpy(xe.logsumexp(empty, axis=-1)).shape == shape[:-1]
    one = framework.numpy(xe.sigmoid(framework.array(np.float32(0.0))))
    assert (one.shape, float(one)) == ((), 0.5)
    assert float(framework.numpy(xe.logsumexp(framework.array([1.0, 1.0])))) == pytest.approx(
        1 + math.log(2)
    )
