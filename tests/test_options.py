"""Every option and their combinations, against the definitions in float64, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from harness import Framework

import xentropy as xe

N, K = 5, 4
RNG = np.random.default_rng(2024)
X = RNG.standard_normal((N, K)) * 2
LABELS = np.array([1, 0, 3, 2, 1])
SOFT = RNG.random((N, K)) * 1.5
SOFT[3] = 0.0
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0])
SAMPLE_WEIGHTS = np.array([1.0, 0.25, 2.0, 0.0, 3.0])
WHERE = np.array([True, True, True, False])
FULL_WHERE = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 0, 0]], bool)

ARRAYS: dict[str, np.ndarray] = {
    "class_weights": CLASS_WEIGHTS,
    "sample_weights": SAMPLE_WEIGHTS,
    "where": WHERE,
}
# Options of cross_entropy; True stands for the array of that name.
OPTIONS: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"normalizer": "batch"},
    {"normalizer": "valid", "sample_weights": True},
    {"normalizer": 3.5, "class_weights": True},
    {"class_weights": True},
    {"class_weights": True, "reduction": "none"},
    {"sample_weights": True},
    {"class_weights": True, "sample_weights": True},
    {"label_smoothing": 0.1},
    {"label_smoothing": 1.0, "reduction": "sum"},
    {"label_smoothing": 0.3, "class_weights": True, "sample_weights": True},
    {"temperature": 0.7},
    {"softcap": 1.5},
    {"z_loss": 0.01},
    {"z_loss": 0.1, "sample_weights": True, "class_weights": True, "normalizer": "batch"},
    {"temperature": 2.0, "softcap": 3.0, "z_loss": 0.02, "label_smoothing": 0.2},
    {"where": FULL_WHERE, "label_smoothing": 0.2, "labels": [1, 0, 3, 2, 1]},
    {"where": True, "label_smoothing": 0.25, "class_weights": True, "labels": [1, 0, 2, 2, 1]},
]
HARD_OPTIONS: list[dict[str, Any]] = [
    {"ignore_index": 1},
    {"ignore_index": -100, "labels": [1, -100, 3, -100, 0], "normalizer": "valid"},
    {"ignore_index": 0, "class_weights": True, "label_smoothing": 0.1, "sample_weights": True},
    {"ignore_index": 255, "labels": [255, 0, 3, 2, 1], "z_loss": 0.1, "reduction": "sum"},
    {"ignore_index": 2, "normalizer": "batch", "reduction": "mean"},
]


def show(options: dict[str, Any]) -> str:
    parts = [
        k if isinstance(v, bool | np.ndarray | list) else f"{k}={v}" for k, v in options.items()
    ]
    return ",".join(parts) or "plain"


def filled(options: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    labels = np.array(options.get("labels", LABELS))
    rest = {
        name: ARRAYS[name] if value is True else value
        for name, value in options.items()
        if name != "labels"
    }
    return rest, labels


def as_arrays(framework: Framework, options: dict[str, Any], dtype: str) -> dict[str, Any]:
    return {
        name: framework.array(value, "bool" if value.dtype == bool else dtype)
        if isinstance(value, np.ndarray)
        else value
        for name, value in options.items()
    }


def close(got: np.ndarray, wanted: Any, dtype: str) -> None:
    tolerance = 3e-6 if dtype == "float32" else 2e-9
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def soft_targets(options: dict[str, Any]) -> np.ndarray:
    """No weight on a masked class, where the loss is infinite: the policy's tests have that."""
    where = options.get("where")
    return SOFT if where is None else np.where(oracle.spread(where, X.shape, -1), SOFT, 0.0)


def check(
    framework: Framework, mode: str, targets: np.ndarray, options: dict[str, Any], dtype: str
) -> None:
    hard = targets.ndim == 1
    value, grads = framework.value_and_grads(
        xe.cross_entropy,
        framework.array(X, dtype),
        framework.array(targets, "int64" if hard else dtype),
        mode=mode,
        wrt=(0,) if hard else (0, 1),
        **as_arrays(framework, options, dtype),
    )
    close(framework.numpy(value), oracle.cross_entropy(X, targets, **options), dtype)
    wanted = oracle.gradient(lambda x: oracle.cross_entropy(x, targets, **options), X)
    close(framework.numpy(grads[0]), wanted, dtype)
    if not hard:
        wanted = oracle.gradient(lambda t: oracle.cross_entropy(X, t, **options), targets)
        where = options.get("where")
        if where is not None:
            # More weight on a masked class is an infinite loss: its gradient is no difference.
            inside = oracle.spread(where, X.shape, -1)
            wanted, got = wanted[inside], framework.numpy(grads[1])[inside]
            return close(got, wanted, dtype)
        close(framework.numpy(grads[1]), wanted, dtype)
    return None


@pytest.mark.parametrize("options", OPTIONS + HARD_OPTIONS, ids=show)
def test_labels(framework: Framework, mode: str, options: dict[str, Any]) -> None:
    rest, labels = filled(options)
    check(framework, mode, labels, rest, "float32")


