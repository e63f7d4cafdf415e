"""The drop-ins for tf.nn as a type checker sees them; run by test_typed.py.

TensorFlow has no types: a tensor is Any, but the arguments have names.
"""

from __future__ import annotations

from typing import Any

from holds import assert_type

import xentropy_tensorflow as drop_ins

x = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
p = [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]


def maps() -> None:
    assert_type(drop_ins.softmax(x, axis=0, name="rows"), Any)
    assert_type(drop_ins.log_softmax(logits=x), Any)
    assert_type(drop_ins.reduce_logsumexp(x, axis=[0, 1], keepdims=True), Any)


def losses() -> None:
    assert_type(drop_ins.softmax_cross_entropy_with_logits(labels=p, logits=x, axis=-1), Any)
    assert_type(drop_ins.sparse_softmax_cross_entropy_with_logits(labels=[0, 1], logits=x), Any)
    assert_type(drop_ins.sigmoid_cross_entropy_with_logits(labels=p, logits=x), Any)
    assert_type(drop_ins.weighted_cross_entropy_with_logits(p, x, pos_weight=2.0), Any)


def refuses_an_option() -> None:
    drop_ins.softmax(x, dim=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def refuses_an_argument_less() -> None:
    drop_ins.weighted_cross_entropy_with_logits(p, x)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
