"""Puts a floor plan together: how large the die is, and what stands in it before the first cell is placed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from flow.floorplan.macros import BOTTOM, TOP, MacroRow, check_macros, keep_outs, macro_row, place_row, round_up
from flow.floorplan.power import build_power, side_room
from flow.floorplan.rows import END_CAP_CELL, TAP_CELL, cut_rows, n_sites, row_cells
from flow.floorplan.spec import UTILISATION, FloorplanSpec
from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, Row
from flow.physical.geometry import NM_PER_UM, Rect, Shape, nm
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from golden.spec import SpecError

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

    @property
    def least_piece(self) -> int:
        """The narrowest row that supply straps of both nets are sure to cross, and that has room for cells."""
        layer = self.technology.layers["met4"]
        return nm(self.spec.strap_pitch_um) + nm(self.spec.strap_width_um) + layer.pitch

    def core(self, width: int, height: int) -> Rect:
        return Rect(self.margin[0], self.margin[1], self.margin[0] + width, self.margin[1] + height)

    def plan(self, rows: Sequence[MacroRow], core: Rect) -> tuple[dict[str, Placed], list[Row]]:
        """Macros and rows in a core that is large enough for the macros."""
        macros: dict[str, Placed] = {}
        for row in rows:
            macros |= place_row(row, core, self.technology)
        taken = keep_outs(macros, self.cells, self.spec, self.technology)
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
    blocked = tuple(Shape.of("", box) for box in keep_outs(macros, cells, spec, technology))
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
    check_macros([cells[netlist.instances[name]] for name in netlist.macros(cells)], technology)
    sites = sum(cells[cell].width for cell in netlist.instances.values() if not cells[cell].is_macro)
    margin = nm(spec.margin_um)
    side = max(margin, side_room(spec, technology)) if netlist.macros(cells) else margin
    return _Case(spec, technology, cells, netlist, sites // technology.site_width,
                 (round_up(side, technology.site_width), round_up(margin, technology.row_height)))


def _arrangements(case: _Case, names: Sequence[str]) -> Iterator[tuple[MacroRow, ...]]:
    """Macros at the lower edge, the rest at the upper; from as even as can be to all at one edge."""
    if not names:
        yield ()
    for n_lower in range((len(names) + 1) // 2, len(names) + 1):
        parts = {BOTTOM: names[:n_lower], TOP: names[n_lower:]}
        yield tuple(macro_row(edge, part, [case.cells[case.netlist.instances[name]] for name in part], case.spec,
                              case.technology) for edge, part in parts.items() if part)


def _least_core(case: _Case, rows: Sequence[MacroRow]) -> tuple[int, int]:
    """Width and height that the macros of an arrangement need, with a few rows for cells between them."""
    site, row = case.technology.site_width, case.technology.row_height
    width = max([case.least_piece, *(macros.width + len(macros.names) * site for macros in rows)])
    height = sum(macros.height for macros in rows) + (2 * nm(case.spec.pin_halo_um) if rows else 0) + 4 * row
    return round_up(width, site), round_up(height, row)


def _smallest_die(case: _Case, options: Sequence[tuple[MacroRow, ...]]) -> tuple[Rect, tuple[MacroRow, ...]]:
    """The arrangement and core with the least half perimeter at the utilisation asked for."""
    if not case.cell_sites:
        raise SpecError(f"the netlist of {case.netlist.top} must have standard cells, and has none")
    found = [(_fit(case, rows), rows) for rows in options]
    return min(found, key=lambda item: item[0].width + item[0].height)


def _fit(case: _Case, rows: tuple[MacroRow, ...]) -> Rect:
    """The core of an arrangement: as near to the aspect ratio as the macros allow, no larger than utilisation asks."""
    wanted = case.cell_sites / case.spec.utilisation
    site, row = case.technology.site_width, case.technology.row_height
    least_width, least_height = _least_core(case, rows)
    most = nm(MOST_SIDE_UM)

    def height_for(width: int) -> int | None:
        """The least height with room for the cells, or None."""
        def fits(height: int) -> bool:
            return n_sites(case.plan(rows, case.core(width, height))[1], case.technology) >= wanted
        return _least(least_height, most, row, fits)

    def flat_enough(width: int) -> bool:
        height = height_for(width)
        return height is not None and height <= case.spec.aspect_ratio * width

    width = _least(least_width, most, site, flat_enough)
    height = height_for(width) if width else None
    if width is None or height is None:
        raise SpecError(f"{case.netlist.top} must fit into {MOST_SIDE_UM / 1000:g} x {MOST_SIDE_UM / 1000:g} mm, and "
                        f"does not at utilisation {case.spec.utilisation}; {_measured(case)}")
    return case.core(width, height)


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
    free = FloorplanSpec(**{**{name: getattr(case.spec, name) for name in case.spec.__struct_fields__}, "die_um": None})
    roomy = _Case(free, case.technology, case.cells, case.netlist, case.cell_sites, case.margin)
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
