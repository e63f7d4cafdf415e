"""Cases of the parity matrix that hypothesis draws: any function, shape, dtype and options.

What a function takes is read off its signature; the operands, the dtypes and the arrays are the
matrix's own, and so is the oracle. Here stands only which values an argument may have.
"""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args, get_type_hints

from hypothesis import strategies as st

import xentropy as xe
from xentropy._typing import Normalizer, Reduction, TargetKind
from xentropy._variants import _OF_CLASSES, Form
from xentropy.parity._case import OPEN, OPERANDS, Array, Case
from xentropy.parity._cases import CASES
from xentropy.parity._declare import INF, NAN, Group
from xentropy.parity._formats import FORMATS, compute_dtype
from xentropy.parity._grid import drop
from xentropy.parity._join import index

Shape = tuple[int, ...]
Number = Callable[[random.Random], float]
Draw = Callable[[Any], Any]

#: How many sets of numbers a program is given: it is compiled once for them all.
SETS = 3
#: The dtypes of labels and of a one-hot, as the matrix has them.
LABELS = sorted(
    {c.arrays["targets"].dtype for c in CASES if c.group == "label dtypes"} - {*FORMATS}
)
WHOLE = [name for name in LABELS if name.startswith(("int", "uint"))]

#: The values of the options that are no arrays.
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "from_logits": st.booleans(),
    "ignore_index": st.sampled_from([-100, -1, 1, 100]),
    "label_smoothing": st.sampled_from([0.125, 0.1, 1.0]),
    "temperature": st.sampled_from([1.0, 0.5, 3.0, 0.07]),
    "softcap": st.sampled_from([30.0, 2.0, 0.7]),
    "z_loss": st.sampled_from([0.0, 0.25, 1e-4]),
    "reduction": st.sampled_from(get_args(Reduction)),
    "normalizer": st.sampled_from([*get_args(Normalizer), 3.0, 0.0]),
    "targets_are": st.sampled_from(get_args(TargetKind)),
    "form": st.sampled_from(get_args(Form)),
    "gamma": st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]),
    "epsilon": st.sampled_from([-1.0, -0.5, 0.0, 2.0]),
    "q": st.sampled_from([1e-3, 0.7, 1.0]),
    "keepdims": st.booleans(),
    "return_sign": st.booleans(),
}
#: The arguments that are arrays beside the operands.
ARRAYS = ("alpha", "b", "bias", "class_weights", "pos_weight", "sample_weights", "where")
#: What has to do with the shape, and what one process alone has not.
ELSEWHERE = ("axis", "group")
OF_LOGITS = ("temperature", "softcap", "z_loss")
MAPS = ("sigmoid", "log_sigmoid")
HEADS = ("linear_cross_entropy", "linear_score")
OUTPUTS = ("loss", "log_prob", "lse", "entropy")


def options_of(function: str) -> list[str]:
    """The names of what a function takes beside its operands."""
    found = list(inspect.signature(getattr(xe, function)).parameters.values())
    names = {p.name for p in found if p.kind is p.KEYWORD_ONLY}
    for parameter in found:
        if parameter.kind is parameter.VAR_KEYWORD:
            hints = get_type_hints(getattr(xe, function).__wrapped__, include_extras=True)
            names |= get_args(hints[parameter.name])[0].__optional_keys__
    return sorted(names)


# Numbers, from a generator with a seed: hypothesis itself draws many of them slowly.

#: What rows of logits may look like.
LOGITS: dict[str, Number] = {
    "normal": lambda r: r.gauss(0.0, 3.0),
    "ties": lambda r: float(r.randrange(2)),
    "confident": lambda r: r.choice([0.0, 1.0, -1.0, 20.0, 35.0, 90.0]),
    "huge": lambda r: r.choice([-1.0, 1.0]) * 10.0 ** r.uniform(1.0, 2.7),
    "vast": lambda r: r.choice([0.0, 1.0, -1e9, 1e25, -1e30, 3e30]),
    "tiny": lambda r: r.choice([0.0, 1e-36, -3e-35, 1e-30, 6e-8]),
    "subnormal": lambda r: r.choice([0.0, 1e-40, -3e-42, 1e-30, 6e-8]),
    "-inf": lambda r: r.choice([-INF, -INF, 0.0, 1.5, -2.0]),
    "extreme": lambda r: r.choice([INF, -INF, -INF, NAN, 0.0, 1.5, -2.0, 0.0, 1.5]),
}


