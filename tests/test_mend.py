"""Detours, mending between cells that are there, nets a macro, delays at ports: what they must reach and must leave."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from physical_kit import LIBRARY, kit_cells, kit_technology
from test_repair import workshop
from timing_kit import FAST, LOGIC, ROW, SITE, SLOW, chain, fan, liberty_text, placed, write_kit

from flow.characterise.liberty_read import parse_liberty
from flow.physical.design import outline
from flow.physical.netlist import Netlist, check_netlist
from flow.repair.bench import load_kit
from flow.repair.detours import detours_of
from flow.repair.edit import Editor
from flow.repair.hold import Margins, repair_hold
from flow.repair.macros import one_net_a_macro
from flow.repair.mend import mend
from flow.repair.same import check_same
from flow.repair.seats import seat_cells
from flow.repair.shop import Workshop
from flow.repair.spec import HoldSpec, RepairSpec
from flow.route.guides import REGION_COLUMNS, REGION_ROWS
from flow.route.lattice import Lattice
from flow.timing.engine import clock_nets
from flow.timing.estimate import net_trees
from flow.timing.liberty import read_cells
from flow.timing.reports import EndSlack
from golden.spec import SpecError

CELLS = kit_cells(*LOGIC)
INV, BUF, FLOP, GATE = (f"{LIBRARY}__{name}" for name in ("inv_1", "buf_2", "dfxtp_1", "dlclkp_1"))
LATTICE = Lattice(nx=1000, ny=1000, n_layers=4, pitch_x=460, pitch_y=340, x0=230, y0=170)


@pytest.fixture(scope="module")
def library():
    return read_cells(parse_liberty(liberty_text(SLOW)), SLOW)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return write_kit(tmp_path_factory.mktemp("kit"))


@pytest.mark.eda            # compiles
def test_nets_that_are_led_around_get_the_length_of_their_way():
    design = chain(2, step=60)
    trees = net_trees(design.placement, design.netlist, CELLS)
    shape, width, height = trees.trees, REGION_COLUMNS * LATTICE.pitch_x, REGION_ROWS * LATTICE.pitch_y
    up = np.maximum(shape.parent, 0)
    steps = (abs((shape.x - 230) // width - (shape.x[up] - 230) // width)
             + abs((shape.y - 170) // height - (shape.y[up] - 170) // height)) * (shape.parent >= 0)
    own = dict(zip(trees.names, np.add.reduceat(steps, shape.first[:-1]).tolist(), strict=True))
    assert not detours_of(trees, own, LATTICE)                     # straight
    assert not detours_of(trees, {"n1": own["n1"] + 1}, LATTICE)   # rounding
    found = detours_of(trees, {**own, "n1": own["n1"] + 10}, LATTICE)
    assert set(found) == {"n1"}
    longer = trees.stretched(found)
    assert 2 * (longer.trees.length_nm - shape.length_nm) / (width + height) == pytest.approx(10, abs=0.1)
    assert (longer.trees.x == shape.x).all() and trees.stretched({}).trees.length_nm == shape.length_nm


def test_the_clock_is_followed_through_buffers_and_gates_and_not_through_registers(library):
    netlist = Netlist("c", {"clk": "input", "en": "input", "q": "output"}, {"b": BUF, "g": GATE, "f": FLOP, "i": INV}, {
        "clk": (("", "clk"), ("b", "A")), "c1": (("b", "X"), ("g", "CLK")), "en": (("", "en"), ("g", "GATE")),
        "c2": (("g", "GCLK"), ("f", "CLK")), "q": (("", "q"), ("f", "Q"), ("i", "A")), "d": (("i", "Y"), ("f", "D"))})
    assert clock_nets(netlist, library, "clk") == ["clk", "c1", "c2"]


def test_new_and_resized_cells_are_seated_and_only_neighbours_move():
    netlist = chain(12).netlist
    at = {name: (40 + 3 * k, 4) for k, name in enumerate(netlist.instances)}
    before = placed(netlist, {**at, "core__a_reg_bit_0__ff": (20, 4), "core__b_reg": (110, 4)})
    order = [name for name in before.netlist.instances if name.startswith("u")]
    editor = Editor(before, CELLS)
    editor.resize("u3", f"{LIBRARY}__inv_8")
    editor.add_buffer("mend_0_0", BUF, "n6", [("u6", "A")], (SITE * 60, ROW * 4))
    after = seat_cells(before, editor.design(), CELLS, kit_technology(), held=["u0"])
    check_netlist(after.netlist, CELLS)
    places = after.placement.instances
    boxes = [outline(place, CELLS[place.cell]) for place in places.values()]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert all((place.x % SITE, place.y % ROW) == (0, 0) for place in places.values())
    assert places["u0"] == before.placement.instances["u0"] and places["u3"].cell.endswith("inv_8")
    moved = [abs(places[name].x - before.placement.instances[name].x) for name in order]
    assert max(moved) < 20 * SITE and all(places[name].y == ROW * 4 for name in order if name != "u3")
    none = replace(before, placement=replace(before.placement, rows=(), instances={
        name: place._replace(fixed=True) for name, place in before.placement.instances.items()}))
    editor = Editor(none, CELLS)
    editor.add_buffer("mend_0_0", BUF, "n6", [("u6", "A")], (SITE * 60, ROW * 4))
    with pytest.raises(SpecError, match="must have room"):
        seat_cells(none, editor.design(), CELLS, kit_technology(), held=[])


def test_pins_of_several_macros_get_a_net_each(library):
    """Inverters stand for macros here; the clock's net and nets of one macro stay whole."""
    block = replace(CELLS[INV], name="block", kind="BLOCK")
    cells = {**CELLS, "block": block}
    instances = {"f": FLOP, "m0": "block", "m1": "block", "u": INV}
    drawn = Netlist("m", {"clk": "input", "d": "input"}, {**instances, "m0": INV, "m1": INV}, {
        "clk": (("", "clk"), ("f", "CLK")), "d": (("", "d"), ("f", "D")),
        "q": (("f", "Q"), ("m0", "A"), ("m1", "A"), ("u", "A")), "z": (("u", "Y"),)})
    at = {"f": (10, 2), "m0": (200, 2), "m1": (10, 60), "u": (100, 2)}
    design, netlist = placed(drawn, at), replace(drawn, instances=instances)
    design = replace(design, netlist=netlist, placement=replace(design.placement, instances={
        name: place._replace(cell=instances[name]) for name, place in design.placement.instances.items()}))
    timer = SimpleNamespace(cells=cells, library=lambda corner: library, spec=SimpleNamespace(clock_port="clk"))
    after = one_net_a_macro(design, SimpleNamespace(timer=timer, corner=SLOW, buffers=(BUF,)))
    assert sorted(after.netlist.nets["q"]) == [("f", "Q"), ("macro_0", "A"), ("macro_1", "A"), ("u", "A")]
    assert after.netlist.nets["macro_0_net"] == (("m0", "A"), ("macro_0", "X"))
    near = after.placement.instances["macro_1"]
    assert abs(near.x - SITE * 10) < 5000 and abs(near.y - ROW * 60) < 5000
    one = replace(netlist, nets={**netlist.nets, "q": (("f", "Q"), ("m0", "A"), ("u", "A")), "o": (("m1", "A"),)})
    assert one_net_a_macro(replace(design, netlist=one), SimpleNamespace(
        timer=timer, corner=SLOW, buffers=(BUF,))).netlist.instances == instances


