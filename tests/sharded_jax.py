"""What is checked of losses of slices inside `jax.shard_map`, and of their derivatives.

Each is tried with and without the types that say what varies. The oracle is NumPy.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracle
from devices_jax import (
    CLASSES,
    LABELS,
    NUMBERS,
    RNG,
    SAMPLES,
    SHARDS,
    SOFT,
    Checks,
    X,
    by_class,
    mesh,
    names,
    near,
    sharded,
)
from jax.sharding import PartitionSpec as P

import xentropy as xe

CHECKS = Checks()
TYPED = {"typed": True, "untyped": False}
V, BARS = RNG.standard_normal(X.shape), RNG.standard_normal(4)
MASK = np.array([True, False, True, True, True, True, False, True])
# Which classes take part in which row; the targets' do.
WIDE_MASK = (RNG.random(X.shape) < 0.6) | (np.arange(8) == LABELS[:, None])

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothing": {"label_smoothing": 0.2},
    "none": {"reduction": "none", "label_smoothing": 0.1},
    "valid": {"normalizer": "valid"},
    "batch": {"normalizer": "batch"},
    "number": {"normalizer": 7.0},
    "ignored": {"ignore_index": 2},
    "ignored, valid": {"ignore_index": 2, "normalizer": "valid", "z_loss": 0.1},
    "mask": {"where": MASK},
    "smoothing, mask of all rows": {"label_smoothing": 0.2, "where": WIDE_MASK},
    "everything": {"label_smoothing": 0.2, "z_loss": 0.1, "temperature": 1.5, "softcap": 4.0},
}


class Case:
    """A loss of slices with its options, and its definition; weights of classes and rows."""

    def __init__(self, typed: bool, targets: np.ndarray, **options: Any) -> None:
        self.where = options.pop("where", None)
        self.targets, self.options = targets, options
        self.bars = BARS if options.get("reduction") == "none" else np.ones(())
        arrays = (X, targets, SAMPLES, CLASSES)
        wide = by_class(targets) if targets.ndim == X.ndim else P()
        mask = self.where if self.where is not None else np.ones(8, bool)
        specs = (by_class(X), wide, P(), P("k"), by_class(mask))
        self.arrays, self.mask = tuple(map(jnp.asarray, arrays)), jnp.asarray(mask)
        self.of_slices = sharded(self._ours, specs, typed)

    def _ours(self, x: Any, targets: Any, samples: Any, classes: Any, mask: Any) -> Any:
        where = None if self.where is None else mask
        weights = {"sample_weights": samples, "class_weights": classes}
        return xe.cross_entropy(x, targets, where=where, group="k", **weights, **self.options)

    def total(self, *arrays: Any) -> Any:
        """The loss, or of the rows' losses a sum."""
        return jnp.sum(self.of_slices(*arrays, self.mask) * self.bars)

    def definition(self, x: Any, targets: Any, samples: Any, classes: Any) -> Any:
        options: dict[str, Any] = {**self.options, "where": self.where}
        weights = {"sample_weights": samples, "class_weights": classes}
        return oracle.cross_entropy(x, targets, **weights, **options)

    def wanted(self, place: int, x: np.ndarray = X) -> np.ndarray:
        """The gradient by one of the arrays."""
        arrays = [x, self.targets, SAMPLES, CLASSES]

        def moved(changed: np.ndarray) -> Any:
            arrays[place] = changed
            return self.definition(*arrays) * self.bars

        return oracle.gradient(moved, arrays[place])


# Those that make a difference to probabilities, and to arrays of which every device has a copy.
SOFT_OPTIONS = ("plain", "none", "valid", "smoothing, mask of all rows", "everything")
COPIED = ("plain", "none", "ignored, valid", "everything")


@CHECKS({"typed": True}, names(*OPTIONS))
@CHECKS({"untyped": False}, names(*COPIED))
def losses(typed: bool, name: str) -> None:
    agree(typed, LABELS, (0, 2, 3), **OPTIONS[name])


