"""softmax, log_softmax, logsumexp, sigmoid and log_sigmoid: validation and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from xentropy import _errors, _inputs
from xentropy._call import Call, of_entries, of_exponents
from xentropy._inputs import Inputs
from xentropy._typing import Array, Namespace

A = TypeVar("A")


class SignedLog(NamedTuple, Generic[A]):
    """The logarithm of a number's magnitude, and its sign: -1, 0 or 1."""

    value: A
    sign: A


@of_entries
def softmax(x: A, *, axis: int = -1, where: Any = None, temperature: float = 1.0) -> Call[A]:
    r"""Probabilities that are proportional to the exponentials of x.

    .. math:: p_j = \frac{e^{(x_j - m) / T}}{1 + r}

    with m the largest entry and r the sum of the other exponentials [1]_.

    Parameters
    ----------
    x : array, floating
        Logits.
    axis : int, default -1
        The axis of the classes.
    where : array of bool, optional
        True at the classes that take part; of x's shape, with lengths of 1 in it, or of shape
        (K,). The others have probability 0.
    temperature : float, default 1.0
        T, what the logits are divided by, after the largest has been taken off.

    Returns
    -------
    array
        Of the shape and dtype of x; narrow dtypes are computed in float32. A row of -inf alone,
        or with two and more +inf, is NaN; one +inf gives its one-hot.

    Raises
    ------
    TypeError
        If x is not floating or ``where`` not boolean.
    ValueError
        If a shape or an option does not fit.

    See Also
    --------
    log_softmax : The logarithms, precise where a probability rounds to 1.
    sigmoid : Two classes given by one logit.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA Journal of Numerical Analysis 41 (2021).

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(xe.softmax(np.array([2.0, 1.0, 0.1])).round(6))
    [0.659001 0.242433 0.098566]
    """
    return _softmax(x, axis, where, temperature, log=False)


@of_entries
def log_softmax(x: A, *, axis: int = -1, where: Any = None, temperature: float = 1.0) -> Call[A]:
    r"""Logarithms of the softmax.

    .. math:: \log p_j = (x_j - m) / T - \operatorname{log1p}(r)

    Both terms have one sign [1]_: a confident class keeps its tiny loss, where m + log(sum) rounds
    it to 0.

    Parameters
    ----------
    x, axis, where, temperature
        As in `softmax`. A class that takes no part has -inf.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.

    See Also
    --------
    softmax : The probabilities themselves.
    cross_entropy : The loss from logits, without holding all log-probabilities.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA Journal of Numerical Analysis 41 (2021).

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(xe.log_softmax(np.array([40.0, 0.0])))
    [-4.24835426e-18 -4.00000000e+01]
    """
    return _softmax(x, axis, where, temperature, log=True)


@of_exponents
def logsumexp(
    x: A,
    *,
    axis: int | tuple[int, ...] | None = -1,
    keepdims: bool = False,
    b: Any = None,
    where: Any = None,
    return_sign: bool = False,
    group: Any = None,
) -> Call[A]:
    r"""The logarithm of a sum of exponentials.

    .. math:: \log \sum_j b_j e^{x_j} = m + \operatorname{log1p}(r)

    with m the largest entry and r the sum of the other exponentials below it [1]_.

    Parameters
    ----------
    x : array, floating
        Exponents.
    axis : int, tuple of int or None, default -1
        What is summed over; None for all axes.
    keepdims : bool, default False
        Whether summed axes stay with length 1.
    b : array, optional
        Factors of at least 0, or with ``return_sign`` of any sign; of x's shape, with lengths of
        1 in it, one number, or of shape (K,) where ``axis`` is a single one. An entry with b = 0
        does not count, whatever x holds.
    where : array of bool, optional
        True at the entries that count; shaped as b.
    return_sign : bool, default False
        Whether to return the logarithm of the sum's magnitude and the sum's sign.
    group : optional
        Who holds the entries along the one ``axis``, where x is the caller's slice of them, as in
        `cross_entropy`; ``b``, unless it is one number, and ``where`` belong to the slice.

    Returns
    -------
    array
        float64 for float64 x, float32 for narrower dtypes. An empty sum is -inf, and its
        gradient is 0. With ``return_sign`` ``(value, sign)``: that, and -1, 0 or 1 in its dtype,
        NaN where the sum is.

    Raises
    ------
    TypeError
        If x is not floating or ``where`` not boolean.
    ValueError
        If a shape or an axis does not fit, or a factor that can be looked at is negative
        (elsewhere the result is NaN).

    See Also
    --------
    log_softmax : x minus this.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA Journal of Numerical Analysis 41 (2021).

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(xe.logsumexp(np.array([0.0, -40.0])))
    4.248354255291589e-18
    >>> value, sign = xe.logsumexp(np.array([1.0, 2.0]), b=[1, -1], return_sign=True)
    >>> print(f"{value:.6g} {sign:+g}")
    1.54132 -1
    """
    from xentropy._maps import LogSumExp

    inputs = Inputs(x, "x", group)
    axes = _axes(inputs, axis)
    single = axes[0] if len(axes) == 1 else None
    if group is not None and single is None:
        raise _errors.option("axis", "a single one where a group holds its entries", axis)
    signed = _inputs.flag("return_sign", return_sign)
    rule = LogSumExp(inputs.dtype, axes, _inputs.flag("keepdims", keepdims), signed)
    factors = _factors(inputs, b, single, signed=signed)
    if group is not None:
        _check_slice(inputs, factors, axes[0])
    leaves = (inputs.x, factors, inputs.mask(where, single))
    form = _with_sign(inputs.xp) if signed else None
    return Call(inputs.backend, rule, leaves, form, inputs.group)


