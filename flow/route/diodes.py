"""Diodes for gates whose antennas no other way of the wires helps: their diffusion takes the charge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, pin_centre
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from flow.place.fill import find_gaps
from flow.route.antenna import DIODE, DIODE_PIN, AntennaFault
from flow.route.guides import Guides
from flow.route.problem import RoutingProblem
from golden.spec import SpecError

PREFIX = "ANTENNA_"
FIRST = -1
"""The turn of pins that are joined before those of any region."""


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


def diodes_first(problem: RoutingProblem, guides: Guides) -> Guides:
    """Guides by which a net's diodes are joined first, each to the pin that is nearest to it.

    Joined later, a diode may end on an upper layer that passes by, and its gate would still be alone with the lower
    ones while these are made.
    """
    nx, plane = problem.lattice.nx, problem.lattice.plane
    turn = guides.pin_turn.copy()
    diodes = [pin for pin, (_, name) in enumerate(problem.pin_keys) if name == DIODE_PIN]
    net_of = np.searchsorted(problem.net_start, diodes, side="right") - 1
    for diode, net in zip(diodes, net_of.tolist(), strict=True):
        pins = range(*problem.net_start[net:net + 2].tolist())
        others = [pin for pin in pins if problem.pin_keys[pin][1] != DIODE_PIN]
        place = problem.nodes[problem.pin_start[[diode, *others]]] % plane
        x, y = place % nx * problem.lattice.pitch_x, place // nx * problem.lattice.pitch_y
        nearest = others[int(np.argmin(np.abs(x[1:] - x[0]) + np.abs(y[1:] - y[0])))]
        turn[[diode, nearest]] = FIRST
    return replace(guides, pin_turn=turn)


def _nearest(x0: int, x1: int, width: int, x: int, site: int) -> int:
    """The site in a gap from x0 to x1 at which a cell comes nearest to x."""
    return min(max(x0 + round((x - width // 2 - x0) / site) * site, x0), x1 - width)


def _way(gap: tuple, width: int, x: int, y: int) -> int:
    """How far a cell in a gap would be from x; y is where the bottom of its row would best be."""
    row, x0, x1 = gap
    return abs(min(max(x, x0 + width // 2), x1 - width // 2) - x) + abs(row.y - y)


def without_diodes(netlist: Netlist) -> Netlist:
    """The netlist as it was before `add_diodes`."""
    return replace(netlist,
                   instances={name: cell for name, cell in netlist.instances.items() if not name.startswith(PREFIX)},
                   nets={net: tuple(pin for pin in pins if not pin[0].startswith(PREFIX))
                         for net, pins in netlist.nets.items()})
