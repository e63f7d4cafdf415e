"""The plan of a linear head: when it is taken, what it holds, and what it leaves out."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import oracle
import pytest
from harness import Framework

import xentropy as xe
from xentropy import _linear_plans

RNG = np.random.default_rng(31)
ROWS, WIDTH, CLASSES = 70, 6, 50
HIDDEN = RNG.standard_normal((ROWS, WIDTH))
WEIGHT = RNG.standard_normal((CLASSES, WIDTH))
LABELS = RNG.integers(0, CLASSES, ROWS)
EAGER = ("numpy", "torch", "tensorflow")


def definition(
    hidden: np.ndarray, weight: np.ndarray, labels: np.ndarray, kept: Any = slice(None)
) -> tuple[float, np.ndarray, np.ndarray]:
    """The mean loss of the rows that are kept, and its gradients, in float64."""
    x = hidden[kept] @ weight.T
    p = np.exp(x - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    rows = np.arange(len(x))
    loss = -np.log(p[rows, labels[kept]]).mean()
    p[rows, labels[kept]] -= 1
    p /= len(x)
    by_hidden = np.zeros_like(hidden)
    by_hidden[kept] = p @ weight
    return float(loss), by_hidden, p.T @ hidden[kept]


def run(
    framework: Framework, hidden: Any, weight: Any, labels: Any, dtype: str, **options: Any
) -> tuple[np.ndarray, ...]:
    """The loss and the gradients by hidden and weight, by the framework's own autograd."""
    arrays = framework.array(hidden, dtype), framework.array(weight, dtype)
    labels = framework.array(labels, "int64")
    value, grads = framework.value_and_grads(
        xe.linear_cross_entropy, *arrays, labels, wrt=(0, 1), **options
    )
    return tuple(framework.numpy(x) for x in (value, *grads))


