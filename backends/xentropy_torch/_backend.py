"""How xentropy talks to PyTorch: the namespace, and rules attached to autograd."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

from xentropy import _errors, _fused, _plans, _schedule
from xentropy._backend import Backend, Rule
from xentropy._by_rows import ByRows
from xentropy._by_sums import in_blocks, suits
from xentropy._known import Plan
from xentropy._options import Options, current
from xentropy._sharded import Sharded
from xentropy._typing import Array, Kind, Namespace
from xentropy_torch import _mutable, _opaque, _products
from xentropy_torch import _namespace as xp

if TYPE_CHECKING:
    from xentropy._linear import LinearLoss
    from xentropy._rows import RowLoss
    from xentropy._shards import Group
    from xentropy_torch._spread import Local

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")


class _Attached(torch.autograd.Function):
    """A rule as an autograd function: its leaves in, its values and its residuals out."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rule: Rule, *leaves: Array | None) -> tuple[Array, ...]:
        values, residuals = rule.forward(xp, leaves)
        # A residual that is a value would take the value's gradient with its own.
        apart = (x.detach() if any(x is value for value in values) else x for x in residuals)
        return *values, *apart

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Array, ...]) -> None:
        rule, *leaves = inputs
        ctx.rule = rule
        ctx.present = [leaf is not None for leaf in leaves]
        floating = len(rule.outputs)
        residuals = output[floating + len(rule.others) :]
        ctx.forms = [(x.shape, x.dtype) for x in output[:floating]]
        ctx.others = len(output) - floating
        # The residuals are constants of the pullback, which visits again for higher orders.
        ctx.mark_non_differentiable(*output[floating:])
        ctx.set_materialize_grads(False)
        saved = (*(leaf for leaf in leaves if leaf is not None), *residuals)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, *bars: Array | None) -> tuple[Array | None, ...]:
        wanted = ctx.needs_input_grad[1:]
        bars = bars[: len(ctx.forms)]
        if all(bar is None for bar in bars):
            return (None,) * (1 + len(wanted))
        again = torch.is_grad_enabled()
        if not (again or torch.compiler.is_compiling()):
            again = any(bar is not None and _batched(bar) for bar in bars)
        return None, *_pull(ctx, bars, wanted, again=again)


class _AttachedBothWays(_Attached):
    """The same with forward mode, which torch.compile cannot trace and so gets without."""

    @staticmethod
    def jvp(ctx: Any, _: None, *directions: Array | None) -> tuple[Array | None, ...]:
        """The derivative in a direction: the transpose of the pullback, which is linear."""
        wanted = tuple(direction is not None for direction in directions)
        moving = tuple(direction for direction in directions if direction is not None)

        def pull(*bars: Array) -> tuple[Array, ...]:
            found = _pull(ctx, bars, wanted, again=True)
            return tuple(gradient for gradient in found if gradient is not None)

        bars = (moving[0].new_zeros(shape, dtype=dtype) for shape, dtype in ctx.forms)
        transposed = torch.func.vjp(pull, *bars)[1]
        return *transposed(moving), *(None,) * ctx.others


class _InBlocks(torch.autograd.Function):
    """A loss visited in blocks: the gradients of what moves are made in the same visit."""

    @staticmethod
    def forward(
        ctx: Any, call: tuple[Plan, Any, tuple[Array | None, ...], tuple[bool, ...]], *_: Any
    ) -> Array:
        chosen, rule, leaves, wanted = call
        ctx.plan, ctx.rule, ctx.wanted, ctx.gradients = chosen, rule, wanted, None
        ctx.save_for_backward(*leaves)
        if not _schedule.ahead(rule):
            return _schedule.loss(chosen, rule, leaves)
        loss, ctx.gradients = _schedule.loss_and_gradients(chosen, rule, leaves, wanted)
        return loss

    @staticmethod
    def backward(ctx: Any, bar: Array) -> tuple[Array | None, ...]:
        leaves = ctx.saved_tensors
        if torch.is_grad_enabled() or _batched(bar):
            found = _again(ctx.rule, leaves, bar, ctx.wanted)
        else:
            # They are given away, so that no copies are made; who comes again has them made again.
            made, ctx.gradients = ctx.gradients, None
            found = _schedule.worth(ctx.plan, ctx.rule, leaves, ctx.wanted, made, bar)
        return None, *[found[i] for i in _schedule.moving(ctx.rule)]


