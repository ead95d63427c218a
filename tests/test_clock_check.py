"""What clock trees refuse, and faults that their check has to find."""

from dataclasses import replace

import pytest
from clock_designs import SITE, clock_kit, gated, place, registers
from physical_kit import LIBRARY
from test_clock import SPEC, build, judge

from flow.clock.check import check_tree
from flow.clock.engine import find_clock_tree, make_clock_tree
from flow.clock.spec import ClockSpec
from flow.physical.design import Design, Placed
from flow.place.fill import find_gaps
from golden.spec import SpecError

# Demands

@pytest.mark.parametrize("demands, message", [
    ({"fanout_limit": 40}, "fanout_limit must be an integer in 2 .. 38, not 40"),
    ({"slew_limit_ns": 3.0}, "slew_limit_ns must be 0.05 to 1.5, not 3.0"),
    ({"skew_limit_ns": float("nan")}, "skew_limit_ns must be 0.01 to 10.0, not nan"),
    ({"buffers": ()}, "buffers must be one cell or more, not none"),
    ({"buffers": ("buf_4", "buf_8")}, "buffers and tuning must name each cell once, not buf_4, buf_8, clkbuf_2, buf_4"),
    ({"offsets_ns": {"m0": 9.0}}, "offsets_ns of m0 must be -5.0 to 5.0, not 9.0"),
])
def test_demands_that_make_no_sense_are_refused(demands, message):
    with pytest.raises(SpecError, match=message):
        ClockSpec(**demands)


@pytest.mark.parametrize("demands, message", [
    ({"port": "d0"}, "port must be an input of drawn .*, not 'd0' .clock: port."),
    ({"port": "none"}, "the clock's port none of drawn drives no clock pin"),
    ({"corner": "slow"}, "corner must be one of ss_100C_1v60, not 'slow' .clock: corner."),
    ({"buffers": ("clkbuf_99",)}, "must be buffers that may be placed, not clkbuf_99: it is no cell of the kit"),
    ({"buffers": ("nand2_1",)}, "may be placed, not nand2_1: it does not copy one input to one output"),
    ({"offsets_ns": {"f99": 0.1}}, "offsets must be of instances or cells that the clock of drawn reaches, not f99"),
    ({"skew_goal_ns": 0.4, "skew_limit_ns": 0.3}, "skew_goal_ns must be at most skew_limit_ns=0.3, not 0.4"),
    ({"skew_goal_ns": 0.01, "skew_limit_ns": 0.01, "buffers": ("clkbuf_8",), "tuning": ()},
     "skew of the clock of drawn must be at most 0.01 ns .*, and is 0"),
    ({"slew_limit_ns": 0.06, "buffers": ("clkbuf_4",)}, "drives none of what is left within slew_limit_ns=0.06"),
])
def test_what_cannot_be_done_is_refused(demands, message):
    drawing = gated(40, 1, 18)
    drawing.nets["none"] = [("", "none")]
    netlist = drawing.netlist()
    design = place(drawing.netlist())
    design = Design(design.placement, replace(netlist, ports={**netlist.ports, "none": "input"}))
    design.placement.ports["none"] = design.placement.ports["e"]
    with pytest.raises(SpecError, match=message):
        find_clock_tree(design, clock_kit(), ClockSpec(**demands))


def test_a_sink_without_a_place_is_refused():
    design = place(registers(4).netlist())
    del design.placement.instances["f2"]
    with pytest.raises(SpecError, match="everything that the clock reaches must have a place, and f2/CLK has none"):
        make_clock_tree(design, clock_kit(), SPEC)


def test_a_taken_name_is_refused():
    drawing = registers(4)
    drawing.add("clkbuf_0_0", "dfxtp_1", "clk")
    with pytest.raises(SpecError, match="clkbuf_0_0 and clk_0_0 must be free for the clock tree"):
        make_clock_tree(place(drawing.netlist()), clock_kit(), SPEC)


def test_clock_that_is_neither_copied_nor_inverted_is_refused():
    drawing = registers(4)
    drawing.add("mix", "xor2_1", "clk", "x")
    drawing.add("late", "dfxtp_1", "x")
    with pytest.raises(SpecError, match="must copy or invert it, and mix .*xor2_1. does neither from A to X"):
        make_clock_tree(place(drawing.netlist()), clock_kit(), SPEC)


def test_ways_that_meet_again_are_refused():
    drawing = registers(4)
    out = drawing.add("both", "nand2_1", "clk", "x")
    drawing.nets["d"].remove(("both", "B"))
    drawing.nets["clk"].append(("both", "B"))
    drawing.add("late", "dfxtp_1", out)
    with pytest.raises(SpecError, match="must reach every net in one way, and reaches x from both/Y and from both/Y"):
        make_clock_tree(place(drawing.netlist()), clock_kit(), SPEC)


def test_full_rows_are_refused():
    design = place(registers(12).netlist())
    fixed = {name: placed._replace(fixed=True) for name, placed in design.placement.instances.items()}
    for number, (row, x0, x1) in enumerate(find_gaps(design.placement, clock_kit().cells)):
        for x in range(x0, x1, SITE):
            fixed[f"full_{number}_{x}"] = Placed(f"{LIBRARY}__tapvpwrvgnd_1", x, row.y, row.orientation, True)
    full = Design(replace(design.placement, instances=fixed), design.netlist)
    with pytest.raises(SpecError, match="clkbuf_.* must have room between the fixed cells of some row of drawn"):
        make_clock_tree(full, clock_kit(), SPEC)


