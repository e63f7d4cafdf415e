"""The oracle against closed forms, printed values, and its own numerical derivatives."""

import math
from dataclasses import replace

import pytest
from mpmath import mp, mpf

from xentropy.parity._cases import identity, select
from xentropy.parity._declare import Group, of
from xentropy.parity._oracle import answer, definition, digits, exact
from xentropy.parity.exact._number import Exact, Tensor, tolerance, total

pytestmark = pytest.mark.backends("numpy")

INF, NAN = math.inf, math.nan


def declare(function, *operands, **rest):
    return Group("test")("case", function, *operands, **{"dtype": "float64"} | rest)


def numbers(case, what="value"):
    return [float(n.value) for n in exact(case)[what].numbers]


def close(got, expected):
    """Equal up to the rounding to float64, NaN and infinities included."""
    return got == pytest.approx(expected, rel=1e-15, abs=0.0, nan_ok=True)


# Closed forms.


@pytest.mark.parametrize("margin", [0.0, 1.0, 30.0, 300.0, 700.0])
def test_two_classes_have_a_closed_form(margin):
    case = declare("cross_entropy", [[margin, 0.0]], [0])
    assert close(numbers(case), [math.log1p(math.exp(-margin))])
    p = math.exp(-margin) / (1 + math.exp(-margin))
    assert close(numbers(case, "gradient by logits"), [-p, p])


def test_uniform_logits_cost_the_log_of_their_number():
    case = declare("cross_entropy", [[7.0] * 10], [3])
    assert close(numbers(case), [math.log(10)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax [2.0, 1.0, 0.1]", [0.659001, 0.242433, 0.098566]),
        ("softmax [0.1, 0.9, 3.0]", [0.04672966, 0.10399876, 0.84927158]),
        ("softmax [0.1, 0.9, 4.0]", [0.019001, 0.042288, 0.938711]),
        ("softmax [0.72, 0.23, 0.05]", [0.470736, 0.288385, 0.240879]),
        ("softmax [2.1, 0.5, -1.3]", [0.809540, 0.163443, 0.027017]),
        ("probabilities, one-hot", [0.356675, 2.302585]),
        ("divided by the entries, p=0.8", [0.0743811838]),
        ("divided by the entries, p=0.1", [0.7675283643]),
        ("-log p", [0, 0.105361, 0.693147, 2.302585, 4.605170, 9.210340]),
        ("logits, class 0", [0.417030]),
        ("logits, class 0, wrong", [1.840616]),
        ("batch, good predictions", [0.283422]),
        ("batch, bad predictions", [1.641845]),
        ("three frameworks, one-hot", [0.2778693533]),
        ("three frameworks, indices", [0.2778693533]),
        ("a bad first row, one-hot", [1.0379128032]),
        ("three ways: nll_loss", [0.352735, 3.938462, 1.976967, 0.225101, 1.345174, 0.163465]),
        ("three ways: cross_entropy", [0.352735, 3.938462, 1.976967, 0.225101, 1.345174, 0.163465]),
    ],
)
def test_worked_examples(name, expected):
    (case,) = (c for c in select("worked examples") if c.name == name)
    assert numbers(case) == pytest.approx(expected, abs=1e-6)


def test_confident_loss_in_float32_as_the_tutorial_prints_it():
    (case,) = select("accuracy: margin 30")
    assert numbers(case) == pytest.approx([1.8715246e-13], rel=1e-7)
    assert numbers(case, "gradient by logits")[0] == pytest.approx(-1.8715246e-13, rel=1e-7)


# Options by hand.

X = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
NATS = [2.4076059644443806, 1.4076059644443806, 0.4076059644443806]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (NATS[0] + NATS[1]) / 2),
        ({"reduction": "sum"}, NATS[0] + NATS[1]),
        ({"class_weights": [1.0, 2.0, 3.0]}, (NATS[0] + 2 * NATS[1]) / 3),
        (
            {"class_weights": [1.0, 2.0, 3.0], "normalizer": "batch"},
            (NATS[0] + 2 * NATS[1]) / 2,
        ),
        ({"sample_weights": [3.0, 0.0]}, NATS[0]),
        ({"sample_weights": [3.0, 0.0], "normalizer": "valid"}, 3 * NATS[0]),
        ({"ignore_index": 1}, NATS[0]),
        ({"ignore_index": 1, "normalizer": "batch"}, NATS[0] / 2),
        ({"label_smoothing": 1.0}, sum(NATS) / 3),
        ({"normalizer": 4.0}, (NATS[0] + NATS[1]) / 4),
        (
            {"where": [True, True, False]},
            (math.log1p(math.e) + math.log1p(1 / math.e)) / 2,
        ),
        ({"temperature": 1e300}, math.log(3)),
        ({"softcap": 1e-300}, math.log(3)),
        ({"z_loss": 0.5}, (NATS[0] + NATS[1]) / 2 + 0.5 * (3 + NATS[2]) ** 2),
    ],
)
def test_options_by_hand(options, expected):
    assert numbers(declare("cross_entropy", X, [0, 1], **options)) == pytest.approx(
        [expected], rel=1e-14
    )


