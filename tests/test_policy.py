"""Every row of the policy: one answer on every backend, eager and compiled."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from harness import Framework

import xentropy as xe

INF, NAN = float("inf"), float("nan")
X = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
# -log softmax([1, 2, 3]) in float64, computed here and not by the package.
LOSSES = np.log(np.exp([1.0, 2.0, 3.0]).sum()) - np.array([1.0, 2.0, 3.0])
P = np.exp(-LOSSES)


class Run:
    """A framework in one mode, with results as NumPy."""

    def __init__(self, framework: Framework, mode: str) -> None:
        self.framework, self.mode = framework, mode

    def loss(self, x: Any, t: Any, *, dtype: str = "float32", **options: Any) -> tuple[Any, Any]:
        """Value and gradient of cross_entropy; targets are labels unless they are floats."""
        t = np.asarray(t)
        kind = "float32" if t.dtype.kind == "f" else "int64"
        return self.grad(xe.cross_entropy, x, self.framework.array(t, kind), dtype=dtype, **options)

    def grad(self, function: Any, x: Any, *args: Any, dtype: str = "float32", **o: Any) -> Any:
        x = self.framework.array(x, dtype)
        return self.framework.value_and_grad(function, x, *args, mode=self.mode, **o)

    def call(self, function: Any, x: Any, **options: Any) -> np.ndarray:
        x = self.framework.array(x)
        result = self.framework.call(function, x, mode=self.mode, **options)
        return self.framework.numpy(result)

    def array(self, values: Any, dtype: str = "float32") -> Any:
        return self.framework.array(values, dtype)


@pytest.fixture
def run(framework: Framework, mode: str) -> Run:
    return Run(framework, mode)


def same(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=0)


# Every row ignored, weights that sum to 0, no rows.


@pytest.mark.parametrize("normalizer", ["weights", "valid", "batch"])
def test_all_ignored_is_zero(run: Run, normalizer: str) -> None:
    value, grad = run.loss(X, [-100, -100], ignore_index=-100, normalizer=normalizer)
    same(value, 0.0)
    same(grad, np.zeros((2, 3)))


def test_weights_that_sum_to_zero(run: Run) -> None:
    weights = run.array([0.0, 0.0, 1.0])
    value, grad = run.loss(X, [0, 1], class_weights=weights)
    same(value, 0.0)
    same(grad, np.zeros((2, 3)))
    value, grad = run.loss(X, [0, 1], sample_weights=run.array([0.0, 0.0]))
    same(value, 0.0)
    same(grad, np.zeros((2, 3)))


def test_a_mean_over_nothing_of_nan(run: Run) -> None:
    # Of an array only what can be looked at is known.
    seen = run.mode == "eager" and run.framework.name != "strict"
    for divisor in [0, run.array(0.0)] if seen else [0]:
        value, grad = run.loss([[NAN, 2.0, 3.0], [INF, INF, 1.0]], [0, 1], normalizer=divisor)
        same(value, 0.0)
        same(grad, np.zeros((2, 3)))


def test_no_rows(run: Run) -> None:
    for reduction, shape in (("mean", ()), ("sum", ()), ("none", (0,))):
        value, grad = run.loss(np.zeros((0, 3)), np.zeros(0, np.int64), reduction=reduction)
        same(value, np.zeros(shape))
        assert value.shape == shape
        assert grad.shape == (0, 3)


@pytest.mark.backends("torch")
def test_all_ignored_is_connected_to_the_graph(framework: Framework) -> None:
    x = framework.array(X).requires_grad_()
    xe.cross_entropy(x, framework.array([-1, -1], "int64"), ignore_index=-1).backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


# Labels out of range.


@pytest.mark.parametrize("label", [3, -1, -100, 7])
def test_a_label_out_of_range(run: Run, label: int) -> None:
    looks = run.mode == "eager" and run.framework.name != "strict"
    if looks:
        with pytest.raises(IndexError, match=rf"targets\[1\] is {label}.* 0\.\.2 .*3 classes"):
            run.loss(X, [0, label])
        return
    value, grad = run.loss(X, [0, label], reduction="none")
    same(value, [LOSSES[0], NAN])
    same(grad, [P - [1, 0, 0], [NAN] * 3])


def test_a_label_out_of_range_of_given_probabilities(run: Run) -> None:
    if run.mode == "eager" and run.framework.name != "strict":
        pytest.skip("labels are looked at")
    labels = run.array([0, 3], "int64")
    log_p, p = -LOSSES, P
    for function, x, more, slope in (
        (xe.nll_loss, log_p, {}, -1.0),
        (xe.cross_entropy, p, {"from_logits": False}, -1 / p[0]),
    ):
        twice = np.stack([x, x])
        value, grad = run.grad(function, twice, labels, reduction="none", **more)
        same(value, [LOSSES[0], NAN])
        same(grad, [[slope, 0.0, 0.0], [NAN] * 3])


def test_a_binary_label_out_of_range(run: Run) -> None:
    if run.mode == "eager" and run.framework.name != "strict":
        pytest.skip("labels are looked at")
    labels = run.array([1, 2, -1], "int64")
    value, grad = run.grad(xe.binary_cross_entropy, [0.0] * 3, labels, reduction="none")
    same(value, [np.log(2), NAN, NAN])
    same(grad, [-0.5, NAN, NAN])


@pytest.mark.parametrize(("label", "dtype"), [(2**64 - 100, "uint64"), (2**32 - 1, "uint32")])
def test_a_huge_unsigned_label_does_not_wrap(framework: Framework, label: int, dtype: str) -> None:
    labels = framework.array(np.array([0, label], dtype), dtype)
    if framework.name == "strict":
        value = xe.cross_entropy(framework.array(X), labels, ignore_index=-100, reduction="none")
        assert np.isnan(framework.numpy(value)[1])
        return
    with pytest.raises(IndexError, match=str(label)):
        xe.cross_entropy(framework.array(X), labels, ignore_index=-100)


@pytest.mark.parametrize(
    ("labels", "ignore_index", "place"),
    [
        ([-100, 0, 2, -100], -100, None),
        ([5, 0, 2, 5], 5, None),
        ([1, 0, 2, 1], 1, None),
        ([-100, 0, 3, 1], -100, 2),
        ([-100, -1, 3, 1], -100, 1),
        ([0, 5, 4, 3], 5, 2),
        ([5, -1, 0, 0], 5, 1),
        ([1, 0, -1, 0], 1, 2),
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "int64"])
def test_a_label_out_of_range_beside_ignored_ones(
    framework: Framework, labels: list[int], ignore_index: int, place: int | None, dtype: str
) -> None:
    x, given = framework.array(np.stack([X[0]] * 4)), framework.array(labels, dtype)
    rows = functools.partial(xe.cross_entropy, x, ignore_index=ignore_index, reduction="none")
    if place is not None and framework.name != "strict":
        with pytest.raises(IndexError, match=rf"targets\[{place}\] is {labels[place]},"):
            rows(given)
        return
    bad = [label != ignore_index and not 0 <= label < 3 for label in labels]
    losses = [0.0 if label == ignore_index else LOSSES[label % 3] for label in labels]
    same(framework.numpy(rows(given)), np.where(bad, NAN, losses))


def test_no_labels_at_all(framework: Framework) -> None:
    x, none = framework.array(np.zeros((0, 3))), framework.array(np.zeros(0), "int64")
    assert float(framework.numpy(xe.cross_entropy(x, none))) == 0.0


# Ignored rows that hold anything.


@pytest.mark.parametrize("filler", [NAN, INF, -INF])
def test_an_ignored_row_contributes_nothing(run: Run, filler: float) -> None:
    x = [X[0], [filler] * 3]
    for options in (
        {"ignore_index": -1},
        {"ignore_index": -1, "label_smoothing": 0.1},
        {"ignore_index": -1, "z_loss": 0.1, "reduction": "sum"},
        {"ignore_index": -1, "softcap": 2.0, "temperature": 0.5},
    ):
        value, grad = run.loss(x, [0, -1], **options)
        alone, alone_grad = run.loss([X[0]], [0], **options)
        same(value, alone)
        same(grad, [alone_grad[0], np.zeros(3)])
    value, grad = run.loss(x, [0, 1], sample_weights=run.array([1.0, 0.0]))
    same(value, LOSSES[0])
    same(grad, [P - [1, 0, 0], np.zeros(3)])


# 0 * inf.


def test_one_hot_times_minus_infinity(run: Run) -> None:
    row = [[1.0, 2.0, -INF]]
    two = np.log(np.exp([1.0, 2.0]).sum()) - 1.0
    p = np.append(np.exp(1 - np.array([1.0, 0.0])) / (1 + np.e), 0.0)
    p = np.array([1 / (1 + np.e), np.e / (1 + np.e), 0.0])
    for t in ([0], [[1.0, 0.0, 0.0]]):
        value, grad = run.loss(row, t)
        same(value, two)
        same(grad, [p - [1, 0, 0]])


def test_smoothing_of_a_masked_class(run: Run) -> None:
    row, mask = [[1.0, 2.0, NAN]], run.array([True, True, False], "bool")
    value, grad = run.loss(row, [0], where=mask, label_smoothing=0.2)
    alone, alone_grad = run.loss([[1.0, 2.0]], [0], label_smoothing=0.2)
    same(value, alone)
    same(grad, [[*alone_grad[0], 0.0]])


def test_a_target_on_a_class_that_is_out(run: Run) -> None:
    value, _ = run.loss([[1.0, 2.0, -INF]], [2])
    same(value, INF)
    mask = run.array([True, True, False], "bool")
    value, _ = run.loss([X[0]], [2], where=mask)
    same(value, INF)
    value, _ = run.loss([X[0]], [[0.5, 0.0, 0.5]], where=mask)
    same(value, INF)


# Rows of infinities.


def test_a_row_of_minus_infinity(run: Run) -> None:
    row = [-INF] * 3
    value, grad = run.grad(xe.logsumexp, row)
    same(value, -INF)
    same(grad, np.zeros(3))
    same(run.call(xe.softmax, row), [NAN] * 3)
    same(run.call(xe.log_softmax, row), [NAN] * 3)
    value, _ = run.loss([row, X[0]], [0, 0], reduction="none")
    same(value, [NAN, LOSSES[0]])
    value, grad = run.loss([row, X[0]], [-1, 0], reduction="none", ignore_index=-1)
    same(value, [0.0, LOSSES[0]])
    same(grad, [np.zeros(3), P - [1, 0, 0]])


def test_one_plus_infinity(run: Run) -> None:
    row = [1.0, INF, 2.0]
    same(run.call(xe.softmax, row), [0.0, 1.0, 0.0])
    same(run.call(xe.log_softmax, row), [-INF, 0.0, -INF])
    same(run.call(xe.logsumexp, row), INF)
    value, grad = run.loss([row] * 3, [0, 1, 2], reduction="none")
    same(value, [INF, 0.0, INF])
    same(grad[1], [0.0, 0.0, 0.0])


def test_two_plus_infinities(run: Run) -> None:
    row = [INF, INF, 2.0]
    same(run.call(xe.softmax, row), [NAN] * 3)
    value, _ = run.loss([row] * 3, [0, 1, 2], reduction="none")
    same(value, [NAN] * 3)


def test_nan_stays_nan(run: Run) -> None:
    row = [1.0, NAN, 2.0]
    for function in (xe.softmax, xe.log_softmax):
        same(run.call(function, row), [NAN] * 3)
    same(run.call(xe.logsumexp, row), NAN)
    value, grad = run.loss([row], [0])
    same(value, NAN)
    same(grad, [[NAN] * 3])


def test_binary_infinities(run: Run) -> None:
    x, t = [INF, -INF, INF, -INF, NAN], run.array([1, 0, 0, 1, 1], "int64")
    value, grad = run.grad(xe.binary_cross_entropy, x, t, reduction="none")
    same(value, [0.0, 0.0, INF, INF, NAN])
    same(grad, [0.0, 0.0, 1.0, -1.0, NAN])
    same(run.call(xe.sigmoid, x), [1.0, 0.0, 1.0, 0.0, NAN])
    same(run.call(xe.log_sigmoid, x), [0.0, -INF, 0.0, -INF, NAN])


def test_a_binary_element_of_weight_zero_contributes_nothing(run: Run) -> None:
    weights = run.array([1.0, 0.0])
    for filler in (NAN, INF):
        value, grad = run.grad(
            xe.binary_cross_entropy, [0.0, filler], run.array([1.0, 0.0]), sample_weights=weights
        )
        same(value, np.log(2.0))
        same(grad, [-0.5, 0.0])


# Soft targets.


def test_soft_targets_are_taken_as_they_are(run: Run) -> None:
    t = np.float32([[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]])
    value, grad = run.loss(X, t, reduction="none")
    same(value, [0.5 * LOSSES.sum(), 0.0])
    same(grad[1], np.zeros(3))
    np.testing.assert_allclose(grad[0], 1.5 * P - 0.5, rtol=2e-6)


def test_the_gradient_by_soft_targets(run: Run) -> None:
    t = run.array([[0.2, 0.3, 0.5], [0.0, 0.0, 0.0]])
    _, (grad,) = run.framework.value_and_grads(
        xe.cross_entropy, run.array(X), t, wrt=(1,), mode=run.mode, reduction="sum"
    )
    same(run.framework.numpy(grad), [LOSSES, LOSSES])


# Dtypes.


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_dtypes(framework: Framework, mode: str, dtype: str, reduction: str) -> None:
    if dtype not in framework.floats:
        pytest.skip(f"{framework.name} has no {dtype}")
    x = framework.array(X, dtype)
    labels = framework.array([0, 1], "int64")
    value, (grad,) = framework.value_and_grads(
        xe.cross_entropy, x, labels, mode=mode, reduction=reduction
    )
    assert framework.dtype(value) == ("float64" if dtype == "float64" else "float32")
    assert framework.dtype(grad) == dtype
    for function in (xe.softmax, xe.log_softmax, xe.sigmoid, xe.log_sigmoid):
        assert framework.dtype(framework.call(function, x, mode=mode)) == dtype


def test_large_labels_beside_half_logits(framework: Framework, mode: str) -> None:
    """257 is no bfloat16 and 2049 no float16: a label that is cast moves to its neighbour."""
    for label, dtype in ((257, "bfloat16"), (2049, "float16")):
        if dtype not in framework.floats:
            continue
        row = np.zeros(2100)
        row[label] = 10.0
        value = framework.call(
            xe.cross_entropy,
            framework.array(row, dtype),
            framework.array(label, "int64"),
            mode=mode,
        )
        same(framework.numpy(value), np.log1p(2099 * np.exp(-10.0)))


# Probabilities.


def test_probabilities_are_not_clipped(run: Run) -> None:
    p = [[0.0, 1.0], [1e-20, 1.0], [0.4, 1.6]]
    value, grad = run.loss(p, [0, 0, 0], from_logits=False, reduction="none")
    same(value, [INF, -np.log(1e-20), -np.log(0.4)])
    same(grad[1:], [[-1e20, 0.0], [-2.5, 0.0]])
    value, grad = run.loss(p, [[0.0, 1.0]] * 3, from_logits=False, reduction="none")
    same(value, [0.0, 0.0, -np.log(1.6)])
    same(grad[0], [0.0, -1.0])


def test_log_probabilities_of_minus_infinity(run: Run) -> None:
    t = run.array([[1.0, 0.0], [0.0, 1.0]])
    value, grad = run.grad(xe.nll_loss, [[-0.5, -INF]] * 2, t, reduction="none")
    same(value, [0.5, INF])
    same(grad, [[-1.0, 0.0], [0.0, -1.0]])


def test_determinism(run: Run) -> None:
    x = np.random.default_rng(0).standard_normal((64, 100))
    labels = np.arange(64) % 100
    first, again = run.loss(x, labels), run.loss(x, labels)
    assert first[0] == again[0]
    assert (first[1] == again[1]).all()


# The maps beside the losses.


def test_masks_of_the_maps(run: Run) -> None:
    mask = run.array([True, False, True], "bool")
    row = [1.0, NAN, 3.0]
    e = np.exp([1.0, 3.0])
    same(run.call(xe.softmax, row, where=mask), [e[0] / e.sum(), 0.0, e[1] / e.sum()])
    same(run.call(xe.log_softmax, row, where=mask)[[0, 2]], np.log(e / e.sum()))
    assert run.call(xe.log_softmax, row, where=mask)[1] == -INF
    same(run.call(xe.logsumexp, row, where=mask), np.log(e.sum()))
    _, grad = run.grad(xe.logsumexp, row, where=mask)
    same(grad, [e[0] / e.sum(), 0.0, e[1] / e.sum()])


@pytest.mark.parametrize("axis", [None, 0, (0, 2), (-1,), (0, 1, 2), -2])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("factors", [False, True])
def test_logsumexp_axes(framework: Framework, axis: Any, keepdims: bool, factors: bool) -> None:
    run = Run(framework, "eager")
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    b = rng.random((2, 3, 4)).astype(np.float32)
    b[0, 0] = 0.0
    options: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    more = {"b": run.array(b)} if factors else {}
    value, grad = run.grad(xe.logsumexp, x, **options, **more)
    terms = np.exp(x.astype(np.float64)) * (b if factors else 1.0)
    total = terms.sum(axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):
        wanted = np.log(terms.sum(axis=axis, keepdims=keepdims))
    np.testing.assert_allclose(value, wanted, rtol=2e-6, atol=2e-7)
    np.testing.assert_allclose(grad, terms / np.where(total == 0, 1, total), rtol=3e-6)


@pytest.mark.parametrize("axis", [None, 0, (0, 2), -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_of_terms_of_both_signs(run: Run, axis: Any, keepdims: bool) -> None:
    rng = np.random.default_rng(2)
    x, b = (rng.standard_normal((2, 3, 4)) for _ in range(2))
    b[0, 0] = 0.0
    terms = b * np.exp(x)
    total = terms.sum(axis=axis, keepdims=True)
    function: Any = functools.partial(xe.logsumexp, axis=axis, keepdims=keepdims, return_sign=True)
    arrays = run.array(x, "float64"), run.array(b, "float64")
    value, sign = run.framework.call(lambda x, b: function(x, b=b), *arrays, mode=run.mode)
    wanted = terms.sum(axis=axis, keepdims=keepdims)
    assert run.framework.dtype(sign) == "float64"
    np.testing.assert_array_equal(run.framework.numpy(sign), np.sign(wanted))
    with np.errstate(divide="ignore"):
        log = np.log(np.abs(wanted))
    np.testing.assert_allclose(run.framework.numpy(value), log, rtol=1e-12, atol=1e-14)
    grads = gradients_of_logsumexp(run, function, arrays)
    safe = np.where(total == 0, 1, total)
    np.testing.assert_allclose(grads[0], terms / safe, rtol=1e-11, atol=1e-15)
    by_b = np.where(total == 0, 0, np.exp(x) / safe)
    np.testing.assert_allclose(grads[1], by_b, rtol=1e-11, atol=1e-15)


def gradients_of_logsumexp(run: Run, function: Any, arrays: Any) -> list[np.ndarray]:
    """The gradients of the value by x and b."""
    if run.framework.autograd:
        _, grads = run.framework.value_and_grads(
            lambda x, b: function(x, b=b)[0], *arrays, wrt=(0, 1), mode=run.mode
        )
    else:
        _, grads = xe.value_and_grad(function, wrt=("x", "b"))(arrays[0], b=arrays[1])
    return [run.framework.numpy(grad) for grad in grads]


@pytest.mark.parametrize(
    ("x", "b", "value", "sign"),
    [
        ([2.0, 2.0, 2.0, 1.0], [1, -1, -1, 1], np.log(np.exp(2.0) - np.e), -1.0),
        ([0.0, -40.0], [1, -1], -np.exp(-40.0), 1.0),
        ([2.0, 2.0], [1, -1], -INF, 0.0),
        ([1.0, 2.0], [0, 0], -INF, 0.0),
        ([-INF, -INF], [1, -1], -INF, 0.0),
        ([1.0, INF], [1, -1], INF, -1.0),
        ([INF, INF], [-1, -1], INF, -1.0),
        ([INF, INF, INF], [1, 1, -1], NAN, NAN),
        ([1.0, NAN], [1, -1], NAN, NAN),
    ],
)
def test_logsumexp_of_particular_signs(run: Run, x: Any, b: Any, value: float, sign: float) -> None:
    b = run.array(b)
    found = run.framework.call(
        lambda x: xe.logsumexp(x, b=b, return_sign=True), run.array(x), mode=run.mode
    )
    same(run.framework.numpy(found[0]), value)
    same(run.framework.numpy(found[1]), sign)


def test_logsumexp_without_factors_has_a_sign_too(run: Run) -> None:
    value, sign = run.framework.call(
        lambda x: xe.logsumexp(x, return_sign=True),
        run.array([[0.0, 1.0], [-INF, -INF]]),
        mode=run.mode,
    )
    same(run.framework.numpy(value), [np.log1p(np.e), -INF])
    same(run.framework.numpy(sign), [1.0, 0.0])


def test_logsumexp_of_both_signs_is_scipys() -> None:
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(3)
    x, b = 10 * rng.standard_normal((50, 7)), rng.standard_normal((50, 7))
    wanted = special.logsumexp(x, b=b, axis=-1, return_sign=True)
    value, sign = xe.logsumexp(x, b=b, return_sign=True)
    np.testing.assert_allclose(value, wanted[0], rtol=1e-10)
    np.testing.assert_array_equal(sign, wanted[1])


def test_logsumexp_of_no_rows_over_two_axes(run: Run) -> None:
    assert np.asarray(run.call(xe.logsumexp, np.zeros((0, 3, 4)), axis=(1, 2))).shape == (0,)


def test_logsumexp_gradient_by_factors(run: Run) -> None:
    x, b = run.array([1.0, 700.0, 2.0]), run.array([2.0, 0.0, 0.5])
    function: Any = xe.logsumexp
    if run.framework.autograd:
        _, (grad,) = run.framework.value_and_grads(
            lambda b, x: xe.logsumexp(x, b=b), b, x, mode=run.mode
        )
    else:
        _, grad = xe.value_and_grad(function, wrt="b")(x, b=b)
    total = 2 * np.exp(1.0) + 0.5 * np.exp(2.0)
    same(run.framework.numpy(grad)[[0, 2]], np.exp([1.0, 2.0]) / total)
    assert run.framework.numpy(grad)[1] == INF


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("log", [False, True])
def test_gradients_of_the_maps(run: Run, axis: int, log: bool) -> None:
    if not run.framework.autograd:
        pytest.skip("a vector-valued map needs a framework with autograd to be weighed")
    rng = np.random.default_rng(5)
    x, bar = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    weights = run.array(bar, "float64")
    function = xe.log_softmax if log else xe.softmax
    _, grad = run.grad(
        lambda x: (
            (function(x, axis=axis, temperature=0.7) * weights).sum()
            if run.framework.name != "tensorflow"
            else total(function(x, axis=axis, temperature=0.7) * weights)
        ),
        x,
        dtype="float64",
    )
    p = np.exp(x / 0.7) / np.exp(x / 0.7).sum(axis=axis, keepdims=True)
    plain = bar - p * bar.sum(axis=axis, keepdims=True)
    soft = p * (bar - (bar * p).sum(axis=axis, keepdims=True))
    np.testing.assert_allclose(grad, (plain if log else soft) / 0.7, rtol=1e-10, atol=1e-14)


def total(x: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(x)


@pytest.mark.parametrize("log", [False, True])
def test_masked_entries_of_the_maps_are_constants(run: Run, log: bool) -> None:
    """Whatever weight their outputs, 0 or -inf, are given by what follows."""
    if not run.framework.autograd:
        pytest.skip("a vector-valued map needs a framework with autograd to be weighed")
    mask = run.array([True, False, True], "bool")
    function = xe.log_softmax if log else xe.softmax

    def last(x: Any) -> Any:
        return function(x, where=mask)[2]

    def both(x: Any) -> Any:
        y = function(x, where=mask)
        return y[1] + y[2]

    _, wanted = run.grad(last, [1.0, 5.0, 2.0])
    _, grad = run.grad(both, [1.0, 5.0, 2.0])
    same(grad, wanted)
    assert wanted[1] == 0.0
    assert wanted[0] != 0.0


@pytest.mark.parametrize("log", [False, True])
def test_gradients_of_the_sigmoids(run: Run, log: bool) -> None:
    x = [-80.0, -3.0, 0.0, 2.0, 60.0]
    _, grad = run.grad(xe.log_sigmoid if log else xe.sigmoid, x)
    e = np.exp(-np.abs(np.array(x)))
    beyond = np.where(np.array(x) >= 0, e, 1) / (1 + e)
    np.testing.assert_allclose(grad, beyond if log else e / (1 + e) ** 2, rtol=1e-5)
