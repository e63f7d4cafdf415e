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
    """`torch.nn.Softmax` that computes `xentropy_torch.softmax`.

    Constructor, buffers and `repr` are PyTorch's own.

    See Also
    --------
    softmax : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import Softmax
    >>> Softmax(dim=0)(torch.tensor([2.0, 1.0, 0.1]))
    tensor([0.6590, 0.2424, 0.0986])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The probabilities."""
        return softmax(input, self.dim, 5, None)


class LogSoftmax(nn.LogSoftmax):
    """`torch.nn.LogSoftmax` that computes `xentropy_torch.log_softmax`.

    Constructor, buffers and `repr` are PyTorch's own.

    See Also
    --------
    log_softmax : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import LogSoftmax
    >>> LogSoftmax(dim=0)(torch.tensor([20.0, 0.0]))
    tensor([-2.0612e-09, -2.0000e+01])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The logarithms of the probabilities."""
        return log_softmax(input, self.dim, 5, None)


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """`torch.nn.CrossEntropyLoss` that computes `xentropy_torch.cross_entropy`.

    Constructor, buffers and `repr` are PyTorch's own.

    See Also
    --------
    cross_entropy : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import CrossEntropyLoss
    >>> CrossEntropyLoss()(torch.tensor([[30.0, 0.0, 0.0]]), torch.tensor([0]))
    tensor(1.8715e-13)
    """

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
    """`torch.nn.NLLLoss` that computes `xentropy_torch.nll_loss`.

    Constructor, buffers and `repr` are PyTorch's own.

    See Also
    --------
    nll_loss : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import NLLLoss
    >>> NLLLoss()(torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([0]))
    tensor(0.3567)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities."""
        return nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)


class BCELoss(nn.BCELoss):
    """`torch.nn.BCELoss` that computes `xentropy_torch.binary_cross_entropy`.

    Constructor, buffers and `repr` are PyTorch's own.

    See Also
    --------
    binary_cross_entropy : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import BCELoss
    >>> BCELoss()(torch.tensor([0.9, 0.2]), torch.tensor([1.0, 0.0]))
    tensor(0.1643)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities."""
        return binary_cross_entropy(input, target, self.weight, None, None, self.reduction)


class BCEWithLogitsLoss(nn.BCEWithLogitsLoss):
    """`torch.nn.BCEWithLogitsLoss` that computes xentropy_torch's function of its kind.

    Constructor, buffers and `repr` are PyTorch's own.

    See Also
    --------
    binary_cross_entropy_with_logits : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import BCEWithLogitsLoss
    >>> BCEWithLogitsLoss()(torch.tensor([-20.0, 20.0]), torch.tensor([0.0, 1.0]))
    tensor(2.0612e-09)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits."""
        return binary_cross_entropy_with_logits(
            input, target, self.weight, None, None, self.reduction, self.pos_weight
        )


class KLDivLoss(nn.KLDivLoss):
    """`torch.nn.KLDivLoss` that computes `xentropy_torch.kl_div`.

    Constructor, buffers and `repr` are PyTorch's own.

    See Also
    --------
    kl_div : The function, where the options are explained.

    Examples
    --------
    >>> import torch
    >>> from xentropy_torch import KLDivLoss
    >>> loss = KLDivLoss(reduction="batchmean")
    >>> loss(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]))
    tensor(0.3681)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The divergence of log-probabilities."""
        return kl_div(input, target, None, None, self.reduction, self.log_target)
