"""Input that is refused: the class of the error, and what its message must name."""

from __future__ import annotations

from typing import Any

from xentropy.parity._case import array
from xentropy.parity._declare import NAN, Group, filled, foreign, of, plain, unknown

errors = Group("errors")

CE, BCE = "cross_entropy", "binary_cross_entropy"
TWO = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
LABELS = [0, 1]

_type: dict[str, Any] = {"raises": "TypeError", "policy": "logits-dtype"}
errors("integer logits", CE, TWO, LABELS, dtype="int32", says=("int32",), **_type)
errors("integer logits, softmax", "softmax", TWO, dtype="int64", says=("int64",), **_type)
errors("integer logits, logsumexp", "logsumexp", TWO, dtype="int32", says=("int32",), **_type)
errors("integer logits, sigmoid", "sigmoid", TWO, dtype="int32", says=("int32",), **_type)
errors("integer logits, binary", BCE, [1.0, 2.0], [1.0, 0.0], dtype="int32", says=("int32",),
       **_type)  # fmt: skip
errors("complex logits", CE, TWO, LABELS, dtype="complex64", says=("complex64",), **_type)
errors("complex logits, softmax", "softmax", TWO, dtype="complex64", says=("complex64",), **_type)
errors("truth values as logits", "softmax", [[1.0, 0.0]], dtype="bool", says=("bool",), **_type)
errors("truth values as labels", CE, TWO, of([0, 1], "bool"), raises="TypeError", says=("bool",))
errors("floats as labels", CE, TWO, of([0.0, 1.0], "float32"), raises="TypeError",
       says=("float32",))  # fmt: skip

_shape: dict[str, Any] = {"raises": "ValueError", "policy": "shapes"}
errors("three labels for two rows", CE, TWO, [0, 1, 2], says=("(2, 3)", "(3,)"), **_shape)
errors("labels with a class axis", CE, TWO, [[0], [1]], says=("(2, 3)", "(2, 1)"), **_shape)
errors("soft targets of another width", CE, TWO, filled(0.25, 2, 4), says=("(2, 3)", "(2, 4)"),
       **_shape)  # fmt: skip
errors("soft targets that would broadcast", CE, TWO, filled(0.25, 1, 3), says=("(2, 3)", "(1, 3)"),
       **_shape)  # fmt: skip
errors("soft targets with an axis more", CE, TWO, filled(0.25, 1, 2, 3),
       says=("(2, 3)", "(1, 2, 3)"), **_shape)  # fmt: skip
errors("two class weights for three classes", CE, TWO, LABELS, class_weights=[1.0, 2.0],
       says=("(2,)",), **_shape)  # fmt: skip
errors("sample weights with an axis more", CE, TWO, LABELS, sample_weights=[[1.0], [1.0]],
       says=("(2, 1)",), **_shape)  # fmt: skip
errors("three sample weights for two rows", CE, TWO, LABELS, sample_weights=[1.0, 1.0, 1.0],
       says=("(3,)",), **_shape)  # fmt: skip
errors("a mask of another width", CE, TWO, LABELS, where=[True, False], says=("(2,)",), **_shape)
errors("binary targets that would broadcast", BCE, [1.0, 2.0], [[1.0], [0.0]],
       says=("(2,)", "(2, 1)"), **_shape)  # fmt: skip
errors("binary, pos_weight of another width", BCE, [1.0, 2.0], [1.0, 0.0],
       pos_weight=[1.0, 2.0, 3.0], says=("(3,)",), **_shape)  # fmt: skip
errors("an axis that is not there", CE, TWO, LABELS, axis=2, raises="ValueError",
       says=("axis", "2"))  # fmt: skip
errors("a bare number as logits", "softmax", array(1.0), raises="ValueError", says=("()",))
errors("no classes", CE, filled(0.0, 2, 0), LABELS, raises="ValueError", says=("(2, 0)",))

_range: dict[str, Any] = {"raises": "ValueError", "policy": "option-range"}
for _value in (-0.1, 1.5):
    errors(f"label_smoothing {_value}", CE, TWO, LABELS, label_smoothing=_value,
           says=("label_smoothing", str(_value)), **_range)  # fmt: skip
errors("label_smoothing 2, binary", BCE, [1.0], [1.0], label_smoothing=2.0,
       says=("label_smoothing", "2.0"), **_range)  # fmt: skip
for _value in (0.0, -1.0):
    errors(f"temperature {_value}", CE, TWO, LABELS, temperature=_value,
           says=("temperature", str(_value)), **_range)  # fmt: skip
errors("temperature NaN, softmax", "softmax", TWO, temperature=NAN, says=("temperature", "nan"),
       **_range)  # fmt: skip
