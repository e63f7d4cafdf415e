"""Bad input: an error that names the parameter, the rule and the value, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import FRAMEWORKS, Framework

import xentropy as xe

X = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"label_smoothing": -0.1}, r"label_smoothing must be a number in \[0, 1\], got -0.1"),
    ({"label_smoothing": 1.5}, r"label_smoothing .*got 1.5"),
    ({"label_smoothing": float("nan")}, "label_smoothing .*got nan"),
    ({"label_smoothing": "much"}, "label_smoothing .*got 'much'"),
    ({"temperature": 0.0}, "temperature must be a finite number above 0, got 0.0"),
    ({"temperature": -1.0}, "temperature .*got -1.0"),
    ({"temperature": float("inf")}, "temperature .*got inf"),
    ({"temperature": True}, "temperature .*got True"),
    ({"softcap": 0}, "softcap must be a finite number above 0, got 0"),
    ({"z_loss": -1.0}, "z_loss must be a finite number of at least 0, got -1.0"),
    ({"reduction": "average"}, "reduction must be one of 'mean', 'sum', 'none', got 'average'"),
    ({"reduction": None}, "reduction .*got None"),
    ({"normalizer": "tokens"}, "normalizer must be one of 'weights', 'valid', 'batch', got 'tok"),
    ({"normalizer": -3}, "normalizer must be a finite number of at least 0, got -3"),
    ({"normalizer": [1.0, 2.0]}, r"normalizer has shape \(2,\).* single number"),
    ({"normalizer": 2, "reduction": "sum"}, "normalizer must be left out unless reduction is"),
    ({"normalizer": "batch", "reduction": "none"}, "normalizer must be left out unless"),
    ({"axis": 2}, r"axis must be an axis of logits of shape \(2, 3\), got 2"),
    ({"axis": -3}, "axis .*got -3"),
    ({"axis": 1.5}, "axis must be an integer, got 1.5"),
    ({"ignore_index": 0.5}, "ignore_index must be an integer or None, got 0.5"),
    ({"from_logits": False, "temperature": 2.0}, "temperature must be 1.0 where from_logits is"),
    ({"from_logits": False, "softcap": 2.0}, "softcap must be None where from_logits is False"),
    ({"from_logits": False, "z_loss": 0.1}, "z_loss must be 0.0 where from_logits is False"),
]


def name(case: Any) -> str | None:
    return ",".join(map(str, case)) if isinstance(case, dict) else None


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=name)
def test_options(framework: Framework, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        xe.cross_entropy(framework.array(X), framework.array([0, 1], "int64"), **options)


SHAPES: list[tuple[str, Any, str, str]] = [
    ("targets", [0, 1, 2], "int64", r"targets has shape \(3,\).*logits of shape \(2, 3\)"),
    ("targets", [[0], [1]], "int64", r"targets has shape \(2, 1\).*\(2, 3\)"),
    ("targets", [[1.0, 0.0]], "float32", r"targets has shape \(1, 2\).*\(2, 3\)"),
    ("targets", [[1.0, 0.0, 0.0]], "float32", r"targets has shape \(1, 3\).*\(2, 3\)"),
    ("class_weights", [1.0, 2.0], "float32", r"class_weights has shape \(2,\).*\(2, 3\)"),
    ("class_weights", [[1.0, 2.0, 3.0]], "float32", r"class_weights has shape \(1, 3\)"),
    ("sample_weights", [1.0], "float32", r"sample_weights has shape \(1,\).*\(2, 3\)"),
    ("sample_weights", [[1.0], [2.0]], "float32", r"sample_weights has shape \(2, 1\)"),
    ("where", [True, False], "bool", r"where has shape \(2,\).*\(2, 3\)"),
    ("where", [[True, False]], "bool", r"where has shape \(1, 2\).*\(2, 3\)"),
]


@pytest.mark.parametrize(("parameter", "values", "dtype", "message"), SHAPES)
def test_shapes(
    framework: Framework, parameter: str, values: Any, dtype: str, message: str
) -> None:
    array = framework.array(values, dtype)
    options = {"targets": framework.array([0, 1], "int64"), parameter: array}
    with pytest.raises(ValueError, match=message):
        xe.cross_entropy(framework.array(X), **options)


DTYPES: list[tuple[str, Any, str, str]] = [
    ("logits", [[1, 2, 3]] * 2, "int32", "logits must be real floating, got dtype .*int32"),
    ("logits", [[1, 2, 3]] * 2, "complex64", "logits must be real floating, got dtype .*complex"),
    ("logits", [[True] * 3] * 2, "bool", "logits must be real floating, got dtype .*bool"),
    ("targets", [0.0, 1.0], "float32", r"targets must be integer labels.*\(2, 3\).*float32"),
    ("targets", [True, False], "bool", "targets must be integer labels, .*bool"),
    ("targets", [[1, 0, 0]] * 2, "complex64", "targets must be real, got dtype .*complex64"),
    ("where", [1, 1, 0], "int32", "where must be boolean, got dtype .*int32"),
    ("class_weights", [1, 1, 0], "complex64", "class_weights must be real, .*complex64"),
]


@pytest.mark.parametrize(("parameter", "values", "dtype", "message"), DTYPES)
def test_dtypes(
    framework: Framework, parameter: str, values: Any, dtype: str, message: str
) -> None:
    options = {"logits": framework.array(X), "targets": framework.array([0, 1], "int64")}
    options[parameter] = framework.array(values, dtype)
    with pytest.raises(TypeError, match=message):
        xe.cross_entropy(**options)


def test_probabilities_cannot_be_ignored_by_label(framework: Framework) -> None:
    one_hot = framework.array(np.eye(3)[:2])
    with pytest.raises(ValueError, match="ignore_index must be None where targets are prob"):
        xe.cross_entropy(framework.array(X), one_hot, ignore_index=0)


def test_no_classes(framework: Framework) -> None:
    x, labels = framework.array(np.zeros((2, 0))), framework.array([0, 0], "int64")
    with pytest.raises(ValueError, match=r"logits has shape \(2, 0\).*at least one class"):
        xe.cross_entropy(x, labels)
    with pytest.raises(ValueError, match=r"x has shape \(2, 0\)"):
        xe.softmax(x)


def test_binary(framework: Framework) -> None:
    x = framework.array([1.0, 2.0])
    with pytest.raises(ValueError, match=r"targets has shape \(2, 1\).*logits of shape \(2,\)"):
        xe.binary_cross_entropy(x, framework.array([[0.0], [1.0]]))
    with pytest.raises(ValueError, match=r"pos_weight has shape \(3,\).*\(2,\)"):
        xe.binary_cross_entropy(x, x, pos_weight=framework.array([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match=r"sample_weights has shape \(1,\).*\(2,\)"):
        xe.binary_cross_entropy(x, x, sample_weights=framework.array([1.0]))
    if framework.name != "strict":
        with pytest.raises(IndexError, match=r"targets\[1\] is 2, .* 0\.\.1"):
            xe.binary_cross_entropy(x, framework.array([0, 2], "int64"))


def test_maps(framework: Framework) -> None:
    x = framework.array(X)
    with pytest.raises(ValueError, match="axis must be an axis of x"):
        xe.softmax(x, axis=5)
    with pytest.raises(ValueError, match="axis must be a tuple without repetition"):
        xe.logsumexp(x, axis=(0, -2))
    with pytest.raises(ValueError, match=r"b has shape \(2,\)"):
        xe.logsumexp(x, b=framework.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="x must be real floating"):
        xe.sigmoid(framework.array([1, 2], "int32"))
    if framework.name not in ("strict", "dask"):
        with pytest.raises(ValueError, match=r"b\[1\] is -1.0, .*at least 0"):
            xe.logsumexp(x[0], b=framework.array([1.0, -1.0, 2.0]))
    else:
        value = xe.logsumexp(x[0, :], b=framework.array([1.0, -1.0, 2.0]))
        assert np.isnan(framework.numpy(value))


def test_value_and_grad(framework: Framework) -> None:
    x, labels = framework.array(X), framework.array([0, 1], "int64")
    with pytest.raises(TypeError, match="loss must be a function of xentropy"):
        xe.value_and_grad(np.sum)
    with pytest.raises(ValueError, match=r"wrt must be one of 'logits', .*got 'axis'"):
        xe.value_and_grad(xe.cross_entropy, wrt="axis")(x, labels)
    with pytest.raises(TypeError, match="wrt names class_weights, which was not given"):
        xe.value_and_grad(xe.cross_entropy, wrt="class_weights")(x, labels)
    with pytest.raises(TypeError, match="targets must be floating to differentiate"):
        xe.value_and_grad(xe.cross_entropy, wrt="targets")(x, labels)


OTHERS = {
    "numpy": "torch",
    "torch": "numpy",
    "tensorflow": "numpy",
    "jax": "numpy",
    "strict": "numpy",
}


@pytest.mark.needs("numpy", "torch", "tensorflow", "jax", "strict")
def test_mixed_frameworks(framework: Framework) -> None:
    other = FRAMEWORKS[OTHERS[framework.name]]
    x, labels = framework.array(X), other().array([0, 1], "int64")
    with pytest.raises(TypeError, match=r"targets is an array of .*, but logits is one of"):
        xe.cross_entropy(x, labels)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ([1.0, 2.0], r"logits is a builtins.list, which no backend knows: make it an array"),
        (3.0, "logits is a builtins.float"),
        (None, "logits is a builtins.NoneType"),
        ("logits", "logits is a builtins.str"),
        (object(), "logits is a builtins.object, which no backend knows"),
    ],
    # Not str: an object's address would differ between the processes that share the tests.
    ids=lambda thing: type(thing).__name__,
)
def test_things_that_no_backend_knows(thing: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        xe.cross_entropy(thing, [0])


@pytest.mark.backends("numpy")
def test_numpy_refuses_what_means_something_else() -> None:
    with pytest.raises(TypeError, match=r"logits is a numpy.ma.*fill it"):
        xe.cross_entropy(np.ma.masked_array(X), [0, 1])
    with (
        pytest.warns(PendingDeprecationWarning),
        pytest.raises(TypeError, match=r"pass numpy.asarray of it"),
    ):
        xe.cross_entropy(np.asmatrix(X), [0, 1])
    with pytest.raises(TypeError, match="logits must be real floating, got dtype object"):
        xe.cross_entropy(np.array(X, object), [0, 1])


@pytest.mark.backends("tensorflow")
def test_tensorflow_refuses_what_is_not_dense() -> None:
    import tensorflow as tf

    with pytest.raises(TypeError, match=r"RaggedTensor.*to_tensor"):
        xe.cross_entropy(tf.ragged.constant(X), [0, 1])
    with pytest.raises(TypeError, match=r"SparseTensor.*to_dense"):
        xe.cross_entropy(tf.sparse.from_dense(X), [0, 1])


@pytest.mark.backends("torch")
def test_torch_refuses_sparse_and_other_devices() -> None:
    import torch

    with pytest.raises(TypeError, match=r"sparse_coo tensor is not supported.*to_dense"):
        xe.cross_entropy(torch.eye(3).to_sparse(), [0, 1, 2])
    with pytest.raises(ValueError, match="targets is on device meta, but logits is on cpu"):
        xe.cross_entropy(torch.tensor(X), torch.zeros(2, dtype=torch.int64, device="meta"))
