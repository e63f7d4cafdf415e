"""A small causal character model whose logits are never held, in PyTorch and in JAX.

At every place of a text it predicts the next two characters at once, so that its head has
thousands of classes. It learns the help texts that come with Python (`pydoc_data.topics`), once
with `xe.linear_cross_entropy(hidden, head, targets)` and once with the dense loss, which makes the
logits first. The model is written once: the framework is whatever the arrays belong to.

    python examples/characters.py
    python examples/characters.py --backend torch --steps 50 --out characters.png
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import characters_report as report
import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

import xentropy as xe

Array = Any
Params = dict[str, Array]

CONTEXT, WIDTH, BLOCKS = 64, 96, 2
BATCH, RATE = 32, 2e-3
# Windows of the one step whose peak memory is measured.
LARGE = 256


# --- the model: one code path for both frameworks -----------------------------------------


def norm(x: Array) -> Array:
    """Rows of a root mean square of 1."""
    xp = array_namespace(x)
    return x / (xp.mean(x * x, axis=-1, keepdims=True) + 1e-6) ** 0.5


def attention(params: Params, block: int, x: Array, causal: Array) -> Array:
    """Every place looks at itself and the places before it."""
    xp = array_namespace(x)
    query, key, value = (norm(x) @ params[f"{name}{block}"] for name in ("query", "key", "value"))
    scores = query @ xp.matrix_transpose(key) / math.sqrt(WIDTH)
    return xe.softmax(scores, where=causal) @ value @ params[f"mix{block}"]


def hidden_of(params: Params, ids: Array) -> Array:
    """What the head sees of every place of windows of characters."""
    xp = array_namespace(ids)
    count, length = ids.shape
    flat = xp.take(params["characters"], xp.reshape(ids, (-1,)), axis=0)
    x = xp.reshape(flat, (count, length, WIDTH)) + params["places"][:length, :]
    places = xp.arange(length, device=getattr(ids, "device", None))
    causal = (places[:, None] >= places[None, :])[None, :, :]
    for block in range(BLOCKS):
        x = x + attention(params, block, x, causal)
        wide = norm(x) @ params[f"up{block}"]
        x = x + (wide * xp.astype(wide > 0, wide.dtype)) @ params[f"down{block}"]
    return norm(x)


def linear(params: Params, ids: Array, targets: Array) -> Array:
    """The loss of the head, tile by tile."""
    return xe.linear_cross_entropy(hidden_of(params, ids), params["head"], targets)


def dense(params: Params, ids: Array, targets: Array) -> Array:
    """The same loss of logits that are made first."""
    hidden = hidden_of(params, ids)
    return xe.cross_entropy(
        hidden @ array_namespace(hidden).matrix_transpose(params["head"]), targets
    )


LOSSES: Mapping[str, Callable[[Params, Array, Array], Array]] = {"linear": linear, "dense": dense}


# --- what each framework does its own way -------------------------------------------------


class Framework(Protocol):
    """How a framework makes arrays and differentiates a loss."""

    name: str

    def array(self, values: NDArray[Any]) -> Array: ...

    def numpy(self, array: Array) -> NDArray[Any]: ...

    def gradient_of(self, loss: Callable[..., Array]) -> Callable[..., tuple[Array, Params]]: ...


class Torch:
    """Autograd."""

    name = "torch"

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def array(self, values: NDArray[Any]) -> Array:
        return self.torch.from_numpy(values)

    def numpy(self, array: Array) -> NDArray[Any]:
        return np.asarray(array.detach())

    def gradient_of(self, loss: Callable[..., Array]) -> Callable[..., tuple[Array, Params]]:
        def both(params: Params, ids: Array, targets: Array) -> tuple[Array, Params]:
            leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
            value = loss(leaves, ids, targets)
            found = self.torch.autograd.grad(value, list(leaves.values()))
            return value.detach(), dict(zip(leaves, found, strict=True))

        return both


class Jax:
    """`jax.jit` of `jax.value_and_grad`."""

    name = "jax"

    def __init__(self) -> None:
        import jax

        self.jax = jax

    def array(self, values: NDArray[Any]) -> Array:
        return self.jax.numpy.asarray(values)

    def numpy(self, array: Array) -> NDArray[Any]:
        return np.asarray(array)

    def gradient_of(self, loss: Callable[..., Array]) -> Callable[..., tuple[Array, Params]]:
        found: Callable[..., tuple[Array, Params]] = self.jax.jit(self.jax.value_and_grad(loss))
        return found


FRAMEWORKS: Mapping[str, Callable[[], Framework]] = {"torch": Torch, "jax": Jax}


# --- data and training --------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """Characters as numbers, the pair that follows each place as a class, and their names."""

    ids: NDArray[np.int32]
    pairs: NDArray[np.int32]
    characters: list[str]
    names: list[str]
    held_out: int

    def windows(self, starts: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Windows of characters, and the pair after each of their places."""
        places = starts[:, None] + np.arange(CONTEXT)
        return self.ids[places], self.pairs[places]


