"""The policy where frameworks disagree: at least one case a row."""

from __future__ import annotations

from typing import Any

from xentropy.parity._declare import INF, NAN, Group, filled, normal, of, one_hot, simplex, smoothed

policy = Group("policy")

TWO = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
CE = "cross_entropy"

# Nothing is kept: 0, connected to the graph, gradient exactly 0.
_none: dict[str, Any] = {"policy": "nothing-kept"}
policy("all ignored, mean", CE, TWO, [-100, -100], ignore_index=-100, **_none)
policy("all ignored, sum", CE, TWO, [-100, -100], ignore_index=-100, reduction="sum", **_none)
policy("all ignored, none", CE, TWO, [-1, -1], ignore_index=-1, reduction="none", **_none)
policy("all ignored, valid", CE, TWO, [-1, -1], ignore_index=-1, normalizer="valid", **_none)
policy("class weights 0", CE, TWO, [0, 1], class_weights=[0.0, 0.0, 1.0], **_none)
policy("sample weights 0", CE, TWO, [0, 1], sample_weights=[0.0, 0.0], **_none)
policy("soft targets 0", CE, TWO, filled(0.0, 2, 3), **_none)
policy("normalizer 0", CE, TWO, [0, 1], normalizer=0.0, **_none)
policy("no rows, mean", CE, filled(0.0, 0, 3), of([], "int32"), **_none)
policy("no rows, mean of the batch", CE, filled(0.0, 0, 3), of([], "int32"), normalizer="batch",
       **_none)  # fmt: skip
policy("no rows, sum", CE, filled(0.0, 0, 3), of([], "int32"), reduction="sum", **_none)
policy("no rows, none", CE, filled(0.0, 0, 3), of([], "int32"), reduction="none", **_none)
policy("no rows, soft", CE, filled(0.0, 0, 3), filled(0.0, 0, 3), **_none)
policy("all ignored, nll", "nll_loss", [[-1.0, -2.0]], [-1], ignore_index=-1, **_none)
policy("weights 0, binary", "binary_cross_entropy", [1.0, -2.0], [1.0, 0.0],
       sample_weights=[0.0, 0.0], **_none)  # fmt: skip
policy("no entries, binary", "binary_cross_entropy", filled(0.0, 0), filled(0.0, 0), **_none)

# Labels out of range: an error where they can be read, NaN for the row where they can not.
for _label in (3, -1, -100):
    policy(f"label {_label}", CE, TWO, [0, _label], reduction="none", raises="IndexError",
           says=("1", str(_label)), compiled="nan", policy="label-range")  # fmt: skip
policy("label 3 in a sum", CE, TWO, [0, 3], reduction="sum", raises="IndexError", says=("3",),
       compiled="nan", policy="label-range")  # fmt: skip
policy("label 3 in a mean", CE, TWO, [0, 3], raises="IndexError", says=("3",), compiled="nan",
       wrt=(), policy="label-range")  # fmt: skip
policy("label -1 beside an ignored row", CE, TWO, [-1, -100], ignore_index=-100, reduction="none",
       raises="IndexError", says=("0", "-1"), compiled="nan", policy="label-range")  # fmt: skip
policy("label 255 as uint8", CE, TWO, [2, 255], labels="uint8", reduction="none",
       raises="IndexError", says=("1", "255"), compiled="nan", policy="label-range")  # fmt: skip
policy("label 3, nll", "nll_loss", [[-1.0, -2.0, -3.0]], [3], reduction="none",
       raises="IndexError", says=("0", "3"), compiled="nan", policy="label-range")  # fmt: skip
policy("label 2, binary", "binary_cross_entropy", [1.0, 2.0], [1, 2], reduction="none",
       raises="IndexError", says=("1", "2"), compiled="nan", policy="label-range")  # fmt: skip

