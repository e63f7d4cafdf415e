"""What a drop-in is measured by, and every way in which its cell can be wrong."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
from exact_cells import perfect, quantity

from xentropy.parity import _column, _drop_in
from xentropy.parity._cases import CASES, identity, select
from xentropy.parity._declare import Group
from xentropy.parity._join import judge
from xentropy.parity._matrix import Column
from xentropy.parity._oracle import answer
from xentropy.parity.columns import BACKENDS, adapter
from xentropy.parity.differences import LIBRARIES, Difference, differences

CASE = Group("test")("case", "cross_entropy", [[1.0, 2.0, 3.0]], [0], reduction="none")
HALF = Group("test")(
    "half", "cross_entropy", [[1.0, 2.0, 3.0]], [0], dtype="bfloat16", reduction="none"
)
(LABEL,) = select("policy: label 3")
ERROR = {"error": {"classes": ["IndexError", "LookupError"], "message": "out of range"}}
OTHER = {"error": {"classes": ["RuntimeError"], "message": "no"}}
WRONG = {"value": quantity([7.0])}
about_the_verdict = pytest.mark.backends("numpy")


def declare(monkeypatch, kind, case=CASE):
    """Declare a difference that decides the case, and no other."""
    one = Difference("t", kind, ("cross_entropy",), "", "", "", "", (identity(case),))
    monkeypatch.setattr(_drop_in, "differences", lambda _library: (one,) if kind else ())


def verdict(held, native, case=CASE):
    oracle = Column("oracle", {identity(case): answer(case)})
    both = held | {"native": {"name": "F.cross_entropy"} | native}
    return judge(case, oracle, Column("torch drop-in", {identity(case): both}))


def numbers(case=CASE, **changes):
    return {"quantities": perfect(case) | changes}


@about_the_verdict
@pytest.mark.parametrize(
    ("kind", "held", "native", "state"),
    [
        ("", numbers(), numbers(), "good"),
        ("", numbers(**WRONG), numbers(), "bad"),
        ("", numbers(), numbers(**WRONG), "bad"),  # the framework differs, undeclared
        ("", numbers(), numbers(value=quantity([1.0, 2.0], shape=(2,))), "bad"),
        ("", numbers(**WRONG), numbers(**WRONG), "bad"),  # a convention, undeclared
        ("", numbers(), OTHER, "bad"),
        ("", OTHER, OTHER, "good"),
        ("", ERROR, OTHER, "bad"),
        ("", OTHER, numbers(), "bad"),
        ("defect", numbers(), numbers(**WRONG), "good"),
        ("defect", numbers(**WRONG), numbers(**WRONG), "bad"),
        ("extension", numbers(), OTHER, "good"),
        ("extension", OTHER, OTHER, "bad"),
        ("convention", numbers(**WRONG), numbers(**WRONG), "good"),
        ("convention", numbers(), numbers(**WRONG), "bad"),
        ("convention", OTHER, numbers(**WRONG), "bad"),
    ],
)
def test_the_verdict(monkeypatch, kind, held, native, state):
    declare(monkeypatch, kind)
    assert verdict(held, native).state == state


@about_the_verdict
@pytest.mark.parametrize(
    ("kind", "held", "native", "state"),
    [
        ("", ERROR, ERROR, "good"),
        ("", OTHER, OTHER, "good"),  # the framework's class is the drop-in's
        ("", ERROR, OTHER, "bad"),
        ("", ERROR, numbers(CASE), "bad"),  # the framework takes it, undeclared
        ("defect", ERROR, numbers(CASE), "good"),
        ("defect", numbers(CASE), numbers(CASE), "bad"),
    ],
)
def test_the_verdict_of_an_error(monkeypatch, kind, held, native, state):
    declare(monkeypatch, kind, LABEL)
    assert verdict(held, native, LABEL).state == state


@about_the_verdict
def test_what_is_undeclared_is_named(monkeypatch):
    declare(monkeypatch, "")
    note = verdict(numbers(), numbers(**WRONG)).note
    assert note == "undeclared: F.cross_entropy answers otherwise in the value"


@about_the_verdict
def test_what_is_declared_is_named(monkeypatch):
    declare(monkeypatch, "defect")
    assert verdict(numbers(), numbers(**WRONG)).native_note == "declared as a defect: t"


@about_the_verdict
def test_a_convention_that_comes_with_a_defect_has_no_measure(monkeypatch):
    both = [
        Difference("t", kind, ("cross_entropy",), "", "", "", "", (identity(CASE),))
        for kind in ("defect", "convention")
    ]
    monkeypatch.setattr(_drop_in, "differences", lambda _library: both)
    cell = verdict(numbers(**WRONG), numbers())
    assert cell.state == "skipped"
    assert cell.note == "what the framework answers is a convention and a defect in one"


@about_the_verdict
@pytest.mark.parametrize(("off", "state"), [(0.0, "good"), (2.0**-6, "good"), (2.0**-4, "bad")])
def test_a_drop_in_answers_in_the_dtype_of_the_framework(monkeypatch, off, state):
    """2.4 has an ulp of 2**-6 in bfloat16, which a framework returns; ours is float32."""
    declare(monkeypatch, "")
    narrow = numbers(HALF, value=quantity([2.40625 + off], "bfloat16"))
    assert (
        verdict(narrow, numbers(HALF, value=quantity([2.40625], "bfloat16")), HALF).state == state
    )
    wide = numbers(HALF, value=quantity([2.40760596]))
    assert verdict(wide, narrow, HALF).state == "bad"


@about_the_verdict
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_declared_pattern_names_cases(library):
    names = [identity(case) for case in CASES]
    for one in differences(library):
        for glob in one.cases:
            assert [n for n in names if _drop_in.fnmatchcase(n, glob)], (one.title, glob)


# The columns themselves.

DROP_INS = [
    pytest.param(name, marks=pytest.mark.backends(name))
    for name, backend in BACKENDS.items()
    if "drop-in" in backend.modes and name != "keras"
] + [pytest.param("keras", marks=pytest.mark.needs("tensorflow"))]
SAMPLE = (
    "accuracy: margin 30",
    "policy: label 3",
    "policy: all ignored, mean",
    "policy: -inf beside a one-hot",
    "binary: soft, bfloat16",
    "binary: pos_weight",
    "softmax and kin: log_softmax, float16",
    "kl_divergence: 1e-03 apart",
)


def cells(library, posing=False):
    """The sample on a drop-in's column, or with the framework's functions posing as drop-ins."""
    pytest.importorskip(library)
    framework = adapter(library, "drop-in")
    for name in SAMPLE:
        (case,) = select(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            place = _column.bench(framework, case, f"{library} drop-in")
            if posing and place.ours is not None:
                place.ours = place.native
            held = place.compute(case)
        oracle = Column("oracle", {identity(case): answer(case)})
        yield judge(case, oracle, Column(f"{library} drop-in", {identity(case): held}))


@pytest.mark.parametrize("library", DROP_INS)
def test_a_drop_in_is_green(library):
    found = list(cells(library))
    assert [c for c in found if c.state == "bad"] == []
    assert sum(c.state == "good" for c in found) >= 3


@pytest.mark.parametrize("library", DROP_INS)
def test_the_framework_itself_is_not(library):
    """At a margin of 30 it says 0."""
    states = {c.case: c.state for c in cells(library, posing=True)}
    assert states["accuracy: margin 30"] == "bad"


@pytest.mark.backends("torch")
def test_what_the_framework_has_no_function_for_is_skipped():
    (case,) = select("score: everything, entropy")
    held = _column.bench(adapter("torch", "drop-in"), case, "torch drop-in").compute(case)
    assert held == {"skipped": "no function of the framework for it"}


@pytest.mark.backends("torch")
def test_directions_are_not_asked_for():
    (case,) = select("derivatives: labels, float32")
    held = _column.bench(adapter("torch", "drop-in"), case, "torch drop-in").compute(case)
    assert set(held["quantities"]) == {"value", "value alone", "gradient by logits"}
    assert replace(case, along={}).derivatives == ()