@dataclass(frozen=True)
class Run:
    """One training: the loss before every step, and what it tells of the text held out."""

    name: str
    losses: NDArray[np.float64]
    totals: Any
    sample: str


def read_text() -> Text:
    """The help topics of Python; the last tenth is held out."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    characters = sorted(set(text))
    numbers = {c: i for i, c in enumerate(characters)}
    ids = np.array([numbers[c] for c in text], np.int32)
    codes, pairs = np.unique(ids[1:-1] * len(characters) + ids[2:], return_inverse=True)
    names = [
        characters[code // len(characters)] + characters[code % len(characters)] for code in codes
    ]
    size = len(pairs)
    return Text(ids[:size], pairs.astype(np.int32), characters, names, size * 9 // 10)


def first_params(text: Text, seed: int) -> dict[str, NDArray[np.float32]]:
    """Random weights: the same for every framework and loss."""
    rng = np.random.default_rng(seed)
    shapes = {"characters": (len(text.characters), WIDTH), "places": (CONTEXT, WIDTH)}
    for block in range(BLOCKS):
        shapes |= {f"{name}{block}": (WIDTH, WIDTH) for name in ("query", "key", "value", "mix")}
        shapes |= {f"up{block}": (WIDTH, 4 * WIDTH), f"down{block}": (4 * WIDTH, WIDTH)}
    params = {
        name: (rng.standard_normal(shape) / math.sqrt(shape[0])).astype(np.float32)
        for name, shape in shapes.items()
    }
    return params | {"head": np.zeros((len(text.names), WIDTH), np.float32)}


def adam(params: Params, slopes: Params, state: dict[str, Any], step: int) -> Params:
    """One step of Adam; ``state`` is brought up to date."""
    moved = {}
    for name, slope in slopes.items():
        first, second = state.get(name, (0.0, 0.0))
        state[name] = first, second = 0.9 * first + 0.1 * slope, 0.98 * second + 0.02 * slope**2
        mean, spread = first / (1 - 0.9**step), second / (1 - 0.98**step)
        moved[name] = params[name] - RATE * mean / (spread**0.5 + 1e-8)
    return moved


def train(framework: Framework, loss: str, text: Text, steps: int, seed: int) -> Run:
    """Train on random windows; the same ones for every framework and loss."""
    rng = np.random.default_rng(seed + 1)
    params = {name: framework.array(x) for name, x in first_params(text, seed).items()}
    gradient, state, losses = framework.gradient_of(LOSSES[loss]), {}, []
    for step in range(1, steps + 1):
        batch = text.windows(rng.integers(0, text.held_out - CONTEXT, BATCH))
        value, slopes = gradient(params, *map(framework.array, batch))
        params = adam(params, slopes, state, step)
        losses.append(float(value))
    totals = evaluate(framework, params, text)
    sample = generate(framework, params, text, seed)
    return Run(f"{framework.name}, {loss}", np.array(losses), totals, sample)


def evaluate(framework: Framework, params: Params, text: Text) -> xe.Totals:
    """The text that was held out, without its logits."""
    stream = xe.RowStream(xe.linear_score)
    last = len(text.ids) - CONTEXT
    for starts in np.array_split(np.arange(text.held_out, last, CONTEXT), 8):
        ids, targets = map(framework.array, text.windows(starts))
        stream.update(hidden_of(params, ids), params["head"], targets)
    return stream.result()


def generate(framework: Framework, params: Params, text: Text, seed: int) -> str:
    """What the model writes after "The ", two characters at a time."""
    rng, written = np.random.default_rng(seed), "The "
    weights = {name: framework.numpy(x) for name, x in params.items()}
    numbers = {c: i for i, c in enumerate(text.characters)}
    for _ in range(60):
        ids = np.array([[numbers[c] for c in written[-CONTEXT:]]])
        logits = hidden_of(weights, ids)[0, -1] @ weights["head"].T
        p = xe.softmax(logits.astype(np.float64), temperature=0.7)
        written += text.names[rng.choice(len(p), p=p)]
    return written


# --- memory: every measurement in a process of its own ------------------------------------


def peak() -> float:
    """The peak memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux' getrusage counts what the parent had
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024) / 1e6


