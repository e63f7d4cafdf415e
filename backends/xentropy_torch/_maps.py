"""softmax, log_softmax and logsumexp, as PyTorch has them."""

# TorchScript reads the annotations of what it calls back: they must not be strings.
# ruff: noqa: A002 - PyTorch's names of the arguments

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

import xentropy as xe
from xentropy_torch._results import autocasts
from xentropy_torch._twins import like


@like(F.softmax)
def softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Probabilities that are proportional to the exponentials, as `torch.nn.functional.softmax`.

    Parameters
    ----------
    input : Tensor
        Logits.
    dim : int, optional
        The axis of the classes; leaving it out is deprecated.
    _stacklevel : int, default 3
        How far up the warning of a missing ``dim`` points.
    dtype : torch.dtype, optional
        What the input is cast to first, and so the dtype of the result.

    Returns
    -------
    Tensor
        Of the input's shape; half precision is computed in float32.

    See Also
    --------
    xentropy.softmax : The same on every framework.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import softmax
    >>> softmax(torch.tensor([2.0, 1.0, 0.1]), dim=0)
    tensor([0.6590, 0.2424, 0.0986])
    """
    axis = _implicit("softmax", input, _stacklevel) if dim is None else dim
    return _along(xe.softmax, input, axis, dtype)


@like(F.log_softmax)
def log_softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Logarithms of the softmax, as `torch.nn.functional.log_softmax`.

    Parameters
    ----------
    input, dim, _stacklevel, dtype
        As in `softmax`.

    Returns
    -------
    Tensor
        Of the input's shape. A confident class keeps its digits where PyTorch has 0.

    See Also
    --------
    xentropy.log_softmax : The same on every framework.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import log_softmax
    >>> log_softmax(torch.tensor([20.0, 0.0]), dim=0)
    tensor([-2.0612e-09, -2.0000e+01])
    """
    axis = _implicit("log_softmax", input, _stacklevel) if dim is None else dim
    return _along(xe.log_softmax, input, axis, dtype)


@like(torch.logsumexp)
def logsumexp(
    input: Tensor,
    dim: int | tuple[int, ...],
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The logarithm of a sum of exponentials, as `torch.logsumexp`.

    Parameters
    ----------
    input : Tensor
        Exponents; integers become the default dtype.
    dim : int or tuple of int
        The axes to sum over; ``()`` for all.
    keepdim : bool, default False
        Whether summed axes stay with length 1.
    out : Tensor, optional
        Where the result goes.

    Returns
    -------
    Tensor
        In the input's dtype; half precision is computed in float32. An empty sum is -inf.

    See Also
    --------
    xentropy.logsumexp : The same on every framework, with factors and masks.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import logsumexp
    >>> logsumexp(torch.tensor([0.0, -20.0]), dim=0)
    tensor(2.0612e-09)
    """
    x = input if input.is_floating_point() or input.is_complex() else _floating(input)
    flat = x.reshape(1) if x.ndim == 0 else x
    axes = (dim,) if isinstance(dim, int) else tuple(dim) or tuple(range(flat.ndim))
    if 0 in flat.shape and not x.is_complex():
        # Sums of nothing are -inf; there may be none.
        value = flat.sum(axes, keepdim=keepdim) - math.inf
    else:
        value = xe.logsumexp(flat, axis=axes, keepdims=keepdim)
    value = value.reshape(()) if x.ndim == 0 else value
    value = value.to(torch.float32 if _softens(x) else x.dtype)
    return value if out is None else torch.mul(value, 1, out=out)


def _implicit(name: str, input: Tensor, stacklevel: int) -> int:
    """The axis that PyTorch chooses where none is given, and warns of while nothing is traced."""
    if torch.compiler.is_compiling():
        return 0 if input.ndim in (0, 1, 3) else 1
    # The wrapper with the errors and this function stand between PyTorch's warning and the caller.
    axis: int = F._get_softmax_dim(name, input.ndim, stacklevel + 2)  # type: ignore[attr-defined]
    return axis


def _along(
    function: Callable[..., Tensor], input: Tensor, dim: int, dtype: torch.dtype | None
) -> Tensor:
    """A softmax along an axis; one number is a row of one class."""
    if dtype is None and _softens(input):
        dtype = torch.float32
    x = input if dtype is None else input.to(dtype)
    if x.ndim == 0:
        return function(x.reshape(1), axis=dim).reshape(())
    if x.shape[dim] == 0:
        return x.clone()
    return function(x, axis=dim)


def _softens(x: Tensor) -> bool:
    """Whether autocast makes float32 of a softmax: it does everywhere but on a CPU."""
    return x.device.type != "cpu" and x.dtype != torch.float64 and autocasts(x)


def _floating(x: Tensor) -> Tensor:
    return x.to(torch.get_default_dtype())
