"""Logits that arrive in parts: by classes, by rows, in a file."""

from __future__ import annotations

import copy
import math
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from harness import Framework

import xentropy as xe

INF = float("inf")
RNG = np.random.default_rng(41)
N, K = 9, 11
X = RNG.standard_normal((N, K)) * 3
X[2] += 40.0  # a maximum of its own in every part
X[3, 4] = 30.0
X[4, :6] -= 60.0
X[5, [1, 7]] = X[5].max() + 1.0  # equal tops in different parts
X[7, 0] = 20.0  # an ignored row whose prediction is the first class
LABELS = np.array([3, 0, 10, 4, 7, 1, 5, -100, 2])
WEIGHTS = np.linspace(0.5, 2.0, K)
SAMPLES = np.linspace(0.25, 3.0, N)
WHERE = np.array([True] * 6 + [False, True, False, True, True])
CUTS = [[(0, 11)], [(0, 4), (4, 5), (5, 11)], [(8, 11), (0, 3), (3, 8)], [(6, 11), (0, 6)]]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothing": {"label_smoothing": 0.2},
    "weights": {"class_weights": WEIGHTS, "sample_weights": SAMPLES, "label_smoothing": 0.1},
    "scaled": {"temperature": 0.7, "softcap": 5.0, "z_loss": 0.01},
    "masked": {"where": WHERE, "label_smoothing": 0.1, "class_weights": WEIGHTS},
}


def exact(x: np.ndarray, labels: np.ndarray, options: dict[str, Any]) -> dict[str, np.ndarray]:
    """The scores by their definitions, in long double."""
    x = x.astype(np.longdouble)
    cap, k = options.get("softcap"), x.shape[-1]
    x = cap * np.tanh(x / cap) if cap else x
    where = np.asarray(options.get("where", np.ones(k, bool)))
    x = np.where(where, x, -INF) / options.get("temperature", 1.0)
    kept = labels != -100
    index = np.where(kept, labels, 0)
    lse = np.logaddexp.reduce(x, axis=-1)
    log_p = x - lse[:, None]
    p = np.exp(log_p)
    on = np.arange(k) == index[:, None]
    e = options.get("label_smoothing", 0.0)
    t = (1 - e) * on + e * where / where.sum()
    t = t * np.asarray(options.get("class_weights", np.ones(k)))
    scale = np.asarray(options.get("sample_weights", np.ones(len(x)))) * kept
    terms = np.where(t == 0, 0, t * np.where(t == 0, 0, -log_p))
    loss = terms.sum(-1) + options.get("z_loss", 0.0) * lse**2
    return {
        "loss": np.where(scale == 0, 0, scale * np.where(scale == 0, 0, loss)),
        "log_prob": np.where(kept, log_p[on], 0),
        "lse": np.where(kept, lse, 0),
        "entropy": kept * -np.where(p == 0, 0, p * np.where(p == 0, 0, log_p)).sum(-1),
        "prediction": x.argmax(-1),
        "correct": kept & (x.argmax(-1) == labels),
        "mass": scale * t.sum(-1),
    }


def made(framework: Framework, options: dict[str, Any], dtype: str = "float64") -> dict[str, Any]:
    """Options with the framework's arrays."""
    kinds = {"where": "bool"}
    return {
        name: framework.array(value, kinds.get(name, dtype)) if name in ARRAYS else value
        for name, value in options.items()
    }


ARRAYS = ("class_weights", "sample_weights", "where")


def streamed(framework: Framework, cuts: list[tuple[int, int]], **options: Any) -> Any:
    stream: Any = xe.ClassStream(
        framework.array(LABELS, "int64"), ignore_index=-100, **made(framework, options)
    )
    for start, stop in cuts:
        stream.update(framework.array(X[:, start:stop], "float64"), start)
    return stream


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@pytest.mark.parametrize("name", OPTIONS)
def test_parts_of_classes(framework: Framework, name: str, cuts: list[tuple[int, int]]) -> None:
    options = OPTIONS[name]
    found = streamed(framework, cuts, **options).result()
    wanted = exact(X, LABELS, options)
    for field in found._fields:
        got = framework.numpy(getattr(found, field))
        assert got.shape == (N,)
        if field in {"prediction", "correct"}:
            assert got.tolist() == wanted[field].tolist()
        else:
            np.testing.assert_allclose(got, wanted[field].astype(float), rtol=1e-12, atol=1e-13)


