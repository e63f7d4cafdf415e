"""Softmax, logsumexp and sigmoid; negative log-likelihoods; the binary loss."""

from __future__ import annotations

from xentropy.parity._case import array
from xentropy.parity._declare import Group, integers, normal, of, simplex, uniform

functions = Group("softmax and kin")
likelihood = Group("nll_loss")
binary = Group("binary")

TABLE = normal(71, 3, 4)
CUBE = normal(72, 2, 3, 4)
MASK = [[True, False, True, True], [True, True, True, True], [False, False, True, False]]
DTYPES = ("float16", "bfloat16", "float32", "float64")

for _dtype in DTYPES:
    for _name in ("softmax", "log_softmax", "logsumexp"):
        functions(f"{_name}, {_dtype}", _name, TABLE, dtype=_dtype)
for _dtype in DTYPES[:2]:
    for _name in ("sigmoid", "log_sigmoid"):
        functions(f"{_name}, {_dtype}", _name, TABLE, dtype=_dtype)
for _name in ("softmax", "log_softmax"):
    functions(f"{_name}, axis 0", _name, TABLE, axis=0)
    functions(f"{_name}, mask", _name, TABLE, where=MASK)
    functions(f"{_name}, temperature 0.5", _name, TABLE, temperature=0.5)
functions("softmax, axis 1, class mask", "softmax", CUBE, axis=1, where=[True, False, True])
functions("softmax, huge logits, temperature 0.7", "softmax", [[2e9, 1e9, -2e9]], temperature=0.7)
functions("log_softmax, confident", "log_softmax", [[20.0, 0.0, -20.0]])
for _axis in (0, (0, 2), None):
    functions(f"logsumexp, axis {_axis}", "logsumexp", CUBE, axis=_axis)
functions("logsumexp, axis (-1, 0), kept", "logsumexp", CUBE, axis=(-1, 0), keepdims=True)
functions("logsumexp, all, kept", "logsumexp", CUBE, axis=None, keepdims=True)
functions("logsumexp, mask", "logsumexp", TABLE, where=MASK)
functions("logsumexp, factors", "logsumexp", TABLE, b=[0.5, 0.0, 2.0, 1.0])
functions("logsumexp, factors for each entry", "logsumexp", TABLE, axis=(0, 1),
          b=uniform(73, 3, 4))  # fmt: skip
