"""The drop-ins for keras.losses as a type checker sees them; run by on_keras/test_typed.py.

Keras has no types: a tensor is Any, but the arguments have names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from holds import assert_type

import xentropy_keras as drop_ins

x = np.full((2, 3), 0.5, np.float32)
t = np.eye(3, dtype=np.float32)[:2]
y = np.asarray([0, 1])


def losses() -> None:
    assert_type(drop_ins.categorical_crossentropy(t, x, label_smoothing=0.1), Any)
    assert_type(drop_ins.sparse_categorical_crossentropy(y, x, ignore_class=1), Any)
    assert_type(drop_ins.binary_crossentropy(y_true=t, y_pred=x, from_logits=True), Any)
    assert_type(drop_ins.categorical_focal_crossentropy(t, x, gamma=1.0), Any)
    assert_type(drop_ins.binary_focal_crossentropy(t, x, apply_class_balancing=True), Any)
    assert_type(drop_ins.categorical_generalized_cross_entropy(y, x, q=0.5), Any)
    assert_type(drop_ins.kl_divergence(t, x), Any)


def classes() -> None:
    assert_type(drop_ins.CategoricalCrossentropy(label_smoothing=0.1)(t, x), Any)
    assert_type(drop_ins.SparseCategoricalCrossentropy(ignore_class=1)(y, x), Any)
    assert_type(drop_ins.BinaryCrossentropy(from_logits=True)(t, x), Any)
    assert_type(drop_ins.CategoricalFocalCrossentropy(gamma=1.0)(t, x), Any)
    assert_type(drop_ins.BinaryFocalCrossentropy(alpha=0.5)(t, x, sample_weight=[1, 2]), Any)
    assert_type(drop_ins.CategoricalGeneralizedCrossEntropy(q=0.5, name="loss")(y, x), Any)
    assert_type(drop_ins.KLDivergence(reduction="sum")(t, x), Any)


def refuses_an_option() -> None:
    drop_ins.kl_divergence(t, x, axis=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def refuses_an_option_of_a_class() -> None:
    drop_ins.KLDivergence(axis=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
