"""A macro at a corner: all measurements, put together as one result."""

import msgspec
import numpy as np

from flow.characterise.corner import Corner
from flow.characterise.ngspice import Simulator
from flow.characterise.result import Table
from flow.sram.extracted import ExtractedMacro
from flow.sram.inputs import DATA_SLEWS_NS, InputTiming, measure_inputs
from flow.sram.leakage import measure_leakage
from flow.sram.plans import LOADS_PF
from flow.sram.pulses import find_pulses
from flow.sram.result import Bus, Leakage, MacroResult
from flow.sram.spec import SramSpec
from flow.sram.timing import CLOCK_SLEWS_NS, SEQUENCE, WARM_UP, measure_access

N_DIGITS = 6


def characterise_macro(macro: ExtractedMacro, spec: SramSpec, corner: Corner, simulator: Simulator) -> MacroResult:
    """All tables; SpecError when the circuit does not work. Every simulation is kept in the simulator's store."""
    access = measure_access(macro, spec, corner, simulator)
    pulses = find_pulses(macro, spec, corner, simulator)
    inputs = measure_inputs(macro, spec, corner, simulator)
    tables = {f"cell_{edge}": table(access.delay_ns[edge], LOADS_PF) for edge in ("rise", "fall")}
    tables |= {f"{edge}_transition": table(access.slew_ns[edge], LOADS_PF) for edge in ("rise", "fall")}
    toggles = input_energy(spec, inputs)
    energy = {kind: (rounded(high), rounded(low - toggles[kind])) for kind, (high, low) in access.energy_pj.items()}
    buses = tuple(Bus(name, *(rounded(found.pin_pf[edge]) for edge in ("rise", "fall")),
                      *(rounded(found.edge_pj[edge]) for edge in ("rise", "fall")),
                      {f"{kind}_{edge}": table(limit, DATA_SLEWS_NS)
                       for (kind, edge), limit in found.limits_ns.items()})
                  for name, found in inputs.items())
    return MacroResult(
        spec.name, corner.name, macro.area_um2, tables, *(rounded(value) for value in access.clock_pf), energy,
        {name: rounded(value) for name, value in pulses.widths_ns.items()}, buses,
        Leakage(*(rounded(value) for value in msgspec.structs.astuple(
            measure_leakage(macro, spec, corner, simulator)))))


def input_energy(spec: SramSpec, inputs: dict[str, InputTiming]) -> dict[str, float]:
    """pJ a cycle that the inputs' edges cost in the sequence of the access run: what their own groups count.

    An input changes in the low phase before the cycle that needs it, so that a cycle pays for the next one's inputs.
    """
    mean = {bus: sum(found.edge_pj.values()) / 2 for bus, found in inputs.items()}
    total, counts = {"read": 0.0, "write": 0.0}, {"read": 0, "write": 0}
    for k, (address, write, value) in enumerate(SEQUENCE):
        if k < WARM_UP:
            continue
        kind = "write" if write else "read"
        counts[kind] += 1
        if k + 1 < len(SEQUENCE):
            next_address, next_write, next_value = SEQUENCE[k + 1]
            total[kind] += (mean["a"] * (address ^ next_address).bit_count()
                            + mean["d"] * spec.word_bits * (value != next_value)
                            + mean["we"] * spec.n_bytes * (write != next_write))
    return {kind: total[kind] / counts[kind] for kind in total}


def table(values: np.ndarray, index_2: tuple[float, ...]) -> Table:
    """Over the clock's slews and something else."""
    return Table(CLOCK_SLEWS_NS, index_2, tuple(tuple(rounded(value) for value in row) for row in values))


def rounded(value: float) -> float:
    """Enough digits for a table, and no more than another processor's arithmetic would give."""
    return float(f"{value:.{N_DIGITS}g}")
