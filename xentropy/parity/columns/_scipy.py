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
        return f"scipy.special.{case.function}", partial(function, axis=axis_of(case))
    if case.function == "logsumexp" and fits(case, "axis", "b", "keepdims"):
        return "scipy.special.logsumexp", _logsumexp(case)
    if case.function == "sigmoid":
        return "scipy.special.expit", by_place(special.expit)
    if case.function == "log_sigmoid":
        return "scipy.special.log_expit", by_place(special.log_expit)
    if case.function == "cross_entropy" and fits(case, "axis", "reduction") and has_labels(case):
        return "scipy.special.log_softmax, picked", partial(_picked, case)
    return None


def _entropy(case: Case) -> Twin | None:
    if not fits(case, "axis"):
        return None
    return "scipy.special.entr of softmax", partial(_spread, axis_of(case))


def _spread(axis: int, logits: Any) -> Any:
    return np.asarray(np.sum(special.entr(special.softmax(logits, axis=axis)), axis=axis))


def _divergence(case: Case) -> Twin | None:
    kind = case.options.get("targets_are", "probabilities")
    if not fits(case, "axis", "reduction", "targets_are") or kind != "probabilities":
        return None
    return "scipy.special.rel_entr to softmax", partial(_relative, case)


def _relative(case: Case, logits: Any, targets: Any) -> Any:
    axis = axis_of(case)
    losses = np.sum(special.rel_entr(targets, special.softmax(logits, axis=axis)), axis=axis)
    return np.asarray(reduced(case, REDUCTIONS)(losses))


def _logsumexp(case: Case) -> Any:
    keep = bool(case.options.get("keepdims", False))
    return lambda x, b=None: np.asarray(
        special.logsumexp(x, axis=axis_of(case), b=b, keepdims=keep)
    )


def _picked(case: Case, logits: Any, targets: Any) -> Any:
    axis = axis_of(case)
    index = np.expand_dims(targets.astype(np.int64), axis)
    picked = np.take_along_axis(special.log_softmax(logits, axis=axis), index, axis)
    return np.asarray(reduced(case, REDUCTIONS)(-np.squeeze(picked, axis)))
