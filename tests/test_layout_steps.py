"""The layout's steps on files, and the official design rules on what they leave: rows, taps, grid, fill, macros."""

import os

import klayout.db as kdb
import pytest
import test_sram
from physical_kit import CONFIG
from random_netlist import random_netlist
from shared_build import shared_build

from flow.floorplan.spec import FloorplanSpec
from flow.metrics import load_metrics
from flow.pdk.drc import run_drc
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import load_technology
from flow.physical.verilog import write_netlist
from flow.place.spec import PlaceSpec
from flow.step import Work
from flow.steps.floorplan import run_floorplan
from flow.steps.gds import run_gds
from flow.steps.pdk import run_pdk
from flow.steps.place import run_place
from golden.spec import SpecError

pytestmark = pytest.mark.eda
made = test_sram.made                    # kit and a finished 512x8, which workers of one run share
SPEC, FAST = test_sram.SPEC, PlaceSpec(effort=1)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with shared_build(tmp_path_factory) as build:
        return run_pdk(build)


def run_steps(folder, pdk, netlist, macro_views, **demands):
    """All steps; the folder of the last."""
    (folder / "netlist.v").write_text(write_netlist(netlist))
    run_floorplan(netlist.top, folder / "netlist.v", pdk, list(macro_views.values()), folder, FloorplanSpec(**demands))
    run_place(pdk, macro_views, folder, FAST)
    run_gds(folder / "place" / "place.def", pdk, macro_views, folder)
    return folder / "gds"


@pytest.fixture(scope="module")
def small(kit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    return run_steps(folder, kit, random_netlist(150, 11), {})


def test_the_steps_leave_files_metrics_and_pictures(small):
    root = small.parent
    floorplan, place, gds = (load_metrics(root / step / "metrics.json") for step in ("floorplan", "place", "gds"))
    assert 0.6 < floorplan["design__instance__utilization__stdcell"] <= 0.7
    assert floorplan["design__instance__count"] == 150 and floorplan["design__power_grid_violation__count"] == 0
    assert place["route__wirelength__estimated"] > 0 and place["design__io"] == 17
    assert gds["design__instance__count__fill"] > gds["design__instance__count__decap"] > 0
    for picture in (root / "place" / "place.png", small / "random.png"):
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000


def test_a_finished_step_is_not_repeated_and_another_demand_is(kit, small):
    root = small.parent
    before = (root / "place" / "metrics.json").stat().st_mtime_ns
    run_place(kit, {}, root, FAST)
    assert (root / "place" / "metrics.json").stat().st_mtime_ns == before
    with pytest.raises(SpecError, match="weights must be of nets of random, not n9999"):
        run_place(kit, {}, root, FAST, {"n9999": 2.0})
    assert not (root / "place").exists()                       # a failed step leaves no result that looks whole
    run_place(kit, {}, root, FAST)


def test_the_same_netlist_gives_the_same_files(kit, small, tmp_path):
    again = run_steps(tmp_path, kit, random_netlist(150, 11), {})
    for name in ("random.gds", "random.def"):
        assert (again / name).read_bytes() == (small / name).read_bytes()


def test_a_netlist_with_a_constant_at_a_pin_is_refused(kit, small, tmp_path):
    text = (small.parent / "netlist.v").read_text().replace("(clk)", "(1'b0)", 1)
    (tmp_path / "netlist.v").write_text(text)
    with pytest.raises(SpecError, match="constants must come from a tie cell"):
        run_floorplan("random", tmp_path / "netlist.v", kit, [], tmp_path)
    assert not (tmp_path / "floorplan").exists()


def markers(folder, pdk, gds):
    folder.mkdir()
    return run_drc(Work(folder, {}, ()), pdk.deck("drc"), gds, "random")


def test_a_placed_and_filled_layout_has_no_marker(kit, small, tmp_path):
    assert markers(tmp_path / "drc", kit, small / "random.gds") == {}


def test_the_deck_finds_a_layout_without_fill_or_with_a_cut_that_is_moved(kit, small, tmp_path):
    """Rails end at gaps and wells come too near to each other; a via stack's cut sticks out of its metal."""
    layout = kdb.Layout()
    layout.read(str(small / "random.gds"))
    top = layout.cell("random")
    for instance in [inst for inst in top.each_inst() if inst.cell.name.endswith(("decap_3", "fill_1"))]:
        instance.delete()
    vias = top.shapes(layout.layer(*CONFIG.drawing("via3")))
    shape = next(vias.each())
    shape.box = shape.box.moved(0, 180)
    layout.write(str(tmp_path / "bad.gds"))
    found = markers(tmp_path / "drc", kit, tmp_path / "bad.gds")
    assert any("nwell.SP" in rule for rule in found), found
    assert any("via3" in rule or "m4" in rule for rule in found), found


def test_a_layout_with_a_macro_has_no_marker(made, tmp_path):
    """Power grid over the memory, rows around it, its cells under names of their own."""
    pdk, folder = made
    views = {SPEC.name: folder / "macro" / f"{SPEC.name}.lef"}
    macro = load_cells(pdk, views.values())[SPEC.name]
    gds = run_steps(tmp_path, pdk, random_netlist(200, 3, 1, macro=macro), views)
    assert markers(tmp_path / "drc", pdk, gds / "random.gds") == {}
    design = load_def(gds / "random.def", load_technology(pdk))
    assert design.placement.instances["m0"].fixed
    layout = kdb.Layout()
    layout.read(str(gds / "random.gds"))
    assert {cell.name for cell in layout.top_cells()} == {"random"} and layout.cell(SPEC.name) is not None


def test_a_macro_without_its_layout_is_refused_before_any_work(made, small, tmp_path):
    pdk, folder = made
    lef = tmp_path / f"{SPEC.name}.lef"
    os.link(folder / "macro" / lef.name, lef)
    with pytest.raises(SpecError, match=f"step place needs .*{SPEC.name}.gds, which the steps before it should"):
        run_place(pdk, {SPEC.name: lef}, small.parent, FAST)
