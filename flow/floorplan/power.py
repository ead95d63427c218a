"""The power grid: met1 rails along the rows, met4 straps across them with via stacks, met5 straps where macros are.

The straps of a macro are islands in met4; met5 crosses them and the core's straps and joins them, and two straps of
each net beside the core join what crosses nothing but macros. Rails and straps alternate between the nets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flow.floorplan.spec import FloorplanSpec
from flow.physical.abstract import Cells
from flow.physical.design import Placed, Row, SupplyNet, ViaUse, outline, to_die
from flow.physical.geometry import Rect, Shape, nm
from flow.physical.technology import Technology, Via, array_via
from golden.spec import SpecError

RAIL_LAYER, STRAP_LAYER, CROSS_LAYER = "met1", "met4", "met5"
STACK = ("met1", "met2", "met3", "met4")
RAIL_WIDTH = 480
"""Of the rails that the library's cells have at their lower and upper edge, nm."""

SIDE_CLEARANCE = 600
"""From the straps beside the core to the die's edge, nm: half of what two dies' metal keeps from each other."""

POWER, GROUND = "POWER", "GROUND"


@dataclass
class _Net:
    rails: list[Shape] = field(default_factory=list)
    straps: list[Shape] = field(default_factory=list)
    vias: list[ViaUse] = field(default_factory=list)


@dataclass(frozen=True)
class PowerGrid:
    """The supply nets by name, and the vias that they use."""

    supplies: dict[str, SupplyNet]
    vias: dict[str, Via]


def build_power(rows: Sequence[Row], core: Rect, macros: dict[str, Placed], cells: Cells, spec: FloorplanSpec,
                technology: Technology) -> PowerGrid:
    """The grid of a floor plan. SpecError when a supply pin of a macro is not crossed by a strap of its net."""
    names = {POWER: technology.config.supplies.power, GROUND: technology.config.supplies.ground}
    nets, vias = {use: _Net() for use in names}, {}
    boxes = [outline(macro, cells[macro.cell]) for macro in macros.values()]
    _add_rails(nets, rows, technology)
    straps = _straps(core, boxes, spec, technology)
    for use, strap in straps:
        nets[use].straps.append(strap)
    for use in names:
        _add_stacks(nets[use], vias, technology)
    pin_layer = STRAP_LAYER
    if macros:
        pin_layer = CROSS_LAYER
        for use, strap in _side_straps(core, spec, technology):
            nets[use].straps.append(strap)
        _add_crossings(nets, vias, core, macros, cells, spec, technology)
    return PowerGrid({names[use]: SupplyNet(
        use, tuple(net.rails), tuple(net.straps), tuple(s for s in net.straps if s.layer == pin_layer),
        tuple(net.vias)) for use, net in nets.items()}, vias)


