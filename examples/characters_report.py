"""What `characters.py` shows: the curves, the text held out, and the peak memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from characters import Run

CHECKPOINTS = 10
COLOURS = {"torch": "#ee4c2c", "jax": "#3b6fd4"}


def print_table(
    runs: Sequence[Run], memory: Mapping[str, float], classes: int, logits: float
) -> None:
    """Print the curves at a few steps, one column per training, and what came of it."""
    steps = len(runs[0].losses)
    print(f"{classes} pairs of characters; loss in nats per pair")
    print("  step" + "".join(f"{run.name:>16}" for run in runs))
    for step in sorted({round(i) for i in np.geomspace(1, steps, CHECKPOINTS)}):
        print(f"{step:6d}" + "".join(f"{run.losses[step - 1]:16.6f}" for run in runs))
    print("held out")
    for field in ("loss", "perplexity", "accuracy", "entropy"):
        numbers = (getattr(run.totals, field) for run in runs)
        print(
            f"{field:>10}"
            + "".join(f"{number:>{16 - 4 * (i == 0)}.4f}" for i, number in enumerate(numbers))
        )
    print(f"peak memory of a step whose logits would have {logits:.0f} MB")
    print(" " * 6 + "".join(f"{memory[run.name]:13.0f} MB" for run in runs))
    print(f"{runs[0].name} writes: {runs[0].sample!r}")


def plot(runs: Sequence[Run], memory: Mapping[str, float], path: Path, logits: float) -> None:
    """Draw the curves, which lie on one another, and beside them the peak memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    draw_curves(left, runs)
    draw_memory(right, runs, memory, logits)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def colour(run: Run) -> str:
    """A colour for every framework."""
    return COLOURS[run.name.partition(",")[0]]


def draw_curves(axes: Any, runs: Sequence[Run]) -> None:
    """Draw the losses; the dense ones wide and pale, below the others."""
    for depth, run in enumerate(runs):
        pale = run.name.endswith("dense")
        width = (7.0 if pale else 2.2) - 1.2 * (depth // 2)
        axes.plot(
            np.arange(1, len(run.losses) + 1),
            run.losses,
            color=colour(run),
            alpha=0.3 if pale else 1.0,
            linewidth=width,
            linestyle="-" if pale or depth < 2 else "--",
            label=run.name,
            zorder=1 if pale else 2,
        )
    axes.set(xlabel="step", ylabel="loss of the batch, nats per pair of characters")
    axes.set_title("The curves lie on one another", fontsize="medium")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def draw_memory(axes: Any, runs: Sequence[Run], memory: Mapping[str, float], logits: float) -> None:
    """Draw a bar for every training, and a line where the logits alone would be."""
    names = [run.name for run in reversed(runs)]
    for run in runs:
        pale = run.name.endswith("dense")
        bar = axes.barh(run.name, memory[run.name], color=colour(run), alpha=0.3 if pale else 1.0)
        axes.bar_label(bar, fmt="%.0f MB", padding=4, fontsize="small")
    axes.set_yticks(range(len(names)), [run.name for run in runs])
    axes.set_ylim(len(runs) - 0.5, -0.8)
    axes.axvline(logits, color="0.4", linewidth=0.8, linestyle=":")
    axes.annotate(
        f"the logits: {logits:.0f} MB",
        (logits, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, -12),
        textcoords="offset points",
        fontsize="small",
        color="0.4",
    )
    axes.set(xlabel="MB", xlim=(0, 1.18 * max(memory.values())))
    axes.set_title("Peak memory of one training step", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
