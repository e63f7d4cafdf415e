"""The modules of torch.nn, computed by xentropy: PyTorch's own, but for what forward calls."""

# TorchScript compiles these methods: annotations must not be strings, and arguments of the
# functions, which it calls back, are given by position.
# ruff: noqa: A002 - PyTorch's names of the arguments

from torch import Tensor, nn

from xentropy_torch._divergence import kl_div
from xentropy_torch._maps import log_softmax, softmax
from xentropy_torch._pairs import binary_cross_entropy, binary_cross_entropy_with_logits
from xentropy_torch._rows import cross_entropy, nll_loss


class Softmax(nn.Softmax):
    """`torch.nn.Softmax` that computes `xentropy_torch.softmax`."""

    def forward(self, input: Tensor) -> Tensor:
        """The probabilities."""
        return softmax(input, self.dim, 5, None)


class LogSoftmax(nn.LogSoftmax):
    """`torch.nn.LogSoftmax` that computes `xentropy_torch.log_softmax`."""

    def forward(self, input: Tensor) -> Tensor:
        """The logarithms of the probabilities."""
        return log_softmax(input, self.dim, 5, None)


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """`torch.nn.CrossEntropyLoss` that computes `xentropy_torch.cross_entropy`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits."""
        return cross_entropy(
            input,
            target,
            self.weight,
            None,
            self.ignore_index,
            None,
            self.reduction,
            self.label_smoothing,
        )


class NLLLoss(nn.NLLLoss):
    """`torch.nn.NLLLoss` that computes `xentropy_torch.nll_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities."""
        return nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)


class BCELoss(nn.BCELoss):
    """`torch.nn.BCELoss` that computes `xentropy_torch.binary_cross_entropy`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities."""
        return binary_cross_entropy(input, target, self.weight, None, None, self.reduction)


class BCEWithLogitsLoss(nn.BCEWithLogitsLoss):
    """`torch.nn.BCEWithLogitsLoss` that computes xentropy_torch's function of its kind."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits."""
        return binary_cross_entropy_with_logits(
            input, target, self.weight, None, None, self.reduction, self.pos_weight
        )


class KLDivLoss(nn.KLDivLoss):
    """`torch.nn.KLDivLoss` that computes `xentropy_torch.kl_div`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The divergence of log-probabilities."""
        return kl_div(input, target, None, None, self.reduction, self.log_target)
