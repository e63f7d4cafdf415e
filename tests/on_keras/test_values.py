"""The Keras drop-ins against Keras' own losses, where those are right, over their options."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
from keras_backend import BACKEND, dtype_of, grad, needs_gradients, numpy, tensor

import xentropy_keras

# Keras divides by 0 where everything is ignored, of which NumPy warns.
pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|divide by zero):RuntimeWarning")
RNG = np.random.default_rng(7)
SHAPES = [(3,), (4, 3), (4, 3, 5)]
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def batch(shape: tuple[int, ...], axis: int = -1) -> dict[str, np.ndarray]:
    """Logits, unnormalized probabilities, labels, one-hot and soft targets of a shape."""
    logits = RNG.normal(size=shape).astype("float32") * 2
    labels = RNG.integers(shape[axis], size=np.delete(shape, axis))
    hot = np.moveaxis(np.eye(shape[axis], dtype="float32")[labels], -1, axis)
    soft = softmax(RNG.normal(size=shape), axis).astype("float32")
    probs = RNG.uniform(0.05, 0.95, shape).astype("float32")
    return {"logits": logits, "probs": probs, "labels": labels, "hot": hot, "soft": soft}


def both(name: str) -> tuple[Any, Any]:
    """Keras' function or class of a name, and ours."""
    return getattr(keras.losses, name), getattr(xentropy_keras, name)


def assert_same(name: str, y_true: Any, y_pred: Any, **options: Any) -> None:
    """Values, dtypes, shapes and gradients of both functions are the same."""
    native, ours = both(name)
    true, pred = tensor(y_true), tensor(y_pred)
    wanted, got = native(true, pred, **options), ours(true, pred, **options)
    assert dtype_of(got) == dtype_of(wanted)
    assert tuple(got.shape) == tuple(wanted.shape)
    np.testing.assert_allclose(numpy(got), numpy(wanted), **CLOSE)
    if BACKEND != "numpy":
        slopes = [grad(lambda x, f=f: f(true, x, **options), pred) for f in (ours, native)]
        assert np.abs(numpy(slopes[1])).max() > 1e-3
        np.testing.assert_allclose(*map(numpy, slopes), **CLOSE)


def given(data: dict[str, np.ndarray], from_logits: bool) -> np.ndarray:
    return data["logits"] if from_logits else data["probs"]


ONE_HOT = ["categorical_crossentropy", "categorical_focal_crossentropy"]
# TensorFlow's gradient is softmax - targets: right where targets sum to 1.
PLACES = [((3,), -1), ((4, 3), -1), ((4, 3, 5), 1)]


@pytest.mark.parametrize(("shape", "axis"), PLACES)
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(("name", "kind"), list(zip(ONE_HOT, ["soft", "hot"], strict=True)))
def test_targets_of_the_predictions_shape(name, kind, from_logits, shape, axis) -> None:
    data = batch(shape, axis)
    assert_same(name, data[kind], given(data, from_logits), from_logits=from_logits, axis=axis)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
@pytest.mark.parametrize("name", ONE_HOT)
def test_smoothed_targets(name, smoothing, from_logits) -> None:
    data = batch((4, 3))
    options = {"from_logits": from_logits, "label_smoothing": smoothing}
    assert_same(name, data["hot"], given(data, from_logits), **options)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 0.0), (1.0, 0.7), ([0.1, 0.2, 0.7], 3.0)])
def test_alpha_and_gamma_of_classes(alpha, gamma, from_logits) -> None:
    data = batch((4, 3))
    options = {"alpha": alpha, "gamma": gamma, "from_logits": from_logits}
    assert_same("categorical_focal_crossentropy", data["soft"], given(data, from_logits), **options)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(
    ("shape", "ignore_class"),
    [((3,), None), ((3,), 1), ((4, 3), None), ((4, 3), -1), ((4, 3, 5), 1)],
)
def test_labels(ignore_class, from_logits, shape) -> None:
    data = batch(shape)
    labels = np.asarray(data["labels"])
    if ignore_class == -1 and labels.ndim:
        labels = np.where(labels == 2, -1, labels)
    if ignore_class == 1 and not labels.ndim:
        labels = np.asarray(0)
    options = {"from_logits": from_logits, "ignore_class": ignore_class}
    assert_same("sparse_categorical_crossentropy", labels, given(data, from_logits), **options)


