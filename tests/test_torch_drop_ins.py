"""The drop-in functions of PyTorch against PyTorch's own, over their options."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402, N812 - after the check, as everyone calls it
from twins_torch import (  # noqa: E402
    NAMES,
    NATIVE,
    OURS,
    TOLERANCE,
    assert_alike,
    assert_near,
    error_of,
    evaluate,
)

import xentropy_torch  # noqa: E402

pytestmark = pytest.mark.backends("torch")

DTYPES = tuple(TOLERANCE)
REDUCTIONS = ("mean", "sum", "none")
SHAPES = ((5,), (4, 5), (3, 5, 2), (2, 5, 2, 3))


def normal(*shape: int, dtype: Any = torch.float64, grad: bool = True) -> Any:
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    return (
        torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype).requires_grad_(grad)
    )


def unit(*shape: int, dtype: Any = torch.float64, grad: bool = True) -> Any:
    """Inside (0, 1), half precision included, and apart from what `normal` gives."""
    return (normal(*shape, grad=False).sin().sigmoid() * 0.8 + 0.1).to(dtype).requires_grad_(grad)


def soft(*shape: int, dtype: Any = torch.float64, grad: bool = True) -> Any:
    """Targets inside (0, 1) that no prediction of `unit` hits."""
    return (1 - 0.7 * unit(*shape, grad=False)).to(dtype).requires_grad_(grad)


def labels(*shape: int, classes: int = 5) -> Any:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(classes, shape, generator=generator)


def rows_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without the class axis."""
    return (shape[:1] + shape[2:]) if len(shape) > 1 else ()


def same(name: str, *args: Any, **options: Any) -> None:
    assert_alike(NATIVE[name], OURS[name], args, options)


# Options, values, gradients, dtypes.


def test_everything_is_exported() -> None:
    assert set(NAMES) < set(xentropy_torch.__all__)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "logsumexp"])
def test_the_signature_is_pytorchs(name: str) -> None:
    theirs = inspect.signature(NATIVE[name]).parameters.values()
    ours = inspect.signature(OURS[name]).parameters.values()
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in theirs
    ]


