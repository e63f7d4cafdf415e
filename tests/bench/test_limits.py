"""The evidence: what a call costs, the steps of every backend, and a call for a profiler."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from benchmarks import limits
from benchmarks.cases import Cell
from benchmarks.contenders import BACKENDS
from benchmarks.primitives import primitives

EVERY = [pytest.param(name, marks=pytest.mark.backends(name)) for name in BACKENDS]
SMALL = Cell((64, 300))


@pytest.mark.backends("numpy")
def test_page_faults_of_fresh_memory_are_counted():
    size = 64 << 20
    fresh = limits.cost(lambda: bytearray(size), rounds=3)
    held = bytearray(size)
    used = limits.cost(lambda: memoryview(held)[:1], rounds=3)
    assert fresh.faults >= size / (2 << 20)  # huge pages at most
    assert used.faults < fresh.faults
    assert fresh.seconds > used.seconds >= 0


@pytest.mark.parametrize("backend", EVERY)
def test_every_step_of_a_backend_runs(backend):
    logits = np.random.default_rng(0).normal(size=(64, 300)).astype("float32")
    steps = list(primitives(backend, logits))
    assert len({step.name for step in steps}) == len(steps) >= 5
    for step in steps:
        step.call()
        assert step.elements >= 1


@pytest.mark.needs("numpy", "torch")
def test_the_page_has_steps_calls_and_profiles():
    pytest.importorskip("scipy")
    pytest.importorskip("ml_dtypes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = "\n".join(limits.page("numpy", SMALL))
    assert "### numpy, 64x300, float32" in text
    assert text.count("```text\n") == text.count("\n```\n") == 2
    for name in (
        "| copy to fresh memory |",
        "| xe.value_and_grad |",
        "| F.cross_entropy, backward |",
    ):
        assert name in text


@pytest.mark.needs("numpy", "torch")
def test_one_contender_is_repeated_and_another_name_is_an_error(monkeypatch, capsys):
    pytest.importorskip("scipy")
    pytest.importorskip("ml_dtypes")
    monkeypatch.setattr(limits, "LONG", 0.01)
    called = []
    monkeypatch.setattr(limits, "_done", lambda _, one, __: called.append(one.name))
    assert limits.repeat("numpy", SMALL, "xe.value_and_grad") == 0
    assert set(called) == {"xe.value_and_grad"}
    assert limits.repeat("numpy", SMALL, "nobody") == 2
    assert "'nobody' is none of 'xe.value_and_grad'" in capsys.readouterr().err