def close(found: Any, wanted: Any, tolerance: float) -> None:
    for ours, true in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, true, rtol=tolerance, atol=tolerance)


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways in which heads are visited while the test runs."""
    seen: list[str] = []
    for name in ("_in_one", "_in_parts"):
        inner = getattr(_linear_plans, name)

        def noted(*args: Any, name: str = name, inner: Any = inner) -> Any:
            seen.append(name)
            return inner(*args)

        monkeypatch.setattr(_linear_plans, name, noted)
    return seen


@pytest.mark.parametrize(
    ("tile", "visit"), [(None, "_in_one"), (2000, "_in_one"), (700, "_in_parts")]
)
def test_one_visit_unless_few_rows_fit(
    framework: Framework, visits: list[str], tile: int | None, visit: str
) -> None:
    with xe.options(block_size=tile):
        found = run(framework, HIDDEN, WEIGHT, LABELS, "float64")
    close(found, definition(HIDDEN, WEIGHT, LABELS), 1e-12)
    assert visits == ([visit] if framework.name in EAGER else [])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_heads_are_summed_up_in_float32(
    framework: Framework, visits: list[str], dtype: str
) -> None:
    if dtype not in framework.floats:
        pytest.skip("has no such dtype")
    hidden, weight = (framework.numpy(framework.array(x, dtype)) for x in (HIDDEN, WEIGHT))
    loss, *grads = run(framework, hidden, weight, LABELS, dtype)
    true = definition(hidden.astype(np.float64), weight.astype(np.float64), LABELS)
    np.testing.assert_allclose(loss, true[0], rtol=1e-6)
    # Rounded once, at the end: half a unit in the last place, and a little for float32's sums.
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    for ours, wanted in zip(grads, true[1:], strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1.01 * unit, atol=3e-7)
    assert visits == (["_in_parts"] if framework.name in EAGER else [])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ignored_rows_are_left_out(framework: Framework, dtype: str) -> None:
    hidden, labels = HIDDEN.copy(), LABELS.copy()
    gone = RNG.permutation(ROWS)[:40]
    hidden[gone], labels[gone] = np.nan, -7
    kept = np.setdiff1d(np.arange(ROWS), gone)
    found = run(framework, hidden, WEIGHT, labels, dtype, ignore_index=-7)
    true = definition(np.nan_to_num(hidden), WEIGHT, labels, kept)
    close(found, true, 1e-5 if dtype == "float32" else 1e-12)
    assert not found[1][gone].any()


@pytest.mark.parametrize("tile", [2000, 30_000, 700])
@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_many_tiles_in_rows_and_classes(framework: Framework, tile: int, reduction: str) -> None:
    if framework.name not in (*EAGER, "jax"):
        pytest.skip("a compiler takes long for so many tiles")
    rng = np.random.default_rng(5)
    hidden, bias = rng.standard_normal((1100, WIDTH)), rng.standard_normal(CLASSES)
    labels = rng.integers(-1, CLASSES, 1100)
    arrays = [framework.array(x, "float64") for x in (hidden, WEIGHT, bias)]
    targets = framework.array(labels, "int64")

    def loss(hidden: Any, weight: Any, bias: Any) -> Any:
        return xe.linear_cross_entropy(
            hidden, weight, targets, bias=bias, ignore_index=-1, reduction=reduction
        )

    with xe.options(block_size=tile):
        if framework.name == "numpy":
            found = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight", "bias"))(
                *arrays[:2], targets, bias=arrays[2], ignore_index=-1, reduction=reduction
            )
        else:
            found = framework.value_and_grads(loss, *arrays, wrt=(0, 1, 2))
    wide = np.concatenate([hidden, np.ones((1100, 1))], axis=1)
    head = np.concatenate([WEIGHT, bias[:, None]], axis=1)
    kept = np.flatnonzero(labels >= 0)
    value, by_wide, by_head = definition(wide, head, labels, kept)
    true = [by_wide[:, :-1], by_head[:, :-1], by_head[:, -1]]
    np.testing.assert_allclose(framework.numpy(found[0]).sum(), value * len(kept), rtol=1e-12)
    close(map(framework.numpy, found[1]), [len(kept) * x for x in true], 1e-10)


def test_what_an_ignored_row_holds_meets_no_gradient(framework: Framework) -> None:
    """In the general form too, which multiplies all rows."""
    hidden, labels = HIDDEN.copy(), LABELS.copy()
    hidden[3], labels[3] = np.inf, -1
    both = xe.value_and_grad(xe.linear_cross_entropy, wrt=("weight", "class_weights"))
    arrays = [framework.array(x, "float32") for x in (hidden, WEIGHT)]
    weights = framework.array(np.ones(CLASSES), "float32")
    labels_ = framework.array(labels, "int64")
    _, (by_weight, _) = both(*arrays, labels_, class_weights=weights, ignore_index=-1)
    true = definition(HIDDEN, WEIGHT, labels, np.delete(np.arange(ROWS), 3))[2]
    np.testing.assert_allclose(framework.numpy(by_weight), true, rtol=1e-5, atol=1e-6)


def test_ignored_rows_are_not_multiplied(
    framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    if framework.name != "numpy":
        pytest.skip("NumPy's products can be counted")
    from xentropy_numpy import _mutable

    product, rows = _mutable.product, []

    def counted(a: np.ndarray, b: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        rows.append(len(a))
        return product(a, b, out=out)

    monkeypatch.setattr(_mutable, "product", counted)
    labels = np.where(np.arange(ROWS) < 60, -1, LABELS)
    assert np.isfinite(xe.linear_cross_entropy(HIDDEN, WEIGHT, labels, ignore_index=-1))
    assert sum(rows) == 10


def test_every_row_ignored(framework: Framework) -> None:
    found = run(framework, HIDDEN, WEIGHT, np.full(ROWS, -1), "float32", ignore_index=-1)
    for x in found:
        assert not np.asarray(x).any()


def test_the_logits_are_not_held(framework: Framework) -> None:
    if framework.name != "numpy":
        pytest.skip("NumPy tells what it allocates")
    rows, classes = 3000, 20_000  # 240 MB of logits
    hidden = RNG.standard_normal((rows, 4), dtype=np.float32)
    weight = RNG.standard_normal((classes, 4), dtype=np.float32)
    labels = RNG.integers(0, classes, rows)
    both = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight"))
    tracemalloc.start()
    try:
        both(hidden, weight, labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64e6


@pytest.mark.parametrize("rows", [2048, 4096])
def test_xla_holds_a_block(framework: Framework, rows: int) -> None:
    if framework.name != "jax":
        pytest.skip("is about jax")
    import jax

    def loss(hidden: Any, weight: Any, labels: Any) -> Any:
        return xe.linear_cross_entropy(hidden, weight, labels)

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    shapes = [((rows, 64), np.float32), ((32_000, 64), np.float32), ((rows,), np.int32)]
    program = both.lower(*(jax.ShapeDtypeStruct(*each) for each in shapes)).compile()
    # The logits would be 262 and 524 MB, the gradient of the weight is 8.
    assert program.memory_analysis().temp_size_in_bytes < 80e6


def test_jax_hands_over_what_is_made(framework: Framework) -> None:
    if framework.name != "jax":
        pytest.skip("is about jax")
    import jax
    import jax.numpy as jnp

    hidden, labels = jnp.asarray(HIDDEN, jnp.float32), jnp.asarray(LABELS)

    def loss(weight: Any) -> Any:
        return xe.linear_cross_entropy(hidden, weight, labels)

    weight = jnp.asarray(WEIGHT, jnp.float32)
    one = jnp.ones((), jnp.float32)
    pull = jax.vjp(loss, weight)[1]
    first, second = pull(one)[0], pull(one)[0]
    assert first.unsafe_buffer_pointer() == second.unsafe_buffer_pointer()
    true = definition(HIDDEN, WEIGHT, LABELS, np.arange(ROWS))[2]
    close((first, pull(3 * one)[0]), (true, 3 * true), 1e-5)
    # A narrow gradient is what its own dtype holds of the product, and one in a graph is no number.
    narrow = jax.vjp(loss, weight.astype(jnp.bfloat16))[1]
    assert narrow(one)[0].dtype == narrow(3 * one)[0].dtype == jnp.bfloat16
    close((jax.jit(jax.grad(lambda w: 3 * loss(w)))(weight),), (3 * true,), 1e-5)


def test_more_logits_than_an_int32_counts(framework: Framework) -> None:
    if framework.name != "numpy":
        pytest.skip("once is enough")
    rows, classes = 70_000, 32_768
    assert rows * classes > 2**31
    # All rows but the first and the last are ignored: the others are counted, not multiplied.
    hidden = np.zeros((rows, 1), np.float32)
    hidden[0], hidden[-1] = 1.0, 2.0
    weight = np.linspace(-3, 3, classes, dtype=np.float32)[:, None]
    labels = np.full(rows, -1)
    labels[0], labels[-1] = 5, classes - 1
    kept = np.array([0, rows - 1])
    found = xe.value_and_grad(xe.linear_cross_entropy, wrt=("hidden", "weight"))(
        hidden, weight, labels, ignore_index=-1
    )
    true = definition(hidden.astype(np.float64), weight.astype(np.float64), labels, kept)
    close((found[0], *found[1]), true, 1e-6)


def test_labels_of_a_far_row_count(framework: Framework) -> None:
    """Every one of more than 2^31 logits is made."""
    if framework.name != "numpy":
        pytest.skip("once is enough")
    rows, classes = 66_000, 32_768
    assert rows * classes > 2**31
    hidden = np.ones((rows, 1), np.float32)
    weight = np.zeros((classes, 1), np.float32)
    loss = xe.linear_cross_entropy(hidden, weight, np.full(rows, classes - 1))
    np.testing.assert_allclose(loss, np.log(classes), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("tile", [None, 700])
def test_tensorflow_gets_memory_that_it_takes(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, dtype: str, tile: int | None
) -> None:
    """It ends the process where it meets any other."""
    if framework.name != "tensorflow":
        pytest.skip("is about tensorflow")
    from xentropy_tensorflow import _eager

    inner, places = _eager.tensor, []

    def noted(array: np.ndarray, like: Any) -> Any:
        places.append(array.ctypes.data % 64)
        return inner(array, like)

    monkeypatch.setattr(_eager, "tensor", noted)
    with xe.options(block_size=tile):
        for _ in range(8):
            run(framework, HIDDEN, WEIGHT, LABELS, dtype)
    assert places == [0] * 16


class TestTorch:
    """What PyTorch's users do with a loss."""

    @pytest.fixture(autouse=True)
    def _here(self, framework: Framework) -> None:
        if framework.name != "torch":
            pytest.skip("is about torch")

    def leaves(self) -> tuple[Any, ...]:
        import torch

        hidden, weight = (torch.tensor(x, requires_grad=True) for x in (HIDDEN, WEIGHT))
        return hidden, weight, torch.tensor(LABELS)

    def test_two_backwards(self) -> None:
        hidden, weight, labels = self.leaves()
        loss = xe.linear_cross_entropy(hidden, weight, labels)
        loss.backward(retain_graph=True)
        loss.backward()
        true = definition(HIDDEN, WEIGHT, LABELS)
        close((hidden.grad, weight.grad), (2 * true[1], 2 * true[2]), 1e-12)

    def test_gradients_are_added_to_those_that_are_there(self) -> None:
        import torch

        hidden, weight, labels = self.leaves()
        weight.grad = torch.ones_like(weight)
        (3 * xe.linear_cross_entropy(hidden, weight, labels)).backward()
        true = definition(HIDDEN, WEIGHT, LABELS)
        close((hidden.grad, weight.grad), (3 * true[1], 1 + 3 * true[2]), 1e-12)

    def test_only_what_is_asked_for(self, visits: list[str]) -> None:
        hidden, weight, labels = self.leaves()
        hidden.requires_grad_(False)
        (0.5 * xe.linear_cross_entropy(hidden, weight, labels)).backward()
        assert hidden.grad is None
        close((weight.grad,), (0.5 * definition(HIDDEN, WEIGHT, LABELS)[2],), 1e-12)
        assert visits == ["_in_one"]

    def test_losses_of_rows(self) -> None:
        import torch

        hidden, weight, labels = self.leaves()
        worth = torch.tensor(RNG.uniform(0.5, 2.0, ROWS))
        labels[5] = -100
        losses = xe.linear_cross_entropy(
            hidden, weight, labels, ignore_index=-100, reduction="none"
        )
        (worth * losses).sum().backward()
        x = hidden.detach() @ weight.detach().T
        p = torch.softmax(x, -1)
        p[torch.arange(ROWS), labels.clamp(min=0)] -= 1
        p[5] = 0
        p *= worth[:, None]
        close((hidden.grad, weight.grad), (p @ weight.detach(), p.T @ hidden.detach()), 1e-12)