@pytest.mark.parametrize("options", OPTIONS, ids=show)
def test_probabilities(framework: Framework, options: dict[str, Any]) -> None:
    rest, _ = filled(options)
    check(framework, "eager", soft_targets(rest), rest, "float64")


@pytest.mark.parametrize("options", [o for o in OPTIONS if "where" not in o], ids=show)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_weight_gradients(framework: Framework, options: dict[str, Any], kind: str) -> None:
    rest, labels = filled(options)
    targets = labels if kind == "hard" else SOFT
    for name in ("class_weights", "sample_weights"):
        given = {**rest, name: ARRAYS[name] + 0.5}

        def exact(weights: np.ndarray, name: str = name, given: Any = given) -> Any:
            return oracle.cross_entropy(X, targets, **{**given, name: weights})

        got = weight_gradient(framework, name, given, targets)
        close(got, oracle.gradient(exact, given[name]), "float64")


def weight_gradient(
    framework: Framework, name: str, options: dict[str, Any], targets: np.ndarray
) -> np.ndarray:
    x = framework.array(X, "float64")
    t = framework.array(targets, "int64" if targets.ndim == 1 else "float64")
    arrays = as_arrays(framework, options, "float64")
    if framework.autograd:
        fixed = {k: v for k, v in arrays.items() if k != name}

        def by_weights(weights: Any) -> Any:
            return xe.cross_entropy(x, t, **{**fixed, name: weights})

        _, (grad,) = framework.value_and_grads(by_weights, arrays[name])
    else:
        _, grad = xe.value_and_grad(xe.cross_entropy, wrt=name)(x, t, **arrays)
    return framework.numpy(grad)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_axes(framework: Framework, mode: str, axis: int, kind: str) -> None:
    rng = np.random.default_rng(axis + 5)
    x = rng.standard_normal((2, 3, 4))
    shape = tuple(np.delete(x.shape, axis))
    classes = x.shape[axis]
    targets = rng.integers(0, classes, shape) if kind == "hard" else rng.random(x.shape)
    options: dict[str, Any] = {
        "axis": axis,
        "class_weights": rng.random(classes) + 0.5,
        "sample_weights": rng.random(shape),
        "label_smoothing": 0.1,
    }
    value, grad = framework.value_and_grad(
        xe.cross_entropy,
        framework.array(x, "float64"),
        framework.array(targets, "int64" if kind == "hard" else "float64"),
        mode=mode,
        **as_arrays(framework, options, "float64"),
    )
    close(value, oracle.cross_entropy(x, targets, **options), "float64")
    wanted = oracle.gradient(lambda x: oracle.cross_entropy(x, targets, **options), x)
    close(grad, wanted, "float64")


@pytest.mark.parametrize("shape", [(K,), (1, K), (2, 3, K), (2, 1, 3, K), (0, K), (3, 1)])
def test_any_leading_dimensions(framework: Framework, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape)
    labels = rng.integers(0, shape[-1], shape[:-1])
    got = xe.cross_entropy(
        framework.array(x, "float64"), framework.array(labels, "int64"), reduction="none"
    )
    close(framework.numpy(got), oracle.cross_entropy(x, labels, reduction="none"), "float64")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_weights": True, "reduction": "none"},
        {"sample_weights": True, "label_smoothing": 0.1},
        {"normalizer": "batch", "class_weights": True},
    ],
    ids=show,
)
@pytest.mark.parametrize("source", ["probabilities", "log_probabilities"])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_probabilities_in(
    framework: Framework, options: dict[str, Any], source: str, kind: str
) -> None:
    rest, labels = filled(options)
    targets = labels if kind == "hard" else SOFT
    x = np.random.default_rng(8).random((N, K)) * 0.9 + 0.05
    x = x if source == "probabilities" else np.log(x)
    loss, more = (
        (xe.cross_entropy, {"from_logits": False})
        if source == "probabilities"
        else (xe.nll_loss, {})
    )
    value, grad = framework.value_and_grad(
        loss,
        framework.array(x, "float64"),
        framework.array(targets, "int64" if kind == "hard" else "float64"),
        **more,
        **as_arrays(framework, rest, "float64"),
    )

    def exact(x: np.ndarray) -> Any:
        return oracle.cross_entropy(x, targets, source=source, **rest)

    close(value, exact(x), "float64")
    close(grad, oracle.gradient(exact, x), "float64")


BINARY: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none", "pos_weight": np.array(2.5)},
    {"pos_weight": np.array([0.5, 2.0, 1.0, 4.0])},
    {"sample_weights": np.abs(SOFT), "normalizer": "valid"},
    {"label_smoothing": 0.2, "pos_weight": np.array(3.0), "normalizer": "batch"},
    {"from_logits": False},
    {"from_logits": False, "pos_weight": np.array(2.0), "sample_weights": SOFT + 0.1},
    {"normalizer": 7.0},
]


