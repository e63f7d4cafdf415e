"""What a backend is, and the one that serves every array-API namespace."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from xentropy._options import Options, current
from xentropy._typing import Array, DType, Kind, Namespace

if TYPE_CHECKING:
    from xentropy._known import Plan
    from xentropy._shards import Group


A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")


class Rule(Protocol):
    """A function of arrays with its gradient; the backend attaches the one to the other.

    ``names`` names the leaves, ``constant`` those that have no gradient; ``outputs`` the values
    that have one, ``others`` the values after them. A leaf that is absent is None, in the leaves
    as in the gradients. Rules are immutable and hashable.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the leaves."""
        ...

    @property
    def constant(self) -> tuple[str, ...]:
        """The names of the leaves that have no gradient."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the floating values."""
        ...

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the values that are not floating and have no gradient."""
        ...

    def forward(
        self, xp: Namespace, leaves: tuple[Array | None, ...], *, again: bool = False
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The values, and the residuals for the pullback.

        ``again`` asks for operations that the framework can differentiate itself, to any order.
        """
        ...

    def pullback(
        self,
        xp: Namespace,
        leaves: tuple[Array | None, ...],
        residuals: tuple[Array, ...],
        bars: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        *,
        again: bool = False,
    ) -> tuple[Array | None, ...]:
        """The gradients by the wanted leaves, linear in ``bars``; residuals are constants.

        ``bars`` are the gradients by the floating values, of several None where a value has
        none. ``again`` asks for the same of them.
        """
        ...


class Backend:
    """How the core talks to one framework. Subclasses say what is special about theirs.

    Parameters
    ----------
    name : str
        The name of the framework in messages.
    xp : module
        The array-API namespace.
    index_dtype : dtype
        The integer dtype that the namespace takes along an axis with.
    """

    writes: bool = False
    """Whether ``value_and_grad`` takes an array to write to, as ``out``."""
    later: bool = False
    """Whether the framework computes while Python goes on, and so may be asked before a look."""

    def __init__(self, name: str, xp: Namespace, index_dtype: DType) -> None:
        self.name = name
        self.xp = xp
        self.index_dtype = index_dtype

    def refuses(self, cls: type) -> str | None:
        """Why arrays of this class are not taken, or None."""
        return None

    def takes(self, x: Array) -> bool:
        """Whether `adopt` also makes an array of another framework its own."""
        return False

    def adopt(self, x: Array) -> Array:
        """An array as the namespace's own kind (a variable becomes its value)."""
        return x

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as an array beside ``like``, floating ones in its dtype."""
        dtype = self.compute_dtype(like) if floating else None
        return self.xp.asarray(value, dtype=dtype, device=getattr(like, "device", None))

    def kind(self, x: Array) -> Kind:
        """Which kind of numbers an array holds."""
        for kind in ("real floating", "integral", "bool", "complex floating"):
            if self.xp.isdtype(x.dtype, kind):
                return kind
        return "other"

    def looks(self, args: tuple[Any, ...]) -> Hashable | None:
        """The shapes, dtypes and devices of arrays, where these say all of them but their values.

        A call on such arrays is not validated anew, see `xentropy._recalled`. None where one of
        them is no array, or is traced, or where somebody looks on.
        """
        return None

    def shape(self, x: Array) -> tuple[int | None, ...]:
        """The shape, with None where a length is unknown while tracing."""
        return tuple(x.shape)

    def device(self, x: Array) -> object:
        """The device of an array, comparable, or None where it does not matter."""
        return None

    def compute_dtype(self, x: Array) -> DType:
        """The dtype to compute in: float64 for float64, float32 for everything narrower."""
        return self.xp.float64 if x.dtype == self.xp.float64 else self.xp.float32

    def writable(self, x: Array) -> bool:
        """Whether an array can be written to, where the backend writes at all."""
        return self.writes

    def look(self, x: Array) -> tuple[Namespace, Array] | None:
        """An array and a namespace to look at its values with, here and now, or None.

        None while the values are unknown or on a device that would have to be waited for. The
        namespace must compute at once: that of a framework that is tracing does not.
        """
        return None

    def still(self, function: Callable[[Namespace, A, R], T], arrays: A, rule: R) -> T:
        """What a function gives of arrays in nested tuples; nothing is differentiated.

        Function and rule are hashable, so that a backend may compile once for many calls.
        """
        return function(self.xp, arrays, rule)

    def total(self, x: Array) -> float:
        """The sum of an array's numbers or flags in float64, waited for."""
        return float(self.xp.sum(self.xp.astype(x, self.xp.float64)))

    def unrolls(self) -> bool:
        """Whether a loop is traced turn by turn, so that a compiler takes time for each."""
        return False

    def options(self) -> Options:
        """The options that hold, see `xentropy.options`."""
        return current()

    def aside(self, function: Callable[..., T], *args: Any) -> T:
        """What a function gives that a compiler which traces the call must not look into."""
        return function(*args)

    def group(self, group: Any) -> Group:
        """What holds the classes with these arrays, by what the framework calls a group."""
        raise TypeError(
            f"group must be left out for arrays of {self.name}, which knows no groups of "
            f"processes or devices, got {group!r}"
        )

    def plan(self, rule: Rule, leaves: tuple[Array | None, ...]) -> Plan | None:
        """How a rule is evaluated: in blocks of rows, or, without a plan, whole."""
        return None

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """The values of a rule, with gradients attached where the framework has autograd."""
        return rule.forward(self.xp, leaves)[0]

    def value_and_grad(
        self,
        rule: Rule,
        leaves: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        of: int = 0,
    ) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
        """The values, and the gradients of one of them by the wanted leaves, without autograd."""
        values, residuals = rule.forward(self.xp, leaves)
        bars = ones_of(self.xp, rule, values, of)
        return values, rule.pullback(self.xp, leaves, residuals, bars, wanted)


def ones_of(
    xp: Namespace, rule: Rule, values: tuple[Array, ...], of: int
) -> tuple[Array | None, ...]:
    """The bars that ask for the gradient of the sum of one value."""
    return tuple(xp.ones_like(values[i]) if i == of else None for i in range(len(rule.outputs)))


def generic(array: Array) -> Backend:
    """The backend for an array that knows its own namespace but has no adapter."""
    import array_api_compat

    xp = array_api_compat.array_namespace(array)
    name = xp.__name__.removeprefix("array_api_compat.").partition(".")[0]
    indexing = getattr(xp, "int64", None)
    return Generic(name, xp, indexing)


class Generic(Backend):
    """An array-API namespace without autograd; values are never looked at, arrays may be lazy."""
