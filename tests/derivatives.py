"""What can be differentiated, and in which ways: declared once, for the tests and for the docs.

A sample is a function with arrays and its definition, straight from a textbook, in arbitrary
precision; its derivatives are differences of that. A transform is a way to differentiate that a
framework has. ``test_derivatives.py`` tries every transform on every sample, and
``tools/derivative_table.py`` writes the table of docs/derivatives.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
from shares import SHARE

Arrays = Mapping[str, np.ndarray]

#: How each backend differentiates: the names of the functions in ``transforms_*.py``.
TRANSFORMS: Mapping[str, tuple[str, ...]] = {
    "numpy": ("value_and_grad",),
    "torch": (
        "backward",
        "double backward",
        "gradcheck",
        "gradgradcheck",
        "forward mode",
        "func.grad",
        "func.vmap",
        "func.jvp",
        "func.jacfwd",
        "func.jacrev",
        "func.hessian",
        "func.jacfwd twice",
        "forward over reverse",
        "compile, aot_eager",
        "forward mode of compiled",
        "compile, func.hessian",
        "compile, inductor, dynamic",
        "autocast",
        "export",
    ),
    "tensorflow": (
        "gradient tape",
        "nested tapes",
        "forward accumulator",
        "accumulator over tape",
        "vectorized_map",
        "function, unknown shapes",
        "function, XLA",
        "accumulator in a function",
        "saved model",
    ),
    "jax": (
        "grad",
        "jvp",
        "jvp of grad",
        "grad of grad",
        "hessian",
        "vmap",
        "jit",
        "scan",
        "checkpoint",
        "shard_map",
        "checking_leaks",
        "x64 off",
    ),
}


#: The samples, one of each kind of rule, for what takes a C++ compiler to try.
KINDS = (
    "cross_entropy, labels",
    "cross_entropy, probabilities",
    "binary_cross_entropy",
    "kl_divergence, logits",
    "softmax",
    "score",
    "linear_cross_entropy, labels",
)
#: The ways that are tried with these alone.
SLOW = ("compile, inductor, dynamic",)


def tried(way: str, sample: str) -> bool:
    """Whether a sample is differentiated in this way."""
    return way not in SLOW or sample in KINDS


def chosen(backend: str, *, thorough: bool) -> list[tuple[str, str]]:
    """The ways of a backend with their samples: each way, and each sample, has its share."""
    ways = TRANSFORMS.get(backend, ())
    found = [(way, sample) for way in ways for sample in SAMPLES if tried(way, sample)]
    if thorough or len(ways) < SHARE:
        return found
    place = {name: i for i, name in enumerate((*ways, *SAMPLES))}
    return [(w, s) for w, s in found if (place[w] + place[s]) % SHARE == 0]


@dataclass(frozen=True)
class Sample:
    """A public function with its arguments.

    ``leaves`` are differentiated by, ``constants`` are arrays that are not, ``exact`` takes
    everything in arrays of mpmath numbers. Of a function with several results, ``fields`` says
    how much of each is summed.
    """

    function: str
    leaves: Arrays
    exact: Callable[..., np.ndarray]
    constants: Arrays = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, int] = field(default_factory=dict)

    def call(self, constants: Mapping[str, Any], *leaves: Any) -> Any:
        """The function of the leaves."""
        import xentropy as xe

        named = dict(zip(self.leaves, leaves, strict=True))
        result = getattr(xe, self.function)(**named, **constants, **self.options)
        if not self.fields:
            return result
        parts = [share * getattr(result, name) for name, share in self.fields.items()]
        return functools.reduce(lambda a, b: a + b, parts)


# Definitions: object arrays of mpmath numbers, no shift by the maximum, no log1p.

DIGITS = 60
STEP = mpmath.mpf(10) ** -15


def elementwise(function: Callable[[Any], Any]) -> Callable[[Any], np.ndarray]:
    return lambda x: np.asarray(np.frompyfunc(function, 1, 1)(x))


exp, log, tanh = (elementwise(f) for f in (mpmath.exp, mpmath.log, mpmath.tanh))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = exp(x)
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + exp(-x))


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return (labels[..., None] == np.arange(classes)).astype(int)


def coefficients(
    shape: tuple[int, ...],
    targets: np.ndarray,
    class_weights: Any = 1,
    sample_weights: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """t_ij and s_i."""
    kept = np.ones(shape[:-1], int)
    if targets.ndim < len(shape):
        kept = (targets != ignore_index).astype(int)
        targets = one_hot(targets, shape[-1])
    scale = kept if sample_weights is None else kept * sample_weights
    e = mpmath.mpf(label_smoothing)
    smooth = (1 - e) * targets + e * targets.sum(-1, keepdims=True) / mpmath.mpf(shape[-1])
    return scale[..., None] * smooth * class_weights, scale


def mean_of(rows: np.ndarray, t: np.ndarray) -> Any:
    return rows.sum() / t.sum()


def bent_loss(curve: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    """The mean of t f(-log p): cross-entropy, focal loss and the others by their f(p)."""

    def loss(
        logits: np.ndarray,
        targets: np.ndarray,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
        alpha: Any = 1,
        **options: Any,
    ) -> Any:
        z = logits if softcap is None else softcap * tanh(logits / softcap)
        z = z / mpmath.mpf(temperature)
        t, scale = coefficients(z.shape, targets, **options)
        rows = (t * alpha * curve(softmax(z))).sum(-1)
        rows = rows + mpmath.mpf(z_loss) * scale * log(exp(z).sum(-1)) ** 2
        return mean_of(rows, t)

    return loss


def focal(p: np.ndarray, gamma: float = 2.0) -> np.ndarray:
    return (1 - p) ** mpmath.mpf(gamma) * -log(p)


def nll_loss(log_probs: np.ndarray, targets: np.ndarray, **options: Any) -> Any:
    t, _ = coefficients(log_probs.shape, targets, **options)
    return mean_of(-(t * log_probs).sum(-1), t)


def pair_loss(curve: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    def loss(
        logits: np.ndarray,
        targets: np.ndarray,
        pos_weight: Any = 1,
        sample_weights: Any = 1,
        alpha: float | None = None,
        form: str = "sigmoid",
    ) -> Any:
        assert form == "sigmoid"
        on, off = sample_weights * pos_weight * targets, sample_weights * (1 - targets)
        share = (1, 1) if alpha is None else (mpmath.mpf(alpha), 1 - mpmath.mpf(alpha))
        p = sigmoid(logits)
        losses = share[0] * on * curve(p) + share[1] * off * curve(1 - p)
        return losses.sum() / (on + off).sum()

    return loss


def kl_divergence(
    logits: np.ndarray,
    targets: np.ndarray,
    targets_are: str = "probabilities",
    sample_weights: Any = None,
    temperature: float = 1.0,
) -> Any:
    t = targets
    if targets_are == "log_probabilities":
        t = exp(targets)
    if targets_are == "logits":
        t = softmax(targets / mpmath.mpf(temperature))
    t_scaled = t if sample_weights is None else sample_weights[..., None] * t
    return (t_scaled * log(t / softmax(logits / mpmath.mpf(temperature)))).sum() / t_scaled.sum()


def entropy(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    p = softmax(logits / mpmath.mpf(temperature))
    return -(p * log(p)).sum(-1)


def logsumexp(x: np.ndarray, b: Any = 1) -> np.ndarray:
    return log((b * exp(x)).sum(-1))


def score(logits: np.ndarray, targets: np.ndarray, class_weights: Any = 1) -> np.ndarray:
    p, t = softmax(logits), coefficients(logits.shape, targets)[0]
    log_prob = (t * log(p)).sum(-1)
    loss = -(t * class_weights * log(p)).sum(-1)
    lse = log(exp(logits).sum(-1))
    return loss + 2 * log_prob + 3 * lse + 4 * entropy(logits)


def of_head(loss: Callable[..., Any]) -> Callable[..., Any]:
    """A function of logits, of a head's."""

    def linear(hidden: np.ndarray, weight: np.ndarray, bias: Any = 0, **others: Any) -> Any:
        return loss(hidden @ weight.T + bias, **others)

    return linear


