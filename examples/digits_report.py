"""What `digits.py` shows: the loss curves as a table and as a picture, and the logits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from digits import Digits, Run

CHECKPOINTS = 10
COLOURS = {"numpy": "#4c566a", "torch": "#ee4c2c", "tensorflow": "#f59e0b", "jax": "#3b6fd4"}


def largest_difference(runs: Sequence[Run]) -> float:
    """Return the widest spread between any two loss curves at any step."""
    return float(np.ptp([run.losses for run in runs], axis=0).max())


def print_table(runs: Sequence[Run]) -> None:
    """Print the curves at a few steps, one column per framework."""
    steps = len(runs[0].losses)
    shown = sorted({round(i) for i in np.geomspace(1, steps, CHECKPOINTS)})
    print("  step" + "".join(f"{run.name:>14}" for run in runs))
    for step in shown:
        print(f"{step:6d}" + "".join(f"{run.losses[step - 1]:14.9f}" for run in runs))
    print("  test" + "".join(f"{run.accuracy:14.2%}" for run in runs))
    if len(runs) > 1:
        print(f"largest difference between the loss curves: {largest_difference(runs):.2e}")


def write_logits(run: Run, digits: Digits, path: Path) -> None:
    """Write the logits of the first 32 test images as JSON: real input for other tests."""
    # Through float32, so that every number is exact in it whatever the training's dtype was.
    logits = run.logits[:32].astype("float32").astype("float64").tolist()
    rows = ",\n  ".join(json.dumps(row) for row in logits)
    labels = json.dumps(digits.test_labels[:32].tolist())
    path.write_text(f'{{"logits": [\n  {rows}\n],\n"labels": {labels}}}\n', encoding="utf-8")


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
