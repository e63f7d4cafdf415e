"""PyTorch: gradients through ``torch.autograd``, compiled through
``torch.compile(fullgraph=True)``.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch

from xentropy.parity._case import Array, Case
from xentropy.parity._cases import identity
from xentropy.parity.columns._adapter import (
    Paths,
    Result,
    Tensors,
    along,
    described,
    output,
)
from xentropy.parity.columns._array import entries, numpy_array
from xentropy.parity.columns._torch_twins import twin
from xentropy.parity.columns._twins import Call, Twin

#: The parts of the matrix that PyTorch compiles to machine code, which takes seconds a case; the
#: others it traces and differentiates ahead of time in the same way, and then runs operation by
#: operation.
GENERATED = (
    "worked examples: batch*",
    "accuracy: margin ?5",
    "options together: everything, *float[13][26]",
    "focal_loss: everything",
    "kl_divergence: logits, float32",
)


def _compiler(case: Case) -> str:
    generated = any(fnmatchcase(identity(case), pattern) for pattern in GENERATED)
    return "inductor" if generated else "aot_eager"


class Torch:
    """PyTorch's tensors."""

    autograd = True

    def __init__(self, compiled: bool) -> None:
        self.compiled = compiled

    def context(self, case: Case) -> AbstractContextManager[Any]:
        """Nothing special."""
        return nullcontext()

    def lacks(self, case: Case) -> str | None:
        """PyTorch has every dtype of the matrix."""
        return None

    def tensor(self, held: Array) -> Any:
        """A tensor on the host."""
        if held.dtype != "bfloat16":
            return torch.from_numpy(numpy_array(held).copy())
        return torch.tensor(held.values, dtype=torch.bfloat16).reshape(held.shape)

    def foreign(self, held: Array) -> Any:
        """A NumPy array."""
        return numpy_array(held)

    def start(self) -> None:
        """Many programs of one function would count as its recompilations, which are limited."""
        torch.compiler.reset()

    def forward(self, case: Case, call: Call) -> Call:
        """The call as a user compiles it."""
        if not self.compiled:
            return call
        return torch.compile(call, fullgraph=True, dynamic=False, backend=_compiler(case))

    def differentiate(self, case: Case, call: Call) -> Call:
        """The call, and a backward pass from ones."""
        forward = self.forward(case, call)

        def run(**tensors: Any) -> Result:
            leaves = {n: t.requires_grad_() if n in case.wrt else t for n, t in tensors.items()}
            value = forward(**leaves)
            found = output(case, value)
            wanted = [leaves[n] for n in case.wrt]
            ones = torch.ones_like(found)
            gradients = torch.autograd.grad(found, wanted, ones, allow_unused=True)
            return value, dict(zip(case.wrt, gradients, strict=True))

        return run

    def derivatives(self, case: Case, call: Call) -> Call:
        """Forward mode over the value and over its gradient; compiled, the latter is reverse over
        reverse, another way through what is traced.
        """
        run = _twice if self.compiled else _forward
        return self.forward(case, partial(run, case, call))

    def describe(self, error: Exception) -> tuple[list[str], str]:
        """The error, or the one that Dynamo met while it traced and put into its own."""
        met = re.search(r"raised exception (\w+)\((.*)\)$", str(error), re.MULTILINE)
        return ([met[1]], met[2]) if met else described(error)

    def read(self, tensor: Any) -> tuple[str, tuple[int, ...], list[float]]:
        """A tensor."""
        name = str(tensor.dtype).removeprefix("torch.")
        return name, tuple(tensor.shape), entries(tensor.detach().double().numpy())

    def native(self, case: Case) -> Twin | None:
        """PyTorch's function."""
        return twin(case)


def _summed(function: Call) -> Call:
    """The gradient of a function's sum."""

    def total(x: Any) -> Any:
        return function(x).sum()

    gradient: Call = torch.func.grad(total)
    return gradient


def _forward(case: Case, call: Call, tensors: Tensors, directions: Tensors) -> Any:
    paths = along(case, call, tensors, _summed)
    return _pushed(paths, tensors, directions, *paths)


def _pushed(paths: Paths, tensors: Tensors, directions: Tensors, *names: str) -> dict[str, Any]:
    moving = {n: tensors[n] for n in directions}
    return {n: torch.func.jvp(paths[n], (moving,), (directions,))[1] for n in names}


def _twice(case: Case, call: Call, tensors: Tensors, directions: Tensors) -> Any:
    """Forward mode; and the gradient by the first operand of the derivative in the direction.

    That one is itself a product with the gradient: second derivatives are symmetric.
    """
    found = _pushed(along(case, call, tensors, _summed), tensors, directions, "jvp")
    first = next(iter(case.arrays))

    def moved(x: Any) -> Any:
        here = {**tensors, first: x}
        moving = {n: here[n] for n in directions}
        value = along(case, call, here, _summed)["jvp"]
        gradients = torch.func.grad(lambda moving: value(moving).sum())(moving)
        return sum((gradients[n] * directions[n]).sum() for n in directions)

    if "hvp" in case.derivatives:
        found["hvp"] = torch.func.grad(moved)(tensors[first])
    return found


def make(compiled: bool) -> Torch:
    """The adapter."""
    torch.set_num_threads(1)
    return Torch(compiled)
