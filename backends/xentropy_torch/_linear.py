"""linear_cross_entropy and LinearCrossEntropyLoss, as PyTorch has them from 2.13 on."""

# TorchScript reads the annotations of what it calls back: they must not be strings.
# ruff: noqa: A002 - PyTorch's names of the arguments

import math
from dataclasses import replace
from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import LinearCrossEntropyOptions
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

import xentropy as xe
from xentropy import _errors
from xentropy._call import call_of
from xentropy._typing import Normalizer, Reduction
from xentropy_torch._backend import backend
from xentropy_torch._results import autocasts, dtype_of, over_all, reduction_of, widened
from xentropy_torch._rows import cross_entropy, single, smoothed, weight_of
from xentropy_torch._twins import like

HALVES = (torch.float16, torch.bfloat16)


class Head(NamedTuple):
    """What the logits are made of, and the targets."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    target: Tensor

    @property
    def out_features(self) -> tuple[int, ...]:
        """The lengths between classes and features: every place there is a head of its own."""
        return tuple(self.weight.shape[1:-1])

    @property
    def logits(self) -> tuple[int, ...]:
        """The shape of the logits."""
        return (*self.input.shape[:-1], *self.weight.shape[:-1])

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape of the losses: of the logits without the classes."""
        return (*self.input.shape[:-1], *self.out_features)


@like(F.linear_cross_entropy)
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """Cross-entropy of a linear head, as `torch.nn.functional.linear_cross_entropy`.

    The logits are made tile by tile and never held whole, with ``options`` and without.

    Parameters
    ----------
    input : Tensor, shape (D,) or (N, D)
        What the head is applied to.
    linear_weight : Tensor, shape (C, D) or (C, d1, ..., dK, D)
        The weight of the head; with K axes in between, of a head for every place there.
    target : Tensor
        Labels of any integer dtype and shape (), (N,) or (N, d1, ..., dK); or probabilities of
        shape (C,), (N, C) or (N, C, d1, ..., dK).
    linear_bias : Tensor, shape (C,) or (C, d1, ..., dK), optional
        Added to the logits.
    weight : Tensor, shape (C,), optional
        A factor of every class.
    reduction : {"mean", "sum", "none"}
        As in `cross_entropy`, over all rows and places.
    ignore_index : int, optional
        The label of rows to leave out: -100 unless it is given. Probabilities have none.
    label_smoothing : float, default 0.0
        e in [0, 1]: the targets become (1 - e) t + e / C.
    options : torch.nn.LinearCrossEntropyOptions, optional
        How PyTorch cuts the rows. What it refuses is refused; else it changes nothing here.

    Returns
    -------
    Tensor
        The loss in PyTorch's dtype; half precision is computed in float32.

    See Also
    --------
    cross_entropy : The same of logits that are there.
    xentropy.linear_cross_entropy : The same on every framework, with more options.

    Notes
    -----
    docs/drop-ins/torch.md lists in what it differs.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import linear_cross_entropy
    >>> head = torch.tensor([[30.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> linear_cross_entropy(torch.tensor([[1.0, 0.0]]), head, torch.tensor([0]))
    tensor(1.8715e-13)
    """
    how = reduction_of(None, None, reduction)
    head = Head(input, linear_weight, linear_bias, target)
    _check(head)
    result = None
    if options is not None and _is_cut(head, reduction, label_smoothing):
        _check_options(options, head)
        result = input.dtype
    if target.shape == head.logits:
        if ignore_index is not None:
            rule = "left out where targets are probabilities"
            raise _errors.option("ignore_index", rule, ignore_index)
        return _soft(head, weight, how, label_smoothing)
    loss = _hard(head, weight, how, -100 if ignore_index is None else ignore_index, label_smoothing)
    return loss.to(result or dtype_of(input, linear_weight, linear_bias))


class LinearCrossEntropyLoss(nn.LinearCrossEntropyLoss):
    """`torch.nn.LinearCrossEntropyLoss` that computes `xentropy_torch.linear_cross_entropy`.

    Constructor, parameters, buffers and `repr` are PyTorch's own.

    See Also
    --------
    linear_cross_entropy : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import LinearCrossEntropyLoss
    >>> loss = LinearCrossEntropyLoss(2, 3).requires_grad_(False)
    >>> head = torch.tensor([[30.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> loss.load_state_dict({"linear.weight": head})
    <All keys matched successfully>
    >>> loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    tensor(1.8715e-13)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of the head's logits."""
        lengths = (self.num_classes, *self.out_features)
        return linear_cross_entropy(
            input,
            self.linear.weight.reshape((*lengths, self.linear.in_features)),
            target,
            linear_bias=_reshaped(self.linear.bias, lengths),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )


def _reshaped(bias: Tensor | None, lengths: tuple[int, ...]) -> Tensor | None:
    """The bias that a module holds flat, if it has one: PyTorch's annotations forget that."""
    return None if bias is None else bias.reshape(lengths)


def _hard(
    head: Head, weight: Tensor | None, how: Reduction, ignore_index: int, label_smoothing: float
) -> Tensor:
    """The loss of labels; a mean divides by the sum of the labels' own weights in all places."""
    if head.input.ndim == 1:
        head = head._replace(target=single(head.target))
    if tuple(head.target.shape) != head.rows:
        rule = "labels have that shape, probabilities have the classes too"
        raise _errors.shapes("target", head.target.shape, rule, "the rows", head.rows)
    normalizer: Normalizer | Tensor = "weights"
    own = head.out_features or (weight is not None and label_smoothing != 0)
    if how == "mean" and own:
        normalizer = weight_of(head.input, head.target, weight, ignore_index)
    return _loss(
        head,
        class_weights=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=how,
        normalizer=normalizer,
    )


