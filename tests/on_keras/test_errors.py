"""Bad input: Keras' own error where it has one, with ours behind it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras_backend import TRAINS, compiled, numpy, tensor

import xentropy_keras

PROBS = np.full((2, 3), 1 / 3, "float32")
BAD = {
    "rows": ("categorical_crossentropy", np.eye(3)[[0, 1, 2]], {}),
    "rank": ("categorical_crossentropy", np.array([0.0, 1.0]), {}),
    "axis": ("categorical_crossentropy", np.eye(3)[[0, 1]], {"axis": True, "from_logits": True}),
    "far axis": ("categorical_crossentropy", np.eye(3)[[0, 1]], {"axis": 2, "from_logits": True}),
    "labels": ("sparse_categorical_crossentropy", np.array([0, 1, 2]), {}),
    "labels' rank": ("sparse_categorical_crossentropy", np.array([[0, 1], [1, 1]]), {}),
    "binary": ("binary_crossentropy", np.zeros((3, 3)), {}),
    "unknown": ("binary_crossentropy", np.zeros((2, 3)), {"weight": 1}),
    "focal": ("categorical_focal_crossentropy", np.zeros((3, 3)), {}),
    "divergence": ("kl_divergence", np.zeros((3, 3)), {}),
}


def raised(function: Any, *args: Any, **options: Any) -> Exception:
    with pytest.raises(Exception) as info:  # noqa: PT011 - which one is the question
        function(*args, **options)
    return info.value


@pytest.mark.parametrize("case", BAD)
def test_errors_are_those_of_keras(case) -> None:
    name, y_true, options = BAD[case]
    args = tensor(y_true), tensor(PROBS)
    native = raised(getattr(keras.losses, name), *args, **options)
    ours = raised(getattr(xentropy_keras, name), *args, **options)
    assert type(ours) is type(native)
    if case != "unknown":
        assert str(ours) == str(native)
    assert isinstance(ours.__cause__, TypeError | ValueError)


def test_an_error_that_keras_does_not_have_is_ours() -> None:
    with pytest.raises(ValueError, match="gamma must be a finite number of at least 0"):
        xentropy_keras.categorical_focal_crossentropy(
            tensor(np.eye(3)[[0, 1]]), tensor(PROBS), gamma=-1.0
        )


@pytest.mark.parametrize("label", [-1, 3, -100, 2**31 - 1])
def test_a_label_that_is_no_class_is_named(label) -> None:
    labels = tensor(np.array([0, label], "int32"))
    for function in (
        lambda: xentropy_keras.sparse_categorical_crossentropy(labels, tensor(PROBS)),
        lambda: xentropy_keras.SparseCategoricalCrossentropy()(labels, tensor(PROBS)),
        lambda: xentropy_keras.categorical_generalized_cross_entropy(labels, tensor(PROBS), 0.5),
    ):
        with pytest.raises(IndexError, match=rf"targets\[1\] is {label}, .* 0\.\.2"):
            function()


@pytest.mark.skipif(not TRAINS, reason="NumPy has no compiler")
def test_a_label_that_is_no_class_is_nan_while_it_is_traced() -> None:
    function = compiled(
        lambda labels, x: xentropy_keras.sparse_categorical_crossentropy(labels, x, True)
    )
    labels = tensor(np.array([0, 3, -1], "int32"))
    got = numpy(function(labels, tensor(np.zeros((3, 3), "float32"))))
    np.testing.assert_allclose(got, [np.log(3), np.nan, np.nan], rtol=1e-6)


def test_a_last_axis_of_one_class_is_warned_of() -> None:
    args = tensor([[1.0]]), tensor([[0.5]])
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        xentropy_keras.categorical_crossentropy(*args)


@pytest.mark.parametrize("name", ["q", "reduction"])
def test_constructors_check_as_those_of_keras(name) -> None:
    options = {"q": 1.5} if name == "q" else {"reduction": "average"}
    cls = "CategoricalGeneralizedCrossEntropy"
    ours, native = (
        raised(getattr(module, cls), **options) for module in (xentropy_keras, keras.losses)
    )
    assert type(ours) is type(native) is ValueError
    assert str(ours)[:40] == str(native)[:40]