def probability(r: random.Random) -> float:
    return r.choice([0.0, 1.0, r.uniform(0.01, 1.0), r.uniform(0.01, 1.0), 0.0078125])


def logarithm(r: random.Random) -> float:
    return r.choice([-INF, 0.0, -r.uniform(0.0, 3.0), -r.uniform(0.0, 3.0), -80.0])


def factor(r: random.Random) -> float:
    return r.choice([0.0, 1.0, r.uniform(0.1, 2.0), r.uniform(0.1, 2.0)])


def signed(r: random.Random) -> float:
    return r.choice([0.0, 1.0, -1.0, r.uniform(-2.0, 2.0)])


def quarters(r: random.Random) -> float:
    """What makes the products of a head exact in every format."""
    return r.randrange(-8, 9) / 4


def flag(r: random.Random) -> bool:
    return r.random() < 0.7


# The frame of a case is everything but its numbers.


class Held(NamedTuple):
    """An array of a frame: its form, whose object it is, and what its numbers may be."""

    shape: Shape
    dtype: str
    number: Number
    home: str = "column"


@dataclass(frozen=True)
class Frame:
    """A call without its numbers; ``labels`` says that the targets are."""

    function: str
    dtype: str
    shape: Shape
    axis: int
    options: Mapping[str, Any]
    hard: bool = False

    @property
    def elementwise(self) -> bool:
        """Whether every entry stands for two classes."""
        losses = self.function == "binary_cross_entropy" or self.options.get("form") == "sigmoid"
        return losses or self.function in MAPS

    @property
    def rows(self) -> Shape:
        """The shape of what is summed up or weighed."""
        if self.elementwise or not isinstance(self.axis, int):
            return self.shape
        return drop(self.shape, (self.axis,))

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return 2 if self.elementwise else self.shape[self.axis]

    @property
    def wide(self) -> str:
        """The dtype of what is computed."""
        return compute_dtype(self.dtype)


@st.composite
def programs(draw: Draw, floats: Sequence[str] = tuple(FORMATS)) -> list[Case]:
    """Some cases that differ in their numbers alone."""
    frame = draw(frames(floats))
    arrays = draw(held(frame))
    case = Group("fuzz")
    wrt = draw(differentiated(arrays))
    of = draw(st.sampled_from(OUTPUTS)) if frame.function.endswith("score") else None
    of = "value" if frame.options.get("return_sign") else of
    if of in OUTPUTS[1:]:
        wrt = wrt[:1]
    for seed in draw(st.lists(st.integers(0, 2**16), min_size=1, max_size=SETS, unique=True)):
        made = filled(frame, arrays, random.Random(seed), draw(st.sampled_from(flavours(frame))))
        operands = [made.pop(name) for name in OPERANDS[frame.function]]
        case(str(seed), frame.function, *operands, wrt=wrt, of=of, **made, **frame.options)
    return case.cases


@st.composite
def frames(draw: Draw, floats: Sequence[str]) -> Frame:
    """A function, a dtype, a shape and options that go together."""
    function = draw(st.sampled_from(sorted(OPERANDS)))
    chosen = {name: OPTIONS[name] for name in options_of(function) if name in OPTIONS}
    if function == "focal_loss":
        chosen["alpha"] = st.sampled_from([0.0, 0.25, 1.0])
    if function.endswith("score"):
        chosen["softcap"] = st.just(30.0)  # a smaller one makes equals of logits
    options = draw(st.fixed_dictionaries({}, optional=chosen))
    hard = "targets" in OPERANDS[function] and draw(st.booleans())
    dtype = draw(st.sampled_from(list(floats)))
    frame = Frame(function, dtype, (), -1, options, hard and function != "kl_divergence")
    shape, axis = draw(shapes(frame))
    return replace(frame, shape=shape, axis=axis, options=fit(frame, axis))


