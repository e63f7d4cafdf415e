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
        return "jax.nn.logsumexp", partial(_logsumexp, case)
    if case.function in LOSSES and find_spec("optax") is not None:
        return LOSSES[case.function](case)
    return _map(case) if case.function in MAPS else None


def _map(case: Case) -> Twin | None:
    function = getattr(jax.nn, case.function)
    if "sigmoid" in case.function:
        return f"jax.nn.{case.function}", by_place(function)
    if not fits(case, "axis", "where"):
        return None
    return f"jax.nn.{case.function}", partial(_along, case, function)


def _along(case: Case, function: Any, x: Any, where: Any = None) -> Any:
    return function(x, axis=axis_of(case), where=where)


def _logsumexp(case: Case, x: Any, **arrays: Any) -> Any:
    keep = bool(case.options.get("keepdims", False))
    return jax.nn.logsumexp(x, axis=axis_of(case), keepdims=keep, **arrays)


def _cross_entropy(case: Case) -> Twin | None:
    if not fits(case, "axis", "reduction", "where") or find_spec("optax") is None:
        return None
    import optax

    name = "softmax_cross_entropy" + ("_with_integer_labels" if has_labels(case) else "")
    return f"optax.{name}", partial(_classes, case, getattr(optax, name))


def _classes(case: Case, function: Any, logits: Any, targets: Any, where: Any = None) -> Any:
    losses = function(logits, targets, axis=axis_of(case), where=where)
    return reduced(case, REDUCTIONS)(losses)


def _binary(case: Case) -> Twin | None:
    if not fits(case, "reduction") or find_spec("optax") is None:
        return None
    import optax

    return "optax.sigmoid_binary_cross_entropy", lambda logits, targets: reduced(case, REDUCTIONS)(
        optax.sigmoid_binary_cross_entropy(logits, targets.astype(logits.dtype))
    )


def _divergence(case: Case) -> Twin | None:
    kind = case.options.get("targets_are", "probabilities")
    if not fits(case, "targets_are", "reduction", "axis", "where") or kind != "probabilities":
        return None
    from optax.losses import kl_divergence

    return "optax.losses.kl_divergence", partial(_apart, case, kl_divergence)


def _apart(case: Case, function: Any, logits: Any, targets: Any, where: Any = None) -> Any:
    logs = jax.nn.log_softmax(logits, axis=axis_of(case), where=where)
    return reduced(case, REDUCTIONS)(function(logs, targets, axis=axis_of(case), where=where))


def _focal(case: Case) -> Twin | None:
    known = ("form", "gamma", "alpha", "reduction")
    if not fits(case, *known) or case.options.get("form") != "sigmoid":
        return None
    from optax.losses import sigmoid_focal_loss

    given = {n: v for n, v in case.options.items() if n in ("gamma", "alpha")}
    return "optax.losses.sigmoid_focal_loss", lambda logits, targets: reduced(case, REDUCTIONS)(
        sigmoid_focal_loss(logits, targets.astype(logits.dtype), **given)
    )


def _poly(case: Case) -> Twin | None:
    if not fits(case, "epsilon", "reduction") or has_labels(case):
        return None
    from optax.losses import poly_loss_cross_entropy

    epsilon = case.options.get("epsilon", 2.0)
    name = "optax.losses.poly_loss_cross_entropy"
    return name, lambda logits, targets: reduced(case, REDUCTIONS)(
        poly_loss_cross_entropy(logits, targets, epsilon=epsilon)
    )


LOSSES = {"kl_divergence": _divergence, "focal_loss": _focal, "poly_loss": _poly}
