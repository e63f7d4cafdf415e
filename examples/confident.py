"""Train past certainty: the same network, in float32, with the framework's loss and with xentropy.

A small network learns to add modulo 59 from 80 % of all pairs, in full batches and without weight
decay. After a few hundred steps every training pair is right, and the loss goes on falling only
because the predictions become more confident. Once the probability of the right answer rounds to 1,
`torch.nn.functional.cross_entropy` gives that answer a gradient of 1 - 1 = 0, while the wrong ones
are still pushed down: the loss stalls near 1e-7, the logits drift away and what the network had
learnt about the test pairs is lost. With `xe.cross_entropy` nothing but the loss is different, and
the training follows that of PyTorch in float64.

Prieto et al., 2025, "Grokking at the Edge of Numerical Stability" (arXiv:2501.04697) describe this
as softmax collapse, and that it keeps networks from generalising late, "grokking".

    python examples/confident.py
    python examples/confident.py --steps 1600 --modulus 13 --out curves.png

The first takes one to four minutes on two cores and prints, with "no pull" for the share of the
training pairs whose right answer gets a gradient of exactly 0, and "test" for the share of right
answers on the pairs held back:

                    PyTorch float32             xentropy float32              PyTorch float64
  step         loss  no pull   test         loss  no pull   test         loss  no pull   test
     1     4.08e+00     0.0%   1.6%     4.08e+00     0.0%   1.6%     4.08e+00     0.0%   1.6%
   228     4.42e-02     0.0%   4.2%     4.42e-02     0.0%   4.0%     4.41e-02     0.0%   4.2%
   455     1.61e-03     0.0%  17.7%     1.60e-03     0.0%  18.7%     1.60e-03     0.0%  18.4%
   683     1.13e-04     0.0%  29.5%     1.12e-04     0.0%  29.2%     1.12e-04     0.0%  29.7%
   910     8.94e-06     0.1%  41.5%     8.91e-06     0.0%  42.1%     8.92e-06     0.0%  43.0%
  1137     7.29e-07     0.8%  52.7%     7.41e-07     0.0%  53.6%     7.43e-07     0.0%  54.0%
  1364     5.76e-08    53.9%  62.9%     6.39e-08     0.0%  64.4%     6.37e-08     0.0%  63.5%
  1591     7.55e-08    42.3%  55.2%     5.63e-09     0.0%  70.7%     5.61e-09     0.0%  69.8%
  1818     1.10e-07    30.0%  44.7%     5.05e-10     0.0%  75.4%     5.02e-10     0.0%  75.0%
  2046     1.32e-07    24.6%  34.6%     4.54e-11     0.0%  78.4%     4.52e-11     0.0%  78.0%
  2273     1.43e-07    21.8%  29.7%     4.18e-12     0.0%  81.9%     4.15e-12     0.0%  82.0%
  2500     1.51e-07    19.2%  25.9%     3.87e-13     0.0%  85.6%     3.84e-13     0.0%  85.2%

The last digits differ from machine to machine, and more than these in the columns of PyTorch in
float32. Its loss never becomes exactly 0 here, since the pairs that are not yet certain keep the
mean above it, and a pair's gradient is never 0 as a whole: that by the wrong answers remains.

Adam, since plain gradient descent takes steps as small as its gradients and does not get this far
in any affordable time. Its second moment is given a memory of 50 steps and its epsilon is far below
the gradients; with the usual 1000 steps the loss falls as well, but much more slowly, and with the
usual epsilon of 1e-8 Adam itself slows down where the gradients are of that size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import confident_report as report
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

import xentropy as xe

TRAIN_SHARE = 0.8
WIDTH = 200
BETAS = (0.9, 0.98)
# Adam adds this to the size of a gradient before it divides by it. The default, 1e-8, would be as
# good as no gradient at all here; below about 1e-19 the squares are no longer float32 numbers.
EPSILON = 1e-20


# --- what is compared ---------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """A loss, and the dtype of everything: weights, logits, loss and gradients."""

    name: str
    loss: Callable[[Tensor, Tensor], Tensor]
    dtype: torch.dtype


SETTINGS = (
    Setting("PyTorch float32", functional.cross_entropy, torch.float32),
    Setting("xentropy float32", xe.cross_entropy, torch.float32),
    Setting("PyTorch float64", functional.cross_entropy, torch.float64),
)


# --- data and network ---------------------------------------------------------------------


@dataclass(frozen=True)
class Addition:
    """Pairs (a, b) as two one-hot vectors in a row, and the sums (a + b) mod the modulus."""

    modulus: int
    train_pairs: Tensor
    train_sums: Tensor
    test_pairs: Tensor
    test_sums: Tensor


def make_addition(modulus: int, seed: int) -> Addition:
    """Shuffle the pairs of all numbers below the modulus, hold a fifth back for the test."""
    order = np.random.default_rng(seed).permutation(modulus**2)
    first, second = np.divmod(order, modulus)
    one_hot = np.eye(modulus, dtype="float32")
    pairs = torch.from_numpy(np.hstack([one_hot[first], one_hot[second]]))
    sums = torch.from_numpy((first + second) % modulus)
    cut = round(TRAIN_SHARE * len(order))
    return Addition(modulus, pairs[:cut], sums[:cut], pairs[cut:], sums[cut:])


def make_network(modulus: int, seed: int) -> torch.nn.Module:
    """One hidden layer; the same seed gives the same weights."""
    torch.manual_seed(seed)
    hidden, last = torch.nn.Linear(2 * modulus, WIDTH), torch.nn.Linear(WIDTH, modulus)
    return torch.nn.Sequential(hidden, torch.nn.ReLU(), last)


# --- training -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """What was seen before every step of one training."""

    name: str
    losses: NDArray[np.float64]
    unpulled: NDArray[np.float64]
    accuracies: NDArray[np.float64]


def unpulled(gradient: Tensor, sums: Tensor) -> float:
    """Share of the pairs whose right answer gets a gradient of exactly 0."""
    of_the_answer = gradient.gather(-1, sums[:, None])
    return float((of_the_answer == 0).double().mean())


def accuracy(network: torch.nn.Module, pairs: Tensor, sums: Tensor) -> float:
    """Share of right answers."""
    with torch.no_grad():
        return float((network(pairs).argmax(-1) == sums).double().mean())


def train(setting: Setting, data: Addition, steps: int, rate: float, seed: int) -> Run:
    """Descend the mean loss of all training pairs with Adam, no weight decay."""
    network = make_network(data.modulus, seed).to(setting.dtype)
    pairs, test_pairs = data.train_pairs.to(setting.dtype), data.test_pairs.to(setting.dtype)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, betas=BETAS, eps=EPSILON)
    seen = []
    for _ in range(steps):
        logits = network(pairs)
        logits.retain_grad()
        value = setting.loss(logits, data.train_sums)
        optimiser.zero_grad()
        value.backward()
        share = unpulled(logits.grad, data.train_sums)
        seen.append((value.item(), share, accuracy(network, test_pairs, data.test_sums)))
        optimiser.step()
    return Run(setting.name, *np.array(seen).T)


# --- the command line --------------------------------------------------------------------


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train past certainty, with two losses.")
    add = parser.add_argument
    add("--steps", type=int, default=2500, help="number of gradient steps (default: 2500)")
    add("--rate", type=float, default=0.003, help="step size of Adam (default: 0.003)")
    add("--modulus", type=int, default=59, help="numbers to add are below this (default: 59)")
    add("--seed", type=int, default=0, help="of the weights and of the split (default: 0)")
    add("--out", type=Path, default=Path("confident.png"), help="where the plot goes")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    if options.modulus < 2:
        parser.error(f"--modulus must be at least 2, got {options.modulus}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with every setting, print, draw."""
    options = parse(arguments)
    data = make_addition(options.modulus, options.seed)
    runs = [train(each, data, options.steps, options.rate, options.seed) for each in SETTINGS]
    report.print_table(runs)
    report.plot(runs, options.out)
    print(f"plot written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