def fit(frame: Frame, axis: Any) -> dict[str, Any]:
    """Options that have nothing against each other."""
    gone = ruled_out(frame.function, frame.options, hard=frame.hard)
    kept = {name: value for name, value in frame.options.items() if name not in gone}
    placed = "axis" in options_of(frame.function) and not frame.elementwise
    return kept | ({"axis": axis} if placed else {})


def ruled_out(
    function: str, options: Mapping[str, Any], *, hard: bool
) -> dict[str, tuple[str, ...]]:
    """What a function has no room for beside some options, and what its message must say."""
    gone: dict[str, tuple[str, ...]] = {}
    if not options.get("from_logits", True):
        gone |= {name: (name, "from_logits") for name in OF_LOGITS}
    if options.get("reduction", "mean") != "mean":
        gone["normalizer"] = ("normalizer",)
    if not hard:
        gone["ignore_index"] = ("ignore_index",)
    if "form" in options_of(function):
        others = _OF_CLASSES if options.get("form") == "sigmoid" else ["pos_weight"]
        gone |= {name: (name, "form") for name in others}
    return {name: says for name, says in gone.items() if name in options_of(function)}


@st.composite
def shapes(draw: Draw, frame: Frame) -> tuple[Shape, Any]:
    """A shape, and where in it the classes are; of a head's logits they are last."""
    lengths = st.sampled_from([0, 1, 1, 2, 2, 3])
    rows = tuple(draw(st.lists(lengths, max_size=3).filter(lambda n: math.prod(n) <= 8)))
    if frame.elementwise:
        return rows, None
    classes = draw(st.sampled_from([1, 2, 3, 3, 5, 7, 19]))
    place = len(rows) if frame.function in HEADS else draw(st.integers(0, len(rows)))
    shape = (*rows[:place], classes, *rows[place:])
    if frame.function in HEADS:
        return shape, -1
    if frame.function == "logsumexp" and 0 not in shape and draw(st.booleans()):
        every = st.lists(st.integers(0, len(rows)), min_size=1, unique=True).map(tuple)
        return shape, draw(st.one_of(st.none(), every))
    return shape, place - draw(st.sampled_from([0, len(shape)]))


@st.composite
def held(draw: Draw, frame: Frame) -> dict[str, Held]:
    """The arrays, the operands among them; those of the options may be lists."""
    found = draw(operands(frame))
    names = set(options_of(frame.function)) & set(ARRAYS)
    names -= {*ruled_out(frame.function, frame.options, hard=frame.hard)}
    names -= {"alpha"} if frame.elementwise else set()
    for name in sorted(names - {*frame.options}):
        if draw(st.booleans()):
            found[name] = draw(beside(frame, name))
    return found


@st.composite
def operands(draw: Draw, frame: Frame) -> dict[str, Held]:
    """What a function is called with by position."""
    names = OPERANDS[frame.function]
    found: dict[str, Held] = {}
    if frame.function in HEADS:
        width = draw(st.sampled_from([1, 2, 4]))
        found["hidden"] = Held((*frame.rows, width), frame.dtype, quarters)
        found["weight"] = Held((frame.classes, width), frame.dtype, quarters)
    else:
        found[names[0]] = Held(frame.shape, frame.dtype, LOGITS["normal"])
    if "targets" in names:
        found["targets"] = draw(targets(frame))
    return found


@st.composite
def targets(draw: Draw, frame: Frame) -> Held:
    """Labels, or what has the shape of the logits: probabilities, a one-hot, logits."""
    home = draw(homes(frame.shape))
    if frame.hard:
        dtype = draw(st.sampled_from(WHOLE))
        return Held(frame.rows, dtype, label(frame, dtype), home)
    kind = frame.options.get("targets_are", "probabilities")
    if kind != "probabilities":
        number = {"log_probabilities": logarithm, "logits": LOGITS["normal"]}[kind]
        return Held(frame.shape, draw(st.sampled_from([frame.dtype, frame.wide])), number)
    dtype = draw(st.sampled_from([frame.dtype, frame.wide, *LABELS]))
    bits = dtype not in FORMATS
    return Held(frame.shape, dtype, (lambda r: float(r.randrange(2))) if bits else probability)


def homes(shape: Shape) -> st.SearchStrategy[str]:
    """Lists now and then, but for those that cannot tell their shape."""
    return st.sampled_from(["column"] if 0 in shape else ["column", "column", "python"])