@pytest.mark.backends("jax")
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_any_number_of_rows_is_exported(reduction: Any) -> None:
    """A symbol for the number of rows is one block; weights of many rows are scanned as ever."""
    import jax
    import jax.numpy as jnp

    def total(hidden: Any, weight: Any, labels: Any) -> Any:
        return xe.linear_cross_entropy(hidden, weight, labels, reduction=reduction).sum()

    (rows,) = jax.export.symbolic_shape("rows")
    shapes = ((rows, WIDTH), jnp.float32), ((CLASSES, WIDTH), jnp.float32), ((rows,), jnp.int32)
    grad = jax.jit(jax.grad(total, argnums=(0, 1)))
    exported = jax.export.export(grad)(*(jax.ShapeDtypeStruct(*one) for one in shapes))
    arrays = [jnp.asarray(HIDDEN, jnp.float32), jnp.asarray(WEIGHT, jnp.float32)]
    for found, wanted in zip(
        exported.call(*arrays, jnp.asarray(LABELS, jnp.int32)),
        definition(HIDDEN, WEIGHT, LABELS)[1:],
        strict=True,
    ):
        scale = 1 if reduction == "mean" else len(LABELS)
        np.testing.assert_allclose(found, wanted * scale, rtol=1e-4, atol=1e-5)


