"""A kit and small placed designs for tests of timing: real libraries and LEF, no tree to assemble."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from physical_kit import CONFIG, LIBRARY, kit_cells, kit_technology

from flow.pdk.assemble import find_package, join_lef
from flow.pdk.liberty import load_packed
from flow.pdk.tree import Pdk
from flow.physical.design import Design, Placed, Placement, Row
from flow.physical.geometry import Rect
from flow.physical.netlist import Netlist, Pin
from flow.place.pins import assign_pins, find_slots
from flow.timing.analyse import Timer
from flow.timing.spec import TimingSpec

SITE, ROW = 460, 2720
SLOW, TYPICAL, FAST = "ss_100C_1v60", "tt_025C_1v80", "ff_n40C_1v95"
LOGIC = ("inv_1", "inv_2", "inv_4", "inv_8", "buf_1", "buf_2", "buf_4", "buf_8", "buf_16", "clkbuf_16", "nand2_1",
         "nand2_2", "nand2_4", "nor2_1", "nor2_2", "nor2_4", "xor2_1", "xor2_2", "mux2_1", "mux2_2", "a21oi_1",
         "a21oi_2", "dfxtp_1", "dfxtp_2", "dfxtp_4", "conb_1", "dlygate4sd1_1", "dlygate4sd2_1", "dlygate4sd3_1",
         "clkdlybuf4s15_1", "clkdlybuf4s25_1", "clkdlybuf4s50_1")


@cache
def liberty_text(corner: str) -> str:
    text = load_packed(CONFIG, corner)
    assert text is not None, "the repository keeps the libraries"
    return text


def write_kit(root: Path) -> Pdk:
    """A tree with what timing and placement read."""
    package = find_package(CONFIG.packages[0]) / f"src/{LIBRARY}"
    texts = {CONFIG.corners[corner].liberty: liberty_text(corner) for corner in CONFIG.corners}
    texts |= {CONFIG.views[f"tech_lef_{rc}"]: (package / f"tech/{LIBRARY}__{rc}.tlef").read_text()
              for rc in ("min", "nom", "max")}
    texts[CONFIG.views["lef"]] = join_lef([next((package / "cells").glob(f"*/{LIBRARY}__{name}.magic.lef"))
                                           for name in sorted(LOGIC)])
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Pdk(CONFIG, root, "test", "none")


def timer(pdk: Pdk, **demands) -> Timer:
    return Timer(pdk, {}, kit_cells(*LOGIC), tuple(CONFIG.corners), TimingSpec(**{"clock_period_ns": 5.0, **demands}))


def placed(netlist: Netlist, at: dict[str, tuple[int, int]], die_um: int = 400) -> Design:
    """A design whose instances stand at (site, row); ports are on the left edge."""
    places = {name: Placed(cell, SITE * at[name][0], ROW * at[name][1], "FS" if at[name][1] % 2 else "N")
              for name, cell in netlist.instances.items()}
    size = die_um * 1000
    core = Rect(0, 0, size // SITE * SITE, size // ROW * ROW)
    rows = tuple(Row(y, 0, core.x1, "FS" if y // ROW % 2 else "N") for y in range(0, core.y1, ROW))
    placement = Placement(netlist.top, Rect(0, 0, size, size), core, rows, places)
    wishes = {port: (0, ROW * k) for k, port in enumerate(netlist.ports)}
    ports = assign_pins(wishes, find_slots(placement, kit_cells(*LOGIC), kit_technology()), netlist.top)
    return Design(replace(placement, ports=ports), netlist)


def chain(n: int, top: str = "chain", cell: str = "inv_1", step: int = 20) -> Design:
    """Port in -> register core__a_reg_bit_0__ff -> n inverters in a row -> register core__b_reg -> port out."""
    first, last, d = "core__a_reg_bit_0__ff", "core__b_reg", f"{LIBRARY}__dfxtp_1"
    instances = {first: d, **{f"u{k}": f"{LIBRARY}__{cell}" for k in range(n)}, last: d}
    nets: dict[str, tuple[Pin, ...]] = {
        "clk": (("", "clk"), (first, "CLK"), (last, "CLK")), "in": (("", "in"), (first, "D")),
        "n0": ((first, "Q"), ("u0", "A") if n else (last, "D"))}
    for k in range(n):
        nets[f"n{k + 1}"] = ((f"u{k}", "Y"), (f"u{k + 1}", "A") if k + 1 < n else (last, "D"))
    nets["out"] = (("", "out"), (last, "Q"))
    netlist = Netlist(top, {"clk": "input", "in": "input", "out": "output"}, instances, nets)
    return placed(netlist, {name: (20 + step * k, 4) for k, name in enumerate(instances)})


def fan(n: int, driver: str = "inv_1", spread: int = 1) -> Design:
    """A register, an inverter that drives n registers spread over rows; outputs of those go to ports."""
    d = f"{LIBRARY}__dfxtp_1"
    instances = {"core__s_reg": d, "u": f"{LIBRARY}__{driver}", **{f"core__r_reg_bit_{k}__ff": d for k in range(n)}}
    sinks = [(f"core__r_reg_bit_{k}__ff", "D") for k in range(n)]
    nets: dict[str, tuple[Pin, ...]] = {
        "clk": (("", "clk"), *((name, "CLK") for name in instances if name != "u")),
        "in": (("", "in"), ("core__s_reg", "D")), "s": (("core__s_reg", "Q"), ("u", "A")), "big": (("u", "Y"), *sinks)}
    nets |= {f"out[{k}]": (("", f"out[{k}]"), (f"core__r_reg_bit_{k}__ff", "Q")) for k in range(n)}
    ports = {"clk": "input", "in": "input"} | {f"out[{k}]": "output" for k in range(n)}
    at = {"core__s_reg": (40, 2), "u": (70, 2)}
    at |= {f"core__r_reg_bit_{k}__ff": (100 + 40 * spread * (k % 8), 2 + 3 * spread * (k // 8)) for k in range(n)}
    return placed(Netlist("fan", ports, instances, nets), at, die_um=300 + 200 * spread)
