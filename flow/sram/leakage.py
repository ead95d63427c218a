"""Leakage of a macro with the clock low: of the periphery, and of a bitcell, times their number.

Currents after two microseconds from a state in which every cell and latch holds a value. An operating point would not
do: ngspice finds the one between the two states, in which a cell conducts.
"""

import msgspec

from flow.characterise.corner import Corner
from flow.characterise.leakage import OPTIONS
from flow.characterise.ngspice import Job, Simulator
from flow.sram.deck import address_bits, data_pins, element_lines, models, node
from flow.sram.extracted import ExtractedMacro
from flow.sram.measure import measure_currents
from flow.sram.plans import FIRST, byte_groups
from flow.sram.reduce import BITS_A_BYTE, Circuit, Names, Plan, merge_transistors
from flow.sram.spec import SramSpec
from golden.spec import SpecError

NANO = 1e9
SETTLE_S, STEP_S = 2e-6, 2e-8
SETTLED_V = 0.05
CELL = ("cell.bit", "cell.bit_n")


def measure_leakage(macro: ExtractedMacro, spec: SramSpec, corner: Corner, simulator: Simulator) -> tuple[float, float]:
    """nW of the periphery and of all bitcells."""
    [result] = simulator.run([leakage_job(macro, spec, corner)])
    (periphery, cell), (bit, bit_n) = result["ampere"], result["volt"]
    if max(bit, corner.voltage - bit_n) > SETTLED_V:
        raise SpecError(f"the bitcell of {spec.name} at {corner.name} must hold its 0 while leakage is measured, and "
                        f"stands at {bit:.2f} and {bit_n:.2f} V")
    found = periphery * corner.voltage * NANO, cell * corner.voltage * NANO * spec.n_bits
    if min(found) <= 0:
        raise SpecError(f"leakage of {spec.name} at {corner.name} must be positive, not {found} nW")
    return found


def leakage_job(macro: ExtractedMacro, spec: SramSpec, corner: Corner) -> Job:
    """Everything that is equal joined: one byte, one row; and one cell between charged bit lines."""
    bits = [tuple(byte * BITS_A_BYTE + k for byte in group for k in range(BITS_A_BYTE)) for group in byte_groups(spec)]
    plan = Plan(spec, (FIRST,), tuple(bits), byte_groups(spec), (0,) * len(bits))
    circuit, names = Circuit(), Names(macro, plan)
    merge_transistors(circuit, macro.transistors, names)
    whole = Circuit([msgspec.structs.replace(mos, **{end: getattr(mos, end).split("@")[0] for end in
                                                     ("drain", "gate", "source")}) for mos in circuit.transistors])
    for mos in macro.bitcell.transistors:
        nets = {"vdd": "cell", "bl": "cell", "bl_n": "cell", "wl": "vss", "vss": "vss"}
        whole.transistors.append(msgspec.structs.replace(
            mos, name=f"b{mos.name}", bulk=nets[mos.bulk],
            **{end: nets.get(getattr(mos, end), f"cell/{getattr(mos, end)}") for end in ("drain", "gate", "source")}))
    inputs = ["clk", *(f"a[{bit}]" for bit in address_bits(plan)), *data_pins(plan),
              *(f"we{k}" for k in range(len(plan.byte_groups)))]
    high = sorted({net for mos in whole.transistors for net in (mos.drain, mos.source)
                   if net.endswith(("/sff_s", "/senseamp/nq")) or net.startswith("bit") and "/bl" in net})
    deck = "\n".join([
        f"* {spec.name} leakage {corner.name}", *models(whole.transistors, corner.leakage_process),
        f".options temp={corner.celsius:g} {OPTIONS}", f"vvdd vdd 0 {corner.voltage:g}",
        f"vcell cell 0 {corner.voltage:g}", *(f"v{node(pin)} {node(pin)} 0 0" for pin in inputs), *element_lines(whole),
        *(f".ic v({node(net)})={corner.voltage:g}" for net in [*high, "cell/bit_n"]),
        *(f".ic v({net})=0" for net in ["cell.bit", *(f"q{k}" for k in range(len(plan.groups)))]),
        f".save i(vvdd) i(vcell) {' '.join(f'v({net})' for net in CELL)}", ".control", "set filetype=binary",
        f"tran 1e-9 {SETTLE_S:g} 0 {STEP_S:g}", "write 0.raw", "quit", ".endc", ".end", ""])
    return Job(f"{spec.name} leakage {corner.name}", deck, measure_currents,
               {"supplies": ["vvdd", "vcell"], "nets": CELL})
