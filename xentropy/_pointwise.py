"""relative_entropy, of which drop-ins for other packages' divergences are made."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from xentropy import _errors
from xentropy._call import Call, public
from xentropy._inputs import Inputs

A = TypeVar("A")
Given = Literal["probabilities", "log_probabilities"]


@public
def relative_entropy(
    x: A,
    targets: Any,
    *,
    source: Given = "log_probabilities",
    targets_are: Given = "probabilities",
    generalized: bool = False,
) -> Call[A]:
    r"""Relative entropy of every entry, of probabilities or log-probabilities as given.

    .. math:: t_j \log \frac{t_j}{p_j} \quad (+\; p_j - t_j \text{ where generalized})

    It is what SciPy calls rel_entr and kl_div [1]_. Nothing is normalized or summed.

    Parameters
    ----------
    x : array, floating
        Log-probabilities, or probabilities.
    targets : array of the same shape
        Probabilities of any real dtype, or log-probabilities.
    source, targets_are : {"probabilities", "log_probabilities"}
        What x and the targets hold.
    generalized : bool, default False
        Whether to add p - t, so that no entry is negative; nearly equal p and t keep their
        relative precision then.

    Returns
    -------
    array
        Of their shape; float64 for float64 x, float32 for narrower dtypes.

    Raises
    ------
    TypeError
        If x, or targets that are log-probabilities, are not floating, or frameworks are mixed.
    ValueError
        If the shapes differ.

    See Also
    --------
    xentropy.kl_divergence : Of rows of logits, summed.

    References
    ----------
    .. [1] S. Boyd and L. Vandenberghe, "Convex Optimization" (2004), example 3.19.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy._pointwise import relative_entropy
    >>> print(relative_entropy(np.log([0.5, 0.5]), np.array([0.9, 0.1])).round(6))
    [ 0.529008 -0.160944]
    """
    from xentropy._relative import RelativeEntropy

    inputs = Inputs(x, "x")
    array = inputs.weights(targets, "targets")
    inputs.fit(array, inputs.shape, "targets", "both must have the same shape")
    if targets_are != "probabilities" and inputs.backend.kind(array) != "real floating":
        raise _errors.dtype("targets", f"floating where they are {targets_are}", array.dtype)
    rule = RelativeEntropy(inputs.dtype, source, targets_are, generalized)
    return Call(inputs.backend, rule, (inputs.x, array))