# Samples.

RNG = np.random.default_rng(2024)
ROWS, CLASSES = 2, 3
X = RNG.standard_normal((ROWS, CLASSES))
Y = RNG.standard_normal((ROWS, CLASSES))
P = RNG.uniform(0.2, 0.9, (ROWS, CLASSES))
LABELS = np.array([2, 0])
BY_CLASS = RNG.uniform(0.5, 1.5, CLASSES)
BY_ROW = RNG.uniform(0.5, 1.5, ROWS)
HEAD = RNG.standard_normal((CLASSES, CLASSES))

HARD = {"targets": LABELS}
WEIGHTS = {"class_weights": BY_CLASS, "sample_weights": BY_ROW}
SCORE = {"loss": 1, "log_prob": 2, "lse": 3, "entropy": 4}
cross_entropy = bent_loss(lambda p: -log(p))

SAMPLES: Mapping[str, Sample] = {
    "cross_entropy, labels": Sample(
        "cross_entropy",
        {"logits": X, **WEIGHTS},
        cross_entropy,
        HARD,
        {"label_smoothing": 0.1, "z_loss": 0.1, "temperature": 0.7, "softcap": 3.0},
    ),
    "cross_entropy, probabilities": Sample(
        "cross_entropy",
        {"logits": X, "targets": P, **WEIGHTS},
        cross_entropy,
        options={"label_smoothing": 0.1},
    ),
    "cross_entropy, ties": Sample(
        "cross_entropy",
        {"logits": np.array([[1.0, 1.0, 0.25], [0.5, -1.0, 0.5]]), "sample_weights": BY_ROW},
        cross_entropy,
        HARD,
    ),
    "nll_loss": Sample("nll_loss", {"log_probs": Y - 2, "targets": P, **WEIGHTS}, nll_loss),
    "binary_cross_entropy": Sample(
        "binary_cross_entropy",
        {"logits": X, "targets": P, "pos_weight": BY_CLASS, "sample_weights": np.abs(Y) + 0.1},
        pair_loss(lambda p: -log(p)),
    ),
    "binary_cross_entropy, logits of 0": Sample(
        "binary_cross_entropy", {"logits": 0 * X, "targets": P}, pair_loss(lambda p: -log(p))
    ),
    "kl_divergence, probabilities": Sample(
        "kl_divergence", {"logits": X, "targets": P, "sample_weights": BY_ROW}, kl_divergence
    ),
    "kl_divergence, log-probabilities": Sample(
        "kl_divergence",
        {"logits": X, "targets": Y - 2, "sample_weights": BY_ROW},
        kl_divergence,
        options={"targets_are": "log_probabilities"},
    ),
    "kl_divergence, logits": Sample(
        "kl_divergence",
        {"logits": X, "targets": Y, "sample_weights": BY_ROW},
        kl_divergence,
        options={"targets_are": "logits", "temperature": 0.7},
    ),
    "entropy": Sample("entropy", {"logits": X}, entropy, options={"temperature": 0.7}),
    "focal_loss, softmax": Sample(
        "focal_loss",
        {"logits": X, "alpha": BY_CLASS, **WEIGHTS},
        bent_loss(focal),
        HARD,
        {"label_smoothing": 0.1},
    ),
    "focal_loss, sigmoid": Sample(
        "focal_loss",
        {"logits": X, "targets": P, "pos_weight": BY_CLASS},
        pair_loss(focal),
        options={"form": "sigmoid", "alpha": 0.25},
    ),
    "poly_loss": Sample(
        "poly_loss", {"logits": X, "targets": P}, bent_loss(lambda p: -log(p) + 2 * (1 - p))
    ),
    "generalized_cross_entropy": Sample(
        "generalized_cross_entropy",
        {"logits": X, **WEIGHTS},
        bent_loss(lambda p: (1 - p ** mpmath.mpf(0.7)) / mpmath.mpf(0.7)),
        HARD,
    ),
    "logsumexp": Sample("logsumexp", {"x": X, "b": P}, logsumexp),
    "softmax": Sample("softmax", {"x": X}, softmax),
    "log_softmax": Sample("log_softmax", {"x": X}, lambda x: log(softmax(x))),
    "sigmoid": Sample("sigmoid", {"x": X}, sigmoid),
    "log_sigmoid": Sample("log_sigmoid", {"x": X}, lambda x: log(sigmoid(x))),
    "score": Sample(
        "score",
        {"logits": X, "targets": P, "class_weights": BY_CLASS},
        score,
        fields=SCORE,
    ),
    "linear_cross_entropy, labels": Sample(
        "linear_cross_entropy",
        {"hidden": X, "weight": HEAD, "bias": BY_CLASS, **WEIGHTS},
        of_head(cross_entropy),
        HARD,
        {"label_smoothing": 0.1, "z_loss": 0.1, "temperature": 0.7, "softcap": 3.0},
    ),
    "linear_cross_entropy, probabilities": Sample(
        "linear_cross_entropy",
        {"hidden": X, "weight": HEAD, "targets": P},
        of_head(cross_entropy),
    ),
    "linear_score": Sample(
        "linear_score",
        {"hidden": X, "weight": HEAD, "targets": P, "class_weights": BY_CLASS},
        of_head(score),
        fields=SCORE,
    ),
}


