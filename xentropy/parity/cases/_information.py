"""Entropy and Kullback-Leibler divergence."""

from __future__ import annotations

from typing import Any

from xentropy.parity._case import Array
from xentropy.parity._declare import INF, NAN, Group, filled, normal, of, plain, simplex

entropy = Group("entropy")
divergence = Group("kl_divergence")

H, KL = "entropy", "kl_divergence"
DTYPES = ("float16", "bfloat16", "float32", "float64")
TABLE, CUBE = normal(101, 3, 4), normal(102, 2, 3, 4)
MASK = [[True, False, True, True], [True, True, True, True], [False, False, True, False]]

for _dtype in DTYPES:
    entropy(_dtype, H, TABLE, dtype=_dtype)
# As confident as a row may be: the entropy is about margin * exp(-margin), never 0.
for _margin in (5, 15, 30, 80):
    entropy(f"margin {_margin}", H, [[float(_margin), 0.0, 0.0]])
for _margin in (17, 40, 300, 700):
    entropy(f"margin {_margin}, float64", H, [[float(_margin), 0.0, 0.0]], dtype="float64")
entropy("margins in a batch", H, [[float(m), 0.0] for m in range(0, 88, 8)])
entropy("two tops", H, [[2.0, 2.0, 0.0]])
entropy("two tops far ahead", H, [[40.0, 40.0, 0.0]])
entropy("all tied", H, [[0.5] * 7])
entropy("one class", H, [[5.0], [-2.0]])
entropy("one row without a batch", H, [1.0, 2.0, 3.0])
entropy("no rows", H, filled(0.0, 0, 3))
entropy("shift by 1e6", H, [[1.0 + 1e6, 2.0 + 1e6, 3.0 + 1e6]])
entropy("temperature 0.5", H, TABLE, temperature=0.5)
entropy("temperature 8, confident", H, [[200.0, 0.0, -100.0]], temperature=8.0)
entropy("axis 0", H, TABLE, axis=0)
entropy("axis 1, class mask", H, CUBE, axis=1, where=[True, False, True])
entropy("mask", H, TABLE, where=MASK)
entropy("mask beside a margin of 30", H, [[30.0, 0.0, 99.0]], where=[True, True, False])
entropy("NaN under the mask", H, [[1.0, 2.0, NAN]], where=[True, True, False],
        policy="ignored-garbage")  # fmt: skip
entropy("-inf among the classes", H, [[1.0, 2.0, -INF], [-INF, 0.5, -INF]], policy="zero-times-inf")
entropy("a row of -inf", H, [[-INF, -INF], [0.5, 1.5]], policy="all-minus-inf")
entropy("a row masked whole", H, [[1.0, 2.0], [0.5, 1.5]], where=[[False, False], [True, True]],
        policy="all-minus-inf")  # fmt: skip
entropy("+inf", H, [[1.0, INF, 2.0]], policy="plus-inf")
entropy("two +inf", H, [[INF, INF, 2.0]], policy="plus-inf")
entropy("a NaN logit", H, [[1.0, NAN, 2.0], [1.0, 2.0, 3.0]], policy="plus-inf")
for _dtype in ("bfloat16", "float32"):
    entropy(f"1 x 32000, {_dtype}", H, normal(103, 1, 32_000), dtype=_dtype)

LOGITS = normal(104, 3, 4)
PROBABILITIES, LOGS = simplex(105, 3, 4), normal(106, 3, 4, scale=0.6, shift=-1.5)
TEACHER = normal(107, 3, 4)
KINDS: dict[str, Array] = {
    "probabilities": PROBABILITIES,
    "log_probabilities": LOGS,
    "logits": TEACHER,
}
BOTH = ("logits", "targets")
SAMPLE_WEIGHTS = [1.5, 0.0, 0.25]
CLASS_MASK = [True, True, False, True]

for _kind, _targets in KINDS.items():
    _as: dict[str, Any] = {"targets_are": _kind}
    for _dtype in DTYPES:
        divergence(f"{_kind}, {_dtype}", KL, LOGITS, _targets, **_as, dtype=_dtype, wrt=BOTH)
    divergence(f"{_kind}, weights", KL, LOGITS, _targets, **_as, sample_weights=SAMPLE_WEIGHTS,
               wrt=(*BOTH, "sample_weights"))  # fmt: skip
    divergence(f"{_kind}, sum, temperature 2, axis 0", KL, LOGITS, _targets, **_as,
               reduction="sum", temperature=2.0, axis=0, wrt=BOTH)  # fmt: skip
for _normalizer in ("valid", "batch", 3.5):
    divergence(f"mean of {_normalizer}", KL, LOGITS, PROBABILITIES, sample_weights=SAMPLE_WEIGHTS,
               normalizer=_normalizer)  # fmt: skip
divergence("targets as lists", KL, [[1.0, 2.0]], plain([[0.25, 0.75]]))
divergence("no rows", KL, filled(0.0, 0, 3), filled(0.0, 0, 3), policy="nothing-kept")
divergence("weights 0", KL, LOGITS, TEACHER, targets_are="logits",
           sample_weights=[0.0, 0.0, 0.0], policy="nothing-kept")  # fmt: skip
divergence("float32 probabilities, bfloat16 logits", KL, LOGITS, PROBABILITIES.cast("float32"),
           dtype="bfloat16", wrt=BOTH, reduction="sum")  # fmt: skip
divergence("one-hot as int64", KL, LOGITS, of([[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]], "int64"))