# An ignored row may hold anything.
for _name, _row in (
    ("NaN", [NAN, NAN, NAN]),
    ("+inf", [INF, 1.0, INF]),
    ("all -inf", [-INF, -INF, -INF]),
):
    policy(f"{_name} in an ignored row", CE, [[1.0, 2.0, 3.0], _row], [0, -1], ignore_index=-1,
           policy="ignored-garbage")  # fmt: skip
policy("NaN in an ignored row, none", CE, [[NAN] * 3, [1.0, 2.0, 3.0]], [9, 1], ignore_index=9,
       reduction="none", policy="ignored-garbage")  # fmt: skip
policy("NaN in a row of weight 0", CE, [[1.0, 2.0, 3.0], [NAN] * 3], [0, 1],
       sample_weights=[1.0, 0.0], policy="ignored-garbage")  # fmt: skip
policy("NaN in a row of weight 0, soft", CE, [[1.0, 2.0, 3.0], [NAN] * 3], simplex(5, 2, 3),
       sample_weights=[1.0, 0.0], policy="ignored-garbage")  # fmt: skip
policy("NaN in an ignored row, everything on", CE, [[1.0, 2.0, 3.0], [NAN] * 3], [0, -1],
       ignore_index=-1, label_smoothing=0.25, class_weights=[1.0, 2.0, 0.5], z_loss=0.125,
       softcap=8.0, temperature=2.0, policy="ignored-garbage")  # fmt: skip
policy("NaN in an ignored row, nll", "nll_loss", [[-1.0, -2.0], [NAN, NAN]], [0, -1],
       ignore_index=-1, policy="ignored-garbage")  # fmt: skip
policy("NaN in an entry of weight 0, binary", "binary_cross_entropy", [1.0, NAN], [1.0, 1.0],
       sample_weights=[1.0, 0.0], policy="ignored-garbage")  # fmt: skip
policy("NaN masked by where", CE, [[1.0, 2.0, NAN]], [0], where=[True, True, False],
       policy="ignored-garbage")  # fmt: skip

# 0 * inf is 0.
MASKED = [[1.0, 2.0, -INF]]
_zero: dict[str, Any] = {"policy": "zero-times-inf"}
policy("-inf beside the label", CE, MASKED, [0], **_zero)
policy("-inf beside a one-hot", CE, MASKED, [[1.0, 0.0, 0.0]], **_zero)
policy("-inf beside soft targets", CE, MASKED, [[0.25, 0.75, 0.0]], **_zero)
policy("class weight 0 on a -inf class", CE, MASKED, [0], label_smoothing=0.125,
       class_weights=[1.0, 1.0, 0.0], **_zero)  # fmt: skip
policy("smoothing beside a masked class", CE, [[1.0, 2.0, 3.0]], [0], label_smoothing=0.125,
       where=[True, True, False], **_zero)  # fmt: skip
policy("probability 0 beside the label", CE, [[0.25, 0.75, 0.0]], [1], from_logits=False, **_zero)
policy("probability 0 beside a one-hot", CE, [[0.25, 0.75, 0.0]], [[0.0, 1.0, 0.0]],
       from_logits=False, **_zero)  # fmt: skip
policy("log-probability -inf beside a one-hot", "nll_loss", [[-0.5, -1.0, -INF]],
       [[1.0, 0.0, 0.0]], **_zero)  # fmt: skip
policy("binary +inf at 1, -inf at 0", "binary_cross_entropy", [INF, -INF], [1.0, 0.0],
       reduction="none", **_zero)  # fmt: skip

# A target on a class that cannot be: inf.
_hit: dict[str, Any] = {"policy": "target-on-masked", "reduction": "none"}
policy("label on a -inf class", CE, MASKED, [2], **_hit)
policy("label on a masked class", CE, [[1.0, 2.0, 3.0]], [2], where=[True, True, False], **_hit)
policy("one-hot on a -inf class", CE, MASKED, [[0.0, 0.0, 1.0]], **_hit)
policy("soft target on a masked class", CE, [[1.0, 2.0, 3.0]], [[0.5, 0.25, 0.25]],
       where=[True, True, False], **_hit)  # fmt: skip