@CHECKS({"typed": True}, names(*SOFT_OPTIONS))
@CHECKS({"untyped": False}, names(*SOFT_OPTIONS[::2]))
def losses_of_probabilities(typed: bool, name: str) -> None:
    if "where" in OPTIONS[name]:  # a target on a class that takes no part is infinitely wrong
        agree(typed, np.where(OPTIONS[name]["where"], SOFT, 0.0), (0, 2, 3), **OPTIONS[name])
    else:
        agree(typed, SOFT, (0, 1, 2, 3), **OPTIONS[name])


def agree(typed: bool, targets: np.ndarray, places: tuple[int, ...], **options: Any) -> None:
    """Values and gradients: by the logits alone, and by several arrays at once."""
    case = Case(typed, targets, **options)

    def ours(*arrays: Any) -> Any:
        loss = case.of_slices(*arrays, case.mask)
        of_all = jax.grad(case.total, places)(*arrays)
        return loss, jax.grad(case.total)(*arrays), of_all

    value, of_logits, of_all = jax.jit(ours)(*case.arrays)
    near(value, case.definition(X, targets, SAMPLES, CLASSES))
    near(of_logits, case.wanted(0), 1e-8, 1e-10)
    for place, gradient in zip(places, of_all, strict=True):
        near(gradient, case.wanted(place), 1e-8, 1e-10)


@CHECKS(TYPED, names("plain", "none", "everything"))
def second_order(typed: bool, name: str) -> None:
    """Of the loss and its slope along V at once, as a penalty on a gradient has it."""
    case = Case(typed, LABELS, **OPTIONS[name])

    def penalized(x: Any) -> Any:
        found, gradient = jax.value_and_grad(case.total)(x, *case.arrays[1:])
        return found + jnp.sum(gradient * V)

    step = 1e-4
    want = (case.wanted(0, X + step * V) - case.wanted(0, X - step * V)) / (2 * step)
    near(jax.jit(jax.grad(penalized))(X), case.wanted(0) + want, 1e-5, 1e-7)
    slope = jax.jit(lambda x, v: jax.jvp(penalized, (x,), (v,))[1])(X, V)
    near(slope, np.sum((case.wanted(0) + want) * V), 1e-5, 1e-7)


@CHECKS(TYPED, names("plain", "valid", "everything"))
def mixed_second_order(typed: bool, name: str) -> None:
    """The gradient's slope along V, by the weights of rows and of classes."""
    case = Case(typed, LABELS, **OPTIONS[name])

    def slope(samples: Any, classes: Any) -> Any:
        x, targets = case.arrays[:2]
        return jnp.sum(jax.grad(case.total)(x, targets, samples, classes) * V)

    step = 1e-4
    made = jax.jit(jax.grad(slope, (0, 1)))(*case.arrays[2:])
    for place, gradient in zip((2, 3), made, strict=True):
        want = (case.wanted(place, X + step * V) - case.wanted(place, X - step * V)) / (2 * step)
        near(gradient, want, 1e-5, 1e-7)


@CHECKS(TYPED, names("plain", "none", "everything"))
def forward_mode(typed: bool, name: str) -> None:
    case = Case(typed, LABELS, **OPTIONS[name])
    x, targets, *weights = case.arrays

    def of_floats(*floats: Any) -> Any:
        return case.total(floats[0], targets, *floats[1:])

    along = (V, np.cos(SAMPLES), np.sin(CLASSES))
    slope = jax.jvp(of_floats, (x, *weights), tuple(map(jnp.asarray, along)))[1]
    want = sum(np.sum(case.wanted(i) * d) for i, d in zip((0, 2, 3), along, strict=True))
    near(slope, want, 1e-8, 1e-10)


@CHECKS(TYPED)
def vmap(typed: bool) -> None:
    """Over the whole, and inside."""
    batch = jnp.stack([X, X + V, 3 * V])
    want = [oracle.cross_entropy(np.asarray(x), LABELS) for x in batch]
    wanted = [Case(typed, LABELS).wanted(0, np.asarray(x)) for x in batch]

    def loss(x: Any) -> Any:
        return xe.cross_entropy(x, jnp.asarray(LABELS), group="k")

    outside = jax.vmap(sharded(loss, by_class(X), typed))
    inside = sharded(jax.vmap(loss), P(None, None, "k"), typed)
    near(outside(batch), want)
    near(inside(batch), want)
    gradient = jax.grad(lambda x: jnp.sum(inside(x)))(batch)
    ones = oracle.gradient(lambda x: oracle.cross_entropy(x, LABELS), np.asarray(batch[1]))
    near(gradient[1], ones, 1e-8, 1e-10)
    assert len(wanted) == len(gradient)


