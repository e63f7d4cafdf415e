"""NumPy's way to differentiate: xentropy's own."""

from __future__ import annotations

import numpy as np
from derivatives import SAMPLES, Found, exact

import xentropy as xe


class Problem:
    """A sample in float64 arrays."""

    def __init__(self, name: str) -> None:
        self.sample, self.known = SAMPLES[name], exact(name, weighted=False)


def value_and_grad(p: Problem) -> Found:
    """The gradient of the sum, of a function with several results of each in turn."""
    sample, function = p.sample, getattr(xe, p.sample.function)
    arguments = {**sample.leaves, **sample.constants, **sample.options}
    total = [np.zeros(leaf.shape) for leaf in sample.leaves.values()]
    for of, share in (sample.fields or {None: 1}).items():
        both = xe.value_and_grad(function, wrt=tuple(sample.leaves), of=of)
        total = [a + share * g for a, g in zip(total, both(**arguments)[1], strict=True)]
    return Found(gradient=total, known=p.known)