@pytest.mark.parametrize(
    ("dtype", "column"),
    [("int32", True), ("int64", False), ("uint8", True), ("float32", True), ("bool", False)],
)
def test_labels_of_any_dtype_and_as_a_column(dtype, column) -> None:
    data = batch((6, 2))
    labels = np.asarray(data["labels"]).astype(dtype)
    labels = labels[:, None] if column else labels
    assert_same("sparse_categorical_crossentropy", labels, data["logits"], from_logits=True)


@pytest.mark.parametrize("axis", [0, 1, -2])
@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_along_any_axis_are_as_along_the_last(axis, from_logits) -> None:
    data = batch((4, 3, 5), axis)
    function = xentropy_keras.sparse_categorical_crossentropy
    pred = given(data, from_logits)
    got = function(tensor(data["labels"]), tensor(pred), from_logits=from_logits, axis=axis)
    last = np.ascontiguousarray(np.moveaxis(pred, axis, -1))
    native = keras.losses.sparse_categorical_crossentropy
    wanted = native(tensor(data["labels"]), tensor(last), from_logits=from_logits)
    np.testing.assert_allclose(numpy(got), numpy(wanted), **CLOSE)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(
    ("shape", "smoothing", "axis"), [((3,), 0.0, -1), ((4, 3), 0.2, 0), ((4, 3, 5), 0.2, -1)]
)
def test_binary(smoothing, axis, from_logits, shape) -> None:
    data = batch(shape)
    options = {"from_logits": from_logits, "label_smoothing": smoothing, "axis": axis}
    for kind in ("hot", "soft"):
        assert_same("binary_crossentropy", data[kind], given(data, from_logits), **options)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(
    ("kind", "gamma", "smoothing", "balanced"),
    [
        ("hot", 0.0, 0.0, True),
        ("hot", 0.5, 0.0, False),
        ("hot", 2.0, 0.1, True),
        ("soft", 2.0, 0.0, True),
        ("soft", 3.3, 0.3, False),
    ],
)
def test_binary_focal(kind, gamma, smoothing, balanced, from_logits) -> None:
    data = batch((4, 3))
    options = {"apply_class_balancing": balanced, "alpha": 0.3, "gamma": gamma}
    options |= {"label_smoothing": smoothing, "from_logits": from_logits}
    assert_same("binary_focal_crossentropy", data[kind], given(data, from_logits), **options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [0.1, 0.9])
def test_generalized(q, shape) -> None:
    data = batch(shape)
    assert_same("categorical_generalized_cross_entropy", data["labels"], data["probs"], q=q)


@pytest.mark.parametrize("shape", SHAPES)
def test_divergence(shape) -> None:
    data = batch(shape)
    assert_same("kl_divergence", data["soft"], data["probs"])
    assert_same("kl_divergence", data["hot"], data["probs"])
    assert_same("kl_divergence", data["soft"][..., :1], data["probs"])


@needs_gradients
@pytest.mark.parametrize("name", ["categorical_crossentropy", "binary_crossentropy"])
@pytest.mark.parametrize("from_logits", [True, False])
def test_gradients_by_the_targets(name, from_logits) -> None:
    data = batch((4, 3))
    pred = tensor(given(data, from_logits))
    functions = both(name)
    slopes = [grad(lambda t, f=f: f(t, pred, from_logits), data["soft"]) for f in functions]
    np.testing.assert_allclose(*map(numpy, slopes), **CLOSE)


