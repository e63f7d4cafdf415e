"""What is checked of single rows of slices inside `jax.shard_map`: accuracy, corners, scores.

Each is tried with and without the types that say what varies. The oracle is NumPy and mpmath.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracle
from devices_jax import CLASSES, LABELS, NUMBERS, SOFT, Checks, X, by_class, names, near, sharded
from jax.sharding import PartitionSpec as P

import xentropy as xe

CHECKS = Checks()
TYPED = {"typed": True, "untyped": False}

# Corners, in float32 as they are used.


def of_rows(rows: Any, targets: Any, typed: bool, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Losses of float32 rows, and the gradient of their sum."""
    x, labels = jnp.asarray(rows, jnp.float32), jnp.asarray(np.array(targets))
    loss = functools.partial(xe.cross_entropy, reduction="none", group="k", **options)
    ours = sharded(loss, (by_class(x), P()), typed)

    def total(x: Any) -> Any:
        losses = ours(x, labels)
        return jnp.sum(losses), losses

    (_, losses), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(x)
    return np.asarray(losses), np.asarray(gradient)


INF, NAN = np.inf, np.nan
CONFIDENT = {
    "one top": [30, 0, 0, 0, 0, -3, 0, 2],
    "tops on two devices": [9, 0, 0, 9, 1, 2, 3, 4],
    "tops on one device": [9, 9, 0, 0, 1, 2, 3, 4],
    "far apart": [-40, 30, 5, -2, 0, 0, 28, 1],
    "shifted": [1030, 1000, 1000, 1000, 1000, 997, 1000, 1002],
    "a device far below": [0, 1, 2, 3, 4, 5, -70, -75],
}


