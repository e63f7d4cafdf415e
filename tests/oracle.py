"""The losses straight from their definitions in float64 NumPy and mpmath, not from the core.

Nothing here is stable or fast: inputs are small, and gradients come from central differences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

#: The loss of a class by its probability.
Curve = Callable[[np.ndarray], np.ndarray]


def coefficients(
    targets: np.ndarray,
    shape: tuple[int, ...],
    axis: int,
    *,
    class_weights: Any = None,
    sample_weights: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    where: Any = None,
) -> np.ndarray:
    """t_ij with the class axis moved to the end, by its definition.

    Smoothing spreads a share of what a row has over the classes that take part; weights come last.
    """
    classes = shape[axis]
    mask = np.ones(shape, bool) if where is None else spread(where, shape, axis)
    mask = np.moveaxis(mask, axis, -1)
    if targets.shape == shape:
        base = np.moveaxis(targets, axis, -1).astype(np.float64)
        scale = np.ones(base.shape[:-1])
    else:
        kept = np.ones(targets.shape, bool) if ignore_index is None else targets != ignore_index
        scale = kept.astype(np.float64)
        base = ((np.arange(classes) == targets[..., None]) & kept[..., None]).astype(np.float64)
    if sample_weights is not None:
        scale = scale * sample_weights
    taking_part = np.maximum(mask.sum(-1, keepdims=True), 1)
    share = label_smoothing * base.sum(-1, keepdims=True) / taking_part
    weights = np.ones(classes) if class_weights is None else np.asarray(class_weights)
    t = (1 - label_smoothing) * base + np.where(mask, share, 0.0)
    return scale[..., None] * weights * t


def spread(where: Any, shape: tuple[int, ...], axis: int) -> np.ndarray:
    where = np.asarray(where)
    if where.ndim == 1 and len(shape) > 1:
        where = where.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])
    return np.broadcast_to(where, shape)


def cross_entropy(
    x: np.ndarray,
    targets: np.ndarray,
    *,
    axis: int = -1,
    source: str = "logits",
    where: Any = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    reduction: str = "mean",
    normalizer: Any = "weights",
    sample_weights: Any = None,
    ignore_index: int | None = None,
    curve: Curve = lambda p: -np.log(p),
    alpha: Any = 1.0,
    **options: Any,
) -> Any:
    """The loss over classes by its definition: the sum of t alpha f(p), over every class.

    f is -log p, or another ``curve``; ``alpha`` is not part of what a mean divides by.
    """
    shape = x.shape
    scale = np.ones(tuple(np.delete(shape, axis)))
    if sample_weights is not None:
        scale = scale * sample_weights
    if ignore_index is not None and targets.shape != shape:
        scale = np.where(targets == ignore_index, 0.0, scale)
    t = coefficients(
        targets,
        shape,
        axis,
        where=where,
        sample_weights=sample_weights,
        ignore_index=ignore_index,
        **options,
    )
    log_p, lse = log_probabilities(x, axis, source, where, temperature, softcap)
    with np.errstate(divide="ignore"):
        losses = curve(np.exp(np.where(t == 0, 0.0, log_p)))
    rows = np.sum(np.where(t == 0, 0.0, t * alpha * losses), axis=-1)
    if z_loss:
        rows = rows + z_loss * scale * lse**2
    counts = {"weights": t.sum(), "valid": (scale != 0).sum(), "batch": scale.size}
    return reduced(rows, reduction, counts, normalizer)


def log_probabilities(
    x: np.ndarray, axis: int, source: str, where: Any, temperature: float, softcap: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """log p with the class axis last, and the logsumexp of the rows."""
    z = np.moveaxis(np.asarray(x, np.float64), axis, -1)
    if source == "probabilities":
        return np.log(z), np.zeros(z.shape[:-1])
    if source == "log_probabilities":
        return z, np.zeros(z.shape[:-1])
    if softcap is not None:
        z = softcap * np.tanh(z / softcap)
    if where is not None:
        z = np.where(np.moveaxis(spread(where, x.shape, axis), axis, -1), z, -np.inf)
    z = z / temperature
    lse = np.log(np.sum(np.exp(z), axis=-1))
    return z - lse[..., None], lse


def reduced(rows: np.ndarray, reduction: str, counts: dict[str, Any], normalizer: Any) -> Any:
    if reduction == "none":
        return rows
    if reduction == "sum":
        return rows.sum()
    count = counts[normalizer] if isinstance(normalizer, str) else normalizer
    return 0.0 if count == 0 else rows.sum() / count


def binary_cross_entropy(
    x: np.ndarray,
    targets: np.ndarray,
    *,
    from_logits: bool = True,
    pos_weight: Any = 1.0,
    sample_weights: Any = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    normalizer: Any = "weights",
    curve: Curve = lambda p: -np.log(p),
    alpha: float | None = None,
) -> Any:
    """The binary loss by its definition, from the probability; options as in cross_entropy."""
    p = np.asarray(x, np.float64)
    p = 1 / (1 + np.exp(-p)) if from_logits else p
    scale = np.ones(p.shape) if sample_weights is None else np.asarray(sample_weights, np.float64)
    on = scale * pos_weight * ((1 - label_smoothing) * targets + label_smoothing / 2)
    off = scale * ((1 - label_smoothing) * (1 - targets) + label_smoothing / 2)
    yes, no = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    rows = yes * on * curve(p) + no * off * curve(1 - p)
    counts = {"weights": (on + off).sum(), "valid": (scale != 0).sum(), "batch": scale.size}
    return reduced(rows, reduction, counts, normalizer)


def gradient(
    function: Callable[[np.ndarray], Any], x: np.ndarray, step: float = 1e-4
) -> np.ndarray:
    """The gradient of the sum of a function's values by the five-point central difference."""
    x = np.asarray(x, np.float64)
    result = np.zeros_like(x)
    for place in np.ndindex(*x.shape):

        def at(steps: int, place: tuple[int, ...] = place) -> float:
            moved = x.copy()
            moved[place] += steps * step
            return float(np.sum(function(moved)))

        result[place] = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
    return result


