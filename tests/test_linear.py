"""The losses of a linear head, on every backend, against the definition in float64 NumPy."""

import numpy as np
import oracle
import pytest

import xentropy as xe

ROWS, WIDTH, CLASSES = 7, 3, 5
DRAW = np.random.default_rng(61)
HIDDEN = DRAW.normal(size=(ROWS, WIDTH))
WEIGHT = DRAW.normal(size=(CLASSES, WIDTH))
BIAS = DRAW.normal(size=CLASSES)
LABELS = np.array([0, 4, 2, 1, 3, 2, 0])
SOFT = DRAW.uniform(0.1, 1.0, size=(ROWS, CLASSES))
CLASS_WEIGHTS = DRAW.uniform(0.5, 2.0, size=CLASSES)
SAMPLE_WEIGHTS = np.array([1.0, 0.5, 2.0, 0.25, 1.5, 1.0, 0.75])
MASK = np.array([True, True, True, True, False])
OPEN = np.array([0, 3, 2, 1, 3, 2, 0])

#: Logits of a tile; the small ones cut soft targets by rows, and labels, of few rows, by classes.
TILES = (None, 10, 1)
OPTIONS = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "valid": {"normalizer": "valid"},
    "batch": {"normalizer": "batch"},
    "number": {"normalizer": 3.0},
    "smoothed": {"label_smoothing": 0.2},
    "cold": {"temperature": 0.5},
    "capped": {"softcap": 2.0},
    "z_loss": {"z_loss": 0.25},
    "together": {
        "label_smoothing": 0.2,
        "temperature": 0.5,
        "softcap": 2.0,
        "z_loss": 0.25,
    },
}


def loss(hidden, weight, targets, bias, class_weights, sample_weights, **options):
    """All arrays by position, as the harness passes them."""
    given = {"bias": bias, "class_weights": class_weights, "sample_weights": sample_weights}
    return xe.linear_cross_entropy(hidden, weight, targets, **given, **options)


def defined(hidden, weight, targets, bias, class_weights, sample_weights, **options):
    """The same from materialised logits, by the definition."""
    given = {"class_weights": class_weights, "sample_weights": sample_weights}
    return oracle.cross_entropy(hidden @ weight.T + bias, targets, **given, **options)


def leaves(targets):
    return [HIDDEN, WEIGHT, targets, BIAS, CLASS_WEIGHTS, SAMPLE_WEIGHTS]


def tensors(framework, arrays):
    floating = [framework.array(a, "float64") if a.dtype.kind == "f" else a for a in arrays]
    return [framework.array(a, "int64") if isinstance(a, np.ndarray) and a.dtype.kind == "i" else a
            for a in floating]  # fmt: skip


def by_definition(arrays, i, options):
    def moved(x):
        return defined(*arrays[:i], x, *arrays[i + 1 :], **options)

    return oracle.gradient(moved, arrays[i])


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("targets", [LABELS, SOFT], ids=["labels", "soft"])
def test_value_and_every_gradient(framework, targets, name, tile):
    arrays, options = leaves(targets), OPTIONS[name]
    wrt = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    call = xe.value_and_grad(xe.linear_cross_entropy, wrt=named(wrt))
    with xe.options(block_size=tile):
        given = tensors(framework, arrays)
        value, grads = call(*given[:3], **dict(zip(LATER, given[3:], strict=True)), **options)
    np.testing.assert_allclose(framework.numpy(value), defined(*arrays, **options), rtol=1e-12)
    for i, grad in zip(wrt, grads, strict=True):
        expected = by_definition(arrays, i, options)
        np.testing.assert_allclose(framework.numpy(grad), expected, rtol=1e-8, atol=1e-9)


LATER = ("bias", "class_weights", "sample_weights")


def named(wrt):
    every = ("hidden", "weight", "targets", *LATER)
    return tuple(every[i] for i in wrt)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("targets", [LABELS, SOFT], ids=["labels", "soft"])
