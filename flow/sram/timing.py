"""Access time, transition and energy of a macro: whole cycles of its reduced circuit, at every slew of the clock.

One run has four bits with four loads side by side, so that a run is a row of the tables. It reads both values, writes
over both, and reads back what was written: whatever comes out wrong ends the run.
"""

from dataclasses import dataclass

import numpy as np

from flow.characterise.corner import RAMP_OVER_SLEW, Corner
from flow.characterise.ngspice import Job, Simulator
from flow.sram.deck import Cycle, Experiment, build_job
from flow.sram.extracted import ExtractedMacro
from flow.sram.measure import measure_cycles
from flow.sram.plans import FIRST, LAST, LOADS_PF, timing_plan
from flow.sram.reduce import reduce_macro
from flow.sram.spec import SramSpec
from golden.spec import SpecError

CLOCK_SLEWS_NS = (0.02, 0.2, 0.6)
WHOLE_SLEW_NS = 0.2
"""The clock slew at which the whole sequence runs; energy changes by less than 0.3 % over all of them."""

PF, NS, PJ = 1e12, 1e9, 1e12
SETTLED = 0.05
"""A q within this part of the supply of where it should be is right."""

# (address, write, value): what is read is expected, what is written is d; before, FIRST holds 1 and LAST holds 0
SEQUENCE = ((LAST, False, 0), (FIRST, False, 1), (LAST, False, 0), (LAST, True, 1), (FIRST, True, 0), (LAST, False, 1),
            (FIRST, False, 0))
WARM_UP = 1
"""The first cycle only takes q and the bit lines to where they are in operation."""

N_READS, N_WITH_WRITES = 3, 5
"""Cycles of the sequence that other slews run: a read of each value, and for the earliest q also the writes."""


@dataclass(frozen=True)
class Access:
    """Tables over (clock slew, load): delay and transition of q by `rise` and `fall` (ns).

    energy_pj: `read`, `write` -> (at the clock's rise, at its fall). clock_pf: rise, fall.
    """

    delay_ns: dict[str, np.ndarray]
    slew_ns: dict[str, np.ndarray]
    energy_pj: dict[str, tuple[float, float]]
    clock_pf: tuple[float, float]


def phase_s(corner: Corner) -> float:
    """Half of a cycle that is long enough for everything: bit lines reach ground and come back."""
    return corner.settle_ns * 1e-9


def access_job(macro: ExtractedMacro, spec: SramSpec, corner: Corner, slew_ns: float) -> Job:
    """One run: the cycles of SEQUENCE, or the first of them, at one slew of the clock."""
    plan = timing_plan(spec, corner, (FIRST, LAST))
    n, half = len(plan.groups), phase_s(corner)
    cycles = tuple(Cycle(address, (int(write),) * len(plan.byte_groups), (value,) * n, half, half)
                   for address, write, value in SEQUENCE[:n_cycles(corner, slew_ns)])
    loads = (LOADS_PF[0],) * (n - len(LOADS_PF)) + LOADS_PF
    experiment = Experiment(plan, cycles, {FIRST: (1,) * n, LAST: (0,) * n}, tuple(load / PF for load in loads),
                            slew_ns)
    return build_job(f"{spec.name} access {slew_ns} ns", reduce_macro(macro, plan), corner, experiment, measure_cycles,
                     {"ramp_s": slew_ns * 1e-9 * RAMP_OVER_SLEW, "nets": []})


def n_cycles(corner: Corner, slew_ns: float) -> int:
    if slew_ns == WHOLE_SLEW_NS:
        return len(SEQUENCE)
    return N_WITH_WRITES if corner.worst == "min" else N_READS


def measure_access(macro: ExtractedMacro, spec: SramSpec, corner: Corner, simulator: Simulator) -> Access:
    """All slews. SpecError when a read gives the wrong value."""
    results = simulator.run([access_job(macro, spec, corner, slew) for slew in CLOCK_SLEWS_NS])
    n_loads = len(LOADS_PF)
    for cycles in results:
        for number, (cycle, (address, write, value)) in enumerate(zip(cycles, SEQUENCE, strict=False)):
            wrong = [k for k, q in enumerate(cycle["q"]) if abs(q - value) > SETTLED]
            if wrong and not write and number >= WARM_UP:
                raise SpecError(f"{spec.name} at {corner.name} must read {value} from address {address} in cycle "
                                f"{number}, and q of {len(wrong)} groups of bits is {cycle['q'][wrong[0]]:.2f} of the "
                                "supply")
    pick = np.min if corner.worst == "min" else np.max
    whole = results[CLOCK_SLEWS_NS.index(WHOLE_SLEW_NS)]
    tables = {}
    for what in ("delay", "slew"):
        for edge, rises in (("rise", True), ("fall", False)):
            tables[what, edge] = np.array([[pick([cycle[what][load - n_loads] for cycle in counted(cycles, corner)
                                                  if cycle["rises"][load - n_loads] == rises])
                                            for load in range(n_loads)] for cycles in results]) * NS
    return Access({edge: tables["delay", edge] for edge in ("rise", "fall")},
                  {edge: tables["slew", edge] for edge in ("rise", "fall")},
                  cycle_energy(whole, spec, corner), clock_capacitance(whole, corner))


def counted(cycles: list, corner: Corner) -> list:
    """The cycles whose q counts: reads, and where the earliest counts also writes, which show on q before."""
    return [cycle for k, (cycle, (_, write, _)) in enumerate(zip(cycles, SEQUENCE, strict=False))
            if k >= WARM_UP and (not write or corner.worst == "min")]


def cycle_energy(cycles: list, spec: SramSpec, corner: Corner) -> dict[str, tuple[float, float]]:
    """pJ of a read and of a write of all bytes, less half of C V^2 of q's loads, which timers add at each edge."""
    loads_pf = LOADS_PF[0] * (spec.word_bits - len(LOADS_PF)) + sum(LOADS_PF)
    energy = {}
    for kind in ("read", "write"):
        chosen = [cycles[k] for k, (_, write, _) in enumerate(SEQUENCE) if k >= WARM_UP and write == (kind == "write")]
        high, low = (float(np.mean([cycle["supply"][phase] for cycle in chosen])) * corner.voltage * PJ
                     for phase in (0, 1))
        energy[kind] = (high - 0.5 * loads_pf * corner.voltage**2, low)
    return energy


def clock_capacitance(cycles: list, corner: Corner) -> tuple[float, float]:
    """pF of clk, rising and falling: charge in the ramp over the supply, mean over cycles."""
    means = [np.mean([abs(cycle["clock"][k]) for cycle in cycles[WARM_UP:]]) for k in (0, 1)]
    return tuple(float(mean / corner.voltage * PF) for mean in means)
