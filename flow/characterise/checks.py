"""What physics demands of tables, whatever the numbers: a table that breaks one of these is not written.

Every check returns sentences that say where and how much; `check_result` and `check_corners` raise with them. Where
transistors truly do otherwise, the points are named one by one (EXCUSED_FALLS, EXCUSED_ORDERS). Each was simulated
again with steps of at most 1 ps instead of 100 ps and reltol 1e-5 instead of 1e-3; its text says what came out.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flow.characterise.result import CellResult, Table, TimingArc
from golden.spec import SpecError

LOAD_TOLERANCE_NS = 0.002
SLEW_TOLERANCE = 0.03
SLEW_TOLERANCE_NS = 0.008

LARGEST_LEAKAGE_NW = 1000.0
ORDER_SLEW_NS = 0.15
"""Corners are compared where the input's transition is at most this, and ..."""

ORDER_RATIO = 10.0
"""... where it is at most so many times the output's own: the faster corner's with that load, from the fastest input.
With slower ramps it counts at which voltage the transistors begin, no longer how fast they are: delays change their
order from 13 times on, transitions from 20 on."""

OWN_TRANSITION = {name: f"{edge}_transition" for edge in ("rise", "fall")
                  for name in (f"cell_{edge}", f"{edge}_transition")}
MOST_POINTS_TOLD = 3

Points = dict[tuple[int, int], float]
"""Row and column of a table -> by how much a rule is broken there (ns)."""


@dataclass(frozen=True)
class Excused:
    """Points of a table that are as the transistors are and not as the rule says; of a fall, where it begins.

    most_ns: what the finer simulation found, rounded up to 0.5 ps; more is not excused.
    """

    cell: str
    corner: str
    related_pin: str
    pin: str
    table: str
    points: frozenset[tuple[int, int]]
    most_ns: float
    why: str


EXCUSED_FALLS = (
    Excused("xor2_4", "ss_100C_1v60", "B", "X", "rise_transition", frozenset({(4, 0)}), 0.012,
            "With A low a slow B still holds its pfet, parallel to A's, a little on while X rises: 110.5 to 98.9 ps "
            "with fine steps (tables: 110.6 to 99.1)."),
    Excused("dfrtp_4", "ff_n40C_1v95", "RESET_B", "Q", "fall_transition", frozenset({(5, 0), (5, 1)}), 0.011,
            "With the clock high a clear reaches Q by way of the master and in the slave; at 0.65 ns both come while Q "
            "falls, at 1.5 ns one is first. The same state at both slews: 45.7 to 35.1 ps and 46.4 to 36.3 ps with "
            "fine steps (tables: 45.7 to 35.6 and 46.4 to 36.6)."),
)
EXCUSED_ORDERS = (
    Excused("a31oi_1", "ss_100C_1v60", "B1", "Y", "fall_transition", frozenset({(3, 0)}), 0.0015,
            "At 0.122 ns and 0.5 fF the ramp is eight times the output's own transition. The same state, A1 and A2 "
            "high: 40.3 ps at ss, 41.3 at tt with fine steps (tables: 40.4, 41.4)."),
)


def check_result(result: CellResult) -> None:
    """SpecError with every breach found in one cell."""
    found = [text for arc in result.timing for text in arc_breaches(arc, result.name, result.corner)]
    found += [f"input capacitance of {pin.name} is {pin.rise_capacitance_pf:.4g}, {pin.fall_capacitance_pf:.4g} pF"
              for pin in result.pins if pin.direction == "input"
              and not (1e-4 < pin.rise_capacitance_pf < 1 and 1e-4 < pin.fall_capacitance_pf < 1)]
    found += [f"leakage in state {leak.when} is {leak.nanowatt:.4g} nW" for leak in result.leakage
              if not 0 <= leak.nanowatt < LARGEST_LEAKAGE_NW or (result.timing and leak.nanowatt == 0)]
    found += window_breaches(result)
    if found:
        raise SpecError(f"{result.name} at {result.corner} breaks physics: " + "; ".join(found))


def arc_breaches(arc: TimingArc, cell: str, corner: str) -> list[str]:
    where = f"{arc.related_pin} to {arc.pin} ({arc.timing_type})"
    found = []
    for name, table in arc.tables.items():
        values = np.array(table.values)
        if not np.isfinite(values).all():
            found.append(f"{where}: {name} has values that are not finite")
        elif name.startswith("cell_") or name.endswith("_transition"):
            drop = float(np.max(values[:, :-1] - values[:, 1:]))
            if drop > LOAD_TOLERANCE_NS:
                found.append(f"{where}: {name} falls by {drop:.4f} ns with more load")
        if name.endswith("_transition"):
            points = without(EXCUSED_FALLS, falls(table), cell, corner, arc, name)
            if points:
                found.append(f"{where}: {name} falls with a slower input by {max(points.values()):.4f} ns, more than "
                             f"{SLEW_TOLERANCE:.0%} and {SLEW_TOLERANCE_NS} ns{at_points(points)}")
            if values.min() <= 0:
                found.append(f"{where}: {name} is {values.min():.4g} ns")
        if name.startswith("cell_"):
            too_early = values < -0.5 * np.array(table.index_1)[:, None] / 0.6
            if too_early.any():
                found.append(f"{where}: {name} is earlier than the input's ramp begins")
    return found


