"""score: each of its outputs, and the gradients of those that have some."""

from __future__ import annotations

from typing import Any

from xentropy.parity._declare import INF, Group, normal, of, simplex

score = Group("score")

S = "score"
OUTPUTS = ("loss", "log_prob", "lse", "entropy")
LOGITS, LABELS, SOFT = normal(141, 4, 3), [0, 2, 1, 2], simplex(142, 4, 3)
WEIGHTS: dict[str, Any] = {
    "class_weights": [0.5, 1.0, 2.0],
    "sample_weights": [1.5, 0.0, 0.25, 1.0],
}
CUBE = normal(143, 2, 3, 4)
EVERYTHING: dict[str, Any] = {
    **WEIGHTS,
    "ignore_index": -1,
    "label_smoothing": 0.1,
    "temperature": 0.5,
    "softcap": 20.0,
    "z_loss": 0.001,
    "where": [True, True, False],
}

for _dtype in ("float16", "bfloat16", "float32", "float64"):
    score(f"labels, {_dtype}", S, LOGITS, LABELS, dtype=_dtype)
FOUR = [0, 1, 2, 1]
for _of in OUTPUTS:
    score(f"everything, {_of}", S, LOGITS, [0, -1, 1, 0], **EVERYTHING, of=_of)
    score(f"margin 30, {_of}", S, [[30.0, 0.0, 0.0], [30.0, 0.0, 0.0], [0.0, 15.0, 0.0], [1.0] * 3],
          FOUR, of=_of)  # fmt: skip
    score(f"-inf among the classes, {_of}", S, [[1.0, 2.0, -INF]] * 3 + [[-INF, 0.0, -INF]],
          [0, 1, 1, 1], of=_of, policy="zero-times-inf")  # fmt: skip
for _of in ("loss", "entropy"):
    score(f"axis 1, {_of}", S, CUBE, [[0, 1, 2, 1], [2, 2, 0, 0]], axis=1, of=_of)
    score(f"+inf in an ignored row, {_of}", S, [[1.0, 2.0, 3.0], [INF, 1.0, INF]], [0, -1],
          ignore_index=-1, of=_of, policy="ignored-garbage")  # fmt: skip
for _of in ("loss", "log_prob"):
    score(f"soft, {_of}", S, LOGITS, SOFT, label_smoothing=0.1, of=_of, wrt=("logits", "targets"))
score("margin 40, entropy, float64", S, [[40.0, 0.0, 0.0]], [0], of="entropy", dtype="float64")
score("to the weights", S, LOGITS, LABELS, **WEIGHTS,
      wrt=("logits", "class_weights", "sample_weights"))  # fmt: skip
score("values alone", S, LOGITS, LABELS, wrt=())
score("label on a -inf class", S, [[1.0, 2.0, -INF]] * 4, [2, 0, 1, 2], policy="target-on-masked")
score("ties: the first is the prediction", S,
      [[2.0, 2.0, 0.0], [0.0, 2.0, 2.0], [1.0] * 3, [0.0, 0.0, 1.0]], [0, 2, 2, 2])  # fmt: skip
score("a masked class is no prediction", S, [[1.0, 2.0, 9.0]], [1], where=[True, True, False])
score("soft targets' own ties", S, LOGITS, [[0.5, 0.5, 0.0]] * 4, label_smoothing=0.1,
      wrt=("logits", "targets"))  # fmt: skip
score("labels as uint8", S, LOGITS, of(LABELS, "uint8"))
score("one row without a batch", S, [1.0, 2.0, 3.0], of(2, "int32"))
score("label 3", S, LOGITS, [0, 3, 1, 2], raises="IndexError", says=("1", "3"), compiled="nan",
      policy="label-range")  # fmt: skip
for _dtype in ("bfloat16", "float32"):
    score(f"1 x 32000, {_dtype}", S, normal(144, 1, 32_000), [17], dtype=_dtype)
