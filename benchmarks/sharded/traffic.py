"""Messages of a call: what a process hands to every collective operation, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.sharded.model import GATHER, REDUCE, Message

#: The operators that hand something over, and which of their arguments that is.
KINDS = {
    "c10d::allgather_": (GATHER, 1),
    "c10d::_allgather_base_": (GATHER, 1),
    "c10d::allreduce_": (REDUCE, 0),
    "_c10d_functional::all_gather_into_tensor": (GATHER, 0),
    "_c10d_functional::all_reduce": (REDUCE, 0),
    "_c10d_functional::all_reduce_": (REDUCE, 0),
}
#: Those that hand over nothing.
SILENT = ("_c10d_functional::wait_tensor", "_c10d_functional::_wrap_tensor_autograd")


class Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]  # PyTorch has no types for it
    """Within it, every operator that sends is written down; one that is not known is an error.

    PyTorch's dispatcher passes it all of them, those of DTensor and of the backward included.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.messages: list[Message] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operator, and write it down if it sends."""
        if any(issubclass(cls, DTensor) for cls in types):
            return NotImplemented  # it comes again, with the tensor that the process holds
        name = func.name().partition(".")[0]
        if name in KINDS:
            kind, place = KINDS[name]
            self.messages.append(Message(kind, sum(map(_nbytes, _tensors(args[place])))))
        elif "c10d" in name and name not in SILENT:
            raise ValueError(f"{name} may send something, but what is not known here")
        return func(*args, **(kwargs or {}))


def messages(call: Callable[[], object]) -> list[Message]:
    """What a process hands over in a call."""
    seen = Traffic()
    with seen:
        call()
    return seen.messages


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for each in value:
            yield from _tensors(each)


def _nbytes(x: Tensor) -> int:
    return x.numel() * x.element_size()