def falls(table: Table) -> Points:
    """From where a transition falls with a slower input by more than the tolerance, and by how much."""
    values = np.array(table.values)
    drop = values[:-1] - values[1:]
    return to_points(drop > SLEW_TOLERANCE * np.abs(values[:-1]) + SLEW_TOLERANCE_NS, drop)


def without(excused: tuple[Excused, ...], found: Points, cell: str, corner: str, arc: TimingArc, table: str) -> Points:
    """What is found less what is excused."""
    mine = [one for one in excused if (cell, corner, arc.related_pin, arc.pin, table) == (
        one.cell, one.corner, one.related_pin, one.pin, one.table)]
    return {point: ns for point, ns in found.items()
            if not any(point in one.points and ns <= one.most_ns for one in mine)}


def to_points(where: np.ndarray, values: np.ndarray) -> Points:
    return {(int(i), int(j)): float(values[i, j]) for i, j in zip(*np.nonzero(where), strict=True)}


def at_points(points: Points) -> str:
    """Where, for a sentence: the first points in order.

    >>> at_points({(2, 1): 0.01, (0, 3): 0.02})
    ' (at (0, 3), (2, 1))'
    """
    told = ", ".join(map(str, sorted(points)[:MOST_POINTS_TOLD]))
    return f" (at {told}{' and more' * (len(points) > MOST_POINTS_TOLD)})"


def window_breaches(result: CellResult) -> list[str]:
    """Setup and hold of one pin must leave a window in which data has to be stable."""
    tables: dict[tuple[str, str], dict[str, Table]] = {
        (arc.pin, arc.timing_type.partition("_")[0]): arc.tables for arc in result.timing}
    found = []
    for (pin, kind), setup in tables.items():
        other = {"setup": "hold", "recovery": "removal"}.get(kind)
        hold = tables.get((pin, other or ""), {})
        for name in setup.keys() & hold.keys() if other else ():
            # the setup of the value that comes and the hold of the one that goes: what must not overlap
            window = np.array(setup[name].values) + np.array(hold[name].values)
            if window.min() < -LOAD_TOLERANCE_NS:
                found.append(f"{pin}: {kind} and {other} ({name}) overlap by {-window.min():.4f} ns")
    return found


def check_corners(slow_to_fast: list[CellResult]) -> None:
    """Results of one cell, the slowest corner first: each must be slower than the next, everywhere.

    SpecError if not.
    """
    found = []
    for slow, fast in pairwise(slow_to_fast):
        others = {(arc.pin, arc.related_pin, arc.timing_type, arc.timing_sense): arc for arc in fast.timing}
        for arc in slow.timing:
            match = others[arc.pin, arc.related_pin, arc.timing_type, arc.timing_sense]
            for name in arc.tables:
                if name.startswith("cell_") or name.endswith("_transition"):
                    found += order_breaches(arc, match, name, slow.name, slow.corner, fast.corner)
    if found:
        raise SpecError(f"{slow_to_fast[0].name} has its corners in the wrong order: " + "; ".join(found))


def order_breaches(slow: TimingArc, fast: TimingArc, name: str, cell: str, slow_corner: str,
                   fast_corner: str) -> list[str]:
    points = without(EXCUSED_ORDERS, faster_points(slow, fast, name), cell, slow_corner, slow, name)
    if not points:
        return []
    return [f"{name} from {slow.related_pin} to {slow.pin} is not slower at {slow_corner} than at {fast_corner}"
            f"{at_points(points)}"]


def faster_points(slow: TimingArc, fast: TimingArc, name: str) -> Points:
    """Where a table of the slower corner is below the faster one's, of the points that are compared; by how much."""
    slews = np.array(slow.tables[name].index_1)[:, None]
    own = np.array(fast.tables[OWN_TRANSITION[name]].values)[0]
    compared = (slews <= ORDER_SLEW_NS) | (slews <= ORDER_RATIO * own)
    lead = np.array(fast.tables[name].values) - np.array(slow.tables[name].values)
    return to_points(compared & (lead > 0), lead)
