"""The forms that XLA fuses: the same as the definitions, and memory for one gradient only."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import oracle
import pytest

import xentropy as xe

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.backends("jax")

import jax.numpy as jnp  # noqa: E402 - after the skip

from xentropy import _fused  # noqa: E402
from xentropy_jax import _devices  # noqa: E402
from xentropy_jax._apart import apart as set_apart  # noqa: E402

RNG = np.random.default_rng(11)
INF, NAN = np.inf, np.nan
OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5},
    {"label_smoothing": 0.2},
    {"z_loss": 0.1},
    {"softcap": 3.0},
    {"class_weights": True},
    {"temperature": 2.0, "label_smoothing": 0.1, "z_loss": 0.01, "class_weights": True},
]


@pytest.fixture(autouse=True)
def wide() -> Any:
    with jax.enable_x64(True):
        yield


def rows(classes: int) -> np.ndarray:
    """Plain, confident, tied and steep rows, and one with a class of -inf."""
    x = RNG.standard_normal((6, classes)) * 3
    x[1] = 0.0
    x[1, 2] = 40.0
    x[2, :2] = x[2].max() + 1
    x[3] *= 50
    x[4, 1] = -INF
    x[5] = 0.0
    return x


def defined(x: np.ndarray, labels: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """The losses of rows by the definition, in long double."""
    x, k = x.astype(np.longdouble), x.shape[-1]
    if "softcap" in options:
        x = options["softcap"] * np.tanh(x / options["softcap"])
    x = x / options.get("temperature", 1.0)
    peak = x.max(-1, keepdims=True)
    top = np.arange(k) == x.argmax(-1)[:, None]
    rest = np.where(top, 0, np.exp(x - peak)).sum(-1, keepdims=True)
    smooth = options.get("label_smoothing", 0.0)
    t = (1 - smooth) * (np.arange(k) == labels[:, None]) + smooth / k
    t = t * np.asarray(options.get("class_weights", np.ones(k)))
    gap = np.where(t == 0, 0, t * np.where(t == 0, 0, np.log1p(rest) + (peak - x))).sum(-1)
    return gap + options.get("z_loss", 0.0) * (peak + np.log1p(rest))[:, 0] ** 2


def filled(options: dict[str, Any], classes: int) -> dict[str, Any]:
    weights = np.linspace(0.5, 2.0, classes)
    return {k: jnp.asarray(weights) if k == "class_weights" else v for k, v in options.items()}


@pytest.mark.parametrize("classes", [5, 300])
@pytest.mark.parametrize("given", OPTIONS, ids=lambda o: "-".join(o) or "plain")
def test_losses_and_gradients(given: dict[str, Any], classes: int) -> None:
    options, x = filled(given, classes), rows(classes)
    labels = np.array([0, 2, 1, int(x[3].argmax()), 3, 4])
    if "label_smoothing" in given:
        x[4, 1] = -5.0  # a share of the target on -inf is an infinite loss

    def loss(x: Any) -> Any:
        return xe.cross_entropy(x, jnp.asarray(labels), reduction="none", **options)

    wanted = defined(x, labels, options)
    np.testing.assert_allclose(loss(jnp.asarray(x)), wanted.astype(float), rtol=1e-13)
    got = np.asarray(jax.grad(lambda x: loss(x).sum())(jnp.asarray(x)))
    both = xe.value_and_grad(xe.cross_entropy)(
        jnp.asarray(x), jnp.asarray(labels), reduction="none", **options
    )
    np.testing.assert_array_equal(both[1], got)
    for j in (0, 1, 2, classes - 1):
        step = np.where(np.arange(classes) == j, 1e-6, 0.0)
        sides = [defined(x + s * step, labels, options) for s in (1, -1)]
        with np.errstate(invalid="ignore"):
            slope = ((sides[0] - sides[1]) / 2e-6).astype(float)
        rows_ = [0, 1, 3, 4] if "temperature" not in given else [0, 1]
        np.testing.assert_allclose(got[rows_, j], slope[rows_], rtol=2e-6, atol=2e-8)


@pytest.mark.parametrize("classes", [4, 300])
def test_rows_that_are_not_finite(classes: int) -> None:
    """Whole rows of -inf, +inf once and twice, NaN, an ignored row of NaN, a label too large."""
    x = np.zeros((7, classes), np.float32)
    x[0], x[1, 1], x[2, :2], x[3, 2], x[4] = -INF, INF, INF, NAN, NAN
    labels = np.array([0, 1, 0, 0, -1, classes + 5, 0])

    @jax.jit  # so that the label is not looked at
    def both(x: Any, labels: Any) -> Any:
        function = xe.value_and_grad(xe.cross_entropy)
        return function(x, labels, ignore_index=-1, reduction="none")

    loss, grad = (np.asarray(a) for a in both(jnp.asarray(x), jnp.asarray(labels)))
    assert np.isnan(loss[[0, 2, 3, 5]]).all()
    assert np.isnan(grad[[0, 2, 3, 5]]).all()
    assert loss[1] == loss[4] == 0
    assert (grad[[1, 4]] == 0).all()
    np.testing.assert_allclose(loss[6], np.log(classes), rtol=1e-6)
    np.testing.assert_allclose(grad[6].sum(), 0, atol=1e-6)
    other = both(jnp.asarray(x[1:2]), jnp.asarray([0]))
    assert np.asarray(other[0])[0] == INF
    assert np.asarray(other[1])[0, :3].tolist() == [-1, 1, 0]


def rows_in_range() -> tuple[np.ndarray, np.ndarray]:
    """Plain, confident, tied, wrong and flat rows, and one with a class of -inf."""
    rng = np.random.default_rng(12)
    x, labels = rng.standard_normal((8, 130)) * 3, rng.integers(0, 130, 8)
    x[1, labels[1]] = 25.0
    x[2, labels[2]] = x[2, labels[2] - 1] = 35.0
    x[3, labels[3] - 1] = 35.0
    x[4] = 0.0
    x[5, labels[5] - 1] = -INF
    x[6] -= 3.5
    x[7, labels[7]] = np.log(np.exp(x[7]).sum())
    return x, labels


def checked(x: np.ndarray, labels: np.ndarray) -> None:
    """Compare losses and gradients of float32 with the definition."""
    x = x.astype(np.float32)
    expected = defined(x, labels, {})
    p = np.exp(x.astype(float) - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    gradient = p - (np.arange(x.shape[-1]) == labels[:, None])
    right = np.arange(len(x)), labels
    gradient[right] = np.expm1(-expected.astype(float))
    found, made = xe.value_and_grad(partial(xe.cross_entropy, reduction="none"))(
        jnp.asarray(x), jnp.asarray(labels)
    )
    np.testing.assert_allclose(found, expected.astype(float), rtol=5e-7)
    np.testing.assert_allclose(made, gradient, rtol=4e-6, atol=1e-37)


def test_rows_in_range_are_visited_without_their_maxima(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = rows_in_range()
    checked(x, labels)

    def refused(*_: Any) -> None:
        raise AssertionError("the general forms were asked")

    monkeypatch.setattr(_fused, "observe", refused)
    with xe.options(compile=False):
        checked(x, labels)


@pytest.mark.parametrize(
    ("row", "moved"), [(0, 100.0), (6, 100.0), (6, -100.0), (6, -20.0), (0, -20.0)]
)
def test_rows_out_of_range(row: int, moved: float) -> None:
    """Whether the first rows tell, or only the others."""
    x, labels = rows_in_range()
    x[row] += moved
    checked(x, labels)


def test_second_derivatives_of_rows_in_range() -> None:
    x, labels = rows_in_range()
    x[5], along = 1.0, RNG.standard_normal(x.shape)

    def loss(x: Any) -> Any:
        return xe.cross_entropy(x, jnp.asarray(labels), reduction="sum")

    def moved(x: Any) -> Any:
        return jnp.sum(jax.grad(loss)(x) * along)

    p = np.exp(x - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    expected = p * (along - (p * along).sum(-1, keepdims=True))
    np.testing.assert_allclose(jax.grad(moved)(jnp.asarray(x)), expected, rtol=1e-9, atol=1e-12)


def test_second_derivatives_agree_in_every_mode() -> None:
    x = jnp.asarray([[0.3, -1.0, 2.0, 0.1], [60.0, 0.0, 0.0, -1.0]])

    def loss(x: Any) -> Any:
        return xe.cross_entropy(x, jnp.asarray([1, 0]), reduction="sum")

    grad = jax.grad(loss)
    e = np.exp(np.asarray(x) - np.asarray(x).max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    wanted = np.diag(p[0]) - np.outer(p[0], p[0])
    found = {
        "forward over reverse": jax.jacfwd(grad)(x),
        "reverse over reverse": jax.jacrev(grad)(x),
        "reverse over forward": jax.jacrev(jax.jacfwd(loss))(x),
        "forward over forward": jax.jacfwd(jax.jacfwd(loss))(x),
        "forward over both": jax.jacfwd(
            lambda x: xe.value_and_grad(xe.cross_entropy)(x, jnp.asarray([1, 0]), reduction="sum")[
                1
            ]
        )(x),
    }
    tail = np.exp(-60.0) * (2 + np.exp(-1.0))
    for name, hessian in found.items():
        np.testing.assert_allclose(hessian[0, :, 0], wanted, rtol=1e-12, atol=1e-16, err_msg=name)
        np.testing.assert_allclose(hessian[1, 0, 1, 0], tail, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("shape", [(64, 4096), (4096, 16), (8, 12, 64, 64)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gradient_is_the_only_buffer_of_its_size(shape: tuple[int, ...], dtype: str) -> None:
    """With labels no exponentials are held, and no widened logits."""
    axis = -1 if len(shape) == 2 else 1
    x = jnp.zeros(shape, dtype)
    labels = jnp.zeros(shape[:1] + shape[2:] if axis == 1 else shape[:-1], jnp.int32)

    def loss(x: Any, labels: Any) -> Any:
        return xe.cross_entropy(x, labels, axis=axis)

    compiled = jax.jit(jax.value_and_grad(loss)).lower(x, labels).compile()
    per_row = 80 * labels.size  # a few numbers of every row
    assert compiled.memory_analysis().temp_size_in_bytes <= 2 * x.size + per_row


@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((64, 4096), "float16"),
        ((64, 4096), "bfloat16"),
        ((4096, 16), "float16"),
        ((4096, 16), "bfloat16"),
    ],
)
def test_a_loss_widens_nothing_in_memory(
    shape: tuple[int, int], dtype: str, hard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_devices, "BLOCK", 1 << 13)
    x = jnp.zeros(shape, dtype)
    targets = jnp.zeros(shape[0], jnp.int32) if hard else x
    for function in (xe.cross_entropy, jax.value_and_grad(xe.cross_entropy)):
        compiled = jax.jit(function).lower(x, targets).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < x.nbytes + 80 * len(x)


@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
def test_a_loss_of_short_rows_holds_six_numbers_of_a_row(hard: bool) -> None:
    """Nothing of a visit is held while rows that are not finite are visited again."""
    x = jnp.zeros((4096, 10), jnp.float32)
    targets = jnp.zeros(len(x), jnp.int32) if hard else x
    compiled = jax.jit(xe.cross_entropy).lower(x, targets).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < (6 * 4 + 1) * len(x)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
@pytest.mark.parametrize("classes", [300, 9])
def test_float16_block_by_block(
    classes: int, hard: bool, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fourteen rows, three long ones at a time: the last three begin before the others end."""
    monkeypatch.setattr(_devices, "BLOCK", 1000)
    rng = np.random.default_rng(classes)
    x = (rng.standard_normal((14, classes)) * 3).astype(np.float16)
    labels, soft = rng.integers(0, classes, 14), rng.dirichlet(np.ones(classes), 14)
    x[5, labels[5]] = 25
    given = labels if hard else soft.astype(np.float16)
    t = np.eye(classes)[labels] if hard else given.astype(np.float64)

    def loss(x: Any, t: Any) -> Any:
        return xe.cross_entropy(x, t, reduction="none", temperature=0.5)

    arrays = jnp.asarray(x), jnp.asarray(given)
    if batched:
        arrays = tuple(a.reshape(2, 7, *a.shape[1:]) for a in arrays)
    found = (jax.vmap(loss) if batched else loss)(*arrays).reshape(-1)
    for i in range(14):
        exact = oracle.exact_row(x[i].astype(np.float64) * 2, t[i])[0]
        depth = 2 * float(x[i].max() - x[i].min())
        assert oracle.ulps(found[i], exact, "float32") <= 4 + depth


