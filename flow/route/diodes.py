"""Diodes for gates whose antennas no other way of the wires helps: their diffusion takes the charge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, pin_centre
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from flow.place.fill import find_gaps
from flow.route.antenna import DIODE, DIODE_PIN, AntennaFault
from golden.spec import SpecError

PREFIX = "ANTENNA_"


def add_diodes(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology,
               faults: Sequence[AntennaFault]) -> tuple[Placement, Netlist]:
    """A diode for each fault, in the gap of the rows that is nearest to the first of its gates.

    Placement must not be filled yet. SpecError when no row has room for one more.
    """
    name = f"{technology.config.cell_library}__{DIODE}"
    if name not in cells:
        raise SpecError(f"antennas need the cell {name}, and the library has none")
    width = cells[name].width
    gaps = [(row, x0, x1) for row, x0, x1 in find_gaps(placement, cells) if x1 - x0 >= width]
    instances, nets = dict(placement.instances), dict(netlist.nets)
    kinds = dict(netlist.instances)
    for fault in sorted(faults, key=lambda fault: (fault.net, fault.gates)):
        if not gaps:
            raise SpecError(f"a diode for net {fault.net} must have room in a row, and no gap of {width} nm is left; "
                            "lower the utilisation")
        x, y = pin_centre(placement, cells, *fault.gates[0])
        bottom = y - technology.row_height // 2
        best = min(range(len(gaps)), key=lambda index: (_way(gaps[index], width, x, bottom), index))
        row, x0, x1 = gaps.pop(best)
        at = _nearest(x0, x1, width, x, technology.site_width)
        gaps += [(row, left, right) for left, right in ((x0, at), (at + width, x1)) if right - left >= width]
        diode = f"{PREFIX}{sum(cell == name for cell in kinds.values())}"
        instances[diode] = Placed(name, at, row.y, row.orientation)
        kinds[diode] = name
        nets[fault.net] = (*nets[fault.net], (diode, DIODE_PIN))
    return replace(placement, instances=instances), replace(netlist, instances=kinds, nets=nets)


def _nearest(x0: int, x1: int, width: int, x: int, site: int) -> int:
    """The site in a gap from x0 to x1 at which a cell comes nearest to x."""
    return min(max(x0 + round((x - width // 2 - x0) / site) * site, x0), x1 - width)


def _way(gap: tuple, width: int, x: int, y: int) -> int:
    """How far a cell in a gap would be from x; y is where the bottom of its row would best be."""
    row, x0, x1 = gap
    return abs(min(max(x, x0 + width // 2), x1 - width // 2) - x) + abs(row.y - y)
