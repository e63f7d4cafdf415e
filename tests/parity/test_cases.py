"""The list of cases: enough, unique, and covering what it promises to cover."""

import math
from collections import Counter

import pytest

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
    assert covered == set(xe.__all__) - {"value_and_grad"}


@pytest.mark.parametrize("function", ["cross_entropy", "nll_loss", "binary_cross_entropy"])
def test_every_option_is_tried(function):
    import inspect

    taken = set(inspect.signature(getattr(xe, function)).parameters)
    given = {n for c in CASES if c.function == function for n in (*c.arrays, *c.options)}
    assert taken - given == set()


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
    (large,) = select("vocabularies: 1 x 32000, softmax")
    assert call_text(large) == "xe.softmax(float32(shape (1, 32000)))"
