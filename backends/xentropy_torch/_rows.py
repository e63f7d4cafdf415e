"""cross_entropy and nll_loss, as PyTorch has them."""

# TorchScript reads the annotations of what it calls back: they must not be strings.
# ruff: noqa: A002 - PyTorch's names of the arguments

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

import xentropy as xe
from xentropy import _errors, _inputs
from xentropy._call import call_of
from xentropy._typing import Normalizer, Reduction
from xentropy_torch._backend import backend
from xentropy_torch._results import dtype_of, over_all, reduction_of, value_of, widened
from xentropy_torch._twins import like


@like(F.cross_entropy)
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of logits, as `torch.nn.functional.cross_entropy`.

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ..., dK)
        Logits.
    target : Tensor
        Labels of any integer dtype, of the input's shape without C; or probabilities of the
        input's shape.
    weight : Tensor, shape (C,), optional
        A factor of every class.
    size_average, reduce : bool, optional
        Deprecated: they override ``reduction``.
    ignore_index : int, default -100
        The label of rows to leave out.
    reduction : {"mean", "sum", "none"}
        A mean divides by the sum of the labels' weights over the rows that are kept, and of
        probabilities by the number of rows; over nothing it is NaN with a gradient of 0.
    label_smoothing : float, default 0.0
        e in [0, 1]: the targets become (1 - e) t + e / C.

    Returns
    -------
    Tensor
        The loss in PyTorch's dtype; half precision is computed in float32.

    See Also
    --------
    xentropy.cross_entropy : The same on every framework, with more options.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import cross_entropy
    >>> cross_entropy(torch.tensor([[30.0, 0.0, 0.0]]), torch.tensor([0]))
    tensor(1.8715e-13)
    """
    how = reduction_of(size_average, reduce, reduction)
    if input.ndim == 1 and target.shape != input.shape:
        target = single(target)
    if target.shape == input.shape:
        ignored = None if ignore_index < 0 else ignore_index
        return _soft(input, target, weight, ignored, how, label_smoothing)
    normalizer: Normalizer | Tensor = "weights"
    if how == "mean" and weight is not None and label_smoothing != 0:
        normalizer = weight_of(input, target, weight, ignore_index)
    call = call_of(
        xe.cross_entropy,
        input,
        target,
        axis=_class_axis(input),
        class_weights=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=how,
        normalizer=normalizer,
    )
    return value_of(call, dtype_of(input))


@like(F.nll_loss)
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of labels, as `torch.nn.functional.nll_loss`.

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ..., dK)
        Log-probabilities.
    target : Tensor
        Labels of any integer dtype, of the input's shape without C.
    weight, size_average, ignore_index, reduce, reduction
        As in `cross_entropy`.

    Returns
    -------
    Tensor
        The loss in the input's dtype; half precision is computed in float32.

    See Also
    --------
    xentropy.nll_loss : The same on every framework, with more options.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import nll_loss
    >>> nll_loss(torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([0]))
    tensor(0.3567)
    """
    how = reduction_of(size_average, reduce, reduction)
    labels = single(target) if input.ndim == 1 else target
    if labels.shape == input.shape:
        rule = "labels have its shape without the class axis"
        raise _errors.shapes("target", target.shape, rule, "input", input.shape)
    call = call_of(
        xe.nll_loss,
        input,
        labels,
        axis=_class_axis(input),
        class_weights=weight,
        ignore_index=ignore_index,
        reduction=how,
    )
    return value_of(call, dtype_of(input))


def _soft(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int | None,
    how: Reduction,
    label_smoothing: float,
) -> Tensor:
    """The loss of probabilities: all of them smoothed by the same share, a mean over all rows."""
    result = dtype_of(*(x for x in (input, target, weight) if x is None or x.is_floating_point()))
    x = widened(input, result)
    call = call_of(
        xe.cross_entropy,
        x,
        smoothed(x, target, label_smoothing, input.shape[_class_axis(input)]),
        axis=_class_axis(input),
        class_weights=weight,
        ignore_index=ignore_index,
        reduction=how,
        normalizer=over_all(how),
    )
    return value_of(call, result)


def _class_axis(input: Tensor) -> int:
    return min(1, input.ndim - 1)


def smoothed(x: Tensor, target: Tensor, label_smoothing: float, classes: int) -> Tensor:
    """Probabilities, each mixed with 1 / C whatever they sum to."""
    if label_smoothing == 0:
        return target
    share = _inputs.fraction("label_smoothing", label_smoothing)
    return target.to(backend.compute_dtype(x)) * (1 - share) + share / classes


def single(target: Tensor) -> Tensor:
    """The label of an input without a batch, which PyTorch takes as shape (1,) too."""
    return target.reshape(()) if target.shape == (1,) else target


def weight_of(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """The sum of the labels' own weights over the rows that are kept, whatever is smoothed."""
    kept = target != ignore_index
    if weight is None:
        return kept.to(backend.compute_dtype(input)).sum()
    # A label that is no class makes the loss NaN: here it only must not break the lookup.
    index = torch.where(kept, target, 0).to(torch.int64).clamp(0, weight.shape[0] - 1)
    own = weight.to(backend.compute_dtype(input))[index]
    return torch.where(kept, own, 0).sum()
