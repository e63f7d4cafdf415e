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


@pytest.mark.parametrize("x", [1e-30, 5e-324, -1e-300, 1e300, 0.1])
def test_a_class_that_stands_alone_costs_nothing(x):
    case = declare("score", [[x], [x]], [[0.76], [1.0]], of="lse")
    found = {name: numbers(case, name) for name in ("loss", "log_prob", "entropy")}
    assert found == {"loss": [0.0, 0.0], "log_prob": [0.0, 0.0], "entropy": [0.0, 0.0]}
    assert numbers(case, "lse") == [x, x]
    masked = declare("cross_entropy", [[x, 3.0]], [0], where=[True, False])
    assert numbers(masked) + numbers(masked, "gradient by logits") == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("margin", "flushed"), [(80.0, False), (89.0, True), (200.0, True)])
def test_what_is_made_of_an_exponential_may_be_flushed_with_it(margin, flushed):
    case = declare("entropy", [[margin, 0.0]], dtype="float32")
    (value,), slopes = (exact(case)[n].numbers for n in ("value", "gradient by logits"))
    for number in (value, *slopes):
        assert (tolerance(number, "float32")[0] >= abs(number.value)) == flushed


def test_logits_far_below_1_keep_their_digits():
    case = declare("logsumexp", [[-700.0, 1e-300]])
    assert close(numbers(case), [1e-300 + math.exp(-700)])


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


# The other losses by hand.

P = [math.exp(-nat) for nat in NATS]
T = [0.5, 0.25, 0.25]


def by_hand(function, expected, *rest, **options):
    case = declare(function, X[:1], *rest, **options)
    assert numbers(case) == pytest.approx([expected], rel=1e-14)


def test_entropy_by_hand():
    by_hand("entropy", sum(p * n for p, n in zip(P, NATS, strict=True)))


@pytest.mark.parametrize("margin", [1.0, 30.0, 300.0])
def test_entropy_of_two_classes_has_a_closed_form(margin):
    r = math.exp(-margin)
    case = declare("entropy", [[margin, 0.0]])
    assert close(numbers(case), [math.log1p(r) + margin * r / (1 + r)])


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("probabilities", T),
        ("log_probabilities", [math.log(t) for t in T]),
        ("logits", [math.log(t) + 7.0 for t in T]),
    ],
)
def test_divergence_by_hand(kind, targets):
    expected = sum(t * (math.log(t) + n) for t, n in zip(T, NATS, strict=True))
    by_hand("kl_divergence", expected, [targets], targets_are=kind)


def test_divergence_of_near_distributions_is_half_the_variance_of_their_difference():
    d = 1e-9
    case = declare("kl_divergence", [[0.0, 0.0]], [[d, -d]], targets_are="logits")
    assert numbers(case) == pytest.approx([d * d / 2], rel=1e-12)
    assert numbers(case, "gradient by logits") == pytest.approx([-d / 2, d / 2], rel=1e-12)


@pytest.mark.parametrize(
    ("function", "options", "price"),
    [
        ("focal_loss", {}, lambda p, n: (1 - p) ** 2 * n),
        ("focal_loss", {"gamma": 0.5, "alpha": 0.25}, lambda p, n: 0.25 * (1 - p) ** 0.5 * n),
        ("poly_loss", {}, lambda p, n: n + 2 * (1 - p)),
        ("poly_loss", {"epsilon": -1.0}, lambda p, n: n - (1 - p)),
        ("generalized_cross_entropy", {}, lambda p, _: (1 - p**0.7) / 0.7),
        ("generalized_cross_entropy", {"q": 1.0}, lambda p, _: 1 - p),
    ],
)
def test_bent_losses_by_hand(function, options, price):
    prices = [price(p, n) for p, n in zip(P, NATS, strict=True)]
    by_hand(function, prices[1], [1], **options)
    soft = sum(t * v for t, v in zip(T, prices, strict=True))
    by_hand(function, soft, [T], **options)


def test_alpha_is_no_part_of_the_count():
    case = declare("focal_loss", X, [0, 1], gamma=0.0, alpha=[4.0, 2.0, 0.0])
    assert numbers(case) == pytest.approx([(4 * NATS[0] + 2 * NATS[1]) / 2], rel=1e-14)


