"""Who records what is done with tensors, as TensorFlow's own functions ask it.

TensorFlow has no public name for it. A version that has these names no more is taken to record
everything: results stay the same, some of them made in general operations.
"""

from __future__ import annotations

from typing import Any

from xentropy._typing import Array


def _ask(name: str) -> Any:
    try:
        from tensorflow.python import pywrap_tfe
    except ImportError:
        return None
    return getattr(pywrap_tfe, name, None)


_kinds = _ask("TFE_Py_TapeSetPossibleGradientTypes")
_tangents = _ask("TFE_Py_PackJVPs")


def watched(*tensors: Array | None) -> bool:
    """Whether a tape or an accumulator records what is done with one of the tensors."""
    present = [x for x in tensors if x is not None]
    return bool(present) if _kinds is None else bool(_kinds(present))


def pushed(*tensors: Array | None) -> bool:
    """Whether an accumulator follows one of the tensors: forward mode."""
    present = [x for x in tensors if x is not None]
    return bool(present) if _tangents is None else bool(_tangents(present)[0])
