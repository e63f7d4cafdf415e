"""The table of cells, what the command line makes of it, and the numbers of a cell."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import cases, cli, inputs
from benchmarks.cases import DENSE, HEAD, LOSSES, QUICK, Cell, Request, cell_of, request_of
from benchmarks.contenders import BACKENDS

pytestmark = pytest.mark.backends("numpy")


def asked(*arguments):
    return cli.request(cli.parser().parse_args(arguments))


def test_every_shape_is_timed_in_every_dtype_target_and_direction():
    cells = list(Request(losses=(DENSE,)).cells())
    assert len(set(cells)) == len(cells)
    normal = Counter(cell.shape for cell in cells if cell.rows == "normal")
    assert normal == dict.fromkeys(LOSSES[DENSE].shapes, 3 * 2 * 2)
    confident = {(c.shape, c.direction) for c in cells if c.rows == "confident"}
    assert len(confident) == len(LOSSES[DENSE].shapes) * 2
    assert {(c.dtype, c.targets) for c in cells if c.rows == "confident"} == {("float32", "hard")}


def test_the_shapes_are_those_of_the_floors():
    assert set(LOSSES[DENSE].shapes) == {
        (8192, 1000), (1024, 32000), (65536, 10), (256, 128256), (32, 10), (8, 12, 256, 256),
    }  # fmt: skip
    images = Cell((8, 12, 256, 256))
    assert (images.axis, images.classes, images.elements) == (1, 12, 6_291_456)
    assert (Cell((32, 10)).axis, Cell((32, 10), "bfloat16").nbytes) == (-1, 640)


def test_cells_that_share_tensors_and_programs_come_together():
    keys = [(c.loss, c.shape, c.dtype, c.targets, c.rows) for c in Request().cells()]
    changes = sum(a != b for a, b in pairwise(keys))
    assert changes == len(set(keys)) - 1


def test_a_cell_and_a_request_survive_json():
    import json
    from dataclasses import asdict

    for cell in (*QUICK.cells(), *Request().cells()):
        assert cell_of(json.loads(json.dumps(cell.json()))) == cell
    request = request_of(json.loads(json.dumps(asdict(Request()))))
    assert list(request.cells()) == list(Request().cells())


def test_what_a_gradient_moves_is_twice_the_logits():
    assert Cell((32, 10), direction="forward").moved == 1280
    assert Cell((32, 10)).moved == 2560
    assert Cell((32, 10), targets="soft").moved == 3840


def test_the_command_line_chooses():
    request = asked("--shapes", "4x5", "--dtypes", "float16", "--targets", "soft",
                    "--rows", "normal", "--directions", "forward", "--seconds", "0.5")  # fmt: skip
    (cell,) = request.cells()
    assert cell == Cell((4, 5), "float16", "soft", "normal", "forward")
    assert request.seconds == 0.5


def test_quick_is_small():
    request = asked("--quick")
    assert {(c.dtype, c.targets, c.rows) for c in request.cells()} == {
        ("float32", "hard", "normal")
    }
    assert len(list(request.cells())) == 8
    assert all(cell.elements < 40_000_000 for cell in request.cells())
    assert list(asked("--quick", "--shapes", "32x10").cells()) == [
        Cell((32, 10), direction=each) for each in cases.DIRECTIONS
    ]


@pytest.mark.parametrize("text", ["32", "32x", "x10", "0x10", "-1x10", "axb", "3.5x2"])
def test_a_bad_shape_is_named(text, capsys):
    with pytest.raises(SystemExit, match="2"):
        asked(f"--shapes={text}")
    assert f"got {text!r}" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan"])
def test_seconds_are_positive(text, capsys):
    with pytest.raises(SystemExit, match="2"):
        asked(f"--seconds={text}")
    assert "positive number" in capsys.readouterr().err


def test_a_head_has_rows_features_and_classes():
    head = Cell((6, 4, 5), "bfloat16", loss=HEAD)
    assert (head.logits, head.leaves) == ((6, 5), ((6, 4), (5, 4)))
    assert (head.axis, head.classes, head.elements, head.nbytes) == (-1, 5, 30, 60)
    assert head.given == head.gradients == 2 * (24 + 20)
    assert head.moved == 2 * head.given
    assert Cell((6, 4, 5), direction="forward", loss=HEAD).gradients == 0
    assert head.name == "linear_cross_entropy 6x4x5 bfloat16 hard normal forward+backward"
    assert Cell((2048, 1024, 32000), loss=HEAD).small().shape == (2, 1024, 32000)


def test_the_heads_are_those_of_the_floors():
    cells = list(Request(losses=(HEAD,)).cells())
    assert {cell.shape for cell in cells} == {
        (2048, 1024, 32000), (4096, 1024, 32000), (2048, 1024, 64000), (1024, 1024, 128256),
        (64, 32, 100),
    }  # fmt: skip
    assert {(c.targets, c.rows) for c in cells} == {("hard", "normal")}
    narrow = {(c.shape, c.dtype) for c in cells if c.dtype != "float32"}
    assert narrow == {((2048, 1024, 32000), "bfloat16")}
    thorough = Request(losses=(HEAD,), thorough=True).cells()
    assert {(c.dtype, c.targets, c.rows) for c in thorough} == {
        (dtype, targets, "normal") for dtype in cases.DTYPES for targets in cases.TARGETS
    }


def test_a_cell_of_an_earlier_report_is_one_of_logits():
    held = Cell((32, 10)).json()
    del held["loss"]
    assert cell_of(held) == Cell((32, 10))


def test_losses_are_chosen_and_shapes_are_those_of_logits_unless_one_says_otherwise():
    assert {cell.loss for cell in asked().cells()} == {DENSE, HEAD}
    assert {cell.loss for cell in asked("--losses", HEAD).cells()} == {HEAD}
    assert {cell.loss for cell in asked("--shapes", "4x5").cells()} == {DENSE}
    (cell,) = asked("--losses", HEAD, "--shapes", "6x4x5", "--dtypes", "float32",
                    "--directions", "forward").cells()  # fmt: skip
    assert cell == Cell((6, 4, 5), direction="forward", loss=HEAD)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--losses", HEAD, "--shapes", "6x4", "6x4x5"], "a head is rows x features x classes"),
        (["--losses", DENSE, HEAD, "--shapes", "6x4x5"], "those of one loss"),
    ],
)
def test_shapes_that_are_none_of_the_loss_are_an_error(given, told, monkeypatch, capsys):
    monkeypatch.setattr(cli, "NEEDED", ())
    with pytest.raises(SystemExit, match="2"):
        cli.main(given)
    assert told in capsys.readouterr().err


def test_the_logits_of_a_head_are_as_wide_as_those_that_are_given():
    pytest.importorskip("ml_dtypes")
    (hidden, weight), labels = inputs.make(Cell((64, 32, 100), loss=HEAD))
    assert (hidden.shape, weight.shape, labels.shape) == ((64, 32), (100, 32), (64,))
    assert (hidden @ weight.T).std() == pytest.approx(inputs.WIDTH, rel=0.1)
    assert labels.max() < 100


def test_a_backend_that_is_not_installed_is_an_error(monkeypatch, capsys):
    from dataclasses import replace

    absent = replace(BACKENDS["jax"], packages=("no_such_package",))
    monkeypatch.setitem(BACKENDS, "jax", absent)
    monkeypatch.setattr(cli, "NEEDED", ())
    with pytest.raises(SystemExit, match="2"):
        cli.main(["--backends", "jax"])
    assert "the packages of jax cannot be imported" in capsys.readouterr().err


def test_compiled_modes_are_spared_the_less_usual_dtypes():
    request = Request()
    float32, bfloat16 = Cell((2, 3)), Cell((2, 3), "bfloat16")
    soft, float16 = Cell((2, 3), "bfloat16", "soft"), Cell((2, 3), "float16")
    taken = [request.mode("compiled", c, spared=True) for c in (float32, bfloat16, soft, float16)]
    assert taken == [True, True, False, False]
    assert request.mode("eager", float16, spared=False)
    assert Request(thorough=True).mode("compiled", float16, spared=True)
    assert not Request(modes=("eager",)).mode("compiled", float32, spared=True)


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 2, 2)])
def test_inputs_are_the_same_every_time_and_as_they_are_declared(shape):
    pytest.importorskip("ml_dtypes")
    cell = Cell(shape, "bfloat16", "soft")
    (logits,), targets = inputs.make(cell)
    again = inputs.make(Cell(shape, "float32", "hard"))
    assert (logits.dtype.name, targets.dtype.name) == ("bfloat16", "bfloat16")
    np.testing.assert_array_equal(again.leaves[0].astype(logits.dtype), logits)
    np.testing.assert_allclose(targets.astype("f8").sum(cell.axis), 1, rtol=1e-2)
    assert again.targets.shape == tuple(np.delete(shape, cell.axis))
    assert again.targets.max() < cell.classes


@pytest.mark.parametrize("shape", [(64, 5), (3, 4, 5, 6)])
def test_confident_rows_have_their_class_ahead(shape):
    pytest.importorskip("ml_dtypes")
    cell = Cell(shape, rows="confident")
    (logits,), labels = inputs.make(cell)
    rows = np.moveaxis(logits, cell.axis, -1).reshape(-1, cell.classes)
    true = np.take_along_axis(rows, labels.reshape(-1, 1), 1)[:, 0]
    np.put_along_axis(rows, labels.reshape(-1, 1), -np.inf, 1)
    assert (true - rows.max(1) >= 10 - 1e-4).all()
    assert np.isclose(true - rows.max(1), 10, atol=1e-4).mean() > 0.5


def test_a_small_cell_keeps_its_classes():
    assert Cell((256, 128256)).small().shape == (1, 128256)
    assert Cell((65536, 10)).small().shape == (6553, 10)
    assert Cell((4, 5)).small().shape == (4, 5)