def _again(
    rule: Rule, leaves: tuple[Array | None, ...], bar: Array, wanted: tuple[bool, ...]
) -> tuple[Array | None, ...]:
    """The gradients in operations that PyTorch can differentiate."""
    with torch.no_grad():
        residuals = rule.forward(xp, leaves)[1]
    return rule.pullback(xp, leaves, residuals, (bar,), wanted, again=True)


def _pull(
    ctx: Any, bars: tuple[Array | None, ...], wanted: tuple[bool, ...], *, again: bool
) -> tuple[Array | None, ...]:
    saved = list(ctx.saved_tensors)
    leaves = tuple(saved.pop(0) if present else None for present in ctx.present)
    found = ctx.rule.pullback(xp, leaves, tuple(saved), bars, wanted, again=again)
    return tuple(found)


def _pushing() -> bool:
    """Whether forward mode is on."""
    level: int = torch.autograd.forward_ad._current_level
    return level >= 0


def _observed() -> bool:
    """Whether torch.jit.trace sees every operation, or a mode: that of fake tensors, or make_fx."""
    traced: bool = torch._C._get_tracing_state() is not None
    return traced or torch._C._len_torch_dispatch_stack() > 0


def _batched(x: Array) -> bool:
    """Whether a tensor stands for many, by either of PyTorch's vmaps."""
    if torch._C._are_functorch_transforms_active():
        return True
    return bool(torch._C._functorch.is_legacy_batchedtensor(x))


# PyTorch stores these dtypes but computes next to nothing with them.
_SHELLS = frozenset({torch.uint16, torch.uint32, torch.uint64})


def _signed(x: Array) -> Array:
    """Unsigned integers as int64; what exceeds it stays larger than any number of classes."""
    signed = x.to(torch.int64)
    if x.dtype != torch.uint64:
        return signed
    return torch.where(signed < 0, torch.iinfo(torch.int64).max, signed)


class _Inductor:
    """What a compiler that traces has beyond operations: no branches, and sums that it fuses.

    So rows are always visited with care.
    """

    some = sum_rows = None
    compares = True

    def widens(self, _: Array, *, short: bool) -> bool:
        """What is summed is widened on the way."""
        return False

    def everywhere(self, _: Array) -> bool:
        """Nothing is known while tracing."""
        return False

    def either(self, flag: bool, yes: Callable[[], T], no: Callable[[], T]) -> T:
        """What the second one gives."""
        return yes() if flag else no()

    def sum_both(self, a: Array, b: Array, axis: int) -> tuple[Array, Array]:
        """Two sums."""
        return torch.sum(a, axis, keepdim=True), torch.sum(b, axis, keepdim=True)

    def anew(self, x: Array) -> Array:
        """The same."""
        return x


_INDUCTOR = _Inductor()


