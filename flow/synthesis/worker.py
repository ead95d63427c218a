"""Runs a Yosys script in a process of its own: `python worker.py script.ys`, in the folder of its files.

Yosys ends its process on an error and may crash; here that costs nothing but this process. Passes are added to those
of Yosys: its own that take enables out of registers give these new names, and none counts the sinks of a net.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

from pyosys import libyosys

REGISTER, NAME = "$_DFF_P_", "\\register"
DATA, CLOCK = "\\D", "\\CLK"
"""Pins of the kit's flip-flops."""


class NoteRegisters(libyosys.Pass):
    """note_registers: every flip-flop gets its name as an attribute, which passes hand on."""

    def __init__(self) -> None:
        super().__init__("note_registers", "note the names of flip-flops")

    def execute(self, _args: list[str], design: libyosys.Design) -> None:
        for cell in design.top_module().cells_.values():
            if cell.type.str() == REGISTER:
                cell.set_string_attribute(NAME, cell.name.str())

    def help(self) -> None:
        print("note_registers")


class NameRegisters(libyosys.Pass):
    """name_registers GATE OUT: flip-flops get the noted names again, clock gates the name of their first register."""

    def __init__(self) -> None:
        super().__init__("name_registers", "give flip-flops their noted names")

    def execute(self, args: list[str], design: libyosys.Design) -> None:
        _, gate, out = args
        module = design.top_module()
        first: dict[str, str] = {}
        for cell in list(module.cells_.values()):
            name = cell.get_string_attribute(NAME)
            if name and cell.type.str() == REGISTER:
                clock = signal(cell, "C")
                first[clock] = min(name, first.get(clock, name))
                if name != cell.name.str():
                    module.rename(cell.name, libyosys.IdString(name))
        for cell in list(module.cells_.values()):
            if cell.type.str() == f"\\{gate}":
                name = first[signal(cell, out)].removesuffix(".ff")
                module.rename(cell.name, libyosys.IdString(f"{name}.gate"))
                module.rename(cell.getPort(libyosys.IdString(f"\\{out}")).as_wire().name,
                              libyosys.IdString(f"{name}.clock"))

    def help(self) -> None:
        print("name_registers GATE OUT")


class SortNames(libyosys.Pass):
    """sort_names: nets and cells in the order of their names.

    Yosys' splitnets leaves nets in the order in which the memory of those that it split happened to lie, which follows
    from the length of paths; what is numbered later would be numbered in that order.
    """

    def __init__(self) -> None:
        super().__init__("sort_names", "sort nets and cells by name")

    def execute(self, _args: list[str], design: libyosys.Design) -> None:
        design.top_module().sort()

    def help(self) -> None:
        print("sort_names")


class LimitFanout(libyosys.Pass):
    """limit_fanout N CELL IN OUT: buffers before the flip-flops on nets with more than N sinks, at most N behind each.

    abc sees one load where a net leaves its logic for flip-flops, however many they are. Clocks are the clock tree's.
    """

    def __init__(self) -> None:
        super().__init__("limit_fanout", "buffer nets with many sinks")

    def execute(self, args: list[str], design: libyosys.Design) -> None:
        limit, (buffer, into, out) = int(args[1]), args[2:]
        module = design.top_module()
        clocks, sinks, bits = set(), defaultdict(list), {}
        for cell in module.cells_.values():
            for port in cell.connections():
                if cell.input(port) and cell.getPort(port).size() == 1 and not cell.getPort(port).is_fully_const():
                    bit = cell.getPort(port).as_bit()
                    net = bit.wire.name.str() + (f"__{bit.offset}_" if bit.wire.width > 1 else "")
                    bits[net] = bit
                    sinks[net].append((port.str() == DATA, natural(cell.name.str()), cell, port))
                    clocks |= {net} if port.str().upper() == CLOCK else set()
        for net in sorted(sinks.keys() - clocks):
            here = sorted(sinks[net], key=lambda sink: sink[:2])
            behind = [sink for sink in here if sink[0]] if len(here) > limit else []
            n_buffers = -(-len(behind) // limit)
            for k in range(n_buffers):
                part = behind[k * len(behind) // n_buffers:(k + 1) * len(behind) // n_buffers]
                copy = module.addWire(libyosys.IdString(f"{net}__fan_{k}"))
                added = module.addCell(libyosys.IdString(f"{net}__buf_{k}"), libyosys.IdString(f"\\{buffer}"))
                added.setPort(libyosys.IdString(f"\\{into}"), libyosys.SigSpec(bits[net], 1))
                added.setPort(libyosys.IdString(f"\\{out}"), libyosys.SigSpec(copy))
                for _, _, cell, port in part:
                    cell.setPort(port, libyosys.SigSpec(copy))

    def help(self) -> None:
        print("limit_fanout N CELL IN OUT")


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts by numbers in a name as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def signal(cell: libyosys.Cell, port: str) -> str:
    """The name of the net of one bit at a port."""
    return cell.getPort(libyosys.IdString(f"\\{port}")).as_bit().wire.name.str()


def main(script: str) -> None:
    passes = NoteRegisters(), NameRegisters(), SortNames(), LimitFanout()      # Yosys knows them as long as they live
    design = libyosys.Design()
    for line in Path(script).read_text(encoding="utf-8").splitlines():
        if line.strip():
            libyosys.run_pass(line, design)
    del passes


if __name__ == "__main__":
    main(sys.argv[1])
