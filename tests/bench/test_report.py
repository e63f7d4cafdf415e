"""The report: from what the processes leave to JSON, tables and plots; and a run of the command."""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import join, markdown, report, run, table
from benchmarks.cases import HEAD, Cell, Request
from benchmarks.contenders import columns
from benchmarks.machine import machine

pytestmark = pytest.mark.backends("numpy")

BOTH, FORWARD = "forward+backward", "forward"


def record(cell, pairs, samples, losses=None, device="cpu"):
    return {
        "cell": cell.json(), "device": device, "pairs": pairs, "samples": samples,
        "losses": losses or dict.fromkeys(samples, 1.0), "failed": {},
    }  # fmt: skip


def torch_cell(cell, ours, theirs, **others):
    pairs = [["eager", "native", "xe", "F"], ["eager", "copy", "xe", "copy"]]
    return record(cell, pairs, {"xe": ours, "F": theirs, "copy": [0.1] * len(ours)}, **others)


SMALL, LARGE = Cell((32, 10)), Cell((1024, 32000))
TIMED = {
    "torch": {
        "cells": [
            torch_cell(SMALL, [2e-5, 2e-5, 4e-5], [1e-5, 1e-5, 2e-5]),
            torch_cell(LARGE, [0.2, 0.3, 0.1], [0.5, 0.5, 0.5]),
            torch_cell(LARGE, [0.01] * 3, [0.01] * 3, device="cuda"),
        ],
        "dispatch": 61.26,
    },
    "jax": {
        "cells": [
            record(SMALL, [["plain", "native", "xe", "optax"]], {"xe": [6e-5], "optax": [3e-5]}),
        ],
        "dispatch": 50.0,
    },
    "tensorflow": {"death": "exit status 1 after 'its start'. out of luck"},
}
MEASURED = {
    "torch": {
        "cells": [
            {
                "cell": LARGE.json(), "device": "cpu", "pairs": [["eager", "native", "xe", "F"]],
                "bytes": {"xe": LARGE.nbytes, "F": 3 * LARGE.nbytes}, "failed": {},
            },
            {
                "cell": SMALL.json(), "device": "cpu", "pairs": [["eager", "native", "xe", "F"]],
                "bytes": {"xe": 1}, "failed": {"F": "TypeError: no"},
            },
        ]
    }
}  # fmt: skip


@pytest.fixture
def found():
    host = {"processor": "A | B", "cores": 2, "python": "3.11"}
    return join.join(host, {"seconds": 1.0}, TIMED, MEASURED)


def test_ratios_are_those_of_the_rounds(found):
    by = {(one.backend, one.cell, one.kind, one.device): one for one in found.comparisons}
    assert by["torch", LARGE, "native", "cpu"].ratio == (0.4, 0.3, 0.5)
    assert by["torch", SMALL, "native", "cpu"].ratio.median == 2.0
    assert by["torch", LARGE, "copy", "cpu"].theirs.loss == 1.0
    assert found.dispatch == {"torch": 61.3, "jax": 50.0}


def test_the_smallest_cell_is_compared_with_pytorchs_own_across_processes(found):
    ratios = {o.backend: o.ratio.median for o in found.comparisons if o.kind == "PyTorch"}
    assert ratios == {"torch": 2.0, "jax": 6.0}
    names = [name for name, _ in table.small(found)]
    assert names == ["PyTorch", "JAX plain"]
    assert dict(table.small(found))["JAX plain"] == ["60", "10", "6.00", "50"]


def test_what_is_missing_is_said(found):
    assert list(found.left_out) == [
        "time, tensorflow: exit status 1 after 'its start'. out of luck",
        "memory, torch F: TypeError: no (32x10 float32 hard normal forward+backward)",
    ]
    assert [(one.cell, one.ours, one.theirs) for one in found.memory] == [
        (LARGE, LARGE.nbytes, 3 * LARGE.nbytes)
    ]


def test_losses_that_differ_are_spoken_of():
    odd = torch_cell(LARGE, [1.0], [1.0], losses={"xe": 10.0, "F": math.inf})
    found = join.join({}, {}, {"torch": {"cells": [odd], "dispatch": 1.0}}, {})
    (line,) = found.left_out
    assert line.endswith("the loss is 10, F says inf")
    close = torch_cell(LARGE, [1.0], [1.0], losses={"xe": 10.0, "F": 10.1})
    assert join.join({}, {}, {"torch": {"cells": [close], "dispatch": 1.0}}, {}).left_out == []


