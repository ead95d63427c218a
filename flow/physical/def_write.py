"""Writes a layout as DEF 5.8: rows, tracks, components, pins, power grid, nets with their routes. Units: nm.

The same layout gives the same text. Names are written as they are; `[`, `]` and `/` mean nothing special to us, and
DEF asks for a backslash before them where they are part of a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from flow.physical.design import Design, NetRoute, Placed, Placement, SupplyNet
from flow.physical.geometry import Rect, Shape
from flow.physical.technology import Technology, Via

UNITS = 1000
HEAD = "VERSION 5.8 ;\nDIVIDERCHAR \"/\" ;\nBUSBITCHARS \"[]\" ;"
SPECIAL = re.compile(r"([\[\]/\\])")
BUS_BIT = re.compile(r"(.*)(\[\d+\])")


def write_def(design: Design, technology: Technology) -> str:
    """The DEF text of a layout."""
    placement = design.placement
    lower = {via.name: via.lower.layer for via in (*technology.vias.values(), *placement.vias.values())}
    lines = [HEAD, f"DESIGN {placement.top} ;", f"UNITS DISTANCE MICRONS {UNITS} ;",
             "PROPERTYDEFINITIONS", "  DESIGN CORE_AREA STRING "
             f"\"{' '.join(map(str, placement.core))}\" ;", "END PROPERTYDEFINITIONS",
             f"DIEAREA {_points(placement.die)} ;"]
    lines += _rows(placement, technology)
    lines += _tracks(placement, technology)
    lines += _section("VIAS", [_via(via) for via in placement.vias.values()])
    lines += _section("COMPONENTS", list(_components(design)))
    lines += _section("PINS", [*_ports(design), *_supply_pins(placement)])
    lines += _section("BLOCKAGES", [
        f"{f'LAYER {shape.layer}' if shape.layer else 'PLACEMENT'} RECT {_points(shape.rect)}"
        for shape in placement.blockages])
    lines += _section("SPECIALNETS", [_supply(name, net, lower) for name, net in placement.supplies.items()])
    lines += _section("NETS", [
        _net(name, pins, design.routes.get(name), lower) for name, pins in design.netlist.nets.items()])
    return "\n".join([*lines, "END DESIGN", ""])


def escape(name: str) -> str:
    """A name as DEF writes it: a bit of a bus as it is, special characters elsewhere behind a backslash.

    >>> escape("data[3]"), escape("a/b[2].c")
    ('data[3]', 'a\\\\/b\\\\[2\\\\].c')
    """
    bit = BUS_BIT.fullmatch(name)
    if bit:
        return SPECIAL.sub(r"\\\1", bit[1]) + bit[2]
    return SPECIAL.sub(r"\\\1", name)


def _points(rect: Rect) -> str:
    return f"( {rect.x0} {rect.y0} ) ( {rect.x1} {rect.y1} )"


def _section(name: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    return [f"{name} {len(entries)} ;", *(f"- {entry} ;" for entry in entries), f"END {name}"]


def _rows(placement: Placement, technology: Technology) -> Iterator[str]:
    step = technology.site_width
    for number, row in enumerate(placement.rows):
        yield (f"ROW ROW_{number} {technology.site_name} {row.x0} {row.y} {row.orientation} "
               f"DO {(row.x1 - row.x0) // step} BY 1 STEP {step} 0 ;")


def _tracks(placement: Placement, technology: Technology) -> Iterator[str]:
    for layer in technology.layers.values():
        axis, length = ("Y", placement.die.y1) if layer.is_horizontal else ("X", placement.die.x1)
        count = (length - layer.offset) // layer.pitch + 1
        yield f"TRACKS {axis} {layer.offset} DO {count} STEP {layer.pitch} LAYER {layer.name} ;"


def _via(via: Via) -> str:
    return via.name + "".join(f"\n    + RECT {shape.layer} {_points(shape.rect)}" for shape in via.shapes)


def _components(design: Design) -> Iterator[str]:
    """All instances: those of the netlist in its order, placed or not, then physical ones."""
    placed, instances = design.placement.instances, design.netlist.instances
    for name, cell in instances.items():
        yield f"{escape(name)} {cell} + {_place(placed[name]) if name in placed else 'UNPLACED'}"
    for name, place in placed.items():
        if name not in instances:
            yield f"{escape(name)} {place.cell} + {_place(place)} + SOURCE DIST"


def _place(placed: Placed) -> str:
    return f"{'FIXED' if placed.fixed else 'PLACED'} ( {placed.x} {placed.y} ) {placed.orientation}"


def _ports(design: Design) -> Iterator[str]:
    """All ports of the module; those that have no place yet without a shape."""
    for port, direction in design.netlist.ports.items():
        shape = design.placement.ports.get(port)
        net = design.netlist.net_of[("", port)]
        yield _pin(port, net, direction.upper(), "SIGNAL", [shape] if shape else [])


def _supply_pins(placement: Placement) -> Iterator[str]:
    for name, supply in placement.supplies.items():
        if supply.pins:
            yield _pin(name, name, "INOUT", supply.use, supply.pins) + " + SPECIAL"


def _pin(name: str, net: str, direction: str, use: str, shapes: Iterable[Shape]) -> str:
    ports = "".join(f"\n    + PORT + LAYER {shape.layer} {_points(shape.rect)} + FIXED ( 0 0 ) N" for shape in shapes)
    return f"{escape(name)} + NET {escape(net)} + DIRECTION {direction} + USE {use}{ports}"


def _supply(name: str, net: SupplyNet, lower: Mapping[str, str]) -> str:
    lines = [f"{name} ( * {name} ) + USE {net.use}"]
    lines += [_stripe(shape, "FOLLOWPIN") for shape in net.rails] + [_stripe(shape, "STRIPE") for shape in net.straps]
    lines += [f"{lower[use.via]} 0 + SHAPE STRIPE ( {use.x} {use.y} ) {use.via}" for use in net.vias]
    return "\n    ".join([lines[0], *_new("+ ROUTED", lines[1:])])


def _stripe(shape: Shape, kind: str) -> str:
    """A rectangle as a wire along its longer side, of the width of the other."""
    rect = shape.rect
    if rect.width >= rect.height:
        middle = rect.y0 + rect.height // 2
        line = f"( {rect.x0} {middle} ) ( {rect.x1} {middle} )"
    else:
        middle = rect.x0 + rect.width // 2
        line = f"( {middle} {rect.y0} ) ( {middle} {rect.y1} )"
    return f"{shape.layer} {min(rect.width, rect.height)} + SHAPE {kind} {line}"


def _net(name: str, pins: Iterable[tuple[str, str]], route: NetRoute | None,
         lower: Mapping[str, str]) -> str:
    words = "".join(f" ( {escape(instance)} {pin} )" if instance else f" ( PIN {escape(pin)} )"
                    for instance, pin in pins)
    text = f"{escape(name)}{words} + USE SIGNAL"
    if route is None:
        return text
    parts = [f"{wire.layer} ( {wire.x0} {wire.y0} ) ( {wire.x1} {wire.y1} )" for wire in route.wires]
    parts += [f"{lower[use.via]} ( {use.x} {use.y} ) {use.via}" for use in route.vias]
    parts += [f"{shape.layer} ( {shape.x0} {shape.y0} ) RECT ( 0 0 {shape.x1 - shape.x0} {shape.y1 - shape.y0} )"
              for shape in route.patches]
    return "\n    ".join([text, *_new("+ ROUTED", parts)])


def _new(first: str, parts: list[str]) -> list[str]:
    return [f"{first if number == 0 else 'NEW'} {part}" for number, part in enumerate(parts)]