def growth(backend: str, loss: str, windows: int, seed: int) -> float:
    """By how many MB one large training step raises the peak memory of a process."""
    framework, text = FRAMEWORKS[backend](), read_text()
    params = {name: framework.array(x) for name, x in first_params(text, seed).items()}
    gradient = framework.gradient_of(LOSSES[loss])
    starts = np.random.default_rng(seed).integers(0, text.held_out - CONTEXT, windows)
    for few in (1, windows):
        batch = [framework.array(x) for x in text.windows(starts[:few])]
        before = peak()
        value, slopes = gradient(params, *batch)
        float(value), [framework.numpy(x)[:1] for x in slopes.values()]  # waited for
    return peak() - before


def measured(backend: str, loss: str, options: argparse.Namespace) -> float:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--measure", backend, loss, "--seed", str(options.seed)]
    command += ["--windows", str(options.windows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return float(json.loads(done.stdout.splitlines()[-1]))


# --- the command line --------------------------------------------------------------------


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train a character model, its logits held and not held."
    )
    add = parser.add_argument
    add("--backend", action="append", choices=FRAMEWORKS, help="repeatable (default: both)")
    add("--steps", type=int, default=300, help="number of training steps (default: 300)")
    add("--windows", type=int, default=LARGE, help=f"of the memory's step (default: {LARGE})")
    add("--seed", type=int, default=0, help="of weights and batches (default: 0)")
    add("--out", type=Path, default=Path("characters.png"), help="where the plot goes")
    add("--measure", nargs=2, metavar=("BACKEND", "LOSS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name, least in (("steps", 1), ("windows", 1), ("seed", 0)):
        if getattr(options, name) < least:
            parser.error(f"--{name} must be at least {least}, got {getattr(options, name)}")
    if not options.out.parent.is_dir():
        parser.error(f"--out must be in a folder that is there, got {options.out}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure, print, draw; return 1 when there was nothing to train with."""
    options = parse(arguments)
    if options.measure:
        print(json.dumps(growth(*options.measure, options.windows, options.seed)))
        return 0
    runs, memory = [], {}
    text = read_text()
    for name in dict.fromkeys(options.backend or FRAMEWORKS):
        if importlib.util.find_spec(name) is None:
            print(f"{name}: not installed, skipped")
            continue
        for loss in LOSSES:
            run = train(FRAMEWORKS[name](), loss, text, options.steps, options.seed)
            runs.append(run)
            memory[run.name] = measured(name, loss, options)
    if not runs:
        return 1
    logits = options.windows * CONTEXT * len(text.names) * 4 / 1e6
    report.print_table(runs, memory, len(text.names), logits)
    report.plot(runs, memory, options.out, logits)
    print(f"plot written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
