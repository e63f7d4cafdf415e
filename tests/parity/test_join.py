"""The verdicts: every way in which a cell can be wrong turns it red."""

import math

import pytest
from exact_cells import perfect, quantity

from xentropy.parity._cases import identity, select
from xentropy.parity._declare import Group
from xentropy.parity._join import distance, index, join, judge
from xentropy.parity._matrix import Cell, Column, Finding, Matrix
from xentropy.parity._oracle import answer
from xentropy.parity.columns import BACKENDS, left_out

pytestmark = pytest.mark.backends("numpy")

INF, NAN = math.inf, math.nan
CASE = Group("test")("case", "cross_entropy", [[1.0, 2.0, 3.0]], [0], reduction="none")
NAME = identity(CASE)
EXACT = answer(CASE)
LABEL = select("policy: label 3")[0]
# Those of our own functions; test_drop_in.py has the others.
COLUMNS = [
    f"{name} {mode}"
    for name, backend in BACKENDS.items()
    for mode in backend.modes
    if mode != "drop-in"
]


def verdict(held, case=CASE, column="numpy eager"):
    oracle = Column("oracle", {identity(case): answer(case)})
    return judge(case, oracle, Column(column, {identity(case): held}))


def cell_with(**changes):
    return verdict({"quantities": perfect(CASE) | changes})


def test_the_exact_numbers_are_good():
    cell = verdict({"quantities": perfect(CASE)})
    assert cell.state == "good"
    assert cell.ratio < 1e-6


@pytest.mark.parametrize(("units", "state"), [(3.0, "good"), (4.9, "good"), (9.0, "bad")])
def test_a_number_is_good_up_to_its_budget(units, state):
    """2.4 has an ulp of 2**-22 in float32; the budget is 4 of them and the conditioning."""
    (high,) = map(float.fromhex, EXACT["quantities"]["value"]["high"])
    cell = cell_with(value=quantity([high + units * 2.0**-22]))
    assert cell.state == state
    assert cell.worst.error == pytest.approx(units)
    assert cell.worst.what == "value[0]"


def test_the_second_half_of_an_exact_number_counts():
    assert distance(1.0, 2.0**-60, 1.0) == 2.0**-60


@pytest.mark.parametrize(
    ("expected", "got", "far"),
    [
        (NAN, NAN, 0.0),
        (INF, INF, 0.0),
        (INF, -INF, INF),
        (INF, NAN, INF),
        (NAN, INF, INF),
        (NAN, 1.0, INF),
        (1.0, NAN, INF),
        (0.0, INF, INF),
        (INF, 3e38, INF),
        (0.0, -0.0, 0.0),
    ],
)
def test_special_values_are_met_exactly(expected, got, far):
    assert distance(expected, 0.0, got) == far


@pytest.mark.parametrize("value", [NAN, INF, -INF, 0.0])
def test_a_special_value_for_a_number_is_bad(value):
    assert cell_with(value=quantity([value])).state == "bad"


def test_zero_is_met_exactly_where_nothing_is_computed():
    (case,) = (c for c in select("policy") if c.name == "all ignored, none")
    assert verdict({"quantities": perfect(case)}, case).state == "good"
    wrong = perfect(case) | {"gradient by logits": quantity([0, 0, 1e-45, 0, 0, 0], shape=(2, 3))}
    cell = verdict({"quantities": wrong}, case)
    assert (cell.state, cell.ratio) == ("bad", INF)


def test_a_wrong_gradient_is_bad_and_named():
    high = [float.fromhex(h) for h in EXACT["quantities"]["gradient by logits"]["high"]]
    high[2] *= 1 + 1e-5
    cell = cell_with(**{"gradient by logits": quantity(high, shape=(1, 3))})
    assert cell.state == "bad"
    assert cell.worst.what == "gradient by logits[0, 2]"


def test_another_dtype_is_bad():
    (high,) = map(float.fromhex, EXACT["quantities"]["value"]["high"])
    cell = cell_with(value=quantity([high], dtype="float64"))
    assert cell.state == "bad"
    assert cell.worst.what == "dtype of the value"


def test_another_shape_is_bad():
    (high,) = map(float.fromhex, EXACT["quantities"]["value"]["high"])
    cell = cell_with(value=quantity([high], shape=()))
    assert cell.state == "bad"
    assert cell.worst.what == "shape of the value"


def test_a_gradient_that_is_not_connected_is_bad():
    cell = cell_with(**{"gradient by logits": None})
    assert cell.state == "bad"
    assert (cell.worst.expected, cell.worst.got) == ("a tensor", "nothing")


def test_a_missing_quantity_is_bad():
    held = perfect(CASE)
    del held["gradient by logits"]
    assert verdict({"quantities": held}).state == "bad"


def test_the_value_alone_is_compared_with_the_value():
    assert cell_with(**{"value alone": perfect(CASE)["value"]}).state == "good"
    assert cell_with(**{"value alone": quantity([9.0])}).state == "bad"


