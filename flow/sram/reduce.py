"""The macro as a circuit that ngspice can run in seconds, with nothing of it left out.

Nets that carry the same voltages are joined, and transistors that are then in parallel become one of multiplicity m:
bits of equal data, bytes, rows and columns that no access reaches. Joining equal voltages changes nothing; what is
approximate is the place of the joined parts along the long lines, which are ladders of a few sections. Rows that are
accessed, their cells and the bits that are looked at stay single.

Cells of idle rows are their access transistors between bit line and a stored value, half of them 0, half 1.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from flow.sram.bitcell import LINES, NODES, BitCell
from flow.sram.extracted import ExtractedMacro
from flow.sram.flat import Mos
from flow.sram.spec import SramSpec
from golden.spec import SpecError

N_ROWS, N_COLUMNS, ROWS_A_PAGE = 128, 4, 8
N_SECTIONS = {"x": 4, "y": 2}
"""Of a line, by its direction. A quarter of a word line of 64 bits is 60 ohm and 100 fF, 6 ps."""

BITS_A_BYTE = 8
IN_COLUMN = re.compile(r"columnblock/column\[(\d+)\]/(.*)")
BIT_LINE = re.compile(r"(bl|bl_n)\[(\d+)\]$")
OF_BIT = re.compile(r"periph/(muxbl|muxbl_n|senseamp)\[(\d+)\](.*)")
OF_PAIR = re.compile(r"periph/writedrive\[(\d+)\]/([a-z_0-9]+)\[(\d+)\](.*)")
OF_ROW = re.compile(r"rowperiph/rowdec/page\[(\d+)\]/(nand3|wl_n|drive)\[(\d+)\](.*)")
PIN = re.compile(r"(a|d|q|we|wl)\[(\d+)\]$")
ADDRESS = {"rowperiph/coldec/": 0, "rowperiph/rowdec/predec/": 2}
"""Where the flip-flops of the address are, and which bit is the first of them."""

DECODERS = ((0, 1), (2, 3, 4), (5, 6, 7, 8))
"""Address bits that are decoded together: of the column, and of the row."""

OF_ADDRESS = re.compile(r"(rowperiph/coldec/|rowperiph/rowdec/predec/)(aff|aint|aint_n)\[(\d+)\](.*)")


@dataclass(frozen=True)
class Plan:
    """What stays single: accessed addresses, and bits; `groups` are bits that hold the same and look the same.

    byte_groups: bytes that share write enable and clock. Every bit and byte is in one group.
    data: per group, which d it gets; groups of one number and one byte group share the flip-flops of d.
    """

    spec: SramSpec
    addresses: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    byte_groups: tuple[tuple[int, ...], ...]
    data: tuple[int, ...]

    def __post_init__(self) -> None:
        for found, n, what in ((self.groups, self.spec.word_bits, "bit"),
                               (self.byte_groups, self.spec.n_bytes, "byte")):
            if sorted(k for group in found for k in group) != list(range(n)):
                raise SpecError(f"every {what} of {self.spec.name} must be in one group, not {found}")

    @property
    def rows(self) -> tuple[int, ...]:
        return tuple(sorted({address // N_COLUMNS for address in self.addresses}))

    @property
    def columns(self) -> tuple[int, ...]:
        return tuple(sorted({address % N_COLUMNS for address in self.addresses}))

    def group_of(self, bit: int) -> int:
        return next(k for k, group in enumerate(self.groups) if bit in group)

    def byte_group_of(self, byte: int) -> int:
        return next(k for k, group in enumerate(self.byte_groups) if byte in group)

    def data_of(self, bit: int) -> str:
        """The name of what a bit is written with: which d, and the write enable of its byte."""
        return f"{self.data[self.group_of(bit)]}b{self.byte_group_of(bit // BITS_A_BYTE)}"

    def address_bit(self, bit: int) -> int:
        """The first bit of the same decoder that has the same value in every address, and stands for this one."""
        [decoder] = [bits for bits in DECODERS if bit in bits]
        return next(other for other in decoder if all(address >> other & 1 == address >> bit & 1
                                                      for address in self.addresses))

    def column_name(self, column: int) -> str:
        return str(column) if column in self.columns else "idle"


@dataclass
class Circuit:
    """Transistors, resistors and capacitors (ohm, farad) between nets, and the cells that hold data.

    cells: (row, column, group) -> the net that is 1 when the cell holds 1; its other side ends in `_n`.
    """

    transistors: list[Mos] = field(default_factory=list)
    resistors: list[tuple[str, str, float]] = field(default_factory=list)
    farad: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cells: dict[tuple[int, int, int], str] = field(default_factory=dict)


def reduce_macro(macro: ExtractedMacro, plan: Plan) -> Circuit:
    """The circuit of a plan: reduced periphery, accessed cells, idle rows and columns as loads, lines as ladders."""
    circuit = Circuit()
    names = Names(macro, plan)
    merge_transistors(circuit, macro.transistors, names)
    for net, value in macro.farad.items():
        names.add_capacitance(circuit, net, value)
    for net, line in macro.lines.items():
        joined = [other.ohm for name, other in macro.lines.items() if names.joined(name) == net]
        if joined:
            add_ladder(circuit, net, line.axis, 1 / sum(1 / ohm for ohm in joined))
    add_array(circuit, macro, plan, names)
    return circuit


class Names:
    """From nets of the macro to nets of the reduced circuit."""

    def __init__(self, macro: ExtractedMacro, plan: Plan) -> None:
        self.macro, self.plan = macro, plan
        self.used = {axis: {int(pick(row)) for row in plan.rows}
                     for axis, pick in ((0, lambda row: row % ROWS_A_PAGE), (1, lambda row: row // ROWS_A_PAGE))}

    def row_class(self, row: int) -> str:
        """An accessed row's own number, else its section and which of its two predecoded lines ever go up."""
        if row in self.plan.rows:
            return str(row)
        marks = "".join("u" if part in self.used[axis] else "i"
                        for axis, part in ((0, row % ROWS_A_PAGE), (1, row // ROWS_A_PAGE)))
        section = row_section(row)
        own = f"p{row % ROWS_A_PAGE}p{row // ROWS_A_PAGE}" if marks == "uu" else ""
        return f"{marks}{section}{own}"

    def joined(self, net: str) -> str:
        """The net that stands for this one and all that are joined with it; a line's sections are told apart later."""
        if match := PIN.match(net):
            kind, number = match[1], int(match[2])
            stands = {"a": self.plan.address_bit, "d": self.plan.data_of, "q": self.plan.group_of,
                      "we": self.plan.byte_group_of, "wl": self.row_class}[kind](number)
            return f"a[{stands}]" if kind == "a" else f"{kind}{stands}"
        if match := OF_ROW.match(net):
            row = int(match[1]) * ROWS_A_PAGE + int(match[3])
            return f"row{self.row_class(row)}/{match[2]}{match[4]}"
        if match := IN_COLUMN.match(net):
            return self.in_column(int(match[1]), match[2])
        if match := OF_ADDRESS.match(net):
            bit = self.plan.address_bit(int(match[3]) + ADDRESS[match[1]])
            return f"{match[1]}{match[2]}[{bit - ADDRESS[match[1]]}]{match[4]}"
        return net

    def in_column(self, byte: int, rest: str) -> str:
        if match := BIT_LINE.match(rest):
            bit, column = byte * BITS_A_BYTE + int(match[2]) // N_COLUMNS, int(match[2]) % N_COLUMNS
            return f"bit{self.plan.group_of(bit)}/{match[1]}{self.plan.column_name(column)}"
        if match := OF_BIT.match(rest):
            return f"bit{self.plan.group_of(byte * BITS_A_BYTE + int(match[2]))}/{match[1]}{match[3]}"
        if match := OF_PAIR.match(rest):
            bit = byte * BITS_A_BYTE + int(match[1]) * 2 + int(match[3])
            return f"data{self.plan.data_of(bit)}/{match[2]}{match[4]}"
        return f"byte{self.plan.byte_group_of(byte)}/{rest}"

    def at(self, net: str, x: float, y: float) -> str:
        """The node of a terminal at a place."""
        name = self.joined(net)
        line = self.macro.lines.get(net, self.macro.lines.get(name))
        if name in self.macro.lines:
            return f"{name}@{line.section(x if line.axis == 'x' else y, N_SECTIONS[line.axis])}"
        if PIN.match(net) and net.startswith("wl") and name[2:].isdigit():
            return f"{name}@0"                             # the driver is at the near end
        if "/bl" in name and not name.endswith("idle") and IN_COLUMN.match(net) and BIT_LINE.match(
                IN_COLUMN.match(net)[2]):
            return f"{name}@0"
        return name

    def add_capacitance(self, circuit: Circuit, net: str, value: float) -> None:
        name = self.joined(net)
        line = self.macro.lines.get(name)
        if line is not None:
            n = N_SECTIONS[line.axis]
            for section in range(n):
                circuit.farad[f"{name}@{section}"] += value / n
        else:
            circuit.farad[self.at(net, 0.0, 0.0)] += value


def merge_transistors(circuit: Circuit, transistors: Iterable[Mos], names: Names) -> None:
    """Joins what is in parallel. Sizes and stress must agree; junctions are averaged, which keeps their sum."""
    parallel: dict[tuple, list[Mos]] = defaultdict(list)
    for mos in transistors:
        drain, gate, source = (names.at(net, mos.x, mos.y) for net in (mos.drain, mos.gate, mos.source))
        placed = msgspec.structs.replace(mos, drain=drain, gate=gate, source=source)
        parallel[mos.device, mos.w, mos.l, drain, gate, source].append(placed)
    for number, found in enumerate(parallel.values()):
        mean = {key: sum(getattr(mos, key) for mos in found) / len(found)
                for key in ("ad", "as_", "pd", "ps", "sa", "sb", "nrd", "nrs")}
        circuit.transistors.append(msgspec.structs.replace(found[0], name=f"p{number}", m=len(found), **mean))


def add_ladder(circuit: Circuit, net: str, axis: str, ohm: float) -> None:
    """The resistors between a line's sections."""
    n = N_SECTIONS[axis]
    for section in range(n - 1):
        circuit.resistors.append((f"{net}@{section}", f"{net}@{section + 1}", max(ohm / n, 1e-3)))


def add_array(circuit: Circuit, macro: ExtractedMacro, plan: Plan, names: Names) -> None:
    """Accessed rows cell by cell of a group, idle rows as loads, bit lines and word lines as ladders."""
    cell, sections = macro.bitcell, range(N_SECTIONS["y"])
    idle = {section: [row for row in range(N_ROWS) if row not in plan.rows
                      and row_section(row) == section] for section in sections}
    holder = {section: most_common(names.row_class(row) for row in rows) for section, rows in idle.items() if rows}
    for row in range(N_ROWS):
        if row not in plan.rows:                           # all idle word lines of a section hang on one
            circuit.farad[f"wl{names.row_class(row)}"] += cell.farad["wl"] * plan.spec.word_bits * N_COLUMNS
    for row in plan.rows:
        add_ladder(circuit, f"wl{row}", "x", cell.line_ohm["wl"] * plan.spec.word_bits * N_COLUMNS)
        for section in range(N_SECTIONS["x"]):
            circuit.farad[f"wl{row}@{section}"] += (cell.farad["wl"] * plan.spec.word_bits * N_COLUMNS
                                                    / N_SECTIONS["x"])
    for number, group in enumerate(plan.groups):
        for name, columns in columns_of(plan).items():
            m = len(group) * len(columns)
            for line in LINES[:2]:
                net = f"bit{number}/{line}{name}"
                if name != "idle":
                    add_ladder(circuit, net, "y", cell.line_ohm[line] * N_ROWS / len(group))
                for section in sections:
                    node = f"{net}@{section}" if name != "idle" else net
                    circuit.farad[node] += m * cell.farad[line] * N_ROWS / len(sections)
                    if idle[section]:
                        add_idle_cells(circuit, cell, node, f"wl{holder[section]}", m * len(idle[section]), line)
            for row in plan.rows:
                add_cell(circuit, macro, plan, row, number, name, m)


def row_section(row: int) -> int:
    """The section of the bit lines, and of the row decoder's lines, in which a row is; row 0 is at the bottom."""
    return row * N_SECTIONS["y"] // N_ROWS


def columns_of(plan: Plan) -> dict[str, list[int]]:
    """Column name -> columns that it stands for."""
    found: dict[str, list[int]] = {}
    for column in range(N_COLUMNS):
        found.setdefault(plan.column_name(column), []).append(column)
    return found


def most_common(values: Iterable[str]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for value in values:
        counts[value] += 1
    return max(sorted(counts), key=counts.get)


def add_idle_cells(circuit: Circuit, cell: BitCell, line: str, word_line: str, n: int, side: str) -> None:
    """The access transistors of n cells that no access reaches, half of them with 1 behind them."""
    [access] = [mos for mos in cell.transistors if mos.gate == "wl" and side in (mos.drain, mos.source)]
    for stored, m in (("vdd", n - n // 2), ("vss", n // 2)):
        ends = {"drain": line if access.drain == side else stored, "source": line if access.source == side else stored}
        circuit.transistors.append(msgspec.structs.replace(
            access, name=f"i{len(circuit.transistors)}", gate=word_line, m=m, **ends))


def add_cell(circuit: Circuit, macro: ExtractedMacro, plan: Plan, row: int, group: int, column: str, m: int) -> None:
    """m cells of one row that hold the same: those of a group's bits."""
    where = f"cell{row}/{group}/{column}"
    bit = plan.groups[group][len(plan.groups[group]) // 2]
    section = bit * N_SECTIONS["x"] // plan.spec.word_bits
    bl_section = row_section(row)
    nets = {"wl": f"wl{row}@{section}", "vdd": "vdd", "vss": "vss", **{node: f"{where}/{node}" for node in NODES}}
    for line in LINES[:2]:
        nets[line] = f"bit{group}/{line}{column}" + ("" if column == "idle" else f"@{bl_section}")
    for mos in macro.bitcell.transistors:
        circuit.transistors.append(msgspec.structs.replace(
            mos, name=f"c{len(circuit.transistors)}", m=m, drain=nets[mos.drain], gate=nets[mos.gate],
            source=nets[mos.source]))
    for node in NODES:
        circuit.farad[nets[node]] += m * macro.bitcell.farad[node]
    for each in columns_of(plan)[column]:
        circuit.cells[row, each, group] = nets["bit"]
