"""PyTorch's plan: which calls are visited in blocks, and how autograd gets their gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import oracle
import pytest

import xentropy as xe
from xentropy import _inplace
from xentropy._by_maps import ByMaps

torch = pytest.importorskip("torch")
from xentropy_torch import _backend, _mutable  # noqa: E402

pytestmark = pytest.mark.backends("torch")

N, K = 6, 5
LABELS = torch.tensor([0, 3, 1, 4, 2, 0])


def logits(dtype: Any = None, *, requires_grad: bool = True) -> Any:
    torch.manual_seed(3)
    return (
        (torch.randn(N, K, dtype=torch.float64) * 3)
        .to(dtype or torch.float64)
        .requires_grad_(requires_grad)
    )


def exact(x: Any, **options: Any) -> np.ndarray:
    """The gradient by its definition."""
    return oracle.gradient(
        lambda z: oracle.cross_entropy(z, LABELS.numpy(), axis=1, **options),
        x.detach().double().numpy(),
    )


def chosen(x: Any, targets: Any = LABELS, **options: Any) -> Any:
    """The plan of a call."""
    call = xe.cross_entropy.__xentropy_prepare__(x, targets, **options)
    return _backend.plan(call.rule, call.leaves)


# The choice.


def test_plain_tensors_on_a_host_are_visited_in_blocks() -> None:
    threads = torch.get_num_threads()
    plan = chosen(logits())
    assert (plan.threads, plan.block_size) == (1, threads << 19)
    with xe.options(block_size=100, threads=9):
        plan = chosen(torch.nn.Parameter(logits()))
    assert (plan.threads, plan.block_size) == (1, 100)


def rows_of_all_depths() -> tuple[np.ndarray, np.ndarray]:
    """Long rows whose labels lie as far above and below the others as a loss can tell."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((256, 300)) * np.where(np.arange(256) % 2, 1.0, 8.0)[:, None]
    labels = rng.integers(0, 300, 256)
    x[np.arange(256), labels] += np.linspace(-100, 80, 256)
    return (x + np.linspace(-30, 30, 256)[::-1, None]).astype(np.float32), labels


