"""Clock trees timed by OpenSTA with the wires that they were built with, beside our own numbers.

`python tests/clock_sta.py tiny demand` does that with finished designs in build/, at all corners.
"""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flow.clock.engine import ClockTree, Kit, make_clock_tree
from flow.clock.library import ClockLibrary
from flow.clock.spec import ClockSpec
from flow.clock.spef import tree_rc
from flow.clock.wire import load_wires
from flow.extract.spef import write_spef
from flow.pdk.config import load_pdk_config
from flow.pdk.tree import BUILD, load_pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import load_technology
from flow.physical.verilog import write_netlist
from flow.steps.clock import macro_liberty
from flow.tool import run_tool

PERIOD_NS = 20.0
ARRIVALS = """foreach pin [all_registers -clock_pins] { foreach vertex [$pin vertices] {
  foreach edge {rise fall} { foreach start {rise fall} {
    puts "AT [get_full_name $pin] $edge $start [$vertex arrivals_clk_delays $edge [get_clocks clk] $start 6]"
} } } }"""
FOUND = re.compile(r"^AT (\S+) (\S+) (\S+) ([-\d.]+) ", re.MULTILINE)
"""Pin, its edge, the port's edge, when; edges that do not come have INF there."""


def sta_arrivals(tree: ClockTree, kit: Kit, corner: str, libraries: list[Path], folder: Path,
                 input_slew: float) -> dict[tuple[str, str], tuple[float, float]]:
    """Clock pin -> when OpenSTA has its rising and its falling edge there (ns) after the port's edge."""
    netlist = tree.design.netlist
    (folder / "netlist.v").write_text(write_netlist(netlist))
    (folder / "nets.spef").write_text(write_spef(netlist, kit.cells, tree_rc(tree.root, kit.wires[corner])))
    (folder / "run.tcl").write_text("\n".join([
        *(f"read_liberty {path.resolve()}" for path in libraries), "read_verilog netlist.v",
        f"link_design {netlist.top}", "read_spef nets.spef",
        f"create_clock -name clk -period {PERIOD_NS} [get_ports clk]",
        f"set_input_transition {input_slew} [get_ports clk]", "set_propagated_clock clk", ARRIVALS, ""]))
    log = folder / f"{corner}.log"
    run_tool(["sta", "-no_splash", "-exit", "run.tcl"], log, cwd=folder)
    found: dict[tuple[str, str], list[float]] = {}
    for pin, edge, start, when in FOUND.findall(log.read_text()):
        instance, _, name = pin.replace("\\", "").rpartition("/")
        found.setdefault((instance, name), [0.0, 0.0])[edge == "fall"] = (
            float(when) - (PERIOD_NS / 2 if start == "fall" else 0.0))
    return {pin: (rise, fall) for pin, (rise, fall) in found.items()}


def compare(tree: ClockTree, kit: Kit, corner: str, libraries: list[Path], folder: Path,
            input_slew: float) -> tuple[list[float], list[float]]:
    """Arrivals of the acting edges at all clock pins, ours and OpenSTA's."""
    theirs = sta_arrivals(tree, kit, corner, libraries, folder, input_slew)
    nodes = [node for node in tree.timings[corner].arrivals if node.cell
             and node.input in kit.libraries[corner][node.cell].clock_pins]
    assert {node.pin for node in nodes} <= set(theirs)
    signals = tree.timings[corner].at
    return ([signals[node].arrival[node.edge] for node in nodes], [theirs[node.pin][node.edge] for node in nodes])


def main(names: list[str]) -> None:
    pdk = load_pdk(load_pdk_config())
    technology, wires, spec = load_technology(pdk), load_wires(pdk), ClockSpec()
    for name in names:
        text = (BUILD / f"{name}-sky130/place/place.def").read_text()
        lefs = [path for path in sorted((BUILD / "sram").glob("*/macro/*.lef")) if f" {path.stem} " in text]
        cells = load_cells(pdk, lefs)
        design = load_def(BUILD / f"{name}-sky130/place/place.def", technology)
        libraries = {corner: [pdk.liberty(corner), *(macro_liberty(lef.stem, lef, corner) for lef in lefs)]
                     for corner in pdk.config.corners}
        kit = Kit(cells, technology, {corner: ClockLibrary(paths[0], paths[1:])
                                      for corner, paths in libraries.items()}, wires)
        start = process_time()
        tree = make_clock_tree(design, kit, spec)
        print(f"{name}: {len(tree.timings[spec.corner].arrivals)} sinks, {process_time() - start:.1f} s of CPU")
        for corner, paths in libraries.items():
            with TemporaryDirectory() as folder:
                ours, theirs = compare(tree, kit, corner, paths, Path(folder), spec.input_slew_ns)
            worst = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
            print(f"  {corner}: latency {min(ours):.3f} to {max(ours):.3f} ns, OpenSTA {min(theirs):.3f} to "
                  f"{max(theirs):.3f}; skew {max(ours) - min(ours):.3f}, {max(theirs) - min(theirs):.3f}; "
                  f"a pin differs by at most {worst:.2%}")


if __name__ == "__main__":
    main(sys.argv[1:])