def label(frame: Frame, dtype: str) -> Number:
    """A class, or what is ignored, where the dtype has it."""
    ignored = frame.options.get("ignore_index")
    if ignored is not None and ignored < 0 and dtype.startswith("uint"):
        ignored = None

    def draw(r: random.Random) -> float:
        if ignored is not None and r.random() < 0.3:
            return ignored
        return r.randrange(frame.classes)

    return draw


@st.composite
def beside(draw: Draw, frame: Frame, name: str) -> Held:
    """An array among the options."""
    ones = tuple(draw(st.sampled_from([1, n])) for n in frame.shape)
    vector = (frame.classes,) if isinstance(frame.axis, int) else ones
    last = frame.axis in (-1, len(frame.shape) - 1)
    # What the oracle reads of one dimension lies along the last axis, but for a mask of classes.
    along = last or (name == "where" and frame.function != "logsumexp")
    loose = [frame.shape, ones, vector if along else ones]
    choices: dict[str, list[Shape]] = {
        "where": loose,
        "b": [*loose, ()],
        "pos_weight": [(), frame.shape[-1:], ones, frame.shape],
        "alpha": [(), vector],
        "sample_weights": [frame.rows],
    }
    shape = draw(st.sampled_from(choices.get(name, [vector])))
    home = draw(homes(shape))
    if name == "where":
        return Held(shape, "bool", flag, home)
    if name == "bias":
        return Held(shape, frame.dtype, quarters)
    negative = name == "b" and frame.options.get("return_sign")
    return Held(shape, frame.wide, signed if negative else factor, home)


@st.composite
def differentiated(draw: Draw, arrays: Mapping[str, Held]) -> tuple[str, ...]:
    """What is differentiated by: the first operand, and some of the others that can be."""
    first, *others = arrays
    fixed = ("where", "alpha", "b")
    able = [
        name
        for name in others
        if name not in fixed and arrays[name].dtype in FORMATS and arrays[name].home == "column"
    ]
    chosen = draw(st.lists(st.sampled_from(able), unique=True)) if able else []
    return (first, *chosen)


# The numbers.


def flavours(frame: Frame) -> list[str]:
    """What the logits of a frame may look like."""
    left = set(LOGITS)
    if frame.dtype == "float16" or frame.options.get("z_loss"):
        left -= {"vast"}
    if frame.options.get("return_sign"):
        # Where terms cancel that are nearly equal, or beside far smaller ones, what is left may be
        # below their rounding: then the sum may as well be 0.
        left &= {"normal", "ties", "huge"}
    if frame.options.get("z_loss"):
        left -= {"extreme", "-inf"}
    if frame.options.get("targets_are") == "logits":
        left -= {"tiny", "subnormal"}
    if frame.function.endswith("score"):
        left -= {"extreme", "subnormal"}  # a framework may take these for zeros, which are equal
        if "softcap" in frame.options:
            left = {"normal", "ties", "-inf"}
    return sorted(left)


def filled(
    frame: Frame, arrays: Mapping[str, Held], r: random.Random, flavour: str
) -> dict[str, Array]:
    """Arrays with numbers; those that are lists are part of the program, and always the same."""
    found = {}
    for name, one in arrays.items():
        source = r if one.home == "column" else random.Random(name)
        number = first_number(frame, flavour) if one.number is LOGITS["normal"] else one.number
        values = tuple(number(source) for _ in range(math.prod(one.shape)))
        found[name] = Array(OPEN, one.shape, values, one.home).cast(one.dtype)
    return found


def first_number(frame: Frame, flavour: str) -> Number:
    """What the logits are, or what is taken in their place."""
    if frame.function == "nll_loss":
        return logarithm
    if not frame.options.get("from_logits", True):
        return probability
    return LOGITS[flavour]


# What is wrong.

#: Options outside their range whatever stands beside them, which is what a message says that has
#: their value in it, as the matrix has them.
OUTSIDE = [
    c
    for c in CASES
    if c.policy == "option-range" and len(c.options) == 1 and str(*c.options.values()) in c.says
]
#: What options may be that others rule out, and that are not what they are without being given.
PRESENT: dict[str, Any] = {
    "axis": 0,
    "class_weights": [1.0],
    "ignore_index": -1,
    "normalizer": "batch",
    "pos_weight": 2.0,
    "softcap": 2.0,
    "temperature": 0.5,
    "where": [True],
    "z_loss": 0.25,
}


