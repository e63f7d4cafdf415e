"""A case as the call that a user would write."""

from __future__ import annotations

from xentropy.parity._case import OPERANDS, Array, Case

#: Longer arrays are named by their dtype and shape.
LONGEST = 64


def call_text(case: Case) -> str:
    """The call, its arrays written out while they are short."""
    operands = OPERANDS[case.function]
    given = {**case.arrays, **case.options}
    named = [f"{n}={_text(v)}" for n, v in given.items() if n not in operands]
    arguments = [*(_text(given[n]) for n in operands), *named]
    return f"xe.{case.function}({', '.join(arguments)}){_derived(case)}"


def _derived(case: Case) -> str:
    """The output that is differentiated, and the directions."""
    directions = ", ".join(f"{n}={_text(v)}" for n, v in case.along.items())
    return (f".{case.of}" if case.of else "") + (f"  # along {directions}" if directions else "")


def _text(value: object) -> str:
    if not isinstance(value, Array):
        return repr(value)
    if value.home == "unknown":
        return "object()"
    few = 0 < len(value.values) <= LONGEST
    written = _short(value.nested()) if few else f"shape {value.shape}"
    return written if value.home == "python" else f"{value.dtype}({written})"


def _short(nested: object) -> str:
    """Nested lists with numbers to six places, which tell one case from another."""
    if isinstance(nested, list):
        return f"[{', '.join(map(_short, nested))}]"
    return f"{nested:.6g}" if isinstance(nested, float) else str(nested)
