"""The module that takes the place of a design's wrapper in the test bench: netlist and observer side by side."""

from __future__ import annotations

from collections.abc import Sequence

from flow.gates.observer import CORE, Observer
from flow.physical.netlist import Netlist
from flow.physical.verilog import PLAIN

GATES = "gates"
FORMULAS = {0b10: "{0}", 0b01: "~{0}", 0b1000: "{0} & {1}", 0b1110: "{0} | {1}", 0b0110: "{0} ^ {1}",
            0b0111: "~({0} & {1})"}
"""Verilog of the tables in flow.gates.observer; without inputs the table is the value."""


def shell_name(top: str) -> str:
    return f"{top}_shell"


def shell_text(netlist: Netlist, observer: Observer, extra: Sequence[str] = ()) -> str:
    """Verilog of the shell and of the observer, whose instance is called as the core, with the probes in it.

    extra: lines for the shell, which name nets by `net_path`.
    """
    widths = port_widths(netlist)
    own = {output for output, _, _ in observer.gates} | set(observer.flops)
    taps = sorted({net for _, inputs, _ in observer.gates for net in inputs} - own)
    observing = f"{netlist.top}_observer"
    ports = ",\n".join(f"    {direction} wire {f'[{width - 1}:0] ' if width else ''}{name}"
                       for name, (direction, width) in widths.items())
    wires = ",\n    ".join(net_path(netlist, net) for net in reversed(taps))
    return "\n".join([
        "`timescale 1ns / 1ps", "`default_nettype none", *_observer_lines(observer, observing, taps),
        f"module {shell_name(netlist.top)} (", ports, ");",
        f"  {netlist.top} {GATES} ({', '.join(f'.{name}({name})' for name in widths)});",
        f"  {observing} {CORE} (.clk(clk), .taps({{\n    {wires}}}));", *extra,
        "endmodule", "`default_nettype wire", ""])


def _observer_lines(observer: Observer, name: str, taps: list[str]) -> list[str]:
    wire = {net: f"taps[{bit}]" for bit, net in enumerate(taps)}
    for number, net in enumerate([*(output for output, _, _ in observer.gates), *observer.flops]):
        wire[net] = f"w{number}"
    lines = [f"module {name} (input wire clk, input wire [{len(taps) - 1}:0] taps);"]
    for output, inputs, table in observer.gates:
        formula = FORMULAS[table].format(*map(wire.__getitem__, inputs)) if inputs else f"1'b{table}"
        lines.append(f"  wire {wire[output]} = {formula};")
    for output, data in observer.flops.items():
        lines += [f"  reg {wire[output]};", f"  always @(posedge clk) {wire[output]} <= {wire[data]};"]
    for probe, nets in observer.probes.items():
        bits = ", ".join(wire[net] for net in reversed(nets))
        lines.append(f"  wire {f'[{len(nets) - 1}:0] ' if len(nets) > 1 else ''}{probe} = {{{bits}}};")
    return [*lines, "endmodule"]


def port_widths(netlist: Netlist) -> dict[str, tuple[str, int]]:
    """Port -> direction and width, 0 for one that is no vector, in the order of the module."""
    widths: dict[str, tuple[str, int]] = {}
    for bit, direction in netlist.ports.items():
        name, bracket, _ = bit.partition("[")
        widths[name] = (direction, widths.get(name, ("", 0))[1] + 1 if bracket else 0)
    return widths


def net_path(netlist: Netlist, net: str) -> str:
    """A net of the netlist as seen from the shell; a bit of a port as it stands."""
    return f"{GATES}.{net}" if net in netlist.ports or PLAIN.fullmatch(net) else f"{GATES}.\\{net} "
