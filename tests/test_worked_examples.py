"""The small examples that softmax and cross-entropy are taught with, on every backend.

Each expectation is held twice: to the digits that the example prints, and to the value of the
definition, computed here at 40 digits and without the package.
"""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest

import xentropy as xe

mpmath.mp.dps = 40
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}

# array-api-strict is NumPy underneath, and warns of a logarithm of 0 as NumPy does.
QUIET_STRICT = pytest.mark.filterwarnings("ignore:divide by zero encountered in log")

SIX = [
    [3.8538, 2.9746, -0.9948],
    [0.8792, -1.5163, 2.1566],
    [1.6016, 3.3612, 0.7117],
    [-1.3732, 1.2209, 2.6695],
    [-0.4632, 0.0835, -0.5032],
    [1.7197, -0.6195, -0.7914],
]
SIX_LABELS = [0, 1, 0, 2, 2, 0]
SIX_LOSSES = "0.352735 3.938462 1.976967 0.225101 1.345174 0.163465"
FOUR = [[2.0, 1, 0.1, 0.2], [0.5, 2.5, 0.3, 0.1], [0.1, 0.2, 5, 0.1]]
FOUR_BAD = [[-2.0, -1, -0.1, -0.2], *FOUR[1:]]


@pytest.fixture(params=EPS)
def dtype(request):
    return request.param


# --- the definition -----------------------------------------------------------------------


def as_seen(x, dtype):
    """The numbers that are left of a list when it has become an array of the dtype."""
    return np.asarray(x, dtype).astype("float64").tolist()


def true_softmax(row):
    powers = [mpmath.exp(mpmath.mpf(value)) for value in row]
    return [power / mpmath.fsum(powers) for power in powers]


def true_losses(x, labels):
    return [
        float(-mpmath.log(true_softmax(row)[label])) for row, label in zip(x, labels, strict=True)
    ]


def true_gradient(x, labels, divisor=1):
    """(softmax - one-hot) / divisor, subtracted before it is rounded."""
    return [
        [float((p - (j == label)) / divisor) for j, p in enumerate(true_softmax(row))]
        for row, label in zip(x, labels, strict=True)
    ]


def one_hot(labels, classes):
    return np.eye(classes)[labels].tolist()


# --- the two ways of holding a value to an expectation --------------------------------------


def as_float64(values):
    return np.asarray(values, "float64")


def holds(found, true, dtype, units=12):
    """Relative error of at most so many units in the last place, entry by entry."""
    np.testing.assert_allclose(as_float64(found), as_float64(true), rtol=units * EPS[dtype])


def prints(found, digits, dtype):
    """Half a unit of the last digit printed, and the rounding that no dtype can avoid."""
    texts = digits.split()
    found = np.ravel(as_float64(found))
    assert len(texts) == len(found)
    for text, value in zip(texts, found, strict=True):
        half_a_digit = 0.5 * 10.0 ** -len(text.partition(".")[2])
        assert abs(value - float(text)) <= half_a_digit + 8 * EPS[dtype] * abs(value), text


# --- softmax ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "digits"),
    [
        ([2.0, 1.0, 0.1], "0.659001 0.242433 0.098566"),
        ([0.1, 0.9, 3.0], "0.04672966 0.10399876 0.84927158"),
        ([0.1, 0.9, 4.0], "0.019001 0.042288 0.938711"),
        ([0.72, 0.23, 0.05], "0.470736 0.288385 0.240879"),
        ([2.1, 0.5, -1.3], "0.809540 0.163443 0.027017"),
    ],
)
def test_softmax(backend, dtype, x, digits):
    found = backend.numpy(xe.softmax(backend.array(x, dtype=dtype)))
    prints(found, digits, dtype)
    holds(found, [float(p) for p in true_softmax(as_seen(x, dtype))], dtype)


def test_minus_log_of_the_first_softmax_entry(backend, dtype):
    """0.752897 is printed for it, which is the logarithm after rounding 0.470736 to 0.471."""
    x = backend.array([0.72, 0.23, 0.05], dtype=dtype)
    loss = backend.numpy(xe.cross_entropy(x, 0))
    prints(loss, "0.753459", dtype)
    holds(loss, true_losses([as_seen([0.72, 0.23, 0.05], dtype)], [0])[0], dtype)
    holds(loss, -np.log(as_float64(backend.numpy(xe.softmax(x)))[0]), dtype)

    rounded = backend.array([0.471, 0.529], dtype=dtype)
    prints(backend.numpy(xe.cross_entropy(rounded, 0, from_logits=False)), "0.752897", dtype)


# --- probabilities ------------------------------------------------------------------------