policy("smoothing on a -inf class", CE, MASKED, [0], label_smoothing=0.125, **_hit)
policy("binary -inf at 1", "binary_cross_entropy", [-INF, INF], [1.0, 0.0], **_hit)

# Rows of -inf.
_low: dict[str, Any] = {"policy": "all-minus-inf"}
EMPTY = [[-INF, -INF], [0.5, 1.5]]
policy("logsumexp of a -inf row", "logsumexp", EMPTY, axis=-1, **_low)
policy("softmax of a -inf row", "softmax", EMPTY, **_low)
policy("loss of a -inf row", CE, EMPTY, [0, 1], reduction="none", **_low)
policy("softmax of a row masked whole", "softmax", [[1.0, 2.0]], where=[False, False], **_low)
policy("logsumexp of a row masked whole", "logsumexp", [[1.0, 2.0], [1.0, 2.0]], axis=-1,
       where=[[False, False], [True, False]], **_low)  # fmt: skip

# Rows with +inf.
_high: dict[str, Any] = {"policy": "plus-inf"}
TALL = [[1.0, INF, 2.0], [1.0, INF, 2.0]]
policy("softmax with +inf", "softmax", [[1.0, INF, 2.0]], **_high)
policy("softmax with two +inf", "softmax", [[INF, INF, 2.0]], wrt=(), **_high)
policy("log_softmax with +inf", "log_softmax", [[1.0, INF, 2.0]], wrt=(), **_high)
policy("loss with +inf", CE, TALL, [1, 0], reduction="none", **_high)
policy("loss with two +inf", CE, [[INF, INF, 2.0]], [0], reduction="none", **_high)
policy("loss with +inf, one-hot", CE, TALL, one_hot([1, 0], 3), reduction="none", **_high)
policy("NaN logit", CE, [[1.0, NAN, 2.0], [1.0, 2.0, 3.0]], [0, 0], reduction="none", **_high)

# Soft targets are taken as they are.
_free: dict[str, Any] = {"policy": "free-mass"}
LOOSE = [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]
policy("rows of mass 1.5 and 0", CE, TWO, LOOSE, reduction="none", wrt=("logits", "targets"),
       **_free)  # fmt: skip
policy("rows of mass 1.5 and 0, sum", CE, TWO, LOOSE, reduction="sum", **_free)
policy("rows of mass 1.5 and 0, mean of the batch", CE, TWO, LOOSE, normalizer="batch",
       wrt=("logits", "targets"), **_free)  # fmt: skip
policy("gradient to the targets", CE, [[1.0, 2.0, 3.0]], [[0.25, 0.25, 0.5]], reduction="sum",
       wrt=("logits", "targets"), **_free)  # fmt: skip

# A hard label, its one-hot, and both smoothed: one answer for every weight and reduction.
for _reduction in ("none", "mean"):
    _same: dict[str, Any] = {
        "class_weights": [1.0, 2.0, 3.0],
        "reduction": _reduction,
        "policy": "hard-is-one-hot",
    }
    policy(f"weighted label, {_reduction}", CE, TWO, [0, 1], **_same)
    policy(f"weighted one-hot, {_reduction}", CE, TWO, one_hot([0, 1], 3), **_same)
    policy(f"weighted and smoothed, {_reduction}", CE, TWO, [0, 1], label_smoothing=0.125, **_same)
    policy(f"smoothed by hand, {_reduction}", CE, TWO, smoothed([0, 1], 3, 0.125), **_same)
policy("batch of one, weight 7", CE, TWO[:1], [0], class_weights=[7.0, 1.0, 1.0],
       policy="hard-is-one-hot")  # fmt: skip

