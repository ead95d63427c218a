"""Capacitance of one edge of a wire in patterns of wires: cross-sections, and wires that cross.

An edge of a wire with the half of the wire behind it is the unit: its neighbour lies a gap away, then the next one, all
of one width and grounded; below and above lies a plate of another metal, silicon, or nothing. All values are aF/um of
the edge's length, or aF a crossing.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from flow.extract.field import INFINITE, Conductor, capacitances, gap_lines, metal
from flow.extract.stack import CEILING_UM, HEIGHTS_UM, METALS, graded

LEAST_WIDTH_UM = {"li1": 0.17, "met1": 0.14, "met2": 0.14, "met3": 0.30, "met4": 0.30, "met5": 1.60}
STEP_UM = 0.04
STEP_3D_UM = 0.06
WIRE, BESIDE, BELOW, ABOVE = 1, 2, 3, 4
REACH = 3
"""A plate is one of the three metals below or above, or the silicon, or none."""


class Edge(NamedTuple):
    """What an edge has to its neighbour, to what is below, to what is above."""

    beside: float
    below: float
    above: float

    @property
    def total(self) -> float:
        return sum(self)


def below_of(layer: str, distance: int) -> str | None:
    """The metal so many below; None, the silicon, for 0.

    >>> below_of("met2", 1), below_of("met2", 0)
    ('met1', None)
    """
    return METALS[METALS.index(layer) - distance] if distance else None


def above_of(layer: str, distance: int) -> str | None:
    """The metal so many above; None, nothing, for 0."""
    return METALS[METALS.index(layer) + distance] if distance else None


@cache
def section(layer: str, below: str | None, above: str | None, gap_um: float, width_um: float,
            step_um: float = STEP_UM) -> tuple[Edge, Edge]:
    """The edge with its neighbours grounded, and with neighbours that carry the same voltage (their part is 0).

    The wire is between two neighbours with the same gap.
    """
    x, wires = _rows(layer, gap_um, width_um, step_um)
    plates, ceiling = _plates(below, above)
    charge = capacitances([*wires, *plates], ((WIRE,), (WIRE, BESIDE)), x, CROSS_SECTION, step_um, ceiling)
    other, same = (-_filled_up(column) for column in charge.T)
    down, up = same[0] + same[BELOW], same[ABOVE]
    share = -same[WIRE] / (down + up)                           # of what wire and neighbours have together
    return (Edge(other[BESIDE], other[0] + other[BELOW], other[ABOVE]), Edge(0.0, down * share, up * share))


@cache
def lopsided(layer: str, below: str | None, above: str | None, gap_um: float, opposite_um: float, width_um: float,
             step_um: float = STEP_UM) -> Edge:
    """The edge of a wire whose other edge has another gap; below and above are shared as two even wires have them."""
    half = width_um / 2
    right = [half, half + gap_um, half + gap_um + width_um, half + 1.5 * gap_um + width_um]
    left = [-half, -half - opposite_um, -half - opposite_um - width_um, -half - 1.5 * opposite_um - width_um]
    x = np.concatenate([_lines_beside(left, step_um), graded(-half, half, step_um), _lines_beside(right, step_um)])
    plates, ceiling = _plates(below, above)
    wires = [metal(WIRE, layer, -half, half), metal(BESIDE, layer, right[1], right[2]),
             metal(ABOVE + 1, layer, left[2], left[1])]
    found = -_filled_up(capacitances([*wires, *plates], ((WIRE,),), np.unique(np.round(x, 9)), CROSS_SECTION, step_um,
                                     ceiling)[:, 0])
    even, odd = (section(layer, below, above, gap, width_um, step_um)[0] for gap in (gap_um, opposite_um))
    down, up = found[0] + found[BELOW], found[ABOVE]
    return Edge(found[BESIDE], down * even.below / (even.below + odd.below),
                up * even.above / (even.above + odd.above) if above else 0.0)


CROSS_SECTION = np.array([0.0, 1.0])


def _filled_up(charges: np.ndarray) -> np.ndarray:
    """With zeros for the conductors that a pattern does not have."""
    return np.pad(charges, (0, ABOVE + 2 - len(charges)))


def _rows(layer: str, gap_um: float, width_um: float, step_um: float) -> tuple[np.ndarray, list[Conductor]]:
    """Half a wire, a gap, its neighbour, and half of the next gap, where a mirror stands for the next neighbour."""
    half = width_um / 2
    ends = [half, half + gap_um, half + gap_um + width_um, half + 1.5 * gap_um + width_um]
    x = np.concatenate([graded(0.0, half, step_um), _lines_beside(ends, step_um)])
    return np.unique(np.round(x, 9)), [metal(WIRE, layer, -INFINITE, ends[0]), metal(BESIDE, layer, ends[1], ends[2])]


def _lines_beside(ends: list[float], step_um: float) -> np.ndarray:
    """Lines over a gap, a neighbour and half of the next gap; to the left when the places fall."""
    if ends[1] < ends[0]:
        return -_lines_beside([-end for end in ends], step_um)[::-1]
    return np.concatenate([gap_lines(ends[0], ends[1], step_um), graded(ends[1], ends[2], step_um),
                           graded(ends[2], ends[3], 2 * step_um)])


def _plates(below: str | None, above: str | None) -> tuple[list[Conductor], float]:
    plates = [metal(number, layer) for number, layer in ((BELOW, below), (ABOVE, above)) if layer]
    return plates, HEIGHTS_UM[above][1] if above else CEILING_UM


class Crossing(NamedTuple):
    """What one edge of a wire and one edge of a wire that crosses it have beyond the mixture of plate and no plate."""

    crossing: float
    beside: float
    base: float


def crossing(layer: str, other: str, base: str | None, gap_um: float, apart_um: float,
             step_um: float = STEP_3D_UM) -> Crossing:
    """The quarter of a crossing between mirrors: half of each wire, a gap beside the one, half of a gap to the next
    crossing wire along it.

    base: the plate below both, None for silicon alone. apart_um: between crossing wires.
    """
    across = LEAST_WIDTH_UM[other] / 2
    x, wires = _rows(layer, gap_um, LEAST_WIDTH_UM[layer], step_um)
    y = np.unique(np.round(np.concatenate([graded(0.0, across, step_um),
                                           graded(across, across + apart_um / 2, step_um)]), 9))
    floor = [metal(BELOW, base)] if base else []
    ceiling = min(CEILING_UM, HEIGHTS_UM[max(layer, other, key=METALS.index)][1] + 2.0)

    def charges(more: list[Conductor], lines: np.ndarray) -> np.ndarray:
        found = -_filled_up(capacitances([*wires, *floor, *more], ((WIRE,),), x, lines, step_um, ceiling)[:, 0])
        return np.array([found[ABOVE], found[BESIDE], found[0] + found[BELOW]])

    none, plate = charges([], CROSS_SECTION), charges([metal(ABOVE, other)], CROSS_SECTION)
    whole = charges([metal(ABOVE, other, y0=-INFINITE, y1=across)], y)
    return Crossing(*(whole - across * plate - apart_um / 2 * none))


def corner(layer: str, below: str | None, above: str | None, gap_um: float, end: Edge,
           step_um: float = STEP_3D_UM) -> Edge:
    """What a corner at the end of a wire adds to its edges, the neighbours beside it going on.

    end: what the tables have for the edge across the wire's end.
    """
    half = LEAST_WIDTH_UM[layer] / 2
    body = max(1.0, 3 * LEAST_WIDTH_UM[layer])
    x, wires = _rows(layer, gap_um, 2 * half, step_um)
    y = np.unique(np.round(np.concatenate([body - graded(0.0, body, step_um),
                                           graded(body, 3 * body + 1.0, step_um)]), 9))
    plates, ceiling = _plates(below, above)
    wires = [metal(WIRE, layer, -INFINITE, half, -INFINITE, body), wires[1]]

    def charges(conductors: list[Conductor], lines: np.ndarray) -> np.ndarray:
        found = -_filled_up(capacitances([*conductors, *plates], ((WIRE,),), x, lines, step_um, ceiling)[:, 0])
        return np.array([found[BESIDE], found[0] + found[BELOW], found[ABOVE]])

    long = charges([metal(WIRE, layer, -INFINITE, half), wires[1]], CROSS_SECTION)
    return Edge(*(charges(wires, y) - body * long - half * np.array(end)))
