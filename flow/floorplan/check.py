"""Does the power grid hold together? Extracted anew from the drawn shapes, with KLayout; shares no code with power.py.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import klayout.db as kdb

from flow.floorplan.rows import TAP_CELL, farthest_from_tap
from flow.floorplan.spec import TAP_REACH_SITES
from flow.physical.abstract import Cells
from flow.physical.design import Placement, to_die
from flow.physical.geometry import Shape
from flow.physical.technology import Technology
from golden.spec import SpecError


def check_floorplan(placement: Placement, cells: Cells, technology: Technology) -> None:
    """SpecError with everything that is wrong with taps and power grid."""
    found = [*find_far_from_tap(placement, technology), *find_broken_supplies(placement, cells, technology)]
    if found:
        raise SpecError("\n".join([f"the floor plan of {placement.top} must be sound, and is not:",
                                   *(f"  {line}" for line in found)]))


def find_far_from_tap(placement: Placement, technology: Technology) -> list[str]:
    """Rows whose wells are too far from a tap."""
    tap = f"{technology.config.cell_library}__{TAP_CELL}"
    taps = [placed for placed in placement.instances.values() if placed.cell == tap]
    worst = farthest_from_tap(placement.rows, taps, technology.site_width)
    if worst <= TAP_REACH_SITES:
        return []
    return [f"every site must be within {TAP_REACH_SITES} sites of a tap in its row, and one is {worst} away"]


def find_broken_supplies(placement: Placement, cells: Cells, technology: Technology) -> list[str]:
    """Supply nets that are in several pieces, macros' supply pins that theirs does not reach, and nets that touch."""
    nets = {name: [*placement.supply_shapes(name), *_macro_pins(placement, cells, supply.use)]
            for name, supply in placement.supplies.items()}
    layout = kdb.Layout()
    layout.dbu = 0.001
    top = layout.create_cell("TOP")
    index: dict[str, int] = {}
    for shapes in nets.values():
        for shape in shapes:
            if shape.layer not in index:
                index[shape.layer] = layout.layer(kdb.LayerInfo(len(index) + 1, 0))
            top.shapes(index[shape.layer]).insert(kdb.Box(*shape.rect))
    extraction = kdb.LayoutToNetlist(kdb.RecursiveShapeIterator(layout, top, []))
    drawn = {name: extraction.make_layer(number, name) for name, number in index.items()}
    for region in drawn.values():
        extraction.connect(region)
    for lower, upper in pairwise(technology.layers):
        cut = technology.cut_between[lower, upper]
        if {lower, cut, upper} <= drawn.keys():
            extraction.connect(drawn[lower], drawn[cut])
            extraction.connect(drawn[cut], drawn[upper])
    extraction.extract_netlist()

    def pieces(shapes: list[Shape]) -> Counter:
        """Extracted net -> shapes of ours that are on it."""
        count: Counter = Counter()
        for shape in shapes:
            box = kdb.Box(*shape.rect)
            count[extraction.probe_net(drawn[shape.layer], box.center()).cluster_id] += 1
        return count

    found, owner = [], {}
    for name, shapes in nets.items():
        parts = pieces(shapes)
        if len(parts) != 1:
            least = min(parts.values(), default=0)
            found.append(f"supply {name} must be one piece of metal, and is {len(parts)}, the least of {least} shapes")
        for part in parts:
            if part in owner:
                found.append(f"supplies {owner[part]} and {name} touch each other")
            owner[part] = name
    return found


def _macro_pins(placement: Placement, cells: Cells, use: str) -> list[Shape]:
    return [to_die(placed, cells[placed.cell], shape) for placed in placement.instances.values()
            if cells[placed.cell].is_macro for pin in cells[placed.cell].pins.values() if pin.use == use
            for shape in pin.shapes]
