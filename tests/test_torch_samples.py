"""PyTorch's own samples of its functions and modules, run through the drop-ins."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch.testing._internal imports it
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402 - after the check
from torch.testing._internal.common_modules import module_db  # noqa: E402
from torch.utils import _pytree as tree  # noqa: E402
from twins_torch import (  # noqa: E402
    NAMES,
    NATIVE,
    OURS,
    TOLERANCE,
    assert_alike,
    assert_near,
    error_of,
)

import xentropy_torch  # noqa: E402
from xentropy.parity.differences import differences  # noqa: E402

pytestmark = pytest.mark.backends("torch")

OPS = [op for op in op_db if op.name.removeprefix("nn.functional.") in NAMES]
MODULES = [
    info
    for info in module_db
    if info.module_cls.__module__.startswith("torch.nn")
    and hasattr(xentropy_torch, info.module_cls.__name__)
]

#: The samples that differ on purpose: the title of the difference, and which samples it is about.
INTENDED: dict[str, Callable[[str, Any], bool]] = {
    "Complex exponents": lambda name, x: name == "logsumexp" and x.is_complex(),
}
#: The error samples that are no errors: the title of the difference, and what PyTorch says.
TAKEN = {
    "One-hot targets of any dtype": "Expected floating point type for target with class",
}


#: Of hundreds of samples, every so many are run.
EVERY = {"linear_cross_entropy": 3, "LinearCrossEntropyLoss": 7}


def title_of(name: str, x: Any) -> str | None:
    """The difference that a sample is about, or None."""
    found = [title for title, about in INTENDED.items() if about(name, x)]
    return found[0] if found else None


def counted(function: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    """A function that counts how often it is called."""

    def counting(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return function(*args, **options)

    return counting


def samples(op: Any, dtype: Any) -> Iterator[tuple[Any, tuple[Any, ...], dict[str, Any]]]:
    """The samples of an operator, the same on every run."""
    torch.manual_seed(0)
    random.seed(0)
    grad = dtype.is_floating_point or dtype.is_complex
    for sample in op.sample_inputs_func(op, "cpu", dtype, grad):
        yield sample.input, tuple(sample.args), dict(sample.kwargs)
    if op.reference_inputs_func is not None:
        for sample in op.reference_inputs_func(op, "cpu", dtype, grad):
            yield sample.input, tuple(sample.args), dict(sample.kwargs)


CASES = [
    pytest.param(op, dtype, id=f"{op.name} {op.variant_test_name} {dtype}")
    for op in OPS
    for dtype in sorted(op.dtypes, key=str)
]


def test_every_function_has_samples() -> None:
    assert {op.name.removeprefix("nn.functional.") for op in OPS} == set(NAMES)
    wanted = set(TOLERANCE)
    assert all(wanted <= set(op.dtypes) for op in OPS)


@pytest.mark.parametrize(("op", "dtype"), CASES)
@pytest.mark.filterwarnings("ignore:(Casting complex|ComplexHalf)")
def test_samples(op: Any, dtype: Any) -> None:
    name = op.name.removeprefix("nn.functional.")
    calls: list[int] = []
    ours = counted(OURS[name], calls)
    listed = 0
    for x, args, options in islice(samples(op, dtype), 0, None, EVERY.get(name, 1)):
        title = title_of(name, x)
        if title is None:
            agree(NATIVE[name], ours, (x, *args), options)
            continue
        listed += 1
        with pytest.raises((AssertionError, TypeError)):
            agree(NATIVE[name], ours, (x, *args), options)
    assert len(calls) > listed or (name == "logsumexp" and dtype.is_complex)


def agree(
    native: Callable[..., Any], ours: Callable[..., Any], args: Sequence[Any], options: Any
) -> None:
    """One sample gives what PyTorch gives; labels and other integers have no gradients."""
    if args[0].is_floating_point():
        assert_alike(native, ours, args, options)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(ours(*args, **options), native(*args, **options))


REFUSED = [op for op in OPS if op.error_inputs_func is not None]


@pytest.mark.parametrize("op", REFUSED, ids=lambda op: f"{op.name} {op.variant_test_name}")
def test_error_samples(op: Any) -> None:
    tried = 0
    for bad in op.error_inputs_func(op, "cpu"):
        sample = bad.sample_input
        args = (sample.input, *sample.args)
        error = error_of(OURS[op.name.removeprefix("nn.functional.")], args, sample.kwargs)
        with pytest.raises(bad.error_type, match=bad.error_regex):
            raise error
        tried += 1
    assert tried


# The modules.


MODULE_CASES = [
    pytest.param(info, dtype, id=f"{info.name} {dtype}")
    for info in MODULES
    for dtype in TOLERANCE
    if dtype in (torch.float32, torch.float64)
]


def test_every_module_has_samples() -> None:
    wanted = {name for name in xentropy_torch.__all__ if name[0].isupper()}
    assert {info.module_cls.__name__ for info in MODULES} == wanted


@pytest.mark.parametrize(("info", "dtype"), MODULE_CASES)
def test_module_samples(info: Any, dtype: Any) -> None:
    ours = getattr(xentropy_torch, info.module_cls.__name__)
    torch.manual_seed(0)
    calls: list[int] = []
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=True
    )
    for sample in islice(inputs, 0, None, EVERY.get(info.module_cls.__name__, 1)):
        made = sample.constructor_input
        args, options = sample.forward_input.args, sample.forward_input.kwargs
        native = info.module_cls(*made.args, **made.kwargs).to(dtype)
        module = ours(*made.args, **made.kwargs).to(dtype)
        module.load_state_dict(native.state_dict())
        module.register_forward_hook(lambda *_: calls.append(1))
        modular(native, module, args, options)
    assert calls


def modular(native: Any, ours: Any, args: Any, options: Any) -> None:
    """Both modules in their own dtype: the same value, dtype and gradients."""
    results = []
    for module in (native, ours):
        own = tree.tree_map(lambda x: x.detach().clone().requires_grad_(x.requires_grad), args)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = module(*own, **options)
        leaves = [x for x in (*own, *module.parameters()) if x.requires_grad]
        along = torch.cos(torch.arange(value.numel(), dtype=value.dtype)).reshape(value.shape)
        results.append((value, *torch.autograd.grad(value, leaves, along)))
    for mine, theirs in zip(*reversed(results), strict=True):
        assert mine.dtype == theirs.dtype
        assert_near(mine.detach(), theirs.detach().double(), 10 * TOLERANCE[mine.dtype])


def error_samples() -> list[Any]:
    return [info for info in MODULES if info.module_error_inputs_func is not None]


@pytest.mark.parametrize("info", error_samples(), ids=lambda info: info.name)
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_module_error_samples(info: Any) -> None:
    ours = getattr(xentropy_torch, info.module_cls.__name__)
    tried = 0
    of_classes = ("nn.CrossEntropyLoss", "nn.LinearCrossEntropyLoss")
    taken = {regex for regex in TAKEN.values() if info.name in of_classes}
    for bad in info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=True
    ):
        made, given = bad.module_error_input.constructor_input, bad.module_error_input.forward_input
        # Some are refused by the constructor.
        error = error_of(
            lambda *own, made=made, **options: ours(*made.args, **made.kwargs)(*own, **options),
            given.args,
            given.kwargs,
        )
        known = {regex for regex in taken if bad.error_regex.startswith(regex)}
        if known:
            assert error is None
            taken -= known
            continue
        assert isinstance(error, bad.error_type)
        with pytest.raises(bad.error_type, match=bad.error_regex):
            raise error
        tried += 1
    assert tried
    assert not taken


def test_intended_differences_are_declared() -> None:
    declared = {one.title for one in differences("torch")}
    assert {*INTENDED, *TAKEN} <= declared
