"""The drop-ins for PyTorch as a type checker sees them; run by test_typed.py."""

from __future__ import annotations

import torch
from holds import assert_type
from torch import Tensor
from torch.nn import Parameter

import xentropy_torch as drop_ins

x = torch.ones((2, 3))
y = torch.tensor([0, 1])
p = torch.full((2, 3), 0.5)
parameter = Parameter(x)


def maps() -> None:
    assert_type(drop_ins.softmax(x, dim=0, dtype=torch.float64), Tensor)
    assert_type(drop_ins.log_softmax(parameter, 0), Tensor)
    assert_type(drop_ins.logsumexp(x, (0, 1), keepdim=True), Tensor)


def losses() -> None:
    assert_type(drop_ins.cross_entropy(x, y, weight=torch.ones(3), label_smoothing=0.1), Tensor)
    assert_type(drop_ins.cross_entropy(parameter, target=p, reduction="none"), Tensor)
    assert_type(drop_ins.nll_loss(x, y, ignore_index=0), Tensor)
    assert_type(drop_ins.binary_cross_entropy(p, p), Tensor)
    assert_type(drop_ins.binary_cross_entropy_with_logits(x, p, pos_weight=p), Tensor)
    assert_type(drop_ins.kl_div(x, p, reduction="batchmean", log_target=False), Tensor)


def modules() -> None:
    assert_type(drop_ins.Softmax(dim=0).forward(x), Tensor)
    assert_type(drop_ins.LogSoftmax(dim=0).forward(x), Tensor)
    assert_type(drop_ins.CrossEntropyLoss(label_smoothing=0.1).forward(x, y), Tensor)
    assert_type(drop_ins.NLLLoss(reduction="sum").forward(x, y), Tensor)
    assert_type(drop_ins.BCELoss().forward(p, p), Tensor)
    assert_type(drop_ins.BCEWithLogitsLoss(pos_weight=torch.ones(3)).forward(x, p), Tensor)
    assert_type(drop_ins.KLDivLoss(reduction="sum").forward(x, p), Tensor)


def heads() -> None:
    if hasattr(drop_ins, "linear_cross_entropy"):  # PyTorch 2.13
        assert_type(drop_ins.linear_cross_entropy(x, torch.ones((4, 3)), y), Tensor)
        assert_type(drop_ins.LinearCrossEntropyLoss(3, 4).forward(x, y), Tensor)


def refuses_an_option() -> None:
    drop_ins.cross_entropy(x, y, smoothing=0.1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def refuses_an_argument_less() -> None:
    drop_ins.nll_loss(x)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
