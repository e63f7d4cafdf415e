"""Losses of several processes: messages as the model says to the byte, tables, plot and page."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Rank, run

from benchmarks import peak as peaks
from benchmarks.sharded import launch, model, page
from benchmarks.sharded.measure import Plan, measure
from benchmarks.sharded.model import DENSE, HEAD, WAYS, Asked, Case, Message
from benchmarks.sharded.report import Report, read

ROOT = Path(__file__).parents[2]
SMALL = Plan(6, 40, 8, processes=(2,), rounds=2)

torch_only = pytest.mark.backends("torch")
anywhere = pytest.mark.backends("numpy")


@pytest.fixture(scope="module")
def found() -> Report:
    """A run of a moment, in two processes."""
    pytest.importorskip("torch")
    return measure(SMALL, lambda _: None, memory=False)


# --- the model ----------------------------------------------------------------------------


@torch_only
def test_every_way_sends_what_the_model_says(found):
    assert found.left_out == []
    assert [point.way for point in found.points] == list(WAYS)
    for point in found.points:
        assert list(point.messages) == WAYS[point.way].messages(point.case), point.way
        assert point.apart < 1e-5
        assert point.rounds == 2
        assert 0 < point.seconds.low <= point.seconds.median <= point.seconds.high
    for of in (DENSE, HEAD):
        (ours,), *others = found.found(of).values()
        assert [other[0].loss for other in others] == pytest.approx([ours.loss] * len(others))
    assert list(page.unlike(found)) == []


#: Calls by what of them travels.
ASKED = {
    "plain": Asked(),
    "weights": Asked(class_weights=True),
    "smoothing": Asked(label_smoothing=True),
    "both": Asked(class_weights=True, label_smoothing=True),
    "soft": Asked(soft=True),
    "soft, all": Asked(class_weights=True, label_smoothing=True, soft=True),
    "score": Asked(scores=True),
    "score, soft": Asked(scores=True, soft=True),
    "score, all": Asked(class_weights=True, label_smoothing=True, scores=True),
}
NARROW = {"float64": 8, "float32": 4, "bfloat16": 2}


def sent_by(rank: Rank, asked: dict[str, Asked]) -> dict[tuple[str, str, int], list[Message]]:
    """What a process hands over for each call, forward and backward, by the dtype too."""
    import torch
    from torch import distributed

    from benchmarks.sharded.traffic import messages

    torch.set_num_threads(1)
    place = (rank.folder / "store").as_uri()
    distributed.init_process_group("gloo", place, rank=rank.number, world_size=rank.count)
    found = {}
    for name, call in asked.items():
        for dtype in NARROW:
            for hidden in (0, 3):
                loss = calls(call, dtype, hidden)
                found[name, dtype, hidden] = messages(loss)
    distributed.destroy_process_group()
    return found


def calls(asked, dtype, hidden):
    import torch
    from torch.distributed import group

    import xentropy as xe

    kind = getattr(torch, dtype)
    shapes = ((6, hidden), (5, hidden)) if hidden else ((6, 5),)
    leaves = [torch.ones(shape, dtype=kind, requires_grad=True) for shape in shapes]
    targets = torch.full((6, 5), 0.1, dtype=kind) if asked.soft else torch.arange(6)
    options = {"group": group.WORLD}
    if asked.class_weights:
        options["class_weights"] = torch.ones(5, dtype=kind)
    if asked.label_smoothing:
        options["label_smoothing"] = 0.1
    dense, head = xe.cross_entropy, xe.linear_cross_entropy
    if asked.scores:
        dense, head = xe.score, xe.linear_score

    def call():
        result = (head if hidden else dense)(*leaves, targets, **options)
        (result.loss.sum() if asked.scores else result).backward()

    return call


@torch_only
def test_options_and_dtypes_send_what_the_model_says():
    for found in run(sent_by, 2, ASKED):
        assert len(found) == len(ASKED) * len(NARROW) * 2
        for (name, dtype, hidden), messages in found.items():
            case = Case(6, 10, 2, hidden, NARROW[dtype])
            assert messages == model.shards(case, ASKED[name]), (name, dtype, hidden)


@anywhere
def test_the_formulas_of_the_page():
    n, k, p, d = 1000, 32000, 4, 64
    dense, head, s = Case(n, k, p), Case(n, k, p, d), 4 * n * k // p
    assert model.sent(model.shards(dense)) == 104 + 4 * n + 16 * n
    assert model.sent(model.loss_parallel(dense)) == 12 * n
    assert model.sent(model.gathered(dense)) == s
    assert model.sent(model.shards(head)) == 104 + 4 * n + 16 * n + 4 * n * d
    assert model.sent(model.gathered(head)) == s + 4 * n * d
    assert [WAYS[name].held(dense) for name in list(WAYS)[:3]] == [s, 4 * s, 12 * n * k]
    assert Case(1, 11, 2).own == 6
    assert Asked(class_weights=True, label_smoothing=True, scores=True).sums == 4 + 2 + 3 + 1


@anywhere
def test_bytes_on_a_ring():
    messages = [Message(model.GATHER, 100), Message(model.REDUCE, 1000)]
    assert model.wire(messages, 1) == 0
    assert model.wire(messages, 2) == 100 + 1000
    assert model.wire(messages, 4) == 300 + 1500


# --- what is told of a run ------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> Report:
    """The run that the documentation shows."""
    return read(ROOT / "docs" / "scale-out.json")


@anywhere
def test_the_page_shows_the_stored_run():
    command = [sys.executable, str(ROOT / "tools" / "scale_out_page.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@anywhere
def test_the_stored_run_is_whole_and_as_the_model_says(stored):
    points = {(point.way, point.case.processes) for point in stored.points}
    assert points == {(way, count) for way in WAYS for count in (1, 2, 4)}
    assert None not in [point.peak for point in stored.points]
    assert not stored.left_out
    assert not [line for line in page.unlike(stored) if "xe." in line or "held" not in line]


@anywhere
def test_a_point_that_the_model_does_not_give_is_named(stored):
    def unlike(**changed):
        point = dataclasses.replace(stored.points[0], **changed)
        return list(page.unlike(dataclasses.replace(stored, points=[point])))

    assert unlike() == []
    name = "1 process: xe.cross_entropy, group="
    for changed in (
        {"messages": stored.points[0].messages[1:]},
        {"peak": 10 * stored.points[0].peak},
        {"apart": 0.1},
        {"apart": float("nan")},
    ):
        (line,) = unlike(**changed)
        assert line.startswith(name)


@anywhere
def test_a_run_is_read_as_it_was_written(stored, tmp_path):
    stored.write(tmp_path / "run.json")
    assert read(tmp_path / "run.json") == stored


@anywhere
def test_the_plot_keeps_what_it_shows(stored, tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.sharded import plot

    plot.draw(stored, tmp_path / "run.png", "a mark")
    assert b"a mark" in (tmp_path / "run.png").read_bytes()


# --- what goes wrong ------------------------------------------------------------------------


@torch_only
def test_what_sends_and_is_not_known_is_an_error():
    import torch
    from torch.distributed import ProcessGroup

    from benchmarks.sharded.traffic import messages

    send = torch.ops.c10d.broadcast_.default
    with pytest.raises(ValueError, match="c10d::broadcast_ may send something"):
        messages(lambda: send([torch.ones(1)], ProcessGroup(0, 1).boxed(), 0, 0, True, 1000))


@torch_only
@pytest.mark.skipif(bool(peaks.lacking()), reason="peaks are read from Linux's /proc")
def test_the_peak_of_a_way_is_what_the_model_says():
    names, case = list(WAYS)[:3], Plan(512, 16000, processes=(2,)).case(DENSE, 2)
    request = {"case": dataclasses.asdict(case), "ways": names, "threads": 1, "rounds": 0}
    for left in launch.run(request, 2):
        for name, peak in left["peaks"].items():
            assert abs(peak - WAYS[name].held(case)) < 4e6, name
        assert list(left["peaks"]) == names


@torch_only
def test_a_process_that_fails_ends_its_group():
    request = {"case": {"rows": -1, "classes": 4}, "ways": [], "threads": 1, "rounds": 1}
    with pytest.raises(launch.GroupError, match=r"process 0: .*Error"):
        launch.run(request, 1)
