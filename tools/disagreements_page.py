"""Write docs/disagreements.json from the parity matrix, and from it docs/disagreements.md.

    python tools/disagreements_page.py             run the columns, write both
    python tools/disagreements_page.py --stored    write the page from the stored run
    python tools/disagreements_page.py --check     fail if the page holds other tables; run nothing

A run ends with an error where xentropy's own answer is not right in a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import blocks

from xentropy.parity._declare import POLICY

#: What xentropy answers, for every row of the policy.
ANSWERS = {
    "nothing-kept": "0, connected to the graph, with a gradient of exactly 0.",
    "label-range": "An `IndexError` that names the first bad row and its label, where labels can "
    "be looked at without waiting: eagerly and on the host. Elsewhere, compiled or on an "
    "accelerator, NaN in the loss and in the gradient of the row. Never a wrap, a clip or a silent "
    "0.",
    "ignored-garbage": "It adds nothing, and its row of the gradient is exactly 0.",
    "zero-times-inf": "A class that no target is on adds nothing, masked or not.",
    "target-on-masked": "What cannot be has an infinite loss.",
    "all-minus-inf": "The logsumexp is -inf, with a gradient of 0; the softmax is NaN, and so is "
    "the loss unless the row is ignored.",
    "plus-inf": "The softmax is the one-hot of the one class, the loss 0 there and inf elsewhere. "
    "Two such logits are NaN.",
    "free-mass": "They are taken as they are: the gradient is that of the loss, w p − t.",
    "hard-is-one-hot": "All three are the same loss, for every weight and every reduction.",
    "smoothing": "(1 − e) t + e times the row's sum over the number of unmasked classes, and then "
    "the class weights.",
    "half": "Computed and reduced in float32, the loss is float32; the gradient has the logits' "
    "dtype.",
    "double": "float64 throughout.",
    "logits-dtype": "A `TypeError` that names the dtype.",
    "shapes": "A `ValueError` that names both shapes. Nothing is broadcast silently.",
    "shift": "It changes nothing but the rounding of the shifted logits.",
    "probabilities": "−Σ t log p as given: not clipped, not divided by their sum, inf where p = 0 "
    "and t > 0.",
    "option-range": "A `ValueError` with the parameter, its rule and the value.",
    "label-precision": "Labels are never cast to a floating dtype.",
}
#: A call longer than this is not repeated on the page: the name of the case stands for it.
LONGEST = 130
Line = Mapping[str, Any]


def run() -> dict[str, Any]:
    """Run the columns of the matrix."""
    from disagreements import disagreements
    from readme_table import MODULES, release

    versions = {name: release(at) for name, at in MODULES.items()}
    return {"versions": versions, "lines": disagreements()}


def tables(report: Mapping[str, Any]) -> str:
    """Everything between the marks of the page."""
    lines = report["lines"]
    held = {key: [each for each in lines if each["policy"] == key] for key in POLICY}
    parts = [part for key in POLICY for part in section(key, held[key])]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return "\n".join([*parts, f"<sub>{versions}.</sub>"]) + "\n"


def section(key: str, lines: Sequence[Line]) -> Iterator[str]:
    """A row of the policy: the answer, the lines that differ, and the cases where all agree."""
    title = POLICY[key][0].upper() + POLICY[key][1:]
    yield from (f"## {title}", "", f"xentropy: {ANSWERS[key]}", "")
    apart = [line for line in lines if line["wrong"]]
    if apart:
        names = list(lines[0]["answers"])
        yield from blocks.heads(["", "right, xentropy", *names])
        yield from (
            entry(line, names, again=line["case"] == before["case"])
            for before, line in zip([{"case": ""}, *apart], apart, strict=False)
        )
        yield ""
        yield from calls(apart)
    differing = {line["case"] for line in apart}
    rest = dict.fromkeys(line["case"] for line in lines if line["case"] not in differing)
    asked = {line["case"] for line in lines if any(a is not None for a in line["answers"].values())}
    yield from remark("All that offer it agree", [case for case in rest if case in asked])
    yield from remark("Offered by none of them", [case for case in rest if case not in asked])


def remark(text: str, cases: Sequence[str]) -> Iterator[str]:
    if cases:
        yield from (f"{text}: {'; '.join(map(escape, cases))}.", "")


def entry(line: Line, names: Sequence[str], *, again: bool) -> str:
    """A line of a table: bold is what is not right, a dash what a library does not offer."""
    cells = []
    for name in names:
        text = shown(line["answers"].get(name))
        cells.append(f"**{text}**" if name in line["wrong"] else text)
    return blocks.line([head(line, again), shown(line["right"]), *cells])


def head(line: Line, again: bool) -> str:
    """The case, and what is shown of it."""
    if again:
        return f"… {escape(line['what'])}"
    return ", ".join(escape(part) for part in (line["case"], line["what"]) if part)


def calls(lines: Sequence[Line]) -> Iterator[str]:
    """What was called, out of the way of the table, which is wide enough."""
    held = {line["case"]: line["call"] for line in lines if 0 < len(line["call"]) <= LONGEST}
    if held:
        yield from ("<details>", "<summary>The calls</summary>", "")
        yield from (f"- {escape(case)}: `{call}`" for case, call in held.items())
        yield from ("", "</details>", "")


def shown(answer: Any) -> str:
    """Numbers to four digits, the class of an error, or a dash."""
    if answer is None:
        return "–"
    if isinstance(answer, str):
        return answer
    texts = [v if isinstance(v, str) else f"{v:.4g}" for v in answer]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def escape(text: str) -> str:
    """Text that takes no table apart."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    blocks.write_run(Path(__file__).name, __doc__, run, tables)
