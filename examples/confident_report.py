"""What `confident.py` shows, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from confident import Run

CHECKPOINTS = 12
PANELS = {
    "losses": "Mean loss, training pairs",
    "unpulled": "Training pairs whose right answer\ngets a gradient of exactly 0",
    "accuracies": "Right answers, test pairs",
}
# Wide and pale below, narrow and dark above: where two curves agree, both can be seen.
STYLES: dict[str, dict[str, Any]] = {
    "PyTorch float64": {"color": "#b9c0cc", "linewidth": 5},
    "PyTorch float32": {"color": "#d55e00", "linewidth": 1.2},
    "xentropy float32": {"color": "#0063a6", "linewidth": 1.6},
}


def print_table(runs: Sequence[Run]) -> None:
    """Print loss, share of pairs without a pull and test accuracy at a few steps."""
    steps = len(runs[0].losses)
    shown = sorted({round(i) for i in np.linspace(1, steps, CHECKPOINTS)})
    print(" " * 6 + "".join(f"{run.name:>29}" for run in runs))
    print("  step" + f"{'loss':>13}{'no pull':>9}{'test':>7}" * len(runs))
    for step in shown:
        print(f"{step:6d}" + "".join(map(format_cells, runs, [step - 1] * len(runs))))


def format_cells(run: Run, at: int) -> str:
    """One run's three numbers."""
    return f"{run.losses[at]:13.2e}{run.unpulled[at]:9.1%}{run.accuracies[at]:7.1%}"


def plot(runs: Sequence[Run], path: Path) -> None:
    """Draw the three measurements side by side, one line per run in each."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
    # In the order of the styles: the widest line first, so that it lies below the others.
    ordered = sorted(runs, key=lambda run: list(STYLES).index(run.name))
    for axes, (field, title) in zip(panels, PANELS.items(), strict=True):
        draw(axes, ordered, field, title)
    panels[0].set_yscale("log")
    for axes in panels[1:]:
        axes.set_ylim(-0.02, 1)
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    panels[0].legend(frameon=False, loc="lower left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw(axes: Any, runs: Sequence[Run], field: str, title: str) -> None:
    """Draw one measurement; a loss of exactly 0, which no log axis has, leaves a gap."""
    for run in runs:
        values = getattr(run, field)
        shown = np.where(values > 0, values, np.nan) if field == "losses" else values
        axes.plot(np.arange(1, len(shown) + 1), shown, label=run.name, **STYLES[run.name])
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("step")
    axes.spines[["top", "right"]].set_visible(False)
