"""Reads the DEF files that `write_def` writes, and refuses what it does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flow.physical.design import Design, NetRoute, Placed, Placement, Row, SupplyNet, ViaUse, Wire
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import Netlist, Pin
from flow.physical.technology import Technology, Via
from golden.spec import SpecError

ESCAPED = re.compile(r"\\(.)")
CORE_AREA = re.compile(r'CORE_AREA STRING "(\d+) (\d+) (\d+) (\d+)" ;')
SECTIONS = ("VIAS", "COMPONENTS", "PINS", "BLOCKAGES", "SPECIALNETS", "NETS")


@dataclass
class _Found:
    """What the sections of a file gave."""

    rows: list[Row] = field(default_factory=list)
    vias: dict[str, Via] = field(default_factory=dict)
    placed: dict[str, Placed] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    directions: dict[str, str] = field(default_factory=dict)
    ports: dict[str, Shape] = field(default_factory=dict)
    supply_pins: dict[str, tuple[Shape, ...]] = field(default_factory=dict)
    blockages: list[Shape] = field(default_factory=list)
    supplies: dict[str, SupplyNet] = field(default_factory=dict)
    nets: dict[str, tuple[Pin, ...]] = field(default_factory=dict)
    routes: dict[str, NetRoute] = field(default_factory=dict)


def load_def(path: Path, technology: Technology) -> Design:
    """The layout in a DEF file; SpecError when it is not one that this project wrote, or is cut short."""
    return read_def(path.read_text(encoding="utf-8"), technology, str(path))


def read_def(text: str, technology: Technology, where: str) -> Design:
    """The layout of a DEF text."""
    core = CORE_AREA.search(text)
    body = text.split()
    if core is None or body[-2:] != ["END", "DESIGN"]:
        raise SpecError(f"a DEF must have its CORE_AREA and end with END DESIGN; make it anew ({where})")
    found, head = _Found(), {}
    try:
        for statement in _statements(body[:-2]):
            if statement[0] in ("DESIGN", "DIEAREA"):
                head[statement[0]] = statement[1:]
            elif statement[0] == "ROW":
                found.rows.append(_row(statement))
            elif statement[0] == "-" and statement[1] in SECTIONS:
                _ENTRIES[statement[1]](found, statement[2:], technology)
        die = Rect(*(int(head["DIEAREA"][at]) for at in (1, 2, 5, 6)))
        top = head["DESIGN"][0]
    except (KeyError, ValueError, IndexError) as error:
        raise SpecError(f"a DEF must be as this project writes it, and this one is not: {error!r} ({where})") from None
    supplies = {name: SupplyNet(net.use, net.rails, net.straps, found.supply_pins.get(name, ()), net.vias)
                for name, net in found.supplies.items()}
    placement = Placement(top, die, Rect(*map(int, core.groups())), tuple(found.rows), found.placed, found.ports,
                          supplies, tuple(found.blockages), found.vias)
    return Design(placement, Netlist(top, found.directions, found.instances, found.nets), found.routes)


def _statements(words: list[str]) -> Iterator[list[str]]:
    """Statements outside of sections; entries of sections as ["-", section, ...]."""
    at, section = 0, ""
    while at < len(words):
        if words[at] == "END":
            section, at = "", at + 2
            continue
        end = words.index(";", at)
        statement = words[at:end]
        at = end + 1
        if statement[0] == "-":
            yield ["-", section, *statement[1:]]
        elif statement[0] in SECTIONS:
            section = statement[0]
        elif statement[0] == "PROPERTYDEFINITIONS":
            section = "PROPERTYDEFINITIONS"
        else:
            yield statement


def _row(words: list[str]) -> Row:
    x, y, count, step = int(words[3]), int(words[4]), int(words[7]), int(words[11])
    return Row(y, x, x + count * step, words[5])


def _parts(words: list[str]) -> list[list[str]]:
    """The words between plus signs."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "+":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _numbers(words: list[str]) -> list[int]:
    return [int(word) for word in words if word not in "()"]


