"""Legal places for a few new cells: the nearest gaps between those that are there, which stay where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.physical.technology import Technology
from flow.place.fill import find_gaps
from golden.spec import SpecError


def settle(design: Design, new: Mapping[str, tuple[int, int]], cells: Cells, technology: Technology) -> Design:
    """The design with new instances in gaps near where their middles are wanted (nm), in their order.

    SpecError when a cell finds no gap in the whole core.
    """
    places = {name: place for name, place in design.placement.instances.items() if name not in new}
    gaps = [(row.y, x0, x1) for row, x0, x1 in find_gaps(replace(design.placement, instances=places), cells)]
    turn = {row.y: row.orientation for row in design.placement.rows}
    y, x0, x1 = (np.array([gap[k] for gap in gaps], np.int64) for k in range(3))
    site, height = technology.site_width, technology.row_height
    for name, (want_x, want_y) in new.items():
        width = cells[design.netlist.instances[name]].width
        left, bottom = want_x - width // 2, want_y - height // 2
        at = np.clip(left, x0, x1 - width)
        far = np.where(x1 - x0 >= width, abs(at - left) + abs(y - bottom), np.iinfo(np.int64).max)
        best = int(np.argmin(far)) if len(far) else 0
        if not len(far) or far[best] == np.iinfo(np.int64).max:
            raise SpecError(f"{name} must find a gap of {width} nm in the rows of {design.placement.top}, and there is "
                            "none; lower utilisation, or make die_um larger")
        place = int(x0[best] + (at[best] - x0[best]) // site * site)
        row = int(y[best])
        places[name] = design.placement.instances[name]._replace(x=place, y=row, orientation=turn[row])
        rest = (row, place + width, int(x1[best]))
        x1[best] = place
        y, x0, x1 = (np.append(axis, value) for axis, value in zip((y, x0, x1), rest, strict=True))
    return replace(design, placement=replace(design.placement, instances=places))
