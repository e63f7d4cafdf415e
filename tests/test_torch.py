"""What PyTorch users do besides calling backward once."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from oracle import exact_row, ulps

import xentropy as xe
from xentropy import _fused
from xentropy._call import call_of

torch = pytest.importorskip("torch")
from xentropy_torch import _namespace as xp  # noqa: E402
from xentropy_torch._backend import _INDUCTOR  # noqa: E402

pytestmark = pytest.mark.backends("torch")

LABELS = torch.tensor([1, 2, -1, 0])


def leaf(*shape: int, low: float | None = None) -> Any:
    """A float64 leaf: normal, or uniform above ``low``."""
    generator = torch.Generator().manual_seed(sum(shape))
    if low is None:
        x = torch.randn(shape, dtype=torch.float64, generator=generator)
    else:
        x = torch.rand(shape, dtype=torch.float64, generator=generator) * 0.8 + low
    return x.requires_grad_()


def hard(x: Any, weights: Any, samples: Any) -> Any:
    return xe.cross_entropy(
        x,
        LABELS,
        ignore_index=-1,
        class_weights=weights,
        sample_weights=samples,
        label_smoothing=0.1,
        z_loss=0.1,
        temperature=0.7,
        softcap=3.0,
    )


def soft(x: Any, targets: Any, weights: Any, samples: Any) -> Any:
    return xe.cross_entropy(
        x, targets, class_weights=weights, sample_weights=samples, label_smoothing=0.1
    )


def binary(x: Any, targets: Any, weight: Any, samples: Any) -> Any:
    return xe.binary_cross_entropy(x, targets, pos_weight=weight, sample_weights=samples)


def everything(x: Any, b: Any) -> Any:
    return xe.logsumexp(x, b=b, axis=None)


X, UNIT, ROW, ROWS = leaf(4, 5), leaf(4, 5, low=0.1), leaf(5, low=0.4), leaf(4, low=0.4)
CHECKS = [
    (hard, (X, ROW, ROWS)),
    (soft, (X, UNIT, ROW, ROWS)),
    (binary, (X, UNIT, ROW, leaf(4, 5, low=0.2))),
    (everything, (X, UNIT)),
    (xe.softmax, (X,)),
    (xe.log_softmax, (X,)),
    (xe.logsumexp, (X,)),
    (xe.sigmoid, (X,)),
    (xe.log_sigmoid, (X,)),
    (lambda p: xe.cross_entropy(p, LABELS, ignore_index=-1, from_logits=False), (UNIT,)),
    (lambda p: xe.nll_loss(p, LABELS, ignore_index=-1, reduction="sum"), (X,)),
    (lambda x: xe.cross_entropy(x, LABELS, ignore_index=-1, label_smoothing=0.1), (X,)),
    (lambda x: xe.cross_entropy(x, LABELS, ignore_index=-1, reduction="none"), (X,)),
    (lambda x: xe.cross_entropy(x, UNIT.detach(), softcap=3.0), (X,)),
]


@pytest.mark.parametrize(("function", "leaves"), CHECKS)
def test_first_and_second_derivatives(function: Any, leaves: Any) -> None:
    """Reverse and forward mode, batched, and both over reverse mode."""
    assert torch.autograd.gradcheck(
        function,
        leaves,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert torch.autograd.gradgradcheck(function, leaves, check_fwd_over_rev=True)


@pytest.mark.parametrize("outer", [torch.func.jacfwd, torch.func.jacrev])
@pytest.mark.parametrize("inner", [torch.func.jacfwd, torch.func.jacrev])
def test_hessians(outer: Any, inner: Any) -> None:
    """diag(p) - p p' by every composition of the two modes."""
    row = X[0].detach()
    p = np.exp(row.numpy()) / np.exp(row.numpy()).sum()
    got = outer(inner(lambda x: xe.cross_entropy(x, 1)))(row)
    np.testing.assert_allclose(got.numpy(), np.diag(p) - np.outer(p, p), rtol=1e-11, atol=1e-15)


def test_inductor_with_changing_shapes() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(xe.cross_entropy, fullgraph=True)
    for rows in (4, 6, 9):
        x = torch.randn(rows, 5, requires_grad=True)
        labels = torch.arange(rows) % 5
        compiled(x, labels).backward()
        p = np.exp(x.detach().double().numpy())
        p /= p.sum(-1, keepdims=True)
        np.testing.assert_allclose(
            x.grad.numpy(), (p - np.eye(5)[labels.numpy()]) / rows, rtol=1e-5, atol=1e-7
        )


# What is at the top, or next to it: exponentials that round to 1, and that come just below.
NEAR_THE_TOP = [
    [3.0, 3.0, 1.0],
    [0.0, -1e-8, -4.0],
    [0.0, -(2.0**-25), -20.0],
    [0.0, -(2.0**-24), -20.0],
    [1e-9, 0.0, -1e-9],
    [0.0, -30.0, -40.0],
    [-50.0, 60.0, 60.0],
]


