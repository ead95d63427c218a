"""Proof that a gate netlist does what its Verilog says, register by register.

Both sides are cut at their registers, which have the same names (flow/synthesis/registers.v): from then on they are
combinational. Register outputs, memory outputs and ports are inputs; register inputs, memory inputs and ports are
outputs; each pair of outputs is shown to be the same function (abc's SAT sweeping). By induction, circuits with equal
registers then stay equal for ever, whatever the inputs are. The start (equal registers) is what reset gives, or the
host's writes; nothing is assumed about unknown values.

One side comes from the RTL by reading, flattening and plain lowering; no multiplier, adder or mapping of the synthesis
is in it. The other is the written netlist with the functions of the library's cells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flow.synthesis.netlist import Bit, Module, parse_netlist
from flow.synthesis.script import LIBERTY, Stage, front_stages
from golden.spec import SpecError

RTL_JSON, GATE_JSON, RTL_AIG, GATE_AIG = "rtl.json", "gate.json", "rtl.aig", "gate.aig"
LIBERTY_REGISTER = re.compile(r"\$flatten\\(.+)\.\$auto\$liberty.*")
PLAIN_NAME = re.compile(r"[^A-Za-z0-9_]")
REGISTER, AND, NOT = "$_DFF_P_", "$_AND_", "$_NOT_"


@dataclass(frozen=True)
class Cut:
    """A circuit cut at its registers: names of inputs and outputs with their nets, and the gates between.

    inputs, outputs: name -> net, constants being "0", "1".
    gates:           net -> (first input, second input); the second is None of an inverter.
    """

    inputs: dict[str, Bit]
    outputs: dict[str, Bit]
    gates: dict[Bit, tuple[Bit, Bit | None]]
    registers: frozenset[str]


def rtl_stages(top: str, sources: Sequence[str], black_boxes: Sequence[str]) -> list[Stage]:
    """The RTL as and-inverter gates and flip-flops."""
    return [*front_stages(top, sources, black_boxes), Stage("lower", f"""
techmap
opt_expr
opt_merge
opt_clean -purge
aigmap
opt_clean -purge
write_json {RTL_JSON}
""")]


def gate_stages(top: str, netlist: str, black_boxes: Sequence[str]) -> list[Stage]:
    """The netlist, each cell replaced by what the library says of it."""
    read = [f"read_liberty -ignore_miss_func {LIBERTY}", *(f"read_verilog -sv -lib {name}" for name in black_boxes),
            f"read_verilog {netlist}", f"hierarchy -check -top {top}"]
    return [Stage("read netlist", "\n".join(read)), Stage("lower netlist", f"""