class TorchBackend(Backend):
    """PyTorch tensors on any device."""

    writes = True

    def adopt(self, x: Array) -> Array:
        """Dense layouts only; unsigned integers that PyTorch cannot compare become signed."""
        if x.layout is not torch.strided:
            raise TypeError(f"a {x.layout} tensor is not supported: pass tensor.to_dense()")
        return _signed(x) if x.dtype in _SHELLS else x

    def make(self, value: object, like: Array, *, floating: bool) -> Array:
        """Python numbers and lists as a tensor on the device of ``like``."""
        dtype = self.compute_dtype(like) if floating else None
        return torch.as_tensor(value, dtype=dtype, device=like.device)

    def kind(self, x: Array) -> Kind:
        """Which kind of numbers a tensor holds."""
        if x.is_floating_point():
            return "real floating"
        if x.is_complex():
            return "complex floating"
        return "bool" if x.dtype == torch.bool else "integral"

    def device(self, x: Array) -> object:
        """The device."""
        return x.device

    def looks(self, args: tuple[Any, ...]) -> Hashable | None:
        """Of dense tensors of no other subclass, where nothing is compiled or traced."""
        if torch.compiler.is_compiling() or _observed():
            return None
        for x in args:
            if type(x) not in _PLAIN or x.layout is not torch.strided:
                return None
        return tuple([(x.shape, x.dtype, x.device) for x in args])

    def look(self, x: Array) -> tuple[Namespace, Array] | None:
        """On the host, and neither traced, faked, spread nor under a function transform."""
        if type(x) not in _PLAIN and _is_spread(x):
            return None
        if not x.is_cpu or torch.compiler.is_compiling() or _observed():
            return None
        return None if torch._C._functorch.is_functorch_wrapped_tensor(x) else (xp, x)

    def still(self, function: Callable[[Namespace, A, R], T], arrays: A, rule: R) -> T:
        """What autograd does not see."""
        with torch.no_grad():
            return super().still(function, arrays, rule)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # PyTorch has no types for it
    def aside(self, function: Callable[..., T], *args: Any) -> T:
        """What a function gives that torch.compile does not look into: its graph breaks here."""
        return function(*args)

    def group(self, group: Any) -> Group:
        """A ProcessGroup, or a DeviceMesh of one dimension."""
        # Imported by the first call that needs it: not every PyTorch is built with it.
        from xentropy_torch._groups import group_of

        return group_of(group)

    def unrolls(self) -> bool:
        """Under torch.compile."""
        return torch.compiler.is_compiling()

    def options(self) -> Options:
        """The options that hold; torch.compile, which cannot trace them, has none."""
        return Options() if torch.compiler.is_compiling() else current()

    def apply(self, rule: Rule, leaves: tuple[Array | None, ...]) -> tuple[Array, ...]:
        """The values, attached to autograd where anything requires a gradient."""
        compiling = torch.compiler.is_compiling()
        asked = _asked(leaves)
        chosen = None if compiling else plan(rule, leaves, asked)
        if chosen is not None:
            return (_in_blocks(chosen, rule, leaves, asked),)
        spread = _spread(rule, leaves)
        if spread is not None:
            return spread.dressed(self.apply(spread.rule, spread.leaves))
        rule = _planned(rule, leaves)
        if not compiling and torch._C._get_tracing_state() is not None:
            # A trace holds operations, which it can save and differentiate itself.
            return rule.forward(xp, leaves, again=True)[0]
        # Forward mode alone, and what torch.compile traces of torch.func's transforms, does not
        # tell itself by a leaf that requires a gradient; and torch.compile knows no jvp of ours.
        again = _pushing() or (compiling and torch._C._are_functorch_transforms_active())
        if compiling and not again and _opaque.suits(rule, leaves):
            return (_opaque.loss(cast("LinearLoss", rule), leaves),)
        if compiling and not again and _fused.suits(rule, leaves):
            rule = _fused.Fused(cast("RowLoss", rule), _INDUCTOR)
        if True not in asked or (again and compiling):
            if isinstance(rule, ByRows):
                values: tuple[Array, ...] = rule.alone(xp, leaves)
            else:
                values = rule.forward(xp, leaves, again=again)[0]
            return values
        attached = _Attached if compiling else _AttachedBothWays
        outputs: tuple[Array, ...] = attached.apply(rule, *leaves)
        return outputs[: len(rule.outputs) + len(rule.others)]

    def value_and_grad(
        self,
        rule: Rule,
        leaves: tuple[Array | None, ...],
        wanted: tuple[bool, ...],
        of: int = 0,
        out: Array | None = None,
    ) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
        """The values, and the gradients of one, all detached."""
        spread = _spread(rule, leaves)
        if spread is not None:
            if out is not None:
                raise _errors.option("out", "left out where arguments are DTensors", type(out))
            values, by = self.value_and_grad(spread.rule, spread.leaves, wanted, of)
            return spread.dressed(values), spread.dressed_gradients(by)
        with torch.no_grad():
            chosen = None if torch.compiler.is_compiling() else plan(rule, leaves)
            if chosen is not None and _schedule.moves(rule, wanted):
                into = out if out is None or _apart(out, leaves) else None
                value, found = _schedule.loss_and_gradients(chosen, rule, leaves, wanted, out=into)
                return (value,), _plans.written(_mutable, found, out)
            values, gradients = super().value_and_grad(_planned(rule, leaves), leaves, wanted, of)
            return values, _plans.written(_mutable, gradients, out)


