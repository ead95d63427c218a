"""What physics and the memory seam demand of a macro's numbers: Liberty that breaks one of these is not written."""

from itertools import pairwise

import numpy as np

from flow.sram.result import Leakage, MacroResult
from golden.spec import SpecError

LOAD_TOLERANCE_NS = 0.002
SLEW_TOLERANCE = 0.08
"""The transition of q does not depend on the clock's slew but for the time steps of the simulation, some 5 % of it."""

LARGEST_PIN_PF = 0.1
CELL_LEAKAGE = 0.05
"""A cell that holds a value leaks what its transistors do alone between the same levels, but for its nodes, which stand
a leakage current times an on-resistance beside the rails: 1 mV where most flows (ss, 100 C). A gate voltage of 1 mV
changes the current of a transistor that is off by exp(1 mV / (n k T / q)), at -40 C with n = 1.3 by 4 %. Measured:
0.1 % at ss, 2e-6 at tt and ff. A cell between its two states carries over a hundred times as much at every corner."""

PERIPHERY_LEAKAGE = (0.1, 1.0)
"""Of the sum over all transistors outside of the array, each off with the whole supply across it: no more, as every
way from the supply to ground has one in it that is off; less, as some are on and some in series. Measured: 0.27 to 0.48
in 512x8 and 512x32. One gate between its levels at tt leaks more than the whole."""


def check_macro(result: MacroResult) -> None:
    """SpecError with every breach found at one corner."""
    found = [*access_breaches(result), *limit_breaches(result), *pulse_breaches(result),
             *leakage_breaches(result.leakage)]
    pins = {"clk": (result.clock_rise_pf, result.clock_fall_pf),
            **{bus.name: (bus.rise_pf, bus.fall_pf) for bus in result.buses}}
    found += [f"the capacitance of {name} is {pf} pF" for name, pf in pins.items()
              if not all(1e-4 < value < LARGEST_PIN_PF for value in pf)]
    found += [f"energy of a {kind} is {sum(energy):.4g} pJ" for kind, energy in result.energy.items()
              if sum(energy) <= 0]
    if found:
        raise SpecError(f"{result.name} at {result.corner} breaks physics: " + "; ".join(found))


def access_breaches(result: MacroResult) -> list[str]:
    found = []
    for name, table in result.access.items():
        values = np.array(table.values)
        if not np.isfinite(values).all() or values.min() <= 0:
            found.append(f"{name} has values that are not positive")
        drop = float(np.max(values[:, :-1] - values[:, 1:]))
        if drop > LOAD_TOLERANCE_NS:
            found.append(f"{name} falls by {drop:.4f} ns with more load")
        allowed = SLEW_TOLERANCE * values[:-1] if name.endswith("_transition") else LOAD_TOLERANCE_NS
        drop = float(np.max(values[:-1] - values[1:] - allowed))
        if drop > 0:
            found.append(f"{name} falls with a slower clock by {drop:.4f} ns more than the simulation's steps explain")
    return found


def limit_breaches(result: MacroResult) -> list[str]:
    """Setup of the value that comes and hold of the one that goes, at the same edge of data, must not overlap."""
    found = []
    for bus in result.buses:
        for edge in ("rise", "fall"):
            setup, hold = (np.array(bus.limits[f"{kind}_{edge}"].values) for kind in ("setup", "hold"))
            window = float(np.min(setup + hold))
            if not window > 0:
                found.append(f"setup and hold of {bus.name} to {edge} overlap by {-window:.4f} ns")
            if np.max(np.abs([setup, hold])) > result.period_ns:
                found.append(f"setup or hold of {bus.name} is longer than a period")
    return found


def pulse_breaches(result: MacroResult) -> list[str]:
    found = [f"{name} is {value:.4g} ns" for name, value in result.pulses.items() if value <= 0]
    access = max(row[0] for row in result.access["cell_rise"].values)
    if not access < result.period_ns:
        found.append(f"q comes after {access:.4g} ns, not before the shortest period of {result.period_ns:.4g} ns ends")
    return found


def leakage_breaches(leakage: Leakage) -> list[str]:
    """Against the transistors one by one, whose currents do not depend on the state that a circuit is in."""
    limits = (("periphery", leakage.periphery, leakage.periphery_off, PERIPHERY_LEAKAGE),
              ("bitcells", leakage.cells, leakage.cells_off, (1 - CELL_LEAKAGE, 1 + CELL_LEAKAGE)))
    return [f"the {what} leak {whole:.4g} nW, and must leak {least:g} to {most:g} of the {alone:.4g} nW that their "
            "transistors leak one by one" for what, whole, alone, (least, most) in limits
            if not 0 < least * alone <= whole <= most * alone]


def check_order(results: list[MacroResult]) -> None:
    """Corners from slow to fast: access and phases in this order."""
    found = []
    for slow, fast in pairwise(results):
        where = f"{slow.corner} to {fast.corner}"
        for name, table in slow.access.items():
            if not (np.array(table.values) > np.array(fast.access[name].values)).all():
                found.append(f"{name} must fall from {where}")
        found += [f"{name} must fall from {where}" for name, value in slow.pulses.items()
                  if not value > fast.pulses[name]]
    if found:
        raise SpecError(f"the corners of {results[0].name} are in the wrong order: " + "; ".join(found))
