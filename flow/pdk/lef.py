"""Reads macros out of LEF: class, size, pins with direction, use, antenna areas and rectangles, obstructions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from golden.spec import SpecError

Rect = tuple[float, float, float, float]
"""Left, bottom, right, top in um."""


@dataclass
class LefPin:
    """A pin; `rects` maps a layer to its rectangles.

    gate_area_um2, diffusion_area_um2: of what it connects to.
    etched_um2: layer -> side area of the metal, or area of the cuts, that is on it inside of the macro.
    """

    direction: str = ""
    use: str = "SIGNAL"
    gate_area_um2: float = 0.0
    diffusion_area_um2: float = 0.0
    etched_um2: dict[str, float] = field(default_factory=dict)
    rects: dict[str, list[Rect]] = field(default_factory=dict)


@dataclass
class LefMacro:
    """A macro: class and symmetry in LEF's words, size in um, pins, obstructions by layer."""

    kind: str = ""
    symmetry: tuple[str, ...] = ()
    size_um: tuple[float, float] = (0.0, 0.0)
    pins: dict[str, LefPin] = field(default_factory=dict)
    obstructions: dict[str, list[Rect]] = field(default_factory=dict)


def parse_lef(text: str, where: str) -> dict[str, LefMacro]:
    """Name -> macro. SpecError when a macro does not end; `where` names the file in it.

    >>> lef = "MACRO a SIZE 1 BY 2 ; PIN x DIRECTION INPUT ; PORT LAYER met1 ; RECT 0 0 1 1 ; END END x END a"
    >>> parse_lef(lef, "a.lef")["a"].pins["x"].rects
    {'met1': [(0.0, 0.0, 1.0, 1.0)]}
    """
    tokens = iter(re.sub(r"#[^\n]*", "", text).split())
    macros = {}
    try:
        for token in tokens:
            if token == "MACRO":
                name = next(tokens)
                macros[name] = _parse_macro(name, tokens)
            elif token == "PROPERTYDEFINITIONS":
                while next(tokens) != "END":
                    pass
    except StopIteration:
        raise SpecError(f"a MACRO must end with END and its name, and the file ends before that ({where})") from None
    return macros


def _parse_macro(name: str, tokens: Iterator[str]) -> LefMacro:
    macro = LefMacro()
    while True:
        token = next(tokens)
        if token == "SIZE":
            width, _, height = next(tokens), next(tokens), next(tokens)
            macro.size_um = (float(width), float(height))
        elif token == "CLASS":
            macro.kind = " ".join(_words(tokens))
        elif token == "SYMMETRY":
            macro.symmetry = tuple(_words(tokens))
        elif token == "PIN":
            pin = next(tokens)
            macro.pins[pin] = _parse_pin(pin, tokens)
        elif token == "OBS":
            _parse_shapes(tokens, macro.obstructions)
        elif token == "END" and next(tokens) == name:
            return macro


def _parse_pin(name: str, tokens: Iterator[str]) -> LefPin:
    pin = LefPin()
    while True:
        token = next(tokens)
        if token == "DIRECTION":
            pin.direction = next(tokens)
        elif token == "USE":
            pin.use = next(tokens)
        elif token == "ANTENNAGATEAREA":
            pin.gate_area_um2 += float(next(tokens))
        elif token == "ANTENNADIFFAREA":
            pin.diffusion_area_um2 += float(next(tokens))
        elif token in ("ANTENNAPARTIALMETALSIDEAREA", "ANTENNAPARTIALCUTAREA"):
            area, *layer = _words(tokens)
            if layer:                                     # without one, LEF means every layer: an old form, of no use
                pin.etched_um2[layer[1]] = pin.etched_um2.get(layer[1], 0.0) + float(area)
        elif token == "PORT":
            _parse_shapes(tokens, pin.rects)
        elif token == "END" and next(tokens) == name:
            return pin


def _words(tokens: Iterator[str]) -> list[str]:
    """The rest of a statement."""
    words = []
    while (token := next(tokens)) != ";":
        words.append(token)
    return words


def _parse_shapes(tokens: Iterator[str], rects: dict[str, list[Rect]]) -> None:
    """LAYER and RECT statements up to END."""
    layer = ""
    while (token := next(tokens)) != "END":
        if token == "LAYER":
            layer = next(tokens)
        elif token == "RECT":
            left, bottom, right, top = (float(next(tokens)) for _ in range(4))
            rects.setdefault(layer, []).append((left, bottom, right, top))
