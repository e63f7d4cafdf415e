"""Dask arrays in chunks of rows and classes: lazy, chunk by chunk, and equal to the definitions."""

from __future__ import annotations

import math
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from noted_dask import noted
from pages import run as run_page
from processes import Rank, run

import xentropy as xe

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

# They are arrays of NumPy in chunks.
pytestmark = pytest.mark.backends("numpy", "strict")

INF, NAN = float("inf"), float("nan")
RNG = np.random.default_rng(7)
N, K = 6, 11
X = RNG.standard_normal((N, K)) * 3
LABELS = np.array([3, 0, 10, 4, 7, 1])
IGNORED = np.array([3, -1, 10, -1, 7, 1])
SOFT = RNG.random((N, K))
CLASSES, SAMPLES = np.linspace(0.5, 2.0, K), np.array([1.0, 0.0, 2.5, 0.3, 1.0, 4.0])
WHERE = np.array([True] * 6 + [False, True, False, True, True])
WHERES = RNG.random((N, K)) < 0.7
WHERES[np.arange(N), LABELS] = True

CHUNKS: dict[str, Any] = {
    "one": ((6,), (11,)),
    "rows": ((2, 4), (11,)),
    "classes": ((6,), (4, 1, 6)),
    "both": ((2, 4), (5, 6)),
    "single": ((1,) * 6, (1,) * 11),
    "empty": ((0, 3, 0, 3), (4, 0, 7, 0)),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothing": {"label_smoothing": 0.2},
    "weights": {"class_weights": CLASSES, "sample_weights": SAMPLES},
    "smoothed_weights": {"class_weights": CLASSES, "label_smoothing": 0.1},
    "scaled": {"temperature": 0.7, "softcap": 5.0, "z_loss": 0.01},
    "where": {"where": WHERE, "label_smoothing": 0.1},
    "wheres": {"where": WHERES, "class_weights": CLASSES, "label_smoothing": 0.3},
}
REDUCTIONS: list[dict[str, Any]] = [
    {"reduction": "none"},
    {"reduction": "sum"},
    *({"normalizer": how} for how in ("weights", "valid", "batch", 3.5, np.asarray(2.5))),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(params=CHUNKS)
def chunks(request: pytest.FixtureRequest) -> Any:
    return CHUNKS[request.param]


def lazy(x: np.ndarray, chunks: Any = -1) -> Any:
    return da.from_array(x, chunks=chunks)


def lazily(options: dict[str, Any]) -> dict[str, Any]:
    """Arrays among the options in chunks that are not those of the logits."""
    arrays = {name: x for name, x in options.items() if isinstance(x, np.ndarray)}
    return options | {name: lazy(x, (3,) * x.ndim) for name, x in arrays.items()}


def close(found: Any, wanted: Any, rtol: float = 1e-11, atol: float = 0.0) -> None:
    assert isinstance(found, da.Array)
    assert found.shape == np.shape(wanted)
    np.testing.assert_allclose(found.compute(), wanted, rtol=rtol, atol=atol)


# --- the values ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("targets", ["labels", "ignored", "soft"])
def test_cross_entropy(chunks: Any, targets: str, name: str) -> None:
    options = dict(OPTIONS[name])
    if targets == "ignored":
        options["ignore_index"] = -1
    t = {"labels": LABELS, "ignored": IGNORED, "soft": np.where(WHERES & WHERE, SOFT, 0)}[targets]
    x = lazy(X, chunks)
    # Chunks decide what rows tell; two ways to cut them show how rows become a number.
    whole = chunks in (CHUNKS["both"], CHUNKS["empty"])
    for reduction in REDUCTIONS if whole else REDUCTIONS[:1]:
        value = xe.cross_entropy(x, lazy(t, (3,) * t.ndim), **lazily(options), **reduction)
        close(value, oracle.cross_entropy(X, t, **options, **reduction))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_classes_along_any_axis(axis: int) -> None:
    x = RNG.standard_normal((4, 5, 6))
    labels = RNG.integers(0, 4, np.delete(x.shape, axis))
    blocks = lazy(x, ((1, 3), (2, 2, 1), (4, 2)))
    wanted = oracle.cross_entropy(x, labels, axis=axis, reduction="none")
    close(xe.cross_entropy(blocks, labels, axis=axis, reduction="none"), wanted)
    close(xe.score(blocks, labels, axis=axis).loss, wanted)
    log_p, lse = oracle.log_probabilities(x, axis, "logits", None, 1.0, None)
    close(xe.log_softmax(blocks, axis=axis), np.moveaxis(log_p, -1, axis), atol=1e-12)
    close(xe.logsumexp(blocks, axis=axis), lse)


def test_one_row_has_no_other_axis() -> None:
    x = lazy(X[0], ((4, 1, 6),))
    close(xe.cross_entropy(x, lazy(LABELS[0])), oracle.cross_entropy(X[:1], LABELS[:1]))
    grad = xe.value_and_grad(xe.cross_entropy)(x, 3)[1]
    p = np.exp(X[0]) / np.exp(X[0]).sum()
    close(grad, p - (np.arange(K) == 3), rtol=1e-9)
    close(xe.softmax(x), p)


@pytest.mark.parametrize("where", [None, WHERE, WHERES, WHERES[:, :1] | True, WHERE[None]])
def test_maps(chunks: Any, where: Any) -> None:
    x = lazy(X, chunks)
    options = {"where": where} if where is None else {"where": lazy(where, (3,) * where.ndim)}
    log_p, lse = oracle.log_probabilities(X, -1, "logits", where, 1.0, None)
    p = np.exp(log_p)
    close(xe.logsumexp(x, axis=-1, **options), lse)
    close(xe.softmax(x, **options), p)
    close(xe.log_softmax(x, **options), log_p)
    close(xe.entropy(x, **options), -np.sum(p * np.where(p == 0, 0, log_p), axis=-1))
    log_p = oracle.log_probabilities(X, -1, "logits", where, 2.5, None)[0]
    close(xe.softmax(x, temperature=2.5, **options), np.exp(log_p))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [None, 0, (0, 1), (2, 0), (1,)])
