"""Puts a floor plan together: how large the die is, and what stands in it before the first cell is placed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import msgspec
import numpy as np

from flow.floorplan.macros import (
    BOTTOM,
    TOP,
    Halos,
    MacroRow,
    check_macros,
    find_halos,
    keep_outs,
    macro_row,
    place_row,
    round_up,
    wire_room,
)
from flow.floorplan.power import STRAP_LAYER, build_power, side_room
from flow.floorplan.rows import END_CAP_CELL, TAP_CELL, cut_rows, n_sites, row_cells
from flow.floorplan.spec import UTILISATION, FloorplanSpec
from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, Row
from flow.physical.geometry import NM_PER_UM, Rect, Shape, nm
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from golden.spec import SpecError

COARSE = 12
"""The first widths that are tried grow by one part in this many."""

LEAST_ROWS = 4

MOST_SIDE_UM = 10_000.0
"""A die larger than this is none that a shuttle takes."""


@dataclass(frozen=True)
class _Case:
    """What a floor plan is made for: the demands, and the netlist in numbers.

    cell_sites: of all standard cells of the netlist.
    """

    spec: FloorplanSpec
    technology: Technology
    cells: Cells
    netlist: Netlist
    cell_sites: int
    margin: tuple[int, int]
    halos: Halos

    @property
    def least_piece(self) -> int:
        """The narrowest row that supply straps of both nets are sure to cross, and that has room for cells."""
        layer = self.technology.layers[STRAP_LAYER]
        return nm(self.spec.strap_pitch_um) + nm(self.spec.strap_width_um) + layer.pitch

    def core(self, width: int, height: int) -> Rect:
        return Rect(self.margin[0], self.margin[1], self.margin[0] + width, self.margin[1] + height)

    def plan(self, rows: Sequence[MacroRow], core: Rect) -> tuple[dict[str, Placed], list[Row]]:
        """Macros and rows in a core that is large enough for the macros."""
        macros: dict[str, Placed] = {}
        for row in rows:
            macros |= place_row(row, core, self.technology)
        taken = keep_outs(macros, self.cells, self.halos)
        return macros, cut_rows(core, taken, self.technology, self.least_piece)


def build_floorplan(netlist: Netlist, cells: Cells, technology: Technology, spec: FloorplanSpec) -> Placement:
    """Die, macros, rows with end caps and taps, and power grid; the pins of the module come with placement.

    SpecError, with what was measured and what to try: a die too small, macros that do not fit, no cells.
    """
    case = _case(netlist, cells, technology, spec)
    names = netlist.macros(cells)
    options = list(_arrangements(case, names))
    core, rows = _given_die(case, options) if spec.die_um else _smallest_die(case, options)
    macros, sites = case.plan(rows, core)
    tap, end_cap = (cells[f"{technology.config.cell_library}__{name}"] for name in (TAP_CELL, END_CAP_CELL))
    power = build_power(sites, core, macros, cells, spec, technology)
    blocked = tuple(Shape.of("", box) for box in keep_outs(macros, cells, case.halos))
    die = Rect(0, 0, core.x1 + case.margin[0], core.y1 + case.margin[1])
    return Placement(netlist.top, die, core, tuple(sites), macros | row_cells(sites, core, tap, end_cap, technology),
                     {}, power.supplies, blocked, power.vias)


def utilisation(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology) -> float:
    """Area of the netlist's standard cells to that of the rows."""
    taken = sum(cells[cell].area for cell in netlist.instances.values() if not cells[cell].is_macro)
    return taken / (n_sites(placement.rows, technology) * technology.site_width * technology.row_height)


def _case(netlist: Netlist, cells: Cells, technology: Technology, spec: FloorplanSpec) -> _Case:
    odd = sorted({cell for cell in netlist.instances.values() if not cells[cell].is_macro
                  and cells[cell].height != technology.row_height})
    if odd:
        raise SpecError(f"standard cells must be one row ({technology.row_height} nm) high, not {', '.join(odd)}")
    macros = {name: cells[name] for name in netlist.instances.values() if cells[name].is_macro}
    check_macros(list(macros.values()), technology)
    sites = sum(cells[cell].width for cell in netlist.instances.values() if not cells[cell].is_macro)
    margin = nm(spec.margin_um)
    side = max(margin, side_room(spec, technology)) if macros else margin
    return _Case(spec, technology, cells, netlist, sites // technology.site_width,
                 (round_up(side, technology.site_width), round_up(margin, technology.row_height)),
                 find_halos(macros.values(), spec, technology))


