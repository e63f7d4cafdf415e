"""Cross-entropy and its kin for the tensors of any framework, accurate and the same on all."""

from xentropy._call import value_and_grad
from xentropy._class_stream import ClassStream
from xentropy._functions import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
from xentropy._heads import linear_cross_entropy, linear_score
from xentropy._information import entropy, kl_divergence
from xentropy._losses import binary_cross_entropy, cross_entropy, nll_loss
from xentropy._options import options
from xentropy._row_stream import RowStream, Totals
from xentropy._scoring import Score, score
from xentropy._variants import focal_loss, generalized_cross_entropy, poly_loss

__version__ = "0.1.0.dev0"

__all__ = [
    "ClassStream",
    "RowStream",
    "Score",
    "Totals",
    "binary_cross_entropy",
    "cross_entropy",
    "entropy",
    "focal_loss",
    "generalized_cross_entropy",
    "kl_divergence",
    "linear_cross_entropy",
    "linear_score",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "nll_loss",
    "options",
    "poly_loss",
    "score",
    "sigmoid",
    "softmax",
    "value_and_grad",
]
