"""Nobody is timed at computing something else: every contender against float64, at tiny shapes."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import inputs, peak, run, timed
from benchmarks.cases import DENSE, DIRECTIONS, DTYPES, HEAD, ITSELF, ROWS, TARGETS, Cell, Request
from benchmarks.contenders import BACKENDS, frameworks

ALONE = [
    pytest.param(name, marks=pytest.mark.backends(name)) for name in BACKENDS if name != "numpy"
]
# NumPy's gradients are compared with PyTorch's.
EVERY = [pytest.param("numpy", marks=pytest.mark.needs("numpy", "torch")), *ALONE]
SHAPES = [((6, 5), DENSE), ((2, 3, 2, 2), DENSE), ((6, 4, 5), HEAD)]
#: A loss that is returned in the logits' dtype has its rounding.
TOLERANCE = {"float32": 2e-6, "bfloat16": 1e-2, "float16": 2e-3}
#: Frameworks round the logits of a narrow head, which are as large as 10; ours are of float32.
ROUNDED = {"float32": 1.0, "bfloat16": 5.0, "float16": 5.0}


@pytest.fixture(params=EVERY)
def backend(request):
    for package in BACKENDS[request.param].packages:
        pytest.importorskip(package)
    pytest.importorskip("ml_dtypes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the processes of the benchmark do
        yield request.param


def expected(cell):
    """Mean loss and its gradients from their definitions, in float64."""
    leaves, targets = inputs.make(cell)
    leaves = [leaf.astype(np.float64) for leaf in leaves]
    logits = leaves[0] if len(leaves) == 1 else leaves[0] @ leaves[1].T
    z = np.moveaxis(logits, cell.axis, -1)
    if cell.targets == "soft":
        t = np.moveaxis(targets.astype(np.float64), cell.axis, -1)
    else:
        t = np.eye(cell.classes)[targets]
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    rows = z[..., 0].size
    gradient = (p * t.sum(-1, keepdims=True) - t) / rows
    loss, gradient = -(t * np.log(p)).sum() / rows, np.moveaxis(gradient, -1, cell.axis)
    if len(leaves) == 1:
        return loss, (gradient,)
    return loss, (gradient @ leaves[1], gradient.T @ leaves[0])


def contenders(framework, cell):
    found = {one.name: one for pair in framework.pairs(cell) for one in (pair.ours, pair.theirs)}
    return {name: one for name, one in found.items() if not one.bare}


def check(name, answer, cell):
    loss, gradients = expected(cell)
    rounded = cell.loss == HEAD and not name.startswith("xe.")
    tolerance = TOLERANCE[cell.dtype] * (ROUNDED[cell.dtype] if rounded else 1)
    np.testing.assert_allclose(answer.loss, loss, rtol=tolerance, atol=tolerance)
    if cell.direction == "forward":
        gradients = ()
    for found, gradient in zip(answer.gradients, gradients, strict=True):
        np.testing.assert_allclose(found, gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.compiles
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "loss"), SHAPES)
def test_every_contender_computes_the_loss_and_the_gradients(
    backend, shape, loss, dtype, targets, direction
):
    cell = Cell(shape, dtype, targets, "normal", direction, loss)
    framework = frameworks(backend)[0]
    framework.start()
    found = contenders(framework, cell)
    main = dtype == "float32" and len(shape) < 4
    for name, one in found.items():
        # What takes seconds to compile is the same function in every other cell.
        if "compiled" not in name or main:
            check(name, framework.read(one.call(framework.operands(inputs.make(cell)))), cell)
    assert len(found) >= 2


@pytest.mark.parametrize(("shape", "loss"), SHAPES)
def test_operands_are_not_changed(backend, shape, loss):
    framework, cell = frameworks(backend)[0], Cell(shape, loss=loss)
    operands = framework.operands(inputs.make(cell))
    for name, one in contenders(framework, cell).items():
        if "compiled" not in name:
            for _ in range(2):
                check(name, framework.read(one.call(operands)), cell)


@pytest.mark.parametrize(
    ("shape", "loss", "bare"), [(*SHAPES[0], "copy"), (*SHAPES[2], "products")]
)
def test_every_mode_is_compared_with_its_own_and_one_with_what_none_can_avoid(
    backend, shape, loss, bare
):
    pairs = frameworks(backend)[0].pairs(Cell(shape, loss=loss))
    native = [pair.mode for pair in pairs if pair.kind == "native"]
    modes = [mode for mode in BACKENDS[backend].modes if mode != ITSELF or loss == DENSE]
    assert native == modes
    others = [(pair.kind, pair.mode) for pair in pairs if pair.kind != "native"]
    chunked = [("chunked", "eager")] if (backend, loss) == ("torch", HEAD) else []
    assert others == [(bare, native[0]), *chunked]
    assert [pair.kind for pair in pairs if pair.theirs.bare] == [bare]
    for pair in pairs:
        assert pair.ours.name.startswith("xe.")
        assert not pair.theirs.name.startswith("xe.")


def test_a_copy_is_a_copy(backend):
    framework, cell = frameworks(backend)[0], Cell((6, 5))
    operands = framework.operands(inputs.make(cell))
    (copy,) = (pair.theirs for pair in framework.pairs(cell) if pair.kind == "copy")
    (made,) = copy.call(operands)
    found, given = (np.asarray(each, np.float64) for each in (made, framework.logits(operands)))
    np.testing.assert_array_equal(found, given)
    assert made is not framework.logits(operands)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_products_are_those_of_a_head(backend, direction):
    framework, cell = frameworks(backend)[0], Cell((6, 4, 5), direction=direction, loss=HEAD)
    hidden, weight = inputs.make(cell).leaves
    logits = hidden.astype(np.float64) @ weight.astype(np.float64).T
    wanted = [logits] if direction == "forward" else [logits @ weight, logits.T @ hidden]
    (bare,) = (pair.theirs for pair in framework.pairs(cell) if pair.kind == "products")
    operands = framework.operands(inputs.make(cell))
    for made in (bare.call(operands), bare.call(operands)):
        for found, one in zip(made, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(found), one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", [DENSE, HEAD])
def test_a_process_writes_samples_and_losses_of_every_cell(backend, loss, capsys):
    modes = BACKENDS[backend].modes[:1]
    shape, loss = ((6, 5), DENSE) if loss == DENSE else ((6, 4, 5), HEAD)
    asked = Request((shape,), ("float32",), TARGETS, ROWS, DIRECTIONS, modes, 0.001, losses=(loss,))
    framework = frameworks(backend)[0]
    records = list(timed.timed(framework, backend, asked))
    cells = list(asked.cells())
    assert [record["cell"] for record in records] == [cell.json() for cell in cells]
    assert capsys.readouterr().out.splitlines() == [cell.name for cell in cells]
    for cell, record in zip(cells, records, strict=True):
        assert record["failed"] == {}
        assert {pair[0] for pair in record["pairs"]} == set(modes)
        assert set(record["losses"]) == set(record["samples"]) - {"copy", "products"}
        for loss in record["losses"].values():
            assert loss == pytest.approx(expected(cell)[0], rel=1e-5, abs=1e-6)


def test_a_contender_that_fails_is_left_out_with_its_reason(backend):
    framework, cell = frameworks(backend)[0], Cell((6, 5))
    ours, theirs = framework.pairs(cell)[0].ours, framework.pairs(cell)[0].theirs

    def refuse(_):
        raise TypeError("not this dtype\nand a long explanation")

    pair = replace(framework.pairs(cell)[0], theirs=replace(theirs, call=refuse))
    operands = framework.operands(inputs.make(cell))
    record = timed.record(framework, cell, [pair], operands, 0.001)
    assert record["failed"] == {theirs.name: "TypeError: not this dtype"}
    assert set(record["samples"]) == {ours.name}


def test_dispatch_is_measured(backend):
    assert 1 < timed.dispatch(frameworks(backend)[0], count=100) < 1e6


def memory(backend, asked, tmp_path):
    """The records of a process of its own: in this one a call finds what others have freed."""
    if peak.lacking():
        pytest.skip(peak.lacking())
    left = run.run_one(run.Job("measured", backend), asked, tmp_path, lambda *_: None)
    assert "death" not in left, left
    return left["cells"]


@pytest.mark.needs("numpy", "torch")
def test_memory_of_every_contender_is_measured(tmp_path):
    """The gradient at least; here on rows so few that nothing else can be said."""
    asked = Request(((4096, 256),), ("float32",), ("hard",), ("normal",), losses=(DENSE,))
    (forward, both) = memory("numpy", asked, tmp_path)
    assert forward["failed"] == both["failed"] == {}
    gradient = Cell((4096, 256)).nbytes
    for taken in both["bytes"].values():
        assert taken >= gradient - peak.RESOLUTION


@pytest.mark.backends("torch")
def test_memory_of_a_head_is_measured_beside_both_of_pytorchs_own(tmp_path):
    """What holds the logits takes them and their gradient; ours has no need of them."""
    pytest.importorskip("ml_dtypes")
    asked = Request(
        ((2048, 16, 4096),), ("float32",), ("hard",), ("normal",), ("forward+backward",),
        ("eager",), losses=(HEAD,),
    )  # fmt: skip
    (taken,) = memory("torch", asked, tmp_path)
    assert taken["failed"] == {}
    assert [kind for _, kind, _, _ in taken["pairs"]] == ["native", "chunked"]
    (cell,) = asked.cells()
    found = taken["bytes"]
    assert found["F.cross_entropy of F.linear"] >= 2 * cell.nbytes - peak.RESOLUTION
    assert found["xe.linear_cross_entropy"] < 2 * cell.nbytes