def test_logsumexp_takes_its_arguments_by_name_and_by_position() -> None:
    # A builtin has no signature: it documents (input, dim, keepdim=False, *, out=None).
    x = normal(3, 4, grad=False)
    for f in (torch.logsumexp, xentropy_torch.logsumexp):
        torch.testing.assert_close(f(x, 1, True), f(input=x, dim=1, keepdim=True))
        with pytest.raises(TypeError):
            f(x, 1, True, torch.empty(3, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_of_labels(shape: tuple[int, ...], dtype: Any) -> None:
    x, target = normal(*shape, dtype=dtype), labels(*rows_of(shape))
    weights = (None, unit(5, dtype=dtype, grad=False))
    ignored = (-100, int(labels(1)) + 1)
    for weight, smoothing, reduction, ignore in itertools.product(
        weights, (0.0, 0.2), REDUCTIONS, ignored
    ):
        options = {"label_smoothing": smoothing, "reduction": reduction, "ignore_index": ignore}
        same("cross_entropy", x, target, weight, **options)
    if len(shape) < 3:
        same("cross_entropy", x, target.to(torch.uint8))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_of_probabilities(shape: tuple[int, ...], dtype: Any) -> None:
    x, target = normal(*shape, dtype=dtype), unit(*shape, dtype=dtype)
    weights = (None, unit(5, dtype=dtype, grad=False))
    for weight, smoothing, reduction in itertools.product(weights, (0.0, 0.2, 1.0), REDUCTIONS):
        options = {"label_smoothing": smoothing, "reduction": reduction}
        same("cross_entropy", x, target, weight, **options)


@pytest.mark.parametrize("pair", list(itertools.product(DTYPES, DTYPES)), ids=str)
def test_mixed_dtypes_become_what_pytorch_makes_of_them(pair: tuple[Any, Any]) -> None:
    x, target = normal(4, 5, dtype=pair[0]), unit(4, 5, dtype=pair[1])
    for name in ("cross_entropy", "kl_div", "binary_cross_entropy_with_logits"):
        mine, theirs = (table[name](x, target, reduction="sum") for table in (OURS, NATIVE))
        assert mine.dtype == theirs.dtype, name
    exact = F.cross_entropy(x.double(), target.double(), reduction="sum")
    found = xentropy_torch.cross_entropy(x, target, reduction="sum")
    assert_near(found, exact, TOLERANCE[found.dtype])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nll_loss(shape: tuple[int, ...], dtype: Any) -> None:
    axis = min(1, len(shape) - 1)
    x = normal(*shape, grad=False).log_softmax(axis).to(dtype).requires_grad_()
    target = labels(*rows_of(shape))
    weights = (None, unit(5, dtype=dtype, grad=False))
    for weight, reduction, ignore in itertools.product(weights, REDUCTIONS, (-100, 1)):
        if reduction == "mean" and bool((target == ignore).all()):
            continue
        same("nll_loss", x, target, weight, reduction=reduction, ignore_index=ignore)


def test_a_label_without_a_batch_may_have_an_axis() -> None:
    # PyTorch's own backward of it fails: only the values are compared.
    x, one = normal(5, grad=False), torch.tensor([3])
    for reduction in REDUCTIONS:
        same("cross_entropy", x, one, reduction=reduction)
        same("nll_loss", x, one, reduction=reduction)
    same("nll_loss", normal(1), torch.tensor([0]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (5,), (4, 5), (2, 4, 5)], ids=str)
def test_binary_cross_entropies(shape: tuple[int, ...], dtype: Any) -> None:
    last = shape[-1:]
    for reduction, shape_of_weight in itertools.product(REDUCTIONS, (None, shape, last, ())):
        weight = (
            None if shape_of_weight is None else unit(*shape_of_weight, dtype=dtype, grad=False)
        )
        options = {"reduction": reduction, "weight": weight}
        x, target = normal(*shape, dtype=dtype), soft(*shape, dtype=dtype)
        same("binary_cross_entropy", unit(*shape, dtype=dtype), target, **options)
        same("binary_cross_entropy_with_logits", x, target, **options)
        same("binary_cross_entropy_with_logits", x, target * 3 - 1, pos_weight=weight, **options)


def test_binary_cross_entropy_clamps_as_pytorch() -> None:
    p = torch.tensor([0.0, 1.0, 0.0, 1.0, 1e-30, 0.5], requires_grad=True)
    target = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
    same("binary_cross_entropy", p, target, reduction="none")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(log_target: bool, dtype: Any) -> None:
    for shape, other in (((4, 5), (4, 5)), ((5,), (4, 5)), ((4, 5), (5,)), ((), ())):
        x = unit(*shape, grad=False).log().to(dtype).requires_grad_()
        target = soft(*other, grad=False)
        target = (target.log() if log_target else target).to(dtype).requires_grad_()
        for reduction in (*REDUCTIONS, "batchmean"):
            same("kl_div", x, target, reduction=reduction, log_target=log_target)
        same("kl_div", x, target, size_average=False, reduction="batchmean", log_target=log_target)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmaxes(name: str, dtype: Any) -> None:
    for shape in ((), (5,), (4, 5), (3, 4, 5), (0, 5), (3, 0)):
        for dim in (None, 0, -1):
            same(name, normal(*shape, dtype=dtype), dim)
    for wanted in DTYPES:
        found, theirs = (table[name](normal(4, 5), 1, dtype=wanted) for table in (OURS, NATIVE))
        assert found.dtype == theirs.dtype == wanted
    whole = torch.arange(6).reshape(2, 3)
    torch.testing.assert_close(
        OURS[name](whole, 1, dtype=torch.float32), NATIVE[name](whole, 1, dtype=torch.float32)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_logsumexp(dtype: Any) -> None:
    for dim, keepdim in itertools.product((0, -1, (1,), (0, 2), [0, 1], (2, 0, 1)), (False, True)):
        same("logsumexp", normal(3, 4, 5, dtype=dtype), dim, keepdim)
        same("logsumexp", normal(3, 4, 0, dtype=dtype), dim, keepdim)
    for dim, keepdim in itertools.product((0, -1, ()), (False, True)):
        same("logsumexp", normal(dtype=dtype), dim, keepdim)
    same("logsumexp", normal(3, 4, dtype=dtype), (), True)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8, torch.bool], ids=str)
def test_logsumexp_of_integers(dtype: Any) -> None:
    x = torch.tensor([[1, 0, 3], [2, 2, 0]]).to(dtype)
    torch.testing.assert_close(xentropy_torch.logsumexp(x, 1), torch.logsumexp(x, 1))


def test_logsumexp_writes_to_out() -> None:
    x, out = normal(3, 4, grad=False), torch.empty(3, dtype=torch.float64)
    assert xentropy_torch.logsumexp(x, 1, out=out) is out
    torch.testing.assert_close(out, torch.logsumexp(x, 1))


# Nothing to average.


EMPTY = [
    ("cross_entropy", (normal(2, 5), torch.full((2,), -100))),
    ("cross_entropy", (normal(2, 5), labels(2), torch.zeros(5, dtype=torch.float64))),
    ("cross_entropy", (normal(0, 5), labels(0))),
    ("cross_entropy", (normal(0, 5), unit(0, 5))),
    ("cross_entropy", (normal(2, 5, 0), labels(2, 0))),
    ("linear_cross_entropy", (normal(2, 3), normal(5, 3), torch.full((2,), -100))),
    ("linear_cross_entropy", (normal(0, 3), normal(5, 3), labels(0))),
    ("linear_cross_entropy", (normal(0, 3), normal(5, 3), unit(0, 5))),
    ("linear_cross_entropy", (normal(2, 3), normal(5, 2, 3), torch.full((2, 2), -100))),
    ("linear_cross_entropy", (normal(0, 3), normal(5, 2, 3), unit(0, 5, 2))),
    ("linear_cross_entropy", (normal(2, 3), normal(5, 2, 0, 3), labels(2, 2, 0))),
    ("linear_cross_entropy", (normal(2, 3), normal(5, 0, 3), unit(2, 5, 0))),
    ("nll_loss", (normal(2, 5), torch.full((2,), -100))),
    ("nll_loss", (normal(0, 5), labels(0))),
    ("binary_cross_entropy", (unit(0, 5), unit(0, 5))),
    ("binary_cross_entropy_with_logits", (normal(0, 5), unit(0, 5))),
    ("kl_div", (normal(0, 5), unit(0, 5))),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "args"), EMPTY)
