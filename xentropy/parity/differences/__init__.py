"""In what the drop-ins differ: declared once for the pages of the documentation, the tests and the
parity matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal, get_args

#: The frameworks that have drop-ins, named as their adapters are.
Library = Literal["torch", "tensorflow", "keras", "jax"]
LIBRARIES: tuple[Library, ...] = get_args(Library)

#: What a difference is.
#:
#: defect: the framework's answer is wrong, the drop-in's is right.
#: extension: the framework refuses what the drop-in takes.
#: limit: the drop-in refuses what the framework takes.
#: convention: the drop-in answers as the framework, where xentropy's own functions do not.
Kind = Literal["defect", "extension", "limit", "convention"]


@dataclass(frozen=True)
class Difference:
    """One thing in which a drop-in differs from its framework, or from xentropy's own functions.

    Parameters
    ----------
    title : str
        What it is about, in a few words, unique in its library.
    kind : {"defect", "extension", "limit", "convention"}
        Which side is right, see `Kind`.
    functions : tuple of str
        The drop-ins that it concerns.
    reason : str
        Why, in one or two sentences of Markdown.
    code : str
        An expression that shows it, in the names of the framework and in ours alike.
    native, ours : str
        What the expression gives with the framework's functions and with ours, as the tests print
        it: numbers to six digits, or the name of the error's class. Equal for a convention.
    cases : tuple of str
        The cases of the parity matrix that it decides, as patterns.
    backends : tuple of str
        The backends of Keras that it is about; all of them unless it names some.
    """

    title: str
    kind: Kind
    functions: tuple[str, ...]
    reason: str
    code: str
    native: str
    ours: str
    cases: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()


def differences(library: str) -> tuple[Difference, ...]:
    """Those of one library."""
    module = import_module(f"{__name__}._{library}")
    declared: tuple[Difference, ...] = module.DIFFERENCES
    return declared