def test_the_margin_grows_with_the_clock_s_way():
    reports = {SLOW: SimpleNamespace(latencies={"a/CLK": (1.0, 4.0)}, hold={"a/D": EndSlack(0.25, "x")}),
               FAST: SimpleNamespace(latencies={"a/CLK": (0.5, 1.0)}, hold={"a/D": EndSlack(0.2, "x")})}
    margins = Margins.of(reports, HoldSpec(margin_ns=0.1, latency_share=0.05))
    assert margins.hold == pytest.approx({SLOW: 0.3, FAST: 0.15})
    assert margins.short(reports) == 1
    assert Margins.of(reports, HoldSpec(margin_ns=0.1, latency_share=0.0)).short(reports) == 0


@pytest.mark.parametrize(("spec", "wrong"), [
    (RepairSpec, {"mendings": -1}), (RepairSpec, {"mend_share": 0.5}), (HoldSpec, {"latency_share": 0.6}),
])
def test_demands_that_make_no_sense_are_refused(spec, wrong):
    with pytest.raises(SpecError, match=next(iter(wrong))):
        spec(**wrong)


@dataclass(frozen=True)
class Crowded(Workshop):
    """A die in which one net is led around."""

    def detours(self, design, *, propagated):
        return {"n6": 40.0} if "n6" in design.netlist.nets else {}


@pytest.mark.eda
def test_what_a_detour_makes_slow_is_mended_and_the_clock_stays(kit, tmp_path, library):
    shop = workshop(kit, tmp_path, clock_period_ns=20.0)
    crowded = Crowded(shop.timer, shop.technology, shop.place, shop.desk, shop.folder, shop.tell)
    design = chain(12, step=40)
    load = load_kit(shop.timer, SLOW, dict.fromkeys(design.netlist.instances.values()))
    assert not mend(design, shop, load, RepairSpec(mendings=0), propagated=True).beyond
    assert mend(design, crowded, load, RepairSpec(mendings=0), propagated=True).beyond
    mended = mend(design, crowded, load, RepairSpec(), propagated=True)
    assert not mended.beyond and not mended.report.slews
    check_same(design.netlist, mended.design.netlist, CELLS, library)
    check_netlist(mended.design.netlist, CELLS)
    assert mended.design.netlist.nets["clk"] == design.netlist.nets["clk"]
    assert mended.design.netlist != design.netlist


@pytest.mark.eda
def test_inputs_that_come_too_early_are_held_up_at_their_port_once(kit, tmp_path, library):
    design = fan(1)
    sinks = tuple((name, "D") for name in design.netlist.instances if name != "u")
    many = replace(design.netlist, nets={**design.netlist.nets, "in": (("", "in"), *sinks), "big": (("u", "Y"),)})
    shop = workshop(kit, tmp_path, clock_period_ns=10.0, input_hold_share=0.0, hold_uncertainty_ns=0.3)
    result = repair_hold(replace(design, netlist=many), shop, HoldSpec(), SLOW, RepairSpec())
    netlist = result.design.netlist
    delays = [name for name in netlist.instances if name.startswith("hold_")]
    assert 0 < len(delays) <= 3 and ("hold_0", "A") in netlist.nets["in"] and len(netlist.nets["in"]) == 2
    assert all(report.worst("hold") > 0.05 for report in result.reports.values())
    check_same(many, netlist, CELLS, library)
