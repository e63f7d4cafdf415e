"""Nothing warns on sane input: from the first import of a backend on, warnings are errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import Framework

import xentropy as xe

TESTS = Path(__file__).parent
ROOT = Path(xe.__file__).parents[1]
PATHS = [str(TESTS), str(ROOT), str(ROOT / "backends")]

# What a framework says of others as it is imported is its own matter.
CODE = """
import sys, warnings
sys.path[:0] = PATHS
warnings.simplefilter("ignore")
import harness
from derivatives import SAMPLES
framework = harness.FRAMEWORKS[NAME]()
framework.array([1.0])
assert "xentropy_" + NAME not in sys.modules
warnings.simplefilter("error")
import xentropy as xe
for sample in SAMPLES.values():
    held = {**sample.leaves, **sample.constants}
    arrays = {n: framework.array(x, x.dtype.name) for n, x in held.items()}
    getattr(xe, sample.function)(**arrays, **sample.options)
    xe.value_and_grad(getattr(xe, sample.function))(**arrays, **sample.options)
print("quiet")
"""


def quiet(code: str) -> None:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.stdout.strip().endswith("quiet"), done.stderr[-2000:]


def test_no_call_warns(framework: Framework) -> None:
    quiet(f"PATHS, NAME = {PATHS!r}, {framework.name!r}\n{CODE}")


@pytest.mark.backends("numpy")
def test_the_core_imports_without_a_warning() -> None:
    quiet(
        f"import sys, warnings; warnings.simplefilter('error'); sys.path[:0] = {PATHS!r}\n"
        "import xentropy; print('quiet')"
    )
