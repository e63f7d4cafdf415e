"""PyTorch's ways to differentiate, by the names that derivatives.py declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from derivatives import SAMPLES, Found, exact

func = torch.func


class Problem:
    """A sample in float64 tensors; ``total`` is the weighted sum of its values."""

    def __init__(self, name: str) -> None:
        sample, known = SAMPLES[name], exact(name)
        self.sample = sample
        self.constants = {k: torch.tensor(v) for k, v in sample.constants.items()}
        self.weights = torch.tensor(known.weights)
        self.leaves = tuple(torch.tensor(v).requires_grad_() for v in sample.leaves.values())
        self.still = tuple(leaf.detach() for leaf in self.leaves)
        self.directions = tuple(torch.tensor(v) for v in known.directions)
        self.every = tuple(range(len(self.leaves)))

    def call(self, *leaves: Any) -> Any:
        return self.sample.call(self.constants, *leaves)

    def total(self, *leaves: Any) -> Any:
        return (self.weights * self.call(*leaves)).sum()

    def gradient(self, total: Callable[..., Any] | None = None) -> list[Any]:
        return list(torch.autograd.grad((total or self.total)(*self.leaves), self.leaves))


def dot(xs: Sequence[Any], ys: Sequence[Any]) -> Any:
    return sum((x * y).sum() for x, y in zip(xs, ys, strict=True))


def plain(xs: Sequence[Any]) -> list[np.ndarray]:
    return [x.detach().numpy() for x in xs]


def backward(p: Problem) -> Found:
    p.total(*p.leaves).backward()
    return Found(gradient=plain([leaf.grad for leaf in p.leaves]))


def double_backward(p: Problem) -> Found:
    first = torch.autograd.grad(p.total(*p.leaves), p.leaves, create_graph=True)
    return Found(product=plain(torch.autograd.grad(dot(first, p.directions), p.leaves)))


def gradcheck(p: Problem) -> Found:
    """Forward mode and batched gradients too."""
    ways = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(p.call, p.leaves, **ways, check_batched_forward_grad=True)
    return Found()


def gradgradcheck(p: Problem) -> Found:
    assert torch.autograd.gradgradcheck(p.call, p.leaves, check_fwd_over_rev=True)
    return Found()


def _pushed(p: Problem, total: Callable[..., Any], leaves: Sequence[Any]) -> Found:
    ad = torch.autograd.forward_ad
    with ad.dual_level():
        dual = [ad.make_dual(*pair) for pair in zip(leaves, p.directions, strict=True)]
        value, slope = ad.unpack_dual(total(*dual))
        return Found(value=float(value.detach()), slope=float(slope.detach()))


def forward_mode(p: Problem) -> Found:
    """Of leaves that require a gradient as well; those of func.jvp do not."""
    return _pushed(p, p.total, p.leaves)


def func_grad(p: Problem) -> Found:
    return Found(gradient=plain(func.grad(p.total, argnums=p.every)(*p.still)))


def func_vmap(p: Problem) -> Found:
    """A batch whose second entry is the sample."""
    batch = [torch.stack((x + v, x)) for x, v in zip(p.still, p.directions, strict=True)]
    both = func.grad_and_value(p.total, argnums=p.every)
    grads, values = func.vmap(both)(*batch)
    return Found(value=float(values[1]), gradient=plain([g[1] for g in grads]))


def func_jvp(p: Problem) -> Found:
    value, slope = func.jvp(p.total, p.still, p.directions)
    return Found(value=float(value), slope=float(slope))


def _by_jacobian(p: Problem, jacobian: Any) -> Found:
    each = jacobian(p.call, argnums=p.every)(*p.still)
    ndim = p.weights.ndim
    return Found(gradient=plain([torch.tensordot(p.weights, j, ndim) for j in each]))


def func_jacfwd(p: Problem) -> Found:
    return _by_jacobian(p, func.jacfwd)


def func_jacrev(p: Problem) -> Found:
    return _by_jacobian(p, func.jacrev)


def _by_hessian(p: Problem, hessian: Any) -> Found:
    rows = [
        sum(torch.tensordot(h, v, v.ndim) for h, v in zip(row, p.directions, strict=True))
        for row in hessian(*p.still)
    ]
    return Found(product=plain(rows))


def func_hessian(p: Problem) -> Found:
    return _by_hessian(p, func.hessian(p.total, argnums=p.every))


def func_jacfwd_twice(p: Problem) -> Found:
    return _by_hessian(p, func.jacfwd(func.jacfwd(p.total, p.every), p.every))


def forward_over_reverse(p: Problem) -> Found:
    grad = func.grad(p.total, argnums=p.every)
    return Found(product=plain(func.jvp(grad, p.still, p.directions)[1]))


def compile_aot_eager(p: Problem) -> Found:
    torch._dynamo.reset()
    compiled = torch.compile(p.total, fullgraph=True, backend="aot_eager")
    return Found(gradient=plain(p.gradient(compiled)))


def forward_mode_of_compiled(p: Problem) -> Found:
    """Of leaves without a gradient of their own; test_torch.py has what PyTorch says to others."""
    torch._dynamo.reset()
    return _pushed(p, torch.compile(p.total, fullgraph=True, backend="aot_eager"), p.still)


def compile_func_hessian(p: Problem) -> Found:
    torch._dynamo.reset()
    hessian = func.hessian(p.total, argnums=p.every)
    return _by_hessian(p, torch.compile(hessian, fullgraph=True, backend="aot_eager"))


def compile_inductor_dynamic(p: Problem) -> Found:
    torch._dynamo.reset()
    compiled = torch.compile(p.total, fullgraph=True, dynamic=True)
    return Found(gradient=plain(p.gradient(compiled)))


def autocast(p: Problem) -> Found:
    """Nothing is computed in less than the dtype of the logits."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return Found(gradient=plain(p.gradient()))


def export(p: Problem) -> Found:
    """The exported program, its value and its gradient."""

    class Model(torch.nn.Module):
        def forward(self, *leaves: Any) -> Any:
            return p.total(*leaves)

    program = torch.export.export(Model(), p.leaves).module()
    return Found(value=float(program(*p.still)), gradient=plain(p.gradient(program)))
