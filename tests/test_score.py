"""Every field of score against its definition, its corner cases and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from harness import Framework
from test_options import (
    CLASS_WEIGHTS,
    FULL_WHERE,
    SAMPLE_WEIGHTS,
    SOFT,
    WHERE,
    K,
    X,
    as_arrays,
    close,
    show,
)

import xentropy as xe

INF, NAN = float("inf"), float("nan")
LABELS = np.array([1, 0, 2, 2, 1])
FIELDS = ["loss", "log_prob", "lse", "entropy"]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"class_weights": CLASS_WEIGHTS, "sample_weights": SAMPLE_WEIGHTS, "label_smoothing": 0.1},
    {"temperature": 0.7, "softcap": 3.0, "z_loss": 0.1},
    {"where": WHERE},
    {"where": FULL_WHERE, "label_smoothing": 0.2, "temperature": 2.0},
    {"ignore_index": 2, "class_weights": CLASS_WEIGHTS},
]
SOFT_OPTIONS = OPTIONS[:3]


def definition(x: np.ndarray, targets: np.ndarray, **options: Any) -> dict[str, np.ndarray]:
    """The fields of every row, one after the other."""
    names = ("where", "temperature", "softcap")
    defaults = {"where": None, "temperature": 1.0, "softcap": None}
    acting = [options.get(name, defaults[name]) for name in names]
    log_p, lse = oracle.log_probabilities(x, -1, "logits", *acting)
    p = np.exp(log_p)
    given = targets if targets.ndim == x.ndim else np.eye(x.shape[-1])[targets]
    kept = np.ones(x.shape[:-1])
    if targets.ndim < x.ndim and "ignore_index" in options:
        kept = np.where(targets == options["ignore_index"], 0.0, 1.0)

    def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return kept * np.sum(np.where(a == 0, 0.0, a * np.where(a == 0, 0.0, b)), axis=-1)

    return {
        "loss": oracle.cross_entropy(x, targets, reduction="none", **options),
        "log_prob": dot(given, log_p),
        "lse": kept * lse,
        "entropy": -dot(p, log_p),
        "prediction": p.argmax(-1),
        "correct": (kept != 0) & (p.argmax(-1) == given.argmax(-1)),
    }


def scores(
    framework: Framework,
    x: Any,
    targets: Any,
    dtype: str = "float64",
    mode: str = "eager",
    **options: Any,
) -> xe.Score[np.ndarray]:
    targets = np.asarray(targets)
    result = framework.call(
        xe.score,
        framework.array(x, dtype),
        framework.array(targets, "int64" if targets.dtype.kind == "i" else dtype),
        mode=mode,
        **as_arrays(framework, options, dtype),
    )
    return xe.Score(*map(framework.numpy, result))


def check(result: xe.Score[np.ndarray], expected: dict[str, np.ndarray], dtype: str) -> None:
    for name in FIELDS:
        close(getattr(result, name), expected[name], dtype)
    np.testing.assert_array_equal(result.prediction, expected["prediction"])
    np.testing.assert_array_equal(result.correct, expected["correct"])


@pytest.mark.parametrize("options", OPTIONS, ids=show)
def test_labels(framework: Framework, options: dict[str, Any]) -> None:
    result = scores(framework, X, LABELS, **options)
    check(result, definition(X, LABELS, **options), "float64")


@pytest.mark.parametrize("options", SOFT_OPTIONS, ids=show)
def test_probabilities(framework: Framework, options: dict[str, Any]) -> None:
    check(scores(framework, X, SOFT, **options), definition(X, SOFT, **options), "float64")


def test_compiled(framework: Framework, mode: str) -> None:
    options = {"class_weights": CLASS_WEIGHTS, "ignore_index": 2, "temperature": 0.7}
    result = scores(framework, X, LABELS, "float32", mode, **options)
    check(result, definition(X, LABELS, **options), "float32")


@pytest.mark.parametrize("options", OPTIONS, ids=show)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_is_cross_entropy(
    framework: Framework, options: dict[str, Any], dtype: str
) -> None:
    """To the last places: the loss alone may be visited by another plan."""
    x, t = framework.array(X, dtype), framework.array(LABELS, "int64")
    others = as_arrays(framework, options, dtype)
    result = framework.numpy(xe.score(x, t, **others).loss)
    exact = framework.numpy(xe.cross_entropy(x, t, reduction="none", **others))
    np.testing.assert_allclose(result, exact, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_axis(framework: Framework, axis: int) -> None:
    x = np.random.default_rng(31).standard_normal((3, 4, 5))
    last = np.moveaxis(x, axis, -1)
    labels = np.random.default_rng(32).integers(0, last.shape[-1], last.shape[:-1])
    result = scores(framework, x, labels, axis=axis)
    assert result.prediction.shape == result.correct.shape == last.shape[:-1]
    check(result, definition(last, labels), "float64")


def test_one_row(framework: Framework) -> None:
    result = scores(framework, [1.0, 3.0, 2.0], 1)
    assert all(field.shape == () for field in result)
    assert result.prediction == 1
    assert result.correct


def test_a_named_tuple(framework: Framework) -> None:
    x, t = framework.array(X), framework.array(LABELS, "int64")
    result = xe.score(x, t)
    assert isinstance(result, xe.Score)
    assert isinstance(result, tuple)
    assert result._fields == (*FIELDS, "prediction", "correct")
    loss, *_, correct = result
    assert loss is result.loss
    assert correct is result.correct


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(framework: Framework, mode: str, dtype: str) -> None:
    if dtype not in framework.floats:
        pytest.skip(f"{framework.name} has no {dtype}")
    if mode == "compiled" and dtype != "float16":
        pytest.skip("one compiled case is enough")
    x, t = framework.array(X, dtype), framework.array(LABELS, "int64")
    result = framework.call(xe.score, x, t, mode=mode)
    wide = "float64" if dtype == "float64" else "float32"
    assert [framework.dtype(getattr(result, name)) for name in FIELDS] == [wide] * 4
    assert framework.dtype(result.prediction) in ("int32", "int64")
    assert framework.dtype(result.correct) == "bool"


# Predictions.


def test_the_first_of_equals(framework: Framework) -> None:
    rows = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [INF, INF, 1.0], [3.0, 1.0, 3.0]]
    result = scores(framework, rows, [2, 0, 1, 2])
    assert result.prediction.tolist() == [1, 0, 0, 0]
    assert result.correct.tolist() == [False, True, False, False]


def test_soft_targets_by_their_largest(framework: Framework) -> None:
    t = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.0, 0.1, 0.9]])
    result = scores(framework, [[1.0, 3.0, 2.0], [3.0, 5.0, 1.0], [1.0, 2.0, 3.0]], t)
    assert result.correct.tolist() == [True, False, True]


@pytest.mark.parametrize("filler", [9.0, INF, NAN])
def test_a_masked_class_is_never_predicted(framework: Framework, filler: float) -> None:
    mask = np.array([False, True, True])
    result = scores(framework, [[filler, 1.0, 2.0], [filler, -1e30, -2e30]], [2, 2], where=mask)
    assert result.prediction.tolist() == [2, 1]
    assert result.correct.tolist() == [True, False]
    assert np.isfinite(result.entropy).all()


def test_weights_do_not_move_the_prediction(framework: Framework) -> None:
    plain = scores(framework, X, LABELS)
    weighted = scores(
        framework,
        X,
        LABELS,
        class_weights=CLASS_WEIGHTS,
        sample_weights=SAMPLE_WEIGHTS,
        label_smoothing=0.3,
        z_loss=0.1,
    )
    for one, other in zip(plain[1:], weighted[1:], strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(plain.loss, weighted.loss)


# Rows of the policy.


@pytest.mark.parametrize("filler", [NAN, INF, -INF, 2.0])
def test_an_ignored_row(framework: Framework, mode: str, filler: float) -> None:
    if mode == "compiled" and filler != INF:
        pytest.skip("one compiled case is enough")
    rows = [[1.0, 2.0, 3.0], [filler, 5.0, filler]]
    result = scores(framework, rows, [0, -1], "float32", mode, ignore_index=-1)
    for name in FIELDS:
        assert getattr(result, name)[1] == 0, name
        assert getattr(result, name)[0] != 0, name
    assert not result.correct[1]
    if filler == 2.0:
        assert result.prediction[1] == 1


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("filler", [NAN, INF, -INF])
def test_the_gradient_of_an_ignored_row(framework: Framework, field: str, filler: float) -> None:
    x = framework.array([[1.0, 2.0, 3.0], [filler] * 3])
    grad = gradient_of(framework, field, x, framework.array([0, -1], "int64"), ignore_index=-1)
    assert (grad[1] == 0).all()
    assert (grad[0] != 0).any()
    assert np.isfinite(grad[0]).all()


def test_a_label_out_of_range(framework: Framework, mode: str) -> None:
    x, t = framework.array([[1.0, 2.0, 3.0]] * 2), framework.array([2, 3], "int64")
    if mode == "eager" and framework.name != "strict":
        with pytest.raises(IndexError, match=r"targets\[1\] is 3"):
            xe.score(x, t)
        return
    result = xe.Score(*map(framework.numpy, framework.call(xe.score, x, t, mode=mode)))
    assert np.isnan(result.loss[1])
    assert np.isnan(result.log_prob[1])
    assert result.correct.tolist() == [True, False]


def test_infinities(framework: Framework) -> None:
    result = scores(framework, [[-INF] * 3, [1.0, INF, 2.0], [1.0, 2.0, -INF]], [0, 1, 2])
    np.testing.assert_array_equal(np.isnan(result.loss), [True, False, False])
    np.testing.assert_array_equal(result.log_prob[1:], [0.0, -INF])
    np.testing.assert_array_equal(result.lse[:2], [-INF, INF])
    assert result.entropy[1] == 0
    assert result.prediction[1:].tolist() == [1, 1]
    assert result.correct[1:].tolist() == [True, False]


def test_a_confident_row_keeps_its_precision(framework: Framework) -> None:
    result = scores(framework, [[30.0, 0.0, 0.0]], [0], "float32")
    np.testing.assert_allclose(result.loss, 1.871524593768035e-13, rtol=5e-7)
    np.testing.assert_allclose(result.log_prob, -1.871524593768035e-13, rtol=5e-7)
    # log1p(r) + 30 r / (1 + r) with r = 2 exp(-30).
    np.testing.assert_allclose(result.entropy, 31 * 1.871524593768035e-13, rtol=5e-7)


def test_perplexity(framework: Framework) -> None:
    result = scores(framework, X, LABELS)
    p = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
    perplexity = np.prod(p[np.arange(len(X)), LABELS]) ** (-1 / len(X))
    np.testing.assert_allclose(np.exp(-result.log_prob.mean()), perplexity, rtol=1e-12)
    np.testing.assert_allclose(result.correct.mean(), (X.argmax(-1) == LABELS).mean())


# Gradients.


def gradient_of(
    framework: Framework,
    field: str,
    *arrays: Any,
    wrt: int = 0,
    mode: str = "eager",
    **options: Any,
) -> np.ndarray:
    """The gradient of a field's sum, through the framework's autograd where it has one."""
    if framework.autograd:

        def one(x: Any, t: Any) -> Any:
            return getattr(xe.score(x, t, **options), field)

        _, (grad,) = framework.value_and_grads(one, *arrays, wrt=(wrt,), mode=mode)
    else:
        name = ("logits", "targets")[wrt]
        _, grad = xe.value_and_grad(xe.score, wrt=name, of=field)(*arrays, **options)
    return framework.numpy(grad)


@pytest.mark.parametrize("field", FIELDS)
def test_the_gradient_of_each_field(framework: Framework, field: str) -> None:
    options = {"label_smoothing": 0.1, "temperature": 0.7, "softcap": 3.0, "ignore_index": 0}
    x, t = framework.array(X, "float64"), framework.array(LABELS, "int64")
    wanted = oracle.gradient(lambda x: definition(x, LABELS, **options)[field], X)
    close(gradient_of(framework, field, x, t, **options), wanted, "float64")


def test_the_gradient_compiled(framework: Framework, mode: str) -> None:
    x, t = framework.array(X), framework.array(LABELS, "int64")
    wanted = oracle.gradient(lambda x: definition(x, LABELS)["entropy"], X)
    close(gradient_of(framework, "entropy", x, t, mode=mode), wanted, "float32")


@pytest.mark.parametrize("field", ["loss", "log_prob"])
def test_the_gradient_by_soft_targets(framework: Framework, field: str) -> None:
    x, t = framework.array(X, "float64"), framework.array(SOFT, "float64")
    wanted = oracle.gradient(lambda t: definition(X, t)[field], SOFT)
    close(gradient_of(framework, field, x, t, wrt=1), wanted, "float64")


@pytest.mark.parametrize("field", FIELDS)
def test_value_and_grad_of(framework: Framework, field: str) -> None:
    x, t = framework.array(X, "float64"), framework.array(LABELS, "int64")
    value, grad = xe.value_and_grad(xe.score, of=field)(x, t)
    assert isinstance(value, xe.Score)
    check(xe.Score(*map(framework.numpy, value)), definition(X, LABELS), "float64")
    wanted = oracle.gradient(lambda x: definition(x, LABELS)[field], X)
    close(framework.numpy(grad), wanted, "float64")


def test_value_and_grad_is_of_the_loss(framework: Framework) -> None:
    x, t = framework.array(X), framework.array(LABELS, "int64")
    _, grad = xe.value_and_grad(xe.score)(x, t)
    _, of_loss = xe.value_and_grad(xe.score, of="loss")(x, t)
    _, of_cross_entropy = xe.value_and_grad(xe.cross_entropy)(x, t, reduction="sum")
    np.testing.assert_array_equal(framework.numpy(grad), framework.numpy(of_loss))
    # The loss alone may be visited by another plan, to the same accuracy.
    np.testing.assert_allclose(
        framework.numpy(grad), framework.numpy(of_cross_entropy), rtol=1e-6, atol=1e-7
    )


def test_value_and_grad_by_several(framework: Framework) -> None:
    x, t = framework.array(X, "float64"), framework.array(SOFT, "float64")
    _, grads = xe.value_and_grad(xe.score, wrt=("logits", "targets"), of="log_prob")(x, t)
    by_x = oracle.gradient(lambda x: definition(x, SOFT)["log_prob"], X)
    by_t = oracle.gradient(lambda t: definition(X, t)["log_prob"], SOFT)
    close(framework.numpy(grads[0]), by_x, "float64")
    close(framework.numpy(grads[1]), by_t, "float64")


# Bad input.


@pytest.mark.parametrize("of", ["prediction", "correct", "accuracy", 0])
def test_of_no_floating_result(framework: Framework, of: Any) -> None:
    x, t = framework.array(X), framework.array(LABELS, "int64")
    message = rf"of must be one of 'loss', 'log_prob', 'lse', 'entropy', got {of!r}"
    with pytest.raises(ValueError, match=message):
        xe.value_and_grad(xe.score, of=of)(x, t)


def test_of_a_function_of_one_result(framework: Framework) -> None:
    x, t = framework.array(X), framework.array(LABELS, "int64")
    with pytest.raises(ValueError, match="of must be one of 'loss', got 'entropy'"):
        xe.value_and_grad(xe.cross_entropy, of="entropy")(x, t)
    one, _ = xe.value_and_grad(xe.cross_entropy, of="loss")(x, t)
    np.testing.assert_array_equal(framework.numpy(one), framework.numpy(xe.cross_entropy(x, t)))


def test_wrt_of_score(framework: Framework) -> None:
    x, t = framework.array(X), framework.array(LABELS, "int64")
    with pytest.raises(TypeError, match="targets must be floating to differentiate"):
        xe.value_and_grad(xe.score, wrt="targets")(x, t)
    with pytest.raises(ValueError, match=r"wrt must be one of 'logits', .*got 'axis'"):
        xe.value_and_grad(xe.score, wrt="axis")(x, t)


@pytest.mark.parametrize("name", ["from_logits", "reduction", "normalizer", "foo", "pos_weight"])
def test_options_that_it_has_not(framework: Framework, name: str) -> None:
    x, t = framework.array(X), framework.array(LABELS, "int64")
    message = rf"^score\(\) got an unexpected keyword argument '{name}'"
    with pytest.raises(TypeError, match=message):
        xe.score(x, t, **{name: None})


# A parameter with its value, and the dtype of the array that it is.
ERRORS: list[tuple[str, Any, str | None, type[Exception], str]] = [
    ("axis", 7, None, ValueError, "axis must be an axis of logits"),
    ("temperature", 0.0, None, ValueError, "temperature .*got 0.0"),
    ("label_smoothing", 2.0, None, ValueError, "label_smoothing .*got 2.0"),
    ("class_weights", [1.0], "float32", ValueError, r"class_weights has shape \(1,\).*\(5, 4\)"),
    ("where", [1] * K, "int32", TypeError, "where must be boolean"),
    ("targets", [0, 1], "int64", ValueError, r"targets has shape \(2,\).*\(5, 4\)"),
    ("targets", [0.0] * 5, "float32", TypeError, "targets must be integer labels"),
    ("logits", [[1] * 4] * 5, "int32", TypeError, "logits must be real floating"),
]


@pytest.mark.parametrize(("name", "value", "dtype", "error", "message"), ERRORS)
def test_errors(
    framework: Framework,
    name: str,
    value: Any,
    dtype: str | None,
    error: type[Exception],
    message: str,
) -> None:
    arguments = {"logits": framework.array(X), "targets": framework.array(LABELS, "int64")}
    arguments[name] = value if dtype is None else framework.array(value, dtype)
    with pytest.raises(error, match=message):
        xe.score(**arguments)


def test_a_row_of_minus_infinity_has_a_logsumexp_that_no_logit_moves(
    framework: Framework, mode: str
) -> None:
    """Though the loss of such a row, which nobody asks for here, is NaN.

    torch.compile asks for it all the same, with a gradient of 0: 0 * NaN is NaN.
    """

    def lse(x: Any, targets: Any) -> Any:
        return xe.score(x, targets).lse

    x = framework.array([[-INF] * 3, [1.0, 2.0, 3.0]])
    labels = framework.array([0, 1], "int64")
    if framework.autograd:
        _, grad = framework.value_and_grad(lse, x, labels, mode=mode)
    else:
        grad = framework.numpy(xe.value_and_grad(xe.score, of="lse")(x, labels)[1])
    expected = NAN if (framework.name, mode) == ("torch", "compiled") else 0.0
    np.testing.assert_array_equal(grad[0], expected)
    np.testing.assert_allclose(grad[1], [0.09003057, 0.24472847, 0.66524096], rtol=1e-6)
