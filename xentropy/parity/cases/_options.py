"""Every option alone and together, with both kinds of targets and in every dtype."""

from __future__ import annotations

from typing import Any

from xentropy.parity._declare import Group, normal, of, plain, simplex, uniform

options = Group("options")
together = Group("options together")
gradients = Group("other gradients")

CE = "cross_entropy"
ROWS, CLASSES = 6, 5
LOGITS = normal(41, ROWS, CLASSES)
KINDS = {"labels": [0, 3, 1, 4, 2, 0], "soft": simplex(43, ROWS, CLASSES)}
CLASS_WEIGHTS = [0.5, 1.0, 2.0, 0.25, 1.5]
SAMPLE_WEIGHTS = [1.0, 0.0, 2.0, 0.5, 0.1, 3.0]
CLASS_MASK = [True, True, True, False, True]
FULL_MASK = [[(i * j) % 4 != 3 for j in range(CLASSES)] for i in range(ROWS)]

ALONE: dict[str, dict[str, Any]] = {
    "plain": {},
    "none": {"reduction": "none"},
    "sum": {"reduction": "sum"},
    "class weights": {"class_weights": CLASS_WEIGHTS},
    "sample weights": {"sample_weights": SAMPLE_WEIGHTS},
    "smoothing": {"label_smoothing": 0.1},
    "temperature 0.7": {"temperature": 0.7},
    "softcap 3": {"softcap": 3.0},
    "z-loss": {"z_loss": 0.01},
    "mean of valid": {"sample_weights": SAMPLE_WEIGHTS, "normalizer": "valid"},
    "mean of batch": {"class_weights": CLASS_WEIGHTS, "normalizer": "batch"},
    "mean of 3.5": {"normalizer": 3.5},
    "mean of an array": {"normalizer": of(7.0, "float32")},
}
SOFT_TOO = {"plain", "none", "class weights", "sample weights", "smoothing", "softcap 3", "z-loss"}
for _name, _given in ALONE.items():
    options(f"{_name}, labels", CE, LOGITS, KINDS["labels"], **_given)
    if _name in SOFT_TOO:
        options(f"{_name}, soft", CE, LOGITS, KINDS["soft"], **_given)

SPARSE = [0, 2, 1, 4, 2, 0]
options("class mask, labels", CE, LOGITS, SPARSE, where=CLASS_MASK)
options("mask of a row of ones", CE, LOGITS, SPARSE, where=[CLASS_MASK])
options("full mask, labels", CE, LOGITS, [0, 1, 1, 4, 2, 0], where=FULL_MASK)
options("ignored label -100", CE, LOGITS, [0, -100, 1, -100, 2, 0], ignore_index=-100)
options("ignored, mean of valid", CE, LOGITS, [0, -1, 1, -1, 2, 0], ignore_index=-1,
        class_weights=CLASS_WEIGHTS, normalizer="valid")  # fmt: skip
options("ignored, mean of batch", CE, LOGITS, [0, -1, 1, -1, 2, 0], ignore_index=-1,
        normalizer="batch")  # fmt: skip
options("arguments as lists", CE, LOGITS, plain(KINDS["labels"], "int32"),
        class_weights=plain(CLASS_WEIGHTS), sample_weights=plain(SAMPLE_WEIGHTS),
        where=plain([[True] * CLASSES], "bool"))  # fmt: skip
options("soft targets as lists", CE, [[1.0, 2.0]],
        plain([[0.25, 0.75]]))  # fmt: skip
options("probabilities, labels", CE, simplex(44, ROWS, CLASSES), KINDS["labels"], from_logits=False)
options("probabilities, soft, smoothing", CE, simplex(44, ROWS, CLASSES), KINDS["soft"],
        from_logits=False, label_smoothing=0.1, class_weights=CLASS_WEIGHTS)  # fmt: skip
options("probabilities and a mask", CE, simplex(44, ROWS, CLASSES), SPARSE, from_logits=False,
        where=CLASS_MASK, label_smoothing=0.1)  # fmt: skip

MODEL: dict[str, Any] = {"temperature": 0.5, "softcap": 20.0, "z_loss": 0.001}
WEIGHTS: dict[str, Any] = {"class_weights": CLASS_WEIGHTS, "sample_weights": SAMPLE_WEIGHTS}
COMBINED: dict[str, dict[str, Any]] = {
    "weights and smoothing": {**WEIGHTS, "label_smoothing": 0.1},
    "temperature, softcap, z-loss": MODEL,
    "everything": {**WEIGHTS, **MODEL, "label_smoothing": 0.1, "where": CLASS_MASK},
}
for _dtype in ("float16", "bfloat16", "float32", "float64"):
    for _name, _given in COMBINED.items():
        if _name != "everything" and _dtype in ("float16", "bfloat16"):
            continue
        together(f"{_name}, {_dtype}", CE, LOGITS, [0, -1, 1, 4, 2, 0], ignore_index=-1,
                 dtype=_dtype, **_given)  # fmt: skip
    together(f"soft, weights and smoothing, {_dtype}", CE, LOGITS, KINDS["soft"], dtype=_dtype,
             label_smoothing=0.1, **WEIGHTS)  # fmt: skip
together("everything, none", CE, LOGITS, [0, -1, 1, 4, 2, 0], ignore_index=-1, reduction="none",
         **COMBINED["everything"])  # fmt: skip
together("everything, sum", CE, LOGITS, [0, -1, 1, 4, 2, 0], ignore_index=-1, reduction="sum",
         **COMBINED["everything"])  # fmt: skip
together("everything, mean of valid", CE, LOGITS, [0, -1, 1, 4, 2, 0], ignore_index=-1,
         normalizer="valid", **COMBINED["everything"])  # fmt: skip
together("everything, soft", CE, LOGITS, uniform(45, ROWS, CLASSES), class_weights=CLASS_WEIGHTS,
         sample_weights=SAMPLE_WEIGHTS, label_smoothing=0.1, **MODEL)  # fmt: skip

for _reduction in ("sum", "mean"):
    for _kind, _targets in KINDS.items():
        gradients(f"to both weights, {_kind}, {_reduction}", CE, LOGITS, _targets, **WEIGHTS,
                  reduction=_reduction,
                  wrt=("logits", "class_weights", "sample_weights"))  # fmt: skip
    gradients(f"to soft targets, {_reduction}", CE, LOGITS, KINDS["soft"], **WEIGHTS,
              reduction=_reduction, label_smoothing=0.1, wrt=("logits", "targets"))  # fmt: skip
gradients("to soft targets, probabilities", CE, simplex(44, ROWS, CLASSES), KINDS["soft"],
          from_logits=False, reduction="sum", wrt=("logits", "targets"))  # fmt: skip
gradients("to soft targets, nll", "nll_loss", normal(46, 3, 4, scale=0.5, shift=-2.0),
          simplex(47, 3, 4), reduction="sum", wrt=("log_probs", "targets"))  # fmt: skip
gradients("to binary targets and weights", "binary_cross_entropy", normal(48, 5), uniform(49, 5),
          pos_weight=of(2.5, "float32"), sample_weights=[1.0, 2.0, 0.5, 1.0, 3.0], reduction="sum",
          wrt=("logits", "targets", "sample_weights"))  # fmt: skip
gradients("to soft targets in bfloat16", CE, LOGITS, KINDS["soft"], dtype="bfloat16",
          reduction="sum", wrt=("logits", "targets"))  # fmt: skip
gradients("to the targets alone", CE, LOGITS, KINDS["soft"], reduction="sum",
          wrt=("targets",))  # fmt: skip