def test_one_answer_for_a_whole_batch() -> None:
    """Under vmap a conditional stays one: it does not become a choice after both branches."""
    x, labels = jnp.zeros((3, 4, 300)), jnp.zeros((3, 4), jnp.int32)
    text = str(jax.make_jaxpr(jax.vmap(xe.cross_entropy))(x, labels))
    assert "cond[" in text


def test_compile_can_be_switched_off() -> None:
    from xentropy_jax import _backend

    x = jnp.asarray(RNG.standard_normal((9, 13)))
    labels, size = jnp.arange(9), _backend._apply._cache_size()
    with xe.options(compile=False):
        assert not _backend.plan()
        plain = xe.cross_entropy(x, labels, z_loss=0.125)
        slope = jax.grad(xe.cross_entropy)(x, labels, z_loss=0.125)
    assert _backend._apply._cache_size() == size
    value, grad = xe.value_and_grad(xe.cross_entropy)(x, labels, z_loss=0.125)
    np.testing.assert_allclose(plain, value, rtol=1e-13)
    np.testing.assert_allclose(slope, grad, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("confident", [0, 1, 4, 5, 64])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_some_confident_rows(confident: int, batched: bool, right: bool) -> None:
    """None, few that are looked at by themselves (4 of 64), or more: all keep their digits."""
    check_confident_rows(200, confident, batched=batched, right=right)


@pytest.mark.parametrize(("confident", "batched"), [(4, False), (64, False), (64, True)])
def test_long_rows_are_summed_in_parts(
    confident: int, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of 195 entries as five parts of 39, where 64 are too many."""
    monkeypatch.setattr(_devices, "LONG", 64)
    counts: list[int] = []
    form = _devices._InParts

    def noted(function: Any, count: int) -> Any:
        counts.append(count)
        return form(function, count)

    monkeypatch.setattr(_devices, "_InParts", noted)
    check_confident_rows(195, confident, batched=batched, right=True)
    assert set(counts) == {5}


def test_how_rows_are_cut() -> None:
    lengths = [32_000, 32_768, 32_769, 128_256, 50_257, 100_003, 1 << 22]
    assert [_fused.parts_of(n, _devices.LONG) for n in lengths] == [1, 1, 3, 4, 29, 1, 1]
    assert _fused.parts_of(1 << 21, _devices.LONG) == 64


def check_confident_rows(classes: int, confident: int, *, batched: bool, right: bool) -> None:
    rng = np.random.default_rng(confident)
    x = rng.normal(size=(64, classes)).astype(np.float32)
    labels = rng.integers(0, classes, 64)
    rows = rng.permutation(64)[:confident]
    tops = labels[rows] if right else (labels[rows] + 1) % classes
    x[rows, tops] += np.linspace(15, 30, confident, dtype=np.float32)

    def loss(x: Any, t: Any) -> Any:
        return xe.cross_entropy(x, t, reduction="none")

    arrays = jnp.asarray(x), jnp.asarray(labels)
    if batched:
        found = jax.vmap(loss)(*(a.reshape(4, 16, *a.shape[1:]) for a in arrays)).reshape(-1)
    else:
        found = jax.jit(loss)(*arrays)
    grads = jax.jit(jax.grad(lambda x, t: loss(x, t).sum()))(*arrays)
    for i in [*rows, (rows[0] + 1) % 64 if confident else 0]:
        exact, gradient, _ = oracle.exact_row(x[i], np.eye(classes)[labels[i]])
        depth = float(x[i].max() - x[i].min())
        assert oracle.ulps(found[i], exact, "float32") <= 4 + depth
        for j in {int(labels[i]), int(x[i].argmax()), 7}:
            assert oracle.ulps(grads[i, j], gradient[j], "float32") <= 4 + depth


@pytest.mark.parametrize("choose", [False, True])
def test_one_entry_of_every_row_apart(choose: bool) -> None:
    """The operation, its transpose, and both of a batch whose rows or indices are shared."""

    def apart(x: Any, index: Any) -> Any:
        return set_apart(x, index, x.ndim - 1, choose=choose)

    x, index = np.arange(24.0).reshape(2, 3, 4), np.array([[3, 0, 2], [1, 1, 0]])
    there = np.take_along_axis(x, index[..., None], -1)
    others = np.where(np.arange(4) == index[..., None], 0, x)
    for function in (apart, jax.jit(apart), jax.vmap(apart)):
        found = function(jnp.asarray(x), jnp.asarray(index[..., None]))
        for ours, wanted in zip(found, (others, there), strict=True):
            np.testing.assert_array_equal(ours, wanted)
    shared = jax.vmap(apart, in_axes=(None, 0))(jnp.asarray(x[0]), jnp.asarray(index[..., None]))
    np.testing.assert_array_equal(shared[1][:, :, 0], np.take_along_axis(x[0], index.T, 1).T)
    moved = jax.vmap(apart, in_axes=(2, None))(
        jnp.moveaxis(jnp.asarray(x), 0, 2), jnp.asarray(index[0][:, None])
    )
    np.testing.assert_array_equal(moved[1][..., 0], x[:, np.arange(3), index[0]])
    back = jax.linear_transpose(lambda y: apart(y, jnp.asarray(index[..., None])), jnp.asarray(x))
    (joint,) = back((jnp.asarray(x), -jnp.asarray(there)))
    np.testing.assert_array_equal(joint, np.where(np.arange(4) == index[..., None], -x, x))


def test_the_entry_apart_of_an_inner_axis() -> None:
    """It is chosen there, and in a batch of such."""
    x, index = np.arange(24.0).reshape(2, 3, 4), np.array([[3, 0, 2, 1], [1, 1, 0, 2]]) % 3
    wanted = np.where(np.arange(3)[:, None] == index[:, None], 0, x)

    def apart(x: Any, index: Any) -> Any:
        return set_apart(x, index, x.ndim - 2, choose=True)

    for function in (apart, jax.vmap(apart)):
        found = function(jnp.asarray(x), jnp.asarray(index[:, None]))
        np.testing.assert_array_equal(found[0], wanted)
        np.testing.assert_array_equal(found[1], np.take_along_axis(x, index[:, None], 1))
