"""Train one network in one process and in two, whose shares of the valid places differ.

Sequences of many lengths are padded with places to ignore and, as loaders that sort by length do,
each of the two processes gets sequences of like lengths: one has almost three times as many valid
places as the other. PyTorch's DistributedDataParallel averages gradients over the processes, so
that the loss of each has to be its sum over the count of *all* valid places, times the processes:

    xe.cross_entropy(logits, labels, ignore_index=IGNORED, normalizer=count / RANKS)

With it, in whole batches and in micro-batches whose gradients are accumulated, the training is that
of one process with the whole batch. With a mean of each process, or of each micro-batch, it is
another one: a place weighs the more the fewer there are beside it.

    python examples/data_parallel.py
    python examples/data_parallel.py --steps 10

It takes about ten seconds on two cores, and prints how far the gradient of the first step, the
parameters after the last and the losses on the way are from those of one process: the largest
difference over the largest number. float64 shows that it is the same mathematics; in float32 what
is left is the rounding of sums in another order.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

import xentropy as xe

RANKS = 2
SEQUENCES, LONGEST, FEATURES, WIDTH, CLASSES = 24, 40, 16, 32, 10
RATE, MOMENTUM = 0.2, 0.9
IGNORED = -100
# Seconds that processes wait for one another, and that all of the training may take.
PATIENCE, LIMIT = 60, 600

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Way:
    """How a step is divided, and whether by the count of all places or of those at hand."""

    name: str
    pieces: int
    together: bool


WAYS = (
    Way("global count", 1, together=True),
    Way("global count, 3 micro-batches", 3, together=True),
    Way("mean of each process", 1, together=False),
    Way("mean of each micro-batch", 3, together=False),
)
DTYPES = (torch.float64, torch.float32)


@dataclass(frozen=True)
class Run:
    """One training: the first step's gradient, the last parameters, the loss before every step."""

    gradient: Tensor
    parameters: Tensor
    losses: Tensor


# --- data and network ---------------------------------------------------------------------


def make_batches(steps: int, dtype: torch.dtype) -> list[Batch]:
    """Padded sequences in the order of their lengths, with labels by a fixed random rule."""
    generator = torch.Generator().manual_seed(1)
    rule = torch.randn(FEATURES, CLASSES, generator=generator)
    batches = []
    for _ in range(steps):
        x = torch.randn(SEQUENCES, LONGEST, FEATURES, generator=generator)
        lengths = torch.randint(1, LONGEST + 1, (SEQUENCES, 1), generator=generator).sort(0).values
        valid = torch.arange(LONGEST) < lengths
        labels = torch.where(valid, (x @ rule).argmax(-1), IGNORED)
        batches.append((x.to(dtype), labels))
    return batches


def make_network(dtype: torch.dtype) -> nn.Module:
    """One hidden layer, the same on every call."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.Tanh(), nn.Linear(WIDTH, CLASSES))
    return network.to(dtype)


def make_optimiser(network: nn.Module) -> torch.optim.Optimizer:
    """Plain descent with momentum, in which rounding does not grow."""
    return torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)


def flat(tensors: Sequence[Tensor | None]) -> Tensor:
    """All entries in a row, in float64."""
    return torch.cat([x.detach().double().flatten() for x in tensors if x is not None])


def gradient(network: nn.Module) -> Tensor:
    """The gradient by all parameters."""
    return flat([p.grad for p in network.parameters()])


# --- one process --------------------------------------------------------------------------


def train_alone(batches: Sequence[Batch]) -> Run:
    """Descend the mean over the valid places of whole batches: what the others should equal."""
    network = make_network(batches[0][0].dtype)
    optimiser, gradients, losses = make_optimiser(network), [], []
    for x, labels in batches:
        optimiser.zero_grad()
        loss = xe.cross_entropy(network(x), labels, ignore_index=IGNORED)
        loss.backward()
        gradients.append(gradient(network))
        losses.append(loss.detach())
        optimiser.step()
    return Run(gradients[0], flat(list(network.parameters())), flat(losses))


# --- several processes --------------------------------------------------------------------


def share(batch: Batch, rank: int, pieces: int) -> list[Batch]:
    """A rank's sequences of a batch, as micro-batches."""
    x, labels = (part.chunk(RANKS)[rank].chunk(pieces) for part in batch)
    return list(zip(x, labels, strict=True))