def _spread(rule: Rule, leaves: tuple[Array | None, ...]) -> Local | None:
    """What a process computes, where arrays are spread over a mesh."""
    if all(leaf is None or type(leaf) in _PLAIN for leaf in leaves):
        return None
    if not any(_is_spread(leaf) for leaf in leaves):
        return None
    # Imported by the first call that needs it: not every PyTorch is built with it.
    from xentropy_torch._spread import local

    return local(rule, leaves)


def _is_spread(x: Array | None) -> bool:
    """Whether it is a DTensor; of a module that is not loaded there are none."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(x, module.DTensor)


def _apart(out: Array, leaves: tuple[Array | None, ...]) -> bool:
    """Whether what is written block by block touches no entry that is still to be read."""
    own = out.untyped_storage().data_ptr()
    return all(x is None or _same(x, out) or x.untyped_storage().data_ptr() != own for x in leaves)


def _same(x: Array, out: Array) -> bool:
    here = (x.data_ptr(), x.shape, x.stride(), x.dtype)
    return bool(here == (out.data_ptr(), out.shape, out.stride(), out.dtype))


def plan(
    rule: Rule, leaves: tuple[Array | None, ...], asked: tuple[bool, ...] | None = None
) -> Plan | None:
    """How an eager rule is evaluated, ``asked`` being `_asked` of it: in blocks of rows, or whole.

    In blocks what can be visited in place, of plain tensors in a CPU's memory that nothing looks
    into: no trace, no mode, no function transform, no forward mode.
    """
    if not _schedule.suits(rule, leaves) or not _open(leaves):
        return None
    if not _schedule.moves(rule, _asked(leaves) if asked is None else asked):
        return None
    return _products.plan(rule, leaves)


_PLAIN = (torch.Tensor, torch.nn.Parameter)


def _asked(leaves: tuple[Array | None, ...]) -> tuple[bool, ...]:
    """Of which leaves autograd asks the gradient."""
    if not torch.is_grad_enabled():
        return (False,) * len(leaves)
    return tuple([x is not None and x.requires_grad for x in leaves])


def _open(leaves: tuple[Array | None, ...]) -> bool:
    """Whether leaves can be read and written to here and now, and nobody looks on."""
    if _observed() or _pushing() or torch._C._are_functorch_transforms_active():
        return False
    for x in leaves:  # noqa: SIM110 - a generator takes twice as long
        if x is not None and not (type(x) in _PLAIN and x.is_cpu):
            return False
    return True


def _planned(rule: Rule, leaves: tuple[Array | None, ...]) -> Rule:
    """A rule of slices, or of rows each by itself, with its plan in blocks, if it can have one."""
    if torch.compiler.is_compiling() or not _open(leaves):
        return rule
    if suits(rule, leaves):
        return in_blocks(rule, leaves, _products.plan(rule, leaves))
    if type(rule) is not Sharded or 0 in leaves[0].shape:  # type: ignore[union-attr]  # it is there
        return rule
    return replace(rule, plan=_products.plan(rule, leaves))


def _in_blocks(
    chosen: Plan, rule: Any, leaves: tuple[Array | None, ...], asked: tuple[bool, ...]
) -> Array:
    if True not in asked:
        return _schedule.loss(chosen, rule, leaves)
    moving = [leaves[i] for i in _schedule.moving(rule)]
    return _InBlocks.apply((chosen, rule, leaves, asked), *moving)


backend = TorchBackend("torch", xp, torch.int64)