def test_autograd_of_the_framework(framework, targets, tile):
    if not framework.autograd:
        pytest.skip("its gradients are value_and_grad's")
    arrays = leaves(targets)
    wrt = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    with xe.options(block_size=tile):
        value, grads = framework.value_and_grads(loss, *tensors(framework, arrays), wrt=wrt)
    np.testing.assert_allclose(framework.numpy(value), defined(*arrays), rtol=1e-12)
    for i, grad in zip(wrt, grads, strict=True):
        expected = by_definition(arrays, i, {})
        np.testing.assert_allclose(framework.numpy(grad), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("tile", TILES)
def test_masked_classes(framework, tile):
    with xe.options(block_size=tile):
        hidden, weight, labels = tensors(framework, [HIDDEN, WEIGHT, OPEN])
        where = framework.array(MASK, "bool")
        value = xe.linear_cross_entropy(hidden, weight, labels, where=where)
    expected = oracle.cross_entropy(HIDDEN @ WEIGHT.T, OPEN, where=MASK)
    np.testing.assert_allclose(framework.numpy(value), expected, rtol=1e-12)


@pytest.mark.parametrize("tile", TILES)
def test_an_ignored_row_may_hold_anything(framework, tile):
    dirty, labels = HIDDEN.copy(), LABELS.copy()
    dirty[2], labels[2] = np.nan, -1
    kept = [i for i in range(ROWS) if i != 2]
    call = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight"))
    with xe.options(block_size=tile):
        given = tensors(framework, [dirty, WEIGHT, labels])
        value, (by_hidden, by_weight) = call(*given, ignore_index=-1)
    clean = (HIDDEN[kept], LABELS[kept])
    expected = oracle.gradient(lambda w: oracle.cross_entropy(clean[0] @ w.T, clean[1]), WEIGHT)
    value_ = oracle.cross_entropy(clean[0] @ WEIGHT.T, clean[1])
    np.testing.assert_allclose(framework.numpy(value), value_, rtol=1e-12)
    np.testing.assert_allclose(framework.numpy(by_weight), expected, rtol=1e-8, atol=1e-9)
    assert not framework.numpy(by_hidden)[2].any()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_no_rows(framework, reduction):
    call = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight"))
    given = tensors(framework, [HIDDEN[:0], WEIGHT, LABELS[:0]])
    value, (by_hidden, by_weight) = call(*given, reduction=reduction)
    assert float(framework.numpy(value)) == 0.0
    assert framework.numpy(by_hidden).shape == (0, WIDTH)
    assert not framework.numpy(by_weight).any()


def test_one_class(framework):
    given = tensors(framework, [HIDDEN, WEIGHT[:1], np.zeros(ROWS, int)])
    assert float(framework.numpy(xe.linear_cross_entropy(*given))) == 0.0


@pytest.mark.parametrize("tile", TILES)
def test_score_of_every_row(framework, tile):
    with xe.options(block_size=tile):
        hidden, weight, labels, bias = tensors(framework, [HIDDEN, WEIGHT, LABELS, BIAS])
        found = xe.linear_score(hidden, weight, labels, bias=bias)
    log_p, lse = oracle.log_probabilities(HIDDEN @ WEIGHT.T + BIAS, -1, "logits", None, 1.0, None)
    own = log_p[np.arange(ROWS), LABELS]
    expected = {"loss": -own, "log_prob": own, "lse": lse}
    expected["entropy"] = -(np.exp(log_p) * log_p).sum(-1)
    for name, numbers in expected.items():
        np.testing.assert_allclose(framework.numpy(getattr(found, name)), numbers, rtol=1e-12)
    top = log_p.argmax(-1)
    np.testing.assert_array_equal(framework.numpy(found.prediction), top)
    np.testing.assert_array_equal(framework.numpy(found.correct), top == LABELS)


def test_leading_dimensions(framework):
    hidden = np.stack([HIDDEN, HIDDEN[::-1]])
    labels = np.stack([LABELS, LABELS[::-1]])
    given = tensors(framework, [hidden, WEIGHT, labels])
    value = xe.linear_cross_entropy(*given, reduction="none")
    expected = oracle.cross_entropy(hidden @ WEIGHT.T, labels, reduction="none")
    np.testing.assert_allclose(framework.numpy(value), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (((2, 3), (5, 4), (2,), (5,)), (r"weight", r"\(5, 4\)", r"\(2, 3\)")),
        (((2, 3), (5,), (2,), (5,)), (r"weight", r"\(5,\)", r"\(2, 3\)")),
        (((2, 3), (5, 3), (3,), (5,)), (r"targets", r"\(3,\)", r"\(2, 5\)")),
        (((2, 3), (5, 3), (2,), (4,)), (r"bias", r"\(4,\)")),
    ],
)
def test_shapes_that_do_not_fit(framework, shapes, says):
    hidden, weight, labels, bias = (np.zeros(shape) for shape in shapes)
    given = tensors(framework, [hidden, weight, labels.astype(int), bias])
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at below
        xe.linear_cross_entropy(*given[:3], bias=given[3])
    for text in says:
        assert caught.match(text)


@pytest.mark.parametrize("name", ["hidden", "weight", "bias"])
@pytest.mark.parametrize("function", [xe.linear_cross_entropy, xe.linear_score])
def test_arrays_that_are_not_floating(framework, function, name):
    given = {"hidden": HIDDEN, "weight": WEIGHT, "bias": BIAS}
    arrays = {k: framework.array(v, "int32" if k == name else "float32") for k, v in given.items()}
    labels = framework.array(LABELS, "int64")
    with pytest.raises(TypeError, match=f"{name} must be real floating, got dtype .*int32"):
        function(arrays["hidden"], arrays["weight"], labels, bias=arrays["bias"])


def test_arrays_of_two_frameworks(framework):
    if framework.name == "numpy":
        pytest.skip("needs an array of another framework than NumPy")
    hidden, labels = tensors(framework, [HIDDEN, LABELS])
    with pytest.raises(TypeError, match="weight is an array of numpy, but hidden is one of"):
        xe.linear_cross_entropy(hidden, WEIGHT, labels)
    with pytest.raises(TypeError, match="unexpected keyword argument 'reduction'"):
        xe.linear_score(*tensors(framework, [HIDDEN, WEIGHT, LABELS]), reduction="sum")


def test_labels_that_are_no_class(framework):
    labels = LABELS.copy()
    labels[3] = CLASSES
    given = tensors(framework, [HIDDEN, WEIGHT, labels])
    if framework.name == "strict":
        assert np.isnan(framework.numpy(xe.linear_cross_entropy(*given)))
        return
    with pytest.raises(IndexError, match=rf"targets\[3\] is {CLASSES}, but a label must be in"):
        xe.linear_cross_entropy(*given)