# Derivatives: what a column may leave out is declared, and nothing else is.

DERIVED = Group("test")("derived", "cross_entropy", [[1.0, 2.0, 3.0]], [0],
                        along={"logits": [[1.0, -1.0, 0.5]]})  # fmt: skip


def without(case, *names):
    return {"quantities": {n: q for n, q in perfect(case).items() if n not in names}}


def test_derivatives_are_quantities_of_a_case_with_directions():
    assert set(perfect(DERIVED)) == {"value", "gradient by logits", "jvp", "hvp"}
    assert verdict(without(DERIVED), DERIVED, "torch eager").state == "good"


@pytest.mark.parametrize("lost", ["jvp", "hvp"])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_derivative_is_left_out_by_declaration_alone(column, lost):
    """A column that declares it is judged on the rest, and says what it is without."""
    declared = left_out(column)
    cell = verdict(without(DERIVED, *declared, lost), DERIVED, column)
    assert cell.state == ("good" if lost in declared else "bad")
    assert (f"no {lost}: {declared.get(lost)}" in cell.without) == (lost in declared)
    if lost not in declared:
        assert (cell.worst.what, cell.worst.got) == (lost, "nothing")


def test_no_column_declares_a_value_or_a_gradient_away():
    """And an automatic differentiation has both derivatives, compiled too."""
    columns = {column: left_out(column) for column in COLUMNS}
    assert {q for declared in columns.values() for q in declared} <= {"jvp", "hvp"}
    assert [n for n, declared in columns.items() if declared] == ["numpy eager", "strict eager"]


def test_a_derivative_that_is_off_is_bad():
    high = [float.fromhex(h) for h in answer(DERIVED)["quantities"]["hvp"]["high"]]
    high[0] *= 1 + 1e-5
    held = perfect(DERIVED) | {"hvp": quantity(high, shape=(1, 3))}
    cell = verdict({"quantities": held}, DERIVED, "jax eager")
    assert (cell.state, cell.worst.what) == ("bad", "hvp[0, 0]")


# Several outputs.

SCORED = Group("test")("scored", "score", [[1.0, 2.0, 2.0]], [1], of="entropy")


def scored(**changes):
    whole = {"prediction": ("int64", 1.0), "correct": ("bool", 1.0)}
    kinds = {n: quantity([v], dtype) for n, (dtype, v) in whole.items()}
    return verdict({"quantities": perfect(SCORED) | kinds | changes}, SCORED)


def test_every_output_is_a_quantity():
    outputs = {"loss", "log_prob", "lse", "entropy", "prediction", "correct"}
    assert set(perfect(SCORED)) == outputs | {"gradient by logits"}
    assert scored().state == "good"
    assert scored(**{"lse alone": perfect(SCORED)["lse"]}).state == "good"
    assert scored(**{"lse alone": perfect(SCORED)["loss"]}).state == "bad"


@pytest.mark.parametrize("lost", ["loss", "log_prob", "lse", "entropy", "prediction", "correct"])
def test_a_lost_output_is_bad(lost):
    held = {n: q for n, q in perfect(SCORED).items() if n != lost}
    assert verdict({"quantities": held}, SCORED).state == "bad"


@pytest.mark.parametrize(
    ("name", "dtype", "value", "state"),
    [
        ("prediction", "int32", 1.0, "good"),
        ("prediction", "int64", 2.0, "bad"),
        ("prediction", "float32", 1.0, "bad"),
        ("correct", "bool", 0.0, "bad"),
        ("correct", "int64", 1.0, "bad"),
    ],
)
def test_whole_numbers_are_met_and_have_the_kind_that_is_promised(name, dtype, value, state):
    assert scored(**{name: quantity([value], dtype)}).state == state


def error(*classes, message="targets[1] is 3"):
    return {"error": {"classes": list(classes), "message": message}}


def test_an_error_for_numbers_is_bad():
    cell = verdict(error("RuntimeError", message="no"))
    assert (cell.state, cell.note, cell.ratio) == ("bad", "RuntimeError: no", INF)


@pytest.mark.parametrize(
    ("held", "state"),
    [
        (error("IndexError", "LookupError"), "good"),
        (error("MyIndexError", "IndexError"), "good"),
        (error("ValueError"), "bad"),
        (error("IndexError", message="bad label"), "bad"),
        ({"quantities": perfect(LABEL)}, "bad"),
    ],
)
def test_the_promised_error_must_come_and_say_what_is_wrong(held, state):
    assert verdict(held, LABEL).state == state


@pytest.mark.parametrize(
    ("column", "state"),
    [("torch compiled", "good"), ("strict eager", "good"), ("jax eager", "bad")],
)
def test_nan_stands_for_the_error_where_values_cannot_be_read(column, state):
    assert verdict({"quantities": perfect(LABEL)}, LABEL, column).state == state