# Smoothing spreads over the unmasked classes, then the class weights apply.
_smooth: dict[str, Any] = {"policy": "smoothing", "reduction": "none"}
RANDOM = normal(21, 3, 5)
HALF_MASK = [True, True, False, True, True]
policy("smoothing, whole", CE, RANDOM, [0, 3, 4], label_smoothing=1.0, **_smooth)
policy("smoothing and a mask", CE, RANDOM, [0, 3, 4], label_smoothing=0.1, where=HALF_MASK,
       **_smooth)  # fmt: skip
policy("smoothing of soft targets of mass 2", CE, RANDOM, filled(0.4, 3, 5), label_smoothing=0.1,
       **_smooth)  # fmt: skip
policy("smoothing, mask and class weights", CE, RANDOM, [0, 3, 4], label_smoothing=0.1,
       where=HALF_MASK, class_weights=[1.0, 2.0, 3.0, 0.5, 0.25], **_smooth)  # fmt: skip

# The dtypes.
for _dtype in ("float16", "bfloat16"):
    policy(f"loss of {_dtype} logits", CE, normal(22, 4, 6), [0, 1, 5, 2], dtype=_dtype,
           policy="half")  # fmt: skip
policy("loss of float64 logits", CE, normal(22, 4, 6), [0, 1, 5, 2], dtype="float64",
       policy="double")  # fmt: skip
policy("softmax of float64", "softmax", normal(22, 4, 6), dtype="float64", policy="double")

# Shifts.
for _shift in (1e3, 1e6):
    policy(f"shift by {_shift:.0e}", CE, [[1.0 + _shift, 2.0 + _shift, 3.0 + _shift]], [0],
           policy="shift")  # fmt: skip
policy("shift by -1e6", CE, [[1.0 - 1e6, 2.0 - 1e6, 3.0 - 1e6]], [2], policy="shift")
policy("shift by 1e12, float64", CE, [[1.0 + 1e12, 2.0 + 1e12, 3.0 + 1e12]], [0],
       dtype="float64", policy="shift")  # fmt: skip
policy("shift by 1e6, confident", CE, [[1e6 + 20, 1e6, 1e6]], [0], policy="shift")
policy("shift by 1e6, soft", CE, [[1.0 + 1e6, 2.0 + 1e6, 3.0 + 1e6]], [[0.5, 0.25, 0.25]],
       policy="shift")  # fmt: skip
policy("shift by 1e6, softmax", "softmax", [[1.0 + 1e6, 2.0 + 1e6, 3.0 + 1e6]], policy="shift")
policy("shift by 1e6, temperature", CE, [[1.0 + 1e6, 2.0 + 1e6, 3.0 + 1e6]], [0],
       temperature=0.5, policy="shift")  # fmt: skip

# Probabilities are taken as they are.
_given: dict[str, Any] = {"from_logits": False, "policy": "probabilities"}
policy("p(target) = 0", CE, [[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]], [0, 0], reduction="none",
       **_given)  # fmt: skip
policy("p(target) = 1e-9", CE, [[1e-9, 0.5, 0.5]], [0], **_given)
policy("p(target) = 1e-30", CE, [[1e-30, 0.5, 0.5]], [0], **_given)
policy("p(target) = 1", CE, [[1.0, 0.0, 0.0]], [0], **_given)
policy("rows of probabilities not summing to 1", CE, [[0.4, 0.6, 1.0]], [0], **_given)
policy("binary p = 0 and 1", "binary_cross_entropy", [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0],
       reduction="none", **_given)  # fmt: skip

# Labels are never cast to a floating dtype.
for _dtype, _hit_class in (("bfloat16", 257), ("float16", 2049)):
    _peak = [10.0 if j == _hit_class else 0.0 for j in range(2 * _hit_class)]
    policy(f"label {_hit_class} in {_dtype}", CE, [_peak], [_hit_class], dtype=_dtype,
           policy="label-precision")  # fmt: skip
