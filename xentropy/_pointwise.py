"""Elementwise functions of which drop-ins for other packages' losses are made."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

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
    array = inputs.distribution(targets, targets_are)
    rule = RelativeEntropy(inputs.dtype, source, targets_are, generalized)
    return Call(inputs.backend, rule, (inputs.x, array))


@public
def faded(value: A, log_factor: Any, power: Any) -> Call[A]:
    r"""A value times a power of a factor that is given by its logarithm.

    .. math:: v \, e^{\gamma \log f} = v f^\gamma

    It is what a focal loss does to cross-entropy [1]_ where the exponent is an array, which may
    be differentiated by, or the targets are soft. A factor too small for its dtype has a value
    and derivatives all the same.

    Parameters
    ----------
    value : array, floating
        What is weighed.
    log_factor : array of the same shape, floating
        The logarithm of the factor.
    power : array of the same shape
        The exponent. With 0 the weight is 1, whatever the factor is.

    Returns
    -------
    array
        Of their shape; float64 for a float64 value, float32 for narrower dtypes.

    Raises
    ------
    TypeError
        If the value is not floating, the others are complex, or frameworks are mixed.
    ValueError
        If the shapes differ.

    See Also
    --------
    xentropy.focal_loss : With one exponent, of labels or probabilities.

    References
    ----------
    .. [1] T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollar, "Focal loss for dense object
       detection", ICCV (2017), equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy._pointwise import faded
    >>> print(faded(np.array([3.0, 3.0]), np.log([0.5, 0.1]), np.array([1.0, 2.0])).round(6))
    [1.5  0.03]
    """
    from xentropy._fading import Faded

    inputs = Inputs(value, "value")
    leaves = [inputs.x]
    for array, name in ((log_factor, "log_factor"), (power, "power")):
        leaf = inputs.weights(array, name)
        leaves.append(inputs.fit(leaf, inputs.shape, name, "all must have the same shape"))
    return Call(inputs.backend, Faded(inputs.dtype), tuple(leaves))
