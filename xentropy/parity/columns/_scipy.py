"""SciPy's own functions, values only."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy import special

from xentropy.parity._case import Case
from xentropy.parity.columns._twins import Twin, axis_of, by_place, fits, has_labels, reduced

REDUCTIONS = {"mean": np.mean, "sum": np.sum, "none": np.asarray}


def twin(case: Case) -> Twin | None:
    """SciPy's function for a case, where there is one."""
    makers = {"entropy": _entropy, "kl_divergence": _divergence}
    return makers.get(case.function, _own)(case)


def _own(case: Case) -> Twin | None:
    if case.function in ("softmax", "log_softmax") and fits(case, "axis"):
        function = getattr(special, case.function)
        return Twin(f"scipy.special.{case.function}", function, partial(_along, axis=axis_of(case)))
    if case.function == "logsumexp" and fits(case, "axis", "b", "keepdims"):
        return Twin("scipy.special.logsumexp", special.logsumexp, partial(_logsumexp, case=case))
    if case.function == "sigmoid":
        return Twin("scipy.special.expit", special.expit, by_place)
    if case.function == "log_sigmoid":
        return Twin("scipy.special.log_expit", special.log_expit, by_place)
    if case.function == "cross_entropy" and fits(case, "axis", "reduction") and has_labels(case):
        name, call = "scipy.special.log_softmax, picked", partial(_picked, case=case)
        return Twin(name, special.log_softmax, call)
    return None


def _along(function: Any, x: Any, axis: int) -> Any:
    return function(x, axis=axis)


def _entropy(case: Case) -> Twin | None:
    if not fits(case, "axis"):
        return None
    return Twin("scipy.special.entr of softmax", special.entr, partial(_spread, axis=axis_of(case)))


def _spread(function: Any, logits: Any, axis: int) -> Any:
    return np.asarray(np.sum(function(special.softmax(logits, axis=axis)), axis=axis))


def _divergence(case: Case) -> Twin | None:
    kind = case.options.get("targets_are", "probabilities")
    if not fits(case, "axis", "reduction", "targets_are") or kind != "probabilities":
        return None
    name, call = "scipy.special.rel_entr to softmax", partial(_relative, case=case)
    return Twin(name, special.rel_entr, call)


def _relative(function: Any, case: Case, logits: Any, targets: Any) -> Any:
    axis = axis_of(case)
    losses = np.sum(function(targets, special.softmax(logits, axis=axis)), axis=axis)
    return np.asarray(reduced(case, REDUCTIONS)(losses))


def _logsumexp(function: Any, case: Case, x: Any, b: Any = None) -> Any:
    keep = bool(case.options.get("keepdims", False))
    return np.asarray(function(x, axis=axis_of(case), b=b, keepdims=keep))


def _picked(function: Any, case: Case, logits: Any, targets: Any) -> Any:
    axis = axis_of(case)
    index = np.expand_dims(targets.astype(np.int64), axis)
    picked = np.take_along_axis(function(logits, axis=axis), index, axis)
    return np.asarray(reduced(case, REDUCTIONS)(-np.squeeze(picked, axis)))
