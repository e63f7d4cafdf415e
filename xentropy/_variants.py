"""Losses that bend cross-entropy: docstring, validation, and the link that each of them is."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast, get_args

from xentropy import _errors, _inputs
from xentropy._call import Call, call_of, of_logits
from xentropy._inputs import Inputs
from xentropy._losses import binary_cross_entropy, cross_entropy
from xentropy._typing import Array, FocalOptions, LossOptions

if TYPE_CHECKING:
    from xentropy._links import Link
    from xentropy._rows import RowLoss

A = TypeVar("A")
Form = Literal["softmax", "sigmoid"]


@of_logits
def focal_loss(
    logits: A,
    targets: Any,
    *,
    form: Form = "softmax",
    gamma: float = 2.0,
    alpha: Any = None,
    **options: Unpack[FocalOptions],
) -> Call[A]:
    r"""Focal loss: cross-entropy that turns away from what is classified well already.

    With p the softmax of a row, or the sigmoid of an element, and t its target coefficients [1]_

    .. math:: \ell = -\sum_j \alpha_j\, t_j\, (1 - p_j)^\gamma \log p_j

    where 1 - p is computed without cancellation, so that value and gradient of a confident
    prediction keep their relative precision.

    Parameters
    ----------
    logits : array, floating
        Logits, of shape (..., K) with the classes along ``axis``; for the sigmoid form of any
        shape.
    targets : array
        Labels or probabilities, as `cross_entropy` takes them; for the sigmoid form as
        `binary_cross_entropy` does.
    form : {"softmax", "sigmoid"}
        Exclusive classes, or elements of which each is a positive or a negative.
    gamma : float, default 2.0
        How fast the loss fades as p grows, at least 0; with 0 it is cross-entropy.
    alpha : number or array of shape (K,), optional
        A factor of every class, not negative. In the sigmoid form one number in [0, 1]: the
        factor of positives, and 1 - alpha that of negatives. Unlike ``class_weights`` and
        ``pos_weight`` it is not part of what a mean divides by.
    **options
        Every option of `cross_entropy`, or for the sigmoid form of `binary_cross_entropy`.

    Returns
    -------
    array
        The loss, as in `cross_entropy`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As in `cross_entropy`; and ValueError if ``form``, ``gamma`` or ``alpha`` is outside its
        range, or an option belongs to the other form.

    See Also
    --------
    poly_loss : Adds to cross-entropy what focal loss takes from it.
    generalized_cross_entropy : Turns away from what is classified badly: from wrong labels.

    References
    ----------
    .. [1] T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollar, "Focal loss for dense object
       detection", ICCV (2017), equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> logits = np.array([[2.0, 1.0, 0.1], [0.5, 2.0, 0.3]])
    >>> print(xe.focal_loss(logits, np.array([0, 1]), reduction="none").round(6))
    [0.048492 0.028383]
    >>> print(f"{xe.focal_loss(np.array([1.5]), [1], form='sigmoid', alpha=0.25):.6g}")
    0.00167571
    """
    from xentropy._links import Focal

    _inputs.known("focal_loss", options, FocalOptions)
    _inputs.choice("form", form, get_args(Form))
    link = Focal(_inputs.at_least_zero("gamma", gamma))
    if form == "softmax":
        _left_out(options, form, "pos_weight")
        return _bend(call_of(cross_entropy, logits, targets, **options), logits, link, alpha)
    _left_out(options, form, *_OF_CLASSES)
    call = call_of(binary_cross_entropy, logits, targets, **options)
    share = None if alpha is None else _inputs.fraction("alpha", alpha)
    return call.changed(link=link, alpha=share)


_OF_CLASSES = ("axis", "class_weights", "ignore_index", "where", "temperature", "softcap", "z_loss")


@of_logits
def poly_loss(
    logits: A, targets: Any, *, epsilon: float = 2.0, **options: Unpack[LossOptions]
) -> Call[A]:
    r"""Poly-1 loss: cross-entropy with the first term of its expansion in 1 - p weighted more.

    .. math:: \ell = \sum_j t_j \bigl(-\log p_j + \epsilon\, (1 - p_j)\bigr)

    with p the softmax of a row of logits and t its target coefficients [1]_.

    Parameters
    ----------
    logits, targets
        As in `cross_entropy`.
    epsilon : float, default 2.0
        The weight of 1 - p, at least -1; with 0 it is cross-entropy.
    **options
        Every option of `cross_entropy`.

    Returns
    -------
    array
        The loss, as in `cross_entropy`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As in `cross_entropy`; and ValueError if ``epsilon`` is below -1.

    See Also
    --------
    focal_loss : Fades where p is near 1 instead of growing there.

    References
    ----------
    .. [1] Z. Leng, M. Tan, C. Liu, E. D. Cubuk, X. Shi, S. Cheng and D. Anguelov, "PolyLoss: a
       polynomial expansion perspective of classification loss functions", ICLR (2022), equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(f"{xe.poly_loss(np.array([2.0, 1.0, 0.1]), 0):.6g}")
    1.09903
    """
    from xentropy._links import Poly

    _inputs.known("poly_loss", options, LossOptions)
    rule = "a finite number of at least -1"
    weight = _inputs.number("epsilon", epsilon, rule, -1.0, 1.7976931348623157e308, open_=False)
    call = call_of(cross_entropy, logits, targets, **options)
    return _bend(call, logits, Poly(weight), None)


@of_logits
def generalized_cross_entropy(
    logits: A, targets: Any, *, q: float = 0.7, **options: Unpack[LossOptions]
) -> Call[A]:
    r"""Generalized cross-entropy: bounded, and so less moved by labels that are wrong.

    .. math:: \ell = \sum_j t_j \frac{1 - p_j^q}{q}

    with p the softmax of a row of logits and t its target coefficients [1]_: the mean absolute
    error 1 - p for q = 1, and cross-entropy in the limit of q = 0.

    Parameters
    ----------
    logits, targets
        As in `cross_entropy`.
    q : float, default 0.7
        The exponent, in (0, 1].
    **options
        Every option of `cross_entropy`.

    Returns
    -------
    array
        The loss, as in `cross_entropy`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As in `cross_entropy`; and ValueError if ``q`` is outside (0, 1].

    See Also
    --------
    focal_loss : Turns to what is classified badly instead.

    References
    ----------
    .. [1] Z. Zhang and M. R. Sabuncu, "Generalized cross entropy loss for training deep neural
       networks with noisy labels", NeurIPS (2018), equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> print(f"{xe.generalized_cross_entropy(np.array([2.0, 1.0, 0.1]), 0):.6g}")
    0.361675
    """
    from xentropy._links import Generalized

    _inputs.known("generalized_cross_entropy", options, LossOptions)
    power = _inputs.number("q", q, "a number in (0, 1]", 0.0, 1.0, open_=True)
    call = call_of(cross_entropy, logits, targets, **options)
    return _bend(call, logits, Generalized(power), None)


def _bend(call: Call[A], logits: A, link: Link, alpha: Any) -> Call[A]:
    """The call of cross_entropy with its surprisals bent, and balanced by ``alpha``."""
    bent = call.changed(link=link)
    if alpha is None:
        return bent
    factor = _balance(Inputs(logits, "logits"), call, alpha)
    return bent._replace(leaves=(*call.leaves[:-1], factor))


def _balance(inputs: Inputs, call: Call[Any], alpha: Any) -> Array:
    """Alpha as an array: one number, or one for every class."""
    if isinstance(alpha, numbers.Number):
        alpha = _inputs.at_least_zero("alpha", alpha)
    array = inputs.weights(alpha, "alpha")
    if inputs.backend.shape(array) != ():
        shape = (inputs.shape[cast("RowLoss", call.rule).axis],)
        inputs.fit(array, shape, "alpha", "it must be one number, or one for every class")
    inputs.not_negative(array, "alpha")
    return array


def _left_out(options: FocalOptions, form: str, *names: str) -> None:
    """Options of the other form must not be given."""
    for name in names:
        if name in options:
            value = options[name]  # type: ignore[literal-required]  # a name out of a loop
            raise _errors.option(name, f"left out where form is {form!r}", value)