@st.composite
def broken(draw: Draw, floats: Sequence[str] = tuple(FORMATS)) -> Case:
    """A case with one thing wrong, and the error that this is."""
    case = draw(programs(floats).map(lambda cases: cases[0]))
    ways = [_out_of_range, _out_of_place, _misshapen, _no_number]
    if _labelled(case):
        ways.append(_no_class)
    return draw(draw(st.sampled_from(ways))(case))


def _labelled(case: Case) -> bool:
    """Whether there are labels, which a tensor holds."""
    targets = case.arrays.get("targets")
    pair = case.function == "binary_cross_entropy" or case.options.get("form") == "sigmoid"
    integers = targets is not None and targets.dtype in WHOLE and targets.home == "column"
    return integers and bool(targets.values) and (pair or _hard(case))


def _hard(case: Case) -> bool:
    """Whether the targets have no axis of classes."""
    targets = case.arrays.get("targets")
    return targets is not None and len(targets.shape) < len(case.first.shape)


@st.composite
def _out_of_range(draw: Draw, case: Case) -> Case:
    gone = ruled_out(case.function, case.options, hard=_hard(case))
    names = set(options_of(case.function)) - {"form", *gone}
    able = [c for c in OUTSIDE if set(c.options) <= names]
    if not able:
        return draw(_no_number(case))
    one = draw(st.sampled_from(able))
    arrays = {name: held for name, held in case.arrays.items() if name not in one.options}
    options = {**case.options, **one.options}
    return replace(case, arrays=arrays, options=options, wrt=(), raises="ValueError", says=one.says)


@st.composite
def _out_of_place(draw: Draw, case: Case) -> Case:
    """An option that another one leaves no room for."""
    gone = ruled_out(case.function, case.options, hard=_hard(case))
    if not gone:
        return draw(_no_number(case))
    name = draw(st.sampled_from(sorted(gone)))
    options = {**case.options, name: PRESENT[name]}
    return replace(case, options=options, wrt=(), raises="ValueError", says=gone[name])


@st.composite
def _misshapen(draw: Draw, case: Case) -> Case:
    """An array with an axis more, longer than any there is."""
    others = [*case.arrays][1:]
    if not others:
        return draw(_no_number(case))
    name = draw(st.sampled_from(others))
    held, length = case.arrays[name], 29
    wide = Array(held.dtype, (*held.shape, length), held.values * length)
    says = (f"{name} has shape", str(wide.shape))
    return replace(case, arrays={**case.arrays, name: wide}, wrt=(), raises="ValueError", says=says)


@st.composite
def _no_number(draw: Draw, case: Case) -> Case:
    """Logits of a dtype that has no logits."""
    name, dtype = next(iter(case.arrays)), draw(st.sampled_from(["int32", "bool", "complex64"]))
    held = case.first
    wrong = Array(dtype, held.shape, (1,) * len(held.values))
    return replace(
        case,
        arrays={**case.arrays, name: wrong},
        wrt=(),
        raises="TypeError",
        says=(f"{name} must be real floating", dtype),
    )


@st.composite
def _no_class(draw: Draw, case: Case) -> Case:
    """One label that is none of the classes, and is not ignored."""
    held = case.arrays["targets"]
    place = draw(st.integers(0, len(held.values) - 1))
    signs = [99, 100] if held.dtype.startswith("uint") else [100, -2, -100]
    value = draw(st.sampled_from([n for n in signs if n != case.options.get("ignore_index")]))
    values = (*held.values[:place], value, *held.values[place + 1 :])
    arrays = {**case.arrays, "targets": replace(held, values=values)}
    where = index(place, held.shape)
    # Of a mean over nothing, which is 0, nobody promises what a NaN among its rows is moved by.
    options = dict(case.options)
    if options.get("normalizer") in (0.0, "valid"):
        del options["normalizer"]
    return replace(
        case,
        arrays=arrays,
        options=options,
        wrt=case.wrt[:1],
        raises="IndexError",
        says=(f"targets{where} is {value}",),
        compiled="nan",
    )