@functools.cache
def of_confident(typed: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of every row with every label, in one program."""
    rows, count = [row for row in CONFIDENT.values() for _ in range(8)], len(CONFIDENT)
    losses, gradient = of_rows(rows, [*range(8)] * count, typed)
    pairs = zip(losses.reshape(count, 8), gradient.reshape(count, 8, 8), strict=True)
    return dict(zip(CONFIDENT, pairs, strict=True))


@CHECKS(TYPED, names(*CONFIDENT))
def accuracy(typed: bool, name: str) -> None:
    row, (losses, gradient) = CONFIDENT[name], of_confident(typed)[name]
    for label in range(8):
        loss, wanted, _ = oracle.exact_row(row, np.eye(8)[label])
        room = 4 + max(row) - row[label]
        assert oracle.ulps(losses[label], loss, "float32") <= room
        for j, found in enumerate(gradient[label]):
            room = 4 + max(row) - min(row[j], row[label])
            assert oracle.ulps(found, wanted[j], "float32") <= room, (label, j)


CORNERS: dict[str, Any] = {
    # A row, its label, its loss, and what is 0 or NaN of its gradient; None is a finite row.
    "a device of -inf": ([-INF, -INF, 1, 2, 0, 0, 0, 0], 2, None, None),
    "all but one device -inf": ([-INF] * 6 + [1, 1], 7, np.log(2), None),
    "the label at -inf": ([-INF, -INF, 1, 2, 0, 0, 0, 0], 0, INF, None),
    "all -inf": ([-INF] * 8, 3, NAN, NAN),
    "+inf at the label": ([0, 0, 0, INF, 0, 0, 0, 0], 3, 0.0, None),
    "+inf elsewhere": ([0, 0, 0, INF, 0, 0, 0, 0], 7, INF, None),
    "+inf on two devices": ([0, INF, 0, 0, 0, 0, INF, 0], 1, NAN, NAN),
    "NaN": ([0, 0, 0, 0, 0, 0, NAN, 0], 1, NAN, NAN),
    "a label below": ([1, 2, 3, 4, 5, 6, 7, 8], -1, NAN, NAN),
    "a label above": ([1, 2, 3, 4, 5, 6, 7, 8], 8, NAN, NAN),
    "a label far above": ([1, 2, 3, 4, 5, 6, 7, 8], 2**31 - 1, NAN, NAN),
    "ignored": ([NAN, INF, -INF, 4, 5, 6, 7, 8], -100, 0.0, 0.0),
}


@functools.cache
def of_corners(typed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Of all corners, and of a row beside them that is finite."""
    rows, labels, *_ = zip(*CORNERS.values(), strict=True)
    return of_rows([*rows, X[0]], [*labels, 7], typed, ignore_index=-100)


@CHECKS(TYPED, names(*CORNERS))
def corners(typed: bool, name: str) -> None:
    (row, label, want, slope), (losses, gradient) = CORNERS[name], of_corners(typed)
    i = list(CORNERS).index(name)
    if want is None:
        want = oracle.cross_entropy(np.array([row]), np.array([label]))
    near(losses[i], want, 1e-6)
    if slope is not None:
        near(gradient[i], np.full(8, slope))


@CHECKS(TYPED)
def beside_corners(typed: bool) -> None:
    """A row stays what it is."""
    losses, gradient = of_corners(typed)
    near(losses[-1], oracle.cross_entropy(X[:1], np.array([7])), 1e-6)
    p = np.exp(X[0]) / np.exp(X[0]).sum()
    near(gradient[-1], p - np.eye(8)[7], 1e-5, 1e-6)


@CHECKS(TYPED)
def half_precision(typed: bool) -> None:
    x = jnp.asarray(X, jnp.bfloat16)
    plain = np.asarray(x, np.float64)
    ours = sharded(lambda x: xe.cross_entropy(x, NUMBERS, group="k"), by_class(X), typed)
    found, gradient = jax.value_and_grad(ours)(x)
    assert (found.dtype, gradient.dtype) == (jnp.float32, jnp.bfloat16)
    near(found, oracle.cross_entropy(plain, LABELS), 1e-6)
    want = oracle.gradient(lambda x: oracle.cross_entropy(x, LABELS), plain)
    near(gradient, want, 2**-8, 1e-9)


TIED = np.array(
    [[3, 1, 2, 3, 3, 0, 0, 3], [0, 0, 1, 5, 0, 5, 5, 0], [0] * 8, [1, 2, NAN, 9, 0, NAN, 9, 9]]
)


@CHECKS(TYPED, names("labels", "probabilities"))
def scores(typed: bool, name: str) -> None:
    x, soft = np.concatenate([X, TIED[:3]]), np.concatenate([SOFT, np.eye(8)[[7, 3, 1]]])
    soft = soft / soft.sum(-1, keepdims=True)
    labels = np.concatenate([LABELS, [3, 3, 1]])
    targets, t = (labels, np.eye(8)[labels]) if name == "labels" else (soft, soft)
    wide = P() if name == "labels" else by_class(soft)
    ours = sharded(
        lambda x, t: tuple(xe.score(x, t, group="k")), (by_class(x), wide), typed, (P(),) * 6
    )
    log_p = x - np.log(np.exp(x).sum(-1, keepdims=True))
    p = np.exp(log_p)
    loss, log_prob, lse, entropy, prediction, correct = ours(jnp.asarray(x), jnp.asarray(targets))
    near(loss, -(t * log_p).sum(-1))
    near(log_prob, (t * log_p).sum(-1))
    near(lse, np.log(np.exp(x).sum(-1)))
    near(entropy, -(p * log_p).sum(-1))
    np.testing.assert_array_equal(prediction, x.argmax(-1))
    np.testing.assert_array_equal(correct, x.argmax(-1) == t.argmax(-1))
    for i in range(4):

        def total(x: Any, i: int = i) -> Any:
            return jnp.sum(ours(x, jnp.asarray(targets))[i])

        def definition(x: np.ndarray, i: int = i) -> Any:
            log_p = x - np.log(np.exp(x).sum(-1, keepdims=True))
            terms = (-t * log_p, t * log_p, x - log_p, -np.exp(log_p) * log_p)[i]
            return terms[..., 0] if i == 2 else terms.sum(-1)

        near(jax.grad(total)(jnp.asarray(x)), oracle.gradient(definition, x), 1e-7, 1e-9)


@CHECKS(TYPED)
def prediction_of_nan(typed: bool) -> None:
    """As on one device NaN is the largest, the first of them."""
    ours = sharded(
        lambda x: xe.score(x, jnp.zeros(4, int), group="k").prediction, P(None, "k"), typed
    )
    np.testing.assert_array_equal(ours(jnp.asarray(TIED)), TIED.argmax(-1))


@CHECKS(TYPED, names("plain", "weighted", "signed", "masked"))
def logsumexp(typed: bool, name: str) -> None:
    b = {"weighted": CLASSES, "signed": CLASSES * np.cos(3 * np.arange(8))}.get(name, np.ones(8))
    mask = np.arange(8) % 3 != 1 if name == "masked" else np.ones(8, bool)
    arrays, specs = (X, b, mask), (by_class(X), P("k"), P("k"))

    def value(x: Any, b: Any, mask: Any) -> Any:
        options: dict[str, Any] = {} if name == "plain" else {"b": b, "where": mask}
        options.update(axis=1, keepdims=True, group="k")
        if name == "signed":
            return tuple(xe.logsumexp(x, return_sign=True, **options))
        return xe.logsumexp(x, **options)

    def definition(x: np.ndarray) -> Any:
        return np.log(np.abs(np.sum(np.where(mask, b, 0) * np.exp(x), -1, keepdims=True)))

    out = (P(), P()) if name == "signed" else P()
    ours = sharded(value, specs, typed, out)
    found = ours(*map(jnp.asarray, arrays))
    if name == "signed":
        near(found[1], np.sign(np.sum(b * np.exp(X), -1, keepdims=True)))
        found = found[0]
    near(found, definition(X))

    def total(*arrays: Any) -> Any:
        values = ours(*arrays)
        return jnp.sum(values[0] if name == "signed" else values)

    gradient = jax.grad(total)(*map(jnp.asarray, arrays))
    near(gradient, oracle.gradient(definition, X), 1e-8, 1e-10)


@CHECKS(TYPED)
def no_axis(typed: bool) -> None:
    """A name that is not bound, and what is no name."""
    x = jnp.asarray(X)
    for group, error in (("k", ValueError), (3, TypeError)):
        try:
            xe.cross_entropy(x, NUMBERS, group=group)
        except error as found:
            assert "group must be the name of an axis" in str(found), found  # noqa: PT017
        else:
            raise AssertionError(group)
    del typed
