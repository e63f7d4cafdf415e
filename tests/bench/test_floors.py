"""The floors: whom they cover, what meets them, and the exit status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import floors
from benchmarks.cases import HEAD, ITSELF, Cell
from benchmarks.report import Comparison, Report, Taken, Timing
from benchmarks.summary import Spread

pytestmark = pytest.mark.backends("numpy")


def compared(ratio, backend="torch", mode="eager", kind="native", device="cpu", **cell):
    shape = cell.pop("shape", (1024, 32000))
    both = Timing("xe", Spread(ratio, ratio, ratio)), Timing("own", Spread(1.0, 1.0, 1.0))
    spread = Spread(ratio, ratio, ratio)
    return Comparison(backend, device, mode, kind, Cell(shape, **cell), *both, spread, 5)


def report(comparisons=(), memory=(), dispatch=None):
    return Report({}, {}, dispatch or {}, list(comparisons), list(memory))


IMAGES, ROWS = (8, 12, 256, 256), (65536, 10)
TABLE = [
    (0.35, {"backend": "numpy"}),
    (2.5, {"backend": "numpy", "kind": "copy"}),
    (0.5, {"backend": "numpy", "direction": "forward"}),
    (None, {"backend": "numpy", "shape": IMAGES}),
    (0.5, {}),
    (0.5, {"shape": (256, 128256)}),
    (1.0, {"shape": (8192, 1000)}),
    (1.0, {"shape": IMAGES}),
    (None, {"shape": ROWS}),
    (1.0, {"direction": "forward"}),
    (0.5, {"backend": "tensorflow"}),
    (1.0, {"backend": "tensorflow", "shape": IMAGES}),
    (0.5, {"backend": "tensorflow", "direction": "forward"}),
    (1.1, {"backend": "jax", "mode": "plain"}),
    (1.1, {"backend": "jax", "mode": "jit"}),
    (1.5, {"backend": "jax", "mode": "jit", "direction": "forward"}),
    (1.0, {"dtype": "bfloat16"}),
    (1.0, {"dtype": "bfloat16", "backend": "jax", "mode": "jit"}),
    (1.0, {"dtype": "bfloat16", "backend": "numpy", "direction": "forward"}),
    (None, {"dtype": "float16"}),
    (None, {"targets": "soft"}),
    (None, {"rows": "confident"}),
    (None, {"mode": "compiled"}),
    (4.0, {"kind": "PyTorch", "shape": (32, 10)}),
    (4.0, {"kind": "PyTorch", "shape": (32, 10), "backend": "jax", "mode": ITSELF}),
    (None, {"kind": "PyTorch", "shape": (32, 10), "backend": "jax", "mode": "plain"}),
    (0.5, {"mode": ITSELF}),
    (1.1, {"backend": "jax", "mode": ITSELF}),
    (None, {"shape": (32, 10)}),
    *(
        (most, {"shape": shape, "loss": HEAD, **where})
        for shape in ((2048, 1024, 32000), (4096, 1024, 32000), (2048, 1024, 64000))
        for most, where in (
            (1.0, {"backend": "numpy"}),
            (1.0, {}),
            (1.0, {"mode": "compiled"}),
            (1.0, {"kind": "chunked"}),
            (1.0, {"backend": "tensorflow"}),
            (1.0, {"backend": "tensorflow", "mode": "tf.function"}),
            (1.15, {"backend": "jax", "mode": "plain"}),
            (1.15, {"backend": "jax", "mode": "jit"}),
            (None, {"direction": "forward"}),
            (None, {"dtype": "bfloat16"}),
            (None, {"kind": "products"}),
        )
    ),
    (None, {"shape": (64, 32, 100), "loss": HEAD}),
]


@pytest.mark.parametrize(("most", "where"), TABLE)
def test_a_ratio_meets_its_floor_up_to_it(most, where):
    assert floors.floor_of(compared(1.0, **where)) == most
    if most is None:
        assert floors.met(compared(1e9, **where)) is None
        return
    assert floors.met(compared(most, **where)) is True
    assert floors.met(compared(most + 0.001, **where)) is False


def test_there_is_no_floor_on_an_accelerator():
    assert floors.met(compared(9.0, device="cuda")) is None


def test_memory_is_never_above_the_frameworks_own():
    taken = Taken("torch", "cpu", "eager", Cell((8192, 1000)), 40_000_000, 40_000_000)
    assert floors.spared(taken)
    assert floors.spared(replace(taken, ours=taken.theirs + floors.RESOLUTION))
    assert not floors.spared(replace(taken, ours=taken.theirs + 2 * floors.RESOLUTION))


@pytest.mark.parametrize(
    ("backend", "most"),
    [
        ("numpy", 64_000_000),
        ("torch", 64_000_000),
        ("tensorflow", 128_000_000),
        ("jax", 128_000_000),
    ],
)
@pytest.mark.parametrize("shape", [(2048, 1024, 32000), (4096, 1024, 32000), (2048, 1024, 64000)])
def test_a_head_takes_so_much_beyond_its_gradients_whatever_its_size(backend, most, shape):
    cell = Cell(shape, loss=HEAD)
    gradients = 4 * (shape[0] + shape[2]) * shape[1]
    taken = Taken(backend, "cpu", "eager", cell, gradients + most, 3 * cell.nbytes)
    assert floors.fits(taken) is True
    assert taken.extra == (most, 3 * cell.nbytes - gradients)
    over = replace(taken, ours=taken.ours + 1)
    assert floors.fits(over) is False
    (line,) = floors.missed(report(memory=[over]))
    assert line.endswith(f"MB beyond inputs and gradients; {most // 1_000_000} MB is the floor")
    assert floors.missed(report(memory=[replace(over, kind="chunked")])) == []


def test_a_small_head_may_take_a_tile_where_its_logits_are_fewer():
    small = Taken("jax", "cpu", "jit", Cell((512, 256, 8000), loss=HEAD), 49_000_000, 16_000_000)
    assert list(floors.verdicts(report(memory=[small]))) == []


def test_small_and_narrow_heads_and_logits_have_no_such_floor():
    narrow = Cell((2048, 1024, 32000), "bfloat16", loss=HEAD)
    for cell in (Cell((64, 32, 100), loss=HEAD), Cell((1024, 32000)), narrow):
        assert floors.fits(Taken("torch", "cpu", "eager", cell, 10**9, 10**9)) is None


def test_whatever_is_missed_is_named():
    good = report([compared(0.4)], dispatch={"torch": 1999.0})
    assert floors.missed(good) == []
    taken = Taken("jax", "cpu", "jit", Cell((8192, 1000)), 90_000_000, 32_800_000)
    bad = report([compared(0.4), compared(0.6)], [taken], {"numpy": 2001.0})
    usual = "float32 hard normal forward+backward"
    assert floors.missed(bad) == [
        f"torch eager 1024x32000 {usual}: 0.6 of own; 0.5 is the floor",
        f"jax jit 8192x1000 {usual}: 90.0 MB at the peak; 32.8 MB is the framework's own",
        "numpy: 2001.0 ns to dispatch; 2000 is the floor",
    ]
    assert [good for good, _ in floors.verdicts(bad)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("ratio", "check", "status"), [(0.4, True, 0), (0.6, True, 1), (0.6, False, 0), (None, True, 2)]
)
def test_speed_is_no_test_unless_it_is_asked_for(ratio, check, status, monkeypatch, tmp_path):
    pytest.importorskip("rich")
    pytest.importorskip("matplotlib")
    from benchmarks import cli

    found = report([compared(ratio)] if ratio else [])
    monkeypatch.setattr(cli, "run", lambda *_: {})
    monkeypatch.setattr(cli, "_joined", lambda *_: found)
    monkeypatch.setattr(cli, "NEEDED", ())
    monkeypatch.setattr(cli, "_jobs", lambda *_: [])
    given = ["--out", str(tmp_path), *(["--check"] if check else [])]
    monkeypatch.setattr(cli, "_names", lambda *_: ["torch"])
    assert cli.main(given) == status
