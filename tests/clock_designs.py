"""Placed designs for tests of clock trees: registers, clock gates and other cells in rows, drawn from a seed."""

import gzip
import random
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from physical_kit import CONFIG, LIBRARY, kit_cells, kit_technology
from random_netlist import MACRO_LEF

from flow.clock.engine import Kit
from flow.clock.library import ClockLibrary
from flow.clock.wire import ClockWire
from flow.pdk.liberty import cell_text, packed_path
from flow.physical.abstract import CellAbstract, parse_abstracts
from flow.physical.design import Design, Placed, Placement, Row
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import Netlist

SITE, ROW = 460, 2720
REACH_SITES = 56
KINDS = ("dfxtp_1", "dfxtp_2", "dfrtp_1", "dfrtn_1", "dlclkp_1", "dlclkp_2", "dlclkp_4", "clkbuf_1", "clkbuf_2",
         "clkbuf_4", "clkbuf_8", "clkbuf_16", "buf_1", "buf_4", "buf_6", "buf_8", "inv_1", "inv_2", "nand2_1",
         "and2_1", "xor2_1", "tapvpwrvgnd_1", "dlygate4sd3_1")
SLOW, TYPICAL = "ss_100C_1v60", "tt_025C_1v80"
WIRE = ClockWire(resistance=1e-3, capacitance=1.5e-4)
"""A kohm and 0.15 pF a mm."""

MACRO_LIBERTY = """library ("memory") {
  time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA"; capacitive_load_unit (1.0, "pf");
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  type ("one") { base_type : array; data_type : bit; bit_width : 1; bit_from : 0; bit_to : 0; }
  type ("two") { base_type : array; data_type : bit; bit_width : 2; bit_from : 1; bit_to : 0; }
  cell ("memory") {
    pin ("clk") { direction : input; clock : true; capacitance : 0.025; max_transition : 0.6; }
    bus ("d") { bus_type : "two"; direction : input; capacitance : 0.005;
      timing () { related_pin : "clk"; timing_type : setup_rising;
        rise_constraint (scalar) { values ("0.1"); } fall_constraint (scalar) { values ("0.1"); } } }
    bus ("a") { bus_type : "one"; direction : input; capacitance : 0.005; }
    bus ("q") { bus_type : "one"; direction : output;
      timing () { related_pin : "clk"; timing_type : rising_edge; timing_sense : non_unate;
        cell_rise (scalar) { values ("1.0"); } cell_fall (scalar) { values ("1.0"); }
        rise_transition (scalar) { values ("0.1"); } fall_transition (scalar) { values ("0.1"); } } }
  }
}
"""


def clock_cells() -> dict[str, CellAbstract]:
    return kit_cells(*KINDS) | parse_abstracts(MACRO_LEF, "memory.lef")


@cache
def liberty_folder() -> Path:
    """What these designs need of the kit's Liberty, and the small memory's."""
    folder = Path(mkdtemp(prefix="stillwater-clock-"))
    for corner in (SLOW, TYPICAL):
        text = gzip.decompress(packed_path(CONFIG, corner).read_bytes()).decode()
        cells = filter(None, (cell_text(text, f"{LIBRARY}__{kind}") for kind in KINDS))
        (folder / f"{corner}.lib").write_text("\n".join([text[:text.index("  cell (")], *cells, "}", ""]))
    (folder / "memory.lib").write_text(MACRO_LIBERTY)
    return folder


@cache
def clock_library(corner: str) -> ClockLibrary:
    return ClockLibrary(liberty_folder() / f"{corner}.lib", [liberty_folder() / "memory.lib"])


@cache
def clock_kit(*corners: str, wire: ClockWire = WIRE) -> Kit:
    corners = corners or (SLOW,)
    return Kit(clock_cells(), kit_technology(), {corner: clock_library(corner) for corner in corners},
               dict.fromkeys(corners, wire))