errors("softcap 0", CE, TWO, LABELS, softcap=0.0, says=("softcap", "0.0"), **_range)
errors("z_loss -1", CE, TWO, LABELS, z_loss=-1.0, says=("z_loss", "-1.0"), **_range)
errors("reduction 'average'", CE, TWO, LABELS, reduction="average", says=("reduction", "average"),
       **_range)  # fmt: skip
errors("reduction 'average', binary", BCE, [1.0], [1.0], reduction="average",
       says=("reduction", "average"), **_range)  # fmt: skip
errors("normalizer 'rows'", CE, TWO, LABELS, normalizer="rows", says=("normalizer", "rows"),
       **_range)  # fmt: skip
errors("a normalizer for a sum", CE, TWO, LABELS, reduction="sum", normalizer="batch",
       says=("normalizer",), **_range)  # fmt: skip
errors("ignore_index with soft targets", CE, TWO, filled(0.25, 2, 3), ignore_index=-1,
       says=("ignore_index",), **_range)  # fmt: skip
for _option in ("temperature", "softcap", "z_loss"):
    _two: dict[str, Any] = {_option: 2.0}
    errors(f"probabilities and {_option}", CE, TWO, LABELS, from_logits=False, **_two,
           says=(_option, "from_logits"), **_range)  # fmt: skip

errors("labels of another framework", CE, TWO, foreign([0, 1], "int32"), raises="TypeError",
       says=("numpy",))  # fmt: skip
errors("class weights of another framework", CE, TWO, LABELS,
       class_weights=foreign([1.0, 1.0, 1.0]), raises="TypeError", says=("numpy",))  # fmt: skip
errors("an object no backend knows", "softmax", unknown(), raises="TypeError", says=("install",))
errors("a list as logits", CE, plain(TWO), LABELS, raises="TypeError", says=("list",))

# The other losses.
KL, FOCAL, POLY, GCE = "kl_divergence", "focal_loss", "poly_loss", "generalized_cross_entropy"
for _name in (FOCAL, POLY, GCE, "score"):
    errors(f"integer logits, {_name}", _name, TWO, LABELS, dtype="int32", says=("int32",), **_type)
    errors(f"three labels for two rows, {_name}", _name, TWO, [0, 1, 2], says=("(2, 3)", "(3,)"),
           **_shape)  # fmt: skip
errors("integer logits, entropy", "entropy", TWO, dtype="int32", says=("int32",), **_type)
errors("integer logits, kl_divergence", KL, TWO, filled(0.25, 2, 3), dtype="int32",
       says=("int32",), **_type)  # fmt: skip
errors("targets of another width, kl_divergence", KL, TWO, filled(0.25, 2, 4),
       says=("(2, 3)", "(2, 4)"), **_shape)  # fmt: skip
errors("targets that would broadcast, kl_divergence", KL, TWO, filled(0.25, 1, 3),
       says=("(2, 3)", "(1, 3)"), **_shape)  # fmt: skip
errors("targets without classes, kl_divergence", KL, TWO, filled(0.25, 2), says=("(2, 3)", "(2,)"),
       **_shape)  # fmt: skip
errors("two alphas for three classes", FOCAL, TWO, LABELS, alpha=[0.5, 1.0], says=("(2,)",),
       **_shape)  # fmt: skip
errors("targets_are 'labels'", KL, TWO, filled(0.25, 2, 3), targets_are="labels",
       says=("targets_are", "labels"), **_range)  # fmt: skip
errors("form 'hard'", FOCAL, TWO, LABELS, form="hard", says=("form", "hard"), **_range)
errors("gamma -1", FOCAL, TWO, LABELS, gamma=-1.0, says=("gamma", "-1.0"), **_range)
errors("alpha -0.5", FOCAL, TWO, LABELS, alpha=-0.5, says=("alpha", "-0.5"), **_range)
errors("alpha 1.5, sigmoid", FOCAL, [1.0], [1.0], form="sigmoid", alpha=1.5, says=("alpha", "1.5"),
       **_range)  # fmt: skip
errors("epsilon -1.5", POLY, TWO, LABELS, epsilon=-1.5, says=("epsilon", "-1.5"), **_range)
for _value in (0.0, -0.5, 1.5):
    errors(f"q {_value}", GCE, TWO, LABELS, q=_value, says=("q", str(_value)), **_range)
errors("pos_weight, softmax", FOCAL, TWO, LABELS, pos_weight=2.0, says=("pos_weight", "form"),
       **_range)  # fmt: skip
errors("ignore_index, sigmoid", FOCAL, [1.0], [1.0], form="sigmoid", ignore_index=-1,
       says=("ignore_index", "form"), **_range)  # fmt: skip
errors("temperature 0, entropy", "entropy", TWO, temperature=0.0, says=("temperature", "0.0"),
       **_range)  # fmt: skip
errors("temperature 0, kl_divergence", KL, TWO, filled(0.25, 2, 3), temperature=0.0,
       says=("temperature", "0.0"), **_range)  # fmt: skip
