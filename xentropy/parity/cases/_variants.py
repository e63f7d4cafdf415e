"""The losses that send -log p through a curve: focal, poly, generalised cross-entropy."""

from __future__ import annotations

from typing import Any

from xentropy.parity._declare import INF, NAN, Group, integers, normal, of, simplex, uniform

focal = Group("focal_loss")
sigmoid_focal = Group("focal_loss, sigmoid")
poly = Group("poly_loss")
generalized = Group("generalized_cross_entropy")

DTYPES = ("float16", "bfloat16", "float32", "float64")
ROWS, CLASSES = 4, 3
LOGITS, LABELS = normal(121, ROWS, CLASSES), [0, 2, 1, 2]
SOFT, SHARES = simplex(122, ROWS, CLASSES), simplex(123, ROWS, CLASSES)
WEIGHTS: dict[str, Any] = {
    "class_weights": [0.5, 1.0, 2.0],
    "sample_weights": [1.5, 0.0, 0.25, 1.0],
}
CLASS_MASK = [True, True, False]
EVERYTHING: dict[str, Any] = {
    **WEIGHTS,
    "ignore_index": -1,
    "label_smoothing": 0.1,
    "temperature": 0.5,
    "softcap": 20.0,
    "z_loss": 0.001,
    "where": CLASS_MASK,
}
VOCABULARY = normal(124, 1, 32_000)

#: Each loss, its group, and what bends it.
LOSSES: dict[str, tuple[Group, dict[str, Any]]] = {
    "focal_loss": (focal, {"alpha": [0.25, 0.5, 1.5]}),
    "poly_loss": (poly, {"epsilon": 1.0}),
    "generalized_cross_entropy": (generalized, {"q": 0.5}),
}

#: Margins by which the true class leads.
MARGINS = [[float(m), 0.0, 0.0] for m in (5, 12, 15, 25)]
FAR = [[float(m), 0.0, 0.0] for m in (30, 40, 100, 200)]

# Cases of one shape and the same options share their program, which is compiled once for them all.
for _loss, (_group, _bent) in LOSSES.items():
    for _dtype in DTYPES:
        _group(f"labels, {_dtype}", _loss, LOGITS, LABELS, dtype=_dtype)
    _group("soft", _loss, LOGITS, SOFT, **_bent, wrt=("logits", "targets"), reduction="sum")
    _group("axis 0", _loss, LOGITS, [0, 3, 1], axis=0)
    _group("weights", _loss, LOGITS, LABELS, **WEIGHTS, **_bent,
           wrt=("logits", "class_weights", "sample_weights"))  # fmt: skip
    _group("weights, mean of batch", _loss, LOGITS, LABELS, **WEIGHTS, normalizer="batch")
    _group("everything", _loss, LOGITS, [0, -1, 1, 0], **EVERYTHING, **_bent)
    _group("everything, float64", _loss, LOGITS, [0, -1, 1, 0], **EVERYTHING, **_bent,
           dtype="float64")  # fmt: skip
    _group("probabilities", _loss, SHARES, LABELS, from_logits=False, **_bent)
    _group("probabilities, soft", _loss, SHARES, SOFT, from_logits=False, label_smoothing=0.1)
    for _dtype in ("bfloat16", "float32"):
        _group(f"1 x 32000, {_dtype}", _loss, VOCABULARY, [17], dtype=_dtype)

    _each: dict[str, Any] = {"reduction": "none"}
    _group("none", _loss, LOGITS, LABELS, **_each)
    _group("margins", _loss, MARGINS, [0] * 4, **_each)
    _group("margins, the other class", _loss, MARGINS, [1] * 4, **_each)
    _group("margins to 200, the other class", _loss, FAR, [1] * 4, **_each)
    _group("margins to 200, float64", _loss, FAR, [0] * 4, **_each, dtype="float64")
    _group("ties", _loss, [[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.5] * 3, [40.0, 40.0, 0.0]],
           [0, 2, 1, 1], **_each)  # fmt: skip
    _group("-inf beside the label", _loss, [[1.0, 2.0, -INF]] * 4, [0, 1, 0, 1], **_each,
           policy="zero-times-inf")  # fmt: skip
    _group("label on a -inf class", _loss, [[1.0, 2.0, -INF]] * 4, [2, 0, 2, 1], **_each,
           policy="target-on-masked")  # fmt: skip
    _group("a row of -inf", _loss, [[-INF] * 3, *MARGINS[1:]], LABELS, **_each,
           policy="all-minus-inf")  # fmt: skip
    _group("+inf", _loss, [[1.0, INF, 2.0]] * 3 + [[INF, INF, 0.0]], [1, 0, 2, 0], **_each,
           policy="plus-inf")  # fmt: skip
    _group("label 3", _loss, LOGITS, [0, 3, 1, 2], **_each, raises="IndexError", says=("1", "3"),
           compiled="nan", policy="label-range")  # fmt: skip
    _group("NaN in an ignored row", _loss, [[NAN] * 3, *MARGINS[1:]], [-1, 2, 1, 2],
           ignore_index=-1, policy="ignored-garbage")  # fmt: skip
    _group("all ignored", _loss, LOGITS, [-1] * ROWS, ignore_index=-1, policy="nothing-kept")
    _heavy: dict[str, Any] = {"sample_weights": [0.0, 1.0, 0.5, 1.0]}
    _group("NaN in a row of weight 0, soft", _loss, [[NAN] * 3, *MARGINS[1:]], SOFT, **_heavy,
           policy="ignored-garbage")  # fmt: skip
    _group("-inf beside soft targets", _loss, [[1.0, 2.0, -INF]] * 4, [[0.25, 0.75, 0.0]] * 4,
           **_heavy, policy="zero-times-inf")  # fmt: skip