# What the derivatives are: differences of the definition with a step of 1e-15 in 60 digits.


@dataclass(frozen=True)
class Exact:
    """The value in float64, and of the sum of ``weights`` times it: the derivatives.

    ``gradient`` and ``product``, the derivative of the gradient along ``directions``, have an
    array for each leaf; ``slope`` is the derivative along them.
    """

    value: np.ndarray
    weights: np.ndarray
    directions: list[np.ndarray]
    gradient: list[np.ndarray]
    slope: float
    product: list[np.ndarray]


def directions_of(sample: Sample) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.standard_normal(leaf.shape) for leaf in sample.leaves.values()]


@dataclass(frozen=True)
class Found:
    """What a transform found, to so many digits; ``known`` where it found something else."""

    value: float | None = None
    gradient: list[np.ndarray] | None = None
    slope: float | None = None
    product: list[np.ndarray] | None = None
    digits: int = 10
    known: Exact | None = None


@functools.cache
def exact(name: str, *, weighted: bool = True) -> Exact:
    """The value and the derivatives of a sample, of its plain sum if it is not weighted."""
    with mpmath.workdps(DIGITS):
        sample = SAMPLES[name]
        value = _value(sample, _precise(sample.leaves.values()))
        weights = np.random.default_rng(8).uniform(0.5, 1.5, value.shape)
        weights = weights if weighted else np.ones(value.shape)
        differ = _Differences(sample, weights, directions_of(sample))
        return Exact(
            value.astype(float),
            weights,
            differ.directions,
            [g.astype(float) for g in differ.gradient(differ.leaves)],
            float(differ.slope(differ.leaves)),
            [g.astype(float) for g in differ.product()],
        )


