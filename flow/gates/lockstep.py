"""Where a netlist leaves its RTL: both side by side under Icarus with the same inputs, register by register.

Run after a difference from golden was found: that is seen steps after the fault, this names the first register of the
core in which the two hold different known values, by its RTL name, with the cycle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyrtl import Block, Register

from flow.gates.observer import CORE, Observer, register_nets
from flow.gates.runner import IcarusNetlist
from flow.gates.shell import net_path, port_widths, shell_text
from flow.physical.netlist import Netlist
from flow.physical.verilog import write_netlist
from flow.simulate.events import SimulationError
from flow.simulate.session import Session
from flow.simulate.verilog import run_verilog

RTL, MARK = "rtl", "register-differs"
MOST_CYCLES = 20_000
"""Beyond these nothing is looked for: Icarus takes a minute for them."""
FOUND = re.compile(rf"^{MARK} (\w+) (\d+) (\d+) ([01]) ([01])$", re.MULTILINE)
TELL = f"""  task tell(input [8*80-1:0] name, input integer width, input [127:0] one, input [127:0] other);
    integer k;
    for (k = 0; k < width; k = k + 1)
      if ((one[k] ^ other[k]) === 1'b1) begin
        $display("{MARK} %0s %0d %0d %b %b", name, k, bench.cycle, one[k], other[k]);
        $finish;
      end
  endtask"""


@dataclass(frozen=True)
class Departure:
    """The first register that differs: values of the bit in the netlist and in the RTL, at the end of a cycle."""

    register: str
    bit: int
    cycle: int
    netlist: int
    rtl: int

    def __str__(self) -> str:
        return (f"the first register to differ from the RTL: {CORE}.{self.register} bit {self.bit} at cycle "
                f"{self.cycle}, {self.netlist} in the netlist, {self.rtl} in the RTL")


def find_departure(netlist: Netlist, observer: Observer, block: Block, rtl: Sequence[Path], icarus: IcarusNetlist,
                   session: Session, cycle: int, folder: Path) -> Departure | None:
    """Runs a session up to a cycle; None where no register differs until then.

    rtl: the exported core and wrapper. icarus: what the netlist alone runs in; its last two files are shell and
    netlist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    alone = replace(netlist, top=f"{netlist.top}_gates")        # the RTL has the module's own name
    text = shell_text(alone, observer, _lines(netlist, block))
    files = []
    for name, content in (("shell.v", text), ("netlist.v", write_netlist(alone))):
        (folder / name).write_text(content, encoding="utf-8")
        files.append(folder / name)
    runner = replace(icarus, files=(*icarus.files[:-2], *rtl, *files), top=alone.top)
    try:
        run_verilog(runner.compile(folder), session.program, session.all_beats(), folder, window=(cycle + 1, cycle + 2))
    except SimulationError:
        pass                                                   # what it printed before counts
    return parse_departure((folder / "run.log").read_text(encoding="utf-8", errors="replace"))


def parse_departure(text: str) -> Departure | None:
    """What the shell printed.

    >>> parse_departure("register-differs acc 3 120 1 0").cycle
    120
    """
    found = FOUND.search(text)
    return Departure(found[1], *map(int, found.groups()[1:])) if found else None


def _lines(netlist: Netlist, block: Block) -> list[str]:
    """The RTL beside the netlist, and the comparison of every register at the end of each cycle."""
    nets = register_nets(netlist, block)
    ports = ", ".join(f".{name}({name if direction == 'input' else ''})"
                      for name, (direction, _) in port_widths(netlist).items())
    lines = [f"  {netlist.top} {RTL} ({ports});", TELL, "  always @(posedge clk) if (!rst) begin"]
    for register in sorted(block.wirevector_subset(Register), key=lambda wire: wire.name):
        name, width = register.name, register.bitwidth
        if name not in nets:
            continue
        here = [f"{RTL}.{CORE}.{name}" + (f"[{bit}]" if width > 1 else "") for bit in range(width)]
        bits = ", ".join(net_path(netlist, nets[name][bit]) if bit in nets[name] else here[bit]
                         for bit in reversed(range(width)))
        lines.append(f'    if ({{{bits}}} !== {RTL}.{CORE}.{name}) '
                     f'tell("{name}", {width}, {{{bits}}}, {RTL}.{CORE}.{name});')
    return [*lines, "  end"]
