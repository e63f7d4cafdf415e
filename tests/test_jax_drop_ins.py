"""The drop-ins for jax.nn and optax against their twins, over the options of each.

Values and gradients in float64, where both are precise; dtypes and errors by themselves. Where the
twin is wrong, tests/test_drop_ins.py tries what is declared, and an oracle stands here.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from drop_ins import as_installed
from oracle import exact_row, precise_row, ulps

jax = pytest.importorskip("jax")
losses = pytest.importorskip("optax.losses")
pytestmark = pytest.mark.backends("jax")

import jax.numpy as jnp  # noqa: E402 - after the skip

import xentropy_jax  # noqa: E402

MAPS = ("softmax", "log_softmax", "logsumexp")
NAMES = [name for name in xentropy_jax.__all__ if name != "backend"]
INF, NAN = float("inf"), float("nan")
# Hundreds of small programs run once each.
FAST = {"xla_backend_optimization_level": 0}


@pytest.fixture(autouse=True)
def thirty_two_bits() -> Iterator[None]:
    """JAX as a user finds it."""
    with as_installed("jax"):
        yield


def native(name: str) -> Callable[..., Any]:
    return getattr(jax.nn if name in MAPS else losses, name)


def ours(name: str) -> Callable[..., Any]:
    return getattr(xentropy_jax, name)


class Ask(NamedTuple):
    """A call: the function, its arrays, and options, which are constants."""

    name: str
    arrays: tuple[Any, ...]
    options: dict[str, Any]

    def answer(self, function: Callable[..., Any]) -> tuple[Any, Any]:
        """The value, and the gradients of its weighted sum by the floating arrays."""
        moving = [i for i, x in enumerate(self.arrays) if np.asarray(x).dtype.kind == "f"]
        arrays = [jnp.asarray(x) for x in self.arrays]

        def total(*moved: Any) -> Any:
            filled = list(arrays)
            for i, x in zip(moving, moved, strict=True):
                filled[i] = x
            value = function(*filled, **self.options)
            first = value[0] if isinstance(value, tuple) else value
            first = jnp.where(jnp.isfinite(first), first, 0)
            weights = 1 + jnp.cos(jnp.arange(first.size, dtype=first.dtype)).reshape(first.shape)
            return (first * weights).sum(), value

        found = [arrays[i] for i in moving]
        slope = jax.grad(total, argnums=tuple(range(len(moving))), has_aux=True)
        grads, value = jax.jit(slope, compiler_options=FAST)(*found)
        return value, grads


def agree(ask: Ask, rtol: float = 1e-9, atol: float = 1e-12) -> None:
    value, grads = ask.answer(ours(ask.name))
    wanted, slopes = ask.answer(native(ask.name))
    for got, there in zip(jax.tree.leaves(value), jax.tree.leaves(wanted), strict=True):
        assert (got.shape, got.dtype) == (there.shape, there.dtype)
        np.testing.assert_allclose(got, there, rtol=rtol, atol=atol)
    for got, there in zip(grads, slopes, strict=True):
        assert (got.shape, got.dtype) == (there.shape, there.dtype)
        # A NaN of the twin's gradient is a defect.
        right = np.where(np.isnan(there), got, there)
        np.testing.assert_allclose(got, right, rtol=rtol, atol=atol)


RNG = np.random.default_rng(11)
CUBE = RNG.standard_normal((2, 3, 4))
TABLE = RNG.standard_normal((3, 4))
SOFT = RNG.dirichlet(np.ones(4), 3)
HOT = np.eye(4)[[1, 0, 3]]
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]], bool)
ROWS = np.array([True, False, True])
AXES = (1, (-1, -3), None, ())


def ids(asks: list[Ask]) -> list[str]:
    """The options of a call, arrays by their shapes."""
    return [
        ", ".join(
            [
                ask.name,
                *(str(np.shape(x)) for x in ask.arrays),
                *(f"{k}={v if np.ndim(v) == 0 else np.shape(v)}" for k, v in ask.options.items()),
            ]
        )
        for ask in asks
    ]


def maps() -> Iterator[Ask]:
    for name, axis in itertools.product(("softmax", "log_softmax"), (*AXES, -3)):
        yield Ask(name, (CUBE,), {"axis": axis})
    for name in ("softmax", "log_softmax"):
        for where in (MASK, MASK[0], ROWS[:, None], np.array(True)):
            yield Ask(name, (TABLE,), {"where": jnp.asarray(where)})
        yield Ask(name, (TABLE,), {"where": jnp.asarray(MASK), "axis": None})
        yield Ask(name, (TABLE,), {"where": jnp.asarray(MASK), "axis": (1, 0)})
        yield Ask(name, (np.zeros((2, 0)),), {})
        yield Ask(name, (np.zeros((0, 2)),), {})
        yield Ask(name, (np.array(1.5),), {"axis": None})
        yield Ask(name, (TABLE,), {})


def sums() -> Iterator[Ask]:
    for axis in (*AXES, -1):
        yield Ask("logsumexp", (CUBE,), {"axis": axis})
    for axis in (1, (1, 0)):
        yield Ask("logsumexp", (CUBE,), {"axis": axis, "keepdims": True})
    for b in (np.abs(TABLE), TABLE[::-1].copy(), TABLE[0], np.array(-2.5)):
        yield Ask("logsumexp", (TABLE + 1, 1, b), {"return_sign": True})
    yield Ask("logsumexp", (TABLE + 1, 1, TABLE), {})
    for where, sign in itertools.product((MASK, ROWS[:, None]), (False, True)):
        options = {"axis": -1, "where": jnp.asarray(where), "return_sign": sign}
        yield Ask("logsumexp", (TABLE,), options)
    options = {"axis": 0, "where": jnp.asarray(MASK), "b": jnp.asarray(TABLE[0])}
    yield Ask("logsumexp", (TABLE,), options)
    for shape in ((2, 0), (0, 2)):
        for sign in (False, True):
            yield Ask("logsumexp", (np.zeros(shape),), {"axis": 1, "return_sign": sign})
    yield Ask("logsumexp", (np.zeros((2, 0)),), {})
    yield Ask("logsumexp", (TABLE[0],), {"axis": -1, "b": jnp.asarray(TABLE)})
    yield Ask("logsumexp", (np.array(1.5),), {})


def dense() -> Iterator[Ask]:
    for name in ("softmax_cross_entropy", "poly_loss_cross_entropy"):
        for axis in AXES[:-1]:
            yield Ask(name, (CUBE, np.abs(CUBE[::-1])), {"axis": axis})
        rows = (ROWS,) if name.startswith("softmax") else ()
        for where in (MASK, ROWS[:, None], *rows):
            yield Ask(name, (TABLE, SOFT), {"where": jnp.asarray(where)})
        yield Ask(name, (TABLE[0], SOFT[0]), {"where": jnp.asarray(MASK[0])})
        mask = jnp.asarray(MASK)
        yield Ask(name, (TABLE, SOFT), {"where": mask, "axis": None})
        yield Ask(name, (TABLE, SOFT), {"where": mask, "axis": (1, 0)})
        yield Ask(name, (TABLE, SOFT[0]), {})
        yield Ask(name, (TABLE[0], SOFT), {})
        yield Ask(name, (TABLE, SOFT * np.ones((2, 1, 1))), {})
        yield Ask(name, (TABLE, 3 * SOFT), {"axis": 0})
        yield Ask(name, (TABLE, np.array(0.25)), {})
        yield Ask(name, (np.zeros((2, 0)), np.zeros((2, 0))), {})
    for labels in (HOT.astype(np.int32), HOT.astype(bool), HOT):
        yield Ask("softmax_cross_entropy", (TABLE, labels), {})
    yield Ask("safe_softmax_cross_entropy", (TABLE, HOT), {})
    yield Ask("safe_softmax_cross_entropy", (TABLE, SOFT[0]), {})
    yield Ask("safe_softmax_cross_entropy", (np.where(HOT == 1, -INF, TABLE), SOFT * (1 - HOT)), {})
    for epsilon in (
        -2.0,
        -1.0,
        -0.5,
        0.0,
        3,
        np.array(1.5),
        np.array(-1.0),
        np.array([1.0, -2, 0]),
    ):
        yield Ask("poly_loss_cross_entropy", (TABLE, SOFT), {"epsilon": epsilon})


def labelled() -> Iterator[Ask]:
    name = "softmax_cross_entropy_with_integer_labels"
    for axis, shape in ((-1, (2, 3)), (0, (3, 4)), (1, (2, 4)), ((0, 2), (3,)), ((2, 0), (3,))):
        number = np.prod([CUBE.shape[i] for i in np.atleast_1d(axis)])
        yield Ask(name, (CUBE, RNG.integers(0, number, shape)), {"axis": axis})
    yield Ask(name, (CUBE, np.array(17)), {"axis": (2, 0, 1)})
    yield Ask(name, (TABLE[0], np.array(3)), {})
    for dtype in ("int8", "int64", "uint8", "uint64"):
        yield Ask(name, (TABLE, np.array([1, 0, 3], dtype)), {})
    labels = np.array([1, 3, 0])  # the last row has no class
    for where in (MASK, ROWS, ROWS[:, None], np.ones((1, 1), bool)):
        yield Ask(name, (TABLE, labels), {"where": jnp.asarray(where)})
    yield Ask(name, (TABLE, np.array([0, 1, 1, 0])), {"where": jnp.asarray(MASK), "axis": 0})
    yield Ask(name, (TABLE, np.array(5)), {"where": jnp.asarray(MASK), "axis": (0, 1)})
    yield Ask(name, (TABLE, np.array([2])), {})
    yield Ask(name, (TABLE[:1], np.array([2, 1])), {})


def pairs() -> Iterator[Ask]:
    name = "sigmoid_binary_cross_entropy"
    for labels in (SOFT, HOT, HOT.astype(int), HOT.astype(bool), SOFT[0], 3 * TABLE, np.array(1.0)):
        yield Ask(name, (TABLE, labels), {})
    yield Ask(name, (TABLE[0], SOFT), {})
    name = "sigmoid_focal_loss"
    inner = np.clip(SOFT, 0.05, 0.95)
    for alpha, gamma in zip((None, 0.25, 1, 1.5, TABLE[0]), (2.0, 0.5, 0, 3, 1), strict=True):
        yield Ask(name, (TABLE, inner), {"alpha": alpha, "gamma": gamma})
    for labels in (HOT.astype(int), HOT.astype(bool), inner[0]):
        yield Ask(name, (TABLE, labels), {})
    yield Ask(name, (TABLE[0], inner), {"gamma": jnp.asarray(TABLE**2)})


def divergences() -> Iterator[Ask]:
    log_p = np.log(RNG.dirichlet(np.ones(4), (2, 3)))
    t = RNG.dirichlet(np.ones(4), (2, 3))
    for name in ("kl_divergence", "kl_divergence_with_log_targets", "generalized_kl_divergence"):
        targets = np.log(t) if "log" in name else t
        for axis in AXES:
            yield Ask(name, (log_p, targets), {"axis": axis})
        for where in (MASK, MASK[0], np.array(True)):
            yield Ask(name, (log_p, targets), {"where": jnp.asarray(where)})
        yield Ask(name, (log_p, targets), {"where": jnp.asarray(MASK), "axis": None})
        yield Ask(name, (log_p, targets[0, 0]), {})
        yield Ask(name, (log_p[0, 0], targets), {})
        yield Ask(name, (np.zeros((2, 0)), np.zeros((2, 0))), {})


def smoothed() -> Iterator[Ask]:
    for axis in AXES:
        yield Ask("smooth_labels", (np.abs(CUBE), np.array(0.1)), {"axis": axis})
    for where in (MASK[0], ROWS[:, None]):
        yield Ask("smooth_labels", (HOT, np.array(0.3)), {"where": jnp.asarray(where)})
    yield Ask("smooth_labels", (HOT[:2], np.array(0.3)), {"where": jnp.asarray(MASK[:2])})
    yield Ask("smooth_labels", (HOT, RNG.random((3, 1))), {})


ASKS = [
    *maps(), *sums(), *dense(), *labelled(), *pairs(), *divergences(), *smoothed()
]  # fmt: skip


@pytest.fixture
def wide_numbers() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.mark.usefixtures("wide_numbers")
@pytest.mark.parametrize("ask", ASKS, ids=ids(ASKS))
def test_values_and_gradients(ask: Ask) -> None:
    agree(Ask(*ask))


def test_every_function_is_tried() -> None:
    assert {ask.name for ask in ASKS} == set(NAMES) - {"convex_kl_divergence"}


# Signatures, dtypes, errors.


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    def shape(function: Any) -> list[tuple[Any, ...]]:
        parameters = inspect.signature(function).parameters.values()
        return [(one.name, one.kind, one.default) for one in parameters]

    assert shape(ours(name)) == shape(native(name))


FLOATS = ("float16", "bfloat16", "float32", "float64")
KINDS = (*FLOATS, "int8", "int32", "bool")


def dtype_of(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The dtypes of a result, or the class of the error."""
    try:
        value = jax.eval_shape(functools.partial(function, **options), *args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return type(error)
    return jax.tree.map(lambda x: (x.dtype, x.shape), value)


def pairs_of_dtypes(name: str) -> Iterator[tuple[Any, Any]]:
    second = ("int32", "uint8") if "integer" in name else KINDS
    yield from itertools.product(KINDS, second)


# jax.nn.log_softmax casts -inf to an integer.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", [n for n in NAMES if n != "convex_kl_divergence"])
def test_dtypes(name: str, x64: bool) -> None:
    """What every pair of dtypes becomes, or that both refuse it alike."""
    with jax.enable_x64(x64):
        for first, second in pairs_of_dtypes(name):
            if "64" in first + second and not x64:
                continue
            x = jnp.ones((2, 3), first)
            if name in ("softmax", "log_softmax"):
                args: tuple[Any, ...] = (x,)
            elif name == "logsumexp":
                args = (x, None, jnp.ones((2, 3), second))
            else:
                args = (x, jnp.ones((2,) if "integer" in name else (2, 3), second))
            found, wanted = (dtype_of(f(name), *args) for f in (ours, native))
            assert found == wanted, (first, second)


@pytest.mark.parametrize("x64", [False, True])
def test_dtypes_of_options(x64: bool) -> None:
    """Python numbers take the arrays' dtype, arrays have a say."""
    with jax.enable_x64(x64):
        for dtype in FLOATS if x64 else FLOATS[:3]:
            x, t = jnp.ones((2, 3), dtype), jnp.ones((2, 3), dtype)
            for value in (1, 0.5, np.float32(0.5), jnp.float16(0.5), jnp.array(0.5)):
                for name, option in (
                    ("sigmoid_focal_loss", "gamma"),
                    ("sigmoid_focal_loss", "alpha"),
                    ("poly_loss_cross_entropy", "epsilon"),
                ):
                    found, wanted = (
                        dtype_of(f(name), x, t, **{option: value}) for f in (ours, native)
                    )
                    assert found == wanted, (name, option, dtype, value)
                found, wanted = (dtype_of(f("smooth_labels"), t, value) for f in (ours, native))
                assert found == wanted, (dtype, value)
            assert dtype_of(ours("logsumexp"), x, b=2.0) == dtype_of(native("logsumexp"), x, b=2.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [n for n in NAMES if n != "convex_kl_divergence"])
def test_half_precision_is_rounded_once(name: str, dtype: str) -> None:
    x = jnp.asarray(3 * CUBE, dtype)
    t = jnp.asarray(np.abs(CUBE) / 4, dtype)
    if "integer" in name:
        t = jnp.asarray(RNG.integers(0, 4, (2, 3)))
    args = (x,) if name in MAPS else (t, 0.1) if name == "smooth_labels" else (x, t)
    grow = [a.astype(jnp.float32) if getattr(a, "dtype", None) == dtype else a for a in args]
    got, exact = ours(name)(*args), ours(name)(*grow)
    assert got.dtype == dtype
    wanted = exact.astype(dtype).astype(jnp.float32)
    np.testing.assert_array_equal(got.astype(jnp.float32), wanted)


X = jnp.asarray(TABLE, jnp.float32)
REFUSED: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "a list": ("softmax", ([1.0, 2.0],), {}),
    "a list, logsumexp": ("logsumexp", ([1.0, 2.0],), {}),
    "a list of factors": ("logsumexp", (X,), {"b": [1.0] * 4}),
    "flags": ("log_softmax", (X > 0,), {}),
    "axis out of bounds": ("softmax", (X,), {"axis": 2}),
    "axis twice": ("softmax", (X,), {"axis": (1, -1)}),
    "axis no integer": ("softmax", (X,), {"axis": 1.5}),
    "where of numbers": ("softmax", (X,), {"where": jnp.ones(4)}),
    "where that does not fit": ("softmax", (X,), {"where": jnp.ones(3, bool)}),
    "axis of a number": ("softmax", (1.0,), {}),
    "labels that do not fit": ("softmax_cross_entropy", (X, jnp.ones(3)), {}),
    "integer logits": ("softmax_cross_entropy", (jnp.ones((3, 4), int), X), {}),
    "a list of labels": ("softmax_cross_entropy", (X, [1.0] * 4), {}),
    "all axes and a mask of rows": (
        "softmax_cross_entropy", (X, X), {"axis": None, "where": jnp.ones(3, bool)},
    ),
    "a list of flags": ("softmax_cross_entropy", (X, X), {"where": [True] * 4}),
    "floating labels": ("softmax_cross_entropy_with_integer_labels", (X, jnp.ones(3)), {}),
    "axis None": ("softmax_cross_entropy_with_integer_labels", (X, jnp.array(0)), {"axis": None}),
    "too few labels": ("softmax_cross_entropy_with_integer_labels", (X, jnp.array([0, 1])), {}),
    "labels of rows of rows": (
        "softmax_cross_entropy_with_integer_labels", (X, jnp.zeros((3, 1), int)), {},
    ),
    "integer labels of poly": ("poly_loss_cross_entropy", (X, jnp.ones((3, 4), int)), {}),
    "integer logits, sigmoid": ("sigmoid_binary_cross_entropy", (jnp.ones(3, int), X), {}),
    "shapes, sigmoid": ("sigmoid_binary_cross_entropy", (X, jnp.ones(3)), {}),
    "shapes, focal": ("sigmoid_focal_loss", (X, X), {"gamma": jnp.ones(3)}),
    "integer targets": ("kl_divergence", (X, jnp.ones((3, 4), int)), {}),
    "shapes, divergence": ("kl_divergence", (X, jnp.ones(3)), {}),
    "where, divergence": ("kl_divergence", (X, X), {"where": jnp.ones(4)}),
    "integer labels to smooth": ("smooth_labels", (jnp.ones(3, int), 0.1), {}),
    "axis to smooth": ("smooth_labels", (X, 0.1), {"axis": 4}),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_the_twins(case: str) -> None:
    """Its class and its words, and ours as their cause."""
    name, args, options = REFUSED[case]
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever it is, it is compared
        native(name)(*args, **options)
    with pytest.raises(type(theirs.value)) as mine:
        ours(name)(*args, **options)
    assert str(mine.value) == str(theirs.value)
    assert isinstance(mine.value.__cause__, TypeError | ValueError | IndexError)


def test_while_tracing_the_error_is_ours() -> None:
    with pytest.raises(ValueError, match=r"labels of shape \(3, 1\) do not fit"):
        jax.jit(ours(INTEGERS))(X, jnp.array([[0], [1], [2]]))


def test_without_optax_the_error_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optax.losses", None)
    with pytest.raises(TypeError, match="labels must be of integers, got dtype float32"):
        ours("softmax_cross_entropy_with_integer_labels")(X, jnp.ones(3))


def test_optax_is_not_imported() -> None:
    code = (
        f"import sys; sys.path += {sys.path!r}\nimport xentropy_jax, jax.numpy as jnp\n"
        "xentropy_jax.softmax_cross_entropy(jnp.ones(3), jnp.ones(3))\n"
        "sys.exit('optax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_deprecated_name_warns() -> None:
    log_p, t = jnp.log(jnp.asarray(SOFT)), jnp.asarray(SOFT[::-1].copy())
    with pytest.warns(DeprecationWarning, match="use generalized_kl_divergence") as caught:
        value = ours("convex_kl_divergence")(log_p, t)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(value, ours("generalized_kl_divergence")(log_p, t))


# Labels that are no class, masks.

INTEGERS = "softmax_cross_entropy_with_integer_labels"


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class(label: int) -> None:
    loss, labels = ours(INTEGERS), jnp.array([0, label, 1])
    with pytest.raises(IndexError, match=rf"targets\[1\] is {label}"):
        loss(X, labels)
    for where in (None, jnp.ones((3, 4), bool), jnp.asarray(MASK).at[2].set(True)):
        value, slope = jax.jit(
            lambda x, y, where=where: (
                loss(x, y, where=where),
                jax.grad(lambda x: loss(x, y, where=where).sum())(x),
            )
        )(X, labels)
        assert np.isnan(value).tolist() == [False, True, False]
        assert np.isnan(slope).any(-1).tolist() == [False, True, False]


def test_a_row_that_does_not_count_may_have_any_label() -> None:
    loss, rows = ours(INTEGERS), jnp.array([True, False, True])
    labels = jnp.array([0, -1, 1])
    value, slope = jax.value_and_grad(lambda x: loss(x, labels, where=rows).sum())(
        X.at[1].set(jnp.nan)
    )
    kept = loss(X, jnp.array([0, 0, 1]))[jnp.array([0, 2])].sum()
    np.testing.assert_allclose(value, kept, rtol=1e-6)
    assert (slope[1] == 0).all()


def test_a_target_at_a_class_that_does_not_count_weighs_nothing() -> None:
    mask, labels = jnp.array([True, True, False]), jnp.array([0.0, 0.0, 1.0])
    loss = ours("softmax_cross_entropy")
    value, slope = jax.value_and_grad(lambda x: loss(x, labels, where=mask))(X[0, :3])
    assert value == 0
    assert (slope == 0).all()


def test_a_label_at_a_class_that_does_not_count_cannot_come_true() -> None:
    mask = jnp.array([True, True, False])
    assert ours(INTEGERS)(X[0, :3], jnp.array(2), where=mask) == INF


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmax_cross_entropy", INTEGERS])
def test_rows_without_a_class_have_no_gradient(name: str) -> None:
    labels = {INTEGERS: (jnp.array([1, 2, 0]),), "softmax_cross_entropy": (jnp.asarray(HOT),)}
    args = labels.get(name, ())

    def total(x: Any) -> Any:
        value = ours(name)(x, *args, where=jnp.asarray(MASK))
        return jnp.where(jnp.isfinite(value), value, 0).sum()

    slope = jax.grad(total)(X.at[2].set(jnp.array([NAN, INF, -INF, 1.0])))
    assert np.isfinite(slope).all()
    assert (slope[~MASK] == 0).all()


# Accuracy, where the twin has none.


@pytest.mark.parametrize("margin", [5.0, 17.0, 80.0])
def test_confident_rows_keep_their_digits(margin: float) -> None:
    x = jnp.array([margin, 0.0, -1.0])
    hot = jnp.array([1.0, 0.0, 0.0])
    loss, slope, _ = exact_row(x, hot)
    budget = 4 + margin + 1
    found = {
        "softmax_cross_entropy": lambda x: ours("softmax_cross_entropy")(x, hot),
        "safe_softmax_cross_entropy": lambda x: ours("safe_softmax_cross_entropy")(x, hot),
        INTEGERS: lambda x: ours(INTEGERS)(x, jnp.array(0)),
        "log_softmax": lambda x: -ours("log_softmax")(x)[0],
        "logsumexp": lambda x: ours("logsumexp")(x - margin),
    }
    for name, function in found.items():
        value, grad = jax.value_and_grad(function)(x)
        assert ulps(value, loss, "float32") <= budget, name
        if name == "logsumexp":
            continue
        for got, exact in zip(grad, slope, strict=True):
            assert ulps(got, exact, "float32") <= budget, name


@pytest.mark.parametrize("epsilon", [-1.0, -0.5, 2.0])
@pytest.mark.parametrize("given", ["a number", "an array"])
def test_poly_keeps_its_digits(epsilon: float, given: str) -> None:
    x, hot = jnp.array([20.0, 0.0, -1.0]), jnp.array([1.0, 0.0, 0.0])

    def exact(row: list[mpmath.mpf]) -> mpmath.mpf:
        p = mpmath.exp(row[0]) / mpmath.fsum(mpmath.exp(v) for v in row)
        return -mpmath.log(p) + epsilon * (1 - p)

    loss, _ = precise_row(exact, x)
    weight = epsilon if given == "a number" else jnp.array(epsilon)
    value = ours("poly_loss_cross_entropy")(x, hot, epsilon=weight)
    np.testing.assert_allclose(value, float(loss), rtol=5e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("label", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("logit", [-40.0, 20.0])
def test_focal_keeps_its_digits(logit: float, label: float, gamma: float) -> None:
    def exact(row: list[mpmath.mpf]) -> mpmath.mpf:
        p, q = 1 / (1 + mpmath.exp(-row[0])), 1 / (1 + mpmath.exp(row[0]))
        y = mpmath.mpf(float(np.float32(label)))
        loss = -y * mpmath.log(p) - (1 - y) * mpmath.log(q)
        return loss * (q * y + p * (1 - y)) ** gamma

    loss, (slope,) = precise_row(exact, [logit])
    function = functools.partial(ours("sigmoid_focal_loss"), labels=label, gamma=gamma)
    value, grad = jax.value_and_grad(function)(jnp.float32(logit))
    # Below 1e-38 there is nothing but 0.
    np.testing.assert_allclose(value, float(loss), rtol=1e-5, atol=1e-38)
    np.testing.assert_allclose(grad, float(slope), rtol=2e-5, atol=1e-38)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize(("logit", "label"), [(3.0, 1.0), (-3.0, 1.0), (95.0, 1.0), (-95.0, 0.0)])
def test_focal_has_gradients_by_hard_labels(logit: float, label: float, gamma: float) -> None:
    def exact(row: list[mpmath.mpf]) -> mpmath.mpf:
        p, q, (y,) = 1 / (1 + mpmath.exp(-logit)), 1 / (1 + mpmath.exp(logit)), row
        return (-y * mpmath.log(p) - (1 - y) * mpmath.log(q)) * (q * y + p * (1 - y)) ** gamma

    _, (slope,) = precise_row(exact, [label], digits=400)
    x, loss = jnp.float32(logit), ours("sigmoid_focal_loss")
    function = functools.partial(loss, x, gamma=gamma)
    # Beyond 80 a part of gamma / |logit| is left out, which float32 could not hold.
    tolerance = 1e-2 if abs(logit) > 80 else 1e-5
    for grad in (jax.grad, jax.jacfwd):
        found = grad(function)(jnp.float32(label))
        np.testing.assert_allclose(found, float(slope), rtol=tolerance, atol=1e-38)


def test_zero_times_infinity_is_zero() -> None:
    x = jnp.array([1.0, 2.0, -INF])
    value, slope = jax.value_and_grad(ours("softmax_cross_entropy"))(x, jnp.array([1.0, 0, 0]))
    np.testing.assert_allclose(value, 1.3132616875, rtol=1e-6)
    np.testing.assert_allclose(slope, [-0.7310586, 0.7310586, 0.0], rtol=1e-6)
    tangent = jax.jvp(
        lambda x: ours("safe_softmax_cross_entropy")(x, jnp.array([1.0, 0, 0])),
        (x,),
        (jnp.array([1.0, 0.0, 0.0]),),
    )[1]
    np.testing.assert_allclose(tangent, -0.7310586, rtol=1e-6)
    log_p = jnp.array([0.0, -INF])
    assert ours("kl_divergence")(log_p, jnp.array([1.0, 0.0])) == 0
    assert ours("kl_divergence_with_log_targets")(log_p, log_p) == 0
    assert ours("generalized_kl_divergence")(log_p, jnp.array([1.0, 0.0])) == 0


# Transformations.

ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "softmax": ((), {}),
    "log_softmax": ((), {"where": jnp.array([True, True, False, True])}),
    "logsumexp": ((), {"axis": -1, "b": jnp.array([1.0, -0.1, 2.0, 0.5])}),
    "softmax_cross_entropy": ((SOFT,), {}),
    "softmax_cross_entropy_with_integer_labels": ((np.array([1, 0, 3]),), {}),
    "safe_softmax_cross_entropy": ((SOFT,), {}),
    "sigmoid_binary_cross_entropy": ((SOFT,), {}),
    "sigmoid_focal_loss": ((SOFT,), {"gamma": 1.5, "alpha": 0.25}),
    "poly_loss_cross_entropy": ((SOFT,), {"epsilon": jnp.array(0.5)}),
    "kl_divergence": ((SOFT,), {}),
    "kl_divergence_with_log_targets": ((np.log(SOFT),), {}),
    "generalized_kl_divergence": ((SOFT,), {}),
}


@pytest.mark.usefixtures("wide_numbers")
@pytest.mark.parametrize("name", ARGUMENTS)
def test_transformations(name: str) -> None:
    """Eager, jit, vmap, forward mode and the Hessian, against the twin's."""
    args, options = ARGUMENTS[name]
    rows = (jnp.asarray(TABLE), *map(jnp.asarray, args))
    row = tuple(x[0] for x in rows)
    function, twin = (functools.partial(f(name), **options) for f in (ours, native))
    direction = jnp.asarray(TABLE[1])

    def total(function: Any) -> Any:
        return lambda x: (function(x, *row[1:]) * jnp.asarray(1.5)).sum()

    def every(function: Any) -> tuple[Any, ...]:
        return (
            function(*rows),
            jax.vmap(function)(*rows),
            jax.vmap(jax.grad(lambda x, *more: function(x, *more).sum()))(*rows),
            jax.jvp(total(function), (row[0],), (direction,))[1],
            jax.hessian(total(function))(row[0]),
        )

    found, wanted = (
        jax.jit(every, static_argnums=0, compiler_options=FAST)(f) for f in (function, twin)
    )
    for got, there in zip((function(*rows), *found), (wanted[0], *wanted), strict=True):
        assert got.dtype == there.dtype
        np.testing.assert_allclose(got, there, rtol=1e-9, atol=1e-12)


def test_options_may_be_traced_and_have_gradients() -> None:
    """What a schedule or a learned weight hands over."""
    x, t = jnp.asarray(TABLE), jnp.asarray(np.clip(SOFT, 0.05, 0.95))
    for name, option in (
        ("sigmoid_focal_loss", "gamma"),
        ("sigmoid_focal_loss", "alpha"),
        ("poly_loss_cross_entropy", "epsilon"),
    ):

        def total(v: Any, function: Any, option: str = option) -> Any:
            return function(x, t, **{option: v}).sum()

        slope = jax.jit(jax.value_and_grad(total), static_argnums=1)
        np.testing.assert_allclose(slope(0.75, ours(name)), slope(0.75, native(name)), rtol=2e-5)
    slope = jax.grad(lambda a: ours("smooth_labels")(t, a)[0, 0])(0.1)
    np.testing.assert_allclose(slope, 0.25 - t[0, 0], rtol=1e-6)


# The example.

EXAMPLE = Path(__file__).parents[1] / "examples" / "drop_in_jax.py"


def test_the_example_learns_alike() -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    command = [sys.executable, str(EXAMPLE), "--epochs", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    header, *rows, accuracies = done.stdout.splitlines()
    assert header.split() == ["epoch", "optax", "xentropy_jax", "difference"]
    curves = np.array([row.split()[1:3] for row in rows], float)
    assert len(curves) == 4
    assert (np.diff(curves, axis=0) < 0).all()
    np.testing.assert_allclose(curves[:, 0], curves[:, 1], rtol=1e-4)
    assert min(float(one.rstrip("%")) for one in accuracies.split()[1:]) > 85
