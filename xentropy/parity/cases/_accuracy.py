"""Confident predictions, ties, large vocabularies: where the last places are lost."""

from __future__ import annotations

from xentropy.parity._declare import Group, filled, integers, normal, of, one_hot, simplex

accuracy = Group("accuracy")
vocabulary = Group("vocabularies")

CE = "cross_entropy"

# The true class leads by a margin: the loss and its gradient are about exp(-margin), never 0.
for _margin in (5, 10, 15, 20, 30, 50, 85):
    accuracy(f"margin {_margin}", CE, [[float(_margin), 0.0, 0.0]], [0])
for _margin in (17, 40, 300, 700):
    accuracy(f"margin {_margin}, float64", CE, [[float(_margin), 0.0, 0.0]], [0], dtype="float64")
for _margin in (15, 30, 85):
    accuracy(f"margin {_margin}, one-hot", CE, [[float(_margin), 0.0, 0.0]], one_hot([0], 3))
    accuracy(f"margin {_margin}, the other class", CE, [[float(_margin), 0.0, 0.0]], [1])
accuracy("margin 30, log_softmax", "log_softmax", [[30.0, 0.0, 0.0]])
accuracy("margin 30, logsumexp", "logsumexp", [[0.0, -30.0]], axis=-1)
accuracy("margin 40, logsumexp, float64", "logsumexp", [[0.0, -40.0]], axis=-1, dtype="float64")
accuracy("margin 30.3, not a round number", CE, [[30.3, 0.1, -0.2]], [0])
accuracy("margin 15 in bfloat16", CE, [[15.0, 0.0]], [0], dtype="bfloat16")
accuracy("margin 10 in float16", CE, [[10.0, 0.0]], [0], dtype="float16")
accuracy("margins in a batch, none", CE, [[float(m), 0.0] for m in range(0, 88, 8)], [0] * 11,
         reduction="none")  # fmt: skip
accuracy("margins in a batch, mean", CE, [[float(m), 0.0] for m in range(0, 88, 8)], [0] * 11)
accuracy("margin 30, class weights", CE, [[30.0, 0.0, 0.0]], [0], class_weights=[0.3, 1.0, 1.0],
         reduction="sum")  # fmt: skip
accuracy("margin 30, temperature 2", CE, [[60.0, 0.0, 0.0]], [0], temperature=2.0)
accuracy("margin 30 beside a mask", CE, [[30.0, 0.0, 99.0]], [0], where=[True, True, False])
for _name, _targets in (("", [0]), (", one-hot", one_hot([0], 2))):
    accuracy(f"margin 30 beside a z-loss{_name}", CE, [[30.0, 0.0]], _targets, z_loss=1e-7)
accuracy("margin 16, all but 1e-7 of the mass", CE, [[16.0, 0.0, 0.0]],
         [[1.0 - 2.0**-23, 2.0**-24, 2.0**-24]])  # fmt: skip

# Ties.
accuracy("two tops, label on one", CE, [[2.0, 2.0, 0.0]], [0])
accuracy("two tops, label on the other", CE, [[2.0, 2.0, 0.0]], [1])
accuracy("all tied", CE, [[0.5] * 7], [3])
accuracy("two tops far ahead", CE, [[40.0, 40.0, 0.0]], [1])
accuracy("two tops, softmax", "softmax", [[2.0, 2.0, 0.0]])
accuracy("two tops, logsumexp", "logsumexp", [[2.0, 2.0, 0.0]], axis=-1)
accuracy("largest finite logits", CE, [[3.0e38, -3.0e38, 0.0]], [0])
accuracy("largest finite logits, wrong", CE, [[1.5e38, -1.5e38, 0.0]], [1])
accuracy("tiny logits", CE, [[1e-30, -1e-30, 0.0]], [0])

for _dtype in ("float16", "bfloat16"):
    vocabulary(f"100000 zeros, {_dtype}", CE, filled(0.0, 1, 100_000), [4321], dtype=_dtype)
for _dtype in ("float16", "bfloat16", "float32", "float64"):
    vocabulary(f"1 x 32000, {_dtype}", CE, normal(31, 1, 32_000), [17], dtype=_dtype)
vocabulary("1 x 32000, smoothing", CE, normal(32, 1, 32_000), [17], label_smoothing=0.1)
vocabulary("1 x 32000, soft", CE, normal(33, 1, 32_000), simplex(34, 1, 32_000))
vocabulary("1 x 32000, z-loss", CE, normal(33, 1, 32_000), [31_000], z_loss=1e-4)
vocabulary("1 x 32000, logsumexp", "logsumexp", normal(32, 1, 32_000), axis=-1)
vocabulary("1 x 32000, softmax", "softmax", normal(32, 1, 32_000))
vocabulary("512 x 16, bfloat16, mean", CE, normal(35, 512, 16), integers(36, 16, 512),
           dtype="bfloat16")  # fmt: skip
vocabulary("2048 x 4, float16, sum", CE, normal(37, 2048, 4), integers(38, 4, 2048),
           dtype="float16", reduction="sum")  # fmt: skip
vocabulary("4 x 1025 x 5, float16, axis 1", CE, normal(39, 4, 1025, 5), integers(40, 1025, 4, 5),
           dtype="float16", axis=1)  # fmt: skip
vocabulary("1 x 65536, labels as uint16", CE, filled(0.0, 1, 65_536), of([65_535], "uint16"))
