"""The plots of docs/accuracy.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The colours can be told apart by the colour-blind, and the lines without any colour. Those that
#: lie below others are wider.
STYLES: dict[str, dict[str, Any]] = {
    "PyTorch": {"color": "#d55e00", "linewidth": 6, "alpha": 0.55},
    "TensorFlow": {"color": "#e69f00", "linewidth": 3.2},
    "Keras": {"color": "#000000", "linewidth": 1.6, "linestyle": (0, (1, 1.2))},
    "JAX (optax)": {"color": "#009e73", "linewidth": 2, "linestyle": (0, (5, 1.5))},
    "SciPy": {"color": "#cc79a7", "linewidth": 1.8, "linestyle": (0, (4, 1.2, 1, 1.2))},
    "xentropy": {"color": "#0063a6", "linewidth": 3},
}
#: What is exact has no place on a logarithmic axis.
FLOOR, CEILING = 2e-8, 4.0
#: Beyond this margin the shares, and the errors in half precision, do not change any more.
NEAR = 30
ULP = 2.0**-23
Report = Mapping[str, Any]


@dataclass(frozen=True)
class Panel:
    """What a part of a plot shows: a dtype, a quantity, and which number about it."""

    dtype: str
    quantity: str
    field: str
    title: str


PLOTS = {
    "accuracy-error.png": (
        Panel("float32", "loss", "error", "Relative error of the loss"),
        Panel("float32", "gradient", "error", "Relative error of the true class's gradient"),
    ),
    "accuracy-zeros.png": (
        Panel("float32", "loss", "zeros", "Losses that are exactly 0"),
        Panel("float32", "gradient", "zeros", "Gradients of the true class, exactly 0"),
    ),
    "accuracy-half.png": (
        Panel("bfloat16", "gradient", "error", "bfloat16: relative error of the gradient"),
        Panel("float16", "gradient", "error", "float16: relative error of the gradient"),
    ),
}


def draw(report: Report, folder: Path) -> None:
    """Draw every plot into a folder."""
    import matplotlib as mpl

    mpl.use("Agg")
    # Large enough to be read where the picture is as wide as a phone.
    with mpl.rc_context({"font.size": 13, "axes.titlesize": 14}):
        for name, panels in PLOTS.items():
            save(folder / name, report, panels)


def save(path: Path, report: Report, panels: Sequence[Panel]) -> None:
    """Draw panels one above the other, always into the same bytes."""
    import matplotlib.pyplot as plt

    figure, places = plt.subplots(len(panels), 1, figsize=(6.4, 8.6), layout="constrained")
    for axes, panel in zip(places, panels, strict=True):
        data = report["dtypes"][panel.dtype]
        lines(axes, data, panel)
        if panel.field == "zeros":
            shares(axes)
        else:
            errors(axes, data["margins"], panel.dtype != "float32")
        axes.set_title(panel.title, loc="left")
        axes.set_xlabel("margin of the true class over the others")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


def lines(axes: Any, data: Report, panel: Panel) -> None:
    """One line for every library that has the quantity."""
    for name, style in STYLES.items():
        held = data["libraries"][name].get(panel.quantity)
        if held is not None:
            values = held[panel.field]
            if panel.field == "error":
                values = [min(max(value, FLOOR), CEILING) for value in values]
            axes.plot(data["margins"], values, label=name, **style)


def shares(axes: Any) -> None:
    """An axis of shares."""
    axes.set(ylim=(-0.03, 1.05), xlim=(-1, NEAR))
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def errors(axes: Any, margins: Sequence[int], half: bool) -> None:
    """An axis of errors, and in float32 the bound that xentropy keeps."""
    axes.set_yscale("log")
    axes.set_ylim(1e-4 if half else FLOOR, CEILING)
    axes.set_xlim(-1, min(margins[-1], NEAR) if half else None)
    if not half:
        bound = [(4 + margin) * ULP for margin in margins]
        axes.plot(margins, bound, "--", color="#666666", linewidth=1, label="the bound")
    axes.annotate("all is lost", (0.99, 0.85), xycoords="axes fraction", ha="right", va="top")