flatten -noscopeinfo -nocleanup
opt_expr
opt_clean -purge
simplemap
aigmap
opt_clean -purge
write_json {GATE_JSON}
""")]


def cut_at_registers(module: Module, boxes: frozenset[str], clock: str, where: str) -> Cut:
    """The combinational circuit between ports, registers and black boxes; SpecError for any other cell."""
    inputs: dict[str, Bit] = {}
    outputs: dict[str, Bit] = {}
    gates: dict[Bit, tuple[Bit, Bit | None]] = {}
    clocks = set(module.ports[clock].bits)
    registers = set()
    for name, port in module.ports.items():
        for index, bit in enumerate(port.bits):
            if bit not in clocks:
                (inputs if port.direction == "input" else outputs)[f"port {name}[{index}]"] = bit
    for name, cell in module.cells.items():
        pins = cell.connections
        if cell.type == AND:
            gates[pins["Y"][0]] = (pins["A"][0], pins["B"][0])
        elif cell.type == NOT:
            gates[pins["Y"][0]] = (pins["A"][0], None)
        elif cell.type == REGISTER:
            register = register_name(name)
            if register in registers or pins["C"][0] not in clocks:
                raise SpecError(f"registers must have names of their own and the clock {clock}, not {register} ({where})")
            registers.add(register)
            inputs[f"register {register}"], outputs[f"register {register}"] = pins["Q"][0], pins["D"][0]
        elif cell.type in boxes:
            for pin, bits in pins.items():
                for index, bit in enumerate(bits):
                    side = outputs if cell.port_directions[pin] == "input" else inputs
                    if bit not in clocks:
                        side[f"memory {register_name(name)}/{pin}[{index}]"] = bit
        else:
            raise SpecError(f"the proof knows gates, rising-edge flip-flops and memories, not {cell.type} ({name}, {where})")
    return Cut(inputs, outputs, gates, frozenset(registers))


def register_name(cell: str) -> str:
    """The name that both sides share of a register's or memory's cell.

    >>> register_name("core__acc_reg.bit[3].ff"), register_name("$flatten\\\\core__acc_reg_bit_3__ff.$auto$liberty.cc:1$2")
    ('core__acc_reg_bit_3__ff', 'core__acc_reg_bit_3__ff')
    """
    match = LIBERTY_REGISTER.fullmatch(cell)
    return PLAIN_NAME.sub("_", match[1] if match else cell)


def pair(rtl: Cut, gate: Cut) -> tuple[list[str], list[str], list[str]]:
    """Names of inputs, of outputs, and of the RTL's registers that the netlist has not; SpecError for other strays.

    A register that synthesis removed (equal to another, or constant) counts as an input that may be anything: if
    it mattered, an output would differ and the proof would fail.
    """
    removed = sorted(rtl.registers - gate.registers)
    lost = {f"register {name}" for name in removed}
    for side, mine, theirs in (("inputs", rtl.inputs, gate.inputs), ("outputs", rtl.outputs, gate.outputs)):
        strays = sorted((set(mine) ^ set(theirs)) - lost)
        if strays:
            raise SpecError(f"RTL and netlist must have the same {side}, and differ in {', '.join(strays[:5])}"
                            + (f" and {len(strays) - 5} more" if len(strays) > 5 else ""))
    return sorted(rtl.inputs), sorted(gate.outputs), removed


def build_aiger(cut: Cut, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The circuit as binary AIGER, inputs and outputs in the order given (an input that it lacks is not used)."""
    literals: dict[Bit, int] = {"0": 0, "1": 1, "x": 0}
    for k, name in enumerate(inputs):
        if name in cut.inputs:
            literals[cut.inputs[name]] = 2 * (k + 1)
    ands: list[tuple[int, int, int]] = []
    for name in outputs:
        stack = [cut.outputs[name]]
        while stack:
            bit = stack[-1]
            if bit in literals:
                stack.pop()
                continue
            if bit not in cut.gates:
                raise SpecError(f"net {bit} before {name} has no driver")
            needed = [source for source in cut.gates[bit] if source is not None and source not in literals]
            if needed:
                stack += needed
                continue
            first, second = cut.gates[bit]
            if second is None:
                literals[bit] = literals[first] ^ 1
            else:
                literal = 2 * (len(inputs) + len(ands) + 1)
                ands.append((literal, *sorted((literals[first], literals[second]), reverse=True)))
                literals[bit] = literal
            stack.pop()
    head = f"aig {len(inputs) + len(ands)} {len(inputs)} 0 {len(outputs)} {len(ands)}\n"
    body = "".join(f"{literals[cut.outputs[name]]}\n" for name in outputs)
    return (head + body).encode() + b"".join(delta(out - a) + delta(a - b) for out, a, b in ands)


def delta(number: int) -> bytes:
    """A number as AIGER writes it: seven bits a byte, the low ones first, the top bit set but in the last.

    >>> delta(5), delta(300)
    (b'\\x05', b'\\xac\\x02')
    """
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def load_cut(path: Path, top: str, boxes: frozenset[str], clock: str) -> Cut:
    return cut_at_registers(parse_netlist(path.read_bytes(), top).module, boxes, clock, path.name)
