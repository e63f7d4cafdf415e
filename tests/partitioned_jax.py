"""What is checked of losses that the compiler splits: arrays by a `NamedSharding`, under jit.

A program that holds slices of the classes must not gather them: neither the logits nor the weight
of a head are sent from device to device. The optimised program tells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracle
from devices_jax import CLASSES, LABELS, RNG, SAMPLES, SHARDS, SOFT, Checks, X, mesh, near, placed
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import xentropy as xe

CHECKS = Checks()
ROWS, FEATURES = 64, 16
HIDDEN, WEIGHT = RNG.standard_normal((4, 3)), RNG.standard_normal((8, 3))
# What moves arrays; a sum or a maximum of all devices may have the size of its result.
MOVING = "all-gather|all-to-all|collective-permute|ragged-all-to-all|collective-broadcast"


def messages(program: str, kinds: str) -> list[int]:
    """How many entries each message of some kinds has."""
    found = re.findall(rf"= (\(.*?\)|\S+) (?:{kinds})(?:-start)?\(", program)
    return [
        math.prod(int(n) for n in shape.split(",") if n)
        for types in found
        for shape in re.findall(r"\w+\[([\d,]*)\]", types)
    ]


def array(shape: tuple[int, ...], *axes: str | None, dtype: Any = jnp.float32, on: Any) -> Any:
    """The type of an array on several devices."""
    return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(on, P(*axes)))


def program(function: Callable[..., Any], *types: Any) -> str:
    """What a function is compiled to."""
    return str(jax.jit(function).lower(*types).compile().as_text())


def total_of_scores(*arrays: Any) -> Any:
    return sum(jnp.sum(x) for x in xe.score(*arrays)[:4])


def total_of_logsumexp(x: Any, _: Any) -> Any:
    return jnp.sum(xe.logsumexp(x, axis=-1))


def total_of_head_scores(*arrays: Any) -> Any:
    return sum(jnp.sum(x) for x in xe.linear_score(*arrays)[:4])


def slope_of_slope(x: Any, labels: Any) -> Any:
    return jax.grad(lambda x: jnp.sum(jax.grad(xe.cross_entropy)(x, labels) ** 2))(x)


def smoothed(x: Any, targets: Any) -> Any:
    return xe.cross_entropy(x, targets, label_smoothing=0.1, z_loss=0.1, ignore_index=3)


def softly_smoothed(x: Any, targets: Any) -> Any:
    return xe.cross_entropy(x, targets, label_smoothing=0.1)


def rows_of_head(hidden: Any, weight: Any, targets: Any) -> Any:
    return jnp.sum(xe.linear_cross_entropy(hidden, weight, targets, reduction="none"))


LABELLED: dict[str, Any] = {
    "cross_entropy": xe.cross_entropy,
    "its gradient": jax.value_and_grad(xe.cross_entropy),
    "value_and_grad": xe.value_and_grad(xe.cross_entropy),
    "smoothing": smoothed,
    "smoothing, gradient": jax.value_and_grad(smoothed),
    "logsumexp, gradient": jax.value_and_grad(total_of_logsumexp),
    "score": lambda *arrays: tuple(xe.score(*arrays)),
    "score, gradient": jax.value_and_grad(total_of_scores),
    "focal loss, gradient": jax.value_and_grad(xe.focal_loss),
    "second order": slope_of_slope,
}
GIVEN: dict[str, Any] = {
    "probabilities": xe.cross_entropy,
    "probabilities, gradients": jax.value_and_grad(xe.cross_entropy, (0, 1)),
    "probabilities, smoothing": jax.value_and_grad(softly_smoothed),
    "probabilities, score": lambda *arrays: tuple(xe.score(*arrays)),
}
HEADS: dict[str, Any] = {
    "head": xe.linear_cross_entropy,
    "head, gradients": jax.value_and_grad(xe.linear_cross_entropy, (0, 1)),
    "head, rows": jax.value_and_grad(rows_of_head, (0, 1)),
    "head, scores": jax.value_and_grad(total_of_head_scores, (0, 1)),
}
# Whole rows are one product, or more; some blocks of rows, whose parts of classes are looped over.
SIZES = {"few classes": (ROWS, 64), "many classes": (ROWS, 1024), "blocks": (2048, 8192)}
FEW = {"few classes": SIZES["few classes"]}


def types_of(rows: int, classes: int, on: Any) -> dict[str, Any]:
    by_row = "r" if len(on.axis_names) > 1 else None
    return {
        "logits": array((rows, classes), by_row, "k", on=on),
        "labels": array((rows,), by_row, dtype=jnp.int32, on=on),
        "hidden": array((rows, FEATURES), by_row, on=on),
        "weight": array((classes, FEATURES), "k", on=on),
    }


def is_silent(text: str, rows: int) -> None:
    """Nothing is gathered, and no sum is larger than the rows, or their hidden features."""
    assert not messages(text, MOVING)
    assert max(messages(text, "all-reduce|reduce-scatter")) <= rows * FEATURES


@CHECKS(LABELLED, {"many classes": SIZES["many classes"]})
@CHECKS({name: LABELLED[name] for name in ("its gradient", "score, gradient")}, FEW)
def labels(function: Any, size: tuple[int, int]) -> None:
    types = types_of(*size, mesh())
    is_silent(program(function, types["logits"], types["labels"]), ROWS)


@CHECKS(GIVEN, {"many classes": SIZES["many classes"]})
@CHECKS({"gradients": GIVEN["probabilities, gradients"]}, FEW)
def probabilities(function: Any, size: tuple[int, int]) -> None:
    types = types_of(*size, mesh())
    is_silent(program(function, types["logits"], types["logits"]), ROWS)


@CHECKS(HEADS, {name: SIZES[name] for name in ("few classes", "blocks")})
def heads(function: Any, size: tuple[int, int]) -> None:
    types = types_of(*size, mesh())
    text = program(function, types["hidden"], types["weight"], types["labels"])
    is_silent(text, size[0])


@CHECKS()
def class_axis_before_another() -> None:
    on = mesh()
    x, targets = array((8, 64, 8), None, "k", on=on), array((8, 8), dtype=jnp.int32, on=on)
    loss = jax.value_and_grad(lambda x, y: xe.cross_entropy(x, y, axis=1))
    is_silent(program(loss, x, targets), ROWS)


@CHECKS({name: LABELLED[name] for name in ("its gradient", "score", "score, gradient")})
def rows_and_classes(function: Any) -> None:
    """Where rows are shared too, single numbers of them may travel, and no classes."""
    types = types_of(ROWS, 1024, mesh(2, 4))
    text = program(function, types["logits"], types["labels"])
    assert max(messages(text, MOVING), default=0) <= 2 * ROWS


@CHECKS()
def what_a_check_sees() -> None:
    """A program that gathers is seen: logits everywhere, and places of largest entries."""
    types, everywhere = types_of(ROWS, 1024, mesh()), NamedSharding(mesh(), P())

    def naive(x: Any, targets: Any) -> Any:
        return xe.cross_entropy(jax.lax.with_sharding_constraint(x, everywhere), targets)

    text = program(jax.value_and_grad(naive), types["logits"], types["labels"])
    assert ROWS * 1024 in messages(text, "all-gather")
    text = program(lambda x: jnp.argmax(x, axis=-1), types["logits"])
    assert messages(text, "all-gather")


# Values.


@CHECKS()
def values_and_gradients() -> None:
    """The programs that are split compute what is meant; eager arrays on several devices too."""
    options = {"label_smoothing": 0.1, "sample_weights": SAMPLES, "class_weights": CLASSES}
    given = {key: jnp.asarray(x) for key, x in options.items() if key != "label_smoothing"}
    x, labels, soft = placed(X, None, "k"), placed(LABELS), placed(SOFT, None, "k")
    for targets, plain in ((labels, LABELS), (soft, SOFT)):

        def loss(x: Any, targets: Any = targets) -> Any:
            return xe.cross_entropy(x, targets, label_smoothing=0.1, **given)

        def definition(x: Any, plain: Any = plain) -> Any:
            return oracle.cross_entropy(x, plain, **options)

        near(loss(x), definition(X))
        found, gradient = jax.jit(jax.value_and_grad(loss))(x)
        near(found, definition(X))
        near(gradient, oracle.gradient(definition, X), 1e-8, 1e-10)
        assert gradient.sharding.is_equivalent_to(x.sharding, 2)


@CHECKS()
def corners() -> None:
    """Of rows whose loss is not finite, ties and confident rows all are visited again."""
    inf, nan = np.inf, np.nan
    rows = [[-inf] * 8, [0, inf, 0, 0, 0, 0, inf, 0], [0, 0, 0, 0, 0, 0, nan, 0]]
    rows += [[3, 1, 2, 3, 3, 0, 0, 3], [60, 0, 0, 0, 0, 0, 0, 0], [-inf, 0, 0, 0, 0, 0, 0, 0]]
    x, targets = placed(np.array(rows), None, "k"), placed(np.array([0, 1, 1, 7, 0, 0]))
    found = xe.score(x, targets)
    tied = oracle.cross_entropy(np.array(rows[3:4]), np.array([7]))
    np.testing.assert_allclose(
        found.loss, [nan, nan, nan, tied, 7 * np.exp(-60.0), inf], rtol=1e-13
    )
    np.testing.assert_array_equal(found.prediction, [0, 1, 6, 0, 0, 1])
    loss = xe.cross_entropy(x, targets, reduction="none")
    np.testing.assert_allclose(loss, found.loss, rtol=1e-13)


@CHECKS()
def gradients_of_heads() -> None:
    hidden, weight, targets = placed(HIDDEN), placed(WEIGHT, "k"), placed(LABELS)

    def definition(h: Any, w: Any) -> Any:
        return oracle.cross_entropy(h @ w.T, LABELS)

    near(xe.linear_cross_entropy(hidden, weight, targets), definition(HIDDEN, WEIGHT))
    made = jax.jit(jax.grad(xe.linear_cross_entropy, (0, 1)))(hidden, weight, targets)
    near(made[0], oracle.gradient(lambda h: definition(h, WEIGHT), HIDDEN), 1e-8, 1e-10)
    near(made[1], oracle.gradient(lambda w: definition(HIDDEN, w), WEIGHT), 1e-8, 1e-10)


@CHECKS()
def vmap() -> None:
    """A batch of programs that are split."""
    batch = placed(np.stack([X, -X]), None, None, "k")
    found = jax.jit(jax.vmap(lambda x: xe.score(x, placed(LABELS))))(batch)
    near(found.loss[1], oracle.cross_entropy(-X, LABELS, reduction="none"))
    np.testing.assert_array_equal(found.prediction, np.asarray(batch).argmax(-1))


@CHECKS()
def explicit_axes() -> None:
    """Where types have shardings, `jax.sharding.auto_axes` leaves them to the compiler."""
    on = jax.make_mesh((SHARDS,), ("k",), (AxisType.Explicit,), devices=jax.devices()[:SHARDS])
    with jax.set_mesh(on):
        x, targets = placed(X, None, "k", on=on), placed(LABELS, on=on)
        loss = jax.sharding.auto_axes(xe.cross_entropy, out_sharding=P())
        found, gradient = jax.jit(jax.value_and_grad(loss))(x, targets)
        text = program(jax.value_and_grad(loss), x, targets)
    near(found, oracle.cross_entropy(X, LABELS))
    want = oracle.gradient(lambda x: oracle.cross_entropy(x, LABELS), X)
    near(gradient, want, 1e-8, 1e-10)
    assert jax.typeof(gradient).sharding.spec == P(None, "k")
    assert not messages(text, MOVING)
