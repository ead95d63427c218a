"""Leakage of a macro with the clock low: of the periphery, and of a bitcell, times their number.

Currents after two microseconds from a state in which every cell and latch holds a value. An operating point would not
do: ngspice finds the one between the two states, in which a cell conducts.

Beside it stands what the same transistors leak one by one, each alone between its levels or between the supply and
ground, which has one solution whatever the state of the circuit: flow.sram.checks compares the two.
"""

import re

import msgspec

from flow.characterise.corner import Corner
from flow.characterise.leakage import OPTIONS
from flow.characterise.ngspice import Job, Simulator
from flow.sram.deck import address_bits, data_pins, element_lines, models, node
from flow.sram.extracted import ExtractedMacro
from flow.sram.flat import Mos
from flow.sram.measure import measure_currents
from flow.sram.plans import FIRST, byte_groups
from flow.sram.reduce import BITS_A_BYTE, Circuit, Names, Plan, merge_transistors
from flow.sram.result import Leakage
from flow.sram.spec import SramSpec
from golden.spec import SpecError

NANO = 1e9
SETTLE_S, STEP_S = 2e-6, 2e-8
SETTLED_V = 0.05
SUPPLY = "periphery"
MULTIPLEXER_LINE, CHOSEN_COLUMN = re.compile(r"/muxbl(_n)?$"), "mux[0]"
CELL = ("cell.bit", "cell.bit_n")
ENDS = ("drain", "gate", "source", "bulk")
HELD = {"vdd": "on", "bl": "on", "bl_n": "on", "bit_n": "on", "bit": "0", "wl": "0", "vss": "0"}
"""The nets of a bitcell that holds a 0, its word line low, between charged bit lines: at the supply or at ground."""


def measure_leakage(macro: ExtractedMacro, spec: SramSpec, corner: Corner, simulator: Simulator) -> Leakage:
    """Of the periphery and of all bitcells."""
    whole, alone = simulator.run([leakage_job(macro, spec, corner), off_job(macro, spec, corner)])
    (periphery, cell), (bit, bit_n) = whole["ampere"], whole["volt"]
    if max(bit, corner.voltage - bit_n) > SETTLED_V:
        raise SpecError(f"the bitcell of {spec.name} at {corner.name} must hold its 0 while leakage is measured, and "
                        f"stands at {bit:.2f} and {bit_n:.2f} V")
    periphery_off, *cell_off = alone["ampere"]
    nanowatt = corner.voltage * NANO
    return Leakage(periphery * nanowatt, cell * nanowatt * spec.n_bits, periphery_off * nanowatt,
                   sum(cell_off) * nanowatt * spec.n_bits)


def still_plan(spec: SramSpec) -> Plan:
    """Everything that is equal joined: one byte, one row."""
    bits = [tuple(byte * BITS_A_BYTE + k for byte in group for k in range(BITS_A_BYTE)) for group in byte_groups(spec)]
    return Plan(spec, (FIRST,), tuple(bits), byte_groups(spec), (0,) * len(bits))


def periphery_transistors(macro: ExtractedMacro, plan: Plan) -> list[Mos]:
    """The transistors outside of the array, joined, on nets without sections."""
    circuit = Circuit()
    merge_transistors(circuit, macro.transistors, Names(macro, plan))
    return [msgspec.structs.replace(mos, **{end: getattr(mos, end).split("@")[0] for end in
                                            ("drain", "gate", "source")}) for mos in circuit.transistors]


def leakage_job(macro: ExtractedMacro, spec: SramSpec, corner: Corner) -> Job:
    """The periphery, and one cell between charged bit lines."""
    plan = still_plan(spec)
    whole = Circuit(periphery_transistors(macro, plan))
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


def off_job(macro: ExtractedMacro, spec: SramSpec, corner: Corner) -> Job:
    """Every transistor alone: those outside of the array off, the cell's six at the levels of a cell that holds a 0.

    Currents: of all outside of the array; of each of the cell's.
    """
    single = Circuit([apart(mos) for mos in periphery_transistors(macro, still_plan(spec))])
    supplies = [f"v{SUPPLY}"]
    for mos in macro.bitcell.transistors:
        on = f"on{mos.name}"
        supplies.append(f"v{on}")
        single.transistors.append(msgspec.structs.replace(
            mos, name=f"b{mos.name}", **{end: HELD[getattr(mos, end)].replace("on", on) for end in ENDS}))
    deck = "\n".join([
        f"* {spec.name} transistors alone {corner.name}", *models(single.transistors, corner.leakage_process),
        f".options temp={corner.celsius:g} {OPTIONS}",
        *(f"{name} {name[1:]} 0 {corner.voltage:g}" for name in supplies), *element_lines(single),
        f".save {' '.join(f'i({name})' for name in supplies)}", ".control", "set filetype=binary",
        f"tran 1e-9 {SETTLE_S:g} 0 {STEP_S:g}", "write 0.raw", "quit", ".endc", ".end", ""])
    return Job(f"{spec.name} transistors alone {corner.name}", deck, measure_currents,
               {"supplies": supplies, "nets": []})


def apart(mos: Mos) -> Mos:
    """A transistor with the whole supply across it and no gate voltage.

    But for multiplexer lines: no pfet charges one, it rests where the chosen column's nfet passes as much as leaks from
    it, and the pfets whose gates it drives (of the sense latch) are on by what it lacks to the supply.
    """
    if mos.device.startswith("p"):
        gate = mos.gate if MULTIPLEXER_LINE.search(mos.gate) else SUPPLY
        return msgspec.structs.replace(mos, drain="0", gate=gate, source=SUPPLY, bulk=SUPPLY)
    ends = [end for end in ("drain", "source") if MULTIPLEXER_LINE.search(getattr(mos, end))]
    if not ends:
        return msgspec.structs.replace(mos, drain=SUPPLY, gate="0", source="0", bulk="0")
    [end] = ends
    other = {"drain": "source", "source": "drain"}[end]
    return msgspec.structs.replace(mos, gate=SUPPLY if mos.gate == CHOSEN_COLUMN else "0", bulk="0",
                                   **{other: "0" if getattr(mos, other) == "vss" else SUPPLY})
