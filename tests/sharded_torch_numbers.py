"""Values and gradients, of first and second order, of the cases of `sharded_cases`."""

from __future__ import annotations

from typing import Any

import numpy as np
import sharded_oracle
from sharded_cases import BLOCKS, DTYPES, EXACT, LAYOUTS, Arrays, Case, Layout, piece, pieces
from sharded_torch import Member, Step

import xentropy as xe

#: What values are weighed with before their gradient is taken.
WEIGHTS = (1.5, 2.0, -0.5, 0.25)
Numbers = dict[str, Any]

PAIRS = ("2 even", "2 uneven"), ("4 even",), ("4 uneven",)


def tensors(arrays: Arrays, dtype: str) -> dict[str, Any]:
    """Arrays as tensors, those that can be with a gradient."""
    import torch

    def one(x: np.ndarray) -> Any:
        x = torch.tensor(x)
        return x.to(getattr(torch, dtype)).requires_grad_() if x.is_floating_point() else x

    return {name: one(np.asarray(x)) for name, x in arrays.items()}


def plain(x: Any) -> np.ndarray:
    """A tensor as NumPy; narrow dtypes in float64, which holds them."""
    x = x.detach()
    return (x.double() if x.is_floating_point() else x).numpy()


def called(case: Case, given: dict[str, Any], group: Any) -> tuple[Any, ...]:
    """The values of a case."""
    axis = {} if case.function.startswith("linear") else {"axis": case.axis}
    with xe.options(block_size=case.block):
        value = getattr(xe, case.function)(**given, **case.options, **axis, group=group)
    return value if isinstance(value, tuple) else (value,)


def total(values: tuple[Any, ...]) -> Any:
    """One number of all values that have a gradient."""
    floating = (x for x in values if x.is_floating_point())
    return sum(
        (weight * x * (1 + place(x))).sum() for weight, x in zip(WEIGHTS, floating, strict=False)
    )


def place(x: Any) -> Any:
    """The number of every entry, so that each is weighed otherwise."""
    import torch

    return torch.arange(x.numel(), dtype=x.dtype).reshape(x.shape)


def numbers(member: Member, case: Case) -> Numbers:
    """What a member finds of a case."""
    import torch

    given = tensors(pieces(case, member.bounds), case.dtype)
    moving = [given[name] for name in case.moving]
    values = called(case, given, member.group)
    found = {
        "values": [plain(x) for x in values],
        "dtypes": [str(x.dtype) for x in values],
        "gradients": gradients(case, values, moving),
        "alone": alone(case, given, member),
    }
    with torch.no_grad():
        found["without autograd"] = [plain(x) for x in called(case, given, member.group)]
    if case.dtype == "float64":
        found |= higher(case, given, member)
    return found


def gradients(case: Case, values: tuple[Any, ...], moving: list[Any]) -> Numbers:
    """Those of first order by all arrays, by name."""
    import torch

    found = torch.autograd.grad(total(values), moving)
    assert all(by.dtype == x.dtype for by, x in zip(found, moving, strict=True))
    return dict(zip(case.moving, map(plain, found), strict=True))


def alone(case: Case, given: dict[str, Any], member: Member) -> np.ndarray:
    """The gradient by the first array where no other asks for one: it has ways of its own."""
    import torch

    first = case.moving[0]
    fixed = {name: x if name == first else x.detach() for name, x in given.items()}
    return plain(torch.autograd.grad(total(called(case, fixed, member.group)), given[first])[0])


def higher(case: Case, given: dict[str, Any], member: Member) -> Numbers:
    """The gradients as autograd can differentiate them, and what they change by."""
    import torch

    names = case.moving
    moving = [given[name] for name in names]
    found = torch.autograd.grad(total(called(case, given, member.group)), moving, create_graph=True)
    directions = case.directions()
    bars = [torch.tensor(piece(case, name, directions[name], member.bounds)) for name in names]
    along = sum((by * bar).sum() for by, bar in zip(found, bars, strict=True))
    second = torch.autograd.grad(along, moving)
    return {
        "again": dict(zip(names, map(plain, found), strict=True)),
        "second": dict(zip(names, map(plain, second), strict=True)),
    }


def cut_anywhere(member: Member, case: Case, cuts: tuple[int, ...]) -> Numbers:
    """The same with cuts of its own, of any number of classes."""
    members = LAYOUTS["4 even"].members
    return numbers(Member(member.group, member.number, Layout(members, cuts)), case)


def defined(case: Case) -> Numbers:
    """The same of whole arrays by the definition, in float64."""
    import torch

    rounded = tensors(case.arrays, case.dtype)
    given = {
        name: x.detach().double().requires_grad_() if x.is_floating_point() else x
        for name, x in rounded.items()
    }
    moving = [given[name] for name in case.moving]
    values = sharded_oracle.evaluated(torch, case.function, case.axis, {**given, **case.options})
    first = torch.autograd.grad(total(values), moving, create_graph=True, materialize_grads=True)
    directions = [torch.tensor(x) for x in case.directions().values()]
    along = sum((by * bar).sum() for by, bar in zip(first, directions, strict=True))
    second = (
        torch.autograd.grad(along, moving, materialize_grads=True)
        if along.requires_grad
        else map(torch.zeros_like, moving)
    )
    return {
        "values": [plain(x) for x in values],
        "gradients": dict(zip(case.moving, map(plain, first), strict=True)),
        "second": dict(zip(case.moving, map(plain, second), strict=True)),
    }


CASES = EXACT | BLOCKS | DTYPES
# Four that are even show nothing here that two and four uneven ones do not.
PLACES = [(name, layouts, layout) for name in CASES for layouts in PAIRS[::2] for layout in layouts]

STEPS = {
    f"{name}; {' and '.join(layouts)}": Step(__name__, "numbers", layouts, (CASES[name],))
    for name, layouts, _ in PLACES
}
