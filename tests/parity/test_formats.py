"""Rounding into the formats, and their units in the last place, against NumPy and ml_dtypes."""

import math
import random

import ml_dtypes
import numpy as np
import pytest

from xentropy.parity._formats import FORMATS, quantise

pytestmark = pytest.mark.backends("numpy")

DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}


def numbers() -> list[float]:
    draw = random.Random(0)
    spread = [draw.gauss(0, 1) * 10.0 ** draw.uniform(-6, 4) for _ in range(2000)]
    ties = [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 2.0**-24]
    return [*spread, *ties, 0.0, -0.0, 1e-7, 65504.0, math.inf, -math.inf]


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantise_rounds_as_numpy_does(dtype):
    given = numbers()
    expected = np.array(given).astype(DTYPES[dtype]).astype(np.float64)
    assert [quantise(x, dtype) for x in given] == expected.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_nan(dtype):
    assert math.isnan(quantise(math.nan, dtype))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("x", [1.0, 1.5, 0.999, 3.1e-5, 1e4, 6e-8])
def test_ulp_is_numpys_spacing(dtype, x):
    x = quantise(x, dtype)
    assert FORMATS[dtype].ulp(x) == float(np.spacing(DTYPES[dtype](x)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_epsilon_and_tiny(dtype):
    info = ml_dtypes.finfo(DTYPES[dtype])
    assert FORMATS[dtype].epsilon == float(info.eps)
    assert FORMATS[dtype].tiny == float(info.smallest_normal)


def test_losses_of_half_logits_are_float32():
    computed = {name: form.compute for name, form in FORMATS.items()}
    assert computed == {
        "float16": "float32",
        "bfloat16": "float32",
        "float32": "float32",
        "float64": "float64",
    }
