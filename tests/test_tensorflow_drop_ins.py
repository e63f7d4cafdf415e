"""TensorFlow's names from xentropy: TensorFlow's own functions give the same, or are wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import oracle
import pytest

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.backends("tensorflow")

from names_tensorflow import FUNCTIONS, native  # noqa: E402

import xentropy_tensorflow as ours  # noqa: E402

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
    if shape[axis] > 1:
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


#: Shapes of labels and logits, and the axis, where labels are broadcast.
BROADCAST = [
    ((3,), (2, 3), -1),
    ((1, 3), (2, 3), -1),
    ((1, 1, 3), (2, 2, 3), -1),
    ((4, 3), (2, 2, 3), -1),
    ((3, 1), (3, 2), 0),
    ((1, 3), (0, 3), -1),
]


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
    def case(*shape: int, **options: Any) -> Case:
        axis = options.get("axis")
        t = rows(*shape, axis=-1 if axis is None else axis)
        return Case(DENSE, {"labels": t, "logits": normal(*shape)}, options)

    return [
        case(2, 3),
        case(4),
        case(2, 3, 4),
        case(0, 3),
        *(case(2, 3, 4, axis=axis) for axis in (0, 1, 2, None, np.int32(1))),
        *(
            # TensorFlow has no gradient to labels that it has broadcast.
            Case(DENSE, {"logits": normal(*x)}, {"labels": rows(*t, axis=axis), "axis": axis})
            for t, x, axis in BROADCAST
        ),
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
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


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
        room = units * EPSILON[right.dtype.name] * max(1.0, finite.max(initial=0.0))
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


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("case", GRID, ids=str)
def test_eagerly_it_is_tensorflows(case: Case, dtype: str) -> None:
    tensors = case.tensors(dtype)
    theirs = case.call(native(case.function), tensors)
    same(case.call(getattr(ours, case.function), tensors), theirs, case)


@pytest.mark.parametrize(("dtype", "jit"), [("bfloat16", False), ("float32", True)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_it_is_tensorflows(name: str, dtype: str, jit: bool) -> None:
    """Many cases of a function in one graph: compiling is what takes the time."""
    cases = [case for case in GRID if case.function == name][:: 3 if jit else 1]
    given = [case.tensors(dtype) for case in cases]

    @tf.function(jit_compile=jit, autograph=False)
    def run(given: Any) -> Any:
        function = getattr(ours, name)
        return [case.call(function, one) for case, one in zip(cases, given, strict=True)]

    for case, one, got in zip(cases, given, run(given), strict=True):
        same(got, case.call(native(name), one), case)


# Where TensorFlow is wrong or has no answer: the definition.


@dataclass(frozen=True)
class Exact:
    """A call in float64 and its definition."""

    function: str
    tensors: Mapping[str, np.ndarray]
    definition: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)


def loss_of(axis: int) -> Callable[..., Any]:
    def definition(labels: np.ndarray, logits: np.ndarray) -> Any:
        """Rows of both, the classes last, broadcast as matrices."""
        t, x = (np.moveaxis(v, axis, -1) for v in (labels, logits))
        flat, wide = (v.reshape(int(np.prod(v.shape[:-1])), v.shape[-1]) for v in (t, x))
        classes = max(flat.shape[-1], wide.shape[-1])
        shape = (len(wide), classes)
        flat, wide = np.broadcast_to(flat, shape), np.broadcast_to(wide, shape)
        return oracle.cross_entropy(wide, flat, reduction="none").reshape(x.shape[:-1])

    return definition


def pair_of(labels: np.ndarray, logits: np.ndarray, pos_weight: Any = 1.0) -> Any:
    return oracle.binary_cross_entropy(logits, labels, pos_weight=pos_weight, reduction="none")


def soft(labels: tuple[int, ...], logits: tuple[int, ...], axis: int = -1) -> Exact:
    tensors = {"labels": share(*labels), "logits": normal(*logits)}
    return Exact(DENSE, tensors, loss_of(axis), {"axis": axis})


WRONG = [
    soft((3, 4), (3, 4)),
    soft((3, 4), (3, 4), -2),
    soft((2, 3, 4), (2, 3, 4), -3),
    soft((2, 1), (2, 3)),
    soft((2, 3), (2, 1)),
    soft((1, 1), (2, 3)),
    *(soft(*shapes) for shapes in BROADCAST if 0 not in shapes[1]),
    Exact(SIGMOID, {"labels": 4 * share(5) - 2, "logits": normal(5)}, pair_of),
    Exact(
        WEIGHTED,
        {"labels": share(2, 3), "logits": normal(2, 3), "pos_weight": share(4, 1, 3)},
        pair_of,
    ),
]


@pytest.mark.parametrize("exact", WRONG, ids=lambda e: f"{e.function}{e.options}")
@pytest.mark.parametrize("unknown", [False, True], ids=["eager", "unknown lengths"])
def test_the_definition(exact: Exact, unknown: bool) -> None:
    """Values and gradients to all tensors, in a graph too that knows ranks alone."""

    def run(tensors: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = getattr(ours, exact.function)(**tensors, **exact.options)
        return value, tape.gradient(value, tensors)

    given = {name: tf.constant(v) for name, v in exact.tensors.items()}
    if unknown:
        specs = {n: tf.TensorSpec([None] * v.ndim, tf.float64) for n, v in exact.tensors.items()}
        run = tf.function(run, input_signature=[specs], autograph=False)
    value, gradients = run(given)
    np.testing.assert_allclose(value, exact.definition(**exact.tensors), rtol=1e-12)
    for name, tensor in exact.tensors.items():

        def moved(x: np.ndarray, name: str = name) -> Any:
            return exact.definition(**{**exact.tensors, name: x})

        wanted = oracle.gradient(moved, tensor)
        assert gradients[name].shape == tensor.shape
        np.testing.assert_allclose(gradients[name], wanted, rtol=1e-8, atol=1e-9, err_msg=name)


def test_second_derivatives() -> None:
    """By the logits w (diag p - p p'), by labels and logits p 1' - I, by labels 0."""
    t, x = tf.constant([[0.2, 0.3, 0.1]], tf.float64), tf.constant([[1.0, -2.0, 0.5]], tf.float64)
    v = tf.constant([[0.5, 3.0, -1.0]], tf.float64)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch([t, x])
        with tf.GradientTape() as inner:
            inner.watch([t, x])
            loss = ours.softmax_cross_entropy_with_logits(t, x)
        by_t, by_x = (tf.reduce_sum(v * g) for g in inner.gradient(loss, [t, x]))
    p = np.exp(x.numpy()[0]) / np.exp(x.numpy()[0]).sum()
    d = v.numpy()[0]
    hessian = 0.6 * (np.diag(p) - np.outer(p, p))
    np.testing.assert_allclose(outer.gradient(by_x, x)[0], hessian @ d, rtol=1e-12)
    np.testing.assert_allclose(outer.gradient(by_x, t)[0], (p @ d) - d, rtol=1e-12)
    np.testing.assert_allclose(outer.gradient(by_t, x)[0], d.sum() * p - d, rtol=1e-12)
    assert not np.any(outer.gradient(by_t, t, unconnected_gradients="zero"))


# What the ways of TensorFlow make of them.


def calls(module: Any) -> dict[str, Callable[[Any], Any]]:
    """Every function of a tensor of logits of shape (n, 3)."""
    t, labels = tf.constant(rows(1, 3)), tf.constant([2], tf.int32)

    def by_labels(x: Any) -> Any:
        return getattr(module, SPARSE)(tf.repeat(labels, tf.shape(x)[0]), x)

    return {
        "softmax": module.softmax,
        "log_softmax": module.log_softmax,
        SUM: lambda x: module.reduce_logsumexp(x, axis=1),
        DENSE: lambda x: getattr(module, DENSE)(t * tf.ones_like(x), x),
        SPARSE: by_labels,
        SIGMOID: lambda x: getattr(module, SIGMOID)(t * tf.ones_like(x), x),
        WEIGHTED: lambda x: getattr(module, WEIGHTED)(t * tf.ones_like(x), x, 2.0),
    }


OURS = calls(ours)
X = tf.constant(normal(4, 3))
DIRECTION = tf.constant(normal(4, 3))


def slope(function: Callable[[Any], Any], x: Any, direction: Any) -> np.ndarray:
    """The derivative in a direction by a central difference."""
    step = 1e-4
    ends = [np.asarray(function(x + s * step * direction)) for s in (2, 1, -1, -2)]
    return (8 * (ends[1] - ends[2]) - (ends[0] - ends[3])) / (12 * step)


def gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def made(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(tf.square(function(x)))
        return tape.gradient(value, x)

    return made


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_mode_and_second_order(name: str, traced: bool) -> None:
    """Forward accumulation of the value and of the gradient: forward over reverse."""

    def pushed(x: Any, direction: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(x, direction) as forward:
            both = OURS[name](x), gradient(OURS[name])(x)
        return [forward.jvp(one) for one in both]

    run = tf.function(pushed, autograph=False) if traced else pushed
    value, grad = run(X, DIRECTION)
    np.testing.assert_allclose(value, slope(OURS[name], X, DIRECTION), rtol=1e-7, atol=1e-8)
    wanted = slope(gradient(OURS[name]), X, DIRECTION)
    np.testing.assert_allclose(grad, wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vectorized_map(name: str) -> None:
    """Over values and gradients, each equal to its own call."""
    batch = tf.stack([X, X + DIRECTION])

    def both(x: Any) -> Any:
        return OURS[name](x), gradient(OURS[name])(x)

    for got, wanted in zip(
        tf.vectorized_map(both, batch), zip(*map(both, batch), strict=True), strict=True
    ):
        np.testing.assert_allclose(got, np.stack(wanted), rtol=1e-12, atol=1e-15)


def test_a_saved_model_with_autograph_and_any_batch(tmp_path: Any) -> None:
    """A module with a variable, traced as users do, AutoGraph on, saved, loaded, differentiated."""

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(np.eye(3))

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float64)])
        def losses(self, x: Any) -> Any:
            return [function(x @ self.weight) for function in OURS.values()]

    model = Model()
    tf.saved_model.save(model, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for x in (X, X[:1], X[:0]):
        with tf.GradientTape() as tape:
            got = loaded.losses(x)
            total = tf.add_n([tf.reduce_sum(one) for one in got])
        for one, function in zip(got, OURS.values(), strict=True):
            np.testing.assert_allclose(one, function(x), rtol=1e-12)
        assert np.isfinite(tape.gradient(total, loaded.weight)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_graph_has_tensorflows_names_and_shapes(name: str) -> None:
    """The operation is called as its twin's, and has the same static shape."""

    def graph(module: Any, lengths: list[int | None]) -> Any:
        function = calls(module)[name]
        spec = tf.TensorSpec(lengths, tf.float64)
        return tf.function(function, autograph=False).get_concrete_function(spec)

    def last(traced: Any) -> tuple[str, Any]:
        """The operation that the graph returns: behind the copy that tf.function makes."""
        output = traced.graph.outputs[0]
        return output.op.inputs[0].op.name, output.shape

    class Native:
        """TensorFlow's own."""

    for function in FUNCTIONS:
        setattr(Native, function, staticmethod(native(function)))
    for lengths in ([4, 3], [None, 3], [None, None]):
        scope, shape = last(graph(ours, lengths))
        theirs, wanted = last(graph(Native, lengths))
        assert scope.split("/")[0] == theirs.split("/")[0]
        assert shape.as_list() == wanted.as_list()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_name_is_the_operations(name: str) -> None:
    case = next(case for case in GRID if case.function == name)

    @tf.function(autograph=False)
    def run() -> Any:
        value = getattr(ours, name)(**case.tensors("float16"), **case.options, name="mine")
        assert value.op.name == "mine"
        return value

    run()


def test_whatever_becomes_a_tensor() -> None:
    """Lists, NumPy arrays and variables, the gradient to the variable included."""
    given: list[Any] = [[[1.0, 2.0]], np.array([[1.0, 2.0]], np.float32)]
    for logits in given:
        got = ours.softmax_cross_entropy_with_logits([[True, False]], logits)
        np.testing.assert_allclose(got, [1.3132617], rtol=1e-6)
        got = ours.sparse_softmax_cross_entropy_with_logits([0], logits)
        np.testing.assert_allclose(got, [1.3132617], rtol=1e-6)
    variable = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        loss = ours.sparse_softmax_cross_entropy_with_logits([0], variable)
    np.testing.assert_allclose(tape.gradient(loss, variable), [[-0.7310586, 0.7310586]], rtol=1e-6)


def test_a_number_keeps_its_digits_beside_float64_logits() -> None:
    labels, logits = np.array([1.0]), np.array([0.0])
    got = ours.weighted_cross_entropy_with_logits(labels, logits, 0.1)
    np.testing.assert_allclose(got, [0.1 * np.log(2.0)], rtol=1e-15)


# Errors.

ROW = [[1.0, 2.0, 3.0]]
ERRORS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *(
        (name, args, options)
        for name in ("softmax", "log_softmax")
        for args, options in [
            (([1, 2],), {}),
            ((1.0,), {}),
            ((ROW,), {"axis": 2}),
            ((ROW,), {"axis": -3}),
            ((ROW,), {"axis": (0,)}),
            ((None,), {}),
            ((["a"],), {}),
            (([1j],), {}),
            ((tf.sparse.from_dense(ROW),), {}),
            ((), {}),
            ((ROW,), {"dim": 0}),
        ]
    ),
    (SUM, ([1, 2],), {}),
    (SUM, (ROW,), {"axis": [1, 1]}),
    (SUM, (ROW,), {"axis": [1, -1]}),
    (SUM, (ROW,), {"axis": 2}),
    (SUM, (2.0,), {"axis": 0}),
    (SUM, (ROW,), {"axis": 1.0}),
    (SUM, (ROW,), {"axis": "a"}),
    (SUM, (None,), {}),
    (SUM, (tf.sparse.from_dense(ROW),), {}),
    (DENSE, ([[0.5, 0.5]], ROW), {}),
    (DENSE, ([*ROW, *ROW], ROW), {}),
    (DENSE, (ROW, [*ROW] * 4), {"axis": 2}),
    (DENSE, (ROW[0], ROW), {"axis": 0}),
    (DENSE, (1.0, ROW), {}),
    (DENSE, (1.0, 1.0), {}),
    (DENSE, (ROW, [[1, 2, 3]]), {}),
    (DENSE, ([["a", "b", "c"]], ROW), {}),
    (DENSE, (None, ROW), {}),
    (DENSE, (tf.ragged.constant(ROW), ROW), {}),
    (SPARSE, ([3], ROW), {}),
    (SPARSE, ([-1], ROW), {}),
    (SPARSE, ([0, 1], ROW), {}),
    (SPARSE, ([[0]], ROW), {}),
    (SPARSE, ([[1, 0, 0]], ROW), {}),
    (SPARSE, ([1.0], ROW), {}),
    (SPARSE, ([True], ROW), {}),
    (SPARSE, ([0], [[1, 2, 3]]), {}),
    (SPARSE, (0, 1.0), {}),
    (SPARSE, (None, ROW), {}),
    (SPARSE, ([0], None), {}),
    (SPARSE, (np.zeros(2, np.int32), np.zeros((2, 0))), {}),
    (SIGMOID, (), {}),
    (SIGMOID, (ROW,), {}),
    (SIGMOID, ([1.0], ROW), {}),
    (SIGMOID, ([[1.0]], ROW), {}),
    (SIGMOID, ([1, 0], [1, 2]), {}),
    (SIGMOID, ([2], [1.0]), {}),
    (WEIGHTED, ([1.0], [1.0, 2.0], 2.0), {}),
    (WEIGHTED, ([1.0], [1.0, 2.0], tf.ones((3, 2))), {}),
    (WEIGHTED, ([1.0], [1.0], None), {}),
    (WEIGHTED, ([1.0], [1.0], "a"), {}),
    (WEIGHTED, ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], tf.ones(2)), {}),
    (WEIGHTED, (None, [1.0], 2.0), {}),
    (WEIGHTED, ([1.0], [1.0]), {}),
]