def test_a_mean_over_nothing_is_nan_and_its_gradient_0(
    name: str, args: Any, reduction: str
) -> None:
    found = evaluate(OURS[name], args, {"reduction": reduction})
    theirs = evaluate(NATIVE[name], args, {"reduction": reduction})
    torch.testing.assert_close(found.value, theirs.value, equal_nan=True)
    assert reduction != "mean" or math.isnan(found.value)
    assert not any(torch.count_nonzero(gradient) for gradient in found.gradients[:2])


# Errors.


X, HARD, SOFT, WEIGHT = (
    normal(3, 4, grad=False),
    labels(3, classes=4),
    unit(3, 4, grad=False),
    torch.ones(3),
)
HEAD, HEADS = normal(5, 4, grad=False), normal(5, 2, 4, grad=False)
cuts = torch.nn.LinearCrossEntropyOptions
CHUNKS, BOTH_SIZES = cuts(), cuts(batch_chunk_size=3, chunking_method="aspect_ratio:2")
BAD: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("cross_entropy", (X, HARD + 9), {}),
    ("cross_entropy", (X, HARD - 9), {"label_smoothing": 0.1}),
    ("cross_entropy", (X, HARD.bool()), {}),
    ("cross_entropy", (X, HARD), {"reduction": "batchmean"}),
    ("cross_entropy", (X, HARD), {"label_smoothing": 2.0}),
    ("cross_entropy", (X, HARD), {"weight": WEIGHT}),
    ("cross_entropy", (X, SOFT), {"weight": WEIGHT}),
    ("cross_entropy", (X, SOFT), {"ignore_index": 0}),
    ("cross_entropy", (X, HARD[:2]), {}),
    ("cross_entropy", (X, HARD[:, None]), {}),
    ("cross_entropy", (X.long(), HARD), {}),
    ("cross_entropy", (X[:, :0], HARD), {}),
    ("cross_entropy", (X[0, 0], HARD[0]), {}),
    ("cross_entropy", (X, [0, 1, 2]), {}),
    ("cross_entropy", (X.numpy(), HARD.numpy()), {}),
    ("cross_entropy", (X,), {}),
    ("cross_entropy", (X, HARD), {"axis": 1}),
    ("linear_cross_entropy", (X, HEAD, HARD + 9), {}),
    ("linear_cross_entropy", (X, HEAD, HARD + 9), {"options": CHUNKS}),
    ("linear_cross_entropy", (X, HEAD, HARD.bool()), {}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"reduction": "batchmean"}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"label_smoothing": 2.0}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"weight": torch.ones(6)}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"weight": WEIGHT, "options": CHUNKS}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"linear_bias": torch.ones(4)}),
    ("linear_cross_entropy", (X, HEAD, normal(3, 5)), {"ignore_index": -100}),
    ("linear_cross_entropy", (X, HEAD, normal(3, 5)), {"ignore_index": 1}),
    ("linear_cross_entropy", (X, HEAD, HARD[:2]), {}),
    ("linear_cross_entropy", (X, HEAD, HARD[:2]), {"options": CHUNKS}),
    ("linear_cross_entropy", (X, HEAD, HARD[:, None]), {}),
    ("linear_cross_entropy", (X[0], HEAD, HARD), {}),
    ("linear_cross_entropy", (X[None], HEAD, HARD[None]), {}),
    ("linear_cross_entropy", (X[0, 0], HEAD, HARD[0]), {}),
    ("linear_cross_entropy", (X, HEAD[0], HARD), {}),
    ("linear_cross_entropy", (X[:, :3], HEAD, HARD), {}),
    ("linear_cross_entropy", (X.long(), HEAD.long(), HARD), {}),
    ("linear_cross_entropy", (X, HEAD[:0], HARD), {}),
    ("linear_cross_entropy", (X[0], HEADS, labels(2)), {}),
    ("linear_cross_entropy", (X, HEADS, HARD), {}),
    ("linear_cross_entropy", (X, HEADS, labels(2, 3)), {}),
    ("linear_cross_entropy", (X, HEADS, labels(3, 2) + 9), {}),
    ("linear_cross_entropy", (X, HEADS, labels(3, 2)), {"linear_bias": torch.ones(2, 5)}),
    ("linear_cross_entropy", (X, HEADS, labels(3, 2)), {"linear_bias": torch.ones(5)}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"options": BOTH_SIZES}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"options": cuts(acc_dtype=torch.float32)}),
    ("linear_cross_entropy", (X, HEAD, HARD), {"options": {}}),
    ("linear_cross_entropy", (X, HEAD), {}),
    ("linear_cross_entropy", (X, HEAD, HARD, WEIGHT), {}),
    ("nll_loss", (X, SOFT), {}),
    ("nll_loss", (X, HARD + 9), {}),
    ("nll_loss", (X, X.long()), {}),
    ("nll_loss", (X[0, 0], HARD[0]), {}),
    ("nll_loss", (X.long(), HARD), {}),
    ("nll_loss", (X, HARD), {"weight": WEIGHT}),
    ("binary_cross_entropy", (SOFT + 1, SOFT), {}),
    ("binary_cross_entropy", (SOFT, SOFT - 1), {}),
    ("binary_cross_entropy", (SOFT * math.nan, SOFT), {}),
    ("binary_cross_entropy", (SOFT, SOFT[:2]), {}),
    ("binary_cross_entropy", (SOFT, SOFT), {"weight": WEIGHT}),
    ("binary_cross_entropy", (SOFT, SOFT), {"weight": torch.ones(2, 3, 4)}),
    ("binary_cross_entropy", (SOFT.long(), SOFT), {}),
    ("binary_cross_entropy_with_logits", (X, SOFT[:2]), {}),
    ("binary_cross_entropy_with_logits", (X, SOFT), {"weight": WEIGHT}),
    ("binary_cross_entropy_with_logits", (X, SOFT), {"pos_weight": WEIGHT}),
    ("binary_cross_entropy_with_logits", (X, SOFT), {"pos_weight": 2.0}),
    ("binary_cross_entropy_with_logits", (X.long(), SOFT), {}),
    ("kl_div", (X, SOFT[:2]), {"reduction": "sum"}),
    ("kl_div", (X, SOFT), {"reduction": "max"}),
    ("kl_div", (X.long(), SOFT), {"reduction": "sum"}),
    ("kl_div", (X, HARD[:, None]), {"reduction": "sum", "log_target": True}),
    ("softmax", (X, 2), {}),
    ("softmax", (X.long(), 1), {}),
    ("softmax", (X, 1.0), {}),
    ("log_softmax", (X[0, 0], 1), {}),
    ("log_softmax", (X, 1), {"dtype": torch.int64}),
    ("logsumexp", (X, 2), {}),
    ("logsumexp", (X, (1, 1)), {}),
    ("logsumexp", (X, None), {}),
    ("logsumexp", (X, (0, 5)), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), BAD)