def test_smoothing_with_weights_as_pytorch_prints_it():
    given = {"class_weights": [1.0, 2.0, 3.0], "label_smoothing": 0.1, "reduction": "none"}
    assert numbers(declare("cross_entropy", X, [0, 1], **given)) == pytest.approx(
        [2.3817, 2.7485], abs=5e-5
    )


def test_binary_by_hand():
    case = declare("binary_cross_entropy", [1.5], [1.0], pos_weight=3.0, label_smoothing=0.2)
    yes, no = math.log1p(math.exp(-1.5)), math.log1p(math.exp(1.5))
    assert numbers(case) == pytest.approx([(2.7 * yes + 0.1 * no) / 2.8], rel=1e-15)


def test_logsumexp_by_hand():
    case = declare("logsumexp", [[0.0, 1.0], [2.0, 3.0]], axis=None, b=[[1.0, 0.0], [2.0, 0.5]])
    whole = 1 + 2 * math.exp(2) + 0.5 * math.exp(3)
    assert close(numbers(case), [math.log(whole)])
    assert close(
        numbers(case, "gradient by x"),
        [1 / whole, 0.0, 2 * math.exp(2) / whole, 0.5 * math.exp(3) / whole],
    )


# Specials.


@pytest.mark.parametrize(
    ("name", "value", "gradient"),
    [
        ("all ignored, mean", [0.0], [0.0] * 6),
        ("normalizer 0", [0.0], [0.0] * 6),
        ("NaN in an ignored row", [2.40760596], [0.09003057 - 1, 0.24472847, 0.66524096, 0, 0, 0]),
        ("-inf beside the label", [1.31326169], [0.26894142 - 1, 0.73105858, 0.0]),
        ("label on a -inf class", [INF], [0.26894142, 0.73105858, -1.0]),
        ("label on a masked class", [INF], [0.26894142, 0.73105858, 0.0]),
        ("logsumexp of a -inf row", [-INF, 1.81326169], [0.0, 0.0, 0.26894142, 0.73105858]),
        ("softmax of a -inf row", [NAN, NAN, 0.26894142, 0.73105858], [NAN, NAN, 0.0, 0.0]),
        ("softmax with +inf", [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]),
        ("loss with +inf", [0.0, INF], [0.0, 0.0, 0.0, -1.0, 1.0, 0.0]),
        ("loss with two +inf", [NAN], [NAN] * 3),
        ("label 3", [2.40760596, NAN], [0.09003057 - 1, 0.24472847, 0.66524096, NAN, NAN, NAN]),
        ("p(target) = 0", [INF, 0.69314718], [-INF, 0.0, 0.0, -2.0, 0.0, 0.0]),
        ("binary +inf at 1, -inf at 0", [0.0, 0.0], [0.0, 0.0]),
        ("binary -inf at 1", [INF, INF], [-1.0, 1.0]),
        ("rows of mass 1.5 and 0, sum", [2.1114089], [-0.3649541, -0.1329073, 0.4978614, 0, 0, 0]),
    ],
)
def test_policy(name, value, gradient):
    (case,) = (c for c in select("policy") if c.name == name)
    near = {"abs": 1e-7, "nan_ok": True}
    assert numbers(case) == pytest.approx(value, **near)
    assert numbers(case, f"gradient by {case.wrt[0]}") == pytest.approx(gradient, **near)


# Gradients against differences of the oracle's own value.

SMOOTH = [
    "options: *",
    "options together: *float64",
    "options together: everything, soft",
    "other gradients: *",
    "shapes and axes: 2 x 4 x 3*",
    "softmax and kin: log*",
    "softmax and kin: sigmoid, wide, float64",
    "nll_loss: everything",
    "binary: *everything",
    "binary: mean*",
]


