"""Gradients of several processes that average them are those of one with the whole batch.

Each case is a linear classifier whose rows two processes share. The oracle knows its gradient in
closed form, in NumPy's float64.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from processes import Once, Rank, run

import xentropy as xe

pytestmark = pytest.mark.backends("torch")

RANKS, FEATURES, CLASSES, IGNORED = 2, 5, 4, -100
RNG = np.random.default_rng(3)
X = RNG.standard_normal((14, FEATURES))
WEIGHT, BIAS = RNG.standard_normal((CLASSES, FEATURES)), RNG.standard_normal(CLASSES)
LABELS = np.array([0, 1, 2, 3, 0, 0, 1, 2, 3, IGNORED, IGNORED, 1, IGNORED, IGNORED])
CLASS_WEIGHTS = np.array([0.25, 3.0, 1.0, 0.5])
# The second rank has rows, and none of them counts.
HALF = np.where(np.arange(len(X)) < 9, LABELS, IGNORED)


@dataclass(frozen=True)
class Case:
    """A step: the first rank has the rows before ``cut``; ``naive`` means are those at hand."""

    labels: Any = field(default_factory=lambda: LABELS)
    cut: int = 9
    pieces: int = 1
    normalizer: str = "weights"
    class_weights: Any = None
    smoothing: float = 0.0
    dtype: str = "float64"
    naive: bool = False


WEIGHTED = Case(class_weights=CLASS_WEIGHTS)
FAIR = {
    "labels": Case(),
    "valid": Case(class_weights=CLASS_WEIGHTS, normalizer="valid"),
    "batch": Case(normalizer="batch"),
    "weights": WEIGHTED,
    "smoothing": Case(class_weights=CLASS_WEIGHTS, smoothing=0.2),
    "micro-batches": Case(pieces=3),
    "weights, micro-batches": dataclasses.replace(WEIGHTED, pieces=3),
    "float32": dataclasses.replace(WEIGHTED, pieces=3, dtype="float32"),
    "a rank without a valid row": Case(labels=HALF),
    "the same in micro-batches": Case(labels=HALF, pieces=3),
    "a rank without a row": Case(cut=len(X), pieces=2),
    "nothing anywhere": Case(labels=np.full(len(X), IGNORED), pieces=2),
}
NAIVE = {
    "mean of each rank": Case(naive=True),
    "mean of each micro-batch": Case(naive=True, pieces=3),
    "weighted mean of each rank": dataclasses.replace(WEIGHTED, naive=True),
}


@dataclass(frozen=True)
class Step:
    """A loss, its gradient by the weight and the bias, and by the logits of the rows."""

    loss: float
    weight: Any
    bias: Any
    logits: Any


# --- the oracle ---------------------------------------------------------------------------


def by_hand(case: Case, rows: slice = slice(None)) -> Step:
    """The mean of some of the rows by its definition."""
    x, labels = X[rows], case.labels[rows]
    logits = x @ WEIGHT.T + BIAS
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    kept = labels != IGNORED
    t = (1 - case.smoothing) * np.eye(CLASSES)[np.where(kept, labels, 0)] + case.smoothing / CLASSES
    t = t * kept[:, None] * (1.0 if case.class_weights is None else case.class_weights)
    count = {"weights": t.sum(), "valid": kept.sum(), "batch": len(labels)}[case.normalizer] or 1
    slope = (t.sum(-1, keepdims=True) * p - t) / count
    return Step(-(t * np.log(p)).sum() / count, slope.T @ x, slope.sum(0), slope)


# --- what each process does ---------------------------------------------------------------


def counted(case: Case, labels: Any) -> Any:
    """The count of some labels, as docs/data-parallel.md has it."""
    import torch

    kept = labels[labels != IGNORED]
    if case.normalizer == "batch":
        return torch.tensor(float(len(labels)), dtype=torch.float64)
    if case.normalizer == "valid" or case.class_weights is None:
        return torch.tensor(float(len(kept)), dtype=torch.float64)
    c, e = torch.tensor(case.class_weights), case.smoothing
    return ((1 - e) * c[kept] + e * c.mean()).sum()


def options_of(case: Case) -> dict[str, Any]:
    """What the loss is called with, but for the normalizer."""
    import torch

    weights = case.class_weights
    return {
        "ignore_index": IGNORED,
        "label_smoothing": case.smoothing,
        "class_weights": weights
        if weights is None
        else torch.tensor(weights, dtype=getattr(torch, case.dtype)),
    }


def network_of(case: Case) -> Any:
    """The classifier, the same in every process."""
    import torch

    network = torch.nn.Linear(FEATURES, CLASSES, dtype=torch.float64)
    network.load_state_dict({"weight": torch.tensor(WEIGHT), "bias": torch.tensor(BIAS)})
    return network.to(getattr(torch, case.dtype))


def numbers(loss: Any, network: Any, slopes: list[Any]) -> Step:
    """A step as plain NumPy."""
    arrays = [network.weight.grad, network.bias.grad, *slopes]
    weight, bias, *slopes = [x.double().numpy() for x in arrays]
    return Step(float(loss.detach()), weight, bias, np.concatenate(slopes))


def alone(case: Case) -> Step:
    """The whole batch in one process."""
    import torch

    network = network_of(case)
    logits = network(torch.tensor(X, dtype=getattr(torch, case.dtype)))
    logits.retain_grad()
    loss = xe.cross_entropy(
        logits, torch.tensor(case.labels), normalizer=case.normalizer, **options_of(case)
    )
    loss.backward()
    return numbers(loss, network, [logits.grad])


def shared(case: Case, rank: Rank) -> Step:
    """A rank's share of the batch, its gradients accumulated, then averaged by PyTorch."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    rows = slice(None, case.cut) if rank.number == 0 else slice(case.cut, None)
    x, labels = torch.tensor(X[rows], dtype=getattr(torch, case.dtype)), case.labels[rows]
    pieces = zip(x.tensor_split(case.pieces), np.array_split(labels, case.pieces), strict=True)
    network = DistributedDataParallel(network_of(case))
    count = counted(case, torch.tensor(labels))
    torch.distributed.all_reduce(count)
    total, slopes = torch.zeros((), dtype=torch.float64), []
    for i, (x, labels) in enumerate(pieces, 1):
        with contextlib.nullcontext() if i == case.pieces else network.no_sync():
            logits = network(x)
            logits.retain_grad()
            normalizer = case.normalizer if case.naive else count / rank.count
            loss = xe.cross_entropy(
                logits, torch.tensor(labels), normalizer=normalizer, **options_of(case)
            )
            loss = loss / case.pieces if case.naive else loss
            loss.backward()
        total += loss.detach()
        slopes.append(logits.grad)
    return numbers(total, network.module, slopes)