@pytest.mark.parametrize("row", NEAR_THE_TOP)
@pytest.mark.parametrize("label", range(3))
def test_what_inductor_compiles_counts_every_top_once(row: list[float], label: int) -> None:
    x = torch.tensor([row])
    given = torch.tensor([label])
    call = call_of(xe.cross_entropy, x, given)
    fused = _fused.Fused(call.rule, _INDUCTOR)
    loss = fused.forward(xp, call.leaves)[0][0]
    exact = exact_row(x[0].numpy(), np.eye(3)[label])[0]
    depth = max(row) - min(row)
    assert ulps(loss.numpy(), exact, "float32") <= 4 + depth


def test_what_inductor_compiles_has_tops_of_infinity() -> None:
    inf = math.inf
    for row, label, loss in (
        ([inf, 0.0, -inf], 0, 0.0),
        ([inf, 0.0, 1.0], 1, inf),
        ([-inf, -inf, 0.0], 2, 0.0),
    ):
        call = call_of(xe.cross_entropy, torch.tensor([row]), torch.tensor([label]))
        found = _fused.Fused(call.rule, _INDUCTOR).forward(xp, call.leaves)[0][0]
        assert float(found) == loss == float(xe.cross_entropy(torch.tensor([row]), call.leaves[1]))


def test_the_first_call_of_all_may_be_compiled() -> None:
    """In a process where xentropy has not met a tensor yet, a Parameter included."""
    code = """
import torch, xentropy as xe
for x in (torch.zeros(2, 4, requires_grad=True), torch.nn.Parameter(torch.zeros(2, 4))):
    compiled = torch.compile(xe.cross_entropy, fullgraph=True, backend="aot_eager")
    compiled(x, torch.tensor([0, 1])).backward()
    print(*x.grad.flatten().tolist())
"""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}{code}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    wanted = ((0.25 - np.eye(4)[:2]) / 2).ravel()
    for line in done.stdout.splitlines():
        np.testing.assert_allclose(np.array(line.split(), float), wanted, rtol=1e-6)
    assert done.stdout.count("\n") == 2


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_what_pytorch_cannot_push_through_compiled_code_is_an_error() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: xe.cross_entropy(x, 1), backend="aot_eager")
    ad = torch.autograd.forward_ad
    with ad.dual_level(), pytest.raises(NotImplementedError, match="jvp"):
        compiled(ad.make_dual(torch.randn(3, requires_grad=True), torch.ones(3)))


def test_two_backwards_and_accumulation() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    loss = xe.cross_entropy(x, torch.tensor([0, 1, 2]))
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    assert torch.equal(x.grad, 2 * once)


def test_no_gradient_costs_no_graph() -> None:
    x = torch.randn(3, 4)
    assert xe.cross_entropy(x, [0, 1, 2]).grad_fn is None
    with torch.no_grad():
        assert xe.cross_entropy(x.requires_grad_(), [0, 1, 2]).grad_fn is None


def test_only_the_wanted_gradients_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from xentropy import _targets

    def fail(*_: Any) -> Any:
        raise AssertionError("a gradient that nobody asked for")

    for name in ("pull_given", "pull_scale", "pull_weights"):
        monkeypatch.setattr(_targets, name, fail)
    x = torch.randn(3, 4, requires_grad=True)
    targets, weights = torch.rand(3, 4), torch.rand(4)
    xe.cross_entropy(x, targets, class_weights=weights).backward()
    assert x.grad is not None
    with pytest.raises(AssertionError, match="nobody"):
        xe.cross_entropy(x, targets.requires_grad_()).backward()


def test_vmap_over_gradients() -> None:
    x, labels = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    batched = torch.func.vmap(torch.func.grad(xe.cross_entropy))(x, labels)
    single = torch.stack(
        [torch.func.grad(xe.cross_entropy)(*row) for row in zip(x, labels, strict=True)]
    )
    assert torch.allclose(batched, single, rtol=1e-12)


def test_a_label_out_of_range_under_vmap_is_nan() -> None:
    x, labels = torch.zeros(2, 3), torch.tensor([0, 3])
    losses = torch.func.vmap(xe.cross_entropy)(x, labels)
    assert losses[0] == pytest.approx(np.log(3))
    assert losses[1].isnan()


def test_autocast_leaves_the_loss_in_float32() -> None:
    x = torch.randn(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = x @ torch.eye(4)
        loss = xe.cross_entropy(logits, [0, 1, 2])
    assert logits.dtype == torch.bfloat16
    assert loss.dtype == torch.float32


def test_inputs_of_any_layout() -> None:
    """Transposed, expanded and strided logits give what a plain copy gives."""
    base = torch.randn(5, 4, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 4])
    for x in (base.T, torch.randn(1, 5, dtype=torch.float64).expand(4, 5), base.T[:, ::1]):
        copy = x.contiguous().clone()
        assert xe.cross_entropy(x, labels) == xe.cross_entropy(copy, labels)
