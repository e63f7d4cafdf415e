"""Write docs/accuracy.json from a run, and from it the plots and the tables of docs/accuracy.md.

    python tools/accuracy_page.py             run every library, write everything
    python tools/accuracy_page.py --stored    plots and tables, from the stored run
    python tools/accuracy_page.py --check     fail if the page holds other tables; run nothing

A run ends with an error where xentropy is beyond its error bound on any of its backends.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

from blocks import DOCS, heads, line, write_run

#: The margins that the tables have.
SHOWN = (0, 4, 8, 12, 16, 20, 40, 80)
HEADS = {
    "loss": "Largest relative error of the loss, float32",
    "gradient": "Largest relative error of the gradient of the true class, float32",
}
Report = Mapping[str, Any]


def run() -> dict[str, Any]:
    """Ask every library."""
    import numpy as np
    from accuracy import measure
    from readme_table import MODULES, release

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what is lost in half precision is the point
        report = measure()
    return {"versions": {name: release(at) for name, at in MODULES.items()}, **report}


def tables(report: Report) -> str:
    """Everything between the marks of the page."""
    return "\n".join((*errors(report), *lost(report), *sources(report))) + "\n"


def errors(report: Report) -> Iterator[str]:
    """The largest errors at some margins."""
    data = report["dtypes"]["float32"]
    for quantity, title in HEADS.items():
        held = {n: q[quantity]["error"] for n, q in data["libraries"].items() if quantity in q}
        yield from (f"### {title}", "", *heads(["margin", *held]))
        for margin in SHOWN:
            place = data["margins"].index(margin)
            yield line([str(margin), *(percent(each[place]) for each in held.values())])
        yield ""


def lost(report: Report) -> Iterator[str]:
    """From which margin on every row has a loss, or a gradient, of exactly 0."""
    dtypes = report["dtypes"]
    kinds = [(dtype, quantity) for dtype in dtypes for quantity in HEADS]
    names = list(dtypes["float32"]["libraries"])
    yield from ("### The margin from which all losses, or gradients, are exactly 0", "")
    yield from heads(["", *names])
    for dtype, quantity in kinds:
        held = (dtypes[dtype]["libraries"][name].get(quantity) for name in names)
        cells = [vanishes(dtypes[dtype]["margins"], each) for each in held]
        yield line([f"{dtype} logits, {quantity}", *cells])
    yield ""


def vanishes(margins: list[int], held: Mapping[str, list[float]] | None) -> str:
    """The first of the margins from which on there is nothing but zeros."""
    if held is None:
        return "–"
    kept = [place for place, share in enumerate(held["zeros"]) if share < 1]
    first = max(kept, default=-1) + 1
    return str(margins[first]) if first < len(margins) else "never"


def sources(report: Report) -> Iterator[str]:
    """What was run."""
    dtypes = report["dtypes"].values()
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    yield (
        f"<sub>{report['rows']} rows of {report['classes']} classes for every margin. "
        f"xentropy: the worst of its four backends, which took at most "
        f"{max(each['bound'] for each in dtypes):.0%} of the bound. Never: not up to a margin of "
        f"80, of 16 in float16. {versions}.</sub>"
    )


def percent(error: float) -> str:
    """A relative error to two digits."""
    if error >= 0.995:
        return "**all**" if error <= 1.005 else f"**{error:.0f} ×**"
    return f"{error:.1e}" if error < 1e-3 else f"**{error:.1%}**"


def draw(report: Report) -> None:
    """Draw the page's plots."""
    import accuracy_plots

    accuracy_plots.draw(report, DOCS / "img")


if __name__ == "__main__":
    write_run(Path(__file__).name, __doc__, run, tables, draw)
