"""The core's probes (docs/datapath.md, "Probes") out of a netlist, which has its registers and none of its wires.

The block says how each probe follows from registers. A register's value is taken from the netlist's flip-flop of its
name; a bit that synthesis removed (a constant, or the twin of another) is computed as the block does it, from the
registers that are left. So a probe shows what the netlist holds, and the only logic of the RTL in between is what
stands between registers and probes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyrtl
from pyrtl import Block, Const, Input, LogicNet, Output, Register, WireVector

from flow.physical.netlist import Netlist
from golden.spec import SpecError

CORE, PROBE = "core", "probe_"
OUTPUT_PIN = "Q"
BIT = re.compile(r"(\w+)\[(\d+)\]")
TABLES = {"w": 0b10, "~": 0b01, "&": 0b1000, "|": 0b1110, "^": 0b0110, "n": 0b0111}
"""Bit k is the result when the arguments make the number k, the first one being the lowest bit."""


@dataclass(frozen=True)
class Observer:
    """Gates of one or two inputs beside a netlist; its own nets have names that the netlist has not.

    gates:    (output, inputs, table as in TABLES); inputs are nets of the netlist or own ones.
    flops:    output -> data, for the bits of registers that the netlist does not have.
    probes:   probe -> its nets, the lowest bit first.
    replayed: those bits, as register[bit].
    """

    gates: tuple[tuple[str, tuple[str, ...], int], ...]
    flops: dict[str, str]
    probes: dict[str, tuple[str, ...]]
    replayed: tuple[str, ...]


def register_nets(netlist: Netlist, block: Block) -> dict[str, dict[int, str]]:
    """Register of the core -> bit -> the net that its flip-flop drives, for the bits that the netlist has."""
    found: dict[str, dict[int, str]] = {}
    for register in sorted(block.wirevector_subset(Register), key=lambda wire: wire.name):
        cell = f"{CORE}__{register.name}_reg"
        for bit in range(register.bitwidth):
            pin = (cell if register.bitwidth == 1 else f"{cell}_bit_{bit}__ff", OUTPUT_PIN)
            if pin in netlist.net_of:
                found.setdefault(register.name, {})[bit] = netlist.net_of[pin]
    return found


def build_observer(block: Block, netlist: Netlist) -> Observer:
    """What shows the block's probes in a netlist; SpecError when the netlist does not have the block's registers."""
    nets = register_nets(netlist, block)
    if not nets:
        raise SpecError(f"the netlist must have flip-flops named after the core's registers ({CORE}__<name>_reg...), "
                        "and has none: a step has renamed them")
    cone = pyrtl.synthesize(update_working_block=False, merge_io_vectors=False, block=_cone(block, nets))
    gates, flops, probes, replayed = [], {}, {}, []
    outputs = sorted(cone.wirevector_subset(Output), key=lambda wire: _by_bit(wire.name))
    source, _ = cone.net_connections()
    order = _causes_first(source, outputs)
    name_of = _names(order, netlist, nets)
    for wire in order:
        if isinstance(wire, Const):
            gates.append((name_of(wire), (), int(wire.val)))
        elif not isinstance(wire, Input):
            net = source[wire]
            if net.op not in TABLES:
                raise SpecError(f"a probe must follow from registers by logic, not by {net.op!r}")
            gates.append((name_of(wire), tuple(map(name_of, net.args)), TABLES[net.op]))
    for wire in outputs:
        name, bit = _by_bit(wire.name)
        if name.startswith(PROBE):
            probes[name] = (*probes.get(name, ()), name_of(wire))
        elif bit not in nets.get(name.removesuffix(NEXT), {}):
            register = name.removesuffix(NEXT)
            flops[_own(f"{register}[{bit}]")] = name_of(wire)
            replayed.append(f"{register}[{bit}]")
    return Observer(tuple(gates), flops, probes, tuple(replayed))


NEXT = "__next"


def _own(name: str) -> str:
    """A net of the observer: no netlist has a space in a name."""
    return f"observer {name}"


def _by_bit(name: str) -> tuple[str, int]:
    match = BIT.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 0)


def _causes_first(source: Mapping[WireVector, LogicNet], outputs: Sequence[WireVector]) -> list[WireVector]:
    """The outputs and all that they follow from, each wire behind those that it follows from.

    PyRTL keeps logic in sets and counts the names of its wires through the process: neither is the same in two runs.
    """
    order: dict[WireVector, None] = {}
    front = list(reversed(outputs))
    while front:
        wire = front.pop()
        causes = [cause for cause in (source[wire].args if wire in source else ()) if cause not in order]
        if causes:
            front += [wire, *reversed(causes)]
        else:
            order[wire] = None
    return list(order)


def _names(order: Sequence[WireVector], netlist: Netlist, nets: Mapping[str, Mapping[int, str]]):
    """Wire of the cone -> net: of the netlist for its registers and ports, else an own one, numbered in this order."""
    number = {wire: str(at) for at, wire in enumerate(order)}

    def name_of(wire: WireVector) -> str:
        name, bit = _by_bit(wire.name)
        if not isinstance(wire, Input):
            return _own(number[wire])
        for port in (wire.name, f"{name}[{bit}]"):
            if netlist.ports.get(port) == "input":
                return netlist.net_of["", port]
        return nets.get(name, {}).get(bit) or _own(f"{name}[{bit}]")

    return name_of


def _cone(block: Block, nets: Mapping[str, Mapping[int, str]]) -> Block:
    """The logic before the probes as a block: registers are inputs, replayed ones have an output <name>__next too."""
    source, _ = block.net_connections()
    cone = Block()
    copies: dict[WireVector, WireVector] = {}
    front: list[WireVector] = []

    def copy(wire: WireVector) -> WireVector:
        if wire not in copies:
            front.append(wire)
            if isinstance(wire, Const):
                copies[wire] = Const(wire.val, wire.bitwidth, block=cone)
            elif isinstance(wire, (Input, Register)):
                copies[wire] = Input(wire.bitwidth, wire.name, block=cone)
            elif wire.name.startswith(PROBE):
                copies[wire] = Output(wire.bitwidth, wire.name, block=cone)
            else:
                copies[wire] = WireVector(wire.bitwidth, block=cone)
        return copies[wire]

    for wire in sorted(block.wirevector_set, key=lambda wire: wire.name):
        if wire.name.startswith(PROBE):
            copy(wire)
    while front:
        wire = front.pop()
        if isinstance(wire, Input) and wire.name.startswith("sram_"):
            raise SpecError(f"a probe must follow from registers, and depends on {wire.name}: a register that "
                            "synthesis removed cannot be computed here")
        if isinstance(wire, Const | Input):
            continue
        net = source[wire]
        if isinstance(wire, Register):
            if len(nets.get(wire.name, {})) < wire.bitwidth:
                following = Output(wire.bitwidth, wire.name + NEXT, block=cone)
                cone.add_net(LogicNet("w", None, (copy(net.args[0]),), (following,)))
            continue
        cone.add_net(LogicNet(net.op, net.op_param, tuple(map(copy, net.args)), (copies[wire],)))
    return cone
