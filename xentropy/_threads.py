"""Threads that share blocks of work: as many as there are CPUs, and none left after a fork."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

_lock = Lock()
_executor: ThreadPoolExecutor | None = None


def share(
    work: Callable[[deque[T]], None],
    blocks: Iterable[T],
    threads: int,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> None:
    """Let threads, the calling one among them, take blocks until none is left.

    ``work`` does what it takes, see `taken`; the other threads enter ``context`` for it. When one
    of them fails or is interrupted, the others finish the block that they are at and take no
    more; the error is raised here.
    """
    left = deque(blocks)
    if threads == 1 or len(left) < 2:
        work(left)
        return
    helpers = _start(work, left, min(threads, len(left)) - 1, context)
    try:
        _drain(work, left)
    finally:
        # One that a busy pool has not begun with is not needed any more.
        wait([helper for helper in helpers if not helper.cancel()])
    for helper in helpers:
        if not helper.cancelled():
            helper.result()


def taken(left: deque[T]) -> Iterator[T]:
    """What one thread takes of what several share, until none is left."""
    while True:
        try:
            block = left.popleft()
        except IndexError:
            return
        yield block


def _start(
    work: Callable[[deque[T]], None],
    left: deque[T],
    count: int,
    context: Callable[[], AbstractContextManager[Any]],
) -> list[Future[None]]:
    def help_() -> None:
        with context():
            _drain(work, left)

    pool = _pool()
    return [pool.submit(help_) for _ in range(count)]


def _drain(work: Callable[[deque[T]], None], left: deque[T]) -> None:
    try:
        work(left)
    except BaseException:
        left.clear()
        raise


def _pool() -> ThreadPoolExecutor:
    global _executor  # noqa: PLW0603 - one pool for the process, made by the first who needs it
    with _lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(cpus(), thread_name_prefix="xentropy")
        return _executor


def _forget() -> None:
    """In the child of a fork the threads are gone, and a lock may have been held."""
    global _executor, _lock
    _executor, _lock = None, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def cpus() -> int:
    """How many CPUs this process may use: those that it is bound to, within its group's quota."""
    counted = getattr(os, "process_cpu_count", None)  # from Python 3.13 on
    if counted is not None:
        bound = counted() or 1
    elif hasattr(os, "sched_getaffinity"):
        bound = len(os.sched_getaffinity(0))
    else:
        bound = os.cpu_count() or 1
    return max(1, min(bound, _quota()))


@cache
def _quota(path: str = "/sys/fs/cgroup/cpu.max") -> int:
    """The CPUs that a control group, such as a container's, grants; rounded up."""
    try:
        granted, period = Path(path).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 1 << 16
    return 1 << 16 if granted == "max" else -(-int(granted) // int(period))
