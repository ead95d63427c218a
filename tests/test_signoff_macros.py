"""An SRAM macro in a chip: a verified block, its supplies and pins compared, its own metal out of bounds."""

import klayout.db as kdb
import pytest
import test_sram
from random_netlist import random_netlist

from flow.floorplan.spec import FloorplanSpec
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.physical.verilog import write_netlist
from flow.place.spec import PlaceSpec
from flow.signoff.antenna import find_antennas, parse_antenna_rules
from flow.signoff.lvs import compare_chip
from flow.signoff.macros import check_macros, content_sha256
from flow.steps.floorplan import run_floorplan
from flow.steps.gds import run_gds
from flow.steps.place import run_place
from golden.spec import SpecError

pytestmark = pytest.mark.eda
made = test_sram.made                    # kit and a finished 512x8, which workers of one run share
MACRO = test_sram.SPEC.name


@pytest.fixture(scope="module")
def chip(made, tmp_path_factory):
    """Kit, the macro's GDS, its cells, and a placed chip with it (no signal is routed): DEF and GDS."""
    pdk, folder = made
    views = {MACRO: folder / "macro" / f"{MACRO}.lef"}
    cells, build = load_cells(pdk, views.values()), tmp_path_factory.mktemp("macro")
    netlist = random_netlist(200, 3, 1, macro=cells[MACRO])
    (build / "netlist.v").write_text(write_netlist(netlist))
    run_floorplan(netlist.top, build / "netlist.v", pdk, list(views.values()), build, FloorplanSpec())
    run_place(pdk, views, build, PlaceSpec(effort=1))
    run_gds(build / "place" / "place.def", pdk, views, build)
    return pdk, views[MACRO].with_suffix(".gds"), cells, build / "gds" / "random.gds"


def compare(chip, gds, macro_gds=None):
    pdk, own, cells, drawn = chip
    design = load_def(drawn.with_suffix(".def"), load_technology(pdk))
    return compare_chip(gds, design, cells, pdk, {MACRO: macro_gds or own}).differences


def damaged(chip, path, damage):
    layout = kdb.Layout()
    layout.read(str(chip[3]))
    damage(layout, layout.cell("random"))
    layout.write(str(path))
    return path


def test_supplies_reach_the_macro_and_only_the_missing_wires_differ(chip):
    differences = compare(chip, chip[3])
    assert differences and all("has no metal at" in line for line in differences)
    assert not [line for line in differences if line.startswith(("open: VPWR", "open: VGND"))]
    assert any("m0/" in line for line in differences)


@pytest.mark.nightly
def test_a_chip_without_the_straps_over_the_macro_leaves_it_without_supply(chip, tmp_path):
    def cut(layout, top):
        for name in ("met5", "via4"):
            shapes = top.shapes(layout.layer(*chip[0].config.drawing(name)))
            for shape in list(shapes.each()):
                shape.delete()
    differences = compare(chip, damaged(chip, tmp_path / "x.gds", cut))
    assert any(line.startswith("open: VPWR is ") and "m0/vdd" in line for line in differences)


def test_metal_over_the_macro_s_inner_nets_is_found(chip, tmp_path):
    """A met2 plate in its middle joins what is under it, to a supply among others."""
    def cover(layout, top):
        box = next(inst for inst in top.each_inst() if inst.cell.name == MACRO).bbox()
        top.shapes(layout.layer(*chip[0].config.drawing("met2"))).insert(
            kdb.Box(box.left + 20_000, box.center().y, box.right - 20_000, box.center().y + 20_000))
    differences = compare(chip, damaged(chip, tmp_path / "x.gds", cover))
    assert "shorted: VGND (at VGND), VPWR (at VPWR)" in differences
    assert "VGND, VPWR touches metal of m0 beside its pins" in differences


def test_a_macro_that_was_changed_is_refused(chip, tmp_path):
    def change(layout, top):
        layout.cell(MACRO).shapes(layout.layer(*chip[0].config.drawing("met1"))).insert(kdb.Box(0, 0, 200, 200))
    with pytest.raises(SpecError, match=f"{MACRO} must be in the layout as it is in .*, and its shapes differ"):
        compare(chip, damaged(chip, tmp_path / "x.gds", change))


def test_a_macro_that_did_not_pass_its_own_checks_is_refused(chip, made, tmp_path):
    pdk, folder = made
    for stage in ("macro", "drc", "lvs"):
        (tmp_path / stage).mkdir()
    for check in ("drc", "lvs"):
        (tmp_path / check / "metrics.json").write_bytes((folder / check / "metrics.json").read_bytes())
    gds = tmp_path / "macro" / f"{MACRO}.gds"
    layout = kdb.Layout()
    layout.read(str(chip[1]))
    layout.write(str(gds))                                   # the same shapes in other bytes
    with pytest.raises(SpecError, match=f"{MACRO} must be the macro that passed drc"):
        check_macros(layout, {MACRO: gds})
    (tmp_path / "drc" / "metrics.json").unlink()
    with pytest.raises(SpecError, match="no metrics.json"):
        check_macros(layout, {MACRO: gds})


def test_the_content_of_a_cell_is_its_shapes_and_instances(chip):
    layout = kdb.Layout()
    layout.read(str(chip[1]))
    before = content_sha256(layout, MACRO)
    layout.cell(MACRO).shapes(layout.layer(68, 20)).insert(kdb.Box(0, 0, 1, 1))
    assert content_sha256(layout, MACRO) != before


@pytest.mark.nightly
def test_gates_behind_the_macro_s_pins_count_for_antennas(chip):
    pdk, _, cells, gds = chip
    layout = kdb.Layout()
    layout.read(str(gds))
    top, rules = layout.cell("random"), parse_antenna_rules(pdk.view(TECH_LEF).read_text(), "tech.lef")
    inputs = [name for name, pin in cells[MACRO].signal_pins.items() if pin.direction == "INPUT"]
    clean = find_antennas(layout, top, pdk.config, rules, {MACRO: inputs}, {})
    place = next(inst for inst in top.each_inst() if inst.cell.name == MACRO)
    pin = next(shape for name in inputs for shape in cells[MACRO].pins[name].shapes if shape.layer == "met2")
    box = (place.trans * kdb.Box(*(value for value in pin.rect)))
    top.shapes(layout.layer(69, 20)).insert(kdb.Box(box.left, box.bottom - 3_000_000, box.right, box.top))
    (fault, *_) = find_antennas(layout, top, pdk.config, rules, {MACRO: inputs}, {}).faults
    assert not clean.faults and fault.layer == "met2" and MACRO in fault.gates[0]
