"""assert_type that holds at run time too: what a checker is told is compared with what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import assert_type as assert_type  # noqa: PLC0414 - exported
else:
    from types import UnionType
    from typing import Any, Union, get_args, get_origin

    def assert_type(value, expected):
        """The value, if it is of the type."""
        assert holds(value, expected), f"{value!r} is no {expected}"
        return value

    def holds(value, expected):
        """Whether a value is of a type as the modules here write one."""
        origin, args = get_origin(expected), get_args(expected)
        if origin in (Union, UnionType):
            return any(one is not Any and holds(value, one) for one in args) or (
                Any in args and is_scalar(value)
            )
        if origin is None:
            return expected is Any or isinstance(value, expected)
        return isinstance(value, origin) and all_hold(value, args)

    def all_hold(value, args):
        """Whether the parts are of the types that the whole is said to be made of."""
        if hasattr(value, "dtype"):
            (kind,) = get_args(args[1])
            return kind is Any or issubclass(value.dtype.type, get_origin(kind) or kind)
        if not isinstance(value, tuple):
            return True  # a stream: what it holds shows in its result
        if args[-1] is Ellipsis or hasattr(value, "_fields"):
            return all(holds(one, args[0]) for one in value)
        return len(value) == len(args) and all(map(holds, value, args))

    def is_scalar(value):
        """What the Any beside an array stands for: a scalar of NumPy."""
        import numpy as np

        return isinstance(value, np.generic)
