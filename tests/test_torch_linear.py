"""The drop-in for PyTorch's loss of a linear head: its shapes, its options, what it never holds."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402, N812 - after the check, as everyone calls it
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from twins_torch import TOLERANCE, assert_alike, assert_near  # noqa: E402

import xentropy as xe  # noqa: E402
from xentropy_torch import LinearCrossEntropyLoss, linear_cross_entropy  # noqa: E402

pytestmark = pytest.mark.backends("torch")

DTYPES = tuple(TOLERANCE)
REDUCTIONS = ("mean", "sum", "none")
Cuts = torch.nn.LinearCrossEntropyOptions
# The shape of the input, and the places of the head.
SHAPES = [((3,), ()), ((4, 3), ()), ((4, 3), (2,)), ((2, 3), (2, 3)), ((4, 3), (1, 1))]
EACH_SHAPE = pytest.mark.parametrize(("lead", "places"), SHAPES, ids=str)


def drawn(*shape: int, seed: int = 0, dtype: Any = torch.float64, grad: bool = True) -> Any:
    generator = torch.Generator().manual_seed(seed)
    made = torch.randn(shape, dtype=torch.float64, generator=generator)
    return made.to(dtype).requires_grad_(grad)


def labels(*shape: int) -> Any:
    return torch.randint(5, shape, generator=torch.Generator().manual_seed(7))


def soft(*shape: int, dtype: Any = torch.float64) -> Any:
    return drawn(*shape, seed=5, grad=False).sigmoid().to(dtype).requires_grad_()


def head(lead: tuple[int, ...], places: tuple[int, ...], dtype: Any = torch.float64) -> Any:
    """An input, a weight and a bias for five classes."""
    bias = drawn(5, *places, seed=3, dtype=dtype)
    return drawn(*lead, seed=1, dtype=dtype), drawn(5, *places, 3, seed=2, dtype=dtype), bias


def same(*args: Any, **options: Any) -> None:
    assert_alike(F.linear_cross_entropy, linear_cross_entropy, args, options)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@EACH_SHAPE
def test_labels(lead: tuple[int, ...], places: tuple[int, ...], dtype: Any) -> None:
    x, w, bias = head(lead, places, dtype)
    target = labels(*lead[:-1], *places)
    weights = (None, drawn(5, dtype=dtype, grad=False).abs() + 0.25)
    ignored = (None, int(target.flatten()[0] + 1) % 5)
    for weight, smoothing, how, ignore in itertools.product(
        weights, (0.0, 0.2), REDUCTIONS, ignored
    ):
        options = {"weight": weight, "label_smoothing": smoothing, "reduction": how}
        same(x, w, target, linear_bias=bias, ignore_index=ignore, **options)
    same(x, w, target)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@EACH_SHAPE
def test_probabilities(lead: tuple[int, ...], places: tuple[int, ...], dtype: Any) -> None:
    x, w, bias = head(lead, places, dtype)
    target = soft(*lead[:-1], 5, *places, dtype=dtype)
    weights = (None, drawn(5, dtype=dtype, grad=False).abs() + 0.25)
    for weight, smoothing, how in itertools.product(weights, (0.0, 0.2, 1.0), REDUCTIONS):
        options = {"weight": weight, "label_smoothing": smoothing, "reduction": how}
        same(x, w, target, linear_bias=bias, **options)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_options_change_neither_value_nor_dtype(dtype: Any) -> None:
    x, w, bias = head((4, 3), (), dtype)
    chosen = [Cuts(), Cuts(batch_chunk_size=3, allow_retain_graph=True), Cuts(acc_dtype=dtype)]
    chosen += [Cuts(acc_policy="accurate"), Cuts(batch_chunk_size=2, chunking_method=None)]
    # Two sizes that agree are no contradiction.
    chosen += [Cuts(batch_chunk_size=2, chunking_method="aspect_ratio")]
    chosen += [Cuts(acc_dtype=torch.float32)] if dtype.itemsize == 2 else []
    for options, how in itertools.product(chosen, REDUCTIONS):
        same(x, w, labels(4), linear_bias=bias, reduction=how, options=options)
        found, want = (
            linear_cross_entropy(x, w, labels(4), linear_bias=bias, reduction=how, options=one)
            for one in (options, None)
        )
        assert torch.equal(found, want)


def test_options_beside_what_pytorch_does_not_cut() -> None:
    # PyTorch warns that it heeds none of them, and checks none.
    wrong = Cuts(acc_dtype=torch.float16)
    x, w, _ = head((4, 3), ())
    same(x, w, labels(4), label_smoothing=0.1, options=wrong)
    same(x, w, labels(4).to(torch.uint8), options=wrong)
    same(x, w, soft(4, 5), options=wrong)
    same(*head((4, 3), (2,))[:2], labels(4, 2), options=wrong)


@pytest.mark.parametrize("how", REDUCTIONS)
def test_with_options_everything_differentiates(how: str) -> None:
    (x, w, _), target, options = head((4, 3), ()), labels(4), Cuts(batch_chunk_size=2)

    def total(x: Any, w: Any) -> Any:
        return linear_cross_entropy(x, w, target, reduction=how, options=options).sum()

    def native(x: Any, w: Any) -> Any:
        return F.linear_cross_entropy(x, w, target, reduction=how).sum()

    once = total(x, w)
    first, second = (torch.autograd.grad(once, (x, w), retain_graph=True) for _ in range(2))
    want = torch.autograd.grad(native(x, w), (x, w))
    for found in (first, second, torch.func.grad(total, (0, 1))(x.detach(), w.detach())):
        for mine, theirs in zip(found, want, strict=True):
            assert_near(mine, theirs, 1e-12)
    assert torch.autograd.gradgradcheck(total, (x, w))
    torch._dynamo.reset()
    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    for mine, theirs in zip(torch.autograd.grad(compiled(x, w), (x, w)), want, strict=True):
        assert_near(mine, theirs, 1e-12)
    own = (x.detach(), w.detach())
    along = (torch.ones(4, 3, dtype=torch.float64), torch.ones(5, 3, dtype=torch.float64))
    found, theirs = (torch.func.jvp(f, own, along)[1] for f in (total, native))
    assert_near(found, theirs, 1e-12)


def test_every_label_dtype_and_one_label_with_an_axis() -> None:
    x, w, _ = head((4, 3), (2,))
    want = F.linear_cross_entropy(x, w, labels(4, 2))
    for dtype in (torch.int32, torch.int16, torch.uint8):
        torch.testing.assert_close(linear_cross_entropy(x, w, labels(4, 2).to(dtype)), want)
    x, w, _ = head((3,), ())
    for how in REDUCTIONS:
        found = linear_cross_entropy(x, w, labels(1), reduction=how)
        torch.testing.assert_close(found, F.linear_cross_entropy(x, w, labels(1), reduction=how))


def test_places_need_a_batch() -> None:
    _, w, _ = head((4, 3), (2,))
    with pytest.raises(RuntimeError, match="requires batched input") as caught:
        linear_cross_entropy(drawn(3), w, labels(2))
    assert "does not fit linear_weight of shape (5, 2, 3)" in str(caught.value.__cause__)


def test_the_default_label_to_leave_out() -> None:
    x, w, _ = head((4, 3), (2,))
    target = labels(4, 2)
    target[1, 0] = target[2] = -100
    for how in REDUCTIONS:
        same(x, w, target, reduction=how)
    with pytest.raises(IndexError):
        linear_cross_entropy(x, w, target, ignore_index=0)


@pytest.mark.parametrize("places", [(), (2, 3)], ids=str)
def test_by_definition(places: tuple[int, ...]) -> None:
    x, w, bias = (a.detach().numpy() for a in head((4, 3), places))
    target, weight = labels(4, *places).numpy(), np.array([0.5, 1.0, 2.0, 0.25, 3.0])
    logits = np.moveaxis(np.einsum("nd,c...d->nc...", x, w) + bias, 1, -1)
    losses = (
        np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, target[..., None], -1)[..., 0]
    )
    losses, kept = losses * weight[target], target != 2
    want = (losses * kept).sum() / (weight[target] * kept).sum()
    found = linear_cross_entropy(
        *(torch.from_numpy(a) for a in (x, w, target)),
        linear_bias=torch.from_numpy(bias),
        weight=torch.from_numpy(weight),
        ignore_index=2,
    )
    np.testing.assert_allclose(found.numpy(), want, rtol=1e-13)


class Largest(TorchDispatchMode):
    """The number of entries of the largest tensor that an operation returns."""

    entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, torch.Tensor):
                self.entries = max(self.entries, one.numel())
        return made


@pytest.mark.parametrize("places", [(), (4,)], ids=str)
@pytest.mark.parametrize("options", [None, Cuts()])
def test_the_logits_are_never_held(places: tuple[int, ...], options: Any) -> None:
    x, w = drawn(300, 2, seed=1), drawn(200, *places, 2, seed=2)
    target = labels(300, *places)
    with xe.options(block_size=2000), Largest() as seen:
        loss = linear_cross_entropy(x, w, target, options=None if places else options)
        torch.autograd.grad(loss, (x, w))
    assert 0 < seen.entries <= 4000
    with Largest() as seen:
        F.linear_cross_entropy(x, w, target)
    assert seen.entries >= 300 * 200


def test_a_confident_row_keeps_its_digits() -> None:
    w = torch.tensor([[20.0], [0.0]], requires_grad=True)
    for options in (None, Cuts()):
        loss = linear_cross_entropy(torch.ones(1, 1), w, torch.tensor([0]), options=options)
        (gradient,) = torch.autograd.grad(loss, w)
        assert loss.item() == pytest.approx(2.061153620314381e-09, rel=1e-6)
        assert gradient[0].item() == pytest.approx(-2.061153618190204e-09, rel=1e-6)


@pytest.mark.parametrize("options", [None, Cuts()])
@pytest.mark.parametrize("inputs", [torch.float32, torch.bfloat16], ids=str)
def test_the_dtype_under_autocast(inputs: Any, options: Any) -> None:
    x, w, _ = head((4, 3), (), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        for how in REDUCTIONS:
            found, theirs = (
                f(x, w, labels(4), reduction=how, options=options)
                for f in (linear_cross_entropy, F.linear_cross_entropy)
            )
            assert found.dtype == theirs.dtype


@pytest.mark.parametrize("out_features", [(), (2, 3)], ids=str)
def test_a_module_of_several_places(out_features: tuple[int, ...]) -> None:
    options: dict[str, Any] = {"out_features": out_features, "bias": True, "reduction": "sum"}
    native = torch.nn.LinearCrossEntropyLoss(3, 5, **options)
    ours = LinearCrossEntropyLoss(3, 5, **options)
    ours.load_state_dict(native.state_dict())
    x, target = drawn(4, 3, dtype=torch.float32), labels(4, *out_features)
    results = [module(x, target) for module in (ours, native)]
    torch.testing.assert_close(*results)
    for mine, theirs in zip(ours.parameters(), native.parameters(), strict=True):
        pulled = (
            torch.autograd.grad(value, leaf, retain_graph=True)[0]
            for value, leaf in zip(results, (mine, theirs), strict=True)
        )
        torch.testing.assert_close(*pulled)


def test_a_pytorch_without_them_has_no_drop_ins_for_them() -> None:
    code = (
        "import torch; del torch.nn.LinearCrossEntropyOptions, torch.nn.LinearCrossEntropyLoss\n"
        "del torch.nn.functional.linear_cross_entropy\n"
        "import xentropy_torch\n"
        "assert 'linear_cross_entropy' not in xentropy_torch.__all__\n"
        "assert not hasattr(xentropy_torch, 'LinearCrossEntropyLoss')\n"
        "xentropy_torch.CrossEntropyLoss()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [None, 5])
def test_what_a_weight_of_0_changes_in_the_gradients(block: int | None) -> None:
    """As it does where the logits are there: the row is silent, its derivative is not."""
    hidden, weight = drawn(4, 3), drawn(5, 3, seed=1)
    targets, weights = labels(4), torch.tensor([1.0, 0.0, 2.0, 0.5], dtype=torch.float64)
    weights.requires_grad_()

    def changed(loss: Any) -> Any:
        by_weight = torch.autograd.grad(loss, weight, create_graph=True)[0]
        return torch.autograd.grad((by_weight * drawn(5, 3, seed=2)).sum(), weights)[0]

    options = {"sample_weights": weights, "reduction": "sum"}
    with xe.options(block_size=block):
        found = changed(xe.linear_cross_entropy(hidden, weight, targets, **options))
    wanted = changed(xe.cross_entropy(hidden @ weight.T, targets, **options))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert wanted[1] != 0
