"""Train the same PyTorch network twice: with torch.nn's loss, and with its drop-in.

What differs is one import. Both trainings start from the same weights and see the same batches of
scikit-learn's handwritten digits, so that the curves lie on each other but for rounding.

    python examples/drop_in_torch.py
    python examples/drop_in_torch.py --epochs 5
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch
from side_by_side import Run, Split, digits, show
from torch import Tensor, nn
from torch.nn import CrossEntropyLoss as Native

from xentropy_torch import CrossEntropyLoss as Ours

BATCH = 64


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors."""
    return torch.from_numpy(split.images), torch.from_numpy(split.labels)


def network() -> nn.Module:
    """A small classifier, the same on every call."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def epoch(
    model: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, train: Split
) -> float:
    """One pass over the images in an order that the seed decides; the mean of the losses."""
    images, labels = tensors(train)
    total = 0.0
    for batch in torch.randperm(len(images)).split(BATCH):
        optimizer.zero_grad()
        value = loss(model(images[batch]), labels[batch])
        value.backward()
        optimizer.step()
        total += value.item() * len(batch)
    return total / len(images)


def fit(name: str, loss: nn.Module, train: Split, test: Split, epochs: int) -> Run:
    """Train with a loss, whoever made it."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = [epoch(model, loss, optimizer, train) for _ in range(epochs)]
    images, labels = tensors(test)
    with torch.no_grad():
        right = model(images).argmax(1) == labels
    return Run(name, losses, right.double().mean().item())


def main(arguments: Sequence[str] | None = None) -> int:
    """Train twice and print both curves."""
    parser = argparse.ArgumentParser(description="One changed import: a PyTorch training loop.")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data (default: 20)")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")
    train, test = digits()
    runs = (
        fit("torch.nn", Native(label_smoothing=0.1), train, test, options.epochs),
        fit("xentropy_torch", Ours(label_smoothing=0.1), train, test, options.epochs),
    )
    show(*runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
