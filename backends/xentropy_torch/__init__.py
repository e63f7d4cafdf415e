"""The PyTorch backend of xentropy, and drop-ins for PyTorch's own functions and modules."""

from torch import nn as _nn

from xentropy_torch._backend import backend
from xentropy_torch._divergence import kl_div
from xentropy_torch._maps import log_softmax, logsumexp, softmax
from xentropy_torch._modules import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    KLDivLoss,
    LogSoftmax,
    NLLLoss,
    Softmax,
)
from xentropy_torch._pairs import binary_cross_entropy, binary_cross_entropy_with_logits
from xentropy_torch._rows import cross_entropy, nll_loss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "KLDivLoss",
    "LogSoftmax",
    "NLLLoss",
    "Softmax",
    "backend",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "kl_div",
    "log_softmax",
    "logsumexp",
    "nll_loss",
    "softmax",
]

# What PyTorch has from 2.13 on.
if hasattr(_nn, "LinearCrossEntropyOptions"):
    from xentropy_torch._linear import LinearCrossEntropyLoss, linear_cross_entropy

    __all__ += ["LinearCrossEntropyLoss", "linear_cross_entropy"]