def raised(function: Callable[..., Any], args: Any, options: Any) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever TensorFlow raises
        function(*args, **options)
    return caught.value


@pytest.mark.parametrize(("name", "args", "options"), ERRORS)
def test_an_error_is_tensorflows(name: str, args: Any, options: Any) -> None:
    """Its class and its message, with the drop-in's own as the cause."""
    theirs, got = (raised(f, args, options) for f in (native(name), getattr(ours, name)))
    assert type(got) is type(theirs)
    # Python itself says what argument a function lacks: TensorFlow's are called softmax_v2.
    if "required positional argument" not in str(theirs):
        assert str(got) == str(theirs)


def test_the_cause_of_an_error_is_the_drop_ins() -> None:
    error = raised(ours.sparse_softmax_cross_entropy_with_logits, ([7], ROW), {})
    assert isinstance(error, tf.errors.InvalidArgumentError)
    assert isinstance(error.__cause__, IndexError)
    assert "7" in str(error.__cause__)


def test_while_tracing_the_error_is_the_drop_ins() -> None:
    """A graph does not get operations of TensorFlow's twin."""

    @tf.function(autograph=False)
    def run(x: Any) -> Any:
        return ours.softmax(x, axis=2)

    with pytest.raises(ValueError, match="axis must be an axis of x of shape"):
        run(tf.constant(ROW))


@pytest.mark.parametrize("jit", [False, True])
def test_a_traced_label_out_of_range_is_nan(jit: bool) -> None:
    @tf.function(jit_compile=jit, autograph=False)
    def run(labels: Any, x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ours.sparse_softmax_cross_entropy_with_logits(labels, x)
        return loss, tape.gradient(loss, x)

    for label in (-1, 3):
        loss, grad = run(tf.constant([label, 0]), tf.constant(ROW * 2))
        assert np.isnan(loss).tolist() == [True, False]
        assert np.isnan(grad).all(axis=1).tolist() == [True, False]


def test_an_axis_that_only_the_run_knows_is_refused() -> None:
    run = tf.function(ours.reduce_logsumexp, autograph=False)
    with pytest.raises(ValueError, match="axis must be known while tracing"):
        run(tf.constant(ROW), tf.constant(1))
    run = tf.function(lambda x: ours.softmax(x, tf.constant(0)), autograph=False)
    np.testing.assert_allclose(run(tf.constant(ROW)), [[1.0, 1.0, 1.0]])