def test_logsumexp_over_several_axes(axes: Any, keepdims: bool) -> None:
    x = RNG.standard_normal((4, 5, 6))
    wanted = np.log(np.sum(np.exp(x), axis=axes, keepdims=keepdims))
    value = xe.logsumexp(lazy(x, ((1, 3), (2, 0, 3), (4, 2))), axis=axes, keepdims=keepdims)
    close(value, wanted)
    assert largest(value) < x.nbytes / 2


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("t", [LABELS, SOFT], ids=["labels", "soft"])
def test_score(chunks: Any, t: np.ndarray, name: str) -> None:
    options = OPTIONS[name]
    t = np.where(WHERES & WHERE, t, 0) if t.ndim == 2 else t
    found = xe.score(lazy(X, chunks), lazy(t), **lazily(options))
    close(found.loss, oracle.cross_entropy(X, t, reduction="none", **options))
    z = {key: options.get(key) for key in ("where", "softcap")}
    log_p, lse = oracle.log_probabilities(
        X, -1, "logits", z["where"], options.get("temperature", 1.0), z["softcap"]
    )
    b = np.eye(K)[t] if t.ndim == 1 else t
    safe = np.where(np.isinf(log_p), 0.0, log_p)
    close(found.log_prob, np.sum(b * safe, axis=-1))
    close(found.lse, lse)
    close(found.entropy, -np.sum(np.exp(log_p) * safe, axis=-1))
    close(found.prediction, np.argmax(log_p, axis=-1))
    close(found.correct, np.argmax(log_p, axis=-1) == np.argmax(b, axis=-1))
    assert found.correct.dtype == bool
    assert found.prediction.dtype == np.int64


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes(dtype: str) -> None:
    x = X.astype(dtype)
    blocks, wide = lazy(x, (4, 3)), x.astype(np.float64)
    value, grad = xe.value_and_grad(xe.cross_entropy)(blocks, LABELS)
    assert value.dtype == ("float64" if dtype == "float64" else "float32")
    assert (grad.dtype, xe.softmax(blocks).dtype) == (dtype, dtype)
    assert value.compute().dtype == value.dtype
    assert grad.compute().dtype == xe.softmax(blocks).compute().dtype == dtype
    close(value, oracle.cross_entropy(wide, LABELS), rtol=1e-6)
    log_p = oracle.log_probabilities(wide, -1, "logits", None, 1.0, None)[0]
    close(xe.softmax(blocks), np.exp(log_p), rtol=2e-3 if dtype == "float16" else 1e-5)


