"""A clock tree's arrivals beside OpenSTA's, and the step on files."""

import msgspec
import pytest
import test_layout_steps
from clock_designs import SLOW, TYPICAL, clock_kit, gated, liberty_folder, place
from clock_sta import compare
from random_netlist import random_netlist
from test_layout_steps import run_steps

from flow.clock.engine import make_clock_tree
from flow.clock.spec import ClockSpec
from flow.metrics import load_metrics
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.netlist import check_netlist
from flow.physical.technology import load_technology
from flow.steps.clock import run_clock
from golden.spec import SpecError

pytestmark = pytest.mark.eda
made, kit = test_layout_steps.made, test_layout_steps.kit
SPEC = ClockSpec()


@pytest.mark.parametrize("corner", [SLOW, TYPICAL])
def test_arrivals_are_opensta_s(tmp_path, corner):
    """Registers of both edges, behind an inverter, gates, gates before registers and a memory: within 2 %."""
    drawing = gated(300, 3, 40, macro=True)
    net = drawing.add("inverter", "inv_2", "clk", "clk_b")
    for number in range(20):
        drawing.add(f"n{number}", "dfrtn_1", net)
    kit = clock_kit(SLOW, TYPICAL)
    tree = make_clock_tree(place(drawing.netlist()), kit, SPEC)
    libraries = [liberty_folder() / f"{corner}.lib", liberty_folder() / "memory.lib"]
    ours, theirs = compare(tree, kit, corner, libraries, tmp_path, SPEC.input_slew_ns)
    assert len(ours) == 300 + 80 + 1 + 20
    assert ours == pytest.approx(theirs, rel=0.02)
    assert max(ours) - min(ours) == pytest.approx(max(theirs) - min(theirs), abs=0.02)


@pytest.fixture(scope="module")
def stepped(kit, tmp_path_factory):
    """A floor plan with its placement and its clock tree."""
    folder = tmp_path_factory.mktemp("clocked")
    run_steps(folder, kit, random_netlist(400, 5), {})
    run_clock(folder / "place" / "place.def", kit, {}, folder)
    return folder


def test_the_step_leaves_a_design_its_tree_and_metrics(kit, stepped):
    cells, technology = load_cells(kit), load_technology(kit)
    design = load_def(stepped / "clock" / "clock.def", technology)
    check_netlist(design.netlist, cells)
    tree = msgspec.json.decode((stepped / "clock" / "clock.json").read_bytes())
    metrics = load_metrics(stepped / "clock" / "metrics.json")
    sinks = [node for node in tree["nodes"] if node["kind"] == "sink"]
    clocked = sum(cell.endswith("dfxtp_1") for cell in design.netlist.instances.values())
    assert len(sinks) == clocked == metrics["clock__sink__count"]
    for node in tree["nodes"]:
        if node["kind"] == "buffer":
            assert design.netlist.instances[node["name"]] == node["cell"]
    assert (stepped / "clock" / "clock.png").read_bytes().startswith(b"\x89PNG")


def test_the_step_is_not_repeated_and_leaves_the_same_bytes(kit, stepped, tmp_path):
    stamp = (stepped / "clock" / "metrics.json").stat().st_mtime_ns
    run_clock(stepped / "place" / "place.def", kit, {}, stepped)
    assert (stepped / "clock" / "metrics.json").stat().st_mtime_ns == stamp
    run_clock(stepped / "place" / "place.def", kit, {}, tmp_path)
    for name in ("clock.def", "clock.json", "clock.png"):
        assert (tmp_path / "clock" / name).read_bytes() == (stepped / "clock" / name).read_bytes()


def test_a_macro_without_a_library_is_refused(kit, stepped, tmp_path):
    lef = tmp_path / "macro" / "memory.lef"
    lef.parent.mkdir()
    lef.write_text("VERSION 5.8 ;\n")
    with pytest.raises(SpecError, match="step clock needs .*memory__.*lib, which the steps before"):
        run_clock(stepped / "place" / "place.def", kit, {"memory": lef}, tmp_path)
