"""Cells without timing: ties, fillers, taps, decoupling capacitors, the antenna diode. What they leak is simulated."""

import re

from flow.characterise.corner import SLEWS_NS, Corner
from flow.characterise.extract import Device, ExtractedCell, extract_cell
from flow.characterise.function import liberty_text, load_function
from flow.characterise.kit import LIBRARY, cell_file
from flow.characterise.layout import load_layout
from flow.characterise.leakage import leakage_job
from flow.characterise.ngspice import Simulator
from flow.characterise.ramps import Copy, ramp_job
from flow.characterise.result import CellResult, Leakage, Pin
from flow.pdk.lef import parse_lef

STATIC = re.compile(r"conb_1|fill_\d+|decap_\d+|tap_\d+|tapvpwrvgnd_1|diode_2")
LARGEST_TIE_LOAD_PF = 0.1
"""A tie drives no transitions: the limit only keeps its fanout reasonable."""

DIODE_W_UM = 1.0
DIODE_L_UM = 0.15
"""The transistor that lends the antenna diode its junction; any size will do, only differences count."""

N_DIODES = 1000
"""Junctions in parallel for leakage, so that it stands out of the simulator's rounding."""

SMALLEST_LEAKAGE_NW = 1e-6
"""Less than this of a decoupling capacitor is the simulator's rounding: the models have no current through a gate."""

SUPPLY_PINS = ("VGND", "VNB", "VPB", "VPWR")
PICO = 1e12


def is_static(cell: str) -> bool:
    """Whether a cell is one without timing.

    >>> is_static("conb_1"), is_static("fill_8"), is_static("inv_1")
    (True, True, False)
    """
    return STATIC.fullmatch(cell) is not None


def static_cell(cell: str, corner: Corner, simulator: Simulator) -> CellResult:
    """Area (of its LEF), pins and leakage; a tie's outputs have their constants."""
    lef = parse_lef(cell_file(cell, "magic.lef").read_text(), f"{cell}.magic.lef")[f"{LIBRARY}__{cell}"]
    area = round(lef.size_um[0] * lef.size_um[1], 4)
    pins: tuple[Pin, ...] = ()
    leakage = (Leakage("", 0.0),)                           # no transistor, so nothing that leaks in the models
    if cell.startswith("conb"):
        pins = tuple(Pin(name, "output", liberty_text(expression), LARGEST_TIE_LOAD_PF)
                     for name, expression in load_function(cell).outputs.items())
    elif cell.startswith("diode"):
        pins, leakage = diode_pin_and_leakage(cell, corner, simulator)
    elif cell.startswith("decap"):
        extracted = extract_cell(cell)
        [[power]] = simulator.run([leakage_job(extracted, corner, [{}], ())])
        leakage = (Leakage("", power if power > SMALLEST_LEAKAGE_NW else 0.0),)
    return CellResult(cell, corner.name, area, pins, (), (), leakage,
                      supplies=tuple(sorted(lef.pins.keys() & set(SUPPLY_PINS))))


def diode_pin_and_leakage(cell: str, corner: Corner, simulator: Simulator) -> tuple[tuple[Pin, ...],
                                                                                  tuple[Leakage, ...]]:
    """The antenna diode's pin: wires, and the junction of its diffusion in the p-substrate.

    That is the junction which the models of the nfet have at its drain: a transistor with this area and perimeter less
    one without, all of its terminals at the diode's pin.
    """
    metal = extract_cell(cell)
    [pin] = (port for port in metal.ports if port not in SUPPLY_PINS)
    layout = load_layout(cell_file(cell, "gds"), f"{LIBRARY}__{cell}")
    pieces = [piece for piece, net in zip(layout.pieces, layout.nets, strict=True)
              if net == pin and piece.layer == "diff"]
    area = sum(piece.polygon.area() for piece in pieces) * layout.dbu_um**2
    edge = sum(piece.polygon.perimeter() for piece in pieces) * layout.dbu_um
    pair = (with_junction(metal, pin, area, edge), with_junction(metal, pin, 0.0, 0.0))
    copy = Copy({}, "none", 1e-15, False)
    with_it, without = (result[0][0] for result in simulator.run(
        [ramp_job(one, corner, pin, (), [copy], (SLEWS_NS[3],)) for one in pair]))
    wires = sum(c.value for c in metal.capacitors if pin in (c.a, c.b))
    capacitance = {edge: (wires + (with_it[f"pin_{edge}"] - without[f"pin_{edge}"]) / corner.voltage) * PICO
                   for edge in ("rise", "fall")}
    at_supply = [with_junction(metal, "VPWR", *size) for size in ((N_DIODES * area, N_DIODES * edge), (0.0, 0.0))]
    [leaks], [base] = simulator.run([leakage_job(one, corner, [{}], ()) for one in at_supply])
    return ((Pin(pin, "input", rise_capacitance_pf=capacitance["rise"], fall_capacitance_pf=capacitance["fall"]),),
            (Leakage(pin, max(leaks - base, 0.0) / N_DIODES), Leakage(f"!{pin}", 0.0)))


def with_junction(cell: ExtractedCell, net: str, area_um2: float, edge_um: float) -> ExtractedCell:
    """A cell that is one nfet with all of its terminals at a net, whose drain has a junction to the substrate.

    edge_um is that to the isolation; the models take the gate's edge from the perimeter, so it is added.
    """
    nets = (net, net, net)
    device = Device("nfet_01v8", nets, nets, "VNB", w=DIODE_W_UM, l=DIODE_L_UM, ad=area_um2, as_=0.0,
                    pd=edge_um + DIODE_W_UM, ps=DIODE_W_UM, sa=1.0, sb=1.0)
    ports = cell.ports if net in SUPPLY_PINS else (*SUPPLY_PINS, net)
    return ExtractedCell(cell.name, tuple(p for p in ports if p in SUPPLY_PINS or p == net), (device,), (), (),
                         cell.area_um2)