FUNCTIONS = {
    "categorical_crossentropy": "hot",
    "sparse_categorical_crossentropy": "labels",
    "binary_crossentropy": "hot",
    "categorical_focal_crossentropy": "hot",
    "binary_focal_crossentropy": "hot",
    "categorical_generalized_cross_entropy": "labels",
    "kl_divergence": "soft",
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_dtype_is_that_of_the_predictions(name, dtype) -> None:
    if BACKEND in ("jax", "numpy") and dtype == "float64":
        pytest.skip("Keras reads float64 as float32 there")
    data = batch((4, 3))
    pred = keras.ops.cast(tensor(data["probs"]), dtype)
    options = {"q": 0.5} if "generalized" in name else {}
    native, ours = both(name)
    true = tensor(data[FUNCTIONS[name]])
    got = ours(true, pred, **options)
    assert dtype_of(got) == dtype
    exact = native(true, keras.ops.cast(pred, "float32"), **options)
    rtol = {"bfloat16": 8e-3, "float64": 1e-5}[dtype]
    np.testing.assert_allclose(numpy(got), numpy(exact), rtol=rtol)


CLASSES = {
    "CategoricalCrossentropy": "hot",
    "SparseCategoricalCrossentropy": "labels",
    "BinaryCrossentropy": "hot",
    "CategoricalFocalCrossentropy": "hot",
    "BinaryFocalCrossentropy": "hot",
    "CategoricalGeneralizedCrossEntropy": "labels",
    "KLDivergence": "soft",
}
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None]
WEIGHTS = {
    "none": None,
    "rows": np.array([0.5, 0.0, 2.0, 1.0], "float32"),
    "column": np.array([[0.5], [0.0], [2.0], [1.0]], "float32"),
    "number": 3.0,
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(
    ("name", "reduction"),
    [
        *((name, reduction) for name in CLASSES for reduction in ("mean", "none")),
        *(("CategoricalCrossentropy", reduction) for reduction in REDUCTIONS),
    ],
)
def test_classes_reduce_and_weight_as_keras_does(name, reduction, weights) -> None:
    data = batch((4, 3))
    native, ours = (cls(reduction=reduction) for cls in both(name))
    args = tensor(data[CLASSES[name]]), tensor(data["probs"]), WEIGHTS[weights]
    wanted, got = native(*args), ours(*args)
    assert dtype_of(got) == dtype_of(wanted)
    assert tuple(got.shape) == tuple(wanted.shape)
    np.testing.assert_allclose(numpy(got), numpy(wanted), **CLOSE)


@needs_gradients
@pytest.mark.parametrize("name", CLASSES)
def test_gradients_of_classes(name) -> None:
    data = batch((4, 3))
    true = tensor(data[CLASSES[name]])
    weights = WEIGHTS["rows"]
    slopes = [grad(lambda x, c=c: c()(true, x, weights), data["probs"]) for c in both(name)]
    assert numpy(slopes[1])[1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(*map(numpy, slopes), **CLOSE)


def masked(pred: Any, mask: np.ndarray) -> Any:
    """Predictions with a Keras mask, as a layer with one leaves them."""
    from keras.src.backend import set_keras_mask

    pred = keras.ops.copy(pred)
    set_keras_mask(pred, tensor(mask))
    return pred


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", ["none", "rows"])
@pytest.mark.parametrize("ignore_class", [None, 1])
def test_masks_of_the_predictions_and_of_ignored_classes_meet(ignore_class, weights, reduction):
    data = batch((4, 6, 3))
    mask = RNG.uniform(size=(4, 6)) > 0.3
    weight = None if weights == "none" else RNG.uniform(size=(4, 6)).astype("float32")
    native, ours = both("SparseCategoricalCrossentropy")
    pred, found = tensor(data["logits"]), []
    for cls in (native, ours):
        loss = cls(from_logits=True, ignore_class=ignore_class, reduction=reduction)
        found.append(numpy(loss(tensor(data["labels"]), masked(pred, mask), weight)))
    np.testing.assert_allclose(*found, **CLOSE)
    bare = ours(from_logits=True, reduction=reduction)(tensor(data["labels"]), pred, weight)
    assert not np.allclose(found[0], numpy(bare))


def test_a_batch_of_ignored_rows_is_0() -> None:
    loss = xentropy_keras.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
    assert float(loss(tensor([2, 2]), tensor(np.full((2, 3), np.nan, "float32")))) == 0


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_signatures_are_those_of_keras(name) -> None:
    def plain(function: Any) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]

    native, ours = both(name)
    assert plain(ours) == plain(native)


def test_classes_are_those_of_keras() -> None:
    for name in CLASSES:
        native, ours = both(name)
        assert isinstance(ours(), native)
        assert ours().name == native().name


@pytest.mark.parametrize("name", [*CLASSES])
def test_the_dtype_of_a_class_is_that_of_its_result(name) -> None:
    data = batch((4, 3))
    got = both(name)[1](dtype="bfloat16")(tensor(data[CLASSES[name]]), tensor(data["probs"]))
    exact = both(name)[0]()(tensor(data[CLASSES[name]]), tensor(data["probs"]))
    assert dtype_of(got) == "bfloat16"
    np.testing.assert_allclose(numpy(got), numpy(exact), rtol=4e-3)


def test_lists() -> None:
    hot, probs = [[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    for name, kind in CLASSES.items():
        native, ours = both(name)
        labels = kind == "labels"
        wanted = native()(*map(tensor, ([1, 2] if labels else hot, probs)))
        np.testing.assert_allclose(numpy(ours()([1, 2] if labels else hot, probs)), numpy(wanted))
