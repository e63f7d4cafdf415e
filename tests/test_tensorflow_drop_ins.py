"""TensorFlow's names from xentropy: TensorFlow's own functions give the same, or are wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import oracle
import pytest

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.backends("tensorflow")

import xentropy_tensorflow as ours  # noqa: E402
from names_tensorflow import FUNCTIONS, native  # noqa: E402

RNG = np.random.default_rng(11)
DENSE = "softmax_cross_entropy_with_logits"
SPARSE = "sparse_softmax_cross_entropy_with_logits"
SIGMOID = "sigmoid_cross_entropy_with_logits"
WEIGHTED = "weighted_cross_entropy_with_logits"
SUM = "reduce_logsumexp"


def normal(*shape: int) -> np.ndarray:
    return 2 * RNG.standard_normal(shape)


def rows(*shape: int, axis: int = -1) -> np.ndarray:
    """Probabilities that sum to 1 along an axis, with a 0 among them."""
    t = RNG.uniform(0.1, 1, shape)
    np.moveaxis(t, axis, -1)[..., 0] = 0
    return t / t.sum(axis, keepdims=True)


def share(*shape: int) -> np.ndarray:
    return RNG.uniform(0, 1, shape)


@dataclass(frozen=True)
class Case:
    """A function, its floating tensors, and the rest of its arguments."""

    function: str
    floats: Mapping[str, np.ndarray]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shapes = ",".join(str(v.shape) for v in self.floats.values())
        shown = ",".join(f"{k}={np.asarray(v).tolist()}" for k, v in self.options.items())
        return f"{self.function}{shapes}{shown}".replace(" ", "")

    def tensors(self, dtype: str) -> dict[str, Any]:
        return {name: tf.cast(value, dtype) for name, value in self.floats.items()}

    def call(self, function: Callable[..., Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
        """The value, and the gradients of its sum with weights that differ."""
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(**tensors, **self.options)
            count = tf.cast(tf.range(1, tf.size(value) + 1), value.dtype)
            total = tf.reduce_sum(value * tf.reshape(count, tf.shape(value)) / 8)
        return {"value": value, **tape.gradient(total, dict(tensors))}


def maps(name: str) -> list[Case]:
    options: list[dict[str, Any]] = [{}, {"axis": None}, {"axis": -1}, {"axis": 1}, {"axis": -3}]
    return [
        *(Case(name, {"logits": normal(2, 3, 4)}, option) for option in options),
        Case(name, {"logits": normal(5)}, {"axis": 0}),
        Case(name, {"logits": normal(0, 3)}),
        Case(name, {"logits": np.array([[-np.inf, 0.0, 1.0], [50.0, -50.0, 49.0]])}),
        Case(name, {"logits": normal(3, 2)}, {"axis": np.int64(0)}),
    ]


def sums() -> list[Case]:
    axes = [None, 0, 1, -1, [0, 2], (1,), [], (), [0, 1, 2], [-1, 0], np.array([0, 1])]
    return [
        *(
            Case(SUM, {"input_tensor": normal(2, 3, 4)}, {"axis": axis, "keepdims": keep})
            for axis in axes
            for keep in (False, True)
        ),
        Case(SUM, {"input_tensor": normal(2, 3)}),
        Case(SUM, {"input_tensor": np.array(1.5)}),
        Case(SUM, {"input_tensor": np.array(1.5)}, {"axis": []}),
        Case(SUM, {"input_tensor": normal(0, 3)}, {"axis": 1}),
        Case(SUM, {"input_tensor": normal(2, 0)}, {"axis": 1, "keepdims": True}),
        Case(SUM, {"input_tensor": normal(2, 0)}),
        Case(SUM, {"input_tensor": np.array([[-np.inf, 0.0], [1.0, 2.0]])}, {"axis": -1}),
    ]


def dense() -> list[Case]:
    def case(labels: Sequence[int], logits: Sequence[int], **options: Any) -> Case:
        axis = options.get("axis")
        t = rows(*labels, axis=-1 if axis is None else axis)
        return Case(DENSE, {"labels": t, "logits": normal(*logits)}, options)

    return [
        case((2, 3), (2, 3)),
        case((4,), (4,)),
        case((2, 3, 4), (2, 3, 4)),
        case((2, 3, 4), (2, 3, 4), axis=1),
        case((2, 3, 4), (2, 3, 4), axis=-3),
        case((2, 3, 4), (2, 3, 4), axis=None),
        case((0, 3), (0, 3)),
        case((3,), (2, 3)),
        case((1, 3), (2, 3)),
        case((1, 1, 3), (2, 2, 3)),
        case((4, 3), (2, 2, 3)),
        case((3, 1), (3, 2), axis=0),
        case((1, 3), (0, 3)),
    ]


def sparse() -> list[Case]:
    def case(dtype: Any, *shape: int) -> Case:
        labels = RNG.integers(0, shape[-1], shape[:-1]).astype(dtype)
        return Case(SPARSE, {"logits": normal(*shape)}, {"labels": labels})

    shapes = [(4, 3), (5,), (2, 3, 4), (0, 3), (3, 1)]
    return [case(dtype, *shape) for dtype in ("int32", "int64") for shape in shapes]


def binary() -> list[Case]:
    shapes = [(), (5,), (2, 3), (0, 2), (2, 1, 3)]
    pairs = [{"labels": share(*shape), "logits": normal(*shape)} for shape in shapes]
    certain = {"labels": np.array([0.0, 1, 0, 1]), "logits": np.array([30.0, 30, -30, -30])}
    weights: list[tuple[int, ...]] = [(), (1,), (3,), (2, 1), (2, 3), (4, 2, 3), (1, 1, 1)]
    return [
        *(Case(SIGMOID, pair) for pair in (*pairs, certain)),
        *(Case(WEIGHTED, pair, {"pos_weight": 2.5}) for pair in (*pairs, certain)),
        *(Case(WEIGHTED, {**pairs[2], "pos_weight": 3 * share(*shape)}) for shape in weights),
        Case(WEIGHTED, {**pairs[0], "pos_weight": share(3)}),
        Case(WEIGHTED, {"labels": share(1), "logits": normal(1), "pos_weight": share(3)}),
        Case(WEIGHTED, pairs[1], {"pos_weight": 2}),
        Case(WEIGHTED, pairs[1], {"pos_weight": True}),
        Case(WEIGHTED, pairs[1], {"pos_weight": -1.0}),
        Case(WEIGHTED, pairs[2], {"pos_weight": np.array([1.0, 0.0, 3.0])}),
    ]


GRID = [*maps("softmax"), *maps("log_softmax"), *sums(), *dense(), *sparse(), *binary()]
DTYPES = ("float16", "bfloat16", "float32", "float64")


def same(got: Mapping[str, Any], wanted: Mapping[str, Any], case: Case, units: float = 6) -> None:
    """Equal dtypes, shapes, and numbers up to some units of the largest."""
    for name, right in wanted.items():
        left = got[name]
        assert (left is None) == (right is None), f"{case}: {name}"
        if right is None:
            continue
        assert left.dtype == right.dtype, f"{case}: {name}"
        assert left.shape == right.shape, f"{case}: {name}"
        a, b = (np.asarray(tf.cast(v, tf.float64)) for v in (left, right))
        finite = np.abs(b[np.isfinite(b)])
        eps = float(np.finfo(tf.as_dtype(right.dtype).as_numpy_dtype).eps)
        room = units * eps * max(1.0, finite.max(initial=0.0))
        np.testing.assert_allclose(a, b, rtol=0, atol=room, err_msg=f"{case}: {name}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_signature_is_tensorflows(name: str) -> None:
    def plain(function: Any) -> list[tuple[Any, ...]]:
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert plain(getattr(ours, name)) == plain(native(name))
    assert getattr(ours, name).__name__ == name


def test_the_names_are_exported() -> None:
    assert set(ours.__all__) == {"backend", *FUNCTIONS}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", GRID, ids=str)
def test_eagerly_it_is_tensorflows(case: Case, dtype: str) -> None:
    tensors = case.tensors(dtype)
    theirs = case.call(native(case.function), tensors)
    same(case.call(getattr(ours, case.function), tensors), theirs, case)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_it_is_tensorflows(name: str, dtype: str, jit: bool) -> None:
    """All cases of a function in one graph: compiling is what takes the time."""
    cases = [case for case in GRID if case.function == name]
    given = [case.tensors(dtype) for case in cases]

    @tf.function(jit_compile=jit, autograph=False)
    def run(given: Any) -> Any:
        function = getattr(ours, name)
        return [case.call(function, one) for case, one in zip(cases, given, strict=True)]

    for case, one, got in zip(cases, given, run(given), strict=True):
        same(got, case.call(native(name), one), case)