def smooth(case):
    return not case.raises and all(map(math.isfinite, case.first.values))


@pytest.mark.parametrize("case", [c for p in SMOOTH for c in select(p) if smooth(c)], ids=identity)
def test_gradients_are_derivatives(case):
    """Every argument's gradient, in the entries of the first few places."""
    gradients = exact(case)
    for name in case.wrt:
        found = gradients[f"gradient by {name}"].numbers
        for place in range(min(len(found), 6)):
            expected = float(difference(case, name, place))
            assert float(found[place].value) == pytest.approx(expected, rel=1e-9, abs=1e-13)


def difference(case, name, place, step=2.0**-16):
    """The fourth-order central difference of the sum of the value, free of rounding."""
    with mp.workdps(digits(case)):
        parts = [
            factor * total_at(case, name, place, k * step)
            for k, factor in ((1, 8), (-1, -8), (2, -1), (-2, 1))
        ]
        return sum(parts) / (12 * mpf(step))


def total_at(case, name, place, move):
    held = case.arrays[name]
    values = tuple(mpf(v) + (move if i == place else 0) for i, v in enumerate(held.values))
    moved = replace(case, arrays=dict(case.arrays) | {name: replace(held, values=values)})
    finite = [n.value for n in definition(moved).value().numbers if mp.isfinite(n.value)]
    return mp.fsum(finite)


# Tolerances.


def test_a_plain_number_is_granted_four_units():
    assert tolerance(Exact(mpf(1.5), mpf(1.5)), "float32") == (4 * 2.0**-23, 2.0**-23)


def test_slack_is_granted_in_epsilons():
    allowed, _ = tolerance(Exact(mpf(1.0), mpf(1.0), mpf(10)), "float64")
    assert allowed == (4 + 10) * 2.0**-52


def test_nothing_is_granted_where_nothing_is_computed():
    assert tolerance(Exact(mpf(0), mpf(0)), "float32")[0] == 0.0


def test_what_is_below_the_normal_range_may_be_flushed():
    allowed, unit = tolerance(Exact(mpf(2) ** -130, mpf(2) ** -130), "float32")
    assert allowed == unit == 2.0**-126


def test_the_budget_of_a_confident_loss_is_the_designs():
    """Four units and the margin: the conditioning of exp."""
    for margin in (5.0, 30.0, 85.0):
        case = declare("cross_entropy", [[margin, 0.0]], [0], reduction="sum")
        (number,) = exact(case)["value"].numbers
        epsilons = number.slack / number.scale
        assert float(epsilons) == pytest.approx(margin, rel=0.01)


def test_sums_are_granted_the_depth_of_a_tree():
    number = total([Exact(mpf(1), mpf(1))] * 16)
    assert (number.value, number.scale, number.slack) == (16, 16, 16 * 4)


def test_soft_targets_are_judged_relative_to_both_terms():
    case = declare("cross_entropy", [[0.0, 0.0]], [[0.5, 0.5]], reduction="sum")
    first, _ = exact(case)["gradient by logits"].numbers
    assert (first.value, first.scale) == (0, 1)


def test_halves_are_given_their_last_rounding():
    held = Tensor("float16", (1,), [Exact(mpf(1), mpf(1))]).encode()
    assert [float.fromhex(v) for v in held["rounding"]] == [2.0**-11]
    wide = Tensor("float32", (1,), [Exact(mpf(1), mpf(1))]).encode()
    assert [float.fromhex(v) for v in wide["rounding"]] == [0.0]


def test_numbers_are_told_to_twice_the_precision():
    with mp.workdps(60):
        third = Tensor("float64", (1,), [Exact(mpf(1) / 3, mpf(1) / 3)])
        held = third.encode()
        whole = mpf(float.fromhex(held["high"][0])) + mpf(float.fromhex(held["low"][0]))
        assert abs(whole - mpf(1) / 3) < mpf(2) ** -105


def test_a_case_that_only_ever_fails_has_no_numbers():
    (case,) = select("errors: temperature 0.0")
    assert answer(case) == {"quantities": None}


def test_labels_of_any_dtype_name_the_same_classes():
    wide = declare("cross_entropy", X, of([0, 1], "uint64"))
    assert numbers(wide) == numbers(declare("cross_entropy", X, [0, 1]))
