"""kl_div, as PyTorch has it."""

# TorchScript reads the annotations of what it calls back: they must not be strings.
# ruff: noqa: A002 - PyTorch's names of the arguments

import warnings

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

from xentropy._pointwise import Given, relative_entropy
from xentropy._typing import Reduction
from xentropy_torch._results import dtype_of, reduction_of, widened
from xentropy_torch._twins import like


@like(F.kl_div)
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence of log-probabilities, as `torch.nn.functional.kl_div`.

    Parameters
    ----------
    input : Tensor
        Log-probabilities.
    target : Tensor
        Probabilities, or with ``log_target`` log-probabilities; both broadcast to one shape.
    size_average, reduce : bool, optional
        Deprecated: they override ``reduction``.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" divides the sum by the length of the input's first axis, "mean" by the number
        of elements.
    log_target : bool, default False
        Whether the target holds log-probabilities.

    Returns
    -------
    Tensor
        The divergence in the wider dtype of both; half precision is computed in float32.

    See Also
    --------
    xentropy.kl_divergence : From logits, per row, on every framework.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import kl_div
    >>> kl_div(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]), reduction="batchmean")
    tensor(0.3681)
    """
    how = _kl_reduction(size_average, reduce, reduction)
    result = dtype_of(input, target)
    x, t = torch.broadcast_tensors(widened(input, result), target)
    given: Given = "log_probabilities" if log_target else "probabilities"
    value: Tensor = relative_entropy(x, t, targets_are=given)
    if how != "none":
        value = value.mean() if how == "mean" else value.sum()
    if reduction == "batchmean" and input.ndim != 0:
        value = value / input.shape[0]
    return value.to(result)


_MEAN_OF_KL = (
    "reduction: 'mean' divides the total loss by both the batch size and the support size."
    "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
    "'mean' will be changed to behave the same as 'batchmean' in the next major release."
)


def _kl_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> Reduction:
    """The reduction of kl_div before its division by the batch; PyTorch warns of its mean."""
    if size_average is None and reduce is None:
        if reduction == "mean" and not torch.compiler.is_compiling():
            # Of this function, kl_div and the wrapper with its errors the caller is the next.
            warnings.warn(_MEAN_OF_KL, stacklevel=4)
        if reduction == "batchmean":
            return "sum"
    return reduction_of(size_average, reduce, reduction)