class Drawing:
    """A netlist in the making; every data input hangs on the port d, every enable on e."""

    def __init__(self):
        self.instances: dict[str, str] = {}
        self.nets: dict[str, list] = {port: [("", port)] for port in ("clk", "d", "e")}

    def add(self, name: str, kind: str, clock: str, output: str = "") -> str:
        """A cell at the net `clock`; the net that it drives, if that is to have a name."""
        cell = kind if kind == "memory" else f"{LIBRARY}__{kind}"
        self.instances[name] = cell
        pins = clock_cells()[cell].signal_pins
        clocked = next(pin for pin in ("CLK", "CLK_N", "clk", "A") if pin in pins)
        for pin, abstract in pins.items():
            if abstract.direction == "INPUT":
                net = clock if pin == clocked else "e" if pin == "GATE" else "d"
                self.nets[net].append((name, pin))
        if output:
            out = next(pin for pin, abstract in pins.items() if abstract.direction == "OUTPUT")
            self.nets[output] = [(name, out)]
        return output

    def netlist(self) -> Netlist:
        return Netlist("drawn", dict.fromkeys(("clk", "d", "e"), "input"), self.instances,
                       {name: tuple(pins) for name, pins in self.nets.items()})


def registers(n: int) -> Drawing:
    """n registers on the clock's port."""
    drawing = Drawing()
    for number in range(n):
        drawing.add(f"f{number}", "dfxtp_1", "clk")
    return drawing


def gated(n: int, n_gates: int, behind: int, macro: bool = False) -> Drawing:
    """n registers on the port, and gates with registers behind them; the last gate drives a memory."""
    drawing = registers(n)
    for gate in range(n_gates):
        net = drawing.add(f"gate{gate}", "dlclkp_1", "clk", f"gclk{gate}")
        if macro and gate == n_gates - 1:
            drawing.add("m0", "memory", net)
            continue
        for number in range(behind):
            drawing.add(f"g{gate}_f{number}", "dfxtp_1", net)
    return drawing


def place(netlist: Netlist, utilisation: float = 0.6, seed: int = 1, stretch: float = 1.0) -> Design:
    """Cells in rows in the order of a shuffle; taps are fixed. stretch: how much wider a square die's rows are."""
    rng, cells = random.Random(seed), clock_cells()
    names = [name for name, cell in netlist.instances.items() if cell != "memory"]
    rng.shuffle(names)
    n_sites = sum(cells[netlist.instances[name]].width for name in names) / SITE / utilisation
    n_rows = max(4, round((n_sites * SITE / ROW / stretch) ** 0.5))
    in_row = max(int(n_sites / n_rows) + 20, 2 * REACH_SITES)
    x0, y0 = 12 * SITE, 2 * ROW
    rows, instances, row, column = [], {}, 0, 0
    for number in range(n_rows + 4 + n_rows // 6):
        rows.append(Row(y0 + number * ROW, x0, x0 + in_row * SITE, ("N", "FS")[number % 2]))
        for tap in range(number % 2 * REACH_SITES // 2, in_row, REACH_SITES):
            instances[f"TAP_{number}_{tap}"] = Placed(f"{LIBRARY}__tapvpwrvgnd_1", x0 + tap * SITE, rows[-1].y,
                                                      rows[-1].orientation, True)
    for name in names:
        width = cells[netlist.instances[name]].width // SITE
        column += rng.randrange(round(2 * width * (1 / utilisation - 1)) + 1)
        taps = range(row % 2 * REACH_SITES // 2, in_row, REACH_SITES)
        while hit := [tap for tap in taps if tap < column + width and column < tap + 1]:
            column = hit[0] + 1
        if column + width > in_row:
            row, column = row + 1, 1
        instances[name] = Placed(netlist.instances[name], x0 + column * SITE, rows[row].y, rows[row].orientation)
        column += width
    top = rows[-1].y + ROW
    memory = [name for name, cell in netlist.instances.items() if cell == "memory"]
    for number, name in enumerate(memory):
        instances[name] = Placed("memory", x0 + number * 100_000, top + 2720, "N", True)
    height = top + (2720 + 75_500 if memory else 0)
    right = x0 + max(in_row * SITE, len(memory) * 100_000)
    ports = {port: Shape("met3", 0, 170 + 680 * k - 150, 1000, 170 + 680 * k + 150)
             for port, k in zip(netlist.ports, (20, 24, 28), strict=True)}
    return Design(Placement("drawn", Rect(0, 0, right + 12 * SITE, height + 2 * ROW), Rect(x0, y0, right, height),
                            tuple(rows), instances, ports), netlist)
