"""Every function, differentiated in every way that its framework knows."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from derivatives import KINDS, SAMPLES, SLOW, TRANSFORMS, Exact, Found, chosen, exact
from harness import Framework, public_functions


def transform(framework: str, way: str) -> Any:
    """The function that differentiates in this way."""
    module = importlib.import_module(f"transforms_{framework}")
    return module, getattr(module, re.sub(r"\W+", "_", way).lower())


def close(found: Any, wanted: Any, digits: int) -> None:
    for ours, true in zip(found, wanted, strict=True):
        scale = max(1.0, float(np.abs(true).max()))
        np.testing.assert_allclose(
            ours, true, rtol=10.0**-digits, atol=scale * 10.0 ** -(digits + 1)
        )


def compare(found: Found, known: Exact) -> None:
    """Whatever a transform found is what the definition's differences are."""
    if found.value is not None:
        total = (known.weights * known.value).sum()
        np.testing.assert_allclose(found.value, total, rtol=10.0**-found.digits)
    if found.gradient is not None:
        close(found.gradient, known.gradient, found.digits)
    if found.slope is not None:
        np.testing.assert_allclose(found.slope, known.slope, rtol=10.0**-found.digits)
    if found.product is not None:
        close(found.product, known.product, found.digits)


def test_derivatives(framework: Framework, way: str, sample: str) -> None:
    module, differentiate = transform(framework.name, way)
    found = differentiate(module.Problem(sample))
    compare(found, found.known or exact(sample))


def test_every_function_is_among_the_samples() -> None:
    functions = {sample.function for sample in SAMPLES.values()}
    assert functions == set(public_functions())
    assert {*KINDS} < {*SAMPLES}
    assert {*SLOW} < {way for ways in TRANSFORMS.values() for way in ways}
    for backend, ways in TRANSFORMS.items():
        found = chosen(backend, thorough=False)
        assert {way for way, _ in found} == {*ways}
        assert {sample for _, sample in found} == {*SAMPLES}


def test_the_table_of_the_docs_is_this_declaration() -> None:
    tool = Path(__file__).parents[1] / "tools" / "derivative_table.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