def count_all(pieces: Sequence[Batch]) -> Tensor:
    """The valid places of a step, in all micro-batches of all ranks."""
    # float64 holds a count, and a count over the number of ranks, where float32 would round it.
    count = sum((labels != IGNORED).sum().double() for _, labels in pieces)
    total = torch.as_tensor(count)
    dist.all_reduce(total)
    return total


def backward(network: DistributedDataParallel, pieces: Sequence[Batch], way: Way) -> Tensor:
    """Accumulate the gradients of a rank's micro-batches; return its loss."""
    count = count_all(pieces) / RANKS  # DistributedDataParallel divides by the ranks once more
    total = torch.zeros((), dtype=torch.float64)
    for i, (x, labels) in enumerate(pieces, 1):
        # Ranks exchange gradients in the last backward of a step alone.
        last = i == len(pieces)
        with contextlib.nullcontext() if last else network.no_sync():
            logits = network(x)
            if way.together:
                loss = xe.cross_entropy(logits, labels, ignore_index=IGNORED, normalizer=count)
            else:
                loss = xe.cross_entropy(logits, labels, ignore_index=IGNORED) / len(pieces)
            loss.backward()
        total += loss.detach()
    return total


def train_together(way: Way, batches: Sequence[Batch], rank: int) -> Run:
    """Train on a rank's share of the batches."""
    network = DistributedDataParallel(make_network(batches[0][0].dtype))
    optimiser, gradients, losses = make_optimiser(network), [], []
    for batch in batches:
        optimiser.zero_grad()
        loss = backward(network, share(batch, rank, way.pieces), way)
        gradients.append(gradient(network))
        dist.all_reduce(loss)
        losses.append(loss / RANKS)
        optimiser.step()
    return Run(gradients[0], flat(list(network.parameters())), flat(losses))


def work(rank: int, steps: int, folder: Path) -> None:
    """Be one process: train in every way, and let the first write what came out."""
    torch.set_num_threads(1)
    wait = timedelta(seconds=PATIENCE)
    place = (folder / "store").as_uri()  # a file to meet at needs no free port
    dist.init_process_group("gloo", place, timeout=wait, rank=rank, world_size=RANKS)
    runs = {
        (dtype, way): train_together(way, make_batches(steps, dtype), rank)
        for dtype in DTYPES
        for way in WAYS
    }
    if rank == 0:
        found = [vars(run) for run in runs.values()]
        torch.save(found, folder / "runs.pt")
    # Networks that are not yet collected keep the group, whose threads may then abort the process
    # when the interpreter ends.
    gc.collect()
    dist.destroy_process_group()


def in_processes(steps: int) -> list[Run]:
    """Start the processes, wait for them and read the runs; none is left behind."""
    with tempfile.TemporaryDirectory() as name:
        folder, deadline = Path(name), time.monotonic() + LIMIT
        context = multiprocessing.spawn(work, (steps, folder), RANKS, join=False)
        try:
            # A process that fails ends the others and raises here.
            while not context.join(timeout=1):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the processes took longer than {LIMIT} s")
        finally:
            for process in context.processes:
                process.kill()
        return [Run(**run) for run in torch.load(folder / "runs.pt")]


# --- the command line ---------------------------------------------------------------------


def deviation(x: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return float((x - wanted).abs().max() / wanted.abs().max())


def print_table(dtype: torch.dtype, alone: Run, runs: Sequence[Run]) -> None:
    """How far the ways are from one process."""
    title = str(dtype).removeprefix("torch.")
    print(f"{title:32}{'gradient':>10}{'parameters':>12}{'losses':>10}")
    for way, run in zip(WAYS, runs, strict=True):
        off = [deviation(vars(run)[name], value) for name, value in vars(alone).items()]
        print(f"{way.name:32}{off[0]:10.1e}{off[1]:12.1e}{off[2]:10.1e}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="One training in one process and in two.")
    parser.add_argument("--steps", type=int, default=100, help="of each training (default: 100)")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Train in every way and print how far each is from one process."""
    steps = parse(arguments).steps
    runs = in_processes(steps)
    labels = [labels for _, labels in make_batches(steps, torch.float32)]
    shares = torch.stack([(part != IGNORED).sum() for x in labels for part in x.chunk(RANKS)])
    means = shares.view(-1, RANKS).double().mean(0)
    print("valid places of the processes in a step, on average:", *map(round, means.tolist()))
    for i, dtype in enumerate(DTYPES):
        print()
        alone = train_alone(make_batches(steps, dtype))
        print_table(dtype, alone, runs[i * len(WAYS) :][: len(WAYS)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