def test_the_error_is_pytorchs_and_ours_its_cause(name: str, args: Any, options: Any) -> None:
    theirs = error_of(NATIVE[name], args, options)
    ours = error_of(OURS[name], args, options)
    assert theirs is not None
    assert (type(ours), str(ours)) == (type(theirs), str(theirs))
    assert isinstance(ours.__cause__, Exception)


def test_ours_is_raised_where_pytorch_has_no_error() -> None:
    with pytest.raises(ValueError, match="label_smoothing must be a number in") as caught:
        xentropy_torch.cross_entropy(X, HARD, label_smoothing=-0.1)
    assert caught.value.__cause__ is None


def test_a_label_that_is_no_class_is_nan_where_nobody_can_look() -> None:
    target = torch.tensor([1, 9, -100])
    for weight, reduction in itertools.product((None, unit(4, grad=False)), REDUCTIONS):
        options = {"weight": weight, "label_smoothing": 0.1, "reduction": reduction}
        loss = functools.partial(xentropy_torch.cross_entropy, target=target, **options)
        found = torch.compile(loss, backend="eager", fullgraph=True)(X)
        assert found.isnan().tolist() == ([False, True, False] if found.ndim else True)


# Deprecated arguments and warnings.


@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("cross_entropy", (X, HARD)),
        ("nll_loss", (X, HARD)),
        ("binary_cross_entropy", (SOFT, SOFT)),
        ("binary_cross_entropy_with_logits", (X, SOFT)),
        ("kl_div", (X, SOFT)),
    ],
)
def test_size_average_and_reduce(name: str, args: Any, size_average: Any, reduce: Any) -> None:
    options = {"size_average": size_average, "reduce": reduce, "reduction": "sum"}
    said = []
    for function in (NATIVE[name], OURS[name]):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            said.append(
                (function(*args, **options), [(w.category, str(w.message)) for w in caught])
            )
    (theirs, warned), (ours, warnings_of_ours) = said
    torch.testing.assert_close(ours, theirs)
    assert warnings_of_ours == warned
    assert bool(warned) is (size_average is not None or reduce is not None)