def _name(word: str) -> str:
    return ESCAPED.sub(r"\1", word)


def _read_via(found: _Found, words: list[str], technology: Technology) -> None:
    (name,), *rects = _parts(words)
    shapes = [Shape(rect[1], *_numbers(rect[2:])) for rect in rects]
    found.vias[name] = Via(name, shapes[0], tuple(shapes[1:-1]), shapes[-1])


def _read_component(found: _Found, words: list[str], technology: Technology) -> None:
    (name, cell), place, *more = _parts(words)
    if place != ["UNPLACED"]:
        x, y = _numbers(place[1:5])
        found.placed[_name(name)] = Placed(cell, x, y, place[5], place[0] == "FIXED")
    if ["SOURCE", "DIST"] not in more:
        found.instances[_name(name)] = cell


def _read_pin(found: _Found, words: list[str], technology: Technology) -> None:
    (name,), *more = _parts(words)
    said = {part[0]: part[1:] for part in more if part[0] != "LAYER"}
    shapes = tuple(Shape(part[1], *_numbers(part[2:])) for part in more if part[0] == "LAYER")
    if said["USE"] != ["SIGNAL"]:
        found.supply_pins[_name(name)] = shapes
        return
    found.directions[_name(name)] = said["DIRECTION"][0].lower()
    if shapes:
        found.ports[_name(name)] = shapes[0]


def _read_blockage(found: _Found, words: list[str], technology: Technology) -> None:
    at = words.index("RECT")
    found.blockages.append(Shape(words[1] if at == 2 else "", *_numbers(words[at + 1:])))


def _read_supply(found: _Found, words: list[str], technology: Technology) -> None:
    (name, *_), (_, use), *more = _parts(words)
    rails, straps, vias = [], [], []
    for part in _segments(words):
        layer, width, kind = part[0], int(part[1]), part[4]
        points = _numbers(part[5:13] if part[-1] == ")" else part[5:9])
        if part[-1] != ")":
            vias.append(ViaUse(part[-1], *points))
            continue
        x0, y0, x1, y1 = points
        half = width // 2
        shape = (Shape(layer, x0, y0 - half, x1, y0 - half + width) if y0 == y1
                 else Shape(layer, x0 - half, y0, x0 - half + width, y1))
        (rails if kind == "FOLLOWPIN" else straps).append(shape)
    found.supplies[name] = SupplyNet(use, tuple(rails), tuple(straps), (), tuple(vias))


def _segments(words: list[str]) -> Iterator[list[str]]:
    """The pieces of a net's wiring, which `ROUTED` and `NEW` begin."""
    begin = None
    for at, word in enumerate([*words, "NEW"]):
        if word in ("ROUTED", "NEW"):
            if begin is not None:
                yield words[begin:at]
            begin = at + 1


def _read_net(found: _Found, words: list[str], technology: Technology) -> None:
    name, pins, at = _name(words[0]), [], 1
    while at < len(words) and words[at] == "(":
        pins.append(("", _name(words[at + 2])) if words[at + 1] == "PIN" else (_name(words[at + 1]), words[at + 2]))
        at += 4
    found.nets[name] = tuple(pins)
    if "ROUTED" not in words:
        return
    wires, vias, patches = [], [], []
    for part in _segments(words[at:]):
        if "RECT" in part:
            x, y, dx0, dy0, dx1, dy1 = _numbers([word for word in part[1:] if word != "RECT"])
            patches.append(Shape(part[0], x + dx0, y + dy0, x + dx1, y + dy1))
        elif part[-1] == ")":
            wires.append(Wire(part[0], *_numbers(part[1:])))
        else:
            vias.append(ViaUse(part[-1], *_numbers(part[1:-1])))
    found.routes[name] = NetRoute(tuple(wires), tuple(vias), tuple(patches))


_ENTRIES = {"VIAS": _read_via, "COMPONENTS": _read_component, "PINS": _read_pin, "BLOCKAGES": _read_blockage,
            "SPECIALNETS": _read_supply, "NETS": _read_net}