def _add_rails(nets: dict[str, _Net], rows: Sequence[Row], technology: Technology) -> None:
    """One rail a row edge and stretch, the ground's at the lower edge of rows that stand upright."""
    spans: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        lower, upper = (GROUND, POWER) if row.orientation == "N" else (POWER, GROUND)
        spans[row.y, lower].append((row.x0, row.x1))
        spans[row.y + technology.row_height, upper].append((row.x0, row.x1))
    for (y, use), pieces in sorted(spans.items()):
        for x0, x1 in _union(pieces):
            nets[use].rails.append(Shape(RAIL_LAYER, x0, y - RAIL_WIDTH // 2, x1, y + RAIL_WIDTH // 2))


def _union(pieces: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Intervals joined where they touch."""
    joined: list[tuple[int, int]] = []
    for x0, x1 in sorted(pieces):
        if joined and x0 <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], x1))
        else:
            joined.append((x0, x1))
    return joined


def strap_columns(core: Rect, spec: FloorplanSpec, technology: Technology) -> Iterator[tuple[str, int]]:
    """Net and middle of each vertical strap, from the left: half way between tracks, so that it takes fewest."""
    layer = technology.layers[STRAP_LAYER]
    step = nm(spec.strap_pitch_um) // 2 // layer.pitch * layer.pitch
    first = core.x0 + step // 2
    x = layer.offset + layer.pitch // 2 + (first - layer.offset) // layer.pitch * layer.pitch
    use = POWER
    while x + nm(spec.strap_width_um) // 2 <= core.x1:
        yield use, x
        use = GROUND if use == POWER else POWER
        x += step


def _straps(core: Rect, macros: Sequence[Rect], spec: FloorplanSpec,
            technology: Technology) -> list[tuple[str, Shape]]:
    """Vertical straps over the whole core, but not over macros and not nearer to them than wide metal may be."""
    half, found = nm(spec.strap_width_um) // 2, []
    away = technology.layers[STRAP_LAYER].spacing_table[-1][1]
    for use, x in strap_columns(core, spec, technology):
        blocked = sorted((box.y0 - away, box.y1 + away) for box in macros
                         if box.x0 - away < x + half and box.x1 + away > x - half)
        y = core.y0 - RAIL_WIDTH // 2
        for y0, y1 in [*_union(blocked), (core.y1 + RAIL_WIDTH // 2,) * 2]:
            if y0 - y >= technology.row_height:
                found.append((use, Shape(STRAP_LAYER, x - half, y, x + half, y0)))
            y = max(y, y1)
    return found


def _add_stacks(net: _Net, vias: dict[str, Via], technology: Technology) -> None:
    """A via stack wherever a strap crosses a rail of its net."""
    straps: dict[tuple[int, int], list[Shape]] = defaultdict(list)
    for strap in net.straps:
        straps[strap.x0, strap.x1].append(strap)
    for rail in net.rails:
        y = (rail.y0 + rail.y1) // 2
        for (x0, x1), pieces in straps.items():
            if rail.x0 <= x0 and x1 <= rail.x1 and any(s.y0 <= rail.y0 and rail.y1 <= s.y1 for s in pieces):
                net.vias += _stack(x0, x1, y, vias, technology)


def side_room(spec: FloorplanSpec, technology: Technology) -> int:
    """What the straps beside the core need of the margin, with the spacing of wide metal around them."""
    return 2 * (nm(spec.strap_width_um) + technology.layers[STRAP_LAYER].spacing_table[-1][1]) + SIDE_CLEARANCE


def _side_straps(core: Rect, spec: FloorplanSpec, technology: Technology) -> Iterator[tuple[str, Shape]]:
    """A strap of each net left and right of the core, over its whole height."""
    width, away = nm(spec.strap_width_um), technology.layers[STRAP_LAYER].spacing_table[-1][1]
    for number, use in enumerate((POWER, GROUND)):
        out = away + number * (width + away)
        for x in (core.x0 - out - width, core.x1 + out):
            yield use, Shape(STRAP_LAYER, x, core.y0 - RAIL_WIDTH // 2, x + width, core.y1 + RAIL_WIDTH // 2)


def _stack(x0: int, x1: int, y: int, vias: dict[str, Via], technology: Technology) -> list[ViaUse]:
    """Vias from a rail at y up to a strap from x0 to x1, in the way of as few wires as can be.

    They stand on every second track of the layer above the rail, and from the next layer on, on its track next to the
    rail, with pads that leave the tracks beside them free.
    """
    rail, upright, level, strap = (technology.layers[name] for name in STACK)
    width, height = (2 * (layer.pitch - layer.spacing - layer.width // 2) for layer in (upright, level))
    first = upright.offset + -(-(x0 + width // 2 - upright.offset) // upright.pitch) * upright.pitch
    columns = list(range(first, x1 - width // 2 + 1, 2 * upright.pitch))
    if not columns:
        raise SpecError(f"straps must be wide enough for a via on a track of {upright.name} ({width} nm and up to "
                        f"{upright.pitch} nm beside it), not {x1 - x0} nm; use a larger strap_width_um")
    row = level.offset + round((y - level.offset) / level.pitch) * level.pitch
    pad = Rect(-width // 2, -height // 2, width // 2, height // 2)
    reach = columns[-1] - columns[0]
    wide = Rect(-(reach + width) // 2, pad.y0, (reach + width) // 2, pad.y1)
    used = [(array_via(technology, rail.name, upright.name, Rect(pad.x0, -RAIL_WIDTH // 2, pad.x1, RAIL_WIDTH // 2)),
             x, y) for x in columns]
    used += [(array_via(technology, upright.name, level.name, pad), x, row) for x in columns]
    used.append((array_via(technology, level.name, strap.name, wide), columns[0] + reach // 2, row))
    vias.update((via.name, via) for via, _, _ in used)
    return [ViaUse(via.name, *place) for via, *place in used]


def _add_crossings(nets: dict[str, _Net], vias: dict[str, Via], core: Rect, macros: dict[str, Placed], cells: Cells,
                   spec: FloorplanSpec, technology: Technology) -> None:
    """Horizontal straps over everything, joined to every strap below them, the macros' supply pins among them."""
    pins = list(_supply_pins(macros, cells))
    half, step = technology.layers[CROSS_LAYER].width // 2, nm(spec.cross_pitch_um) // 2 // 10 * 10
    y, use, reached, ends = core.y0 + step // 2, POWER, set(), []
    for net in nets.values():
        ends += [value for shape in net.straps if shape.layer == STRAP_LAYER for value in (shape.x0, shape.x1)]
    while y + half <= core.y1:
        strap = Shape(CROSS_LAYER, min(ends), y - half, max(ends), y + half)
        below = [shape for shape in nets[use].straps if shape.layer == STRAP_LAYER]
        below += [shape for pin_use, _, shape in pins if pin_use == use]
        for shape in below:
            if shape.y0 <= strap.y0 and strap.y1 <= shape.y1:
                x, reach = (shape.x0 + shape.x1) // 2, max(half, shape.rect.width // 2)
                via = array_via(technology, STRAP_LAYER, CROSS_LAYER, Rect(shape.x0 - x, -half, shape.x1 - x, half),
                                Rect(-reach, -half, reach, half))
                vias[via.name] = via
                nets[use].vias.append(ViaUse(via.name, x, y))
                reached.add(shape)
        nets[use].straps.append(strap)
        y, use = y + step, GROUND if use == POWER else POWER
    for _, name, shape in pins:
        if shape not in reached:
            raise SpecError(f"supply pin {name} must be crossed by a {CROSS_LAYER} strap of its net, and is not at "
                            f"y = {shape.y0 / 1000:.2f} to {shape.y1 / 1000:.2f} um; use a cross_pitch_um below "
                            f"{(shape.y1 - shape.y0) / 1000:.1f}, not {spec.cross_pitch_um}")


def _supply_pins(macros: dict[str, Placed], cells: Cells) -> Iterator[tuple[str, str, Shape]]:
    """Use, name and shape of every supply pin of the macros."""
    for instance, macro in macros.items():
        cell = cells[macro.cell]
        for name, pin in cell.pins.items():
            for shape in pin.shapes if pin.is_supply else ():
                if shape.layer != STRAP_LAYER or shape.rect.width > shape.rect.height:
                    raise SpecError(f"supplies of macros must be vertical straps in {STRAP_LAYER}, and {name} of "
                                    f"{macro.cell} has {shape.layer} of {shape.rect.width} x {shape.rect.height} nm")
                yield pin.use, f"{instance}/{name}", to_die(macro, cell, shape)