def test_elementwise_mean_is_a_deprecated_mean() -> None:
    with pytest.warns(UserWarning, match="elementwise_mean") as caught:
        value = xentropy_torch.cross_entropy(X, HARD, reduction="elementwise_mean")
    assert len(caught) == 1
    torch.testing.assert_close(value, F.cross_entropy(X, HARD))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "kl_div"])
def test_a_warning_points_to_the_caller(name: str) -> None:
    args = (X, SOFT) if name == "kl_div" else (X,)
    with pytest.warns(UserWarning, match="Implicit dimension|divides the total") as theirs:
        NATIVE[name](*args)
    with pytest.warns(UserWarning, match="Implicit dimension|divides the total") as ours:
        OURS[name](*args)
    assert [str(w.message) for w in ours] == [str(w.message) for w in theirs]
    assert [w.filename for w in ours] == [w.filename for w in theirs] == [__file__]


# Autocast, compilation, transforms, derivatives of derivatives.


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("softmax", (normal(4, 5), 1), {}),
    ("log_softmax", (normal(4, 5), 1), {}),
    ("logsumexp", (normal(4, 5), (0, 1)), {}),
    ("cross_entropy", (normal(4, 5), labels(4)), {"ignore_index": 1}),
    ("cross_entropy", (normal(4, 5), labels(4), unit(5, grad=False)), {"label_smoothing": 0.1}),
    ("cross_entropy", (normal(4, 5), unit(4, 5)), {"label_smoothing": 0.1}),
    ("linear_cross_entropy", (normal(4, 3), normal(5, 3), labels(4)), {"ignore_index": 1}),
    (
        "linear_cross_entropy",
        (normal(4, 3), normal(5, 3), unit(4, 5)),
        {"label_smoothing": 0.1, "linear_bias": normal(5, grad=False)},
    ),
    (
        "linear_cross_entropy",
        (normal(4, 3), normal(5, 2, 3), labels(4, 2)),
        {"label_smoothing": 0.1, "weight": unit(5, grad=False)},
    ),
    ("nll_loss", (normal(4, 5), labels(4), unit(5, grad=False)), {}),
    ("binary_cross_entropy", (unit(4, 5), soft(4, 5)), {"weight": unit(5, grad=False)}),
    (
        "binary_cross_entropy_with_logits",
        (normal(4, 5), unit(4, 5)),
        {"pos_weight": unit(5, grad=False)},
    ),
    ("kl_div", (normal(4, 5), unit(4, 5)), {"reduction": "batchmean"}),
]
EACH_CALL = pytest.mark.parametrize(("name", "args", "options"), CALLS)