def _soft(head: Head, weight: Tensor | None, how: Reduction, label_smoothing: float) -> Tensor:
    """The loss of probabilities: a mean over all rows, and so over the means of the places."""
    floating = (x for x in (*head, weight) if x is None or x.is_floating_point())
    result = dtype_of(*floating)
    x = widened(head.input, result)
    target = smoothed(x, head.target, label_smoothing, head.weight.shape[0])
    wide = head._replace(input=x, target=target)
    loss = _loss(wide, class_weights=weight, reduction=how, normalizer=over_all(how))
    places = math.prod(head.out_features)
    return (loss / places if how == "mean" and places > 1 else loss).to(result)


def _loss(head: Head, **options: Any) -> Tensor:
    """The loss of every place by itself, joined or added up: a place has a weight of its own."""
    if not head.out_features:
        return _value(head, **options)
    if 0 in head.out_features:
        return _nothing(head, options["reduction"])
    losses = torch.stack([_value(place, **options) for place in _places(_wide(head))], -1)
    if options["reduction"] == "none":
        return losses.reshape(head.rows)
    return losses.sum()


def _value(head: Head, **options: Any) -> Tensor:
    """The core's loss, where a mean over nothing is NaN."""
    call = call_of(
        xe.linear_cross_entropy, head.input, head.weight, head.target, bias=head.bias, **options
    )
    rule: Any = call.rule
    loss: Tensor = call.changed(loss=replace(rule.loss, empty=math.nan)).value()
    return loss


def _wide(head: Head) -> Head:
    """The head with an input whose gradient adds up over all places before it is rounded."""
    wide = head._replace(input=head.input.to(backend.compute_dtype(head.input)))
    if head.input.device.type != "cpu" or not autocasts(head.input):
        return wide
    # On a CPU autocast refuses to join gradients of float16, as those of all places are.
    weight, bias = _steady(head.weight), None if head.bias is None else _steady(head.bias)
    return wide._replace(weight=weight, bias=bias, target=_steady(head.target))


def _steady(x: Tensor) -> Tensor:
    return x.to(torch.float32) if x.dtype == torch.float16 else x


def _places(head: Head) -> list[Head]:
    """The heads of all places; parts that are unbound together get their gradients together."""
    count = math.prod(head.out_features)
    rows, classes = head.input.shape[0], head.weight.shape[0]
    soft = head.target.ndim > len(head.rows)
    weights = head.weight.reshape(classes, count, head.input.shape[-1]).unbind(1)
    targets = head.target.reshape((rows, classes, count) if soft else (rows, count)).unbind(-1)
    biases = repeat(None) if head.bias is None else head.bias.reshape(classes, count).unbind(1)
    parts = zip(weights, biases, targets, strict=False)  # as many as weights and targets
    return [head._replace(weight=w, bias=b, target=t) for w, b, t in parts]


def _nothing(head: Head, how: Reduction) -> Tensor:
    """The loss of a head without places, whose logits are empty."""
    flat = head.weight.reshape(0, head.input.shape[-1])
    logits = (head.input @ flat.T).reshape(head.logits)
    return cross_entropy(logits, head.target, reduction=how)


def _is_cut(head: Head, reduction: str, label_smoothing: float) -> bool:
    """Whether PyTorch heeds its options: elsewhere it warns, and computes the loss as ever."""
    simple = not head.out_features and reduction in ("none", "mean", "sum")
    hard = head.target.dtype == torch.int64 and label_smoothing == 0
    return simple and hard and torch._C._get_tracing_state() is None


def _check(head: Head) -> None:
    """The shapes must fit as PyTorch wants it."""
    x, weight = head.input, head.weight
    batched = x.ndim == 2 or not head.out_features
    if x.ndim not in (1, 2) or weight.ndim < 2 or not batched:
        rule = "they are (D,) and (C, D), (N, D) and (C, D), or (N, D) and (C, d1, ..., D)"
        raise _errors.shapes("input", x.shape, rule, "linear_weight", weight.shape)
    if x.shape[-1] != weight.shape[-1]:
        rule = "both have as many features in the last axis"
        raise _errors.shapes("input", x.shape, rule, "linear_weight", weight.shape)
    if head.bias is not None and head.bias.shape != weight.shape[:-1]:
        rule = "it has its shape without the last axis"
        raise _errors.shapes("linear_bias", head.bias.shape, rule, "linear_weight", weight.shape)


def _check_options(options: LinearCrossEntropyOptions, head: Head) -> None:
    """What PyTorch refuses of options: sizes that contradict each other, a dtype to add up in."""
    rows, dtype = math.prod(head.input.shape[:-1]), head.input.dtype
    if options.batch_chunk_size is not None and options.chunking_method not in (None, "auto"):
        # Whether both ways to give a size mean the same: PyTorch's own comparison.
        options._adjust(rows, head.input.shape[-1], head.weight.shape[0], dtype, head.input.device)
    wide = options.acc_dtype == torch.float32 and dtype in HALVES
    if options.acc_dtype not in (None, dtype) and not wide:
        rule = f"None, the input's {dtype}, or float32 for an input of half precision"
        raise _errors.dtype("options.acc_dtype", rule, options.acc_dtype)
