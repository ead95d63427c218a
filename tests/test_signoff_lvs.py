"""LVS of a small routed design: it matches, and every kind of damage is found and said with the design's names."""

import fcntl
from dataclasses import replace

import klayout.db as kdb
import pytest
from signoff_designs import Made, make_routed

from flow.metrics import load_metrics
from flow.physical.design import Design, ViaUse, Wire
from flow.signoff.cdl import load_schematics
from flow.signoff.cells import compare_cells
from flow.signoff.extract import extract_chip
from flow.signoff.lvs import compare_chip
from flow.steps.lvs import run_lvs
from flow.steps.pdk import run_pdk
from golden.spec import SpecError

pytestmark = pytest.mark.eda


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder that workers of one run share, one at a time."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen") else base
    with (base / "sram.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setenv("HOME", "/nonexistent")
        patch.delenv("PDK_ROOT", raising=False)
        kit = run_pdk(base / "build")
        (base / "signoff").mkdir(exist_ok=True)
        return make_routed(kit, base / "signoff")                # the steps keep what is finished


@pytest.fixture(scope="module")
def kit(shared):
    return shared.pdk


@pytest.fixture(scope="module")
def made(shared) -> Made:
    return shared


def differences(made: Made, gds, design: Design | None = None) -> str:
    """All lines of a comparison of a GDS with the design (None: the right one)."""
    return "\n".join(compare_chip(gds, design or made.design, made.cells, made.pdk, {}).differences)


def long_wire(made: Made, layer: str) -> tuple[str, Wire]:
    """The net with the longest wire in a layer, and that wire."""
    wires = [(net, wire) for net, route in made.design.routes.items() for wire in route.wires if wire.layer == layer]
    return max(wires, key=lambda item: (abs(item[1].x1 - item[1].x0) + abs(item[1].y1 - item[1].y0), item[0]))


def test_a_routed_layout_matches_and_the_step_says_what_was_compared(made, tmp_path):
    metrics = run_lvs(made.gds.with_suffix(".def"), made.pdk, {}, tmp_path)
    assert metrics["design__lvs_error__count"] == 0
    assert metrics["design__lvs__net__count"] == len(made.design.netlist.nets) + 2
    assert metrics["design__lvs__instance__count"] == len(made.design.placement.instances)
    assert metrics["design__lvs__device__count"] > 6 * len(made.design.netlist.instances)
    assert (tmp_path / "lvs" / "lvs.txt").read_text().endswith("match\n")
    assert load_metrics(tmp_path / "lvs" / "metrics.json").values == metrics.values


def test_the_step_fails_with_the_differences(made, tmp_path):
    net = sorted(made.design.routes)[0]
    made.drawn(tmp_path / "random.gds", made.with_route(net, vias=made.design.routes[net].vias[1:]))
    (tmp_path / "random.def").write_bytes(made.gds.with_suffix(".def").read_bytes())
    with pytest.raises(SpecError, match=rf"must match its netlist, and \d+ differences were found.*\n  open: {net} "):
        run_lvs(tmp_path / "random.def", made.pdk, {}, tmp_path)
    assert not (tmp_path / "lvs").exists()


def test_a_wire_across_others_is_a_short_with_both_nets(made, tmp_path):
    net, wire = long_wire(made, "met2")
    route, die = made.design.routes[net], made.design.placement.die
    across = Wire("met2", die.x0 + 2000, (wire.y0 + wire.y1) // 2, die.x1 - 2000, (wire.y0 + wire.y1) // 2)
    found = differences(made, made.drawn(tmp_path / "x.gds", made.with_route(net, wires=(*route.wires, across))))
    assert "shorted: " in found and "(at i[0])" in found and "more" in found


def test_every_removed_via_of_a_net_is_an_open(made, tmp_path):
    net = next(net for net, pins in made.design.netlist.nets.items() if len(pins) == 2 and net in made.design.routes
               and len(made.design.routes[net].vias) > 3)
    for index, via in enumerate(made.design.routes[net].vias):
        vias = made.design.routes[net].vias
        found = differences(made, made.drawn(tmp_path / "x.gds", made.with_route(
            net, vias=vias[:index] + vias[index + 1:])))
        assert f"open: {net} " in found, via


def test_swapped_pins_are_an_open_and_a_short(made):
    """A netlist with A1 and A2 of a gate exchanged, for the same layout."""
    gate = next(name for name, cell in made.design.netlist.instances.items() if cell.endswith("a21oi_1"))
    swap = {(gate, "A1"): (gate, "A2"), (gate, "A2"): (gate, "A1")}
    nets = {net: tuple(swap.get(pin, pin) for pin in pins) for net, pins in made.design.netlist.nets.items()}
    found = differences(made, made.gds, replace(made.design, netlist=replace(made.design.netlist, nets=nets)))
    assert "shorted: " in found and f"{gate}/A1" in found and f"{gate}/A2" in found


def test_a_cell_that_is_flipped_in_the_layout_only_is_not_the_design_s(made, tmp_path):
    name = sorted(made.design.netlist.instances)[0]
    placed = made.design.placement.instances[name]
    turned = placed._replace(orientation={"N": "FN", "FN": "N", "S": "FS", "FS": "S"}[placed.orientation])
    found = differences(made, made.drawn(tmp_path / "x.gds", made.with_placement(
        instances={**made.design.placement.instances, name: turned})))
    assert f"1 instances are not in the layout: {name} " in found and "1 instances of the layout are not in" in found


def test_a_cell_upside_down_in_layout_and_design_shorts_the_supplies(made, tmp_path):
    name = sorted(made.design.netlist.instances)[0]
    placed = made.design.placement.instances[name]
    turned = placed._replace(orientation={"N": "FS", "FS": "N", "S": "FN", "FN": "S"}[placed.orientation])
    design = made.with_placement(instances={**made.design.placement.instances, name: turned})
    found = differences(made, made.drawn(tmp_path / "x.gds", design), design)
    assert "shorted: VGND (at " in found or "shorted: VPWR (at " in found


def test_rails_without_straps_are_held_by_nothing_but_well_and_substrate(made, tmp_path):
    supplies = {name: replace(supply, straps=(), vias=(), pins=supply.pins)
                for name, supply in made.design.placement.supplies.items()}
    found = differences(made, made.drawn(tmp_path / "x.gds", made.with_placement(supplies=supplies)))
    assert "held together by a well or the substrate only" in found or "open: VGND is" in found
    assert "VPWR" in found


def test_rows_without_taps_have_wells_that_are_not_tied(made, tmp_path):
    taps = {name: placed._replace(cell="sky130_fd_sc_hd__fill_1") if "tap" in placed.cell else placed
            for name, placed in made.design.placement.instances.items()}
    design = made.with_placement(instances=taps)
    found = differences(made, made.drawn(tmp_path / "x.gds", design), design)
    assert "open: VPWR is " in found and "/VPB" in found


def in_cell(kind: str, damage):
    """Damages a cell of the library in the layout."""
    return lambda layout, top: damage(layout, layout.cell(f"sky130_fd_sc_hd__{kind}"))


def test_a_fill_cell_with_a_bridge_shorts_the_supplies(made, tmp_path):
    def bridge(layout, cell):
        cell.shapes(layout.layer(*made.layer("met1"))).insert(kdb.Box(100, 0, 300, 2720))
    for kind in ("fill_1", "decap_3"):
        found = differences(made, made.damaged(tmp_path / "x.gds", in_cell(kind, bridge)))
        assert "shorted: VGND" in found or "shorted: VPWR" in found, kind


@pytest.mark.parametrize("layer, what", [("licon", "a net without a partner"), ("poly", "a device without a partner|"
                                         "a net without a partner"), ("psdm", "p diffusion without psdm")])
def test_a_cell_that_lacks_a_shape_is_not_its_schematic(made, tmp_path, layer, what):
    def remove(layout, cell):
        shapes = cell.shapes(layout.layer(*made.layer(layer)))
        for shape in list(shapes.each()):
            shape.delete()
    found = differences(made, made.damaged(tmp_path / "x.gds", in_cell("inv_1", remove)))
    assert any(part in found for part in what.split("|")), found


def test_a_transistor_of_another_width_is_found(made, tmp_path):
    def widen(layout, cell):
        shapes = cell.shapes(layout.layer(*made.layer("diff")))
        for shape in list(shapes.each()):
            box = shape.bbox()
            shapes.insert(kdb.Box(box.left, box.bottom, box.right, box.top + 10))
    found = differences(made, made.damaged(tmp_path / "x.gds", in_cell("inv_1", widen)))
    assert "cell sky130_fd_sc_hd__inv_1: a device of another size" in found


def test_poly_at_the_top_level_over_a_cell_changes_its_devices(made, tmp_path):
    name = next(name for name, cell in made.design.netlist.instances.items() if cell.endswith("nand2_1"))
    placed = made.design.placement.instances[name]

    def gate(layout, top):
        top.shapes(layout.layer(*made.layer("poly"))).insert(
            kdb.Box(placed.x + 100, placed.y + 400, placed.x + 1300, placed.y + 550))
    assert differences(made, made.damaged(tmp_path / "x.gds", gate))


def test_an_implant_over_a_neighbour_s_diffusion_is_found(made, tmp_path):
    placed = made.design.placement.instances[sorted(made.design.netlist.instances)[0]]

    def cover(layout, top):
        box = kdb.Box(placed.x, placed.y, placed.x + 1500, placed.y + 2720)
        top.shapes(layout.layer(78, 44)).insert(box)
        top.shapes(layout.layer(125, 44)).insert(box)
    found = differences(made, made.damaged(tmp_path / "x.gds", cover))
    assert "an nfet under hvtp, at " in found and "lvtn over diffusion or poly, at " in found


def test_a_wire_on_metal_inside_a_cell_is_found(made, tmp_path):
    """li1 of a flip-flop's inner node, touched by another net."""
    flop = next(name for name, cell in made.design.netlist.instances.items() if cell.endswith("dfxtp_1"))
    circuit = "sky130_fd_sc_hd__dfxtp_1"

    def touch(layout, top):
        cell, li1 = layout.cell(circuit), layout.layer(*made.layer("li1"))
        named = kdb.Region(cell.shapes(layout.layer(67, 16)))
        inner = next(p for p in kdb.Region(cell.shapes(li1)).merged().each()
                     if kdb.Region(p).interacting(named).is_empty() and 500 < p.bbox().bottom and p.bbox().top < 2300)
        place = next(inst for inst in top.each_inst() if inst.cell.name == circuit)
        box = inner.bbox().transformed(place.trans)
        top.shapes(li1).insert(kdb.Box(box.left - 1500, box.center().y - 85, box.right, box.center().y + 85))
    found = differences(made, made.damaged(tmp_path / "x.gds", touch))
    assert "beside its pins" in found and flop
    assert "touches metal of " in found


def test_a_label_that_is_lost_or_moved_is_found(made, tmp_path):
    port = sorted(made.design.placement.ports)[0]

    def lose(layout, top):
        for index in layout.layer_indexes():
            for shape in list(top.shapes(index).each(kdb.Shapes.STexts)):
                if shape.text_string == port:
                    shape.delete()
    found = differences(made, made.damaged(tmp_path / "x.gds", lose))
    assert f"has no metal at {port}" in found

    def rename(layout, top):
        for index in layout.layer_indexes():
            for shape in list(top.shapes(index).each(kdb.Shapes.STexts)):
                if shape.text_string == port:
                    shape.text_string = "VPWR"
    assert "shorted: VPWR" in differences(made, made.damaged(tmp_path / "y.gds", rename)).replace("(at VPWR)", "")


def test_all_cells_that_may_be_placed_match_their_schematics(kit):
    """Each beside the others, far enough apart not to touch."""
    layout = kdb.Layout()
    layout.read(str(kit.view("gds")))
    cells = sorted(cell.name for cell in layout.each_cell() if kit.config.why_not(cell.name) is None)
    top, x = layout.create_cell("all"), 0
    for name in cells:
        top.insert(kdb.CellInstArray(layout.cell(name).cell_index(), kdb.Trans(x, 0)))
        x += layout.cell(name).bbox().width() + 5000
    extraction = extract_chip(layout, top, kit.config)
    assert len(cells) == 362
    assert compare_cells(extraction.netlist, load_schematics(kit.view("cdl"), kit.view("spice"), cells), cells) == []


def test_a_cell_without_a_schematic_is_refused(kit):
    with pytest.raises(SpecError, match="cell inv_17 must have a schematic in .*cdl"):
        load_schematics(kit.view("cdl"), kit.view("spice"), ["inv_17"])


def test_metal_that_joins_nothing_is_no_difference(made, tmp_path):
    die = made.design.placement.die
    net = sorted(made.design.routes)[0]
    lone = ViaUse("M3M4_PR", die.x1 - 1150, die.y1 - 850)
    route = made.design.routes[net]
    assert differences(made, made.drawn(tmp_path / "x.gds", made.with_route(net, vias=(*route.vias, lone)))) == ""