def all_steps(rank: Rank, cases: list[Case]) -> list[Step]:
    """Every case in turn, in one group of processes."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    place, wait = (rank.folder / "store").as_uri(), timedelta(seconds=60)
    distributed.init_process_group(
        "gloo", place, timeout=wait, rank=rank.number, world_size=rank.count
    )
    try:
        return [shared(case, rank) for case in cases]
    finally:
        distributed.destroy_process_group()


# --- what must hold -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def steps(once: Once) -> dict[str, list[Step]]:
    """What both ranks found of every case; one pair of processes for all of them."""
    pytest.importorskip("torch")
    cases = FAIR | NAIVE
    found = once("data-parallel", partial(run, all_steps, RANKS, list(cases.values())))
    return dict(zip(cases, map(list, zip(*found, strict=True)), strict=True))


def close(got: Step, wanted: Step, tolerance: float) -> None:
    for name, value in dataclasses.asdict(wanted).items():
        scale = np.abs(value).max() or 1
        np.testing.assert_allclose(
            getattr(got, name) / scale, value / scale, rtol=0, atol=tolerance, err_msg=name
        )


def together(ranks: list[Step]) -> Step:
    """Losses and logits' gradients averaged as the parameters' gradients were."""
    for step in ranks[1:]:
        np.testing.assert_array_equal(step.weight, ranks[0].weight)
        np.testing.assert_array_equal(step.bias, ranks[0].bias)
    loss = sum(step.loss for step in ranks) / RANKS
    logits = np.concatenate([step.logits for step in ranks]) / RANKS
    return Step(loss, ranks[0].weight, ranks[0].bias, logits)


@pytest.mark.parametrize("name", FAIR)
def test_several_processes_are_one(steps: dict[str, list[Step]], name: str) -> None:
    case = FAIR[name]
    tolerance = 1e-6 if case.dtype == "float32" else 1e-14
    found = together(steps[name])
    close(alone(case), by_hand(case), tolerance)
    close(found, by_hand(case), tolerance)
    close(found, alone(case), tolerance)


@pytest.mark.parametrize("name", ["a rank without a valid row", "the same in micro-batches"])
def test_a_rank_without_a_valid_row_adds_nothing(steps: dict[str, list[Step]], name: str) -> None:
    first, second = steps[name]
    assert first.loss > 0
    assert second.loss == 0
    assert (second.logits == 0).all()
    assert (second.weight != 0).any()  # it has the gradient of the other


def test_nothing_anywhere_is_zero(steps: dict[str, list[Step]]) -> None:
    for step in steps["nothing anywhere"]:
        assert step.loss == 0
        assert not any((x != 0).any() for x in (step.weight, step.bias, step.logits))


@pytest.mark.parametrize("name", NAIVE)
def test_means_of_parts_are_another_loss(steps: dict[str, list[Step]], name: str) -> None:
    """They are the mean of the parts' means, which is not that of the batch."""
    case = NAIVE[name]
    bounds = np.array_split(np.arange(len(X))[: case.cut], case.pieces)
    bounds += np.array_split(np.arange(len(X))[case.cut :], case.pieces)
    parts = [by_hand(case, slice(rows[0], rows[-1] + 1)) for rows in bounds]
    found, whole = together(steps[name]), by_hand(case)
    np.testing.assert_allclose(found.weight, np.mean([x.weight for x in parts], 0), rtol=1e-12)
    assert np.abs(found.weight - whole.weight).max() > 0.1 * np.abs(whole.weight).max()
    assert abs(found.loss - whole.loss) > 0.01 * whole.loss