def test_focal_of_elements_by_hand():
    p = 1 / (1 + math.exp(-1.5))
    case = declare("focal_loss", [1.5, 1.5], [1.0, 0.0], form="sigmoid", alpha=0.25,
                   reduction="none")  # fmt: skip
    yes, no = 0.25 * (1 - p) ** 2 * -math.log(p), 0.75 * p**2 * -math.log(1 - p)
    assert numbers(case) == pytest.approx([yes, no], rel=1e-14)


def test_score_by_hand():
    case = declare("score", X, [1, -1], ignore_index=-1, class_weights=[1.0, 3.0, 1.0])
    lse = NATS[2] + 3
    entropy = sum(p * n for p, n in zip(P, NATS, strict=True))
    expected = {
        "loss": [3 * NATS[1], 0.0],
        "log_prob": [-NATS[1], 0.0],
        "lse": [lse, 0.0],
        "entropy": [entropy, 0.0],
        "prediction": [2.0, 2.0],
        "correct": [0.0, 0.0],
    }
    for name, numbers_of in expected.items():
        assert numbers(case, name) == pytest.approx(numbers_of, rel=1e-14)


@pytest.mark.parametrize(
    ("name", "value", "gradient"),
    [
        ("entropy: a row of -inf", [NAN, 0.58220311], [NAN, NAN, 0.19661193, -0.19661193]),
        ("entropy: +inf", [0.0], [0.0] * 3),
        ("entropy: two +inf", [NAN], [NAN] * 3),
        ("kl_divergence: identical", [0.0] * 3, [0.0] * 12),
    ],
)
def test_policy_of_entropy_and_divergence(name, value, gradient):
    (case,) = (c for c in select() if identity(c) == name)
    near = {"abs": 1e-7, "nan_ok": True}
    assert numbers(case) == pytest.approx(value, **near)
    assert numbers(case, "gradient by logits") == pytest.approx(gradient, **near)


def test_where_probability_lies_on_no_class_the_loss_is_infinite_but_a_bounded_one():
    (hit,) = select("focal_loss: label on a -inf class")
    assert numbers(hit)[0] == INF
    (bounded,) = select("generalized_cross_entropy: label on a -inf class")
    assert numbers(bounded)[0] == pytest.approx(1 / 0.7)
    (teacher,) = select("kl_divergence: a teacher's mass on -inf")
    assert numbers(teacher) == [INF] * 3


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
    "entropy: temperature*",
    "entropy: mask*",
    "entropy: axis*",
    "entropy: margin 30",
    "kl_divergence: *float64",
    "kl_divergence: *, weights",
    "kl_divergence: *axis 0",
    "kl_divergence: mask, log*",
    "kl_divergence: 1e-03*",
    "focal_loss*: *alpha*",
    "focal_loss*: gamma*",
    "focal_loss*: to *",
    "focal_loss*: pos_weight*",
    "focal_loss*: probabilities*",
    "*_[le]*: *everything, float64",
    "*_[le]*: *soft",
    "*_[le]*: weights*",
    "poly_loss: epsilon*",
    "generalized_cross_entropy: q*",
    "score: everything*",
    "score: soft*",
    "score: axis*",
    "score: to the weights",
]


def smooth(case):
    return not case.raises and all(map(math.isfinite, case.first.values))


CHECKED = {identity(c): c for p in SMOOTH for c in select(p) if smooth(c)}


@pytest.mark.parametrize("case", CHECKED.values(), ids=CHECKED)
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


# Derivatives in a direction against closed forms.


def pair(function, x, *rest, **options):
    """A case of float64 that moves along [1, 0] in its first operand."""
    along = {"x" if function == "logsumexp" else "logits": [[1.0, 0.0]]}
    return declare(function, x, *rest, **options, along=along)


@pytest.mark.parametrize("margin", [0.0, 1.0, 30.0, 300.0])
def test_second_derivatives_of_two_classes_have_a_closed_form(margin):
    p = math.exp(-margin) / (1 + math.exp(-margin))
    case = pair("cross_entropy", [[margin, 0.0]], [0])
    assert close(numbers(case, "jvp"), [-p])
    assert close(numbers(case, "hvp"), [p * (1 - p), -p * (1 - p)])
    logsum = pair("logsumexp", [[margin, 0.0]])
    assert close(numbers(logsum, "jvp"), [1 - p])
    assert close(numbers(logsum, "hvp"), [p * (1 - p), -p * (1 - p)])