def _precise(arrays: Any) -> list[np.ndarray]:
    return [elementwise(mpmath.mpf)(array) for array in arrays]


def _value(sample: Sample, leaves: list[np.ndarray]) -> np.ndarray:
    named = dict(zip(sample.leaves, leaves, strict=True))
    return np.asarray(sample.exact(**named, **sample.constants, **sample.options))


class _Differences:
    def __init__(self, sample: Sample, weights: np.ndarray, directions: list[np.ndarray]) -> None:
        self.sample, self.weights, self.directions = sample, weights, directions
        self.leaves = _precise(sample.leaves.values())

    def total(self, leaves: list[np.ndarray]) -> Any:
        return np.sum(np.asarray(self.weights * _value(self.sample, leaves), object))

    def along(self, leaves: list[np.ndarray], step: Any) -> list[np.ndarray]:
        return [x + step * v for x, v in zip(leaves, self.directions, strict=True)]

    def slope(self, leaves: list[np.ndarray]) -> Any:
        up, down = (self.total(self.along(leaves, s * STEP)) for s in (1, -1))
        return (up - down) / (2 * STEP)

    def gradient(self, leaves: list[np.ndarray]) -> list[np.ndarray]:
        return [self._by(leaves, i) for i in range(len(leaves))]

    def _by(self, leaves: list[np.ndarray], i: int) -> np.ndarray:
        found = np.empty(leaves[i].shape, object)
        for place in np.ndindex(*found.shape):
            ends = []
            for sign in (1, -1):
                moved = [x.copy() for x in leaves]
                moved[i][place] += sign * STEP
                ends.append(self.total(moved))
            found[place] = (ends[0] - ends[1]) / (2 * STEP)
        return found

    def product(self) -> list[np.ndarray]:
        up, down = (self.gradient(self.along(self.leaves, s * STEP)) for s in (1, -1))
        return [(a - b) / (2 * STEP) for a, b in zip(up, down, strict=True)]