def exact_row(
    x: Any, t: Any, temperature: float = 1.0
) -> tuple[mpmath.mpf, list[mpmath.mpf], list[mpmath.mpf]]:
    """Loss, gradient and probabilities of one row with finite entries, far beyond float64."""
    # 1 - p of a confident class needs as many digits more as p has zeros.
    span = float(np.max(x)) - float(np.min(x))
    with mpmath.workdps(60 + int(span / temperature / 2)):
        z = [mpmath.mpf(float(v)) / mpmath.mpf(temperature) for v in x]
        t = [mpmath.mpf(float(v)) for v in t]
        top = max(z)
        powers = [mpmath.exp(v - top) for v in z]
        total = mpmath.fsum(powers)
        lse = top + mpmath.log(total)
        loss = mpmath.fsum(c * (lse - v) for c, v in zip(t, z, strict=True))
        mass = mpmath.fsum(t)
        p = [v / total for v in powers]
        gradient = [(mass * q - c) / temperature for q, c in zip(p, t, strict=True)]
    return loss, gradient, p


def ulps(got: Any, exact: mpmath.mpf, dtype: str, scale: Any = None) -> float:
    """The error in units in the last place of ``exact``, or of a larger ``scale``."""
    size = abs(exact) if scale is None else abs(scale)
    kind = np.dtype(dtype).type
    spacing = mpmath.mpf(float(np.spacing(kind(float(size)))))
    with mpmath.workdps(80):
        return float(abs(mpmath.mpf(float(got)) - exact) / spacing)


def precise_row(
    function: Callable[[list[mpmath.mpf]], mpmath.mpf], x: Any, digits: int = 120
) -> tuple[mpmath.mpf, list[mpmath.mpf]]:
    """A function of a row of numbers and its gradient, by differences in many digits."""
    with mpmath.workdps(digits):
        row = [mpmath.mpf(float(v)) for v in x]
        step = mpmath.mpf(10) ** (-digits // 3)

        def slope(j: int) -> mpmath.mpf:
            ends = [function([*row[:j], row[j] + s * step, *row[j + 1 :]]) for s in (1, -1)]
            return (ends[0] - ends[1]) / (2 * step)

        return function(row), [slope(j) for j in range(len(row))]


def precise_softmax(x: Any) -> list[mpmath.mpf]:
    """The softmax of a row of mpmath numbers by its definition."""
    powers = [mpmath.exp(v) for v in x]
    total = mpmath.fsum(powers)
    return [power / total for power in powers]
