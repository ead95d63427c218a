"""Proof that a gate netlist does what its Verilog says, register by register.

Both sides are cut at their registers, which have the same names (flow/synthesis/registers.v): from then on they are
combinational. Register outputs, memory outputs and ports are inputs; register inputs, memory inputs and ports are
outputs; each pair of outputs is shown to be the same function (abc's SAT sweeping). By induction, circuits with equal
registers then stay equal for ever, whatever the inputs are. The start (equal registers) is what reset gives, or the
host's writes; nothing is assumed about unknown values.

One side comes from the RTL by reading, flattening and plain lowering; no multiplier, adder or mapping of the synthesis
is in it. The other is the written netlist with the functions of the library's cells.

A clock gate counts as its enable: a register behind it takes its input when the enable is 1 before the rising edge and
keeps its value otherwise, which is what the RTL's multiplexer says. That holds because the gate's latch is open while
the clock is low, and all that an enable comes from changes at rising edges (the ports are asked to, docs/datapath.md).
A memory behind a gate has that enable as one more input.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from types import MappingProxyType

import numpy as np

from flow.synthesis.netlist import Bit, Module, parse_netlist
from flow.synthesis.script import LIBERTY, Stage, front_stages
from golden.spec import SpecError

RTL_JSON, GATE_JSON, RTL_AIG, GATE_AIG = "rtl.json", "gate.json", "rtl.aig", "gate.aig"
LIBERTY_REGISTER = re.compile(r"\$flatten\\(.+)\.\$auto\$liberty.*")
PLAIN_NAME = re.compile(r"[^A-Za-z0-9_]")
N_WORDS = 64
"""Of 64 random values each, to find registers that are always equal."""
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
wreduce
peepopt
opt_clean
techmap
opt_expr
opt_merge
opt_clean -purge
aigmap
opt_clean -purge
write_json {RTL_JSON}
""")]