def test_confident_rows_keep_their_digits() -> None:
    x = lazy(np.float32([[30, 0, 0, 0]]), (1, 2))
    value, grad = xe.value_and_grad(xe.cross_entropy)(x, [0])
    close(value, 3 * math.exp(-30), rtol=1e-6)
    close(grad, [[-3 * math.exp(-30), *[math.exp(-30)] * 3]], rtol=1e-6)


# --- infinities, and what is no class -------------------------------------------------------


def test_the_maximum_in_two_chunks() -> None:
    x = np.array([[5.0, 1.0, 5.0, 2.0], [9.0, 9.0, 9.0, 9.0]])
    blocks, labels = lazy(x, (2, 2)), np.array([2, 0])
    wanted = oracle.cross_entropy(x, labels, reduction="none")
    found = xe.score(blocks, labels)
    close(found.loss, wanted)
    close(found.prediction, [0, 0])
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    close(xe.softmax(blocks), p)
    close(xe.entropy(blocks), -np.sum(p * np.log(p), axis=1))


def test_chunks_of_infinities() -> None:
    x = np.array([[-INF, -INF, 1.0, 2.0], [-INF] * 4, [INF, 0, 0, 1], [INF, 0, INF, 0]])
    blocks = lazy(x, (3, 2))
    tail = math.log1p(math.exp(-1))
    close(xe.logsumexp(blocks, axis=1), [2 + tail, -INF, INF, INF])
    close(xe.cross_entropy(blocks, [3, 0, 0, 0], reduction="none"), [tail, NAN, 0, NAN])
    close(xe.cross_entropy(blocks, [0, 0, 1, 1], reduction="none"), [INF, NAN, INF, NAN])
    p = 1 / (1 + math.e)
    close(xe.softmax(blocks), [[0, 0, p, 1 - p], [NAN] * 4, [1, 0, 0, 0], [NAN] * 4])
    ignored = xe.value_and_grad(xe.cross_entropy)(blocks, [3, -1, 0, -1], ignore_index=-1)
    close(ignored[0], tail / 2)
    close(ignored[1], [[0, 0, p / 2, -p / 2], *[[0] * 4] * 3])


@pytest.mark.parametrize("label", [-1, 4, 100])
def test_a_label_that_is_no_class_is_a_row_of_nan(label: int) -> None:
    x, labels = lazy(X[:2, :4], (1, 2)), np.array([label, 1])
    found = xe.cross_entropy(x, labels, reduction="none").compute()
    assert np.isnan(found).tolist() == [True, False]
    grad = xe.value_and_grad(xe.cross_entropy)(x, labels, reduction="sum")[1].compute()
    assert np.isnan(grad).tolist() == [[True] * 4, [False] * 4]
    assert np.isnan(xe.cross_entropy(x, labels).compute())


def test_a_mean_over_nothing_is_zero() -> None:
    for x, labels in ((X, np.full(N, -1)), (X[:0], LABELS[:0])):
        blocks = lazy(x, ((2, 4) if len(x) else (0,), (5, 6)))
        value, grad = xe.value_and_grad(xe.cross_entropy)(blocks, labels, ignore_index=-1)
        close(value, 0.0)
        close(grad, np.zeros_like(x))


# --- gradients ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("t", [LABELS, SOFT], ids=["labels", "soft"])
def test_gradients(t: np.ndarray, name: str) -> None:
    options = OPTIONS[name]
    t = np.where(WHERES & WHERE, t, 0) if t.ndim == 2 else t
    for reduction in REDUCTIONS:
        both = options | reduction
        slope = oracle.gradient(lambda x, both=both: oracle.cross_entropy(x, t, **both), X)
        for chunks in ("both", "empty") if reduction == REDUCTIONS[0] else ("both",):
            x = lazy(X, CHUNKS[chunks])
            value, grad = xe.value_and_grad(xe.cross_entropy)(x, lazy(t), **lazily(both))
            assert grad.chunks == x.chunks
            close(value, oracle.cross_entropy(X, t, **both))
            close(grad, slope, rtol=1e-7, atol=1e-9)