def test_one_hot_against_probabilities(backend, dtype):
    p = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]
    targets = backend.array(one_hot([0, 0], 3), dtype=dtype)
    options = {"from_logits": False, "reduction": "none"}
    found, gradient = backend.value_and_grad(
        xe.cross_entropy, backend.array(p, dtype=dtype), targets, **options
    )
    seen = as_seen(p, dtype)
    loss = backend.numpy(xe.cross_entropy(backend.array(p, dtype=dtype), targets, **options))
    prints(loss, "0.356675 2.302585", dtype)
    holds(loss, [float(-mpmath.log(row[0])) for row in seen], dtype)
    holds(np.sum(found), math.fsum(loss), dtype)
    holds(gradient, [[-1 / row[0], 0, 0] for row in seen], dtype)


@pytest.mark.parametrize(
    ("p", "digits"), [([0.8, 0.1, 0.1], "0.0743811838"), ([0.1, 0.8, 0.1], "0.7675283643")]
)
def test_divided_by_the_number_of_entries(backend, dtype, p, digits):
    options = {"from_logits": False, "normalizer": 3}
    loss = backend.numpy(xe.cross_entropy(backend.array([p], dtype=dtype), [0], **options))
    prints(loss, digits, dtype)
    holds(loss, float(-mpmath.log(as_seen(p, dtype)[0]) / 3), dtype)


@QUIET_STRICT
@pytest.mark.parametrize(
    ("p", "digits"),
    [
        (1.0, "0"),
        (0.9, "0.105361"),
        (0.5, "0.693147"),
        (0.1, "2.302585"),
        (0.01, "4.605170"),
        (0.0001, "9.210340"),
    ],
)
def test_minus_log_p(backend, dtype, p, digits):
    x = backend.array([p, 1 - p], dtype=dtype)
    loss = backend.numpy(xe.cross_entropy(x, 0, from_logits=False))
    prints(loss, digits, dtype)
    holds(loss, float(-mpmath.log(as_seen(p, dtype))), dtype)


# --- logits and labels --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "labels", "reduction", "digits", "predictions"),
    [
        ([[2.0, 1.0, 0.1], [0.5, 2.0, 0.3]], [0, 0], "none", "0.417030 1.840616", [0, 1]),
        (
            [[0.1, 0.2, 3.9], [1.2, 0.1, 0.3], [0.3, 2.2, 0.2]],
            [2, 0, 1],
            "mean",
            "0.283422",
            [2, 0, 1],
        ),
        (
            [[0.9, 0.2, 0.1], [0.1, 0.3, 1.5], [1.2, 0.2, 0.5]],
            [2, 0, 1],
            "mean",
            "1.641845",
            [0, 2, 0],
        ),
        (SIX, SIX_LABELS, "none", SIX_LOSSES, [0, 2, 1, 2, 1, 0]),
        (FOUR, [0, 1, 2], "mean", "0.2778693533", [0, 1, 2]),
        (FOUR_BAD, [0, 1, 2], "mean", "1.0379128032", [2, 1, 2]),
    ],
)
def test_logits_and_labels(backend, dtype, x, labels, reduction, digits, predictions):
    logits = backend.array(x, dtype=dtype)
    targets = backend.array(labels, dtype="int64")
    seen, mean = as_seen(x, dtype), reduction == "mean"
    losses = true_losses(seen, labels)

    loss = backend.numpy(xe.cross_entropy(logits, targets, reduction=reduction))
    prints(loss, digits, dtype)
    holds(loss, math.fsum(losses) / len(losses) if mean else losses, dtype)
    assert backend.numpy(logits).argmax(-1).tolist() == predictions

    _, gradient = backend.value_and_grad(xe.cross_entropy, logits, targets, reduction=reduction)
    holds(gradient, true_gradient(seen, labels, len(x) if mean else 1), dtype)


@pytest.mark.parametrize("x", [FOUR, FOUR_BAD])
def test_labels_and_one_hot_are_the_same_loss(backend, dtype, x):
    logits = backend.array(x, dtype=dtype)
    targets = [
        backend.array([0, 1, 2], dtype="int64"),
        backend.array([0, 1, 2], dtype="int32"),
        backend.array(one_hot([0, 1, 2], 4), dtype=dtype),
        backend.array(one_hot([0, 1, 2], 4), dtype="int32"),
        [0, 1, 2],
    ]
    losses = {float(backend.numpy(xe.cross_entropy(logits, each))) for each in targets}
    assert len(losses) == 1


@pytest.mark.parametrize("x", [FOUR, FOUR_BAD])
def test_every_framework_agrees_with_numpy_to_the_last_place(backend, dtype, x):
    found = backend.numpy(xe.cross_entropy(backend.array(x, dtype=dtype), [0, 1, 2]))
    holds(found, xe.cross_entropy(np.asarray(x, dtype), [0, 1, 2]), dtype, units=1)


