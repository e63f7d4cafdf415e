"""The columns in which several hold the classes: what is cut, and what is put together again."""

import inspect
from dataclasses import replace

import pytest

import xentropy as xe
from xentropy.parity._case import OPERANDS
from xentropy.parity._cases import CASES, identity, select
from xentropy.parity._declare import Group
from xentropy.parity._join import judge
from xentropy.parity._matrix import Column
from xentropy.parity._oracle import answer
from xentropy.parity._run import column_job, run_one
from xentropy.parity.columns import BACKENDS
from xentropy.parity.columns._slices import FUNCTIONS, axes, classes, joined, lacking, part
from xentropy.parity.columns._torch_sharded import bounds

COLUMNS = [
    pytest.param(name, marks=pytest.mark.backends(name))
    for name, backend in BACKENDS.items()
    if "sharded" in backend.modes
]
#: Maxima on both ends, halves of -inf, sums of both, an error; `nox -s parity` runs all.
SAMPLE = "sharded: [lmo]*"


def nothing(*_: str) -> None:
    """Nobody watches."""


@pytest.mark.parametrize("backend", COLUMNS)
def test_a_column_of_slices_is_green(backend, tmp_path):
    """In a process of its own, as in the matrix: devices have to be asked for before JAX starts."""
    column = run_one(column_job(backend, "sharded"), tmp_path, SAMPLE, nothing)
    assert column.death == ""
    cases = select(SAMPLE)
    assert len(cases) > 10
    exact = Column("oracle", {identity(case): answer(case) for case in cases})
    cells = [judge(case, exact, column) for case in cases]
    assert {identity(case) for case in cases} == set(column.cells)
    assert [cell for cell in cells if cell.state != "good"] == []


@pytest.mark.backends("numpy")
class TestWhatIsCut:
    def test_every_function_with_a_group_has_slices(self):
        given = {n for n in OPERANDS if "group" in inspect.signature(getattr(xe, n)).parameters}
        passed_on = {"focal_loss", "poly_loss", "generalized_cross_entropy", "score"}
        assert given | passed_on | {"linear_score"} == FUNCTIONS

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("sharded: everything", {"logits": 1, "class_weights": 0, "where": 0}),
            ("sharded: axis 1 of three", {"logits": 1}),
            ("sharded: scores of probabilities", {"logits": 1, "targets": 1}),
            ("sharded: head, probabilities", {"weight": 0, "bias": 0, "targets": 1}),
            ("linear head: bias of another length", {"weight": 0}),
        ],
    )
    def test_arrays_with_an_entry_for_every_class(self, name, wanted):
        (case,) = select(name)
        assert axes(case) == wanted

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("entropy: labels*", None),
            ("softmax and kin: *logsumexp*both axes*", None),
            ("sharded: head", ""),
        ],
    )
    def test_a_case_that_nobody_can_share_says_why(self, name, reason):
        for case in select(name):
            assert (lacking(case) is None) == (reason == "")

    def test_every_case_about_slices_has_some(self):
        cases = select("sharded")
        assert [c for c in cases if lacking(c) or classes(c) % 6] == []

    def test_the_slices_of_all_are_the_whole(self):
        (case,) = select("sharded: everything")
        parts = [part(case, here, "group") for here in bounds(6)]
        rows = zip(*(p.first.nested() for p in parts), strict=True)
        assert [[*a, *b] for a, b in rows] == case.first.nested()
        assert [p.arrays["class_weights"].shape for p in parts] == [(2,), (4,)]
        assert all(p.arrays["targets"] == case.arrays["targets"] for p in parts)
        assert all(p.options["group"] == "group" for p in parts)

    @pytest.mark.parametrize("count", [2, 3, 10])
    def test_cuts_are_uneven_and_lose_no_class(self, count):
        (start, middle), (again, stop) = bounds(count)
        assert (start, middle, stop) == (0, again, count)
        assert 0 < middle < count


CASE = Group("test")("case", "cross_entropy", [[1.0, 2.0, 3.0]], [0], wrt=("logits",))


def cell(value="0x1.0p+0", gradient=("0x1.0p+0",)):
    """What a process computes."""
    made = {"dtype": "float32", "shape": [1, len(gradient)], "values": list(gradient)}
    quantities = {"value": {"dtype": "float32", "shape": [], "values": [value]}}
    return {"quantities": quantities | {"gradient by logits": made}}


def error(*names):
    return {"error": {"classes": list(names), "message": "why"}}


@pytest.mark.backends("numpy")
class TestTheWayBack:
    def test_gradients_of_slices_are_put_together(self):
        both = joined(CASE, [cell(), cell(gradient=("0x1.8p+0", "0x1.4p+0"))])
        gradient = both["quantities"]["gradient by logits"]
        assert gradient["shape"] == [1, 3]
        assert gradient["values"] == ["0x1.0p+0", "0x1.8p+0", "0x1.4p+0"]
        assert both["quantities"]["value"]["values"] == ["0x1.0p+0"]

    def test_values_that_differ_are_a_contradiction(self):
        both = joined(CASE, [cell(), cell(value="0x1.1p+0")])
        assert both["error"]["classes"] == ["Contradiction"]
        assert "value" in both["error"]["message"]

    def test_one_that_raises_alone_is_a_contradiction(self):
        both = joined(CASE, [cell(), error("ValueError")])
        assert both["error"]["classes"] == ["Contradiction"]

    def test_the_reason_is_that_of_who_has_one(self):
        both = joined(CASE, [error("RuntimeError"), error("ValueError", "Exception")])
        assert both["error"]["classes"][0] == "ValueError"

    def test_gradients_by_what_all_have_must_be_alike(self):
        case = replace(CASE, wrt=("sample_weights",))
        cells = [cell(), cell()]
        for i, one in enumerate(cells):
            given = one["quantities"].pop("gradient by logits")
            one["quantities"]["gradient by sample_weights"] = given | {"values": [f"0x1.{i}p+0"]}
        assert joined(case, cells)["error"]["classes"] == ["Contradiction"]

    def test_a_red_cell_says_so(self):
        held = {identity(CASE): joined(CASE, [cell(), cell(value="0x1.1p+0")])}
        exact = Column("oracle", {identity(CASE): answer(CASE)})
        found = judge(CASE, exact, Column("torch sharded", held))
        assert (found.state, "Contradiction" in found.note) == ("bad", True)


@pytest.mark.backends("numpy")
def test_messages_about_slices_need_not_name_the_shape_of_the_whole():
    """The class of an error is what a case promises of all of them."""
    case = next(c for c in CASES if c.raises == "ValueError" and c.says and not lacking(c))
    exact = Column("oracle", {identity(case): answer(case)})
    held = {identity(case): error("ValueError")}
    assert judge(case, exact, Column("torch sharded", held)).state == "good"
    assert judge(case, exact, Column("torch eager", held)).state == "bad"
