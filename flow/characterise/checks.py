"""What physics demands of tables, whatever the numbers: a table that breaks one of these is not written.

Every check returns sentences that say where and how much; `check_result` and `check_corners` raise with them.
"""

from itertools import pairwise

import numpy as np

from flow.characterise.result import CellResult, Table, TimingArc
from golden.spec import SpecError

LOAD_TOLERANCE_NS = 0.002
SLEW_TOLERANCE = 0.03
SLEW_TOLERANCE_NS = 0.010
"""Some transitions truly fall with a slower input: an exclusive or's when its first stage goes ahead (xor2_4 at ss by
12 ps of 111), an output's that a clear reaches in two ways, when the slow ramp lets one be first (dfrtp_4 at ff)."""

LARGEST_LEAKAGE_NW = 1000.0
SPREAD_PART = 0.95
"""Of two corners the slower must be slower in at least this part of a table's points ..."""

SPREAD_SLEW_NS = 0.15
"""... with input transitions up to this: with slower ramps the threshold of the transistors decides."""


def check_result(result: CellResult) -> None:
    """SpecError with every breach found in one cell."""
    found = [text for arc in result.timing for text in arc_breaches(arc)]
    found += [f"input capacitance of {pin.name} is {pin.rise_capacitance_pf:.4g}, {pin.fall_capacitance_pf:.4g} pF"
              for pin in result.pins if pin.direction == "input"
              and not (1e-4 < pin.rise_capacitance_pf < 1 and 1e-4 < pin.fall_capacitance_pf < 1)]
    found += [f"leakage in state {leak.when} is {leak.nanowatt:.4g} nW" for leak in result.leakage
              if not 0 <= leak.nanowatt < LARGEST_LEAKAGE_NW or (result.timing and leak.nanowatt == 0)]
    found += window_breaches(result)
    if found:
        raise SpecError(f"{result.name} at {result.corner} breaks physics: " + "; ".join(found))


def arc_breaches(arc: TimingArc) -> list[str]:
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
            drop = float(np.max(values[:-1] - values[1:] - SLEW_TOLERANCE * np.abs(values[:-1])))
            if drop > SLEW_TOLERANCE_NS:
                found.append(f"{where}: {name} falls with a slower input by {drop:.4f} ns more than "
                             f"{SLEW_TOLERANCE:.0%}")
            if values.min() <= 0:
                found.append(f"{where}: {name} is {values.min():.4g} ns")
        if name.startswith("cell_"):
            too_early = values < -0.5 * np.array(table.index_1)[:, None] / 0.6
            if too_early.any():
                found.append(f"{where}: {name} is earlier than the input's ramp begins")
    return found


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
    """Results of one cell, the slowest corner first: each must be slower than the next. SpecError if not."""
    found = []
    for slow, fast in pairwise(slow_to_fast):
        others = {(arc.pin, arc.related_pin, arc.timing_type, arc.timing_sense): arc for arc in fast.timing}
        for arc in slow.timing:
            match = others[arc.pin, arc.related_pin, arc.timing_type, arc.timing_sense]
            for name in arc.tables:
                if name.startswith("cell_") or name.endswith("_transition"):
                    found += slower_breaches(arc, match, name, slow.corner, fast.corner)
    if found:
        raise SpecError(f"{slow_to_fast[0].name} has its corners in the wrong order: " + "; ".join(found))


def slower_breaches(slow: TimingArc, fast: TimingArc, name: str, slow_corner: str, fast_corner: str) -> list[str]:
    one, two = slow.tables[name], fast.tables[name]
    rows = np.array(one.index_1) <= SPREAD_SLEW_NS
    part = float(np.mean((np.array(one.values) >= np.array(two.values))[rows]))
    if part >= SPREAD_PART:
        return []
    return [f"{name} from {slow.related_pin} to {slow.pin} is slower at {slow_corner} than at {fast_corner} in only "
            f"{part:.0%} of its points"]