def graph_of_many_blocks(jit: bool, inside: bool) -> Any:
    """A function of hidden, weight and bias in TensorFlow: mean loss and gradients."""
    import tensorflow as tf

    labels = tf.constant(np.where(np.arange(len(LABELS)) % 5 == 0, -7, LABELS))

    def loss(*arrays: Any) -> Any:
        hidden, weight, bias = arrays
        return xe.linear_cross_entropy(hidden, weight, labels, bias=bias, ignore_index=-7)

    def both(*arrays: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            value = loss(*arrays)
        return value, tape.gradient(value, arrays)

    if inside:
        return tf.function(both, jit_compile=jit, autograph=False)
    compiled = tf.function(loss, jit_compile=jit, autograph=False)

    def outside(*arrays: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            value = 3.0 * compiled(*arrays)
        return value / 3.0, [g / 3.0 for g in tape.gradient(value, arrays)]

    return outside


@pytest.mark.backends("tensorflow")
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("jit", [False, True])
def test_a_graph_loops_over_blocks(jit: bool, inside: bool) -> None:
    import tensorflow as tf

    bias = RNG.standard_normal(CLASSES)
    arrays = [tf.constant(x, tf.float64) for x in (HIDDEN, WEIGHT, bias)]
    with xe.options(block_size=16 * CLASSES):  # blocks of 16 rows, and a shorter one
        function = graph_of_many_blocks(jit, inside)
        value, found = function(*arrays)
        if inside:
            graph = function.get_concrete_function(*arrays).graph
            assert any("While" in node.op for node in graph.as_graph_def().node)
    kept = np.flatnonzero(np.arange(len(LABELS)) % 5 != 0)
    wide = np.concatenate([HIDDEN, np.ones((len(HIDDEN), 1))], axis=1)
    loss, by_wide, by_head = definition(wide, np.c_[WEIGHT, bias], LABELS, kept)
    np.testing.assert_allclose(value, loss, rtol=1e-12)
    true = [by_wide[:, :-1], by_head[:, :-1], by_head[:, -1]]
    for got, wanted in zip(found, true, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


ROWS_OF_A_KIND = {
    # The label far ahead of all others: what is left of the loss is their sum.
    "confident": (60.0, 0.0),
    # Classes, and with them some labels, so far below that their share is 0 in float32.
    "hopeless": (0.0, -300.0),
}


@pytest.mark.backends("tensorflow")
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", ROWS_OF_A_KIND)
def test_exponentials_that_are_made_once_lose_nothing(
    kind: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three blocks of rows, four classes at a time; one is impossible, two rows are ignored."""
    import tensorflow as tf

    from xentropy_tensorflow import _graph_loops

    monkeypatch.setattr(_graph_loops, "PARTS", 4 * WIDTH)
    rng, (ahead, low), rows = np.random.default_rng(3), ROWS_OF_A_KIND[kind], 12
    labels = rng.integers(0, 18, rows) // 2 * 2
    bias = np.where(np.arange(18) < 4, low, 0.0)
    bias[labels] += ahead
    bias[17] = -np.inf
    if kind == "confident":
        labels, bias = np.full(rows, 6), np.where(np.arange(18) == 6, ahead, 0.0)
        bias[17] = -np.inf
    hidden, weight = HIDDEN[:rows].copy(), WEIGHT[:18]
    kept = np.arange(rows) // 2 != 2
    hidden[4], hidden[5], ignored = np.inf, 3e38, np.where(kept, labels, -1)

    def both(*arrays: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            hidden, weight, bias = arrays
            value = xe.linear_cross_entropy(
                hidden, weight, tf.constant(ignored), bias=bias, ignore_index=-1, reduction="sum"
            )
        return value, tape.gradient(value, arrays)

    arrays = [x.astype(np.float32) for x in (hidden, weight, bias)]
    with xe.options(block_size=5 * 18, compile=compiled):
        value, found = tf.function(both, autograph=False)(*map(tf.constant, arrays))
    hidden, weight, bias = (x.astype(np.float64) for x in arrays)
    x, label = hidden[kept] @ weight.T + bias, labels[kept]
    each = np.arange(len(x))
    depth = x - x[each, label][:, None]
    depth[each, label] = -np.inf
    others = np.exp(depth).sum(-1)
    np.testing.assert_allclose(value, np.log1p(others).sum(), rtol=3e-5)
    slope = np.exp(depth) / (1 + others)[:, None]
    slope[each, label] = -others / (1 + others)
    np.testing.assert_allclose(found[2], slope.sum(0), rtol=3e-5, atol=1e-37)
    wanted = np.zeros_like(hidden)
    wanted[kept] = slope @ weight
    for got, true in ((found[0], wanted), (found[1], slope.T @ hidden[kept])):
        np.testing.assert_allclose(got, true, rtol=1e-4, atol=1e-5 * np.abs(true).max())


OF_CLASSES = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2, "reduction": "sum"},
    "scaled": {"temperature": 0.5, "softcap": 2.0, "z_loss": 0.25},
}


@pytest.mark.backends("tensorflow")
@pytest.mark.parametrize(
    ("name", "weighed", "how", "dtype"),
    [
        ("plain", False, "compiled", "float32"),
        ("scaled", True, "compiled", "float64"),
        ("smoothed", True, "operations", "float32"),
        ("smoothed", True, "XLA", "float64"),
        ("smoothed", True, "XLA unnoticed", "float64"),
    ],
)
def test_a_graph_takes_some_classes_at_a_time(
    framework: Framework,
    name: str,
    weighed: bool,
    how: str,
    dtype: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four parts of four classes and one of two, by three blocks of rows."""
    import tensorflow as tf

    from xentropy_tensorflow import _graph_loops

    classes = 18
    monkeypatch.setattr(_graph_loops, "PART", 4 * WIDTH)
    monkeypatch.setattr(_graph_loops, "PARTS", 4 * WIDTH)
    added, looped = _graph_loops._added_in_parts, []
    spy = lambda *given: looped.append(given) or added(*given)  # noqa: E731
    monkeypatch.setattr(_graph_loops, "_added_in_parts", spy)
    if how == "XLA unnoticed":
        monkeypatch.setattr(_graph_loops, "GraphOrParentsInXlaContext", None)
    rng, given = np.random.default_rng(7), dict[str, Any](OF_CLASSES[name])
    bias, labels = rng.standard_normal(classes), rng.integers(0, classes, 12)
    if weighed:
        mask = rng.random(classes) < 0.8
        mask[labels] = True
        weights = {"class_weights": rng.random(classes), "sample_weights": rng.random(len(labels))}
        given |= {"where": mask, "ignore_index": int(labels[3]), **weights}

    def defined(hidden: Any, weight: Any, bias: Any) -> Any:
        return oracle.cross_entropy(hidden @ weight.T + bias, labels, **given)

    def both(*arrays: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            hidden, weight, bias = arrays
            value = xe.linear_cross_entropy(
                hidden, weight, tf.constant(labels), bias=bias, **tensors
            )
        return value, tape.gradient(value, arrays)

    arrays = [HIDDEN[: len(labels)], WEIGHT[:classes], bias]
    tensors = {
        k: framework.array(x, dtype) if k.endswith("weights") else x for k, x in given.items()
    }
    if weighed:
        tensors["where"] = tf.constant(mask)
    function = tf.function(both, jit_compile=how.startswith("XLA"), autograph=False)
    with xe.options(block_size=5 * classes, compile=how != "operations"):
        value, found = function(*(tf.constant(x, dtype) for x in arrays))
    assert bool(looped) == (how == "XLA")
    tolerance = 1e-9 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(value, defined(*arrays), rtol=tolerance)
    for i, got in enumerate(found):
        wanted = oracle.gradient(
            lambda x, i=i: defined(*arrays[:i], x, *arrays[i + 1 :]), arrays[i]
        )
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=max(tolerance, 1e-7))


@pytest.mark.backends("torch")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reduction": "none"},
        {"reduction": "sum", "label_smoothing": 0.1, "softcap": 3.0, "z_loss": 0.1},
        {"ignore_index": 3, "temperature": 0.5, "normalizer": 7.0},
    ],
    ids=str,
)
def test_compiled_it_is_one_operation(options: dict[str, Any]) -> None:
    """With the eager values and gradients, which other tests compare with the definition."""
    import torch
    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    bias = torch.from_numpy(RNG.standard_normal(CLASSES))
    labels = torch.from_numpy(LABELS)
    seen: list[str] = []

    def keep(graph: Any, _: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return make_boxed_func(graph.forward)

    def loss(hidden: Any, weight: Any, bias: Any) -> Any:
        return xe.linear_cross_entropy(hidden, weight, labels, bias=bias, **options)

    found = []
    for function in (
        loss,
        torch.compile(loss, fullgraph=True, backend=aot_autograd(fw_compiler=keep)),
    ):
        torch.compiler.reset()
        leaves = [x.clone().requires_grad_() for x in map(torch.as_tensor, (HIDDEN, WEIGHT, bias))]
        value = function(*leaves)
        worth = torch.arange(1, value.numel() + 1, dtype=value.dtype).reshape(value.shape)
        (2.5 * value * worth).sum().backward()
        found.append([value.detach(), *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(found[1], found[0], rtol=1e-14, atol=1e-15)
    assert [name for name in seen if name.startswith("xentropy.head_loss")]
    assert not [name for name in seen if ".mm." in name or "matmul" in name]


@pytest.mark.backends("torch")
@pytest.mark.parametrize("label", [-1, CLASSES, 2**40])
def test_compiled_a_label_that_is_no_class_makes_its_row_nan(label: int) -> None:
    """Nobody looks at labels while a program is traced; the other rows are what they were."""
    import torch

    def losses(hidden: Any, weight: Any, labels: Any) -> Any:
        return xe.linear_cross_entropy(hidden, weight, labels, reduction="none")

    labels = torch.from_numpy(LABELS.astype(np.int64))
    astray = labels.clone()
    astray[2] = label
    found = []
    for function, given in ((losses, labels), (torch.compile(losses, fullgraph=True), astray)):
        hidden, weight = (torch.as_tensor(x).clone().requires_grad_() for x in (HIDDEN, WEIGHT))
        value = function(hidden, weight, given)
        value.sum().backward()
        found.append((value.detach(), hidden.grad, weight.grad))
    (value, by_hidden, _), (lost, lost_hidden, lost_weight) = found
    others = torch.arange(len(LABELS)) != 2
    torch.testing.assert_close(lost[others], value[others], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(lost_hidden[others], by_hidden[others], rtol=1e-12, atol=1e-14)
    for gone in (lost[2], lost_hidden[2], lost_weight):
        assert gone.isnan().all()
    with pytest.raises(IndexError, match=str(label)):
        losses(hidden, weight, astray)
