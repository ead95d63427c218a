"""Constraints, estimated wires, OpenSTA's reports and the gate on timing."""

from dataclasses import replace

import numpy as np
import pytest
from physical_kit import CONFIG, LIBRARY, kit_cells
from timing_kit import FAST, LOGIC, SLOW, chain, fan, liberty_text, timer, write_kit

from flow.characterise.liberty_read import parse_liberty
from flow.extract.estimates import Estimates, WireRc
from flow.extract.spef import check_rc_net, write_spef
from flow.physical.def_write import write_def
from flow.physical.technology import load_technology
from flow.steps.sta import run_sta
from flow.timing.analyse import Timer, endpoints, overloaded, shortest_period
from flow.timing.estimate import net_trees, wire_model
from flow.timing.gate import check_timing, paths_text, slowest_corner
from flow.timing.liberty import read_cells
from flow.timing.reports import check_constrained, parse_report
from flow.timing.sdc import write_sdc
from flow.timing.spec import TimingSpec
from flow.timing.tree_spef import TreeSpef
from flow.timing.trees import build_trees
from golden.spec import SpecError

CELLS = kit_cells(*LOGIC)
ESTIMATES = Estimates("nom", {layer: WireRc(0.5, 0.1) for layer in ("met1", "met2", "met3", "met4")},
                      {("li1", "met1"): 9.0, ("met1", "met2"): 4.0})
REPORT = """@@ read
@@ setup
Startpoint                           Endpoint                                   Slack
------------------------------------------------------------------------------------

in (input)                 core__b_reg/D (sky130_fd_sc_hd__dfxtp_1)    -0.250000
core__b_reg/Q (sky130_fd_sc_hd__dfxtp_1) out (output)    1.500000
@@ hold
Startpoint                           Endpoint                                   Slack
------------------------------------------------------------------------------------

in (input)                 core__b_reg/D (sky130_fd_sc_hd__dfxtp_1)    0.100000
core__b_reg/Q (sky130_fd_sc_hd__dfxtp_1) out (output)    0.300000
@@ setup_paths
Startpoint: in (input port clocked by clk)
Endpoint: core__b_reg (rising edge-triggered flip-flop clocked by clk)
        Cap        Slew       Delay        Time   Description
              0.050000    0.000000    1.500000 ^ in (in)
   0.010000    0.200000    3.000000    4.500000 v u0/Y (sky130_fd_sc_hd__inv_1)
              0.200000    0.000000    4.500000 v core__b_reg/D (sky130_fd_sc_hd__dfxtp_1)
                                      4.500000   data arrival time
                                      4.250000   data required time
                                     -0.250000   slack (VIOLATED)
@@ hold_paths
Startpoint: in (input port clocked by clk)
Endpoint: core__b_reg (rising edge-triggered flip-flop clocked by clk)
              0.050000    0.000000    0.500000 ^ core__b_reg/D (sky130_fd_sc_hd__dfxtp_1)
                                      0.500000   data arrival time
                                      0.400000   data required time
                                      0.100000   slack (MET)
@@ slew
max_transition
u0/Y                                 1.500000    1.750000   -0.250000 (VIOLATED)
@@ slews
max_transition
u0/Y                                 1.500000    1.750000   -0.250000 (VIOLATED)
@@ loads
out 1.0e-14 1.1e-14
@@ pulse
core__b_reg/CLK (low)    0.471965   2.500000    2.028035 (MET)
@@ pulses
@@ period
@@ periods
@@ latencies
core__b_reg/CLK  0.500000 0.600000
@@ unconstrained
@@ end
"""


def test_a_report_becomes_numbers():
    report = parse_report(REPORT)
    assert report.worst("setup") == -0.25 and report.worst("hold") == 0.1
    assert report.setup["core__b_reg/D"].start == "in" and report.violating("setup") == ["core__b_reg/D"]
    assert report.total_negative("setup") == -0.25 and report.total_negative("hold") == 0
    assert [point.load for point in report.setup_paths[0].points] == [None, 0.01, None]
    assert report.slews[0].actual == 1.75 and report.loads == {"out": pytest.approx(11)}
    assert report.latencies == {"core__b_reg/CLK": (0.5, 0.6)}
    assert not report.is_met and report.worst_period is None


