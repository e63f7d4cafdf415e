"""Drop-ins for jax.nn: softmax, log_softmax and logsumexp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import xentropy as xe
from xentropy_jax._arrays import Axis, Classes, array, axes_of, flags, inexact, wide
from xentropy_jax._native import stands_for


@stands_for("jax.nn")
def softmax(x: Any, axis: Axis = -1, where: Any = None) -> jax.Array:
    """As `jax.nn.softmax`.

    Parameters
    ----------
    x : array or number
        Logits; integers are promoted.
    axis : int, tuple of int or None, default -1
        The axes that hold the classes together; None for all.
    where : array of bool, optional
        True at the classes that take part; the others are 0.

    Returns
    -------
    array
        Of the dtype of x.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import softmax
    >>> print(softmax(jnp.array([[1.0, jnp.inf, 2.0]])))
    [[0. 1. 0.]]
    """
    return _normalized(xe.softmax, x, axis, where, 0)


@stands_for("jax.nn")
def log_softmax(x: Any, axis: Axis = -1, where: Any = None) -> jax.Array:
    """As `jax.nn.log_softmax`.

    Parameters
    ----------
    x, axis, where
        As in `softmax`; where it is False the result is -inf.

    Returns
    -------
    array
        Of the dtype of x.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import log_softmax
    >>> print(log_softmax(jnp.array([30.0, 0.0])))
    [-9.357623e-14 -3.000000e+01]
    """
    return _normalized(xe.log_softmax, x, axis, where, -float("inf"))


def _normalized(
    function: Callable[..., jax.Array], x: Any, axis: Axis, where: Any, masked: float
) -> jax.Array:
    """A map of the classes, with what it is at the classes that take no part."""
    entries = array(x, "x")
    if jnp.issubdtype(entries.dtype, jnp.integer):
        entries = entries.astype(inexact(entries))
    mask = None if where is None else flags(where)
    if mask is not None:
        entries, mask = jnp.broadcast_arrays(entries, mask)
    classes = Classes(entries.shape, axes_of(axis, entries.ndim))
    if entries.size == 0:
        return entries
    taken = None if mask is None else classes.together(mask)
    value = classes.apart(function(classes.together(entries), axis=classes.axis, where=taken))
    return value if mask is None else jnp.where(mask, value, masked)


@stands_for("jax.nn")
def logsumexp(
    a: Any,
    axis: Axis = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """As `jax.nn.logsumexp`, which is `jax.scipy.special.logsumexp`.

    Parameters
    ----------
    a : array or number
        Exponents.
    axis : int, tuple of int or None, default None
        What is summed over; None for all.
    b : array or number, optional
        Factors of the exponentials, of any sign.
    keepdims : bool, default False
        Whether summed axes stay with length 1.
    return_sign : bool, default False
        Whether to return the logarithm of the sum's magnitude and the sum's sign, instead of NaN
        where the sum is negative.
    where : array of bool, optional
        True at the entries that count.

    Returns
    -------
    array, or tuple of two
        Of the dtype that a and b promote to.

    Notes
    -----
    docs/drop-ins/jax.md lists the differences.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from xentropy_jax import logsumexp
    >>> print(logsumexp(jnp.array([0.0, -20.0])))
    2.0611537e-09
    """
    arrays = [array(a, "a")] if b is None else [array(a, "a"), array(b, "b")]
    dtype = inexact(*arrays)
    counts = [] if where is None else [flags(where)]
    entries, *others = jnp.broadcast_arrays(*arrays, *counts)
    axes = axes_of(axis, entries.ndim)
    options: dict[str, Any] = {"axis": axes, "keepdims": bool(keepdims)}
    if any(entries.shape[i] == 0 for i in axes):
        value = jnp.max(entries.astype(dtype), initial=-jnp.inf, **options)
        return (value, jnp.zeros_like(value)) if return_sign else value
    if not jnp.issubdtype(entries.dtype, jnp.complexfloating):
        entries = entries.astype(wide(dtype))
    factors = None if b is None else others[0]
    mask = None if where is None else others[-1]
    value, sign = xe.logsumexp(entries, b=factors, where=mask, return_sign=True, **options)
    value, sign = value.astype(dtype), sign.astype(dtype)
    if return_sign:
        return value, sign
    return value if b is None else jnp.where(sign < 0, jnp.nan, value)
