"""A placement problem as plain numbers, which a process of its own can work on. Lengths are nm from the core's corner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import msgspec

from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, Row, outline, to_die
from flow.physical.geometry import Rect
from flow.physical.netlist import Netlist, shortened
from flow.physical.technology import Technology
from flow.place.spec import PlaceSpec
from golden.spec import SpecError

CHANNEL = 0.5
"""Height to depth of the room between two macros, under which it is a channel."""

LEAST_PIECE_NM = 10_000
"""Of a row: shorter ones beside a channel are no use."""


class FixedCell(msgspec.Struct, frozen=True, array_like=True):
    """Something with a place; width 0 where rows do not have to make room for it (macros, ports)."""

    x: int
    y: int
    width: int
    orientation: str


class NetPin(msgspec.Struct, frozen=True, array_like=True):
    """A movable cell (counted from 0) or a fixed one (counted on), and the pin's middle from its corner."""

    cell: int
    x: int
    y: int


class Problem(msgspec.Struct, frozen=True):
    """rows: (x0, x1, y, orientation); widths: of the movable cells, a row high each; nets: weight and pins.

    start: where the movable cells are now, or None: anywhere.
    rough: only about where cells will be, nothing legal.
    """

    name: str
    site: int
    row_height: int
    rows: list[tuple[int, int, int, str]]
    widths: list[int]
    fixed: list[FixedCell]
    nets: list[tuple[float, list[NetPin]]]
    spec: PlaceSpec
    start: list[tuple[int, int]] | None = None
    rough: bool = False


class Solution(msgspec.Struct, frozen=True):
    """Lower left corners and orientations of the movable cells; wire lengths (nm, half perimeters) after each stage.
    """

    places: list[tuple[int, int]]
    orientations: list[str]
    lengths: dict[str, int]


def movable_cells(placement: Placement, netlist: Netlist, cells: Cells) -> list[str]:
    """The instances that a placer moves: the standard cells of the netlist that are not fixed."""
    fixed = {name for name, placed in placement.instances.items() if placed.fixed}
    return [name for name, cell in netlist.instances.items() if not cells[cell].is_macro and name not in fixed]


def build_problem(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology, spec: PlaceSpec,
                  weights: Mapping[str, float], *, from_here: bool = False, rough: bool = False) -> Problem:
    """The problem of a floor plan, or of a placement to go on from.

    SpecError for macros without a place, cells without one to go on from, and weights of nets that are not there.
    """
    unknown = sorted(set(weights) - set(netlist.nets))
    if unknown:
        raise SpecError(f"weights must be of nets of {netlist.top}, not {', '.join(unknown[:3])}")
    movable = movable_cells(placement, netlist, cells)
    index = {name: number for number, name in enumerate(movable)}
    placed = placement.instances
    lacking = [name for name in netlist.instances if name not in placed and (from_here or name not in index)]
    if lacking:
        what = "cells must have a place to go on from" if from_here else "macros must have a place before cells do"
        raise SpecError(f"{what}, not {shortened(lacking)}")
    core, fixed = placement.core, []
    for name, place in placed.items():
        if name not in index:
            index[name] = len(movable) + len(fixed)
            cell = cells[place.cell]
            width = 0 if cell.is_macro else outline(place, cell).width
            fixed.append(FixedCell(place.x - core.x0, place.y - core.y0, width, place.orientation))
    ports = {}
    for port, shape in placement.ports.items():
        ports[port] = len(movable) + len(fixed)
        fixed.append(FixedCell((shape.x0 + shape.x1) // 2 - core.x0, (shape.y0 + shape.y1) // 2 - core.y0, 0, "N"))
    rows = [(x0 - core.x0, x1 - core.x0, row.y - core.y0, row.orientation)
            for row, x0, x1 in rows_off_channels(placement, cells, technology.site_width)]
    start = [(placed[name].x - core.x0, placed[name].y - core.y0) for name in movable] if from_here else None
    return Problem(placement.top, technology.site_width, technology.row_height, rows,
                   [cells[netlist.instances[name]].width for name in movable], fixed,
                   list(_nets(placement, netlist, cells, index, ports, weights, len(movable))), spec, start, rough)


def find_channels(placement: Placement, cells: Cells) -> list[Rect]:
    """Dead ends between two macros, one above the other: less than CHANNEL times as high as they are deep.

    What stands at the end of one has its wires along all of it, and no room beside it for the buffers that they need.
    The rows stay there for clock and hold buffers; a placer leaves them free.
    """
    boxes = sorted((outline(placed, cells[placed.cell]) for placed in placement.instances.values()
                    if cells[placed.cell].is_macro), key=lambda box: (box.y0, box.x0))
    found = []
    for lower, upper in combinations(boxes, 2):
        x0, x1 = max(lower.x0, upper.x0), min(lower.x1, upper.x1)
        if x0 < x1 and 0 < upper.y0 - lower.y1 < CHANNEL * (x1 - x0):
            found.append(Rect(x0, lower.y1, x1, upper.y0))
    return found


def rows_off_channels(placement: Placement, cells: Cells, site: int) -> Iterator[tuple[Row, int, int]]:
    """The parts of the rows that are not in a channel, in whole sites: row, x0, x1."""
    channels = find_channels(placement, cells)
    for row in placement.rows:
        pieces = [(row.x0, row.x1)]
        for channel in channels:
            if channel.y0 <= row.y < channel.y1:
                left = row.x0 + (channel.x0 - row.x0) // site * site
                right = row.x0 - (row.x0 - channel.x1) // site * site
                pieces = [part for x0, x1 in pieces for part in ((x0, min(x1, left)), (max(x0, right), x1))
                          if part[1] - part[0] >= LEAST_PIECE_NM or part == (row.x0, row.x1)]
        yield from ((row, x0, x1) for x0, x1 in pieces if x1 > x0)


def _nets(placement: Placement, netlist: Netlist, cells: Cells, index: Mapping[str, int], ports: Mapping[str, int],
          weights: Mapping[str, float], n_movable: int) -> Iterator[tuple[float, list[NetPin]]]:
    """Weight and pins of every net with two pins or more that have something to do with placement."""
    middles: dict[tuple[str, str, str], tuple[int, int]] = {}
    for net, pins in netlist.nets.items():
        ends = []
        for instance, pin in pins:
            if not instance:
                if pin in ports:
                    ends.append(NetPin(ports[pin], 0, 0))
                continue
            number = index[instance]
            turn = placement.instances[instance].orientation if number >= n_movable else "N"
            key = (netlist.instances[instance], turn, pin)
            if key not in middles:
                cell = cells[key[0]]
                shapes = [to_die(Placed(key[0], 0, 0, turn), cell, shape) for shape in cell.pins[pin].shapes]
                middles[key] = ((min(s.x0 for s in shapes) + max(s.x1 for s in shapes)) // 2,
                                (min(s.y0 for s in shapes) + max(s.y1 for s in shapes)) // 2)
            ends.append(NetPin(number, *middles[key]))
        if len(ends) > 1:
            yield weights.get(net, 1.0), ends