@pytest.mark.parametrize("slow", [False, True])
def test_both_ways_to_exponentials_are_accurate(slow: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(_mutable, "slow", lambda: slow)
    rows, labels = rows_of_all_depths()
    x = torch.tensor(rows, requires_grad=True)
    losses = xe.cross_entropy(x, torch.tensor(labels), reduction="none")
    losses.sum().backward()
    (mean,) = torch.autograd.grad(xe.cross_entropy(x, torch.tensor(labels)), x)
    wide, here = rows.astype(np.float64), (np.arange(len(rows)), labels)
    e = np.exp(wide - wide.max(1, keepdims=True))
    e[here] = 0
    own, others = np.exp(wide[here] - wide.max(1)), e.sum(1)
    wanted = e / (own + others)[:, None]
    wanted[here] = -others / (own + others)
    depth, bits = np.ptp(wide, axis=1), 2.0**23
    assert np.all(np.abs(losses.detach().numpy() / np.log1p(others / own) - 1) * bits <= 4 + depth)
    for found in (x.grad.numpy(), mean.numpy() * len(rows)):
        normal = np.abs(wanted) >= np.finfo(np.float32).tiny * len(rows)
        off = np.abs(found - wanted)[normal] / np.abs(wanted)[normal]
        assert np.all(off * bits <= 4 + np.broadcast_to(depth[:, None], wanted.shape)[normal])


def test_where_exp_is_slow(monkeypatch: Any) -> None:
    """MKL has all vectors of Intel's processors, and of others the short ones."""
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    for vendor, capability, slow in (
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
    ):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        monkeypatch.setattr(_mutable, "_processor", lambda v=vendor: f"vendor_id : {v}")
        assert _mutable.slow.__wrapped__() == slow
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    monkeypatch.setattr(_mutable, "_processor", lambda: "AuthenticAMD")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert not _mutable.slow.__wrapped__()


def test_a_softmax_is_taken_of_long_rows_where_exp_is_slow(monkeypatch: Any) -> None:
    x = torch.tensor([[1.0, 2.0] * _mutable._LONG])
    for slow, rows in ((False, x), (True, x.T), (True, x.double()), (True, x[:, :10])):
        monkeypatch.setattr(_mutable, "slow", lambda slow=slow: slow)
        assert _mutable.shares(rows, 1, out=torch.empty_like(rows)) is None
    made = torch.empty_like(x)
    assert _mutable.shares(x, 1, out=made) is made
    assert float(made.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("slow", [False, True])
def test_exponentials_of_what_is_below_0(monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    monkeypatch.setattr(_mutable, "slow", lambda: slow)
    ends = [0.0, -0.0, -1e-30, -1e-4, -86.0, -104.0, -1e30, -math.inf]
    row = torch.cat([torch.linspace(-80, 0, _mutable._MANY), torch.tensor(ends)])
    x, peak = (
        torch.stack([row, row.flip(0), row * math.nan]),
        torch.tensor([[0.0], [5.0], [math.nan]]),
    )
    for given in (x, x.double(), x[:, :9], x.T.contiguous().T, x[:, ::2]):
        into = torch.empty_like(given)
        assert _inplace.exp_below(_mutable, given, peak.to(given.dtype), out=into) is into
        wide, unit = given.numpy().astype(np.longdouble), torch.finfo(given.dtype).eps
        with np.errstate(under="ignore"):
            np.testing.assert_allclose(into.numpy(), np.exp(wide), rtol=unit, atol=3e-45)
    own, made = torch.exp(x[:2]), _mutable.exp_below(x[:2], peak[:2], out=torch.empty_like(x[:2]))
    assert (made is not None and not torch.equal(own, made)) == slow


@pytest.mark.parametrize("entry", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", [(0, 0), (8, 3), (8, 4)])
@pytest.mark.parametrize("hard", [True, False])
def test_strange_rows_by_either_exponential(
    monkeypatch: pytest.MonkeyPatch, hard: bool, place: Any, entry: float
) -> None:
    """The last entries of an operation are made one by one, where NaN is not above 0 either."""
    monkeypatch.setattr(_mutable, "_MANY", 0)
    x, found = torch.tensor(np.random.default_rng(2).normal(size=(9, 5)), dtype=torch.float32), []
    x[place] = entry
    t = torch.arange(9) % 5 if hard else torch.full((9, 5), 0.2)
    for slow in (False, True):
        monkeypatch.setattr(_mutable, "slow", lambda slow=slow: slow)
        y = x.clone().requires_grad_()
        value = xe.cross_entropy(y, t, reduction="none", label_smoothing=0.1)
        value.sum().backward()
        maps = (f(x, axis=-1) for f in (xe.softmax, xe.logsumexp, xe.entropy))
        found.append([value.detach(), y.grad, *maps])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)


# Rows of 5 classes by the middle axis, and of 300 by the last, where exp is slow.
OF_LOG_SOFTMAX = [((40, 5, 90), 1), ((70, 300), 1)]
PLAIN: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"ignore_index": 2},
    {"normalizer": 3.0},
    {"class_weights": True, "sample_weights": True},
    {"label_smoothing": 0.1},
    {"label_smoothing": 0.1, "ignore_index": 2, "class_weights": True, "sample_weights": True},
]


@pytest.fixture
def log_softmaxes(monkeypatch: Any) -> list[Any]:
    """The shapes of what PyTorch's own log-softmax was asked for."""
    asked: list[Any] = []
    own = torch.log_softmax

    def counted(x: Any, axis: int, *, out: Any) -> Any:
        asked.append(x.shape)
        return own(x, axis, out=out)

    monkeypatch.setattr(torch, "log_softmax", counted)
    monkeypatch.setattr(_mutable, "slow", lambda: True)
    return asked


def weighed(options: dict[str, Any], shape: Any, axis: int) -> dict[str, Any]:
    """The options, with weights in the place of True."""
    rng, rows = np.random.default_rng(7), shape[:axis] + shape[axis + 1 :]
    sizes = {"class_weights": shape[axis], "sample_weights": rows}
    return {
        name: rng.uniform(0.5, 2.0, sizes[name]) if value is True else value
        for name, value in options.items()
    }


def probabilities(shape: Any, axis: int) -> np.ndarray:
    t = np.random.default_rng(13).uniform(size=shape)
    return t / t.sum(axis, keepdims=True)


def as_tensors(options: dict[str, Any]) -> dict[str, Any]:
    return {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in options.items()}


@pytest.mark.parametrize("options", PLAIN, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("shape", "axis"), OF_LOG_SOFTMAX)
def test_a_reduced_loss_by_a_log_softmax(
    log_softmaxes: list[Any], shape: Any, axis: int, dtype: str, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(11)
    x = torch.tensor(rng.normal(size=shape) * 3).to(getattr(torch, dtype))
    labels = rng.integers(0, shape[axis], shape[:axis] + shape[axis + 1 :])
    options = weighed(options, shape, axis)
    for size in (4000, 1 << 20):
        log_softmaxes.clear()
        with xe.options(block_size=size):
            value = xe.cross_entropy(x, torch.tensor(labels), axis=axis, **as_tensors(options))
        assert len(log_softmaxes) == -(-math.prod(shape) // size)
        wanted = oracle.cross_entropy(x.double().numpy(), labels, axis=axis, **options)
        assert float(value) == pytest.approx(wanted, rel=3e-7)


@pytest.mark.parametrize("options", [o for o in PLAIN if "ignore_index" not in o], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("shape", "axis"), OF_LOG_SOFTMAX)
def test_and_one_of_probabilities(
    log_softmaxes: list[Any], shape: Any, axis: int, dtype: str, options: dict[str, Any]
) -> None:
    x = torch.tensor(np.random.default_rng(11).normal(size=shape) * 3).to(getattr(torch, dtype))
    t = torch.tensor(probabilities(shape, axis)).to(x.dtype)
    t.movedim(axis, -1)[:2] = 0.0  # these rows have no mass, which a mean divides by
    options = weighed(options, shape, axis)
    for size in (4000, 1 << 20):
        log_softmaxes.clear()
        with xe.options(block_size=size):
            value = xe.cross_entropy(x, t, axis=axis, **as_tensors(options))
        assert len(log_softmaxes) == -(-math.prod(shape) // size)
        arrays = x.double().numpy(), t.double().numpy()
        wanted = oracle.cross_entropy(*arrays, axis=axis, **options)
        assert float(value) == pytest.approx(wanted, rel=3e-7)


def test_a_class_without_probability_that_is_infinitely_far(log_softmaxes: list[Any]) -> None:
    shape, axis = OF_LOG_SOFTMAX[1]
    x, t = np.random.default_rng(11).normal(size=shape), probabilities(shape, axis)
    x[60, 2], t[60, 2] = -math.inf, 0.0
    arrays = (torch.tensor(x, dtype=torch.float32), torch.tensor(t, dtype=torch.float32))
    with xe.options(block_size=3000):
        value = xe.cross_entropy(*arrays)
    assert len(log_softmaxes) == 7
    x[60, 2] = -1e4
    assert float(value) == pytest.approx(oracle.cross_entropy(x, t, axis=axis), rel=3e-7)


@pytest.mark.parametrize("sure", [70, 35, 64])
def test_small_losses_are_not_left_to_a_log_softmax(log_softmaxes: list[Any], sure: int) -> None:
    """Whether all rows are confident, or some, or the first are not."""
    x = np.random.default_rng(3).normal(size=(70, 300)).astype(np.float32)
    labels = x.argmax(1)
    x[np.arange(70 - sure, 70), labels[70 - sure :]] += 16
    x[: 70 - sure] /= 4 if sure == 35 else 1
    with xe.options(block_size=3000):
        value = xe.cross_entropy(torch.tensor(x), torch.tensor(labels), reduction="sum")
    assert len(log_softmaxes) == {70: 1, 35: 7, 64: 7}[sure]
    wanted = oracle.cross_entropy(x.astype(np.float64), labels, axis=1, reduction="sum")
    assert float(value) == pytest.approx(wanted, rel=3e-7)


def test_small_losses_with_negative_weights(log_softmaxes: list[Any]) -> None:
    x, minus = torch.zeros(70, 300), -torch.ones(70)
    x[:, 3] = 20.0
    value = xe.cross_entropy(x, torch.full((70,), 3), sample_weights=minus, reduction="sum")
    assert float(value) == pytest.approx(-70 * 299 * math.exp(-20), rel=1e-6)
    assert len(log_softmaxes) == 1


@pytest.mark.parametrize("entry", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", [(0, 1), (60, 2), (60, 3)])
def test_a_log_softmax_does_not_judge_strange_rows(
    log_softmaxes: list[Any], monkeypatch: Any, place: Any, entry: float
) -> None:
    x = torch.zeros(70, 300)
    x[place] = entry
    labels = torch.full((70,), 3)
    with xe.options(block_size=3000):
        value = xe.cross_entropy(x, labels)
    assert len(log_softmaxes) in {1, 7}
    monkeypatch.setattr(_mutable, "log_softmax", lambda *_, **__: None)
    torch.testing.assert_close(xe.cross_entropy(x, labels), value, equal_nan=True)


@pytest.mark.parametrize("depth", np.linspace(4.5, 9.0, 10))
def test_what_a_log_softmax_loses_by_its_additions(log_softmaxes: list[Any], depth: float) -> None:
    """Rows of one large and many small exponentials, all rounded the same way as they are added."""
    x, labels = np.full((40, 1000), -depth, np.float32), np.zeros(40, np.int64)
    x[:, 0] = 0.0
    value = xe.cross_entropy(torch.tensor(x), torch.tensor(labels))
    wanted = oracle.cross_entropy(x.astype(np.float64), labels, axis=1)
    assert float(value) == pytest.approx(wanted, rel=2e-6)
    assert len(log_softmaxes) == 1


def test_which_rows_a_log_softmax_is_taken_of(monkeypatch: Any) -> None:
    for slow, labels, wide, added in (
        (True, True, True, 63),
        (True, False, True, 63),
        (False, False, False, 125),
        (False, True, False, None),
    ):
        monkeypatch.setattr(_mutable, "slow", lambda slow=slow: slow)
        monkeypatch.setattr(_mutable, "_wide", lambda wide=wide: wide)
        long = _mutable.log_softmax((9, 1000), 1, torch.float32, labels=labels)
        assert long == (None if added is None else (torch.log_softmax, added))
        found = _mutable.log_softmax((9, 20, 9), 1, torch.float32, labels=labels)
        assert found == (torch.log_softmax, 20)
        for shape, axis, dtype in (
            ((9, 100), 1, torch.float32),
            ((9, 2000), 1, torch.float32),
            ((9, 90, 9), 1, torch.float32),
            ((9, 1, 9), 1, torch.float32),
            ((9, 20, 9), 1, torch.float64),
        ):
            assert _mutable.log_softmax(shape, axis, dtype, labels=labels) is None


class Tagged(torch.Tensor):
    """A subclass may mean something by any operation."""


def test_what_is_evaluated_whole() -> None:
    x = logits()
    assert chosen(x, class_weights=torch.ones(K, requires_grad=True)) is None
    assert chosen(x, torch.full((N, K), 0.2, requires_grad=True)) is None
    assert chosen(x.as_subclass(Tagged)) is None
    assert chosen(torch.zeros(0, K), torch.zeros(0, dtype=torch.int64)) is None
    assert chosen(torch.zeros(N, K, device="meta"), LABELS.to("meta")) is None
    with torch.autograd.forward_ad.dual_level():
        assert chosen(x) is None
    with torch._subclasses.FakeTensorMode() as mode:
        assert chosen(mode.from_tensor(x), mode.from_tensor(LABELS)) is None
    seen = []
    torch.vmap(lambda row: seen.append(chosen(row, torch.tensor(1))) or row)(x)
    assert seen == [None]
    with torch.no_grad():
        assert chosen(x, class_weights=torch.ones(K, requires_grad=True)) is not None


# The gradient.


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_gradient_is_given_away_and_not_copied(
    reduction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, result = [], _mutable.result

    def noted(like: Any) -> Any:
        gradient = result(like)
        made.append(gradient.data_ptr())  # not itself: autograd copies what others hold
        return gradient

    monkeypatch.setattr(_mutable, "result", noted)
    x = logits()
    xe.cross_entropy(x, LABELS, reduction=reduction).backward()
    assert made == [x.grad.data_ptr()]
    np.testing.assert_allclose(x.grad, exact(x, reduction=reduction), rtol=1e-7, atol=1e-9)


def test_no_gradient_is_made_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> Any:
        raise AssertionError("room for a gradient was asked for")

    monkeypatch.setattr(_mutable, "result", refuse)
    xe.cross_entropy(logits(requires_grad=False), LABELS)
    with torch.no_grad():
        xe.cross_entropy(logits(), LABELS)
    with torch.inference_mode():
        xe.cross_entropy(logits(), LABELS)


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.25, 0.0, 3.0, 65536.0])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_factor_of_the_loss(dtype: str, factor: float) -> None:
    x = logits(getattr(torch, dtype))
    (xe.cross_entropy(x, LABELS) * factor).backward()
    eps = {"float32": 2e-6, "float64": 1e-7, "bfloat16": 1e-2}[dtype]
    assert x.grad.dtype == x.dtype
    wanted = factor * exact(x)
    np.testing.assert_allclose(x.grad.double(), wanted, rtol=eps, atol=eps * abs(factor) / 1e2)


def test_small_entries_of_float16_survive_a_scaled_loss() -> None:
    """That is what scaling a loss is for: 1e-9 is nothing in float16, 65536 times that is."""
    x = torch.zeros(1, 3, dtype=torch.float16)
    x[0, 0] = 20.7
    x.requires_grad_()
    (xe.cross_entropy(x, torch.tensor([0])) * 65536).backward()
    small = 65536 * np.exp(-float(x[0, 0].detach()))
    np.testing.assert_allclose(x.grad[0].double(), [-2 * small, small, small], rtol=2e-3)


def test_small_entries_of_float32_survive_too() -> None:
    """3.3e-37 is made of 3.3e-43, which float32 has no digits for, times a million."""
    x = torch.tensor([[84.0, 0.0, 0.0]], requires_grad=True)
    (xe.cross_entropy(x, torch.tensor([0]), normalizer=1e6) * 1e6).backward()
    np.testing.assert_allclose(x.grad[0, 1:].double(), [np.exp(-84.0)] * 2, rtol=2e-6)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_twice_through_a_graph_that_is_kept(reduction: Any) -> None:
    x = logits()
    loss = xe.cross_entropy(x, LABELS, reduction=reduction).sum()
    once, twice = (torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2))
    wanted = exact(x, reduction=reduction)
    for gradient in (once, twice):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-7, atol=1e-9)
    assert once.data_ptr() != twice.data_ptr()


def test_twice_through_a_graph_that_is_not_kept() -> None:
    loss = xe.cross_entropy(logits(), LABELS)
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_gradients_add_up() -> None:
    x = logits()
    for _ in range(3):
        xe.cross_entropy(x, LABELS).backward()
    np.testing.assert_allclose(x.grad, 3 * exact(x), rtol=1e-7, atol=1e-9)


def test_logits_changed_in_between_are_noticed() -> None:
    leaf = logits()
    x = leaf * 1
    loss = xe.cross_entropy(x, LABELS)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_rows_weighed_afterwards() -> None:
    x, weights = logits(), torch.arange(6.0, dtype=torch.float64)
    with xe.options(block_size=2 * K):
        (xe.cross_entropy(x, LABELS, reduction="none") * weights).sum().backward()
    wanted = exact(x, reduction="sum", sample_weights=weights.numpy())
    np.testing.assert_allclose(x.grad, wanted, rtol=1e-7, atol=1e-9)


def test_a_gradient_in_huge_pages() -> None:
    """Of a large tensor, in the memory that NumPy asks for; of any dtype, and without NumPy."""
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        like = torch.zeros(1 << 10, 1 << 12, dtype=dtype)
        made = _mutable.result(like)
        assert (made.shape, made.dtype, made.is_contiguous()) == (like.shape, dtype, True)
        made.fill_(1.0)
    turned = torch.zeros(1 << 11, 1 << 10, dtype=torch.float64).T
    assert _mutable.result(turned).stride() == turned.stride()


def test_a_gradient_where_numpy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "numpy", None)
    made = _mutable.result(torch.zeros(1 << 10, 1 << 12))
    assert made.shape == (1 << 10, 1 << 12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_gradients_are_not_copied_at_the_labels(dtype: Any) -> None:
    """PyTorch's scatter_ would allocate all of them once more."""
    x, labels = torch.zeros(300, 400, dtype=dtype), torch.zeros(300, dtype=torch.int64)
    with torch.profiler.profile(profile_memory=True) as profile, xe.options(block_size=4000):
        xe.value_and_grad(xe.cross_entropy)(x, labels, out=x)
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert largest < x.nbytes / 2


# A softmax that nobody differentiates.


def softmax_of(x: Any, axis: int, temperature: float = 1.0) -> np.ndarray:
    """The definition, in long double."""
    wide = x.detach().double().numpy().astype(np.longdouble) / temperature
    exp = np.exp(wide - wide.max(axis, keepdims=True))
    return exp / exp.sum(axis, keepdims=True)


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for every block of rows that is visited."""
    inner, seen = ByMaps._values, []

    def noted(*args: Any) -> Any:
        seen.append(1)
        return inner(*args)

    monkeypatch.setattr(ByMaps, "_values", noted)
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("shape", "axis"), [((32, 10), 1), ((7,), 0), ((3, 1024), -1), ((2, 64, 5), 1)]
)
def test_a_softmax_alone_is_one_operation(
    visits: list[int], shape: tuple[int, ...], axis: int, dtype: Any
) -> None:
    torch.manual_seed(2)
    x = torch.randn(shape, dtype=dtype) * 3
    near = {torch.float32: 3e-6, torch.float64: 1e-14}[dtype]
    np.testing.assert_allclose(xe.softmax(x, axis=axis), softmax_of(x, axis), rtol=near)
    assert not visits


def test_a_softmax_with_a_gradient_is_visited(visits: list[int]) -> None:
    x = torch.randn(32, 10).requires_grad_()
    np.testing.assert_allclose(xe.softmax(x).detach(), softmax_of(x, 1), rtol=3e-6)
    assert visits
    visits.clear()
    with torch.no_grad():
        np.testing.assert_allclose(xe.softmax(x), softmax_of(x, 1), rtol=3e-6)
    assert not visits


@pytest.mark.parametrize(
    ("shape", "options"),
    [((3, 1025), {}), ((2, 65, 5), {"axis": 1}), ((3, 7), {"temperature": 2.0})],
    ids=["long rows", "long rows within", "a temperature"],
)
def test_others_are_visited(visits: list[int], shape: Any, options: dict[str, Any]) -> None:
    """PyTorch adds up what lies apart, and along long rows, with errors that show."""
    x = torch.randn(shape)
    wanted = softmax_of(x, options.get("axis", -1), options.get("temperature", 1.0))
    np.testing.assert_allclose(xe.softmax(x, **options), wanted, rtol=3e-6)
    assert visits


def test_half_types_are_rounded_once(visits: list[int]) -> None:
    x = torch.randn(8, 50).to(torch.bfloat16)
    found = xe.softmax(x)
    assert torch.equal(found, torch.from_numpy(softmax_of(x, 1).astype("f4")).to(torch.bfloat16))
    assert visits


def test_rows_that_are_not_finite_are_ours() -> None:
    """One +inf takes all; PyTorch has NaN there."""
    x = torch.tensor([[1.0, math.inf, 0.0], [0.0, 0.0, -math.inf], [-math.inf] * 3])
    found = xe.softmax(x)
    assert torch.isnan(torch.softmax(x, -1)[0]).all()
    assert found[:2].tolist() == [[0, 1, 0], [0.5, 0.5, 0]]
    assert torch.isnan(found[2]).all()
