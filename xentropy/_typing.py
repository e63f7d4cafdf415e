"""Types shared by the package: what an array is to the core, and the options as literals."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

# The array API has no official protocol class that type checkers and every framework accept, so
# inside the core an array is Any; the public functions give back the type that came in.
Array: TypeAlias = Any
Namespace: TypeAlias = Any
DType: TypeAlias = Any

Reduction = Literal["mean", "sum", "none"]
Normalizer = Literal["weights", "valid", "batch"]
Source = Literal["logits", "probabilities", "log_probabilities"]
Kind = Literal["bool", "integral", "real floating", "complex floating", "other"]