def test_confident_rows_keep_their_digits(framework: Framework) -> None:
    """The label's part and the others' merge without a difference of large numbers."""
    row = np.array([[0.0, 0.0, 30.0, -1.0]], np.float32)
    stream: Any = xe.ClassStream(framework.array([2], "int64"))
    for start in range(4):
        stream.update(framework.array(row[:, start : start + 1], "float32"))
    rest = math.fsum(math.exp(v - 30.0) for v in (0.0, 0.0, -1.0))
    found = stream.result()
    np.testing.assert_allclose(framework.numpy(found.loss), [math.log1p(rest)], rtol=1e-6)
    assert framework.dtype(found.loss) == "float32"
    mean = math.fsum(v * math.exp(-v) for v in (30.0, 30.0, 31.0))
    wanted = math.log1p(rest) + mean / (1 + rest)
    np.testing.assert_allclose(framework.numpy(found.entropy), [wanted], rtol=1e-5)


def test_streams_merge(framework: Framework) -> None:
    whole = streamed(framework, [(0, 11)], label_smoothing=0.2).result()
    ours = streamed(framework, [(3, 5)], label_smoothing=0.2)
    theirs = streamed(framework, [(5, 11), (0, 3)], label_smoothing=0.2)
    nothing = streamed(framework, [], label_smoothing=0.2)
    merged = nothing.merge(theirs).merge(ours).merge(streamed(framework, [], label_smoothing=0.2))
    assert repr(merged) == "ClassStream(11 classes seen)"
    for got, wanted in zip(merged.result(), whole, strict=True):
        np.testing.assert_allclose(framework.numpy(got), framework.numpy(wanted), rtol=1e-12)


def test_a_logsumexp_without_targets(framework: Framework) -> None:
    stream: Any = xe.ClassStream(temperature=2.0)
    blocks = X.reshape(3, 3, K)  # two dimensions of rows
    for part in (blocks[..., :2], blocks[..., 2:]):
        stream.update(framework.array(part, "float64"))
    found = stream.result()
    assert (found.loss, found.log_prob, found.correct) == (None, None, None)
    wanted = np.logaddexp.reduce(X / 2.0, axis=-1).reshape(3, 3)
    np.testing.assert_allclose(framework.numpy(found.lse), wanted, rtol=1e-13)
    assert framework.numpy(found.prediction).tolist() == blocks.argmax(-1).tolist()


def test_infinities_and_nan(framework: Framework) -> None:
    """As of all logits at once: no class at all, one and two of +inf, NaN."""
    x = np.zeros((6, 4))
    x[0], x[2, [0, 2]], x[3, 1] = -INF, INF, np.nan
    x[1] = [1.0, 2.0, 0.5, INF]
    x[5, :2] = -INF  # a whole part, and the row goes on
    stream: Any = xe.ClassStream(framework.array([0, 3, 0, 0, 1, 2], "int64"))
    for start in (2, 0):
        stream.update(framework.array(x[:, start : start + 2], "float64"), start)
    loss, entropy = (framework.numpy(stream.result()[i]) for i in (0, 3))
    assert entropy[1] == 0
    assert np.isnan(loss[[0, 2, 3]]).all()
    assert loss[1] == 0
    np.testing.assert_allclose(loss[4:], np.log([4.0, 2.0]))
    np.testing.assert_allclose(entropy[4:], np.log([4.0, 2.0]))


def test_labels_that_are_no_class(framework: Framework) -> None:
    """An error where labels can be looked at, else NaN."""
    labels = framework.array([1, 9, -3], "int64")
    stream: Any = xe.ClassStream(labels, label_smoothing=1.0)
    stream.update(framework.array(np.zeros((3, 2)), "float64"))
    stream.update(framework.array(np.zeros((3, 2)), "float64"))
    if framework.name != "strict":
        with pytest.raises(IndexError, match=r"targets\[1\] is 9, but a label must be in 0..3"):
            stream.result()
        return
    found = stream.result()
    for values in (found.loss, found.log_prob):
        assert np.isnan(framework.numpy(values)).tolist() == [False, True, True]
    assert framework.numpy(found.correct).tolist() == [False, False, False]


def test_gradients_do_not_come_back(framework: Framework) -> None:
    if framework.name != "torch":
        pytest.skip("is about what autograd records")
    import torch

    x = torch.zeros(2, 3, requires_grad=True)
    found = xe.ClassStream(torch.tensor([0, 1])).update(x).result()
    assert not any(value.requires_grad for value in found)


