"""The colours of the page: text that can be read on every one of them, in light and in dark."""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

import pytest

pytestmark = pytest.mark.backends("numpy")

PAGE = files("xentropy.parity").joinpath("report.html").read_text("utf-8")
#: What WCAG 2.2 asks for, level AA: of text, and of what shows where the focus is.
TEXT, MARK = 4.5, 3.0

Colour = tuple[float, float, float]


def themes() -> list[dict[str, Colour]]:
    """The colours by name, light and dark; dark ones that are not given are the light ones."""
    blocks = re.findall(r":root \{(.*?)\}", PAGE, re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]
    light, dark = ({name: linear(text) for name, text in one.items()} for one in found)
    return [light, light | dark]


def linear(text: str) -> Colour:
    """The light of a colour's three parts."""
    parts = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """WCAG's ratio of two luminances."""
    shades = ((0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05) for c in (one, other))
    dark, light = sorted(shades)
    return light / dark


# OKLab, in which the page mixes: https://bottosson.github.io/posts/oklab/
TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
FROM_CONES = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


def product(rows: tuple[Colour, ...], x: Colour) -> Colour:
    first, second, third = (sum(a * b for a, b in zip(row, x, strict=True)) for row in rows)
    return first, second, third


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """Some of one and the rest of the other; OKLab is linear in the cube roots of the cones."""
    roots = ([c ** (1 / 3) for c in product(TO_CONES, colour)] for colour in (one, other))
    first, second, third = ((share * a + (1 - share) * b) ** 3 for a, b in zip(*roots, strict=True))
    return product(FROM_CONES, (first, second, third))


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_text_can_be_read(theme: dict[str, Colour]) -> None:
    pairs = [
        *itertools.product(("ink", "soft"), ("page", "panel", "cell")),
        ("bad-ink", "bad"), ("heat-ink", "heat"), ("bad", "panel"), ("good", "page"),
    ]  # fmt: skip
    assert min(contrast(theme[text], theme[ground]) for text, ground in pairs) >= TEXT
    assert min(contrast(theme["focus"], theme[ground]) for ground in ("page", "panel")) >= MARK


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_a_number_can_be_read_whatever_the_heat(theme: dict[str, Colour]) -> None:
    (share,) = re.findall(r"var\(--ramp\) calc\(var\(--r, 0\) \* (\d+)%\), var\(--cell\)", PAGE)
    grounds = [mixed(theme["ramp"], theme["cell"], int(share) / 100 * r / 20) for r in range(21)]
    assert contrast(grounds[0], grounds[-1]) > 2
    assert min(contrast(theme["ink"], ground) for ground in grounds) >= TEXT
