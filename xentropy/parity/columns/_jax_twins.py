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


def twin(case: Case) -> Twin | None:
    """JAX's function for a case, or optax', where there is one."""
    if case.function == "cross_entropy":
        return _cross_entropy(case)
    if case.function == "binary_cross_entropy":
        return _binary(case)
    if case.function == "logsumexp" and fits(case, "axis", "keepdims", "b", "where"):
        return "jax.nn.logsumexp", partial(_logsumexp, case)
    return _map(case) if case.function != "nll_loss" else None


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