class TestErrors:
    """Of ClassStream, on NumPy: the checks are those of every backend."""

    pytestmark = pytest.mark.backends("numpy")

    def test_a_class_comes_twice(self) -> None:
        stream: Any = xe.ClassStream(LABELS).update(X[:, :5])
        with pytest.raises(ValueError, match="the classes 3 to 4 have been seen before"):
            stream.update(X[:, 3:6], 3)
        with pytest.raises(ValueError, match="the classes 0 to 4 have been seen before"):
            stream.merge(xe.ClassStream(LABELS).update(X))

    def test_classes_are_missing(self) -> None:
        stream: Any = xe.ClassStream(ignore_index=-100).update(X[:, :2]).update(X[:, 6:], 6)
        with pytest.raises(ValueError, match="the classes 2 to 5 have not been seen"):
            stream.result()
        assert stream.update(X[:, 2:6], 2).result().lse.shape == (N,)

    def test_nothing_was_seen(self) -> None:
        with pytest.raises(ValueError, match="has seen no logits: call update first"):
            xe.ClassStream(LABELS).result()

    def test_a_label_is_no_class(self) -> None:
        stream: Any = xe.ClassStream(LABELS, ignore_index=-100).update(X[:, :10])
        with pytest.raises(IndexError, match=r"targets\[2\] is 10, but a label must be in 0..9"):
            stream.result()
        assert np.isfinite(stream.update(X[:, 10:]).result().lse).all()
        with pytest.raises(IndexError, match=r"targets\[7\] is -100"):
            xe.ClassStream(LABELS).update(X).result()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"targets": LABELS[:4]}, r"targets has shape \(4,\), which does not fit logits of"),
            ({"targets": X[:, 0]}, "targets must be integer labels, got dtype float64"),
            ({"targets": X}, r"targets has shape \(9, 11\)"),
            ({"class_weights": WEIGHTS[:4]}, "class_weights has 4 entries, but there are at least"),
            ({"class_weights": X}, r"class_weights must be of shape \(K,\), one entry for every"),
            ({"where": WEIGHTS}, "where must be boolean, got dtype float64"),
            ({"sample_weights": WEIGHTS}, r"sample_weights has shape \(11,\)"),
        ],
        ids=str,
    )
    def test_arrays_that_do_not_fit(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises((TypeError, ValueError), match=words):
            xe.ClassStream(**options).update(X)

    def test_too_many_weights(self) -> None:
        stream: Any = xe.ClassStream(LABELS, ignore_index=-100, class_weights=WEIGHTS)
        with pytest.raises(ValueError, match="class_weights has 11 entries, but there are exactly"):
            stream.update(X[:, :5]).result()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"temperature": 0.0}, "temperature must be a finite number above 0, got 0.0"),
            ({"label_smoothing": 2.0}, r"label_smoothing must be a number in \[0, 1\], got 2.0"),
            ({"ignore_index": 1.5}, "ignore_index must be an integer or None, got 1.5"),
        ],
    )
    def test_options_are_looked_at_first(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            xe.ClassStream(LABELS, **options)

    def test_other_streams(self) -> None:
        stream: Any = xe.ClassStream(LABELS).update(X[:, :5])
        with pytest.raises(ValueError, match="other must be of the options"):
            stream.merge(xe.ClassStream(LABELS, temperature=2.0))
        with pytest.raises(
            ValueError, match=r"other has shape \(4,\), which does not fit rows seen"
        ):
            stream.merge(xe.ClassStream(LABELS[:4]).update(X[:4, 5:], 5))
        with pytest.raises(TypeError, match=r"other is computed in .*float32.*, but earlier parts"):
            stream.merge(xe.ClassStream(LABELS).update(X[:, 5:].astype(np.float32), 5))

    def test_rows_of_later_parts(self) -> None:
        """Nothing is broadcast where no targets say how many rows there are."""
        stream: Any = xe.ClassStream().update(X[:, :5])
        with pytest.raises(ValueError, match=r"logits has shape \(1,\), which does not fit rows"):
            stream.update(X[:1, 5:])
        with pytest.raises(TypeError, match=r"logits is computed in .*float32"):
            stream.update(X[:, 5:].astype(np.float32))

    def test_no_logits_are_kept(self) -> None:
        part = X[:, :5].copy()
        held = weakref.ref(part)
        stream: Any = xe.ClassStream(LABELS).update(part)
        del part
        assert held() is None
        assert repr(stream) == "ClassStream(5 classes seen)"

    @pytest.mark.parametrize("start", [-1, 1.5])
    def test_a_start_that_is_none(self, start: Any) -> None:
        with pytest.raises(ValueError, match="start must be"):
            xe.ClassStream(LABELS).update(X, start)

    def test_other_functions_of_rows(self) -> None:
        with pytest.raises(ValueError, match=r"function must be xentropy\.score or"):
            xe.RowStream(xe.cross_entropy)
        with pytest.raises(TypeError, match="must be a function of xentropy"):
            xe.RowStream(np.sum)


# Rows.


@pytest.mark.parametrize("name", OPTIONS)
def test_blocks_of_rows(framework: Framework, name: str) -> None:
    options = OPTIONS[name]
    per_row = {k: v for k, v in options.items() if k == "sample_weights"}
    fixed = {k: v for k, v in made(framework, options).items() if k not in per_row}
    stream = xe.RowStream(ignore_index=-100, **fixed)
    for start, stop in ((0, 4), (4, 5), (5, 9)):
        more = {k: framework.array(v[start:stop], "float64") for k, v in per_row.items()}
        stream.update(
            framework.array(X[start:stop], "float64"),
            framework.array(LABELS[start:stop], "int64"),
            **more,
        )
    found, rows, kept = stream.result(), exact(X, LABELS, options), LABELS != -100
    assert found.rows == 8
    assert repr(stream) == "RowStream(8 rows seen)"
    np.testing.assert_allclose(found.loss, float(rows["loss"].sum() / rows["mass"].sum()))
    wanted = float(np.exp(-rows["log_prob"][kept].mean()))
    np.testing.assert_allclose(found.perplexity, wanted, rtol=1e-12)
    np.testing.assert_allclose(found.accuracy, rows["correct"][kept].mean())
    np.testing.assert_allclose(found.entropy, float(rows["entropy"][kept].mean()), rtol=1e-12)


def test_rows_with_probabilities_and_of_a_head(framework: Framework) -> None:
    hidden, weight = RNG.standard_normal((6, 4)), RNG.standard_normal((5, 4))
    soft = RNG.dirichlet(np.ones(5), 6)
    log_p = hidden @ weight.T
    log_p = log_p - np.logaddexp.reduce(log_p, axis=-1, keepdims=True)
    stream = xe.RowStream(xe.linear_score)
    for rows in (slice(0, 2), slice(2, 6)):
        arrays = (hidden[rows], weight, soft[rows])
        stream.update(*(framework.array(a, "float64") for a in arrays))
    found = stream.result()
    wanted = -(soft * log_p).sum(-1).mean()
    np.testing.assert_allclose(found.loss, wanted, rtol=1e-12)
    np.testing.assert_allclose(found.perplexity, math.exp(wanted), rtol=1e-12)
    assert found.rows == 6
    assert found.accuracy == (log_p.argmax(-1) == soft.argmax(-1)).mean()


def test_rows_of_several_processes(framework: Framework) -> None:
    """Totals are Python's numbers: a stream can be sent, and merged with any other."""
    ours = xe.RowStream(ignore_index=-100).update(X[:4], LABELS[:4])
    theirs = xe.RowStream(ignore_index=-100)
    theirs.update(framework.array(X[4:], "float64"), framework.array(LABELS[4:], "int64"))
    whole = xe.RowStream(ignore_index=-100).update(X, LABELS).result()
    merged = ours.merge(copy.deepcopy(theirs)).result()
    np.testing.assert_allclose(merged, whole, rtol=1e-12)
    assert len(pickle.dumps(theirs)) < 1000


@pytest.mark.backends("numpy")
def test_no_rows_and_rows_without_hope() -> None:
    nothing = xe.RowStream(ignore_index=0).update(np.zeros((2, 3)), np.array([0, 0])).result()
    assert (nothing.loss, nothing.rows) == (0.0, 0)
    assert np.isnan(nothing[1:4]).all()
    lost = xe.RowStream().update(np.array([[0.0, -2000.0]]), np.array([1])).result()
    assert (lost.loss, lost.perplexity, lost.accuracy) == (2000.0, INF, 0.0)
