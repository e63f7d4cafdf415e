"""The two binary cross-entropies, as PyTorch has them."""

# TorchScript reads the annotations of what it calls back: they must not be strings.
# ruff: noqa: A002 - PyTorch's names of the arguments

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

import xentropy as xe
from xentropy import _errors
from xentropy._call import call_of
from xentropy_torch._backend import backend
from xentropy_torch._results import dtype_of, over_all, reduction_of, value_of, widened
from xentropy_torch._twins import like


@like(F.binary_cross_entropy)
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross-entropy of probabilities, as `torch.nn.functional.binary_cross_entropy`.

    Parameters
    ----------
    input : Tensor
        Probabilities; their logarithms count as -100 at least.
    target : Tensor of the same shape
        Probabilities.
    weight : Tensor, optional
        A factor of every element, broadcast to the input.
    size_average, reduce : bool, optional
        Deprecated: they override ``reduction``.
    reduction : {"mean", "sum", "none"}
        What becomes of the elements; a mean over nothing is NaN.

    Returns
    -------
    Tensor
        The loss in the input's dtype; half precision is computed in float32.

    See Also
    --------
    binary_cross_entropy_with_logits : From logits; it keeps the digits of confident predictions.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import binary_cross_entropy
    >>> binary_cross_entropy(torch.tensor([0.9, 0.0]), torch.tensor([1.0, 1.0]), reduction="none")
    tensor([  0.1054, 100.0000])
    """
    how = reduction_of(size_average, reduce, reduction)
    _check_unit("input", input)
    _check_unit("target", target)
    call = call_of(
        xe.binary_cross_entropy,
        input,
        target,
        from_logits=False,
        sample_weights=_spread(weight, input),
        reduction=how,
        normalizer=over_all(how),
    )
    return value_of(call, dtype_of(input), floor=-100.0)


@like(F.binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of logits, as PyTorch's function of this name.

    Parameters
    ----------
    input : Tensor
        Logits.
    target : Tensor of the same shape
        Probabilities; floating targets are taken as they are.
    weight : Tensor, optional
        A factor of every element, broadcast to the input.
    size_average, reduce : bool, optional
        Deprecated: they override ``reduction``.
    reduction : {"mean", "sum", "none"}
        What becomes of the elements; a mean over nothing is NaN.
    pos_weight : Tensor, optional
        A factor of the positive class, broadcast to the input.

    Returns
    -------
    Tensor
        The loss in the target's dtype, as PyTorch has it; half precision is computed in float32.

    See Also
    --------
    xentropy.binary_cross_entropy : The same on every framework.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import binary_cross_entropy_with_logits
    >>> x = torch.tensor([-20.0, 20.0])
    >>> binary_cross_entropy_with_logits(x, torch.tensor([0.0, 1.0]))
    tensor(2.0612e-09)
    """
    how = reduction_of(size_average, reduce, reduction)
    result = dtype_of(target if target.is_floating_point() else input)
    call = call_of(
        xe.binary_cross_entropy,
        widened(input, result),
        target,
        sample_weights=_spread(weight, input),
        pos_weight=_spread(pos_weight, input),
        reduction=how,
        normalizer=over_all(how),
    )
    return value_of(call, result)


def _spread(weight: Tensor | None, input: Tensor) -> Tensor | None:
    """A factor of every element; as in PyTorch a single number may come from the host."""
    if weight is None:
        return None
    here = weight.to(input.device) if weight.ndim == 0 else weight
    return torch.broadcast_to(here, input.shape)


def _check_unit(name: str, x: Tensor) -> None:
    """Every entry that can be looked at must be a probability."""
    if backend.look(x) is None:
        return
    outside = ~((x >= 0) & (x <= 1))
    if bool(outside.any()):
        place = tuple(outside.nonzero()[0].tolist())
        raise _errors.entry(name, place, x[place].item(), "in [0, 1]")