def cast(x: Any, dtype: Any) -> Any:
    floating = isinstance(x, torch.Tensor) and x.is_floating_point()
    return x.detach().to(dtype).requires_grad_(x.requires_grad) if floating else x


@EACH_CALL
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_autocast(name: str, args: Any, options: Any, dtype: Any) -> None:
    args = tuple(cast(x, dtype) for x in args)
    options = {key: cast(x, dtype) for key, x in options.items()}
    with torch.autocast("cpu", torch.bfloat16):
        found = evaluate(OURS[name], args, options)
        theirs = evaluate(NATIVE[name], args, options)
        exact = evaluate(NATIVE[name], args, options, wide=True)
    assert found.value.dtype == theirs.value.dtype
    assert [x.dtype for x in found.gradients] == [x.dtype for x in theirs.gradients]
    # The product of a head is autocast's, as it is in PyTorch.
    product = name == "linear_cross_entropy" and dtype != torch.float64
    tolerance = TOLERANCE[torch.bfloat16 if product else found.value.dtype]
    assert_near(found.value, exact.value.double(), tolerance)


@EACH_CALL
def test_compile_and_export_leave_no_break(name: str, args: Any, options: Any) -> None:
    class Module(torch.nn.Module):
        def forward(self, *args: Any) -> Any:
            return OURS[name](*args, **options)

    tensors = args if name not in ("softmax", "log_softmax", "logsumexp") else args[:1]
    rest = args[len(tensors) :]

    def call(*own: Any) -> Any:
        return OURS[name](*own, *rest, **options)

    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    found, want = evaluate(compiled, tensors, {}), evaluate(NATIVE[name], args, options)
    assert_near(found.value, want.value, 1e-12)
    for mine, theirs in zip(found.gradients, want.gradients, strict=True):
        assert_near(mine, theirs, 1e-12)
    exported = torch.export.export(Module(), args).module()
    assert_near(exported(*args).detach(), want.value, 1e-12)


@EACH_CALL
def test_vmap_and_forward_mode(name: str, args: Any, options: Any) -> None:
    def ours(x: Any) -> Any:
        return OURS[name](x, *args[1:], **options)

    def native(x: Any) -> Any:
        return NATIVE[name](x, *args[1:], **options)

    x = args[0].detach()
    batch = torch.stack([x, x * 0.5, x * 0.25])
    want = torch.stack([native(one) for one in batch]).detach()
    assert_near(torch.vmap(ours)(batch).detach(), want, 1e-12)
    along = normal(*x.shape, grad=False)
    found, theirs = (torch.func.jvp(f, (x,), (along,))[1].detach() for f in (ours, native))
    assert_near(found, theirs, 1e-12)