@pytest.mark.parametrize(("old", "new", "message"), [
    ("@@ end\n", "", "end is missing"),
    ("@@ read\n", "@@ read\nError: cannot open file\n", "cannot open file"),
    ("-0.250000\ncore", "fast\ncore", "a line of the setup endpoints"),
    ("data required time\n                                     -0.250000   slack", "x slack", "a path must have"),
    ("1.750000   -0.250000 (VIOLATED)\n@@ slews", "(VIOLATED)\n@@ slews", "rows that can be read"),
    ("u0/Y                                 1.500000    1.750000   -0.250000 (VIOLATED)\n@@ slews", "@@ slews",
     "the worst slew must be there once"),
    ("out 1.0e-14 1.1e-14", "out many", "the load of a net"),
    ("core__b_reg/CLK  0.500000 0.600000", "core__b_reg/CLK", "does the clock reach it"),
])
def test_a_report_that_lacks_something_is_refused(old, new, message):
    assert old in REPORT
    with pytest.raises(SpecError, match=message):
        parse_report(REPORT.replace(old, new, 1))


def test_an_endpoint_without_a_check_is_refused():
    report = parse_report(REPORT)
    check_constrained(report, ["core__b_reg/D", "out"])
    with pytest.raises(SpecError, match="1 have none: core__c_reg/D"):
        check_constrained(report, ["core__b_reg/D", "out", "core__c_reg/D"])
    told = replace(report, unconstrained=("Warning: There is 1 unconstrained endpoint.", "core__d_reg/D"))
    check_constrained(told, ["out"], constant=["core__d_reg/D"])
    with pytest.raises(SpecError, match="core__d_reg/D"):
        check_constrained(told, ["out"])


def test_the_shortest_period_counts_delays_at_ports_as_parts_of_it():
    report, spec = parse_report(REPORT), TimingSpec(clock_period_ns=5.0, input_share=0.3)
    # from a port at 0.3 T: 0.7 T must hold 0.7 * 5 + 0.25 ns of logic
    assert shortest_period(report, chain(1).netlist, spec) == pytest.approx(3.75 / 0.7)


