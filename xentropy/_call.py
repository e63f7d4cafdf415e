"""A public function as a rule with its arrays: evaluated, or with its gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    TypeVar,
    cast,
    overload,
)

from xentropy import _errors
from xentropy._backend import Backend, Rule
from xentropy._dispatch import aside, backend_of
from xentropy._recalled import earlier, remember
from xentropy._typing import Array

if TYPE_CHECKING:
    from xentropy._scoring import Score
    from xentropy._shards import Group
    from xentropy._signatures import (
        Differentiable,
        OfEntries,
        OfExponents,
        OfHidden,
        OfLogits,
        OfLogProbs,
        ScoreOfHidden,
        ScoreOfLogits,
    )

P = ParamSpec("P")
A = TypeVar("A")
G = TypeVar("G")


class Call(NamedTuple, Generic[A]):
    """A rule and its leaves, checked and ready for one backend.

    ``form`` makes one result of several values. ``group`` holds the classes, if these are some;
    ``given`` are the targets as they were passed.
    """

    backend: Backend
    rule: Rule
    leaves: tuple[Array | None, ...]
    form: Callable[..., A] | None = None
    group: Group | None = None
    given: Any = None

    def value(self) -> A:
        """The value, differentiable by the framework."""
        return self.shaped(self.backend.apply(self.rule, self.leaves))

    def changed(self, **fields: Any) -> Call[A]:
        """The same call with some fields of its rule changed."""
        from dataclasses import replace

        rule: Any = self.rule
        return self._replace(rule=replace(rule, **fields))

    def shaped(self, values: tuple[Array, ...]) -> A:
        """The values as the public function returns them."""
        first: A = values[0]
        return first if self.form is None else self.form(*values)


def public(prepare: Callable[P, Call[A]]) -> Callable[P, A]:
    """Make the function that evaluates what ``prepare`` has validated."""

    @wraps(prepare)
    def function(*args: P.args, **kwargs: P.kwargs) -> A:
        if kwargs.get("group") is not None:
            return cast("A", aside(_of_group, prepare, args, kwargs))
        key, again = earlier(prepare, args, kwargs)
        if again is not None:
            return cast("A", again(args))
        call = prepare(*args, **kwargs)
        remember(key, args, call)
        return call.value()

    # The signature that help and documentation show is the function's: they ask the inner one.
    prepare.__annotations__["return"] = function.__annotations__["return"] = "A"
    cast("Any", function).__xentropy_prepare__ = prepare
    return function


# The same to a type checker that has to know the name of the first array; see _signatures.py.


def of_entries(prepare: Callable[Concatenate[Any, P], Call[Any]]) -> OfEntries[P]:
    """`public` for a function that makes one number of each."""
    return cast("OfEntries[P]", public(prepare))


def of_exponents(prepare: Callable[..., Call[Any]]) -> OfExponents:
    """`public` for `logsumexp`."""
    return cast("OfExponents", public(prepare))


def of_logits(prepare: Callable[Concatenate[Any, P], Call[Any]]) -> OfLogits[P]:
    """`public` for a function of logits."""
    return cast("OfLogits[P]", public(prepare))


def of_log_probs(prepare: Callable[Concatenate[Any, P], Call[Any]]) -> OfLogProbs[P]:
    """`public` for a function of log-probabilities."""
    return cast("OfLogProbs[P]", public(prepare))


def of_hidden(prepare: Callable[Concatenate[Any, P], Call[Any]]) -> OfHidden[P]:
    """`public` for a function of what a head is applied to."""
    return cast("OfHidden[P]", public(prepare))


def score_of_logits(
    prepare: Callable[Concatenate[Any, P], Call[Score[Any]]],
) -> ScoreOfLogits[P]:
    """`public` for scores of logits."""
    return cast("ScoreOfLogits[P]", public(prepare))


def score_of_hidden(
    prepare: Callable[Concatenate[Any, P], Call[Score[Any]]],
) -> ScoreOfHidden[P]:
    """`public` for scores of what a head is applied to."""
    return cast("ScoreOfHidden[P]", public(prepare))


def _of_group(prepare: Callable[..., Call[A]], args: tuple[Any, ...], kwargs: Any) -> A:
    """The value of a function that was given a group."""
    return prepared(prepare, args, kwargs).value()


def prepared(
    prepare: Callable[..., Call[A]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Call[A]:
    """The call, as all members of a group agree on it where one is given."""
    if kwargs.get("group") is None:
        return prepare(*args, **kwargs)
    # Imported by the first call that needs it: `import xentropy` stays light.
    from xentropy._agreement import agreed

    return agreed(prepare, args, kwargs)


@overload
def value_and_grad(
    loss: partial[Any], *, wrt: str | tuple[str, ...] | None = None, of: str | None = None
) -> Callable[..., tuple[Any, Any]]: ...
@overload
def value_and_grad(
    loss: Differentiable[Any], *, wrt: tuple[str, ...], of: str | None = None
) -> Callable[..., tuple[Any, tuple[Any, ...]]]: ...
@overload
def value_and_grad(
    loss: Differentiable[G], *, wrt: str | None = None, of: str | None = None
) -> G: ...
def value_and_grad(
    loss: Any, *, wrt: str | tuple[str, ...] | None = None, of: str | None = None
) -> Any:
    """A function that returns a loss together with its gradient, on any backend.

    The gradient is the core's own, made in the same visit, so that NumPy, which has no autograd,
    has gradients too. For a vector of losses (``reduction="none"``) it is the gradient of their
    sum.

    Parameters
    ----------
    loss : callable
        A function of this package, or a ``functools.partial`` of one.
    wrt : str or tuple of str, optional
        The arguments to differentiate by; the first argument unless it is given. They must be
        floating arrays.
    of : str, optional
        For a function of several results: the one whose gradient is taken; the first unless it is
        given.

    Returns
    -------
    callable
        It takes the arguments of ``loss`` and returns ``(value, grad)``; ``grad`` is an array of
        the shape and dtype of the argument, or a tuple of arrays where ``wrt`` is a tuple.
        PyTorch tensors come detached: use autograd itself for derivatives of derivatives. Where
        arrays can be written to (NumPy, PyTorch), it also takes ``out``, an array for the one
        gradient; ``out=logits`` writes it over the logits, so that nothing as large as they are
        is allocated.

    Raises
    ------
    TypeError
        If ``loss`` is not a function of this package, an argument of ``wrt`` is absent or not
        floating, or ``out`` is no array of the same framework and dtype that can be written to.
    ValueError
        If ``wrt`` names something that ``loss`` does not differentiate by, or ``of`` no floating
        result of it, or ``out`` has another shape, or is given for several gradients.

    Examples
    --------
    >>> import numpy as np
    >>> import xentropy as xe
    >>> value, grad = xe.value_and_grad(xe.cross_entropy)(np.array([30.0, 0.0, 0.0]), 0)
    >>> print(f"{value:.7g}", [f"{g:.7g}" for g in grad])
    1.871525e-13 ['-1.871525e-13', '9.357623e-14', '9.357623e-14']
    """
    prepare, args, options = prepare_of(loss)
    single = of is None and (wrt is None or isinstance(wrt, str))

    @wraps(loss)
    def function(*more: Any, out: Array | None = None, **kwargs: Any) -> tuple[Any, Any]:
        every, chosen = (*args, *more), {**options, **kwargs}
        key, again = None, None
        if single and out is None:
            key, again = earlier((prepare, wrt), every, chosen)
        if again is not None:
            return cast("tuple[Any, Any]", again(every))
        call: Call[Any] = prepared(prepare, every, chosen)
        own = call.rule.names
        names = (own[0],) if wrt is None else (wrt,) if isinstance(wrt, str) else wrt
        wanted = _wanted(call, names)
        place = _place(call.rule, of)
        extra = {} if out is None else {"out": _checked_out(call, out, wrt, names[0])}
        found = call.backend.value_and_grad(call.rule, call.leaves, wanted, place, **extra)
        values, gradients = found
        remember(key, every, call, wanted, own.index(names[0]))
        value, by = call.shaped(values), dict(zip(own, gradients, strict=True))
        return value, tuple(by[name] for name in wrt) if isinstance(wrt, tuple) else by[names[0]]

    return function


def prepare_of(loss: Any) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """What prepares a loss, and the arguments that partials of it have fixed."""
    inner, args, options = loss, (), {}
    if isinstance(loss, partial):
        inner, args, options = loss.func, loss.args, loss.keywords
    prepare = getattr(inner, "__xentropy_prepare__", None)
    if prepare is None:
        raise TypeError(f"loss must be a function of xentropy or a partial of one, got {loss!r}")
    return prepare, args, options


def call_of(function: Any, *args: Any, **options: Any) -> Call[Any]:
    """What a public function would evaluate: another one takes its rule and changes it."""
    call: Call[Any] = function.__xentropy_prepare__(*args, **options)
    return call


def _checked_out(call: Call[Any], out: Any, wrt: Any, name: str) -> Array:
    """An array for a gradient: of the argument's framework, shape and dtype, and writable."""
    backend, leaves = call.backend, dict(zip(call.rule.names, call.leaves, strict=True))
    like: Array = leaves[name]
    if isinstance(wrt, tuple) and len(wrt) != 1:
        raise _errors.option("out", "left out unless there is one gradient", out)
    if not backend.writes:
        raise TypeError(f"out was given, but arrays of {backend.name} cannot be written to")
    if backend_of(out, "out") is not backend:
        kind = f"{type(out).__module__}.{type(out).__qualname__}"
        raise TypeError(f"out must be an array of {backend.name}, got a {kind}")
    if not backend.writable(out):
        raise TypeError("out must be an array that can be written to, got a read-only one")
    if backend.shape(out) != backend.shape(like):
        rule = "the gradient has its shape"
        raise _errors.shapes("out", backend.shape(out), rule, name, backend.shape(like))
    if out.dtype != like.dtype or backend.device(out) != backend.device(like):
        raise TypeError(f"out must have the dtype and device of {name}, got {out.dtype}")
    return out


def _place(rule: Rule, of: str | None) -> int:
    """Which of the values to differentiate."""
    if of is None:
        return 0
    if of not in rule.outputs:
        raise _errors.one_of("of", rule.outputs, of)
    return rule.outputs.index(of)


def _wanted(call: Call[Any], names: tuple[str, ...]) -> tuple[bool, ...]:
    """Which leaves are differentiated by: all that are named, and they can be."""
    own, constant = call.rule.names, call.rule.constant
    for name in names:
        if name not in own or name in constant:
            raise _errors.one_of("wrt", [each for each in own if each not in constant], name)
        leaf = call.leaves[own.index(name)]
        if leaf is None:
            raise TypeError(f"wrt names {name}, which was not given")
        if call.backend.kind(leaf) != "real floating":
            raise _errors.dtype(name, "floating to differentiate by it", leaf.dtype)
    return tuple([name in names for name in own])
