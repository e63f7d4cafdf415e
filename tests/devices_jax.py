"""What checks of several JAX devices stand on, which run in a process of their own.

Devices are made when JAX starts; see test_sharded_jax.py.
"""

from __future__ import annotations

import functools
import importlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from pages import run
from processes import Rank

SHARDS, ALIKE = 4, P()
RNG = np.random.default_rng(11)
X = RNG.standard_normal((4, 8)) * 2
LABELS, SOFT = np.array([7, 2, 2, 0]), RNG.random((4, 8))
NUMBERS = LABELS.tolist()
SAMPLES, CLASSES = RNG.random(4) + 0.5, RNG.random(8) + 0.5


class Checks(dict[str, Callable[[], None]]):
    """Functions by their names; each once for every combination of some words."""

    def __call__(self, *choices: dict[str, Any]) -> Callable[..., Callable[..., None]]:
        def register(function: Callable[..., None]) -> Callable[..., None]:
            self._add(function, (function.__name__,), (), choices)
            return function

        return register

    def _add(self, function: Any, words: Any, args: Any, choices: Any) -> None:
        if not choices:
            self[", ".join(words)] = functools.partial(function, *args)
            return
        for word, arg in choices[0].items():
            self._add(function, (*words, word), (*args, arg), choices[1:])


def names(*words: str) -> dict[str, str]:
    """Words that stand for themselves."""
    return dict(zip(words, words, strict=True))


def run_all(_: Rank, module: str, chosen: list[str]) -> dict[str, str]:
    """What was wrong with each of some checks of a module, or nothing."""
    checks = importlib.import_module(module).CHECKS
    return {name: failure(checks[name]) for name in chosen}


def run_page(_: Rank, page: str) -> list[tuple[str, str]]:
    """What the programs of a page print, one after the other, and what the page says."""
    return list(run(Path(page).read_text(encoding="utf-8"), page))


def failure(function: Callable[[], None]) -> str:
    try:
        function()
    except Exception:  # noqa: BLE001 - a test reports it
        return traceback.format_exc()
    return ""


@functools.cache
def mesh(*shape: int) -> Mesh:
    """The classes' axis is "k", the one of rows before it "r"."""
    shape = shape or (SHARDS,)
    names, auto = ("r", "k")[-len(shape) :], (AxisType.Auto,) * len(shape)
    devices = jax.devices()[: int(np.prod(shape))]
    return jax.make_mesh(shape, names, auto, devices=devices)


def sharded(
    function: Callable[..., Any], specs: Any, typed: bool, out: Any = ALIKE, on: Mesh | None = None
) -> Callable[..., Any]:
    """A function of slices, compiled."""
    made = jax.shard_map(
        function, mesh=on or mesh(), in_specs=specs, out_specs=out, check_vma=typed
    )
    return jax.jit(made)


def by_class(x: Any, axis: int = -1) -> P:
    """Slices along the axis of the classes."""
    return P(*("k" if i == axis % x.ndim else None for i in range(x.ndim)))


def near(got: Any, want: Any, rtol: float = 1e-10, atol: float = 1e-13) -> None:
    np.testing.assert_allclose(np.asarray(got, np.float64), want, rtol=rtol, atol=atol)


def placed(x: Any, *names: str | None, on: Mesh | None = None) -> jax.Array:
    """An array on several devices."""
    return jax.device_put(jnp.asarray(x), NamedSharding(on or mesh(), P(*names)))
