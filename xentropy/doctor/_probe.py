"""A backend's process: ``python -m xentropy.doctor._probe NAME OUT.jsonl [--eager]``.

Writes a line for everything it learns, and before each step which one it is, so that a process that
dies or hangs has told how far it came.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from xentropy import cross_entropy
from xentropy.doctor.frameworks import FRAMEWORKS, framework

Fact = dict[str, Any]


def main(name: str, out: str, *options: str) -> None:
    """Look at a framework; `--eager` compiles nothing."""
    warnings.simplefilter("ignore")
    with Path(out).open("w", encoding="utf-8") as file:
        for fact in facts(name, compiling="--eager" not in options):
            print(json.dumps(fact), file=file, flush=True)


def facts(name: str, compiling: bool) -> Iterator[Fact]:
    """What is learned of a framework, step after step; without an import there is no more."""
    yield {"step": "import"}
    found = learned(partial(framework, name))
    if "error" in found:
        yield found
        return
    module = found["result"]
    yield {"step": "devices"}
    yield {"versions": learned(module.versions), "devices": learned(module.devices)}
    modes = ["eager", "compiled"] if compiling and FRAMEWORKS[name].compiler else ["eager"]
    for mode in modes:
        yield {"step": mode}
        yield {mode: learned(partial(module.run, cross_entropy, mode == "compiled"))}


def learned(ask: Callable[[], Any]) -> Fact:
    """What a function returns, or the error that it raises."""
    try:
        return {"result": ask()}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was learned
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(*sys.argv[1:])