def test_three_ways_to_one_loss(backend, dtype):
    x = backend.array(SIX, dtype=dtype)
    labels = backend.array(SIX_LABELS, dtype="int64")

    p = backend.numpy(xe.softmax(x, axis=1))
    prints(p[0], "0.702763 0.291727 0.005509", dtype)
    by_softmax = -np.log(as_float64(p)[range(6), SIX_LABELS])
    by_nll = backend.numpy(xe.nll_loss(xe.log_softmax(x, axis=1), labels, reduction="none"))
    by_loss = backend.numpy(xe.cross_entropy(x, labels, reduction="none"))

    for losses in (by_softmax, by_nll, by_loss):
        prints(losses, SIX_LOSSES, dtype)
        holds(losses, true_losses(as_seen(SIX, dtype), SIX_LABELS), dtype)


# --- two classes --------------------------------------------------------------------------


def true_binary(x, target):
    return float(mpmath.log1p(mpmath.exp(-mpmath.mpf(x) if target else mpmath.mpf(x))))


def test_sigmoid_then_binary_cross_entropy_is_the_loss_from_logits(backend, dtype):
    x, targets = zip(*itertools.product([-3.0, -0.5, 0.0, 0.25, 4.0], [0.0, 1.0]), strict=True)
    logits, labels = backend.array(x, dtype=dtype), backend.array(targets, dtype=dtype)
    true = [true_binary(*pair) for pair in zip(x, targets, strict=True)]

    from_logits = xe.binary_cross_entropy(logits, labels, reduction="none")
    holds(backend.numpy(from_logits), true, dtype)

    options = {"from_logits": False, "reduction": "none"}
    by_hand = xe.binary_cross_entropy(xe.sigmoid(logits), labels, **options)
    # 1 - p is rounded, which costs its own relative error where p is close to 1.
    holds(backend.numpy(by_hand), true, dtype, units=100)


def test_binary_cross_entropy_of_huge_logits(backend, dtype):
    x = backend.array([1000.0, 1000.0, -1000.0, -1000.0], dtype=dtype)
    targets = backend.array([1.0, 0.0, 1.0, 0.0], dtype=dtype)
    loss = backend.numpy(xe.binary_cross_entropy(x, targets, reduction="none"))
    assert loss.tolist() == [0, 1000, 1000, 0]
    _, gradient = backend.value_and_grad(xe.binary_cross_entropy, x, targets, reduction="sum")
    assert gradient.tolist() == [0, 1, -1, 0]


# --- what goes wrong by hand --------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_exp_without_subtracting_the_maximum(backend, dtype):
    x = np.array([1000.0, 999.0, 0.0], dtype)
    assert np.isnan((np.exp(x) / np.exp(x).sum())[0])
    found = backend.numpy(xe.softmax(backend.array(x, dtype=dtype)))
    holds(found, [float(p) for p in true_softmax(x.tolist())], dtype)
    prints(found, "0.731059 0.268941 0.000000", dtype)


def test_a_constant_inside_the_logarithm_biases_the_loss(backend, dtype):
    row = [0.0, 30.0]
    p = np.asarray([float(p) for p in true_softmax(row)])
    by_hand = -np.log(p[0] + 1e-12)
    x, label = backend.array([row], dtype=dtype), backend.array([0], dtype="int64")
    loss, gradient = backend.value_and_grad(xe.cross_entropy, x, label)
    assert loss - by_hand > 2
    holds(loss, true_losses([row], [0])[0], dtype)
    holds(gradient, true_gradient([row], [0]), dtype)


def test_clipping_kills_the_gradient(backend, dtype):
    """Below the clip the loss by hand is flat; a gradient is what such a row needs most."""
    low, high = [0.0, 40.0], [0.0, 41.0]

    def clipped(row):
        return -np.log(np.clip(float(true_softmax(row)[0]), 1e-15, 1))

    assert clipped(low) == clipped(high)
    losses = []
    for row in (low, high):
        x, label = backend.array([row], dtype=dtype), backend.array([0], dtype="int64")
        loss, gradient = backend.value_and_grad(xe.cross_entropy, x, label)
        losses.append(float(loss))
        holds(gradient, true_gradient([row], [0]), dtype)
    assert losses == [40, 41]


@QUIET_STRICT
def test_probabilities_are_neither_clipped_nor_biased(backend, dtype):
    x = backend.array([[1e-20, 1.0], [0.0, 1.0]], dtype=dtype)
    losses = backend.numpy(xe.cross_entropy(x, [0, 0], from_logits=False, reduction="none"))
    holds(losses[0], float(-mpmath.log(as_seen(1e-20, dtype))), dtype)
    assert losses[1] == np.inf


