"""Places for the module's pins: on tracks at the die's edge, each as near as can be to what its net connects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Placement, outline
from flow.physical.geometry import Rect, Shape
from flow.physical.technology import Technology
from golden.spec import SpecError

SIDE_LAYER, END_LAYER = "met3", "met2"
"""Pins at the left and right edge are in a horizontal layer, those at the lower and upper edge in a vertical one."""

TRACKS_APART = 2
DEPTH_UM = {SIDE_LAYER: 0.92, END_LAYER: 0.68}
"""How far a pin reaches into the die: its area is at least the layer's least, and a crossing of tracks lies in it."""

MACRO_CLEARANCE_UM = 30.0
"""No pins where a macro is nearer than this to the edge: their wires would have to squeeze past it."""


@dataclass(frozen=True)
class Slot:
    """A place for a pin: its shape, and where along the edge of the die it is, from the lower left corner on."""

    shape: Shape
    along: int

    @property
    def middle(self) -> tuple[int, int]:
        return (self.shape.x0 + self.shape.x1) // 2, (self.shape.y0 + self.shape.y1) // 2


def find_slots(placement: Placement, cells: Cells, technology: Technology) -> list[Slot]:
    """Every place for a pin, counter-clockwise from the lower left corner."""
    die, core = placement.die, placement.core
    away = round(MACRO_CLEARANCE_UM * 1000)
    macros = [outline(placed, cells[placed.cell]) for placed in placement.instances.values()
              if cells[placed.cell].is_macro]
    slots = []
    for layer_name, low, high in ((END_LAYER, core.x0, core.x1), (SIDE_LAYER, core.y0, core.y1)):
        layer = technology.layers[layer_name]
        half, depth, step = layer.width // 2, round(DEPTH_UM[layer_name] * 1000), layer.pitch * TRACKS_APART
        first = layer.offset + -(-(low - layer.offset) // step) * step
        for at in range(first, high - half, step):
            if layer_name == END_LAYER:
                boxes = {at: Rect(at - half, 0, at + half, depth),
                         2 * die.width + die.height - at: Rect(at - half, die.y1 - depth, at + half, die.y1)}
            else:
                boxes = {die.width + at: Rect(die.x1 - depth, at - half, die.x1, at + half),
                         2 * (die.width + die.height) - at: Rect(0, at - half, depth, at + half)}
            slots += [Slot(Shape.of(layer_name, box), along) for along, box in boxes.items()
                      if not any(box.grown(away).overlaps(macro) for macro in macros)]
    return sorted(slots, key=lambda slot: slot.along)


def assign_pins(wishes: Mapping[str, tuple[int, int]], slots: Sequence[Slot], where: str) -> dict[str, Shape]:
    """A slot for every port, so that the sum of ways along the edge is least and wires need not cross at the edge.

    wishes: port -> the point that it would like to be at. SpecError when there are more ports than slots.
    """
    if len(wishes) > len(slots):
        raise SpecError(f"the die's edge must have a place for each of the {len(wishes)} pins of {where}, and has "
                        f"{len(slots)} beside the macros; make the die larger (utilisation, die_um)")
    if not wishes:
        return {}
    middles = np.array([slot.middle for slot in slots])
    nearest = {port: int(np.abs(middles - point).sum(axis=1).argmin()) for port, point in wishes.items()}
    ports = sorted(wishes, key=lambda port: (slots[nearest[port]].along, port))
    chosen = match_in_order([slots[nearest[port]].along for port in ports], [slot.along for slot in slots])
    found = {port: slots[index].shape for port, index in zip(ports, chosen, strict=True)}
    return {port: found[port] for port in wishes}


def match_in_order(wanted: Sequence[int], places: Sequence[int]) -> list[int]:
    """Index of the place of each, both ascending, no place twice, with the least sum of distances.

    >>> match_in_order([10, 11, 12], [0, 9, 10, 30])
    [0, 1, 2]
    """
    spare = len(places) - len(wanted) + 1           # the k-th may take places k .. k + spare - 1
    at = np.array(places)
    best, choices = np.zeros(spare, dtype=np.int64), []
    for number, wish in enumerate(wanted):
        cost = best + np.abs(at[number:number + spare] - wish)
        lowest = np.minimum.accumulate(cost)
        choices.append(np.maximum.accumulate(np.where(cost == lowest, np.arange(spare), 0)))
        best = lowest
    index, taken = spare - 1, []
    for number in range(len(wanted) - 1, -1, -1):
        index = int(choices[number][index])
        taken.append(number + index)
    return taken[::-1]
