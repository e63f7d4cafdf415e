"""For authors of a backend: does xentropy give the right answers on the arrays of a library?"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from xentropy import _errors
from xentropy.parity._cases import CASES, identity, select

if TYPE_CHECKING:
    from xentropy.parity._case import Case
    from xentropy.parity._matrix import Cell
    from xentropy.parity.columns._given import Given

__all__ = ["assert_conforms"]

#: The most entries of an array in a case that takes the oracle no time to speak of.
_SMALL = 256
#: How much of a line is shown: an error may have a whole traceback for a message.
_WIDTH = 240


def assert_conforms(
    array: Callable[[Any], Any],
    *,
    to_numpy: Callable[[Any], Any] | None = None,
    differentiate: Callable[..., tuple[Any, Sequence[Any]]] | None = None,
    without: Collection[str] = (),
    cases: str = "*",
    large: bool = False,
) -> None:
    r"""Compare every function of xentropy on a library's arrays with a high-precision oracle.

    The cases are those of the parity matrix: values, gradients, dtypes, shapes, errors and the
    whole policy, in some seconds. A number x conforms if it lies within the case's budget of the
    exact value y [1]_,

    .. math:: |x - y| \le (4 + |x_j - m|)\, u\, |y|

    for the loss of a single row, with u the unit in the last place of the dtype that is computed
    in.

    Parameters
    ----------
    array : callable
        Makes an array of the library of a NumPy array of any shape and of any dtype that is not
        ``without``: float16, bfloat16 of ml_dtypes (where that is installed), float32, float64,
        complex64, bool and integers.
    to_numpy : callable, default numpy.asarray
        Makes a NumPy array of what xentropy gives back.
    differentiate : callable, optional
        The library's own automatic differentiation: ``differentiate(function, *arrays)`` gives
        ``function(*arrays)``, one array, and the gradients of its sum, one for each array. Without
        it gradients come from `xentropy.value_and_grad`.
    without : collection of str
        The dtypes that the library does not have, by their NumPy names.
    cases : str, default "*"
        Which cases: a shell pattern of their names, or of the names of their groups, as for
        ``python -m xentropy parity --case``.
    large : bool, default False
        Whether the cases of large vocabularies are among them; the oracle takes minutes for those.

    Raises
    ------
    AssertionError
        If a case fails; the message lists each that does, with its numbers.
    ValueError
        If no case has such a name.
    ModuleNotFoundError
        If NumPy or mpmath is not installed.

    See Also
    --------
    xentropy.value_and_grad : Gradients without automatic differentiation.

    Notes
    -----
    A label that is no class is expected to be an IndexError if the backend's ``look`` says that
    values can be looked at, and NaN otherwise.

    References
    ----------
    .. [1] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed. (2002), chapter
       2, for the unit; the second term is the conditioning of the exponential.

    Examples
    --------
    >>> import numpy as np
    >>> from xentropy.testing import assert_conforms
    >>> assert_conforms(np.asarray, cases="worked examples")
    """
    chosen = [case for case in select(cases) if _is_asked(case, large)]
    if not chosen:
        raise _errors.option("cases", "a pattern that a case of the matrix matches", cases)
    from xentropy.parity.columns._given import Given

    given = Given(array, to_numpy, differentiate, without)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells = [_judged(given, case) for case in chosen]
    failure = _failure(given.backend.name, cells)
    if failure:
        raise AssertionError(failure)


def _is_asked(case: Case, large: bool) -> bool:
    """Whether a case is one of single arrays, without derivatives in directions, and small."""
    if case.group == "sharded" or case.along:
        return False
    return large or max(math.prod(a.shape) for a in case.arrays.values()) <= _SMALL


def _judged(given: Given, case: Case) -> Cell:
    """One case, computed and compared."""
    from xentropy.parity._column import computed
    from xentropy.parity._join import verdict
    from xentropy.parity._matrix import Cell

    name, lacking = identity(case), given.lacks(case)
    if lacking:
        return Cell(name, given.backend.name, "skipped", note=f"no {lacking}")
    with given.context(case):
        held = computed(given, case)
    state, note, findings = verdict(case, _exact(name), held, {}, inspected=given.inspected)
    ranked = tuple(sorted(findings, key=lambda found: -found.ratio))
    return Cell(name, given.backend.name, state, ranked, note)


@cache
def _exact(name: str) -> Any:
    """The oracle's answer, kept for a second call: one for another device, or another dtype."""
    from xentropy.parity._oracle import answer

    (case,) = (case for case in CASES if identity(case) == name)
    return answer(case)["quantities"]


def _failure(backend: str, cells: Sequence[Cell]) -> str:
    """What to say of the cells; nothing if all are good."""
    from xentropy.parity._words import sentence

    judged = [cell for cell in cells if cell.state != "skipped"]
    bad = [cell for cell in judged if cell.state == "bad"]
    if not judged:
        lacking = ", ".join(sorted({cell.note for cell in cells}))
        return f"none of {len(cells)} cases can be tried on {backend}: {lacking}"
    lines = (f"{cell.case}: {' '.join(sentence(cell).split())}" for cell in bad)
    listed = "\n  ".join(textwrap.shorten(line, _WIDTH, placeholder=" ...") for line in lines)
    return f"{len(bad)} of {len(judged)} cases fail on {backend}:\n  {listed}" if bad else ""
