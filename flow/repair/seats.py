"""Legal places for cells that are new or of another size: near where they are wanted, neighbours moved in the row."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from flow.clock.legal import Rows
from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.physical.technology import Technology


def seat_cells(before: Design, after: Design, cells: Cells, technology: Technology, held: Collection[str]) -> Design:
    """The design `after`, legal: what differs from `before`, which is legal, put between the cells that are there.

    held: cells that stay where they are, beside those that are fixed. SpecError when a cell finds no room.
    """
    old, new = before.placement.instances, after.placement.instances
    movable = [name for name in before.netlist.instances
               if name not in held and not old[name].fixed and not cells[old[name].cell].is_macro]
    rows = Rows(before.placement, cells, technology, movable)
    other = [name for name in after.netlist.instances if name not in old or new[name].cell != old[name].cell]
    for name in [*(name for name in before.netlist.instances if name not in after.netlist.instances),
                 *(name for name in other if name in old)]:
        rows.remove(name)
    for name in sorted(other, key=lambda name: (-cells[new[name].cell].width, name)):    # wide ones while there is room
        rows.insert(name, new[name].cell, (new[name].x, new[name].y))
    placed = rows.placed(after.netlist.instances, ())
    return replace(after, placement=replace(after.placement, instances={
        **{name: placed[name] for name in old if name in placed},
        **{name: placed[name] for name in after.netlist.instances if name not in old}}))