def test_directions_in_several_arguments_add_up():
    parts = {"logits": [[1.0, -1.0, 0.5]], "targets": [[0.5, 0.0, 1.0]]}
    found = {
        names: declare("cross_entropy", X[:1], [T], reduction="sum",
                       along={n: parts[n] for n in names})
        for names in (("logits",), ("targets",), ("logits", "targets"))
    }  # fmt: skip
    first, second, both = (numbers(case, "hvp") for case in found.values())
    assert both == pytest.approx([a + b for a, b in zip(first, second, strict=True)], rel=1e-14)
    assert numbers(found["targets",], "jvp") == pytest.approx([0.5 * NATS[0] + NATS[2]], rel=1e-14)


def test_a_derivative_is_judged_relative_to_what_its_directions_add():
    """The two directions cancel: the number is 0, and its yardstick is not."""
    case = declare("cross_entropy", [[0.0, 0.0]], [0], along={"logits": [[1.0, 1.0]]})
    first, second = exact(case)["hvp"].numbers
    assert abs(first.value) < 1e-50
    assert float(first.scale) == pytest.approx(0.5)
    (slope,) = exact(case)["jvp"].numbers
    assert float(slope.scale) == pytest.approx(1.0)
    assert float(second.scale) == pytest.approx(0.5)


def test_the_budget_of_a_confident_derivative_is_the_conditioning_of_exp():
    """Nothing but the margin, and the roundings of the exponential and its factors."""
    for margin in (5.0, 30.0, 80.0):
        (slope,) = exact(pair("cross_entropy", [[margin, 0.0]], [0]))["jvp"].numbers
        epsilons = float(slope.slack / slope.scale)
        assert margin <= epsilons <= margin + 5


def test_softmax_has_no_second_derivative_to_compare():
    case = declare("softmax", [[1.0, 2.0]], along={"x": [[1.0, 0.0]]})
    assert set(exact(case)) == {"value", "gradient by x", "jvp"}


def test_directions_reach_nothing_behind_a_mask():
    case = declare("cross_entropy", X[:1], [0], where=[True, True, False],
                   along={"logits": [[0.0, 0.0, 1.0]]})  # fmt: skip
    assert numbers(case, "jvp") == [0.0]
    assert numbers(case, "hvp") == [0.0] * 3


# Tolerances.


def test_the_budget_of_a_confident_entropy_is_the_designs():
    for margin in (5.0, 30.0, 85.0):
        (number,) = exact(declare("entropy", [[margin, 0.0]]))["value"].numbers
        epsilons = float(number.slack / number.scale)
        assert margin - 1 <= epsilons <= margin + 3


def test_the_budget_of_near_distributions_is_relative_to_their_divergence():
    """Some epsilons of the divergence itself, not of the terms that it is the difference of."""
    case = declare("kl_divergence", [[1.0, 2.0, 3.0]], [[1.0, 2.0 + 1e-6, 3.0 - 1e-6]],
                   targets_are="logits")  # fmt: skip
    (number,) = exact(case)["value"].numbers
    assert number.scale == number.value < 1e-12
    assert float(number.slack / number.scale) < 10
    for entry in exact(case)["gradient by logits"].numbers:
        assert float(entry.scale) == pytest.approx(abs(float(entry.value)), rel=1e-14)


def test_the_budget_of_a_power_grows_with_its_exponent():
    slacks = []
    for gamma in (0.0, 1.0, 5.0):
        (number,) = exact(declare("focal_loss", X[:1], [2], gamma=gamma))["value"].numbers
        slacks.append(float(number.slack / number.scale))
    assert slacks == sorted(slacks)
    assert 5 + 4 <= slacks[2] - slacks[0] <= 5 * 10


@pytest.mark.parametrize("function", ["focal_loss", "poly_loss", "generalized_cross_entropy"])
def test_a_hard_label_is_judged_relative_to_itself(function):
    case = declare(function, [[20.0, 0.0, 0.0]], [0])
    for number in exact(case)["gradient by logits"].numbers:
        assert float(number.scale) == pytest.approx(abs(float(number.value)), rel=1e-14)
        assert number.slack < 200 * number.scale


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
