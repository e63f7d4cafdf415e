"""docs/scale-out.md holds: its program prints what it says, and what it says of others is so."""

from __future__ import annotations

import math
import warnings
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pages import blocks, printed
from processes import Once, Rank, run

PAGE = Path(__file__).parents[1] / "docs" / "scale-out.md"


def program() -> tuple[str, str]:
    """The Python blocks of the page, one after the other, and all that they print."""
    found = [b for b in blocks(PAGE.read_text(encoding="utf-8")) if b.language == "python"]
    return "".join(b.code for b in found), "".join(b.said for b in found)


def together(rank: Rank, start: Any, kind: str = "gloo") -> None:
    """Start a group; torchrun would tell a process who it is, here a file does."""
    import torch

    torch.set_num_threads(1)
    place, wait = (rank.folder / "store").as_uri(), timedelta(seconds=60)
    start(kind, place, timeout=wait, rank=rank.number, world_size=rank.count)


def printed_by(rank: Rank, code: str) -> str:
    """Run a program of the page."""
    from unittest import mock

    from torch import distributed

    start = partial(together, rank, distributed.init_process_group)
    with mock.patch.object(distributed, "init_process_group", start):
        return printed(code, str(PAGE), {})


@pytest.mark.backends("torch")
def test_the_programs_print_what_the_page_says() -> None:
    code, said = program()
    assert run(printed_by, 2, code) == [said] * 2


# --- what it says of other losses, and of compilers ----------------------------------------

SURE = 4 * math.exp(-30)


def cases(rank: Rank) -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    """Slices of logits, targets and options."""
    import torch

    torch.manual_seed(0)
    x = torch.randn(4, 8).chunk(rank.count, 1)[rank.number].clone()
    labels, sure = torch.tensor([0, 3, 6, 5]), torch.zeros(1, 4 - 3 * rank.number)
    sure[0, 0] = 30 * (rank.number == 0)
    return {
        "labels": (x, labels, {}),
        "smoothing": (x, labels, {"label_smoothing": 0.1}),
        "soft": (x, torch.full((4, 4), 0.125), {}),
        "sure": (sure, torch.tensor([0]), {}),
        "bfloat16": (x.bfloat16(), labels, {}),
        "out of range": (x, labels + 2, {}),
        "nothing": (x, labels * 0 - 100, {"ignore_index": -100}),
    }


def both(rank: Rank) -> dict[str, list[Any]]:
    """What PyTorch's own and ours say to each case: a number and its dtype, or an error's name."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard
    from torch.distributed.tensor.parallel import loss_parallel
    from torch.nn import functional

    import xentropy as xe

    together(rank, distributed.init_process_group)
    mesh = init_device_mesh("cpu", (rank.count,))

    def theirs(x: Any, targets: Any, **options: Any) -> Any:
        with loss_parallel():
            logits = DTensor.from_local(x, mesh, [Shard(1)])
            return functional.cross_entropy(logits, targets, **options).to_local()

    ours = partial(xe.cross_entropy, group=mesh)
    found = {
        name: [said(who, x, targets, options) for who in (theirs, ours)]
        for name, (x, targets, options) in cases(rank).items()
    }
    sure = cases(rank)["sure"][0].requires_grad_()
    ours(sure, cases(rank)["sure"][1]).backward()
    found["gradient"] = sure.grad.flatten().tolist()
    found["compiled"] = compiled(ours, *cases(rank)["labels"][:2])
    distributed.destroy_process_group()
    return found


def said(loss: Any, x: Any, targets: Any, options: dict[str, Any]) -> Any:
    try:
        value = loss(x, targets, **options)
    except Exception as error:  # noqa: BLE001 - every error is an answer
        return type(error).__name__
    return value.item(), str(value.dtype)


def compiled(loss: Any, x: Any, labels: Any) -> list[Any]:
    """A call that may break the graph, and one that may not."""
    import torch

    warnings.simplefilter("ignore")
    found = []
    for way in ({}, {"fullgraph": True}):
        torch.compiler.reset()  # it remembers what it has given up
        found.append(said(torch.compile(loss, backend="eager", **way), x, labels, {}))
    return found


@pytest.fixture(scope="module")
def answers(once: Once) -> list[dict[str, list[Any]]]:
    """Of both processes."""
    pytest.importorskip("torch")
    return once("scale-out", partial(run, both, 2))


@pytest.mark.backends("torch")
def test_the_table_of_losses(answers: list[dict[str, list[Any]]]) -> None:
    for found in answers:
        (plain, _), (same, kind) = found["labels"]
        assert (same, kind) == (pytest.approx(plain), "torch.float32")
        for name in ("smoothing", "soft"):
            theirs, ours = found[name]
            assert theirs.endswith("Error")
            assert ours[0] > 0
        assert found["sure"] == [(0.0, "torch.float32"), (pytest.approx(SURE), "torch.float32")]
        assert [kind for _, kind in found["bfloat16"]] == ["torch.bfloat16", "torch.float32"]
        assert isinstance(found["out of range"][0][0], float)
        assert found["out of range"][1] == "IndexError"
        assert math.isnan(found["nothing"][0][0])
        assert found["nothing"][1][0] == 0


@pytest.mark.backends("torch")
def test_a_sure_row_cut_in_two_keeps_its_digits(answers: list[dict[str, list[Any]]]) -> None:
    first, second = (found["gradient"] for found in answers)
    assert first == pytest.approx([-SURE, *[SURE / 4] * 3], rel=1e-6)
    assert second == pytest.approx([SURE / 4], rel=1e-6)


@pytest.mark.backends("torch")
def test_what_a_compiler_does(answers: list[dict[str, list[Any]]]) -> None:
    for found in answers:
        broken, unbroken = found["compiled"]
        assert broken == found["labels"][1]
        assert unbroken == "Unsupported"