SURE = [[1.0, -2.0, 0.5], [0.0, 3.0, 1.0], [2.0, 1.0, -4.0], [12.0, 0.0, 0.0]]
for _gamma in (0.0, 0.5, 1.0, 5.0):
    focal(f"gamma {_gamma}", "focal_loss", SURE, [0, 2, 1, 0], gamma=_gamma, reduction="none")
focal("alpha, a number", "focal_loss", LOGITS, LABELS, alpha=0.25)
focal("alpha 0 for a class", "focal_loss", LOGITS, LABELS, alpha=[0.0, 1.0, 0.5])
focal("probability 1 and 0", "focal_loss", [[1.0, 0.0], [0.0, 1.0]], [0, 0], from_logits=False,
      reduction="none", policy="probabilities")  # fmt: skip

for _epsilon in (-1.0, -0.5, 0.0, 10.0):
    poly(f"epsilon {_epsilon}", "poly_loss", SURE, [0, 2, 1, 0], epsilon=_epsilon,
         reduction="none")  # fmt: skip

for _q in (1e-3, 0.1, 1.0):
    generalized(f"q {_q}", "generalized_cross_entropy", SURE, [0, 2, 1, 0], q=_q, reduction="none")
generalized("probability 1 and 0", "generalized_cross_entropy", [[1.0, 0.0], [0.0, 1.0]], [0, 0],
            from_logits=False, reduction="none", wrt=(), policy="probabilities")  # fmt: skip

BINARY: dict[str, Any] = {"form": "sigmoid"}
SCORES, TRUTH = normal(126, 2, 4), integers(127, 2, 2, 4)
RIGHT = [[1.0, 0.0, 2.0, 0.5], [0.1, 1.0, 1.0, 3.0]]
for _dtype in DTYPES:
    sigmoid_focal(f"soft, {_dtype}", "focal_loss", SCORES, uniform(128, 2, 4), **BINARY,
                  dtype=_dtype)  # fmt: skip
sigmoid_focal("integers", "focal_loss", SCORES, TRUTH, **BINARY)
sigmoid_focal("none", "focal_loss", SCORES, TRUTH, **BINARY, reduction="none")
for _alpha in (0.0, 0.25, 1.0):
    sigmoid_focal(f"alpha {_alpha}", "focal_loss", SCORES, TRUTH, **BINARY, alpha=_alpha)
for _gamma in (0.0, 0.5, 1.0, 5.0):
    sigmoid_focal(f"gamma {_gamma}", "focal_loss", SCORES, TRUTH, **BINARY, gamma=_gamma)
sigmoid_focal("pos_weight and smoothing", "focal_loss", SCORES, TRUTH, **BINARY, alpha=0.25,
              pos_weight=[1.0, 2.0, 0.5, 3.0], label_smoothing=0.1)  # fmt: skip
for _normalizer in ("valid", "batch", 5.0):
    sigmoid_focal(f"mean of {_normalizer}", "focal_loss", SCORES, TRUTH, **BINARY,
                  sample_weights=RIGHT, normalizer=_normalizer)  # fmt: skip
sigmoid_focal("to targets and weights", "focal_loss", SCORES, uniform(128, 2, 4), **BINARY,
              alpha=0.25, sample_weights=uniform(129, 2, 4), pos_weight=of(2.5, "float32"),
              reduction="sum",
              wrt=("logits", "targets", "sample_weights", "pos_weight"))  # fmt: skip
sigmoid_focal("probabilities", "focal_loss", uniform(130, 2, 4), TRUTH, **BINARY,
              from_logits=False, alpha=0.25)  # fmt: skip
EACH: dict[str, Any] = {"form": "sigmoid", "reduction": "none"}
CERTAIN = [[5.0, 25.0, 80.0, 200.0], [-5.0, -25.0, -80.0, -200.0]]
YES_NO, NO_YES = [[1.0] * 4, [0.0] * 4], [[0.0] * 4, [1.0] * 4]
sigmoid_focal("certain and right", "focal_loss", CERTAIN, YES_NO, **EACH)
sigmoid_focal("certain and wrong", "focal_loss", CERTAIN, NO_YES, **EACH)
sigmoid_focal("certain and right, float64", "focal_loss", CERTAIN, YES_NO, **EACH, dtype="float64")
INFINITE = [[INF] * 4, [-INF] * 4]
sigmoid_focal("infinities, right", "focal_loss", INFINITE, YES_NO, **EACH, policy="zero-times-inf")
sigmoid_focal("infinities, wrong", "focal_loss", INFINITE, NO_YES, **EACH,
              policy="target-on-masked")  # fmt: skip
sigmoid_focal("infinities, wrong, alpha 0", "focal_loss", INFINITE, NO_YES, **EACH, alpha=0.0,
              policy="zero-times-inf")  # fmt: skip
sigmoid_focal("NaN in an entry of weight 0", "focal_loss", [1.0, NAN], [1.0, 1.0], **BINARY,
              sample_weights=[1.0, 0.0], policy="ignored-garbage")  # fmt: skip
sigmoid_focal("label 2", "focal_loss", SCORES, [[0, 1, 2, 0], [1] * 4], **EACH, raises="IndexError",
              says=("2",), compiled="nan", policy="label-range")  # fmt: skip
