"""Graphs of PyTorch for as many rows, or classes, as a call brings: traced, exported, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy as xe

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.backends("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402 - after the skip

RNG = np.random.default_rng(29)
SOME = torch.export.Dim("some", min=2, max=100_000)
MANY = torch.export.Dim("many", min=2, max=100_000)

Arrays = tuple[np.ndarray, np.ndarray]


def rows(kind: str, size: int, classes: int) -> Arrays:
    """Rows of which every third is confident."""
    x = RNG.standard_normal((size, classes)).astype(np.float32) * 3
    x[::3] *= 4
    if kind == "hard":
        labels = x.argmax(-1)
        labels[1::2] = RNG.integers(0, classes, labels[1::2].shape)
        return x, labels
    t = RNG.uniform(0.1, 1, x.shape)
    return x, (t / t.sum(-1, keepdims=True)).astype(np.float32)


def defined(x: np.ndarray, t: np.ndarray) -> Arrays:
    """The mean loss and its gradient in float64."""
    if t.ndim == 1:
        t = (np.arange(x.shape[-1]) == t[:, None]).astype(float)
    depth = x.astype(float) - x.max(-1, keepdims=True)
    log_p = depth - np.log(np.exp(depth).sum(-1, keepdims=True))
    return -(t * log_p).sum(-1).mean(), (np.exp(log_p) - t) / len(x)


def by_autograd(x: Any, t: Any) -> tuple[Any, Any]:
    x = x.detach().requires_grad_()
    value = xe.cross_entropy(x, t)
    return value.detach(), torch.autograd.grad(value, x)[0]


def at_once(x: Any, t: Any) -> tuple[Any, Any]:
    value, gradient = xe.value_and_grad(xe.cross_entropy)(x, t)
    return value, gradient


def scored(x: Any, t: Any) -> tuple[Any]:
    return (xe.score(x, t).loss.mean(),)


def alone(x: Any, t: Any) -> tuple[Any]:
    return (xe.cross_entropy(x, t),)


class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any, t: Any) -> Any:
        return self.function(x, t)


def traced(function: Any, x: Any, t: Any, **_: bool) -> Any:
    return make_fx(function, tracing_mode="symbolic")(x, t)


def exported(function: Any, x: Any, t: Any, *, classes: bool) -> Any:
    like = {0: SOME, 1: MANY} if classes else {0: SOME}
    shapes = {"x": like, "t": like if t.ndim == 2 else {0: SOME}}
    return torch.export.export(Module(function), (x, t), dynamic_shapes=shapes).module()


def compiled(function: Any, *_: Any, **__: bool) -> Any:
    torch.compiler.reset()
    return torch.compile(function, dynamic=True, backend="aot_eager")


def recorded(function: Any, x: Any, t: Any, **_: bool) -> Any:
    return torch.jit.trace(function, (x, t), check_trace=False)


WAYS = {each.__name__: each for each in (traced, exported, compiled, recorded)}
FUNCTIONS = {each.__name__: each for each in (alone, by_autograd, at_once, scored)}
CASES = [
    (how, name, kind)
    for how in WAYS
    for name in FUNCTIONS
    for kind in ("hard", "soft")
    # torch.jit.trace takes no gradient inside, of anything; torch.compile is tried with backward
    # passes outside, see derivatives.py.
    if name != "by_autograd" or how in ("traced", "exported")
]


@pytest.mark.compiles
@pytest.mark.filterwarnings("ignore")  # of torch.jit.trace's age, and what it takes for constants
@pytest.mark.parametrize("classes", [10, 300, None])
@pytest.mark.parametrize(("how", "name", "kind"), CASES)
def test_values_of_other_sizes(how: str, name: str, kind: str, classes: int | None) -> None:
    """None is for any number of classes."""
    x, t = map(torch.from_numpy, rows(kind, 12, classes or 300))
    function = WAYS[how](FUNCTIONS[name], x, t, classes=classes is None)
    for size in (48, 7):
        x, t = rows(kind, size, classes or 40 * size)
        value, *gradient = function(torch.from_numpy(x), torch.from_numpy(t))
        loss, made = defined(x, t)
        np.testing.assert_allclose(float(value), loss, rtol=2e-5)
        for one in gradient:
            np.testing.assert_allclose(one.numpy(), made, rtol=2e-5, atol=2e-6 / size)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_labels_of_any_dtype(dtype: Any) -> None:
    """A label that is no class makes NaN, and none wraps, whatever its dtype holds."""

    def loss(x: Any, t: Any) -> Any:
        return xe.cross_entropy(x, t, reduction="none")

    x = torch.randn(3, 300)
    graph = make_fx(loss, tracing_mode="symbolic")(x, torch.zeros(3, dtype=dtype))
    labels = torch.tensor([0, 44, torch.iinfo(dtype).max], dtype=dtype)
    found = graph(x, labels)
    valid = labels.long() < 300
    assert found.isnan().tolist() == (~valid).tolist()
    wanted = -torch.log_softmax(x[valid].double(), -1)
    wanted = wanted.gather(1, labels[valid].long()[:, None])[:, 0]
    torch.testing.assert_close(found[valid].double(), wanted, rtol=2e-5, atol=1e-6)
