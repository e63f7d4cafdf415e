"""The functions that take a group by their definitions, of whole arrays in one device's float64.

They are written for the operations that PyTorch and jax.numpy share, so that derivatives of any
order are those of the framework. Nothing here is stable: logits are small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Options = Mapping[str, Any]
#: The loss of a class by the logarithm of its probability, in a namespace, with options.
Curve = Callable[[Any, Any, Options], Any]


def surprisal(_xp: Any, log_p: Any, _given: Options) -> Any:
    """-log p."""
    return -log_p


def focal(xp: Any, log_p: Any, given: Options) -> Any:
    """-(1 - p)^gamma log p."""
    return -((1 - xp.exp(log_p)) ** given["gamma"]) * log_p


def poly(xp: Any, log_p: Any, given: Options) -> Any:
    """epsilon (1 - p) - log p."""
    return given["epsilon"] * (1 - xp.exp(log_p)) - log_p


def generalized(xp: Any, log_p: Any, given: Options) -> Any:
    """(1 - p^q) / q."""
    return (1 - xp.exp(given["q"] * log_p)) / given["q"]


CURVES: dict[str, Curve] = {
    "cross_entropy": surprisal,
    "score": surprisal,
    "focal_loss": focal,
    "poly_loss": poly,
    "generalized_cross_entropy": generalized,
}
ROW_BY_ROW = {"linear_cross_entropy": "cross_entropy", "linear_score": "score"}


class Rows(NamedTuple):
    """What rows are made of, the classes last: ``base`` targets, ``scale`` of every row."""

    log_p: Any
    lse: Any
    base: Any
    scale: Any
    kept: Any
    taking: Any


def evaluated(xp: Any, function: str, axis: int, given: Options) -> tuple[Any, ...]:
    """The values of a function, those of a score without its predictions."""
    if function == "logsumexp":
        return (logsumexp(xp, axis, **given),)
    if function in ROW_BY_ROW:
        logits = given["hidden"] @ given["weight"].T + given["bias"]
        return evaluated(xp, ROW_BY_ROW[function], -1, {"logits": logits, **given})
    rows = observed(xp, axis, given)
    t = coefficients(rows, given)
    losses = (t * given.get("alpha", 1.0) * CURVES[function](xp, rows.log_p, given)).sum(-1)
    losses = losses + given.get("z_loss", 0.0) * rows.scale * rows.lse**2
    if function == "score":
        return losses, *told(xp, rows)
    return (reduced(xp, losses, t, rows, given),)


def logsumexp(
    xp: Any, axis: int, x: Any, *, b: Any = 1.0, where: Any = None, **options: Any
) -> Any:
    """log(sum b exp(x))."""
    terms = b * xp.exp(x)
    if where is not None:
        terms = xp.where(where, terms, 0.0 * terms)
    total = xp.log(terms.sum(axis))
    return total[..., None] if options.get("keepdims") else total


def observed(xp: Any, axis: int, given: Options) -> Rows:
    """Log-probabilities and targets."""
    x, targets = xp.moveaxis(given["logits"], axis, -1), given["targets"]
    one, where = xp.ones_like(x), given.get("where")
    taking = one if where is None else xp.where(where, one, 0 * one)
    soft = targets.ndim == x.ndim
    kept = one[..., 0]
    if "ignore_index" in given:
        kept = xp.where(targets == given["ignore_index"], 0 * kept, kept)
    scale = kept * given.get("sample_weights", 1.0)
    if soft:
        base = xp.moveaxis(targets, axis, -1)
    else:
        chosen = targets[..., None] == xp.arange(x.shape[-1])
        base = kept[..., None] * xp.where(chosen, one, 0 * one)
    return Rows(*normalized(xp, x, taking, given), base, scale, kept, taking)


def normalized(xp: Any, x: Any, taking: Any, given: Options) -> tuple[Any, Any]:
    """log p, 0 at a class that takes no part, and the logsumexp of the rows."""
    if not given.get("from_logits", True):
        return xp.log(x), 0 * x[..., 0]
    cap = given.get("softcap")
    z = (x if cap is None else cap * xp.tanh(x / cap)) / given.get("temperature", 1.0)
    lse = xp.log((taking * xp.exp(z)).sum(-1))
    return taking * (z - lse[..., None]), lse


def coefficients(rows: Rows, given: Options) -> Any:
    """t of every class."""
    e, share = given.get("label_smoothing", 0.0), rows.taking / rows.taking.sum(-1)[..., None]
    smooth = (1 - e) * rows.base + e * rows.base.sum(-1)[..., None] * share
    return rows.scale[..., None] * given.get("class_weights", 1.0) * smooth


def told(xp: Any, rows: Rows) -> tuple[Any, ...]:
    """log_prob, lse and entropy of every row."""
    entropy = -(rows.taking * xp.exp(rows.log_p) * rows.log_p).sum(-1)
    return (rows.base * rows.log_p).sum(-1), rows.kept * rows.lse, rows.kept * entropy


def reduced(xp: Any, losses: Any, t: Any, rows: Rows, given: Options) -> Any:
    """Mean, sum or none."""
    reduction, normalizer = given.get("reduction", "mean"), given.get("normalizer", "weights")
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    counts = {
        "weights": t.sum(),
        "valid": (rows.scale != 0).sum(),
        "batch": xp.ones_like(losses).sum(),
    }
    count = counts[normalizer] if isinstance(normalizer, str) else normalizer
    return losses.sum() / count if count != 0 else 0 * losses.sum()