def test_a_dead_column_is_red_and_so_is_everything_under_a_dead_oracle():
    dead = Column("torch eager", death="exit status -9")
    alive = Column("numpy eager", {NAME: {"quantities": perfect(CASE)}})
    oracle = Column("oracle", {NAME: EXACT})
    matrix = join([CASE], oracle, [alive, dead])
    assert [c.state for c in matrix.cells] == ["good", "bad"]
    assert not matrix.green
    assert "torch eager died" in matrix.bad[0].note
    assert len(join([CASE], Column("oracle", death="gone"), [alive]).bad) == 1


def test_a_cell_that_is_not_there_is_red():
    matrix = join([CASE], Column("oracle", {NAME: EXACT}), [Column("numpy eager", {})])
    assert [c.state for c in matrix.cells] == ["bad"]


def test_a_matrix_without_a_good_cell_is_not_green():
    skipped = Cell(NAME, "strict eager", "skipped")
    assert not Matrix((CASE,), (), (skipped,)).green
    assert not Matrix((CASE,), (), ()).green
    assert Matrix((CASE,), (), (skipped, Cell(NAME, "numpy eager", "good"))).green


def test_the_worst_cell_is_the_one_that_takes_most_of_its_budget():
    cells = [
        Cell("a", "c", "good", (Finding("value", "1", "1", 3.0, 4.0),)),
        Cell("b", "c", "good", (Finding("value", "1", "1", 30.0, 90.0),)),
        Cell("c", "c", "skipped"),
    ]
    assert Matrix((), (), tuple(cells)).worst.case == "a"
    worse = Cell("d", "c", "bad", note="the process died")
    assert Matrix((), (), (*cells, worse)).worst.case == "d"


def test_the_frameworks_own_is_shown_and_never_judged():
    native = {"name": "F.cross_entropy", "quantities": perfect(CASE) | {"value": quantity([NAN])}}
    cell = verdict({"quantities": perfect(CASE), "native": native})
    assert (cell.state, cell.native) == ("good", "F.cross_entropy")
    shown = {f.what: f for f in cell.findings}
    assert (shown["value[0]"].theirs, shown["value[0]"].their_error) == ("nan", INF)


def test_the_frameworks_own_error_is_told():
    native = {"name": "F.cross_entropy"} | error("RuntimeError", message="no such target")
    cell = verdict({"quantities": perfect(CASE), "native": native})
    assert (cell.state, cell.native_note) == ("good", "RuntimeError: no such target")


def test_the_frameworks_own_numbers_are_told_where_ours_refuses():
    native = {"name": "optax", "quantities": {"value": quantity([0.4076])}}
    (case,) = select("errors: temperature 0.0")
    refused = error("ValueError", message="temperature must be above 0, got 0.0")
    assert verdict(refused | {"native": native}, case).native_note == "no error: 0.4076"


def test_both_worst_places_are_shown():
    value = [float.fromhex(h) for h in EXACT["quantities"]["gradient by logits"]["high"]]
    ours, theirs = list(value), list(value)
    ours[0] *= 1 + 2e-7
    theirs[2] = 0.0
    held = {"quantities": perfect(CASE) | {"gradient by logits": quantity(ours, shape=(1, 3))}}
    beside = perfect(CASE) | {"gradient by logits": quantity(theirs, shape=(1, 3))}
    cell = verdict(held | {"native": {"name": "own", "quantities": beside}})
    places = {f.what for f in cell.findings if f.what.startswith("gradient")}
    assert places == {"gradient by logits[0, 0]", "gradient by logits[0, 2]"}


def test_spread_is_the_largest_distance_between_columns():
    (high,) = map(float.fromhex, EXACT["quantities"]["value"]["high"])
    held = [
        Column(f"numpy {i}", {NAME: {"quantities": perfect(CASE) | {"value": quantity([v])}}})
        for i, v in enumerate((high, high + 2.0**-22, high - 2.0**-21))
    ]
    matrix = join([CASE], Column("oracle", {NAME: EXACT}), held)
    assert (matrix.widest.what, matrix.widest.units) == ("value", 3.0)


def test_a_half_gradient_is_judged_before_its_last_rounding():
    case = Group("half")("case", "cross_entropy", [[1.0, 2.0, 3.0]], [0], dtype="float16")
    exact = answer(case)["quantities"]["gradient by logits"]
    (first, *rest) = map(float.fromhex, exact["high"])
    for factor, state in ((0.5, "good"), (0.999, "bad")):
        moved = [first + factor * 2.0**-11, *rest]
        held = perfect(case) | {"gradient by logits": quantity(moved, "float16", (1, 3))}
        assert verdict({"quantities": held}, case).state == state


def test_index():
    assert [index(5, (2, 3)), index(4, (5,)), index(0, ())] == ["[1, 2]", "[4]", ""]