def test_other_losses_and_gradients_go_on_as_arrays() -> None:
    x, t, labels = lazy(X, CHUNKS["both"]), lazy(SOFT, (3, 4)), lazy(LABELS, 2)
    for found, wanted in (
        (xe.focal_loss(x, labels), xe.focal_loss(X, LABELS)),
        (xe.nll_loss(xe.log_softmax(x), labels), xe.cross_entropy(X, LABELS)),
        (xe.kl_divergence(x, t), xe.kl_divergence(X, SOFT)),
        (xe.cross_entropy(t, labels, from_logits=False), xe.nll_loss(np.log(SOFT), LABELS)),
        (xe.logsumexp(x, b=t, axis=1), xe.logsumexp(X, b=SOFT, axis=1)),
        (xe.sigmoid(x), xe.sigmoid(X)),
        (xe.value_and_grad(xe.entropy)(x)[1], xe.value_and_grad(xe.entropy)(X)[1]),
        (xe.value_and_grad(xe.score)(x, labels)[1], xe.value_and_grad(xe.score)(X, LABELS)[1]),
    ):
        close(found, wanted, atol=1e-14)
    by_targets = xe.value_and_grad(xe.cross_entropy, wrt=("logits", "targets"))
    for found, wanted in zip(by_targets(x, t)[1], by_targets(X, SOFT)[1], strict=True):
        close(found, wanted)


# --- lazy, and chunk by chunk ---------------------------------------------------------------