@pytest.mark.parametrize("options", BINARY, ids=show)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_binary(framework: Framework, mode: str, options: dict[str, Any], kind: str) -> None:
    rng = np.random.default_rng(11)
    x = X if options.get("from_logits", True) else rng.random(X.shape) * 0.9 + 0.05
    targets = rng.integers(0, 2, X.shape) if kind == "hard" else rng.random(X.shape)
    value, grads = framework.value_and_grads(
        xe.binary_cross_entropy,
        framework.array(x, "float64"),
        framework.array(targets, "int64" if kind == "hard" else "float64"),
        mode=mode,
        wrt=(0,) if kind == "hard" else (0, 1),
        **as_arrays(framework, options, "float64"),
    )

    def exact(x: np.ndarray, t: np.ndarray) -> Any:
        return oracle.binary_cross_entropy(x, t, **options)

    close(framework.numpy(value), exact(x, targets), "float64")
    close(framework.numpy(grads[0]), oracle.gradient(lambda x: exact(x, targets), x), "float64")
    if kind == "soft":
        wanted = oracle.gradient(lambda t: exact(x, t), targets)
        close(framework.numpy(grads[1]), wanted, "float64")


@pytest.mark.parametrize("name", ["pos_weight", "sample_weights"])
def test_binary_weight_gradients(framework: Framework, name: str) -> None:
    rng = np.random.default_rng(12)
    targets = rng.random(X.shape)
    options = {"pos_weight": rng.random(K) + 0.5, "sample_weights": rng.random(X.shape) + 0.1}
    arrays = as_arrays(framework, options, "float64")
    x, t = framework.array(X, "float64"), framework.array(targets, "float64")
    if framework.autograd:

        def by_weights(weights: Any) -> Any:
            return xe.binary_cross_entropy(x, t, **{**arrays, name: weights})

        _, (grad,) = framework.value_and_grads(by_weights, arrays[name])
    else:
        _, grad = xe.value_and_grad(xe.binary_cross_entropy, wrt=name)(x, t, **arrays)
    wanted = oracle.gradient(
        lambda w: oracle.binary_cross_entropy(X, targets, **{**options, name: w}), options[name]
    )
    close(framework.numpy(grad), wanted, "float64")


@pytest.mark.parametrize("loss", ["hard", "soft"])
def test_the_gradient_by_a_normalizer(framework: Framework, loss: str) -> None:
    targets = LABELS if loss == "hard" else SOFT
    x = framework.array(X, "float64")
    t = framework.array(targets, "int64" if loss == "hard" else "float64")
    count = framework.array(3.0, "float64")
    if framework.autograd:
        _, (grad,) = framework.value_and_grads(
            lambda n: xe.cross_entropy(x, t, normalizer=n), count
        )
    else:
        _, grad = xe.value_and_grad(xe.cross_entropy, wrt="normalizer")(x, t, normalizer=count)
    wanted = oracle.gradient(
        lambda n: oracle.cross_entropy(X, targets, normalizer=n), np.array(3.0)
    )
    close(framework.numpy(grad), wanted, "float64")


DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_integer_labels(framework: Framework, dtype: str) -> None:
    got = framework.call(
        xe.cross_entropy, framework.array(X, "float64"), framework.array(LABELS, dtype)
    )
    close(framework.numpy(got), oracle.cross_entropy(X, LABELS), "float64")


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32", "uint8"])
def test_a_one_hot_of_any_dtype(framework: Framework, dtype: str) -> None:
    hot = framework.array(np.eye(K)[LABELS], dtype)
    got = framework.call(xe.cross_entropy, framework.array(X, "float64"), hot)
    close(framework.numpy(got), oracle.cross_entropy(X, LABELS), "float64")


def test_lists_and_numbers_beside_an_array(framework: Framework) -> None:
    x = framework.array(X, "float64")
    got = xe.cross_entropy(
        x,
        LABELS.tolist(),
        class_weights=CLASS_WEIGHTS.tolist(),
        sample_weights=SAMPLE_WEIGHTS.tolist(),
        normalizer=2,
    )
    wanted = oracle.cross_entropy(
        X, LABELS, class_weights=CLASS_WEIGHTS, sample_weights=SAMPLE_WEIGHTS, normalizer=2
    )
    close(framework.numpy(got), wanted, "float64")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weights", [None, CLASS_WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_hard_is_one_hot_is_smoothed_by_hand(
    framework: Framework, reduction: str, weights: Any, smoothing: float
) -> None:
    one_hot = np.eye(K)[LABELS]
    by_hand = (1 - smoothing) * one_hot + smoothing / K
    given = {} if weights is None else {"class_weights": framework.array(weights, "float64")}
    x = framework.array(X, "float64")
    results = [
        framework.value_and_grad(
            xe.cross_entropy, x, target, reduction=reduction, label_smoothing=e, **given
        )
        for target, e in (
            (framework.array(LABELS, "int64"), smoothing),
            (framework.array(one_hot, "float64"), smoothing),
            (framework.array(by_hand, "float64"), 0.0),
        )
    ]
    for value, grad in results[1:]:
        np.testing.assert_allclose(value, results[0][0], rtol=1e-15)
        np.testing.assert_allclose(grad, results[0][1], rtol=1e-14, atol=1e-17)
