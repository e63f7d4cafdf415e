"""Derivatives in a direction: of the value, and of the gradient, which makes the second order."""

from __future__ import annotations

from typing import Any

from xentropy.parity._declare import Group, normal, of, simplex, uniform

derivatives = Group("derivatives")

CE, BCE, FOCAL = "cross_entropy", "binary_cross_entropy", "focal_loss"
LOGITS, ALONG = normal(91, 2, 3), {"logits": normal(92, 2, 3, scale=1.0)}
X: dict[str, Any] = {"x": ALONG["logits"]}
LABELS, SOFT, MOVED = [2, 0], simplex(93, 2, 3), normal(98, 2, 3, scale=0.3)
BOTH: dict[str, Any] = {**ALONG, "targets": MOVED}
WEIGHTS: dict[str, Any] = {"class_weights": [0.5, 1.0, 2.0], "sample_weights": [1.5, 0.25]}
#: A row that is right and one that is wrong: second derivatives are about p (1 - p), exp(-margin).
SURE = [[30.0, 0.0, 0.0], [30.0, 0.0, 0.0]]
ONWARD: dict[str, Any] = {"logits": [[1.0, -1.0, 0.5]] * 2}
EACH: dict[str, Any] = {"reduction": "none"}

for _name in ("softmax", "log_softmax", "logsumexp"):
    derivatives(_name, _name, LOGITS, along=X)
    derivatives(f"margin 30, {_name}", _name, SURE, along={"x": ONWARD["logits"]})
for _name in ("sigmoid", "log_sigmoid"):
    derivatives(_name, _name, LOGITS, along=X)
for _dtype in ("float16", "bfloat16", "float32", "float64"):
    derivatives(f"labels, {_dtype}", CE, LOGITS, LABELS, **EACH, dtype=_dtype, along=ALONG)
_FAR = ((30.0, "float32"), (80.0, "float32"), (40.0, "float64"), (300.0, "float64"))
for _margin, _dtype in _FAR:
    derivatives(f"margin {_margin:.0f}, {_dtype}", CE, [[_margin, 0.0, 0.0]] * 2, [0, 1], **EACH,
                dtype=_dtype, along=ONWARD)  # fmt: skip
derivatives("ties", CE, [[2.0, 2.0, 0.0], [1.0] * 3], [0, 1], **EACH, along=ONWARD)
derivatives("labels, mean", CE, LOGITS, LABELS, along=ALONG)
derivatives("soft targets", CE, LOGITS, SOFT, **EACH, along=BOTH)
derivatives("margin 30, one-hot", CE, SURE, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], **EACH,
            along={**ONWARD, "targets": [[0.0] * 3] * 2})  # fmt: skip
derivatives("weights, smoothing, z-loss", CE, LOGITS, LABELS, **WEIGHTS, label_smoothing=0.1,
            z_loss=0.01, along=ALONG)  # fmt: skip
derivatives("along the weights", CE, LOGITS, LABELS, **WEIGHTS,
            along={"class_weights": [1.0, -0.5, 0.25], "sample_weights": [0.5, 1.0]})  # fmt: skip
derivatives("temperature and a mask", CE, LOGITS, LABELS, temperature=0.5,
            where=[[True, True, True], [True, True, False]], along=ALONG)  # fmt: skip
derivatives("an ignored row", CE, LOGITS, [2, -1], ignore_index=-1, along=ALONG)
derivatives("nll_loss", "nll_loss", normal(94, 2, 3, scale=0.5, shift=-2.0), LABELS, **WEIGHTS,
            along={"log_probs": ALONG["logits"]})  # fmt: skip
derivatives("binary, along everything", BCE, normal(95, 4), uniform(96, 4),
            pos_weight=of(2.5, "float32"), reduction="sum",
            along={"logits": normal(97, 4), "targets": uniform(99, 4),
                   "pos_weight": of(1.5, "float32")})  # fmt: skip
derivatives("margins 30 and -30, binary", BCE, [30.0, -30.0], [1.0, 0.0], **EACH,
            along={"logits": [1.0, 1.0]})  # fmt: skip

# Every other function.
TARGETS: dict[str, Any] = {
    "probabilities": SOFT,
    "log_probabilities": normal(100, 2, 3, scale=0.6, shift=-1.5),
    "logits": normal(101, 2, 3),
}
for _kind, _targets in TARGETS.items():
    derivatives(f"divergence from {_kind}", "kl_divergence", LOGITS, _targets, targets_are=_kind,
                along=BOTH)  # fmt: skip
derivatives("entropy", "entropy", LOGITS, along=ALONG)
derivatives("margin 30, entropy", "entropy", SURE, along=ONWARD)
derivatives("focal", FOCAL, LOGITS, LABELS, **EACH, along=ALONG)
derivatives("margin 12, focal", FOCAL, [[12.0, 0.0, 0.0]] * 2, [0, 1], **EACH, along=ONWARD)
derivatives("focal, soft", FOCAL, LOGITS, SOFT, gamma=1.5, along=BOTH)
derivatives("focal, sigmoid", FOCAL, normal(95, 4), uniform(96, 4), form="sigmoid", alpha=0.25,
            along={"logits": normal(97, 4)})  # fmt: skip
derivatives("poly", "poly_loss", LOGITS, LABELS, along=ALONG)
derivatives("generalized", "generalized_cross_entropy", LOGITS, LABELS, along=ALONG)
for _of in ("loss", "log_prob", "lse", "entropy"):
    derivatives(f"score, {_of}", "score", LOGITS, LABELS, of=_of, along=ALONG)
