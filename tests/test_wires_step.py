"""The step that looks at routed wires alone: clean on what the router leaves, and loud on an open and a short in it."""

import msgspec
import pytest
import test_signoff_lvs
from signoff_designs import Made

from flow.physical.def_write import write_def
from flow.physical.design import Wire
from flow.physical.technology import load_technology
from flow.steps.wires import run_wires
from golden.spec import SpecError

shared, made = test_signoff_lvs.shared, test_signoff_lvs.made
pytestmark = pytest.mark.eda


def written(made: Made, tmp_path, design):
    path = tmp_path / "routed.def"
    path.write_text(write_def(design, load_technology(made.pdk)))
    return path


def test_what_the_router_leaves_is_clean(made: Made, tmp_path):
    metrics = run_wires(written(made, tmp_path, made.design), made.pdk, {}, tmp_path)
    assert metrics["route__drc_errors"] == 0
    assert metrics["route__net"] == sum(len(pins) > 1 for pins in made.design.netlist.nets.values())


def test_a_removed_via_and_a_wire_across_others_are_named(made: Made, tmp_path):
    nets = [net for net, route in sorted(made.design.routes.items()) if route.vias]
    opened, shorted = nets[0], made.design.routes[nets[1]]
    removed = made.with_route(opened, vias=made.design.routes[opened].vias[1:])
    wanted = rf"must leave no open, .*, and left 1 open \(.*wires\.json\):\n  open .*{opened}"
    with pytest.raises(SpecError, match=wanted):
        run_wires(written(made, tmp_path, removed), made.pdk, {}, tmp_path)
    die = made.design.placement.die
    wire = Wire("met3", die.x0 + 2000, (die.y0 + die.y1) // 2, die.x1 - 2000, (die.y0 + die.y1) // 2)
    across = made.with_route(nets[1], wires=(*shorted.wires, wire))
    with pytest.raises(SpecError, match=r"and left .*short"):
        run_wires(written(made, tmp_path, across), made.pdk, {}, tmp_path)
    found = msgspec.json.decode((tmp_path / "wires.unfinished" / "wires.json").read_bytes())
    assert any(fault["kind"] == "short" and nets[1] in fault["nets"] and len(fault["nets"]) > 1 for fault in found)
