"""What is hard where several hold some classes each; on one device the same rows are plain.

The classes can be cut into two and into three equal parts, and the columns cut them unevenly too.
"""

from __future__ import annotations

from typing import Any

from xentropy.parity._declare import INF, NAN, Group, normal, simplex
from xentropy.parity.cases._linear import quarters

sharded = Group("sharded")

C, S, L, M = "cross_entropy", "score", "linear_cross_entropy", "logsumexp"
NONE: dict[str, Any] = {"reduction": "none"}
WEIGHTS = [0.5, 1.0, 2.0, 1.5, 0.25, 3.0]

for _dtype in ("bfloat16", "float32", "float64"):
    for _margin in (15.0, 30.0):
        _top = [[_margin, 0.0, 0.0, 0.0, 0.0, _margin], [0.0, _margin, _margin, 0.0, 0.0, 0.0]]
        sharded(f"maximum on both ends, margin {_margin:.0f}, {_dtype}", C, _top, [0, 2],
                dtype=_dtype, **NONE)  # fmt: skip
        _one = [[_margin, *[0.0] * 5], [*[0.0] * 5, _margin], [0.0, 0.0, _margin, 0.0, 0.0, 0.0]]
        sharded(f"confident, margin {_margin:.0f}, {_dtype}", C, _one, [0, 5, 2],
                dtype=_dtype, **NONE)  # fmt: skip
        sharded(f"confidently wrong, margin {_margin:.0f}, {_dtype}", C, _one, [5, 0, 3],
                dtype=_dtype, **NONE)  # fmt: skip

HALVES = [
    [1.0, 2.0, 0.5, -INF, -INF, -INF],
    [-INF, -INF, -INF, 0.5, 2.0, 1.0],
    [-INF, -INF, 3.0, 1.0, -INF, -INF],
    [0.0, -INF, -INF, -INF, -INF, -INF],
]
sharded("one half holds only -inf", C, HALVES, [1, 4, 2, 0], **NONE, policy="zero-times-inf")
sharded("one half is masked, smoothed over the other", C, [[1.0, 2.0, 0.5] * 2], [1],
        label_smoothing=0.1, where=[True] * 3 + [False] * 3)  # fmt: skip
sharded("label where one half is -inf", C, HALVES, [4, 0, 2, 0], **NONE, policy="target-on-masked")
sharded("a row of -inf", C, [[-INF] * 6, [1.0] * 6], [0, 5], policy="all-minus-inf", **NONE)
sharded("logsumexp where one half is -inf", M, HALVES)
sharded("logsumexp of a row of -inf", M, [[-INF] * 6, [0.0] * 6])
sharded("logsumexp with factors", M, normal(301, 3, 6), b=WEIGHTS)
sharded("logsumexp, keepdims, axis 0", M, normal(302, 6, 4), axis=0, keepdims=True)

ENDS = [
    [INF, 0.0, 1.0, 2.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 2.0, 0.0, INF],
    [1.0, 2.0, INF, 0.0, 0.0, 3.0],
]
sharded("+inf on either end", C, ENDS, [0, 0, 3], policy="plus-inf", **NONE)
sharded("+inf on both ends", C, [[INF, 0.0, 0.0, 0.0, 0.0, INF], [0.0] * 6], [0, 1],
        policy="plus-inf", **NONE)  # fmt: skip
sharded("NaN in one half, which is ignored", C, [[NAN, *[0.0] * 5], [0.0] * 5 + [NAN], [1.0] * 6],
        [-1, -1, 3], ignore_index=-1, policy="ignored-garbage")  # fmt: skip
sharded("NaN in one half", C, [[NAN, *[0.0] * 5], [1.0] * 6, [0.0] * 5 + [NAN]], [0, 3, 1], **NONE)

for _name, _label in {"first": 0, "last": 5}.items():
    sharded(f"the {_name} class, smoothed over all, with weights", C, normal(303, 4, 6),
            [_label] * 4, label_smoothing=0.2, class_weights=WEIGHTS,
            wrt=("logits", "class_weights"))  # fmt: skip
sharded("probabilities, smoothed over all, with weights", C, normal(304, 4, 6), simplex(305, 4, 6),
        label_smoothing=0.2, class_weights=WEIGHTS, sample_weights=[1.0, 0.0, 2.0, 0.5],
        wrt=("logits", "targets", "class_weights", "sample_weights"))  # fmt: skip
sharded("everything", C, normal(306, 4, 6), [0, 5, -1, 3], ignore_index=-1, label_smoothing=0.1,
        class_weights=WEIGHTS, sample_weights=[1.0, 2.0, 3.0, 0.5], temperature=0.5, softcap=20.0,
        z_loss=0.01, where=[True, True, True, False, True, True])  # fmt: skip
sharded("smoothed mean that divides by kept rows", C, normal(307, 4, 6), [0, 5, -1, 3],
        ignore_index=-1, label_smoothing=0.1, normalizer="valid")  # fmt: skip
for _dtype in ("bfloat16", "float32"):
    sharded(f"2 x 1200, {_dtype}", C, normal(308, 2, 1200), [1199, 3], dtype=_dtype)
sharded("axis 1 of three", C, normal(309, 2, 6, 3), [[0, 5, 3], [2, 2, 1]], axis=1, **NONE)

TIES = [[2.0, 2.0, 0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.0, 2.0, 2.0, 2.0], [1.0] * 6]
sharded("ties over the halves: the first is the prediction", S, TIES, [0, 3, 5])
for _of in ("loss", "log_prob", "lse", "entropy"):
    sharded(f"scores, {_of}", S, normal(310, 4, 6), [0, 5, 3, -1], ignore_index=-1, of=_of)
    sharded(f"scores where one half is -inf, {_of}", S, HALVES, [1, 4, 2, 0], of=_of,
            policy="zero-times-inf")  # fmt: skip
sharded("scores of probabilities", S, normal(311, 4, 6), simplex(312, 4, 6),
        wrt=("logits", "targets"))  # fmt: skip

HEAD: dict[str, Any] = {"bias": quarters(322, 6), "wrt": ("hidden", "weight", "bias")}
HIDDEN, WEIGHT = quarters(320, 4, 3), quarters(321, 6, 3)
sharded("head", L, HIDDEN, WEIGHT, [0, 5, 2, 3], **HEAD)
sharded("head, smoothed over all", L, HIDDEN, WEIGHT, [0, 5, 2, -1], ignore_index=-1,
        label_smoothing=0.1, class_weights=WEIGHTS, **HEAD)  # fmt: skip
sharded("head, probabilities", L, HIDDEN, WEIGHT, simplex(323, 4, 6), label_smoothing=0.1, **HEAD)
sharded("head, scores", "linear_score", HIDDEN, WEIGHT, [0, 5, 2, 3], of="entropy", **HEAD)
sharded("label 6 of 6", C, normal(313, 3, 6), [0, 6, 1], raises="IndexError", says=("1", "6"),
        compiled="nan", policy="label-range")  # fmt: skip
for _function in ("focal_loss", "poly_loss", "generalized_cross_entropy"):
    sharded(_function, _function, normal(314, 3, 6), [0, 5, 2], class_weights=WEIGHTS)
