"""Calls on PyTorch that look like an earlier one: what its compilers and transforms make of it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from test_recalled import LABELS, fresh, logits, losses, softmax, validated

import xentropy as xe
from xentropy import _recalled

torch = pytest.importorskip("torch")
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402 - after the skip

pytestmark = pytest.mark.backends("torch")
__all__ = ["fresh"]  # a fixture

T = torch.tensor(LABELS)


def test_what_is_compiled_or_traced_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.tensor(logits())
    xe.cross_entropy(x, T)
    (before,) = _recalled._calls
    made = validated(monkeypatch)

    def loss(x: Any, labels: Any) -> Any:
        return xe.cross_entropy(x, labels)

    traced = make_fx(loss, tracing_mode="fake")(x, T)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation, and shapes that a trace keeps
        exported = torch.jit.trace(loss, (x, T), check_trace=False)
    compiled = torch.compile(xe.cross_entropy, backend="eager", fullgraph=True)
    for count, function in ((1, traced), (2, exported), (2, compiled)):
        np.testing.assert_allclose(function(x, T), losses(x, LABELS).mean(), rtol=1e-6)
        assert len(made) >= count
    assert list(_recalled._calls) == [before]


def test_transforms_take_what_is_remembered() -> None:
    rows = torch.tensor(np.stack([logits(), logits()]))
    for _ in range(2):
        for x in rows:
            xe.cross_entropy(x, T)
        found = torch.func.vmap(xe.cross_entropy, (0, None))(rows, T)
        np.testing.assert_allclose(found, [losses(x, LABELS).mean() for x in rows], rtol=1e-6)
        slopes = torch.func.vmap(torch.func.grad(xe.cross_entropy), (0, None))(rows, T)
        wanted = [(softmax(x) - np.eye(4)[LABELS]) / 3 for x in rows]
        np.testing.assert_allclose(slopes, wanted, rtol=1e-5, atol=1e-7)


def test_what_moves_is_asked_of_every_call() -> None:
    x = logits()
    for moves in (False, True, False, True):
        given = torch.tensor(x, requires_grad=moves)
        loss = xe.cross_entropy(given, T)
        assert loss.requires_grad == moves
        if moves:
            (slope,) = torch.autograd.grad(loss, given)
            wanted = (softmax(x) - np.eye(4)[LABELS]) / 3
            np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-7)


def test_of_tensors_only_the_dense_of_pytorch_itself() -> None:
    class Mine(torch.Tensor):
        pass

    x: Any = torch.tensor(logits())
    xe.cross_entropy(x.as_subclass(Mine), T)
    with pytest.raises(TypeError, match="to_dense"):
        xe.cross_entropy(x.to_sparse(), T)
    assert not _recalled._calls
    xe.cross_entropy(x, T)
    xe.cross_entropy(torch.nn.Parameter(x), T)
    assert len(_recalled._calls) == 1


def test_what_is_compiled_knows_nothing_of_other_calls() -> None:
    """A table of calls that a compiled function guards is one more compilation for each of them."""
    from torch._dynamo.testing import CompileCounter

    x, counter = torch.tensor(logits()), CompileCounter()
    compiled = torch.compile(xe.softmax, backend=counter, fullgraph=True)
    for classes in (5, 6, 7):
        xe.softmax(torch.ones(2, classes))
        xe.value_and_grad(xe.logsumexp)(torch.ones(2, classes))
        np.testing.assert_allclose(compiled(x), softmax(x), rtol=1e-6)
    assert counter.frame_count == 1
