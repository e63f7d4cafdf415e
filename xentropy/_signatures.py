"""The public functions as a type checker sees them: what comes out for what goes in.

The type of the first array comes out again; a parameter of PyTorch comes out as a tensor. NumPy's
own functions give a scalar where a result has no dimensions, which the types of the arguments do
not tell: for its arrays a result is an array as far as members go, and Any besides. Nothing here
exists at run time but to be looked at.

A parameter before those of a ``ParamSpec`` needs its name here, since it may be given by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    Unpack,
    overload,
)

from xentropy._typing import SumOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xentropy._functions import SignedLog
    from xentropy._scoring import Score

    Numbers: TypeAlias = NDArray[np.floating[Any]]
    Result: TypeAlias = Numbers | Any
    Scores: TypeAlias = Score[NDArray[Any] | Any]

P = ParamSpec("P")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
G_co = TypeVar("G_co", covariant=True)


class NumPy(Protocol):
    """NumPy's arrays and scalars, told from all others without an import of NumPy."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


class Torch(Protocol[A_co]):
    """PyTorch's tensors: what is made of a parameter is none, but a tensor like it detached."""

    def detach(self) -> A_co: ...


class Differentiable(Protocol[G_co]):
    """A function that `value_and_grad` takes, and, to checkers alone, what it makes of it."""

    @property
    def __xentropy_prepare__(self) -> Callable[..., Any]:
        """What validates the arguments."""
        ...

    @property
    def _with_grad(self) -> G_co: ...


class OfEntries(Differentiable["ValueAndGrad"], Protocol[P]):
    """A function that makes one number of each."""

    @overload
    def __call__(self, x: Torch[A], *args: P.args, **kwargs: P.kwargs) -> A: ...
    @overload
    def __call__(self, x: A, *args: P.args, **kwargs: P.kwargs) -> A: ...


class OfExponents(Differentiable[Callable[..., tuple[Any, Any]]], Protocol):
    """`logsumexp`, with the sign of the sum or without."""

    @overload
    def __call__(
        self, x: NumPy, *, return_sign: Literal[False] = False, **options: Unpack[SumOptions]
    ) -> Result: ...
    @overload
    def __call__(
        self, x: NumPy, *, return_sign: Literal[True], **options: Unpack[SumOptions]
    ) -> SignedLog[Result]: ...
    @overload
    def __call__(
        self, x: Torch[A], *, return_sign: Literal[False] = False, **options: Unpack[SumOptions]
    ) -> A: ...
    @overload
    def __call__(
        self, x: Torch[A], *, return_sign: Literal[True], **options: Unpack[SumOptions]
    ) -> SignedLog[A]: ...
    @overload
    def __call__(
        self, x: A, *, return_sign: Literal[False] = False, **options: Unpack[SumOptions]
    ) -> A: ...
    @overload
    def __call__(
        self, x: A, *, return_sign: Literal[True], **options: Unpack[SumOptions]
    ) -> SignedLog[A]: ...


class OfLogits(Differentiable["ValueAndGrad"], Protocol[P]):
    """A function of logits that sums over their classes."""

    @overload
    def __call__(self, logits: NumPy, *args: P.args, **kwargs: P.kwargs) -> Result: ...
    @overload
    def __call__(self, logits: Torch[A], *args: P.args, **kwargs: P.kwargs) -> A: ...
    @overload
    def __call__(self, logits: A, *args: P.args, **kwargs: P.kwargs) -> A: ...


class OfLogProbs(Differentiable["ValueAndGrad"], Protocol[P]):
    """The same of log-probabilities."""

    @overload
    def __call__(self, log_probs: NumPy, *args: P.args, **kwargs: P.kwargs) -> Result: ...
    @overload
    def __call__(self, log_probs: Torch[A], *args: P.args, **kwargs: P.kwargs) -> A: ...
    @overload
    def __call__(self, log_probs: A, *args: P.args, **kwargs: P.kwargs) -> A: ...


class OfHidden(Differentiable["ValueAndGrad"], Protocol[P]):
    """The same of what a head is applied to."""

    @overload
    def __call__(self, hidden: NumPy, *args: P.args, **kwargs: P.kwargs) -> Result: ...
    @overload
    def __call__(self, hidden: Torch[A], *args: P.args, **kwargs: P.kwargs) -> A: ...
    @overload
    def __call__(self, hidden: A, *args: P.args, **kwargs: P.kwargs) -> A: ...


class ScoreOfLogits(Differentiable["ScoreAndGrad"], Protocol[P]):
    """Scores of logits."""

    @overload
    def __call__(self, logits: NumPy, *args: P.args, **kwargs: P.kwargs) -> Scores: ...
    @overload
    def __call__(self, logits: Torch[A], *args: P.args, **kwargs: P.kwargs) -> Score[A]: ...
    @overload
    def __call__(self, logits: A, *args: P.args, **kwargs: P.kwargs) -> Score[A]: ...


class ScoreOfHidden(Differentiable["ScoreAndGrad"], Protocol[P]):
    """Scores of what a head is applied to."""

    @overload
    def __call__(self, hidden: NumPy, *args: P.args, **kwargs: P.kwargs) -> Scores: ...
    @overload
    def __call__(self, hidden: Torch[A], *args: P.args, **kwargs: P.kwargs) -> Score[A]: ...
    @overload
    def __call__(self, hidden: A, *args: P.args, **kwargs: P.kwargs) -> Score[A]: ...


class ValueAndGrad(Protocol):
    """What `value_and_grad` makes of a function of one result."""

    @overload
    def __call__(
        self, x: NumPy, /, *args: Any, out: NumPy | None = None, **kwargs: Any
    ) -> tuple[Result, Numbers]: ...
    @overload
    def __call__(
        self, x: Torch[A], /, *args: Any, out: Torch[A] | None = None, **kwargs: Any
    ) -> tuple[A, A]: ...
    @overload
    def __call__(self, x: A, /, *args: Any, out: A | None = None, **kwargs: Any) -> tuple[A, A]: ...
    @overload
    def __call__(self, **kwargs: Any) -> tuple[Any, Any]: ...


class ScoreAndGrad(Protocol):
    """What `value_and_grad` makes of a function of scores."""

    @overload
    def __call__(
        self, x: NumPy, /, *args: Any, out: NumPy | None = None, **kwargs: Any
    ) -> tuple[Scores, Numbers]: ...
    @overload
    def __call__(
        self, x: Torch[A], /, *args: Any, out: Torch[A] | None = None, **kwargs: Any
    ) -> tuple[Score[A], A]: ...
    @overload
    def __call__(
        self, x: A, /, *args: Any, out: A | None = None, **kwargs: Any
    ) -> tuple[Score[A], A]: ...
    @overload
    def __call__(self, **kwargs: Any) -> tuple[Score[Any], Any]: ...