def test_cells_that_stand_in_no_row_are_refused():
    design = place(registers(12).netlist())
    design.placement.instances["f3"] = design.placement.instances["f3"]._replace(y=77)
    with pytest.raises(SpecError, match="cells must stand in rows before others .*, and f3 does not"):
        make_clock_tree(design, clock_kit(), SPEC)


# Faults

@pytest.fixture(scope="module")
def made():
    design = place(gated(50, 1, 20).netlist())
    return design, build(design).design


def with_netlist(design, **changes):
    return Design(design.placement, replace(design.netlist, **changes))


def moved_pin(design, pin, net):
    """The design with a pin on another net."""
    nets = {name: tuple(p for p in pins if p != pin) + ((pin,) if name == net else ())
            for name, pins in design.netlist.nets.items()}
    return with_netlist(design, nets=nets)


def leaf_net(design, name):
    return design.netlist.net_of[name, "CLK"]


def fault_sink_on_other_net(design):
    return moved_pin(design, ("f3", "CLK"), "d")


def fault_sink_past_its_gate(design):
    return moved_pin(design, ("g0_f3", "CLK"), leaf_net(design, "f3"))


def fault_sink_behind_a_gate(design):
    return moved_pin(design, ("f3", "CLK"), leaf_net(design, "g0_f3"))


def fault_inverter_for_a_buffer(design):
    name = next(name for name in design.netlist.instances if name.startswith("clkbuf_1"))
    cell = f"{LIBRARY}__inv_2"
    pins = {(name, "X"): (name, "Y")}
    nets = {net: tuple(pins.get(pin, pin) for pin in on) for net, on in design.netlist.nets.items()}
    instances = {**design.netlist.instances, name: cell}
    placed = {**design.placement.instances, name: design.placement.instances[name]._replace(cell=cell)}
    return Design(replace(design.placement, instances=placed), replace(design.netlist, nets=nets, instances=instances))


def fault_register_exchanged(design):
    cell = f"{LIBRARY}__dfxtp_2"
    placed = {**design.placement.instances, "f3": design.placement.instances["f3"]._replace(cell=cell, x=10**9)}
    return Design(replace(design.placement, instances=placed),
                  replace(design.netlist, instances={**design.netlist.instances, "f3": cell}))


def fault_data_moved(design):
    return moved_pin(design, ("f3", "D"), "e")


def fault_overlap(design):
    name = next(name for name in design.netlist.instances if name.startswith("clkbuf_1"))
    x, y = design.placement.instances["f3"][1:3]
    placed = {**design.placement.instances, name: design.placement.instances[name]._replace(x=x, y=y)}
    return Design(replace(design.placement, instances=placed), design.netlist)


def fault_off_site(design):
    name = next(name for name in design.netlist.instances if name.startswith("clkbuf_1"))
    placed = dict(design.placement.instances)
    placed[name] = placed[name]._replace(x=placed[name].x + 10)
    return Design(replace(design.placement, instances=placed), design.netlist)


def fault_all_on_one_net(design):
    leaves = [net for net, pins in design.netlist.nets.items()
              if ("f" in {name[0] for name, _ in pins if name}) and net.startswith("clk_")]
    first = leaves[0]
    for pin in [pin for net in leaves[1:] for pin in design.netlist.nets[net] if pin[1] == "CLK"]:
        design = moved_pin(design, pin, first)
    return design


@pytest.mark.parametrize("fault, message", [
    (fault_sink_on_other_net, "1 pins are not reached by the clock any more: f3/CLK"),
    (fault_sink_past_its_gate, "1 pins are reached through other cells: g0_f3/CLK .through nothing, not gate0/GCLK"),
    (fault_sink_behind_a_gate, "1 pins are reached through other cells: f3/CLK .through gate0/GCLK, not nothing"),
    (fault_inverter_for_a_buffer, "pins are reached through other cells: f.*through clkbuf_1_.*/Y, not nothing"),
    (fault_register_exchanged, "reach out of the core"),
    (fault_data_moved, "nets besides the clock's are others: d, e"),
    (fault_overlap, "pairs of instances overlap: "),
    (fault_off_site, "cells are not on sites: clkbuf_1_"),
    (fault_all_on_one_net, "nets of the clock have more than 20 pins to drive: clk_"),
])
def test_the_check_finds(made, fault, message):
    before, after = made
    check_tree(before, after, SPEC, judge())
    with pytest.raises(SpecError, match=message):
        check_tree(before, fault(after), SPEC, judge())


def test_the_check_finds_too_much_load(made):
    before, after = made
    with pytest.raises(SpecError, match="nets of the clock load their drivers too much: clk_.* of .* pF"):
        check_tree(before, after, SPEC, replace(judge(), femtofarad_per_um=20.0))


def test_a_cell_of_another_kind_is_found():
    drawing = registers(10)
    drawing.add("quiet", "nand2_1", "d", "x")
    design = place(drawing.netlist())
    after = build(design).design
    cell = f"{LIBRARY}__and2_1"
    pins = {("quiet", "Y"): ("quiet", "X")}
    nets = {net: tuple(pins.get(pin, pin) for pin in on) for net, on in after.netlist.nets.items()}
    placed = after.placement.instances
    row = placed["quiet"]
    wrong = Design(replace(after.placement, instances={**placed, "quiet": row._replace(cell=cell)}),
                   replace(after.netlist, nets=nets, instances={**after.netlist.instances, "quiet": cell}))
    with pytest.raises(SpecError, match="cells are others: quiet|overlap"):
        check_tree(design, wrong, SPEC, judge())