def test_a_report_survives_json(found, tmp_path):
    path = tmp_path / "report.json"
    found.write(path)
    again = report.read(path)
    assert again == found
    text = path.read_text("utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_an_infinite_loss_survives_json(tmp_path):
    odd = torch_cell(LARGE, [1.0], [1.0], losses={"xe": 10.0, "F": math.inf})
    found = join.join({}, {}, {"torch": {"cells": [odd], "dispatch": 1.0}}, {})
    found.write(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text("utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert report.read(tmp_path / "report.json").comparisons[0].theirs.loss == math.inf


def test_the_table_has_a_line_for_every_shape_and_a_mark_for_every_floor(found):
    keys, sections = table.ratios(found, BOTH)
    assert [key.head for key in keys] == [("PyTorch", ""), ("JAX", "plain"), ("PyTorch", "GPU")]
    (section,) = sections
    assert section.title == "float32 hard"
    assert section.rows == [
        ("32x10", ["2.00", "2.00", "–"]),
        ("1024x32000", ["0.40~ ✓", "–", "1.00"]),
    ]
    assert table.ratios(found, FORWARD) == ([], [])


def test_the_page_says_everything(found):
    page = markdown.page(found)
    assert "| 1024 × 32000 | 0.40 (0.30–0.50) ✓ | – | 1.00 (1.00–1.00) |" in page
    assert "| 1024 × 32000 | 1.0/3.0 |" in page
    assert "A | B, 2 cores; python 3.11." in page
    assert "| torch eager 1024x32000 float32 hard normal forward+backward | 26 | 26 |" in page
    assert "out of luck" in page
    assert "JAX plain" not in page.partition("## Floors that are not met")[0].partition("GB/s")[2]
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    assert all(len({line.count(" | ") for line in lines}) == 1 for lines in tables)


@pytest.mark.parametrize(("load", "told"), [(0.5, False), (0.6, True), ("unknown", False)])
def test_a_busy_machine_is_spoken_of(load, told, found):
    from dataclasses import replace

    page = markdown.page(replace(found, machine={"load": load}))
    assert ("The machine was busy" in page) is told


def test_what_is_told_takes_no_table_apart():
    assert markdown._plain("a | b\n<c>") == "a \\| b &lt;c>"


def test_the_terminal_fits_a_hundred_columns(stored):
    rich = pytest.importorskip("rich.console")
    from benchmarks.terminal import print_report

    console = rich.Console(width=100, record=True, file=io.StringIO())
    print_report(console, stored)
    text = console.export_text()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert table.floors_line(stored) in text


def test_every_column_has_a_head():
    assert set(columns()) <= set(table.HEADS)


HEADS = Cell((2048, 1024, 32000), loss=HEAD)
HEAD_PAIRS = [
    ["eager", "native", "xe", "F"],
    ["eager", "products", "xe", "products"],
    ["eager", "chunked", "xe", "chunked"],
]


@pytest.fixture
def heads():
    """The logits' report with heads beside them."""
    samples = {"xe": [1.8], "F": [2.0], "products": [1.5], "chunked": [2.4]}
    timed = {"torch": TIMED["torch"] | {"cells": [
        *TIMED["torch"]["cells"], record(HEADS, HEAD_PAIRS, samples),
    ]}}  # fmt: skip
    taken = {name: HEADS.gradients + extra for name, extra in
             {"xe": 32_000_000, "F": 800_000_000, "chunked": 260_000_000}.items()}  # fmt: skip
    pairs = [pair for pair in HEAD_PAIRS if pair[1] != "products"]
    peaks = {"cell": HEADS.json(), "device": "cpu", "pairs": pairs, "bytes": taken, "failed": {}}
    measured = {"torch": {"cells": [*MEASURED["torch"]["cells"], peaks]}}
    return join.join({"cores": 2}, {"seconds": 1.0}, timed, measured)


def test_heads_have_tables_of_their_own(heads):
    keys, (section,) = table.ratios(heads, BOTH, loss=HEAD)
    assert [key.head for key in keys] == [("PyTorch", ""), ("PyTorch", "/ chunked")]
    assert section.rows == [("2048x1024x32000", ["0.90 ✓", "0.75 ✓"])]
    keys, (section,) = table.products(heads, BOTH)
    assert [key.head for key in keys] == [("PyTorch", "")]
    assert section.rows == [("2048x1024x32000", ["1.20"])]
    _, (section,) = table.memory(heads, BOTH, HEAD)
    assert section.rows == [("2048x1024x32000", ["32/800 ✓", "32/260"])]
    _, (section,) = table.ratios(heads, BOTH)
    assert [name for name, _ in section.rows] == ["32x10", "1024x32000"]


def test_a_title_keeps_its_units():
    assert table.title("Peak, in MB", BOTH, HEAD) == f"{HEAD}: peak, in MB, {BOTH}"
    assert table.title("Time", BOTH, Cell((2, 3)).loss) == f"Time, {BOTH}"


def test_heads_survive_json_and_are_shown(heads, tmp_path):
    heads.write(tmp_path / "report.json")
    assert report.read(tmp_path / "report.json") == heads
    page = markdown.page(heads)
    for line in (
        "## linear_cross_entropy: time, forward+backward",
        "| 2048 × 1024 × 32000 | 0.90 (0.90–0.90) ✓ | 0.75 (0.75–0.75) ✓ |",
        "## Time over the bare matrix products, forward+backward",
        "| 2048 × 1024 × 32000 | 1.20 (1.20–1.20) |",
        "## linear_cross_entropy: peak memory, forward+backward",
        "| 2048 × 1024 × 32000 | 32/800 ✓ | 32/260 |",
    ):
        assert line in page


def test_the_terminal_shows_heads_in_a_hundred_columns(heads):
    rich = pytest.importorskip("rich.console")
    from benchmarks.terminal import print_report

    console = rich.Console(width=100, record=True, file=io.StringIO())
    print_report(console, heads)
    text = console.export_text()
    assert re.search(r"2048x1024x32000 +0.90 ✓ +0.75 ✓", text)
    assert re.search(r"2048x1024x32000 +32/800 ✓ +32/260", text)
    assert max(map(len, text.splitlines())) <= 100


def test_a_report_from_before_there_were_heads_is_read(found, tmp_path):
    found.write(tmp_path / "report.json")
    held = json.loads((tmp_path / "report.json").read_text("utf-8"))
    for each in (*held["comparisons"], *held["memory"]):
        del each["loss"]
    for each in held["memory"]:
        del each["kind"]
    (tmp_path / "report.json").write_text(json.dumps(held), "utf-8")
    assert report.read(tmp_path / "report.json") == found


def test_plots_are_drawn(heads, tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import plots

    drawn = plots.draw(heads, tmp_path)
    names = {path.name for path in drawn}
    assert names == {
        f"{of}{what}-forward-backward.{kind}"
        for of in ("", "linear_cross_entropy-")
        for what in ("ratios", "times", "memory")
        for kind in ("png", "svg")
    }
    assert all(path.stat().st_size > 8_000 for path in drawn)


def test_an_empty_report_is_no_error(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import plots

    empty = join.join({}, {}, {}, {})
    assert plots.draw(empty, tmp_path) == []
    assert markdown.page(empty).startswith("# Benchmark")


def test_the_machine_has_no_name_and_no_path():
    import platform

    told = json.dumps(machine())
    assert str(Path.home()) not in told
    assert sys.prefix not in told
    assert platform.node() not in set(map(str, machine().values()))
    assert machine()["cores"] >= 1


def test_the_stored_report_has_no_path(stored):
    held = [*map(str, stored.machine.values()), *stored.left_out]
    assert not [text for text in held if re.search(r"(^|\s)/\w+/", text)]


def test_the_page_shows_the_stored_report():
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "tools" / "performance_page.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_process_that_dies_leaves_what_it_died_of(tmp_path, monkeypatch):
    script = "import sys; print('a cell', flush=True); sys.stderr.write('no luck\\n'); sys.exit(3)"
    monkeypatch.setattr(run, "sys", type("Fake", (), {"executable": sys.executable, "path": []}))
    job = run.Job("timed", "torch")
    command = [sys.executable, "-c", script]
    seen = []
    with (tmp_path / "errors").open("w+") as errors:
        status, last = run._follow(job, command, errors, lambda *told: seen.append(told))
        errors.seek(0)
        assert (status, last, seen) == (3, "a cell", [("torch time", "a cell")])
        assert run._obituary(status, last, errors) == "exit status 3 after 'a cell'. no luck"


def test_a_backend_that_cannot_start_is_a_death(tmp_path):
    told = []
    left = run.run_one(run.Job("timed", "nobody"), Request(), tmp_path, lambda *t: told.append(t))
    assert "exit status 1" in left["death"]
    assert "nobody" in left["death"]


@pytest.mark.needs("numpy", "torch")
def test_the_command_writes_its_report(tmp_path):
    for package in ("scipy", "rich", "matplotlib", "ml_dtypes"):
        pytest.importorskip(package)
    out = tmp_path / "report"
    command = [sys.executable, "-m", "benchmarks", "--backends", "numpy", "--shapes", "32x10",
               "--dtypes", "float32", "--targets", "hard", "--rows", "normal",
               "--seconds", "0.01", "--out", str(out)]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    held = report.read(out / "report.json")
    assert {one.cell.shape for one in held.comparisons} == {(32, 10)}
    assert held.left_out == []
    assert {path.suffix for path in out.iterdir()} == {".json", ".md", ".png", ".svg"}
    assert "float32 hard" in done.stdout
