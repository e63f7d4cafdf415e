"""The share of a test's variants that a run tries where each of them waits for a compiler.

Arrays of JAX are compiled by every call, others where a test's ``mode`` says so, or a marker that
it ``compiles``. These variants take most of the time of a run, and differ from those that are not
compiled in what the compiler makes of the same operations. So of each test a fifth of them is
tried, drawn by the test's name and therefore always the same; ``--thorough`` tries all.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

#: One of so many.
SHARE = 5


def draw(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a run goes without."""
    out = left_out(items)
    config.hook.pytest_deselected(items=[item for item in items if item in out])
    items[:] = [item for item in items if item not in out]


def left_out(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """The items that a run goes without; every test keeps one variant at least."""
    variants = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and waits_for_a_compiler(item):
            variants[item.nodeid.partition("[")[0]].append(item)
    return {item for name, found in variants.items() for item in rest(name, found)}


def waits_for_a_compiler(item: pytest.Function) -> bool:
    """Whether each variant of this test compiles something of its own."""
    if not hasattr(item, "callspec") or "way" in item.callspec.params:  # derivatives.py draws ways
        return False
    about = item.get_closest_marker("backends")
    alone = about.args[0] if about is not None and len(about.args) == 1 else None
    params = item.callspec.params
    if item.get_closest_marker("compiles") is not None:
        return True
    return params.get("framework", alone) == "jax" or params.get("mode", "eager") != "eager"


def rest(name: str, variants: Sequence[pytest.Function]) -> Iterable[pytest.Function]:
    """What is not drawn."""
    drawn = random.Random(name).sample(variants, math.ceil(len(variants) / SHARE))
    return set(variants) - set(drawn)