def test_a_softmax_before_a_loss_that_has_its_own(backend, dtype):
    x = backend.array(SIX, dtype=dtype)
    true = math.fsum(true_losses(as_seen(SIX, dtype), SIX_LABELS)) / 6
    twice = float(backend.numpy(xe.cross_entropy(xe.softmax(x), SIX_LABELS)))
    assert abs(twice - true) > 0.3
    told = xe.cross_entropy(xe.softmax(x), SIX_LABELS, from_logits=False)
    holds(backend.numpy(told), true, dtype)


def test_labels_that_came_as_floats_are_refused(backend, dtype):
    x = backend.array(SIX, dtype=dtype)
    labels = backend.array(SIX_LABELS, dtype=dtype)
    with pytest.raises(TypeError, match=dtype):
        xe.cross_entropy(x, labels)


def test_one_hot_of_the_wrong_width_is_refused_with_both_shapes(backend, dtype):
    x = backend.array(SIX, dtype=dtype)
    wide = backend.array(one_hot(SIX_LABELS, 4), dtype=dtype)
    with pytest.raises(ValueError, match=r"\(6, 3\)") as caught:
        xe.cross_entropy(x, wide)
    assert "(6, 4)" in str(caught.value)


# --- PyTorch's modules --------------------------------------------------------------------


def make_net(torch, outputs):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(28 * 28, 5), torch.nn.ReLU(), torch.nn.Linear(5, outputs)]
    return torch.nn.Sequential(torch.nn.Flatten(), *layers)


def descend(torch, net, loss, images, targets, steps=40):
    """Return the loss before every step of a plain gradient descent."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(net(images), targets)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.needs("torch")
def test_a_net_of_three_classes_trains_as_with_torch():
    import torch

    images = torch.rand(24, 28, 28, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(24) % 3
    net = make_net(torch, 3)
    losses = descend(torch, net, xe.cross_entropy, images, labels)
    theirs = descend(torch, make_net(torch, 3), torch.nn.CrossEntropyLoss(), images, labels)
    np.testing.assert_allclose(losses, theirs, rtol=1e-4)
    assert losses[-1] < 0.9 * losses[0]

    scores = net(images)
    chosen = scores.argmax(1)
    assert torch.equal(chosen, xe.softmax(scores, axis=1).argmax(1))
    assert (chosen == labels).float().mean() > 0.5


@pytest.mark.needs("torch")
def test_a_net_of_two_classes_trains_as_with_torch():
    import torch

    images = torch.rand(24, 28, 28, generator=torch.Generator().manual_seed(1))
    labels = (torch.arange(24) % 2).float()[:, None]

    def by_hand(x, targets):
        return torch.nn.BCELoss()(torch.sigmoid(x), targets)

    runs = [
        descend(torch, make_net(torch, 1), loss, images, labels)
        for loss in (xe.binary_cross_entropy, torch.nn.BCEWithLogitsLoss(), by_hand)
    ]
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-4)
    np.testing.assert_allclose(runs[0], runs[2], rtol=1e-4)
    assert runs[0][-1] < 0.9 * runs[0][0]


# --- Keras --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras():
    """Keras as TensorFlow brings it along."""
    module = pytest.importorskip("keras", reason="Keras is not installed")
    if module.backend.backend() != "tensorflow":
        pytest.skip("KERAS_BACKEND chose another framework than TensorFlow")
    return module


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("x", [FOUR, FOUR_BAD])
def test_keras_from_logits(keras, x):
    logits = keras.ops.convert_to_tensor(np.asarray(x, "float32"))
    hot = keras.ops.convert_to_tensor(np.asarray(one_hot([0, 1, 2], 4), "float32"))
    labels = keras.ops.convert_to_tensor(np.asarray([0, 1, 2]))
    dense = keras.losses.CategoricalCrossentropy(from_logits=True)(hot, logits)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    for targets, theirs in ((hot, dense), (labels, sparse)):
        ours = xe.cross_entropy(logits, targets)
        holds(np.asarray(ours, "float64"), np.asarray(theirs, "float64"), "float32", units=2)


@pytest.mark.needs("tensorflow")
def test_keras_binary_from_logits(keras):
    logits = keras.ops.convert_to_tensor(np.linspace(-5, 5, 11, dtype="float32"))
    targets = keras.ops.convert_to_tensor(np.arange(11, dtype="float32") % 2)
    theirs = keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits)
    ours = xe.binary_cross_entropy(logits, targets)
    holds(np.asarray(ours, "float64"), np.asarray(theirs, "float64"), "float32", units=4)
