"""The list of cases: enough, unique, and covering what it promises to cover."""

import inspect
import math
from collections import Counter

import pytest
from harness import public_functions

import xentropy as xe
from xentropy.parity._case import OPEN, OPERANDS, Array, array
from xentropy.parity._cases import CASES, identity, select
from xentropy.parity._declare import POLICY, Group, normal, simplex
from xentropy.parity._describe import call_text
from xentropy.parity._formats import FORMATS, quantise

pytestmark = pytest.mark.backends("numpy")


def test_there_are_enough_and_their_names_are_unique():
    assert len(CASES) >= 150
    assert [n for n, count in Counter(map(identity, CASES)).items() if count > 1] == []


def test_every_row_of_the_policy_has_a_case():
    assert set(POLICY) == {c.policy for c in CASES if c.policy}


def test_every_public_function_has_a_case():
    covered = {c.function for c in CASES}
    assert covered == set(OPERANDS)
    assert covered == set(public_functions())


#: Functions that pass options on, and the function that documents those.
BENT = ("focal_loss", "poly_loss", "generalized_cross_entropy")


def options_of(function):
    """The arguments of a function, and of the loss that it passes its options on to.

    But for the group, which the columns of slices give to every case.
    """
    names = set(inspect.signature(getattr(xe, function)).parameters) - {"options"}
    passed_on = inspect.signature(xe.cross_entropy).parameters if function in BENT else ()
    return (names | set(passed_on)) - {"group"}


@pytest.mark.parametrize("function", sorted(set(OPERANDS) - {"softmax", "log_softmax"}))
def test_every_option_is_tried(function):
    given = {n for c in CASES if c.function == function for n in (*c.arrays, *c.options)}
    assert options_of(function) - given == set()


def test_every_option_of_the_sigmoid_form_is_tried():
    forms = [c for c in CASES if c.options.get("form") == "sigmoid"]
    given = {n for c in forms for n in (*c.arrays, *c.options)}
    own = {"form", "gamma", "alpha"}
    assert set(inspect.signature(xe.binary_cross_entropy).parameters) | own <= given


@pytest.mark.parametrize("kind", ["probabilities", "log_probabilities", "logits"])
def test_every_kind_of_targets_is_tried_in_every_dtype(kind):
    tried = {c.first.dtype for c in CASES if c.options.get("targets_are") == kind}
    assert set(FORMATS) <= tried


@pytest.mark.parametrize("of", ["loss", "log_prob", "lse", "entropy"])
def test_every_output_of_score_is_differentiated(of):
    assert [c for c in CASES if c.of == of and c.wrt]
    assert [c for c in CASES if c.of == of and c.along]


# Derivatives of a head in a direction are sums that cancel: test_derivatives.py compares them.
HEADS = {"linear_cross_entropy", "linear_score"}


@pytest.mark.parametrize("function", sorted(set(OPERANDS) - HEADS))
def test_every_function_is_differentiated_in_a_direction(function):
    assert [c for c in CASES if c.function == function and c.along]


def test_directions_have_the_shape_and_the_dtype_of_what_moves():
    for case in CASES:
        for name, direction in case.along.items():
            beside = case.arrays[name]
            assert (direction.shape, direction.dtype) == (beside.shape, beside.dtype)
    with pytest.raises(ValueError, match=r"direction of \(2,\) for an array of \(1, 2\)"):
        Group("g")("n", "softmax", [[1.0, 2.0]], along={"x": [1.0, 2.0]})


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("function", sorted(OPERANDS))
def test_every_function_is_tried_in_every_dtype(function, dtype):
    assert any(c.function == function and c.first.dtype == dtype for c in CASES)


def test_what_frameworks_see_is_what_the_oracle_sees():
    for case in CASES:
        for held in case.arrays.values():
            assert held.dtype != OPEN
            assert len(held.values) == math.prod(held.shape)
            if held.dtype in FORMATS:
                rounded = [quantise(v, held.dtype) for v in held.values]
                assert list(map(repr, rounded)) == list(map(repr, held.values))


def test_gradients_are_asked_for_by_floating_arrays():
    for case in CASES:
        assert all(case.arrays[name].dtype in FORMATS for name in case.wrt)


def test_every_label_dtype_is_tried():
    tried = {c.arrays["targets"].dtype for c in CASES if c.function == "cross_entropy"}
    assert {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)} <= tried


def test_select_by_group_name_and_pattern():
    assert {c.group for c in select("policy")} == {"policy"}
    assert {identity(c) for c in select("policy: label -1")} == {"policy: label -1"}
    assert {c.name for c in select("margin 5")} == {"margin 5"}
    assert select("no such case") == ()


def test_generated_logits_are_the_same_every_time():
    assert normal(3, 2, 4) == normal(3, 2, 4) != normal(4, 2, 4)
    sums = [math.fsum(simplex(1, 3, 5).values[i : i + 5]) for i in (0, 5, 10)]
    assert sums == pytest.approx([1.0] * 3)


def test_declaring_rounds_and_gives_companions_their_dtypes():
    case = Group("g")("n", "cross_entropy", [[0.1, 0.2]], [1], dtype="float16",
                      class_weights=[0.1, 0.3], where=[True, True])  # fmt: skip
    assert case.first.values == (quantise(0.1, "float16"), quantise(0.2, "float16"))
    dtypes = {name: held.dtype for name, held in case.arrays.items()}
    assert dtypes == {
        "logits": "float16",
        "targets": "int32",
        "class_weights": "float32",
        "where": "bool",
    }
    assert case.arrays["where"].values == (True, True)
    assert case.wrt == ("logits",)


def test_soft_targets_without_rows_stay_soft():
    (case,) = select("policy: no rows, soft")
    assert case.arrays["targets"].dtype == "float32"


def test_a_fraction_is_no_label():
    with pytest.raises(ValueError, match=r"0\.5 is no integer"):
        array([0.5]).cast("int32")


def test_nested_lists_come_back():
    nested = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert array(nested).nested() == nested
    assert Array("float32", (), (2.0,)).nested() == 2.0


def test_call_text_is_the_call_a_user_would_write():
    (case,) = select("accuracy: margin 30, class weights")
    assert call_text(case) == (
        "xe.cross_entropy(float32([[30, 0, 0]]), int32([0]), "
        "class_weights=float32([0.3, 1, 1]), reduction='sum')"
    )
    (derived,) = select("derivatives: margins 30 and -30, binary")
    assert call_text(derived) == (
        "xe.binary_cross_entropy(float32([30, -30]), float32([1, 0]), reduction='none')"
        "  # along logits=float32([1, 1])"
    )
    (scored,) = select("score: margin 40, entropy, float64")
    assert call_text(scored) == "xe.score(float64([[40, 0, 0]]), int32([0])).entropy"
    (large,) = select("vocabularies: 1 x 32000, softmax")
    assert call_text(large) == "xe.softmax(float32(shape (1, 32000)))"
