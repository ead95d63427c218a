"""Is a placement legal? Independent of what made it: every rule is looked at anew, from the shapes.

Every check returns lines that say what is wrong; nothing wrong is an empty list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Placement, Row, outline
from flow.physical.geometry import NM_PER_UM, Rect, placed_size
from flow.physical.netlist import Netlist, shortened
from flow.physical.technology import Technology
from flow.place.fill import find_gaps
from golden.spec import SpecError

TURNED = {"N": ("N", "FN"), "FS": ("FS", "S")}
"""Row -> how its cells may stand: the rails must meet."""


def check_placement(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology) -> None:
    """SpecError with everything that is wrong."""
    found = [*find_missing(placement, netlist), *find_outside(placement, cells), *find_off_rows(placement, cells,
             technology), *find_overlaps(placement, cells), *find_bad_pins(placement, netlist, technology)]
    if found:
        raise SpecError("\n".join([f"the placement of {placement.top} must be legal, and is not:",
                                   *(f"  {line}" for line in found)]))


def check_filled(placement: Placement, cells: Cells) -> None:
    """SpecError when a site of a row is empty."""
    found = find_uncovered(placement, cells)
    if found:
        raise SpecError(f"rows of {placement.top} must have no gaps, and have: {found[0]}")


def find_missing(placement: Placement, netlist: Netlist) -> list[str]:
    """Instances of the netlist without a place, and such that are another cell."""
    lacking = [name for name in netlist.instances if name not in placement.instances]
    other = [f"{name} ({placement.instances[name].cell}, not {cell})" for name, cell in netlist.instances.items()
             if name in placement.instances and placement.instances[name].cell != cell]
    return _lines({"instances have no place": lacking, "instances are of another cell than in the netlist": other})


def find_outside(placement: Placement, cells: Cells) -> list[str]:
    outside = [_at(name, placement) for name, placed in placement.instances.items()
               if not placement.core.contains(outline(placed, cells[placed.cell]))]
    return _lines({"instances reach out of the core": outside})


def find_off_rows(placement: Placement, cells: Cells, technology: Technology) -> list[str]:
    """Standard cells off rows, off sites, or turned so that their rails do not meet the row's."""
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in placement.rows:
        rows[row.y].append(row)
    off_row, off_site, turned = [], [], []
    for name, placed in placement.instances.items():
        cell = cells[placed.cell]
        if cell.is_macro:
            continue
        width, height = placed_size(placed.orientation, cell.width, cell.height)
        row = next((row for row in rows[placed.y] if row.x0 <= placed.x and placed.x + width <= row.x1), None)
        if row is None or height != technology.row_height:
            off_row.append(_at(name, placement))
            continue
        if (placed.x - row.x0) % technology.site_width:
            off_site.append(_at(name, placement))
        if placed.orientation not in TURNED[row.orientation]:
            turned.append(f"{name} ({placed.orientation} in a row that is {row.orientation})")
    return _lines({"cells do not stand in a row": off_row, "cells are not on sites": off_site,
                   "cells are turned against their row": turned})


def find_overlaps(placement: Placement, cells: Cells) -> list[str]:
    """Instances that cover the same area, and standard cells where the floor plan keeps them out."""
    names = list(placement.instances)
    boxes = np.array([outline(placed, cells[placed.cell]) for placed in placement.instances.values()]).reshape(-1, 4)
    pairs = [f"{names[a]} and {names[b]}" for a, b in overlapping(boxes)]
    kept_out = [shape.rect for shape in placement.blockages if not shape.layer]
    inside = [_at(name, placement) for name, box in zip(names, boxes.tolist(), strict=True)
              if not cells[placement.instances[name].cell].is_macro
              and any(Rect(*box).overlaps(area) for area in kept_out)]
    return _lines({"pairs of instances overlap": pairs, "cells are too near to a macro": inside})


def overlapping(boxes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of rows of (x0, y0, x1, y1) that share an area, by a sweep from left to right."""
    order = np.argsort(boxes[:, 0], kind="stable")
    active: dict[int, None] = {}
    x1, y0, y1 = boxes[:, 2], boxes[:, 1], boxes[:, 3]
    for index in order.tolist():
        left = boxes[index, 0]
        for other in [other for other in active if x1[other] <= left]:
            del active[other]
        for other in active:
            if y0[other] < y1[index] and y0[index] < y1[other]:
                yield min(index, other), max(index, other)
        active[index] = None


def find_bad_pins(placement: Placement, netlist: Netlist, technology: Technology) -> list[str]:
    """Ports without a place, off the die's edge, off their layer's tracks, too small, or too near to another."""
    lacking = [port for port in netlist.ports if port not in placement.ports]
    inside, off_track, small, near = [], [], [], []
    die = placement.die
    for port, shape in placement.ports.items():
        layer = technology.layers[shape.layer]
        at_edge = (shape.x0 == die.x0 or shape.x1 == die.x1) if layer.is_horizontal else (
            shape.y0 == die.y0 or shape.y1 == die.y1)
        if not at_edge or not die.contains(shape.rect):
            inside.append(port)
        middle = shape.y0 + shape.y1 if layer.is_horizontal else shape.x0 + shape.x1
        if (middle - 2 * layer.offset) % (2 * layer.pitch):
            off_track.append(port)
        if shape.rect.area < layer.min_area:
            small.append(port)
    by_layer: dict[str, list[str]] = defaultdict(list)
    for port, shape in placement.ports.items():
        by_layer[shape.layer].append(port)
    for layer_name, ports in by_layer.items():
        reach = technology.layers[layer_name].spacing
        boxes = np.array([placement.ports[port].rect.grown(reach // 2) for port in ports])
        near += [f"{ports[a]} and {ports[b]}" for a, b in overlapping(boxes)]
    return _lines({"ports have no place": lacking, "ports are not at the die's edge": inside,
                   "ports are off their layer's tracks": off_track, "ports are smaller than the least area": small,
                   "pairs of ports are nearer than the spacing rule": near})


def find_uncovered(placement: Placement, cells: Cells) -> list[str]:
    """Sites that nothing covers, once fill is in."""
    return _lines({"gaps are left in the rows": [f"x = {x0 / NM_PER_UM} um, y = {row.y / NM_PER_UM} um"
                                                 for row, x0, _ in find_gaps(placement, cells)]})


def _at(name: str, placement: Placement) -> str:
    placed = placement.instances[name]
    return f"{name} ({placed.x / NM_PER_UM}, {placed.y / NM_PER_UM} um)"


def _lines(problems: dict[str, list[str]]) -> list[str]:
    return [f"{len(found)} {what}: {shortened(found)}" for what, found in problems.items() if found]