def gate_stages(top: str, netlist: str, black_boxes: Sequence[str], clock_gates: Sequence[str]) -> list[Stage]:
    """The netlist, each cell but clock gates replaced by what the library says of it."""
    read = [f"read_liberty -lib -ignore_miss_func {LIBERTY}", f"read_liberty -overwrite -ignore_miss_func {LIBERTY}",
            *(f"blackbox {name}" for name in clock_gates), *(f"read_verilog -sv -lib {name}" for name in black_boxes),
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


def cut_at_registers(module: Module, boxes: frozenset[str], clock: str, where: str,
                     clock_gates: Mapping[str, tuple[str, ...]] = MappingProxyType({})) -> Cut:
    """The combinational circuit between ports, registers and black boxes; SpecError for any other cell.

    clock_gates: cells -> their enable, clock and output pins.
    """
    inputs: dict[str, Bit] = {}
    outputs: dict[str, Bit] = {}
    gates: dict[Bit, tuple[Bit, Bit | None]] = {}
    clocks = set(module.ports[clock].bits)
    enables = gated_clocks(module, clocks, clock_gates, clock, where)
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
            driver = pins["C"][0]
            if register in registers or driver not in clocks | enables.keys():
                raise SpecError(f"registers must have names of their own and the clock {clock}, not so {register} "
                                f"({where})")
            registers.add(register)
            inputs[f"register {register}"], outputs[f"register {register}"] = pins["Q"][0], pins["D"][0]
            if driver in enables:
                outputs[f"register {register}"] = held(gates, register, enables[driver], pins["D"][0], pins["Q"][0])
        elif cell.type in boxes:
            for pin, bits in pins.items():
                for index, bit in enumerate(bits):
                    side = outputs if cell.port_directions[pin] == "input" else inputs
                    if bit not in clocks:
                        side[f"memory {register_name(name)}/{pin}[{index}]"] = enables.get(bit, bit)
        elif cell.type not in clock_gates:
            raise SpecError(f"the proof knows gates, rising-edge flip-flops and memories, not {cell.type} "
                            f"({name}, {where})")
    return Cut(inputs, outputs, gates, frozenset(registers))


def gated_clocks(module: Module, clocks: set[Bit], clock_gates: Mapping[str, tuple[str, ...]], clock: str,
                 where: str) -> dict[Bit, Bit]:
    """Gated clock -> the enable that lets it through; SpecError for a gate that is not on the clock itself."""
    found = {}
    for name, cell in module.cells.items():
        if cell.type in clock_gates:
            enable, source, out = (cell.connections[pin][0] for pin in clock_gates[cell.type])
            if source not in clocks:
                raise SpecError(f"clock gates must have the clock {clock}, not so {name} ({where})")
            found[out] = enable
    return found


def held(gates: dict[Bit, tuple[Bit, Bit | None]], register: str, enable: Bit, value: Bit, old: Bit) -> Bit:
    """The value where enable is 1, else the old one: adds the gates of it and gives their net."""
    off, new, kept, neither, result = (f"{register}/{what}" for what in ("off", "new", "kept", "neither", "result"))
    not_new, not_kept = f"{new}/not", f"{kept}/not"
    gates |= {off: (enable, None), new: (enable, value), kept: (off, old), not_new: (new, None),
              not_kept: (kept, None), neither: (not_new, not_kept), result: (neither, None)}
    return result


def register_name(cell: str) -> str:
    """The name that both sides share of a register's or memory's cell.

    >>> register_name("core__acc_reg.bit[3].ff")
    'core__acc_reg_bit_3__ff'
    >>> register_name("$flatten\\\\core__acc_reg_bit_3__ff.$auto$liberty.cc:238:create_ff$1")
    'core__acc_reg_bit_3__ff'
    """
    match = LIBERTY_REGISTER.fullmatch(cell)
    return PLAIN_NAME.sub("_", match[1] if match else cell)


def pair(rtl: Cut, gate: Cut) -> tuple[list[str], list[str], list[str]]:
    """Names of inputs, of outputs, and of the RTL's registers that the netlist has not; SpecError for other strays.

    A register that synthesis removed counts as an input that may be anything, unless `find_twins` finds another one
    that stands for it. If it mattered all the same, an output would differ and the proof would fail.
    """
    removed = sorted(rtl.registers - gate.registers)
    lost = {f"register {name}" for name in removed}
    for side, mine, theirs in (("inputs", rtl.inputs, gate.inputs), ("outputs", rtl.outputs, gate.outputs)):
        strays = sorted((set(mine) ^ set(theirs)) - lost)
        if strays:
            raise SpecError(f"RTL and netlist must have the same {side}, and differ in {', '.join(strays[:5])}"
                            + (f" and {len(strays) - 5} more" if len(strays) > 5 else ""))
    return sorted(rtl.inputs), sorted(gate.outputs), removed


class Aig:
    """An and-inverter graph, structurally hashed: the same function of the same inputs has the same literal."""

    def __init__(self, cut: Cut, inputs: Sequence[str], twins: dict[str, str]):
        """inputs: in the order of the file. twins: input -> another input, or a constant, that stands for it."""
        self.cut, self.n_inputs = cut, len(inputs)
        number = {"0": 0, "1": 1, **{name: 2 * (k + 1) for k, name in enumerate(inputs)}}
        self.literals: dict[Bit, int] = {"0": 0, "1": 1}
        for name in inputs:
            if name in cut.inputs:
                self.literals[cut.inputs[name]] = number[twins.get(name, name)]
        self.ands: list[tuple[int, int]] = []
        self.known: dict[tuple[int, int], int] = {}

    def literal(self, name: str) -> int:
        """The literal of an output; adds the gates before it."""
        stack = [self.cut.outputs[name]]
        while stack:
            bit = stack[-1]
            if bit in self.literals:
                stack.pop()
                continue
            if bit not in self.cut.gates:
                raise SpecError(f"net {bit} before {name} has no driver")
            first, second = self.cut.gates[bit]
            needed = [source for source in (first, second) if source is not None and source not in self.literals]
            if needed:
                stack += needed
                continue
            a = self.literals[first]
            self.literals[bit] = a ^ 1 if second is None else self.land(a, self.literals[second])
            stack.pop()
        return self.literals[self.cut.outputs[name]]

    def output(self, name: str) -> int:
        """The literal of an output, or of a constant."""
        return int(name) if name in ("0", "1") else self.literal(name)

    def land(self, a: int, b: int) -> int:
        """The literal of a AND b."""
        if a == b or b == 1:
            return a
        if a == 1:
            return b
        if 0 in (a, b) or a ^ 1 == b:
            return 0
        key = (max(a, b), min(a, b))
        if key not in self.known:
            self.ands.append(key)
            self.known[key] = 2 * (self.n_inputs + len(self.ands))
        return self.known[key]

    def simulate(self) -> Callable[[int], bytes]:
        """Random values at all inputs, always the same: gives the values of a literal."""
        random = np.random.default_rng(1)
        waves = [np.zeros(N_WORDS, np.uint64), *random.integers(0, 2**64, (self.n_inputs, N_WORDS), np.uint64)]
        for a, b in self.ands:
            left, right = (~waves[x >> 1] if x & 1 else waves[x >> 1] for x in (a, b))
            waves.append(left & right)
        return lambda literal: (~waves[literal >> 1] if literal & 1 else waves[literal >> 1]).tobytes()

    def write(self, outputs: Sequence[str]) -> bytes:
        """Binary AIGER, outputs in the order given."""
        literals = [self.output(name) for name in outputs]
        n_ands = len(self.ands)
        head = f"aig {self.n_inputs + n_ands} {self.n_inputs} 0 {len(outputs)} {n_ands}\n"
        gates = (delta(2 * (self.n_inputs + k + 1) - a) + delta(a - b) for k, (a, b) in enumerate(self.ands))
        return (head + "".join(f"{literal}\n" for literal in literals)).encode() + b"".join(gates)


def find_twins(rtl: Cut, inputs: Sequence[str], removed: Sequence[str]) -> dict[str, str]:
    """For each register that the netlist has not: the one that stands for it, or "0" or "1"; found by simulation.

    It is a guess: the proof then shows that the two have the same input, with the one standing for the other, so they
    are equal from the first clock edge on. A register that only ever keeps its value or takes one constant stands for
    that constant: from its first reset or load on, before which it is unknown. Registers without a candidate are left
    out.
    """
    if not removed:
        return {}
    aig = Aig(rtl, inputs, {})
    names = [f"register {name}" for name in sorted(rtl.registers)]
    literals = {name: aig.literal(name) for name in names}
    waves = aig.simulate()
    lost = {f"register {name}" for name in removed}
    by_wave: dict[bytes, list[str]] = defaultdict(list)
    for name in names:
        if name not in lost:
            by_wave[waves(literals[name])].append(name)
    twins = {}
    for name in sorted(lost):
        wave = waves(literals[name])
        constant = next((str(value) for value in (0, 1) if waves(value) == wave), None)
        near = max(by_wave[wave], key=lambda other: (len(commonprefix([other, name])), other), default=None)
        if constant or near:
            twins[name] = constant or near
    for value in ("0", "1"):
        twins |= dict.fromkeys(stuck_registers(rtl, inputs, sorted(lost - twins.keys()), twins, value), value)
    return twins


def stuck_registers(rtl: Cut, inputs: Sequence[str], names: Sequence[str], twins: dict[str, str],
                    value: str) -> list[str]:
    """Those of the registers `names` that, by simulation, take the value whenever all of them have it."""
    while names:
        aig = Aig(rtl, inputs, {**twins, **dict.fromkeys(names, value)})
        literals = [aig.literal(name) for name in names]
        waves = aig.simulate()
        kept = [name for name, literal in zip(names, literals, strict=True) if waves(literal) == waves(int(value))]
        if len(kept) == len(names):
            break
        names = kept
    return list(names)


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


def load_cut(path: Path, top: str, boxes: frozenset[str], clock: str,
             clock_gates: Mapping[str, tuple[str, ...]]) -> Cut:
    return cut_at_registers(parse_netlist(path.read_bytes(), top).module, boxes, clock, path.name, clock_gates)
