"""What a process computes of classes that several of them hold, in PyTorch, and how it is asked.

All checks of a run are one list of steps, which every process goes through: starting one takes
seconds. `found` gives what they left; tests ask for it by `once(NAME, found)`.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from processes import Rank, run
from sharded_cases import LAYOUTS, Layout

#: Of a message that does not come; and of the whole list.
MESSAGE, RUN = 60.0, 400.0
PROCESSES = 4
#: Of a run, for all test files.
NAME = "sharded-torch"
#: Modules whose STEPS are part of a run, and whose functions are called.
MODULES = (
    "sharded_torch_numbers",
    "sharded_torch_random",
    "sharded_torch_limits",
    "sharded_torch_calls",
    "sharded_torch_errors",
)


@dataclass(frozen=True)
class Step:
    """A function of a module, with arguments, for every layout by its name."""

    module: str
    function: str
    layouts: tuple[str, ...]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Member:
    """A process among those that hold the classes: its group, its number, and its classes."""

    group: Any
    number: int
    layout: Layout

    @property
    def bounds(self) -> tuple[int, int]:
        """The classes that it holds."""
        return self.layout.bounds(self.number)


@dataclass(frozen=True)
class Raised:
    """An exception, as the process that raised it says."""

    kind: str
    message: str
    where: str = field(repr=False, default="")


#: What each member of a layout returned or raised, by the names of step and layout.
Found = Mapping[tuple[str, str], list[Any]]


# --- in a process ---------------------------------------------------------------------------


class Groups:
    """The groups of a run. Where only some members of one failed, all groups are made anew."""

    def __init__(self, rank: Rank) -> None:
        self.rank, self.life = rank, 0
        self.start()

    def start(self) -> None:
        """Join all processes, and make a group for every set of members."""
        import torch.distributed as dist

        self.life += 1
        wait = timedelta(seconds=MESSAGE)
        place = f"file://{self.rank.folder}/meet-{self.life}"
        number, count = self.rank.number, self.rank.count
        dist.init_process_group("gloo", place, timeout=wait, rank=number, world_size=count)
        self.made = {
            members: dist.new_group(list(members), timeout=wait)
            for members in dict.fromkeys(layout.members for layout in LAYOUTS.values())
        }

    def member(self, layout: Layout) -> Member:
        """This process among the members of a layout."""
        number = layout.members.index(self.rank.number)
        return Member(self.made[layout.members], number, layout)

    def settle(self, number: int, *, failed: bool) -> None:
        """Wait for the others; begin anew if a step failed in some processes and not in all."""
        import torch.distributed as dist

        if len(set(exchanged(self.rank, f"step {number}", str(int(failed))))) == 1:
            return
        dist.destroy_process_group()
        self.start()


def exchanged(rank: Rank, name: str, word: str) -> list[bytes]:
    """What all processes say under a name; none goes on before the last one has spoken."""
    from torch.distributed.distributed_c10d import _get_default_store

    store = _get_default_store()
    store.set(f"{name} of {rank.number}", word)
    return [store.get(f"{name} of {i}") for i in range(rank.count)]


def everything(rank: Rank, steps: Mapping[str, Step]) -> dict[tuple[str, str], Any]:
    """What this process finds, step by step."""
    import torch

    torch.set_num_threads(1)
    groups, results = Groups(rank), {}
    for i, (name, step) in enumerate(steps.items()):
        failed = False
        for layout in step.layouts:
            if rank.number in LAYOUTS[layout].members:
                result = attempt(step, groups.member(LAYOUTS[layout]))
                results[name, layout] = result
                failed = isinstance(result, Raised)
        groups.settle(i, failed=failed)
    return results


def attempt(step: Step, member: Member) -> Any:
    """What a step returns, or how it failed."""
    function = getattr(importlib.import_module(step.module), step.function)
    try:
        return function(member, *step.arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return Raised(type(error).__name__, str(error), traceback.format_exc())


def raised(function: Callable[[], Any]) -> Raised | None:
    """How a call failed, None if it did not."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return Raised(type(error).__name__, str(error), traceback.format_exc())
    return None


# --- in a test ------------------------------------------------------------------------------


def found() -> Found:
    """What all processes found."""
    steps: dict[str, Step] = {}
    for module in MODULES:
        steps |= importlib.import_module(module).STEPS
    ranks = run(everything, PROCESSES, steps, timeout=RUN, environment={"OMP_NUM_THREADS": "1"})
    return {
        (name, layout): [ranks[i][name, layout] for i in LAYOUTS[layout].members]
        for name, step in steps.items()
        for layout in step.layouts
    }


def results(ranks: list[Any]) -> Iterator[Any]:
    """What members returned; what one raised is raised here."""
    for number, result in enumerate(ranks):
        assert not isinstance(result, Raised), f"member {number}: {result.where}"
        yield result
