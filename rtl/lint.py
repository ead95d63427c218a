"""Netlist lint: what PyRTL accepts in silence and hardware does not forgive.

Checked on the block before export: names survive into Verilog one to one, nothing is read that nothing drives,
registers are driven, no multi-driven wire, no ROM (its contents would sit in an `initial` block, which synthesis
ignores), no memory (register files are explicit), no combinational loop, no register that can never change
or that nothing reads.
"""

import re

import pyrtl
from pyrtl import Block, Const, Input, Output, Register

VERILOG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
# Verilog-2005 and SystemVerilog words that could plausibly name a wire of ours.
RESERVED = frozenset(
    "always and assign begin bit buf byte case cell clk const default design do edge else end enum event for force"
    " function generate if include initial inout input instance int integer large library logic macromodule medium"
    " module negedge not null or output parameter posedge priority pulldown pullup real ref reg release repeat scalared"
    " shortint signed small static string strong struct supply0 supply1 table task this time tri type union unique"
    " unsigned use var vectored wait wand weak while wire wor xor".split()
)


class LintError(ValueError):
    """The netlist breaks a rule; the message lists every finding."""


def check_netlist(block: Block) -> None:
    """Raise LintError with all findings, or return."""
    findings = _names(block) + _memories(block) + _connections(block) + _constant_registers(block)
    try:
        loop = pyrtl.find_loop(block)  # checks the block's sanity first
    except pyrtl.PyrtlError as error:
        findings.append(f"netlist is inconsistent: {error}")
        loop = None
    if loop:
        findings.append(f"combinational loop through {', '.join(sorted(place.dst_w.name for place in loop))}")
    if findings:
        shown = "\n  ".join(findings[:20])
        more = f"\n  and {len(findings) - 20} more" if len(findings) > 20 else ""
        raise LintError(f"netlist lint: {len(findings)} findings\n  {shown}{more}")


def _names(block: Block) -> list[str]:
    """Names that Verilog would not take as they are, or that differ only in case."""
    findings, seen = [], {}
    for wire in block.wirevector_set:
        if isinstance(wire, Const):
            continue
        if not VERILOG_NAME.fullmatch(wire.name) or wire.name in RESERVED:
            findings.append(f"{wire.name}: not usable as a Verilog name, the exporter would rename it")
        other = seen.setdefault(wire.name.lower(), wire.name)
        if other != wire.name:
            findings.append(f"{wire.name}: differs from {other} only in case")
    return sorted(findings)


def _memories(block: Block) -> list[str]:
    nets = block.logic_subset("m@")
    names = sorted({net.op_param[1].name for net in nets})
    return [f"{name}: memory inside the block; macros belong outside, register files are explicit" for name in names]


def _connections(block: Block) -> list[str]:
    """Undriven wires that are read, and registers that nothing reads."""
    driven, read = set(), set()
    for net in block.logic:
        driven.update(net.dests)
        read.update(net.args)
    findings = [
        f"{wire.name}: read but never driven"
        for wire in read if wire not in driven and not isinstance(wire, (Input, Const))
    ]
    findings += [
        f"{wire.name}: register that nothing reads"
        for wire in block.wirevector_subset(Register) if wire not in read
    ]
    findings += [f"{w.name}: output that nothing drives" for w in block.wirevector_subset(Output) if w not in driven]
    findings += [f"{w.name}: input that nothing reads" for w in block.wirevector_subset(Input) if w not in read]
    return sorted(findings)


def _constant_registers(block: Block) -> list[str]:
    """Registers whose next value is a constant: left-overs of a configuration that does not need them."""
    return sorted(
        f"{net.dests[0].name}: register that only ever takes a constant"
        for net in block.logic_subset("r") if isinstance(net.args[0], Const)
    )
