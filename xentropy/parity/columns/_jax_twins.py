"""optax' losses and JAX's own functions."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp

from xentropy.parity._case import Case
from xentropy.parity.columns._twins import Twin, axis_of, by_place, fits, has_labels, reduced

REDUCTIONS = {"mean": jnp.mean, "sum": jnp.sum, "none": jnp.asarray}


MAPS = ("softmax", "log_softmax", "sigmoid", "log_sigmoid")


def twin(case: Case) -> Twin | None:
    """JAX's function for a case, or optax', where there is one."""
    if case.function == "cross_entropy":
        return _cross_entropy(case)
    if case.function == "binary_cross_entropy":
        return _binary(case)
    if case.function == "logsumexp" and fits(case, "axis", "keepdims", "b", "where"):
        return Twin("jax.nn.logsumexp", jax.nn.logsumexp, partial(_logsumexp, case=case))
    if case.function in LOSSES and find_spec("optax") is not None:
        return LOSSES[case.function](case)
    return _map(case) if case.function in MAPS else None


def _map(case: Case) -> Twin | None:
    function = getattr(jax.nn, case.function)
    if "sigmoid" in case.function:
        return Twin(f"jax.nn.{case.function}", function, by_place)
    if not fits(case, "axis", "where"):
        return None
    return Twin(f"jax.nn.{case.function}", function, partial(_along, case=case))


def _along(function: Any, case: Case, x: Any, where: Any = None) -> Any:
    return function(x, axis=axis_of(case), where=where)


def _logsumexp(function: Any, case: Case, x: Any, **arrays: Any) -> Any:
    keep = bool(case.options.get("keepdims", False))
    return function(x, axis=axis_of(case), keepdims=keep, **arrays)


def _cross_entropy(case: Case) -> Twin | None:
    if not fits(case, "axis", "reduction", "where") or find_spec("optax") is None:
        return None
    import optax

    name = "softmax_cross_entropy" + ("_with_integer_labels" if has_labels(case) else "")
    return Twin(f"optax.{name}", getattr(optax, name), partial(_classes, case=case))


def _classes(function: Any, case: Case, logits: Any, targets: Any, where: Any = None) -> Any:
    axis = axis_of(case)
    axis = axis - len(case.first.shape) if isinstance(axis, int) and axis >= 0 else axis
    # From the end, as targets of more dimensions want it.
    losses = function(logits, targets, axis=axis, where=_of_classes(case, where))
    return reduced(case, REDUCTIONS)(losses)


def _of_classes(case: Case, where: Any) -> Any:
    """A mask of classes with all dimensions: one that lacks some is of rows in optax."""
    if where is None or where.ndim != 1:
        return where
    return jnp.moveaxis(where[(None,) * (len(case.first.shape) - 1)], -1, axis_of(case))


def _binary(case: Case) -> Twin | None:
    if not fits(case, "reduction") or find_spec("optax") is None:
        return None
    import optax

    name = "optax.sigmoid_binary_cross_entropy"
    return Twin(name, optax.sigmoid_binary_cross_entropy, partial(_pairs, case=case))


def _pairs(function: Any, case: Case, logits: Any, targets: Any, **given: Any) -> Any:
    losses = function(logits, targets.astype(logits.dtype), **given)
    return reduced(case, REDUCTIONS)(losses)


def _divergence(case: Case) -> Twin | None:
    kind = case.options.get("targets_are", "probabilities")
    if not fits(case, "targets_are", "reduction", "axis", "where") or kind != "probabilities":
        return None
    from optax.losses import kl_divergence

    return Twin("optax.losses.kl_divergence", kl_divergence, partial(_apart, case=case))


def _apart(function: Any, case: Case, logits: Any, targets: Any, where: Any = None) -> Any:
    logs = jax.nn.log_softmax(logits, axis=axis_of(case), where=where)
    mask = _of_classes(case, where)
    return reduced(case, REDUCTIONS)(function(logs, targets, axis=axis_of(case), where=mask))


def _focal(case: Case) -> Twin | None:
    known = ("form", "gamma", "alpha", "reduction")
    if not fits(case, *known) or case.options.get("form") != "sigmoid":
        return None
    from optax.losses import sigmoid_focal_loss

    given = {n: v for n, v in case.options.items() if n in ("gamma", "alpha")}
    call = partial(_pairs, case=case, **given)
    return Twin("optax.losses.sigmoid_focal_loss", sigmoid_focal_loss, call)


def _poly(case: Case) -> Twin | None:
    if not fits(case, "epsilon", "reduction") or has_labels(case):
        return None
    from optax.losses import poly_loss_cross_entropy

    epsilon = case.options.get("epsilon", 2.0)
    name = "optax.losses.poly_loss_cross_entropy"
    return Twin(name, poly_loss_cross_entropy, partial(_poly_1, case=case, epsilon=epsilon))


def _poly_1(function: Any, case: Case, logits: Any, targets: Any, epsilon: Any) -> Any:
    return reduced(case, REDUCTIONS)(function(logits, targets, epsilon=epsilon))


LOSSES = {"kl_divergence": _divergence, "focal_loss": _focal, "poly_loss": _poly}