@CHECKS(TYPED)
def inside(typed: bool) -> None:
    """Gradients that are taken where the slices are; see the docs for those without types."""

    def gradient(x: Any, samples: Any) -> Any:
        return jax.grad(of_both, (0, 1))(x, samples)

    def of_both(x: Any, samples: Any) -> Any:
        return xe.cross_entropy(x, NUMBERS, sample_weights=samples, group="k")

    def own(x: Any, samples: Any) -> Any:
        loss = xe.value_and_grad(xe.cross_entropy, wrt=("logits", "sample_weights"))
        return loss(x, NUMBERS, sample_weights=samples, group="k")[1]

    def definition(x: Any, samples: Any) -> Any:
        return oracle.cross_entropy(x, LABELS, sample_weights=samples)

    wanted = (
        oracle.gradient(lambda x: definition(x, SAMPLES), X),
        oracle.gradient(lambda s: definition(X, s), SAMPLES),
    )
    specs, arrays = (by_class(X), P()), (jnp.asarray(X), jnp.asarray(SAMPLES))
    made = sharded(own, specs, typed, specs)(*arrays)
    for found, want in zip(made, wanted, strict=True):
        near(found, want, 1e-8, 1e-10)
    if typed:
        for found, want in zip(
            sharded(gradient, specs, typed, specs)(*arrays), wanted, strict=True
        ):
            near(found, want, 1e-8, 1e-10)
    else:
        of_logits = sharded(gradient, specs, typed, (by_class(X), P("k")))(*arrays)[0]
        near(of_logits, SHARDS * wanted[0], 1e-8, 1e-10)


@CHECKS(TYPED)
def rows_on_other_devices(typed: bool) -> None:
    """A mesh of rows and classes: the user adds up over the rows."""

    def loss(x: Any, labels: Any, samples: Any) -> Any:
        options = {"sample_weights": samples, "group": "k", "reduction": "sum"}
        return jax.lax.psum(xe.cross_entropy(x, labels, **options), "r")

    specs = (P("r", "k"), P("r"), P("r"))
    total = sharded(loss, specs, typed, on=mesh(2, 4))
    arrays = tuple(map(jnp.asarray, (X, LABELS, SAMPLES)))
    options = {"sample_weights": SAMPLES, "reduction": "sum"}
    near(total(*arrays), oracle.cross_entropy(X, LABELS, **options))
    made = jax.grad(total, (0, 2))(*arrays)
    near(made[0], oracle.gradient(lambda x: oracle.cross_entropy(x, LABELS, **options), X), 1e-8)
    rows = oracle.cross_entropy(X, LABELS, reduction="none")
    near(made[1], rows, 1e-8)


@CHECKS(TYPED)
def weights_of_other_types(typed: bool) -> None:
    """Weights that vary though they are alike, and class weights that do not vary."""

    def loss(x: Any, samples: Any, factor: Any) -> Any:
        alike = samples if not typed else jax.lax.pcast(samples, "k", to="varying")
        weights = {"sample_weights": alike, "class_weights": factor * jnp.arange(1.0, 3.0)}
        return xe.cross_entropy(x, NUMBERS, group="k", reduction="sum", **weights)

    def definition(x: Any, samples: Any, factor: Any) -> Any:
        classes = factor * np.tile([1.0, 2.0], 4)
        weights = {"sample_weights": samples, "class_weights": classes}
        return oracle.cross_entropy(x, LABELS, reduction="sum", **weights)

    arrays, specs = (X, SAMPLES, np.array(1.5)), (by_class(X), P(), P())
    ours = sharded(loss, specs, typed)
    near(ours(*map(jnp.asarray, arrays)), definition(*arrays))
    made = jax.grad(ours, (0, 1, 2))(*map(jnp.asarray, arrays))
    for place, found in enumerate(made):

        def moved(x: np.ndarray, place: int = place) -> Any:
            return definition(*(x if i == place else a for i, a in enumerate(arrays)))

        near(found, oracle.gradient(moved, arrays[place]), 1e-8, 1e-10)


