"""The worked examples of the tutorial."""

from __future__ import annotations

import math

from xentropy.parity._declare import Group, integers, normal, one_hot

worked = Group("worked examples")

for _x in (
    [2.0, 1.0, 0.1],
    [0.1, 0.9, 3.0],
    [0.1, 0.9, 4.0],
    [0.72, 0.23, 0.05],
    [2.1, 0.5, -1.3],
):
    worked(f"softmax {_x}", "softmax", _x)
worked("softmax of one axis in float64", "softmax", [2.0, 1.0, 0.1], dtype="float64")
worked("-log of a softmax", "log_softmax", [0.72, 0.23, 0.05])

PROBABILITIES = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]
worked(
    "probabilities, one-hot",
    "cross_entropy",
    PROBABILITIES,
    one_hot([0, 0], 3),
    from_logits=False,
    reduction="none",
)
for _p in (0.8, 0.1):
    worked(
        f"divided by the entries, p={_p}",
        "cross_entropy",
        [[0.05, _p, 0.95 - _p]],
        [[0.0, 1.0, 0.0]],
        from_logits=False,
        normalizer=3,
    )
CONFIDENCES = [1.0, 0.9, 0.5, 0.1, 0.01, 0.0001]
worked(
    "-log p",
    "cross_entropy",
    [[p, 1 - p] for p in CONFIDENCES],
    [0] * 6,
    from_logits=False,
    reduction="none",
)
worked("logits, class 0", "cross_entropy", [[2.0, 1.0, 0.1]], [0], reduction="none")
worked("logits, class 0, wrong", "cross_entropy", [[0.5, 2.0, 0.3]], [0], reduction="none")

GOOD = [[0.1, 0.2, 3.9], [1.2, 0.1, 0.3], [0.3, 2.2, 0.2]]
BAD = [[0.9, 0.2, 0.1], [0.1, 0.3, 1.5], [1.2, 0.2, 0.5]]
worked("batch, good predictions", "cross_entropy", GOOD, [2, 0, 1])
worked("batch, bad predictions", "cross_entropy", BAD, [2, 0, 1])

KERAS = [[2.0, 1.0, 0.1, 0.2], [0.5, 2.5, 0.3, 0.1], [0.1, 0.2, 5.0, 0.1]]
WORSE = [[-2.0, -1.0, -0.1, -0.2], *KERAS[1:]]
worked("three frameworks, one-hot", "cross_entropy", KERAS, one_hot([0, 1, 2], 4))
worked("three frameworks, indices", "cross_entropy", KERAS, [0, 1, 2])
worked("three frameworks, float64", "cross_entropy", KERAS, [0, 1, 2], dtype="float64")
worked("a bad first row, one-hot", "cross_entropy", WORSE, one_hot([0, 1, 2], 4))
worked("a bad first row, indices", "cross_entropy", WORSE, [0, 1, 2])

SIX = [
    [3.8538, 2.9746, -0.9948],
    [0.8792, -1.5163, 2.1566],
    [1.6016, 3.3612, 0.7117],
    [-1.3732, 1.2209, 2.6695],
    [-0.4632, 0.0835, -0.5032],
    [1.7197, -0.6195, -0.7914],
]
PICKED = [0, 1, 0, 2, 2, 0]
LOG_SIX = [[v - math.log(math.fsum(map(math.exp, row))) for v in row] for row in SIX]
worked("three ways: softmax", "softmax", SIX, axis=1)
worked("three ways: log_softmax", "log_softmax", SIX, axis=1)
worked("three ways: nll_loss", "nll_loss", LOG_SIX, PICKED, reduction="none")
worked("three ways: cross_entropy", "cross_entropy", SIX, PICKED, reduction="none")

EDGES = [-1000.0, -30.0, -1.5, 0.0, 0.25, 7.0, 1000.0]
worked("binary from logits to 1000, ones", "binary_cross_entropy", EDGES, [1.0] * 7)
worked("binary from logits to 1000, zeros", "binary_cross_entropy", EDGES, [0.0] * 7)
worked(
    "binary from probabilities",
    "binary_cross_entropy",
    [0.2, 0.7, 0.9],
    [0.0, 1.0, 1.0],
    from_logits=False,
)
worked("a net's raw scores", "cross_entropy", normal(11, 8, 3), integers(12, 3, 8))