@of_entries
def sigmoid(x: A) -> Call[A]:
    r"""The logistic function.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}

    Computed from exp(-abs(x)) (the softmax of two classes with the logits (x, 0) [1]_), so that it
    never overflows.

    Parameters
    ----------
    x : array, floating
        Logits.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Raises
    ------
    TypeError
        If x is not floating.

    See Also
    --------
    log_sigmoid : Its logarithm.
    softmax : Any number of classes.

    References
    ----------
    .. [1] C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(xe.sigmoid(np.array([-1000.0, 0.0, 1000.0])))
    [0.  0.5 1. ]
    """
    return _sigmoid(x, log=False)


@of_entries
def log_sigmoid(x: A) -> Call[A]:
    r"""The logarithm of the logistic function.

    .. math:: \log \sigma(x) = \min(x, 0) - \operatorname{log1p}(e^{-|x|})

    Both terms have one sign, so it is precise on both sides [1]_.

    Parameters
    ----------
    x : array, floating
        Logits.

    Returns
    -------
    array
        Of the shape and dtype of x.

    Raises
    ------
    TypeError
        If x is not floating.

    See Also
    --------
    sigmoid : The probability itself.
    binary_cross_entropy : The loss from logits.

    References
    ----------
    .. [1] M. Maechler, "Accurately computing log(1 - exp(-abs(a)))" (2012).

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(xe.log_sigmoid(np.array([-1000.0, 40.0])))
    [-1.00000000e+03 -4.24835426e-18]
    """
    return _sigmoid(x, log=True)


# The rules are imported by the first call that needs them: `import xentropy` stays light.


def _sigmoid(x: Any, *, log: bool) -> Call[Any]:
    from xentropy._maps import Sigmoid

    inputs = Inputs(x, "x")
    return Call(inputs.backend, Sigmoid(inputs.dtype, log), (inputs.x,))


def _softmax(x: Any, axis: Any, where: Any, temperature: Any, *, log: bool) -> Call[Any]:
    from xentropy._maps import Softmax

    inputs = Inputs(x, "x")
    place = inputs.axis(axis)
    scale = _inputs.positive("temperature", temperature)
    rule = Softmax(inputs.dtype, place, scale, log)
    return Call(inputs.backend, rule, (inputs.x, inputs.mask(where, place)))


def _axes(inputs: Inputs, axis: Any) -> tuple[int, ...]:
    """The axes to sum over, in order and each once."""
    if axis is None:
        axis = tuple(range(len(inputs.shape)))
    axes = axis if isinstance(axis, tuple) else (axis,)
    places = tuple(sorted(inputs.axis(one) for one in axes))
    if len(set(places)) != len(places):
        raise _errors.option("axis", "a tuple without repetition", axis)
    return places


def _with_sign(xp: Namespace) -> Callable[..., Any]:
    """The value and the sign of a sum, which the rule gives as an integer, in one dtype."""

    def form(value: Array, sign: Array) -> SignedLog[Array]:
        sign = xp.astype(sign, value.dtype)
        sign = xp.where(xp.isnan(value), xp.zeros_like(sign) + float("nan"), sign)
        return SignedLog(value, sign)

    return form


def _check_slice(inputs: Inputs, b: Array | None, axis: int) -> None:
    """Raise for factors that would be both the slice's own and those of all."""
    shape = () if b is None else inputs.backend.shape(b)
    own = shape[-1:] if len(shape) == 1 else shape[axis : axis + 1]
    if shape and own != inputs.shape[axis : axis + 1]:
        rule = "with a group it is one number, or has an entry for every class of the slice"
        raise _errors.shapes("b", shape, rule, inputs.name, inputs.shape)


def _factors(inputs: Inputs, b: Any, axis: int | None, *, signed: bool) -> Array | None:
    """The factors of logsumexp; unless they may be, not negative as far as can be seen."""
    if b is None:
        return None
    array = inputs.weights(b, "b")
    if not signed:
        inputs.not_negative(array, "b")
    if inputs.backend.shape(array) == ():
        return array
    return inputs.broadcast(array, axis, "b")