# A mask, on which logits as targets have no mass either.
MASKED = [[0.25, 0.5, 0.0, 0.25]] * 3
divergence("mask, probabilities", KL, LOGITS, MASKED, where=CLASS_MASK)
divergence("mask, log_probabilities", KL, LOGITS, [[-1.0, -0.5, -INF, -2.0]] * 3,
           targets_are="log_probabilities", where=CLASS_MASK, wrt=BOTH)  # fmt: skip
divergence("mask, logits", KL, LOGITS, TEACHER, targets_are="logits", where=CLASS_MASK, wrt=BOTH)
divergence("NaN under the mask, logits", KL, [[1.0, 2.0, NAN]], [[2.0, 1.0, NAN]],
           targets_are="logits", where=[True, True, False], wrt=BOTH,
           policy="ignored-garbage")  # fmt: skip
divergence("NaN in a row of weight 0", KL, [[1.0, 2.0, 3.0], [NAN] * 3],
           [[0.25, 0.25, 0.5], [NAN] * 3], sample_weights=[1.0, 0.0],
           policy="ignored-garbage")  # fmt: skip
divergence("NaN in a row of weight 0, logits", KL, [[1.0, 2.0, 3.0], [NAN] * 3],
           [[2.0, 2.0, 1.0], [NAN] * 3], targets_are="logits", sample_weights=[1.0, 0.0], wrt=BOTH,
           policy="ignored-garbage")  # fmt: skip

#: The last of them confident, and what lies a little beside it.
FAR = [[2.0, 1.0, 0.0, -1.0], [0.0, 30.0, 0.0, 1.0], [30.0, 0.0, 0.0, 0.0]]
AROUND = [[2.5, 1.0, 0.0, -1.0], [30.0, 0.0, 0.0, 0.0], [30.0, 0.5, -0.25, 0.125]]
FARTHER, AROUND_FARTHER = (
    [[10 * x for x in row] for row in FAR],
    [[10 * x for x in row] for row in AROUND],
)

# Nearly equal distributions: the divergence is about half the mean square of the difference.
NEAR: dict[str, Any] = {"targets_are": "logits", "wrt": BOTH, "reduction": "none"}


def _near(apart: float, shift: float = 0.0) -> Array:
    """Logits this far from `LOGITS`."""
    steps = normal(108, 3, 4, scale=apart, shift=shift).values
    values = tuple(x + d for x, d in zip(LOGITS.values, steps, strict=True))
    return Array(LOGITS.dtype, LOGITS.shape, values)


for _apart in (1e-3, 1e-6):
    divergence(f"{_apart:.0e} apart", KL, LOGITS, _near(_apart), **NEAR)
for _apart in (1e-3, 1e-6, 1e-9):
    divergence(f"{_apart:.0e} apart, float64", KL, LOGITS, _near(_apart), dtype="float64", **NEAR)
divergence("1e-3 apart and a shift", KL, LOGITS, _near(1e-3, 0.25), **NEAR)
divergence("1e-3 apart, temperature 2", KL, LOGITS, _near(1e-3), temperature=2.0, **NEAR)
divergence("identical", KL, LOGITS, LOGITS, **NEAR)
divergence("confident and near", KL, FAR, AROUND, **NEAR)
divergence("confident and near, float64", KL, FARTHER, AROUND_FARTHER, dtype="float64", **NEAR)

# Probabilities of 0.
_zero: dict[str, Any] = {"reduction": "none", "policy": "zero-times-inf"}
ENDED = [[1.0, 2.0, 0.5, -INF]] * 3
divergence("one-hot", KL, FAR, [[1.0, 0.0, 0.0, 0.0]] * 3, **_zero)
divergence("probability 0", KL, LOGITS, MASKED, **_zero)
divergence("probability 0 on -inf", KL, ENDED, [[0.25, 0.75, 0.0, 0.0]] * 3, **_zero)
divergence("log-probability -inf", KL, LOGITS, [[-0.5, -1.0, -2.0, -INF]] * 3, **_zero,
           targets_are="log_probabilities", wrt=BOTH)  # fmt: skip
divergence("a teacher's -inf", KL, LOGITS, ENDED, **NEAR, policy="zero-times-inf")
divergence("both -inf", KL, ENDED, [[0.5, 1.0, 2.0, -INF]] * 3, **NEAR, policy="zero-times-inf")
_hit: dict[str, Any] = {"reduction": "none", "policy": "target-on-masked"}
divergence("probability on -inf", KL, ENDED, [[0.25, 0.5, 0.0, 0.25]] * 3, **_hit)
divergence("probability on a masked class", KL, LOGITS, [[0.25, 0.25, 0.25, 0.25]] * 3,
           where=CLASS_MASK, **_hit)  # fmt: skip
divergence("a teacher's mass on -inf", KL, ENDED, LOGITS, **_hit, targets_are="logits")
divergence("a row of -inf", KL, [[-INF] * 4, [0.0] * 4, [1.0] * 4], MASKED, reduction="none",
           policy="all-minus-inf")  # fmt: skip
LOOSE = [[0.5, 0.75, 0.25, 0.5], [0.0] * 4, MASKED[0]]
divergence("rows of mass 2 and 0", KL, LOGITS, LOOSE, reduction="none", policy="free-mass")
divergence("rows of mass 2 and 0, mean", KL, LOGITS, LOOSE, policy="free-mass")

for _dtype in ("bfloat16", "float32"):
    divergence(f"1 x 32000, {_dtype}", KL, normal(109, 1, 32_000), simplex(110, 1, 32_000),
               dtype=_dtype)  # fmt: skip
divergence("1 x 32000, logits", KL, normal(109, 1, 32_000), normal(111, 1, 32_000),
           targets_are="logits")  # fmt: skip