VARIANTS: dict[str, Any] = {
    "focal_loss": (xe.focal_loss, {"gamma": 2.0}, lambda p: -((1 - p) ** 2) * np.log(p)),
    "poly_loss": (xe.poly_loss, {"epsilon": 1.5}, lambda p: -np.log(p) + 1.5 * (1 - p)),
    "generalized_cross_entropy": (
        xe.generalized_cross_entropy,
        {"q": 0.6},
        lambda p: (1 - p**0.6) / 0.6,
    ),
}


@CHECKS(TYPED, names(*VARIANTS))
def variants(typed: bool, name: str) -> None:
    function, options, curve = VARIANTS[name]
    ours = sharded(
        lambda x: function(x, NUMBERS, group="k", label_smoothing=0.1, **options),
        by_class(X),
        typed,
    )

    def definition(x: Any) -> Any:
        return oracle.cross_entropy(x, LABELS, label_smoothing=0.1, curve=curve)

    near(ours(jnp.asarray(X)), definition(X))
    near(jax.grad(ours)(jnp.asarray(X)), oracle.gradient(definition, X), 1e-8, 1e-10)


@CHECKS(TYPED, names("0", "1"))
def other_axes(typed: bool, name: str) -> None:
    axis = int(name)
    x = np.moveaxis(RNG.standard_normal((2, 3, 8)), -1, axis)
    labels = RNG.integers(0, 8, (2, 3))
    options: dict[str, Any] = {"axis": axis, "reduction": "none"}
    ours = sharded(
        lambda x: xe.cross_entropy(x, labels.tolist(), group="k", **options),
        by_class(x, axis),
        typed,
    )

    def definition(x: Any) -> Any:
        return oracle.cross_entropy(x, labels, **options)

    near(ours(jnp.asarray(x)), definition(x))
    gradient = jax.grad(lambda x: jnp.sum(ours(x)))(jnp.asarray(x))
    near(gradient, oracle.gradient(definition, x), 1e-8, 1e-10)


@CHECKS(TYPED, names("labels", "probabilities"))
def heads(typed: bool, name: str) -> None:
    """Their gradients, and one more derivative."""
    hidden, weight = RNG.standard_normal((4, 3)), RNG.standard_normal((8, 3))
    bias, targets = RNG.standard_normal(8), LABELS if name == "labels" else SOFT
    wide = P() if name == "labels" else by_class(SOFT)

    def loss(h: Any, w: Any, b: Any, targets: Any) -> Any:
        return xe.linear_cross_entropy(h, w, targets, bias=b, label_smoothing=0.1, group="k")

    ours = sharded(loss, (P(), P("k"), P("k"), wide), typed)

    def definition(*arrays: Any) -> Any:
        h, w, b = arrays
        return oracle.cross_entropy(h @ w.T + b, targets, label_smoothing=0.1)

    arrays = (hidden, weight, bias)
    given = (*map(jnp.asarray, arrays), jnp.asarray(targets))
    near(ours(*given), definition(*arrays))
    made = jax.jit(jax.grad(ours, (0, 1, 2)))(*given)
    alone = jax.jit(lambda *arrays: [jax.grad(ours, i)(*arrays) for i in range(3)])(*given)
    for place in range(3):

        def moved(x: np.ndarray, place: int = place) -> Any:
            return definition(*(x if i == place else a for i, a in enumerate(arrays)))

        want = oracle.gradient(moved, arrays[place])
        near(made[place], want, 1e-8, 1e-10)
        near(alone[place], want, 1e-8, 1e-10)
    curved = jax.jit(jax.grad(lambda h: jnp.sum(jax.grad(ours)(h, *given[1:]) ** 2)))(given[0])

    def slope(h: np.ndarray) -> Any:
        return np.sum(oracle.gradient(lambda h: definition(h, weight, bias), h) ** 2)

    near(curved, oracle.gradient(slope, hidden, 1e-3), 1e-5, 1e-7)
