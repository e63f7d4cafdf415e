"""Cross-entropy and its kin for the tensors of any framework, accurate and the same on all."""

from xentropy._call import value_and_grad
from xentropy._functions import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from xentropy._losses import binary_cross_entropy, cross_entropy, nll_loss

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "nll_loss",
    "sigmoid",
    "softmax",
    "value_and_grad",
]
