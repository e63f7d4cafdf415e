"""Losses of a linear head: logits that are exact in every format, and what they are made of.

The entries of hidden, weight and bias are small multiples of a quarter, so that the products and
their sums are exact on every backend and a result is measured as that of the dense loss is.
"""

from __future__ import annotations

from typing import Any

from xentropy.parity._case import Array
from xentropy.parity._declare import INF, NAN, Group, integers, of, simplex

linear = Group("linear head")

L, S = "linear_cross_entropy", "linear_score"
ALL = ("hidden", "weight", "bias")


def quarters(seed: int, *shape: int) -> Array:
    """Multiples of a quarter between -2 and 2."""
    drawn = integers(seed, 17, *shape)
    return Array("open", shape, tuple((v - 8) / 4 for v in drawn.values))


HIDDEN, WEIGHT, BIAS = quarters(201, 6, 5), quarters(202, 7, 5), quarters(203, 7)
LABELS, SOFT = [0, 6, 2, 2, 5, 1], simplex(204, 6, 7)
CLASS_WEIGHTS = [0.5, 1.0, 2.0, 1.5, 0.25, 1.0, 3.0]
SAMPLE_WEIGHTS = [1.5, 0.5, 0.0, 1.0, 2.0, 1.0]
WHERE = [True, True, True, False, True, True, True]
OPTIONS: dict[str, dict[str, Any]] = {
    "label smoothing": {"label_smoothing": 0.1},
    "class weights": {"class_weights": CLASS_WEIGHTS},
    "sample weights": {"sample_weights": SAMPLE_WEIGHTS},
    "ignored rows": {"ignore_index": 2},
    "masked class": {"where": WHERE, "label_smoothing": 0.2},
    "temperature": {"temperature": 0.5},
    "softcap": {"softcap": 8.0},
    "z_loss": {"z_loss": 0.125},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "valid": {"ignore_index": 2, "sample_weights": SAMPLE_WEIGHTS, "normalizer": "valid"},
    "batch": {"ignore_index": 2, "normalizer": "batch"},
}
EVERYTHING: dict[str, Any] = {
    "class_weights": CLASS_WEIGHTS,
    "sample_weights": SAMPLE_WEIGHTS,
    "ignore_index": -1,
    "label_smoothing": 0.1,
    "temperature": 2.0,
    "softcap": 16.0,
    "z_loss": 0.125,
    "where": WHERE,
}
BY_WEIGHTS = (*ALL, "class_weights", "sample_weights")

for _dtype in ("float16", "bfloat16", "float32", "float64"):
    linear(f"labels, {_dtype}", L, HIDDEN, WEIGHT, LABELS, bias=BIAS, dtype=_dtype, wrt=ALL)
for _name, _options in OPTIONS.items():
    linear(f"labels, {_name}", L, HIDDEN, WEIGHT, LABELS, bias=BIAS, wrt=ALL, **_options)
linear("labels, everything", L, HIDDEN, WEIGHT, [0, -1, 2, 1, 5, 1], bias=BIAS, **EVERYTHING,
       wrt=BY_WEIGHTS)  # fmt: skip
linear("soft", L, HIDDEN, WEIGHT, SOFT, bias=BIAS, wrt=(*ALL, "targets"))
linear("soft, weighed and smoothed", L, HIDDEN, WEIGHT, SOFT, class_weights=CLASS_WEIGHTS,
       sample_weights=SAMPLE_WEIGHTS, label_smoothing=0.1,
       wrt=("hidden", "weight", "targets", "class_weights", "sample_weights"))  # fmt: skip
linear("without a bias", L, HIDDEN, WEIGHT, LABELS, wrt=("hidden", "weight"))
linear("two leading axes", L, quarters(205, 2, 3, 4), quarters(206, 5, 4), [[0, 4, 2], [1, 1, 3]],
       wrt=("hidden", "weight"), reduction="none")  # fmt: skip
linear("one row without a batch", L, quarters(207, 4), quarters(206, 5, 4), of(3, "int32"),
       wrt=("hidden", "weight"))  # fmt: skip
linear(
    "one class", L, quarters(207, 3, 4), quarters(208, 1, 4), [0, 0, 0], wrt=("hidden", "weight")
)
linear("40 x 300 classes", L, quarters(209, 40, 6), quarters(210, 300, 6),
       integers(211, 300, 40), wrt=("hidden", "weight"))  # fmt: skip
linear("confident", L, [[30.0, 0.0], [0.0, 30.0]], [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [0, 1],
       wrt=("hidden", "weight"))  # fmt: skip
linear("every row ignored", L, HIDDEN, WEIGHT, [3] * 6, ignore_index=3, wrt=("hidden", "weight"),
       policy="nothing-kept")  # fmt: skip
linear("NaN and inf in ignored rows", L, [[1.0, 2.0], [NAN, 1.0], [INF, -INF]],
       [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]], [1, -1, -1], ignore_index=-1,
       wrt=("weight",), policy="ignored-garbage")  # fmt: skip
linear("label on a masked class", L, HIDDEN, WEIGHT, [3, 0, 1, 2, 4, 5], where=WHERE, wrt=(),
       reduction="none", policy="target-on-masked")  # fmt: skip
linear("label 7", L, HIDDEN, WEIGHT, [0, 7, 1, 2, 3, 4], raises="IndexError", says=("1", "7"),
       compiled="nan", wrt=("hidden", "weight"), policy="label-range")  # fmt: skip
linear("weight of another length", L, HIDDEN, quarters(212, 7, 4), LABELS, raises="ValueError",
       says=("weight", "(7, 4)", "(6, 5)"), policy="shapes")  # fmt: skip
linear("bias of another length", L, HIDDEN, WEIGHT, LABELS, bias=quarters(213, 6),
       raises="ValueError", says=("bias", "(6,)"), policy="shapes")  # fmt: skip
for _dtype in ("float16", "bfloat16", "float32", "float64"):
    linear(f"score, {_dtype}", S, HIDDEN, WEIGHT, LABELS, bias=BIAS, dtype=_dtype, wrt=ALL)
for _of in ("loss", "log_prob", "lse", "entropy"):
    linear(f"score, everything, {_of}", S, HIDDEN, WEIGHT, [0, -1, 2, 1, 5, 1], bias=BIAS,
           **EVERYTHING, of=_of, wrt=ALL)  # fmt: skip