def test_the_clock_must_be_an_input_and_delays_must_be_shares():
    netlist = chain(1).netlist
    text = write_sdc(netlist, LIBRARY, 0.01, TimingSpec(clock_period_ns=5.0), propagated=True)
    assert "-waveform {0 2.5}" in text
    assert "set_propagated_clock" in text and "set_output_delay -max 1.5 -clock clk [get_ports {out}]" in text
    ideal = write_sdc(netlist, LIBRARY, 0.01, TimingSpec(clock_period_ns=5.0), propagated=False)
    assert "set_clock_uncertainty -setup 0.5" in ideal and "propagated" not in ideal
    with pytest.raises(SpecError, match="clock_port must be an input of chain, not 'out'"):
        write_sdc(netlist, LIBRARY, 0.01, TimingSpec(clock_period_ns=5.0, clock_port="out"), propagated=True)
    for wrong in ({"input_share": 1.0}, {"clock_period_ns": 0.0}, {"skew_ns": -1.0}, {"input_hold_share": 0.9}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            TimingSpec(**{"clock_period_ns": 5.0, **wrong})


def spanning_length(x, y):
    """Of the least rectilinear spanning tree, by hand."""
    left, length = set(range(1, len(x))), 0
    tree = [0]
    while left:
        far, new = min((abs(x[a] - x[b]) + abs(y[a] - y[b]), b) for a in tree for b in left)
        length, left, tree = length + far, left - {new}, [*tree, new]
    return length


@pytest.mark.eda            # compiles
def test_trees_reach_all_pins_and_are_no_longer_than_spanning_trees():
    rng = np.random.default_rng(1)
    counts = [2, 3, 4, 7, 20, 100, 1]
    first = np.cumsum([0, *counts])
    x, y = rng.integers(0, 100_000, (2, first[-1]))
    trees = build_trees(first, x, y)
    for net in range(len(counts)):
        a, b = trees.first[net:net + 2]
        pins, parents = trees.pin[a:b], trees.parent[a:b]
        assert sorted(pins[pins >= 0]) == list(range(first[net], first[net + 1]))
        assert parents[0] == -1 and pins[0] == first[net] and all(a <= p < a + k for k, p in enumerate(parents[1:], 1))
        length = trees.dx[a:b].sum() + trees.dy[a:b].sum()
        here = slice(first[net], first[net + 1])
        assert np.ptp(x[here]) + np.ptp(y[here]) <= length <= spanning_length(x[here], y[here])
        if counts[net] == 3:
            assert length == np.ptp(x[here]) + np.ptp(y[here])


@pytest.mark.eda            # compiles
def test_estimated_nets_have_the_wires_between_their_pins():
    design = fan(9)
    trees = net_trees(design.placement, design.netlist, CELLS, without=["clk"])
    model = wire_model(ESTIMATES)
    nets = {net.name: net for net in trees.rc_nets(model)}
    assert "clk" not in nets and set(nets) == set(design.netlist.nets) - {"clk"}
    for net in nets.values():
        check_rc_net(net, design.netlist.nets[net.name])
    (resistor,) = nets["s"].resistors
    length = trees.trees.dx[trees.trees.first[1]:trees.trees.first[2]].sum() / 1000
    assert model.pin_ohm == 13.0 and resistor.ohm >= 13.0 + 0.5 * length
    assert sum(net.femtofarad for net in nets.values()) == pytest.approx(trees.trees.length_nm / 1000 * 0.1)


@pytest.mark.eda            # compiles
def test_the_spef_of_trees_is_that_of_their_networks():
    design = fan(9)
    trees = net_trees(design.placement, design.netlist, CELLS).stretched({"s": 1.7})
    text = TreeSpef(design.netlist, CELLS, trees)
    for corner, factor in (("min", 1.0), ("max", 1.37)):
        model = replace(wire_model(ESTIMATES), h_ohm=0.8 * factor, v_femtofarad=0.21 * factor)
        assert text.text(model, corner) == write_spef(design.netlist, CELLS, trees.rc_nets(model), corner)


def test_libraries_become_arcs_and_checks():
    cells = read_cells(parse_liberty(liberty_text(SLOW)), SLOW)
    short = {name.removeprefix(f"{LIBRARY}__"): cell for name, cell in cells.items()}
    assert short["buf_4"].is_buffer and not short["inv_4"].is_buffer and not short["dfxtp_1"].is_buffer
    assert short["dlclkp_1"].is_clock_gate and not short["dfxtp_1"].is_clock_gate
    assert {(arc.source_edge, arc.target_edge) for arc in short["nand2_1"].arcs} == {(0, 1), (1, 0)}
    assert short["dfxtp_1"].checked_pins == {"D"} and len(short["dfxtp_1"].checks) == 4
    with pytest.raises(SpecError, match="time_unit must be 1ns"):
        read_cells(parse_liberty('library ("x") { time_unit : "1ps"; }'), "x.lib")


def test_endpoints_are_data_pins_and_outputs():
    netlist = chain(2).netlist
    library = read_cells(parse_liberty(liberty_text(SLOW)), SLOW)
    assert endpoints(netlist, library, CELLS) == (["core__a_reg_bit_0__ff/D", "core__b_reg/D", "out"], [])
    tie = replace(netlist, instances={**netlist.instances, "t": f"{LIBRARY}__conb_1"},
                  nets={**netlist.nets, "in": (("", "in"),), "low": (("t", "LO"), ("core__a_reg_bit_0__ff", "D"))})
    assert endpoints(tie, library, CELLS) == (["core__b_reg/D", "out"], ["core__a_reg_bit_0__ff/D"])


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return write_kit(tmp_path_factory.mktemp("kit"))


def time_design(timer: Timer, design, folder, corner=SLOW, propagated=True):
    spefs = timer.write_estimates(design, timer.trees(design, propagated), folder, [corner])
    return timer.time(design.netlist, spefs, folder, folder / "log", propagated=propagated, corners=[corner])[corner]


@pytest.mark.eda
def test_opensta_times_a_chain(kit, tmp_path):
    at_5 = timer(kit)
    report = time_design(at_5, chain(10), tmp_path)
    assert set(report.setup) == {"core__a_reg_bit_0__ff/D", "core__b_reg/D", "out"} == set(report.hold)
    faster = time_design(timer(kit, clock_period_ns=4.0), chain(10), tmp_path)
    assert report.setup["core__b_reg/D"].slack - faster.setup["core__b_reg/D"].slack == pytest.approx(1.0, abs=1e-5)
    longer = time_design(at_5, chain(10, step=60), tmp_path)
    assert longer.setup["core__b_reg/D"].slack < report.setup["core__b_reg/D"].slack - 0.05
    path = min(report.setup_paths, key=lambda path: path.end != "core__b_reg/D")
    assert len([point for point in path.points if point.load is not None]) >= 10
    assert "core.a[0]" in paths_text(report) and report.latencies.keys() == {"core__a_reg_bit_0__ff/CLK",
                                                                             "core__b_reg/CLK"}
    exact = shortest_period(report, chain(10).netlist, at_5.spec)
    again = time_design(timer(kit, clock_period_ns=exact), chain(10), tmp_path)
    assert again.worst("setup") == pytest.approx(0, abs=2e-3)


@pytest.mark.eda
def test_loads_and_slews_beyond_their_limits_are_found(kit, tmp_path):
    ours, design = timer(kit, clock_period_ns=30.0), fan(64, spread=2)
    report = time_design(ours, design, tmp_path, propagated=False)
    (limit, *_) = overloaded(report, design.netlist, ours.library(SLOW), CELLS)
    assert limit.pin == "u/Y" and limit.actual > limit.limit
    wires = ours.trees(design, False)
    sinks = 64 * ours.library(SLOW)[f"{LIBRARY}__dfxtp_1"].pins["D"].capacitance * 1000
    assert report.loads["big"] > sinks and len(wires.names) == len(design.netlist.nets) - 1
    assert {"u/Y"} < {limit.pin for limit in report.slews} and report.worst_slew.actual > 1.5
    with pytest.raises(SpecError, match=r"(?s)\d+ pins have slow edges.*pins drive too much, the worst u/Y"):
        check_timing({SLOW: report}, design.netlist, {SLOW: ours.library(SLOW)}, CELLS, ours.spec, CONFIG, tmp_path)


@pytest.mark.eda
def test_the_step_reports_corners_and_refuses_a_clock_that_is_too_fast(kit, tmp_path):
    design, folder = chain(10), tmp_path / "chain-sky130"
    layout = tmp_path / "layout.def"
    layout.write_text(write_def(design, load_technology(kit)))
    metrics = run_sta(layout, kit, {}, folder, TimingSpec(clock_period_ns=8.0, hold_uncertainty_ns=0.0))
    assert metrics["timing__setup__ws"] == metrics[f"timing__setup__ws__corner:{SLOW}"] > 0
    assert metrics["timing__hold__ws"] == metrics[f"timing__hold__ws__corner:{FAST}"] > 0
    assert 0 < metrics["clock__period__shortest"] < 8 and metrics["design__max_slew_violation__count"] == 0
    assert slowest_corner(CONFIG, CONFIG.corners) == SLOW
    assert "core.a[0]" in (folder / "sta" / f"{SLOW}.paths").read_text()
    with pytest.raises(SpecError, match=r"(?s)clock of 1 ns.*setup is -\d.*core\.a\[0\] to core\.b/D.*shortest period"):
        run_sta(layout, kit, {}, folder, TimingSpec(clock_period_ns=1.0, skew_ns=0.1))
    assert not (folder / "sta").exists() and (folder / "sta.unfinished" / f"{SLOW}.paths").is_file()


@pytest.mark.eda
def test_opensta_that_misses_a_file_is_one_error(kit, tmp_path):
    broken = tmp_path / "broken.spef"
    broken.write_text("nonsense\n")
    with pytest.raises(SpecError, match="OpenSTA at ss_100C_1v60"):
        timer(kit).time(chain(2).netlist, {SLOW: broken}, tmp_path, tmp_path / "log", propagated=True, corners=[SLOW])