class Source:
    """Chunks of logits made by calls that are counted."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        self.calls += 1
        return block

    def array(self, chunks: Any = (2, 4)) -> Any:
        return lazy(X, chunks).map_blocks(self, dtype=X.dtype, meta=X[:0])


COUNTED: dict[str, Callable[[Any], Any]] = {
    "cross_entropy": lambda x: xe.cross_entropy(x, LABELS, label_smoothing=0.1),
    "soft": lambda x: xe.cross_entropy(x, lazy(SOFT, (3, 5)), class_weights=CLASSES),
    "logsumexp": lambda x: xe.logsumexp(x, axis=1),
    "entropy": xe.entropy,
    "softmax": xe.softmax,
    "log_softmax": xe.log_softmax,
    "score": lambda x: xe.score(x, LABELS),
    "gradient": lambda x: xe.value_and_grad(xe.cross_entropy)(x, LABELS),
}


@pytest.mark.parametrize("name", COUNTED)
def test_every_chunk_is_made_once_and_not_before_it_is_asked_for(name: str) -> None:
    source = Source()
    value = COUNTED[name](source.array())
    assert source.calls == 0
    dask.compute(value)
    assert source.calls == 9
    dask.compute(value)
    assert source.calls == 18


def test_what_is_computed_together_shares_its_chunks() -> None:
    source = Source()
    x = source.array()
    dask.compute(xe.cross_entropy(x, LABELS), xe.softmax(x), xe.entropy(x))
    assert source.calls == 9


def test_only_the_rows_that_are_asked_for() -> None:
    source = Source()
    losses = xe.cross_entropy(source.array(), LABELS, reduction="none")
    losses[:2].compute()
    assert source.calls == 3


def test_equal_calls_are_equal_tasks() -> None:
    x = lazy(X, (2, 4))
    assert xe.softmax(x).name == xe.softmax(x).name
    assert xe.softmax(x).name != xe.softmax(x, temperature=2.0).name
    assert xe.cross_entropy(x, LABELS).name == xe.cross_entropy(x, LABELS).name


@pytest.mark.parametrize("name", COUNTED)
def test_a_graph_has_few_layers_whatever_the_chunks(name: str) -> None:
    """Layers are what a call makes before anything is computed."""
    x = da.zeros((N * 50, 3 * 50), chunks=(N, 3))
    labels = np.zeros(len(x), np.int64)
    first = {"score": lambda: xe.score(x, labels).loss}
    first["gradient"] = lambda: xe.value_and_grad(xe.cross_entropy)(x, labels)[1]
    first["soft"] = lambda: xe.cross_entropy(x, x)
    first["cross_entropy"] = lambda: xe.cross_entropy(x, labels)
    value = first[name]() if name in first else COUNTED[name](x)
    assert len(value.dask.layers) < 50


# --- memory ---------------------------------------------------------------------------------


def nbytes(value: Any) -> int:
    if isinstance(value, tuple | list):
        return sum(nbytes(one) for one in value)
    return int(getattr(value, "nbytes", 0))


def largest(value: Any) -> int:
    """The bytes of the largest thing that a task gives."""
    from dask.callbacks import Callback

    sizes = [0]

    def posttask(_key: Any, result: Any, *_: Any) -> None:
        sizes.append(nbytes(result))

    with Callback(posttask=posttask):
        value.compute()
    return max(sizes)


ROWS, COLUMNS = 512, 16384
BLOCK = (64, 1024)
BYTES = 64 * 1024 * 4


def made() -> Any:
    """64 chunks of logits, 32 MiB, of which none is there before it is asked for."""
    x = da.zeros((ROWS, COLUMNS), chunks=BLOCK, dtype=np.float32)
    return x.map_blocks(lambda block, block_id: block + block_id[1], dtype=np.float32)


REDUCED: dict[str, Callable[[Any, Any], Any]] = {
    "cross_entropy": lambda x, t: xe.cross_entropy(x, t, label_smoothing=0.1, z_loss=1e-4),
    "weights": lambda x, t: xe.cross_entropy(x, t, class_weights=np.ones(COLUMNS)),
    "soft": lambda x, _: xe.cross_entropy(x, da.ones_like(x) / COLUMNS),
    "logsumexp": lambda x, _: xe.logsumexp(x, axis=1),
    "all": lambda x, _: xe.logsumexp(x),
    "columns": lambda x, _: xe.logsumexp(x, axis=0),
    "entropy": lambda x, _: xe.entropy(x),
    "score": lambda x, t: xe.score(x, t).entropy,
    "softmax": lambda x, _: xe.softmax(x).max(),
    "gradient": lambda x, t: abs(xe.value_and_grad(xe.cross_entropy)(x, t)[1]).max(),
}
# Of a softmax and a gradient a row of chunks is there twice over: until the row is known its
# logits, then what is made of them.
HELD = {"softmax": 2, "gradient": 2}


@pytest.mark.parametrize("name", REDUCED)
def test_memory_is_that_of_chunks(name: str) -> None:
    labels = RNG.integers(0, COLUMNS, ROWS)
    value = REDUCED[name](made(), labels)
    assert largest(value) <= 2 * BYTES  # and keeps what a first call imports
    tracemalloc.start()
    value.compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    row = COLUMNS // BLOCK[1] * BYTES
    assert peak < 16 * BYTES + HELD.get(name, 0) * row
    assert peak < ROWS * COLUMNS * 4 / 2.5


# --- arrays that do not fit -------------------------------------------------------------------


def test_numpy_arrays_beside_logits_in_chunks() -> None:
    x = lazy(X, (2, 4))
    options = {"class_weights": CLASSES, "sample_weights": SAMPLES, "where": WHERES}
    close(xe.cross_entropy(x, LABELS, **options), oracle.cross_entropy(X, LABELS, **options))
    close(xe.focal_loss(x, LABELS), xe.focal_loss(X, LABELS))
    with pytest.raises(TypeError, match="targets is an array of dask, but logits is one of numpy"):
        xe.cross_entropy(X, lazy(LABELS))


@pytest.mark.parametrize("function", [xe.softmax, xe.sigmoid, xe.entropy])
def test_chunks_of_unknown_lengths(function: Any) -> None:
    x = lazy(X, (2, 4))
    unknown = x[lazy(LABELS, 2) > 0]
    name = "logits" if function is xe.entropy else "x"
    with pytest.raises(ValueError, match=rf"{name} must have chunks of known lengths, got shape"):
        function(unknown)
    known = unknown.compute_chunk_sizes()
    close(function(known), function(X[LABELS > 0]))


def test_targets_of_unknown_lengths() -> None:
    labels = lazy(LABELS, 2)
    with pytest.raises(ValueError, match=r"targets must have chunks of known lengths, got shape"):
        xe.cross_entropy(lazy(X, (2, 4)), labels[labels > -1])
    with pytest.raises(ValueError, match=r"logits must have chunks of known lengths"):
        xe.value_and_grad(xe.cross_entropy)(lazy(X)[labels > -1], labels)


# --- workers ----------------------------------------------------------------------------------


def test_what_goes_to_workers_can_be_pickled() -> None:
    from distributed.protocol import deserialize, serialize

    x = lazy(X, (2, 4))
    for value in (xe.cross_entropy(x, LABELS, ignore_index=-1), xe.softmax(x), xe.score(x, LABELS)):
        for one in value if isinstance(value, tuple) else (value,):
            again = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own
            np.testing.assert_array_equal(again.compute(), one.compute())
            assert deserialize(*serialize(one)).name == one.name


def on_two_workers(rank: Rank) -> tuple[dict[str, Any], list[list[str]]]:
    """Values and gradients of a cluster, and the chunks that each of its processes made."""
    from distributed import Client, LocalCluster

    processes = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with (
        LocalCluster(**processes, dashboard_address=None, local_directory=rank.folder) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        x = lazy(X / 3.0, (1, 3)).map_blocks(noted, str(rank.folder), dtype=X.dtype, meta=X[:0])
        t, soft = lazy(LABELS, 2), lazy(SOFT, (4, 5))
        value, grad = xe.value_and_grad(xe.cross_entropy)(x, t, label_smoothing=0.1)
        lazies = {
            "loss": value,
            "grad": grad,
            "soft": xe.cross_entropy(x, soft, class_weights=lazy(CLASSES, 3)),
            "softmax": xe.softmax(x),
            "log_softmax": xe.log_softmax(x),
            "logsumexp": xe.logsumexp(x, axis=1),
            "entropy": xe.entropy(x),
            **{f"score.{key}": one for key, one in xe.score(x, t)._asdict().items()},
        }
        (found,) = dask.compute(lazies)
    files = sorted(rank.folder.glob("made-*"))
    assert f"made-{os.getpid()}" not in [file.name for file in files]
    return found, [file.read_text().splitlines() for file in files]


def test_a_cluster_of_two_processes() -> None:
    pytest.importorskip("distributed")
    ((found, made_by),) = run(on_two_workers, 1, timeout=180)
    value, grad = xe.value_and_grad(xe.cross_entropy)(X, LABELS, label_smoothing=0.1)
    wanted = {
        "loss": value,
        "grad": grad,
        "soft": xe.cross_entropy(X, SOFT, class_weights=CLASSES),
        "softmax": xe.softmax(X),
        "log_softmax": xe.log_softmax(X),
        "logsumexp": xe.logsumexp(X, axis=1),
        "entropy": xe.entropy(X),
        **{f"score.{key}": one for key, one in xe.score(X, LABELS)._asdict().items()},
    }
    assert found.keys() == wanted.keys()
    for key, one in wanted.items():
        np.testing.assert_allclose(found[key], one, rtol=1e-11, atol=1e-14, err_msg=key)
    assert len(made_by) == 2
    chunks = [line for lines in made_by for line in lines]
    assert len(chunks) == len(set(chunks)) == 6 * 4


# --- the page ---------------------------------------------------------------------------------


def test_the_page_prints_what_it_says() -> None:
    page = Path(__file__).parents[1] / "docs" / "dask.md"
    found = list(run_page(page.read_text(encoding="utf-8"), str(page)))
    assert found
    for printed, said in found:
        assert printed == said


def test_the_doctor_finds_dask_well() -> None:
    from xentropy.doctor._health import Told, judged
    from xentropy.doctor._probe import facts

    held = {name: fact for found in facts("dask", compiling=True) for name, fact in found.items()}
    health = judged("dask", Told(held, held.pop("step")))
    assert (health.wrong, list(health.modes)) == ((), ["eager"])
    assert health.modes["eager"].gradient is not None