def _arrangements(case: _Case, names: Sequence[str]) -> Iterator[tuple[MacroRow, ...]]:
    """Macros at the lower edge, the rest at the upper; from as even as can be to all at one edge."""
    if not names:
        yield ()
    for n_lower in range((len(names) + 1) // 2, len(names) + 1):
        parts = {BOTTOM: names[:n_lower], TOP: names[n_lower:]}
        yield tuple(macro_row(edge, part, [case.cells[case.netlist.instances[name]] for name in part], case.spec,
                              case.technology) for edge, part in parts.items() if part)


def _least_core(case: _Case, rows: Sequence[MacroRow]) -> tuple[int, int]:
    """Width and height that the macros of an arrangement need, with a few rows and room for wires between them."""
    site, row = case.technology.site_width, case.technology.row_height
    width = max([case.least_piece, *(macros.width + len(macros.names) * site for macros in rows)])
    halos = len(rows) * nm(case.spec.pin_halo_um)
    height = sum(macros.height for macros in rows) + max(halos + LEAST_ROWS * row, wire_room(rows, case.technology))
    return round_up(width, site), round_up(height, row)


def _smallest_die(case: _Case, options: Sequence[tuple[MacroRow, ...]]) -> tuple[Rect, tuple[MacroRow, ...]]:
    """The best arrangement and core (`_cost`) at the utilisation asked for."""
    if not case.cell_sites:
        raise SpecError(f"the netlist of {case.netlist.top} must have standard cells, and has none")
    found = [(core, rows) for rows in options if (core := _fit(case, rows))]
    if not found:
        raise SpecError(f"{case.netlist.top} must fit into {MOST_SIDE_UM / 1000:g} x {MOST_SIDE_UM / 1000:g} mm, and "
                        f"does not at utilisation {case.spec.utilisation}; {_measured(case)}")
    return min(found, key=lambda item: _cost(case, *item))


def _cost(case: _Case, core: Rect, rows: Sequence[MacroRow]) -> float:
    """What a core should have least of: its area times the mean way between two places in its rows.

    Without macros every core has about the same area, and the mean way is a third of width and height. With macros a
    larger die may have shorter wires, or the rows may be what is left in corners, with long ways and narrow passages.
    Of rows only the area that is asked for counts, not what whole rows and sites add to it.
    """
    technology = case.technology
    places = case.plan(rows, core)[1]
    spare = n_sites(places, technology) - case.cell_sites / case.spec.utilisation
    ways = mean_ways(places, technology.row_height)
    return (core.area - spare * technology.site_width * technology.row_height) * (
        case.spec.aspect_ratio * ways[0] + ways[1])


def mean_ways(rows: Sequence[Row], row_height: int) -> tuple[float, float]:
    """The mean distance in x and in y of two sites of the rows, drawn at random; nm.

    >>> rows = [Row(2720 * n, 0, 8160, "N") for n in range(3)]
    >>> [round(way) for way in mean_ways(rows, 2720)]
    [2720, 2720]
    """
    sides = ([(row.x0, row.x1, row_height) for row in rows],
             [(row.y, row.y + row_height, row.x1 - row.x0) for row in rows])
    return tuple(_mean_distance(np.array(side, dtype=float)) for side in sides)


def _mean_distance(bars: np.ndarray) -> float:
    """The mean distance along an axis of two places drawn from bars (from, to, height); bars may overlap.

    With F the part of the area below a place, it is the integral of 2 F (1 - F).
    """
    ends = np.unique(bars[:, :2])
    heights = np.zeros(len(ends))
    np.add.at(heights, np.searchsorted(ends, bars[:, 0]), bars[:, 2])
    np.add.at(heights, np.searchsorted(ends, bars[:, 1]), -bars[:, 2])
    area = np.concatenate(([0.0], np.cumsum(np.cumsum(heights)[:-1] * np.diff(ends))))
    low, high = area[:-1] / area[-1], area[1:] / area[-1]
    mean, mean_square = (low + high) / 2, (low * low + low * high + high * high) / 3      # F is linear in between
    return float((2 * (mean - mean_square) * np.diff(ends)).sum())


def _fit(case: _Case, rows: tuple[MacroRow, ...]) -> Rect | None:
    """The best core of an arrangement with room for the cells; None when there is none up to MOST_SIDE_UM.

    Widths are tried in growing steps up to where none can be better any more, then finer around the best.
    """
    wanted = case.cell_sites / case.spec.utilisation
    site, row = case.technology.site_width, case.technology.row_height
    least_width, least_height = _least_core(case, rows)
    most = nm(MOST_SIDE_UM)
    heights: dict[int, int | None] = {}
    costs: dict[int, float] = {}

    def fits(width: int, height: int) -> bool:
        return n_sites(case.plan(rows, case.core(width, height))[1], case.technology) >= wanted

    def cost(width: int) -> float:
        if width not in costs:
            height = heights[width] = _least(least_height, most, row, partial(fits, width))
            costs[width] = float("inf") if height is None else _cost(case, case.core(width, height), rows)
        return costs[width]

    def bound(width: int) -> float:
        """No core this wide or wider costs less: places in rows are spread over width at least as if rows filled the
        whole height, and height only falls with width."""
        area = wanted * site * row
        return area * case.spec.aspect_ratio * area / heights[width] / 3 if heights[width] else 0.0

    width = best = least_width
    while width <= most:
        best = min(best, width, key=cost)
        if bound(width) > cost(best):
            break
        width = round_up(width + width // COARSE, site)
    step = best // COARSE
    while step >= site:
        nearby = [max(round_up(best + sign * step, site), least_width) for sign in (-1, 1)]
        best = min([best, *nearby], key=cost)
        step //= 2
    return case.core(best, heights[best]) if heights.get(best) is not None else None


def _least(low: int, high: int, step: int, holds: Callable[[int], bool]) -> int | None:
    """The least of low, low + step ... for which a monotone condition holds, or None up to high."""
    reach = next((n for n in count() if low + (2 ** n - 1) * step > high or holds(low + (2 ** n - 1) * step)), 0)
    first, last = 0, 2 ** reach - 1
    if low + last * step > high and not holds(low + last * step):
        return None
    while first < last:
        middle = (first + last) // 2
        if holds(low + middle * step):
            last = middle
        else:
            first = middle + 1
    return low + last * step


def _given_die(case: _Case, options: Sequence[tuple[MacroRow, ...]]) -> tuple[Rect, tuple[MacroRow, ...]]:
    """The core of the die that was asked for, with the arrangement that leaves most room for cells."""
    sides = [nm(side) for side in case.spec.die_um]
    steps = (case.technology.site_width, case.technology.row_height)
    width, height = ((side - 2 * margin) // step * step
                     for side, margin, step in zip(sides, case.margin, steps, strict=True))
    fitting = [rows for rows in options if all(have >= need for have, need in
                                               zip((width, height), _least_core(case, rows), strict=True))]
    if not fitting:
        raise SpecError(f"a die of {_um(sides)} is too small for {case.netlist.top}: {_measured(case)}; "
                        f"{_advice(case)}")
    core = case.core(width, height)
    rooms = [(n_sites(case.plan(rows, core)[1], case.technology), rows) for rows in fitting]
    room, rows = max(rooms, key=lambda item: item[0])
    if case.cell_sites > room * UTILISATION[1]:
        used = f"{case.cell_sites / room:.3f}" if room else "infinite"
        raise SpecError(f"a die of {_um(sides)} is too small for {case.netlist.top}: {_measured(case)}; the rows that "
                        f"are left hold {_area(case, room):,.0f} um2, which is a utilisation of {used}, and at most "
                        f"{UTILISATION[1]} can be placed; {_advice(case)}")
    return core, rows


def _advice(case: _Case) -> str:
    """A die that would do."""
    roomy = replace(case, spec=msgspec.structs.replace(case.spec, die_um=None))
    core, _ = _smallest_die(roomy, list(_arrangements(roomy, case.netlist.macros(case.cells))))
    sides = (core.x1 + case.margin[0], core.y1 + case.margin[1])
    return f"try die_um of {_um(sides)}, for utilisation {case.spec.utilisation}, or leave die_um out"


def _measured(case: _Case) -> str:
    macros = case.netlist.macros(case.cells)
    text = (f"its standard cells take {_area(case, case.cell_sites):,.0f} um2 in rows of at least "
            f"{case.least_piece / NM_PER_UM:.2f} um, which straps of both supplies cross")
    if macros:
        sizes = sorted({(cell.width, cell.height) for cell in (case.cells[case.netlist.instances[name]]
                                                               for name in macros)})
        text += f", and {len(macros)} macros of {', '.join(_um(size) for size in sizes)} stand beside them"
    return text


def _area(case: _Case, sites: int) -> float:
    return sites * case.technology.site_width * case.technology.row_height / NM_PER_UM ** 2


def _um(size: Sequence[int]) -> str:
    return " x ".join(f"{side / NM_PER_UM:.2f}" for side in size) + " um"