functions("logsumexp, factor 0 on +inf", "logsumexp", [[1.0, float("inf"), 2.0]], b=[1.0, 0.0, 1.0])
functions("logsumexp, factors all 0", "logsumexp", [[1.0, 2.0]], b=[0.0, 0.0], wrt=())
functions("logsumexp, one entry", "logsumexp", [[3.25]])
BOTH = [[1.0, -0.5, 2.0, -1.0], [-1.0, 0.25, -3.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
for _dtype in DTYPES:
    functions(f"logsumexp, both signs, {_dtype}", "logsumexp", TABLE, b=BOTH, return_sign=True,
              of="value", dtype=_dtype)  # fmt: skip
functions("logsumexp, both signs, all, kept", "logsumexp", TABLE, b=BOTH, return_sign=True,
          of="value", axis=None, keepdims=True)  # fmt: skip
functions("logsumexp, a sum of 0", "logsumexp", [[2.0, 2.0], [1.0, 2.0]], b=[1.0, -1.0],
          return_sign=True, of="value", wrt=())  # fmt: skip
EDGES = [-1000.0, -90.0, -17.0, -1.0, -1e-6, 0.0, 0.5, 17.0, 80.0, 1000.0]
functions("sigmoid, wide", "sigmoid", EDGES)
functions("log_sigmoid, wide", "log_sigmoid", EDGES)
functions("sigmoid, wide, float64", "sigmoid", EDGES, dtype="float64")
functions("log_sigmoid, wide, float64", "log_sigmoid", EDGES, dtype="float64")
functions("sigmoid of infinities", "sigmoid", [float("-inf"), float("inf")])
functions("log_sigmoid of infinities", "log_sigmoid", [float("-inf"), float("inf")])

LOGS = normal(74, 4, 3, scale=0.6, shift=-2.5)
for _dtype in DTYPES:
    likelihood(f"labels, {_dtype}", "nll_loss", LOGS, [0, 2, 1, 1], dtype=_dtype)
likelihood("none", "nll_loss", LOGS, [0, 2, 1, 1], reduction="none")
likelihood("soft", "nll_loss", LOGS, simplex(75, 4, 3))
likelihood("everything", "nll_loss", LOGS, [0, -1, 1, 1], ignore_index=-1, label_smoothing=0.1,
           class_weights=[1.0, 2.0, 0.5], sample_weights=[1.0, 1.0, 0.5, 2.0],
           where=[True, True, False])  # fmt: skip
likelihood("class weights, sum", "nll_loss", LOGS, [0, 2, 1, 1], class_weights=[1.0, 2.0, 0.5],
           reduction="sum")  # fmt: skip
likelihood("mean of the batch", "nll_loss", LOGS, [0, 2, 1, 1], class_weights=[1.0, 2.0, 0.5],
           normalizer="batch")  # fmt: skip
likelihood("exactly -0", "nll_loss", [[0.0, -50.0]], [0])

SCORES, TRUTH = normal(76, 2, 4, scale=6.0), integers(77, 2, 2, 4)
for _dtype in DTYPES:
    binary(f"soft, {_dtype}", "binary_cross_entropy", SCORES, uniform(78, 2, 4), dtype=_dtype)
binary("integers", "binary_cross_entropy", SCORES, TRUTH)
binary("integers as uint8", "binary_cross_entropy", SCORES, TRUTH.cast("uint8"), reduction="sum")
binary("truth values", "binary_cross_entropy", SCORES, TRUTH.cast("bool"))
binary("none", "binary_cross_entropy", SCORES, TRUTH, reduction="none")
binary("smoothing", "binary_cross_entropy", SCORES, TRUTH, label_smoothing=0.1)
binary("pos_weight", "binary_cross_entropy", SCORES, TRUTH, pos_weight=[1.0, 2.0, 0.5, 3.0])
binary("pos_weight, a number", "binary_cross_entropy", SCORES, TRUTH, pos_weight=2.5)
binary("sample weights", "binary_cross_entropy", SCORES, TRUTH,
       sample_weights=[[1.0, 0.0, 2.0, 0.5], [0.1, 1.0, 1.0, 3.0]])  # fmt: skip
for _normalizer in ("valid", "batch", 5.0):
    binary(f"mean of {_normalizer}", "binary_cross_entropy", SCORES, TRUTH, pos_weight=2.0,
           sample_weights=[[1.0, 0.0, 2.0, 0.5], [0.1, 1.0, 1.0, 3.0]],
           normalizer=_normalizer)  # fmt: skip
binary("everything", "binary_cross_entropy", SCORES, TRUTH, pos_weight=[1.0, 2.0, 0.5, 3.0],
       sample_weights=[[1.0, 0.0, 2.0, 0.5], [0.1, 1.0, 1.0, 3.0]],
       label_smoothing=0.1)  # fmt: skip
binary("probabilities", "binary_cross_entropy", uniform(79, 2, 4), TRUTH, from_logits=False)
binary("probabilities, everything", "binary_cross_entropy", uniform(79, 2, 4), uniform(80, 2, 4),
       from_logits=False, pos_weight=2.0, label_smoothing=0.1)  # fmt: skip
for _margin in (20, 88):
    binary(f"certain and right, {_margin}", "binary_cross_entropy", [float(_margin)], [1.0])
    binary(f"certain and right, -{_margin}", "binary_cross_entropy", [-float(_margin)], [0.0])
binary("certain and right, 40, float64", "binary_cross_entropy", [40.0, -40.0], [1.0, 0.0],
       dtype="float64", reduction="none")  # fmt: skip
binary("certain and right, 700, float64", "binary_cross_entropy", [700.0, -700.0], [1.0, 0.0],
       dtype="float64", reduction="none")  # fmt: skip
binary("a bare number", "binary_cross_entropy", array(1.5), of(1.0, "float32"), reduction="none")
