"""Options of how losses are computed: what is not set, a backend's plan chooses."""

from __future__ import annotations

import operator
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from xentropy import _errors


class Options(NamedTuple):
    """How losses are computed; None leaves the choice to the backend's plan."""

    block_size: int | None = None
    threads: int | None = None
    compile: bool | None = None


_current: ContextVar[Options] = ContextVar("xentropy_options", default=Options())  # noqa: B039
current = _current.get


@contextmanager
def options(
    *,
    block_size: int | None = None,
    threads: int | None = None,
    compile: bool | None = None,  # noqa: A002 - the word for it
) -> Generator[Options]:
    """Override, inside a ``with`` block, how losses are computed; what they are never changes.

    Arrays of NumPy and eager tensors of PyTorch and TensorFlow in a CPU's memory are visited in
    blocks of rows, loss and gradient in one visit; what is traced, or on another device, goes to
    a compiler whole. Each thread and each asynchronous task has options of its own, as with
    ``numpy.errstate``; an inner block keeps what it does not set.

    Parameters
    ----------
    block_size : int, optional
        About how many logits a block has. A block has whole rows, and at least one. Blocks that
        fit into a core's second-level cache are fastest.
    threads : int, optional
        How many threads take blocks; 1 keeps the call on the thread that makes it. Unless it is
        set, as many as there are CPUs that the process may use. PyTorch has threads of its own,
        see ``torch.set_num_threads``, and leaves this one aside.
    compile : bool, optional
        Whether functions compile themselves: those of JAX do unless it is False; in TensorFlow's
        graphs, those of large arrays of known shape do, with True all of known shape, with False
        none.

    Yields
    ------
    Options
        What holds inside the block.

    Raises
    ------
    ValueError
        If ``block_size`` or ``threads`` is not a positive integer, or ``compile`` no bool.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> logits = np.array([[2.0, 1.0, 0.1], [0.5, 2.0, 0.3]])
    >>> with xe.options(threads=1, block_size=65536):
    ...     loss = xe.cross_entropy(logits, np.array([0, 1]))
    >>> print(f"{loss:.6f}")
    0.378823
    """
    given = Options(_count("block_size", block_size), _count("threads", threads), _flag(compile))
    set_ = {name: value for name, value in given._asdict().items() if value is not None}
    token = _current.set(current()._replace(**set_))
    try:
        yield current()
    finally:
        _current.reset(token)


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise _errors.option(name, "a positive integer or None", value)
    return number


def _flag(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise _errors.option("compile", "True, False or None", value)
