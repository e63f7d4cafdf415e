"""The picture of `digits.py`: the loss curves, and what is left between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from digits import Run

COLOURS = {"numpy": "#4c566a", "torch": "#ee4c2c", "tensorflow": "#f59e0b", "jax": "#3b6fd4"}


def plot(runs: Sequence[Run], path: Path, precision: float) -> None:
    """Draw the curves, which lie on one another, and beside them what is left between them."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 4.6), layout="constrained")
    halves: Any = figure.subfigures(1, 2)
    left, right = halves
    draw_curves(left.subplots(), runs)
    if len(runs) > 1:
        draw_differences(right, runs, precision)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_curves(axes: Any, runs: Sequence[Run]) -> None:
    """Draw the losses, each line narrower than the one below it, so that all can be seen."""
    for depth, run in enumerate(runs):
        style = {"linewidth": 2 + 2.5 * (len(runs) - 1 - depth), "solid_capstyle": "butt"}
        label = f"{run.name}, test accuracy {run.accuracy:.1%}"
        steps = np.arange(1, len(run.losses) + 1)
        axes.plot(steps, run.losses, color=COLOURS[run.name], label=label, **style)
    axes.set(xscale="log", xlabel="step", ylabel="mean cross-entropy, training images")
    axes.set_title("The loss curves lie on one another", fontsize="medium")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def draw_differences(figure: Any, runs: Sequence[Run], precision: float) -> None:
    """Draw how far each curve is from the first, in a strip of its own."""
    first, *others = runs
    distances = [np.abs(run.losses - first.losses) / first.losses for run in others]
    strips = figure.subplots(len(others), 1, sharex=True, squeeze=False)[:, 0]
    for axes, run, distance in zip(strips, others, distances, strict=True):
        steps = np.arange(1, len(distance) + 1)
        axes.axhline(precision, color="0.6", linewidth=0.8)
        style = {"color": COLOURS[run.name], "markersize": 3, "clip_on": False, "zorder": 3}
        axes.plot(steps, distance, ".", **style)
        # Linear below a quarter of epsilon, so that a difference of 0 has its place on the axis.
        axes.set_yscale("symlog", linthresh=precision / 4)
        axes.set(xscale="log", ylabel=run.name, ylim=(0, 2 * max(4 * precision, np.max(distances))))
        axes.set_yticks([0, precision], ["0", f"{precision:.1e}"])
        axes.tick_params(axis="y", which="minor", left=False)
        axes.spines[["top", "right"]].set_visible(False)
    title = f"Relative difference to {first.name} at every step; line: epsilon"
    strips[0].set_title(title, fontsize="medium")
    strips[-1].set_xlabel("step")