@EACH_CALL
def test_second_derivatives(name: str, args: Any, options: Any) -> None:
    def call(*floating: Any) -> Any:
        left = iter(floating)
        own = [next(left) if grad(x) else x for x in args]
        return OURS[name](*own, **options)

    def grad(x: Any) -> bool:
        return isinstance(x, torch.Tensor) and x.requires_grad

    leaves = tuple(x for x in args if grad(x))
    assert torch.autograd.gradcheck(call, leaves)
    assert torch.autograd.gradgradcheck(call, leaves)


@EACH_CALL
def test_a_trace_holds_operations_that_can_be_saved(
    name: str, args: Any, options: Any, tmp_path: Any
) -> None:
    tensors = tuple(x.detach() for x in args if isinstance(x, torch.Tensor))
    rest = tuple(x for x in args if not isinstance(x, torch.Tensor))

    class Module(torch.nn.Module):
        def forward(self, *own: Any) -> Any:
            return OURS[name](*own, *rest, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation, and shapes that a trace keeps
        traced = torch.jit.trace(Module(), (tensors[0].requires_grad_(), *tensors[1:]))
        traced.save(tmp_path / "traced.pt")
        loaded = torch.jit.load(tmp_path / "traced.pt")
    found = evaluate(loaded, tensors, {})
    want = evaluate(NATIVE[name], (args[0], *(cut(x) for x in args[1:])), options)
    assert_near(found.value, want.value, 1e-7)
    assert_near(found.gradients[0], want.gradients[0], 1e-7)


def test_fake_tensors_and_make_fx_look_at_no_values() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    with FakeTensorMode():
        x, target = torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64)
        assert xentropy_torch.cross_entropy(x, target, reduction="none").shape == (3,)
        assert xentropy_torch.binary_cross_entropy(x, x).shape == ()

    def loss(x: Any, target: Any) -> Any:
        return xentropy_torch.cross_entropy(x, target)

    graph = make_fx(loss)(X, HARD)
    torch.testing.assert_close(graph(X, HARD), F.cross_entropy(X, HARD))


def test_a_trace_checks_no_labels() -> None:
    def loss(x: Any, target: Any) -> Any:
        return xentropy_torch.cross_entropy(x, target, reduction="none")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation, and shapes that a trace keeps
        example = (X, torch.tensor([1, 9, -100]))
        traced = torch.jit.trace(loss, example, check_trace=False)
    assert traced(X, torch.tensor([1, -100, 9])).isnan().tolist() == [False, False, True]


def cut(x: Any) -> Any:
    return x.detach() if isinstance(x, torch.Tensor) else x


# Where the drop-in is better.


@pytest.mark.parametrize("margin", [8.0, 15.0, 20.0, 60.0])
def test_confident_rows_keep_their_digits(margin: float) -> None:
    x = torch.tensor([[margin, 0.0]], requires_grad=True)
    value = xentropy_torch.cross_entropy(x, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(value, x)
    share = math.exp(-margin) / (1 + math.exp(-margin))
    assert value.item() == pytest.approx(math.log1p(math.exp(-margin)), rel=1e-6)
    assert gradient.tolist()[0] == pytest.approx([-share, share], rel=1e-6)


def test_half_precision_neither_overflows_nor_quantises() -> None:
    wide = torch.zeros(1, 100_000, dtype=torch.float16)
    assert xentropy_torch.cross_entropy(wide, torch.tensor([3])).item() == pytest.approx(
        math.log(100_000), rel=2**-10
    )
    many = normal(4096, 100, dtype=torch.bfloat16, grad=False)
    target = labels(4096, classes=100)
    exact = F.cross_entropy(many.double(), target).item()
    assert xentropy_torch.cross_entropy(many, target).item() == pytest.approx(exact, rel=2**-8)


def test_an_ignored_row_has_no_gradient_whatever_it_holds() -> None:
    x = normal(3, 5, grad=False)
    x[1] = math.nan
    x.requires_grad_()
    value = xentropy_torch.cross_entropy(x, torch.tensor([1, -100, 2]))
    (gradient,) = torch.autograd.grad(value, x)
    assert gradient[1].tolist() == [0.0] * 5
    assert gradient[[0, 2]].isfinite().all()
