"""Whatever a public function is given: a result within its bound, or the documented error.

What is drawn is the same in every run. ``pytest --hypothesis-profile=long tests/test_fuzz.py``
draws other cases each time, and many more of them: in some minutes for each backend, and ten for
what PyTorch compiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fuzzed import ARRAYS, ELSEWHERE, OPTIONS, broken, options_of, programs
from harness import Framework, public_functions
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import xentropy as xe
from xentropy.parity._case import OPERANDS, Case
from xentropy.parity._cases import identity
from xentropy.parity._column import Bench
from xentropy.parity._declare import Group, of
from xentropy.parity._join import judge
from xentropy.parity._matrix import Cell, Column
from xentropy.parity._oracle import answer
from xentropy.parity.columns import adapter

#: How many programs are drawn: as many as take some seconds, of which compilers take most.
EAGER = {"numpy": 300, "torch": 100, "tensorflow": 40, "jax": 8, "strict": 50}
COMPILED = {"torch": 3, "tensorflow": 5, "jax": 8}
#: How many times as many the long run draws; a compiler takes up to 20 seconds for each.
LONG = {"eager": 40, "compiled": 8}


def explore(
    strategy: st.SearchStrategy[Any], count: int, check: Callable[[Any], None], mode: str = "eager"
) -> None:
    """Try what a strategy draws."""
    long = settings.get_current_profile_name() == "long"
    chosen = settings(
        max_examples=count * LONG[mode] if long else count,
        derandomize=not long,
        database=None,
        deadline=None,
        # Numbers from a seed shrink little, and each step may be a compilation.
        phases=tuple(Phase) if long else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    chosen(given(strategy)(check))()


def check(column: str, cases: list[Case], options: dict[str, Any], *, strict: bool = False) -> None:
    """Cases of one program, computed here and judged as those of the matrix are."""
    backend, mode = column.split()
    bench = Bench(adapter(backend, mode), cases[0], column)
    for case in cases:
        with bench.framework.context(case), xe.options(**options):
            held = bench.ours.attempt(case, again=mode == "eager" and not case.raises)
        oracle = Column("oracle", {identity(case): answer(case)})
        cell = judge(case, oracle, Column(column, {identity(case): held}))
        lenient = not strict and only_infinite(case, oracle, cell)
        assert cell.state == "good" or lenient, (cell, case, options)


def only_infinite(case: Case, oracle: Column, cell: Cell) -> bool:
    """Whether nothing is off but gradients by weights and targets of a loss that is not finite.

    In those of a mean infinities meet each other, and it depends on the order what is left.
    """
    exact = oracle.cells[identity(case)]["quantities"]
    if cell.note or exact is None:
        return False
    values = [v for name, q in exact.items() if "gradient" not in name for v in q["high"]]
    off = [f.what for f in cell.findings if f.ratio > 1]
    others = tuple(f"gradient by {name}" for name in [*case.arrays][1:])
    infinite = any(not math.isfinite(float.fromhex(v)) for v in values)
    return infinite and all(what.startswith(others) for what in off)


def schedules(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """How losses are computed, which must not change what they are."""
    if name in ("jax", "strict"):
        return st.just({})
    blocks = st.sampled_from([1, 7, 50])
    return st.fixed_dictionaries({}, optional={"block_size": blocks, "threads": st.just(3)})


def test_results(framework: Framework) -> None:
    name = framework.name
    drawn = st.tuples(programs(tuple(framework.floats)), schedules(name))
    explore(drawn, EAGER[name], lambda pair: check(f"{name} eager", *pair))


@pytest.mark.backends(*COMPILED)
def test_compiled_results(framework: Framework) -> None:
    name = framework.name
    mode = "compiled"
    explore(programs(), COMPILED[name], lambda cases: check(f"{name} {mode}", cases, {}), mode)


def test_errors(framework: Framework) -> None:
    """A case that is right but for one argument."""
    name = framework.name
    count = EAGER[name]
    explore(broken(tuple(framework.floats)), count, lambda case: check(f"{name} eager", [case], {}))


@pytest.mark.parametrize("function", public_functions())
def test_every_option_is_drawn(function: str) -> None:
    assert set(options_of(function)) <= {*OPTIONS, *ARRAYS, *ELSEWHERE}
    assert function in OPERANDS


# What has been found.

fuzz = Group("fuzz")
FOUND = [
    fuzz("epsilon -1 of a class without probability", "poly_loss", [[0.0, 1.0]], [0],
         from_logits=False, epsilon=-1.0),
    fuzz("a mean over nothing, of an infinite loss", "cross_entropy", [[1.0, 2.0]], [[0.5, 0.5]],
         where=[True, False], normalizer=0.0, wrt=("logits", "targets")),
    fuzz("a mean over nothing, to targets of 0", "kl_divergence", [[1.0, 2.0]], [[0.0, 1.0]],
         normalizer=0.0, wrt=("logits", "targets")),
    fuzz("a mean over nothing, of NaN", "cross_entropy", [[math.nan, 1.0]], [[0.5, 0.5]],
         z_loss=0.5, normalizer=0.0, wrt=("logits", "targets")),
    fuzz("a mean over nothing, of weighted rows", "cross_entropy", [[math.inf, math.inf]], [1],
         sample_weights=of([1.5], "float32"), normalizer=0.0, wrt=("logits", "sample_weights")),
    fuzz("a mean over nothing, of an element of NaN", "binary_cross_entropy", [math.nan], [1.0],
         normalizer=0.0),
    fuzz("a mean over nothing, of a student of NaN", "kl_divergence", [[math.nan, 1.0]],
         [[0.5, 0.5]], normalizer=0.0),
    fuzz("a mean over nothing, of a head of NaN", "linear_cross_entropy", [[math.nan]],
         [[1.0], [2.0]], of([1], "int32"), normalizer=0.0, wrt=("hidden", "weight")),
    fuzz("a student that is undefined", "kl_divergence", [[math.nan, 1.0, 0.0]],
         [[1.5, 1.0, -math.inf]], targets_are="logits", reduction="none"),
    fuzz("one entry of a mask for a single row in parts", "linear_cross_entropy", [1.0, -1.5],
         [[0.25 * j, 1.0 - j] for j in range(19)], of(3, "int32"), where=[True],
         wrt=("hidden", "weight")),
    fuzz("alpha 0 of an infinite nat", "focal_loss", [-math.inf, math.inf], [1.0, 0.5],
         form="sigmoid", alpha=0.0, reduction="sum", wrt=("logits", "targets")),
    fuzz("a mean over nothing, to the weight of a row of NaN", "kl_divergence", [[-math.inf]],
         [[1.0]], sample_weights=of([1.5], "float32"), normalizer=0.0,
         wrt=("logits", "sample_weights")),
    fuzz("a mean over nothing, to the weight of a row without classes", "cross_entropy",
         [[1.0, 2.0]], [1], where=[False, False], z_loss=0.25,
         sample_weights=of([0.0], "float32"), wrt=("logits", "sample_weights")),
    fuzz("a z-loss far below the weight", "cross_entropy", [[1e-30]], [0], dtype="float64",
         softcap=0.7, z_loss=0.25),
    fuzz("a z-loss far below a target that is alone", "cross_entropy", [[1.25]], [[0.9658]],
         z_loss=1e-4),
    fuzz("a masked class before -inf with a cap", "score", [[-math.inf, -math.inf]], [1],
         softcap=30.0, where=[False, True]),
    fuzz("a label that is no class, of weight 0", "cross_entropy", [[1.0, 2.0], [0.5, 0.0]],
         [5, 0], sample_weights=of([0.0, 1.0], "float32"), where=[[True, False], [True, True]],
         reduction="none", raises="IndexError", says=("targets[0] is 5",), compiled="nan"),
    fuzz("a focal loss of certainty beyond all digits", "focal_loss", [[3e30, -1e30]], [0],
         gamma=1.0),
    fuzz("the slope of a sum of 0", "logsumexp", [[0.0, 0.0, 3.0]], b=[-1.0, 1.0, 0.0],
         return_sign=True, of="value"),
    fuzz("a slope beyond float16", "logsumexp", [[0.0, 6e-8]], dtype="float16", b=[-1.0, 1.0],
         return_sign=True, of="value"),
    fuzz("a class that two softmaxes agree about, by chance", "kl_divergence", [[0.0, 1.0, 0.0]],
         [[1.0, 0.0, 0.0]], targets_are="logits", temperature=3.0, wrt=("logits", "targets")),
    fuzz("two softmaxes that agree about a class, of others that only one of them has",
         "kl_divergence", [[-math.inf, -math.inf, 1.5, 0.0, 1.5, 1.5]],
         [[1.5, 1.5, 1.5, 0.0, -2.0, -math.inf]], dtype="float64", targets_are="logits",
         temperature=0.07),
    fuzz("what a z-loss makes of a probability that may be flushed", "generalized_cross_entropy",
         [[0.0, 90.0, 1.0]], [0], z_loss=0.25),
]  # fmt: skip


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case.name)
def test_what_was_found(framework: Framework, case: Case) -> None:
    if case.first.dtype not in framework.floats:
        pytest.skip(f"{framework.name} has no {case.first.dtype}")
    check(f"{framework.name} eager", [case], {"block_size": 7}, strict=True)
    check(f"{framework.name} eager", [replace(case, wrt=())], {})
