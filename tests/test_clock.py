"""Clock trees: what they must be on small designs, what they refuse, and a check that finds what is wrong."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from clock_designs import SLOW, TYPICAL, Drawing, clock_kit, gated, liberty_folder, place, registers
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.clock import engine
from flow.clock.build import Room
from flow.clock.check import Judge, check_tree
from flow.clock.cluster import divide
from flow.clock.engine import make_clock_tree
from flow.clock.report import measure, tree_nodes
from flow.clock.spec import ClockSpec
from flow.clock.tree import BUFFER, GATE, SINK
from flow.clock.wire import ClockWire, grow_tree
from flow.physical.def_write import write_def
from flow.physical.design import Row

SPEC = ClockSpec()


@cache
def judge():
    kit = clock_kit()
    return Judge(kit.cells, kit.technology, liberty_folder() / f"{SLOW}.lib", (liberty_folder() / "memory.lib",), 0.15)


def build(design, spec=SPEC, kit=None):
    tree = make_clock_tree(design, kit or clock_kit(), spec)
    check_tree(design, tree.design, spec, judge())
    return tree


@pytest.fixture(scope="module")
def small():
    """60 registers, a gate before 18 and one before a memory, and the tree."""
    design = place(gated(60, 2, 18, macro=True).netlist())
    return design, build(design)


# Wires

def spanning_length(points):
    """Prim's least tree from pin to pin."""
    inside, outside, total = {points[0]}, set(points[1:]) - {points[0]}, 0
    while outside:
        length, point = min((abs(a[0] - b[0]) + abs(a[1] - b[1]), b) for a in inside for b in outside)
        total += length
        inside.add(point)
        outside.remove(point)
    return total


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=8))
def test_wires_reach_every_pin_and_are_no_longer_than_a_spanning_tree(points):
    tree = grow_tree(points[0], points[1:])
    place_of = {0: points[0]}
    for node in range(1, len(tree.parent)):
        a, b = tree.segments[node - 1]
        assert place_of[tree.parent[node]] == a and abs(a[0] - b[0]) + abs(a[1] - b[1]) == tree.length[node]
        assert a[0] == b[0] or a[1] == b[1]
        place_of[node] = b
    assert [place_of[node] for node in tree.pin_node] == points[1:]
    xs, ys = zip(*points, strict=True)
    assert max(xs) - min(xs) + max(ys) - min(ys) <= tree.total <= spanning_length(points)


def test_elmore_of_a_line_and_of_a_branch_is_what_paper_says():
    wire = ClockWire(resistance=2.0, capacitance=3.0)                     # kohm and pF a um
    line = grow_tree((0, 0), [(1000, 0)])
    assert wire.delays(line, [5.0]) == [2.0 * (3.0 / 2 + 5.0)]
    branch = grow_tree((0, 0), [(1000, 0), (1000, 1000), (2000, 0)])
    common = 2.0 * (3.0 / 2 + 3.0 + 3.0 + 1.0 + 1.0)                       # ahead: two branches and two of the pins
    assert wire.delays(branch, [0.0, 1.0, 1.0]) == pytest.approx([common, *[common + 2.0 * (1.5 + 1.0)] * 2])


# Groups

@settings(max_examples=10, deadline=None)
@given(st.integers(1, 12), st.integers(0, 5))
def test_groups_are_a_partition_of_about_equal_weight(n_groups, seed):
    rng = np.random.default_rng(seed)
    points, weights = rng.random((120, 2)) * 1e5, rng.random(120) * 0.2 + 1
    groups = divide(points, weights, n_groups)
    assert sorted(int(i) for group in groups for i in group) == list(range(120)) and len(groups) == n_groups
    loads = [weights[group].sum() for group in groups]
    assert max(loads) - min(loads) <= 0.35 * weights.sum() / n_groups + 2 * weights.max()


# Trees

def test_a_tree_is_right_and_balanced(small):
    design, tree = small
    timing = tree.timings[SLOW]
    assert timing.skew < 0.1 and timing.worst_slew[0] < SPEC.slew_limit_ns
    nodes = list(tree.root.below())
    assert sum(node.kind == SINK for node in nodes) == 60 + 18 + 1
    assert {node.instance for node in nodes if node.kind == GATE} == {"gate0", "gate1"}
    for node in nodes:
        assert len(node.children) <= SPEC.fanout_limit
        if node.kind == BUFFER:
            assert node.instance.startswith(f"clkbuf_{node.level}_") and node.net.startswith(f"clk_{node.level}_")
            assert tree.design.placement.instances[node.instance].fixed
    assert all(distance < 15_000 for distance in tree.moved.values())


def test_the_same_design_gives_the_same_bytes(small):
    design, tree = small
    technology = clock_kit().technology
    assert write_def(build(design).design, technology) == write_def(tree.design, technology)


def test_report_and_metrics_say_what_the_tree_is(small):
    _, tree = small
    nodes, values = tree_nodes(tree), measure(tree, clock_kit().cells)
    arrivals = [node.arrival_ns[SLOW] for node in nodes if node.kind == SINK]
    assert values[f"clock__skew__worst__corner:{SLOW}"] == pytest.approx(max(arrivals) - min(arrivals), abs=2e-6)
    assert values["clock__sink__count"] == len(arrivals) == 79
    assert values["clock__buffer__count"] == sum(node.kind == BUFFER for node in nodes)
    assert all(0 <= node.parent < at for at, node in enumerate(nodes) if at)


def test_an_offset_brings_the_clock_earlier(small):
    design, _ = small
    tree = build(design, ClockSpec(offsets_ns={"m0": 0.3}))
    timing = tree.timings[SLOW]
    memory = next(node for node in tree.root.below() if node.instance == "m0")
    others = [timing.at[node].arrival[node.edge] for node in timing.arrivals if node is not memory]
    assert timing.at[memory].arrival[memory.edge] == pytest.approx(sum(others) / len(others) - 0.3, abs=0.12)


def test_a_negative_offset_brings_it_later():
    design = place(registers(60).netlist())
    tree = build(design, ClockSpec(offsets_ns={"f7": -0.4}))
    late = next(node for node in tree.root.below() if node.instance == "f7")
    arrivals = [tree.timings[SLOW].at[node].arrival[0] for node in tree.root.below()
                if node.kind == SINK and node is not late]
    assert tree.timings[SLOW].at[late].arrival[0] > max(arrivals) + 0.2


def test_old_buffers_go_and_inverters_stay():
    drawing = registers(30)
    old = drawing.add("old", "clkbuf_4", "clk", "old_clk")
    inverted = drawing.add("inverter", "inv_2", old, "clk_b")
    for number in range(12):
        drawing.add(f"n{number}", "dfrtn_1" if number % 2 else "dfxtp_1", inverted)
    design = place(drawing.netlist())
    tree = build(design)
    assert "old" not in tree.design.netlist.instances and "old_clk" not in tree.design.netlist.nets
    assert "old" not in tree.design.placement.instances
    assert "inverter" in tree.design.netlist.instances
    edges = {node.instance: node.edge for node in tree.root.below() if node.kind == SINK}
    assert edges["f0"] == edges["n0"] == 0 and edges["n1"] == 1
    assert tree.timings[SLOW].skew < 0.2


def test_gates_behind_gates_and_only_gates():
    drawing = Drawing()
    for outer in range(3):
        net = drawing.add(f"outer{outer}", "dlclkp_1", "clk", f"a{outer}")
        for inner in range(2):
            deep = drawing.add(f"inner{outer}_{inner}", "dlclkp_1", net, f"b{outer}_{inner}")
            for number in range(9):
                drawing.add(f"f{outer}_{inner}_{number}", "dfxtp_1", deep)
    assert build(place(drawing.netlist())).timings[SLOW].skew < 0.2


def test_data_that_the_clock_goes_to_stays_on_it():
    drawing = registers(20)
    out = drawing.add("logic", "nand2_1", "clk", "x")
    drawing.nets[out].append(("f0", "D"))
    drawing.nets["d"].remove(("f0", "D"))
    tree = build(place(drawing.netlist()))
    assert ("logic", "A") in {node.pin for node in tree.root.below() if node.kind == SINK}


def test_a_wide_die_gets_buffers_on_the_way():
    drawing = registers(8)
    design = place(drawing.netlist(), utilisation=0.02, stretch=40)
    tree = build(design, ClockSpec(slew_limit_ns=0.3), clock_kit(wire=ClockWire(2e-3, 3e-4)))
    assert any(node.kind == BUFFER and len(node.children) == 1 and node.children[0].kind == BUFFER
               for node in tree.root.below())


def test_buffers_are_thought_of_where_rows_are():
    """Two rows beside a macro, one above it; 10 um off the end of a row is nearer than 12 um up."""
    rows = (Row(0, 0, 100_000, "N"), Row(2720, 0, 100_000, "FS"), Row(50_000, 0, 500_000, "N"))
    room = Room(rows, 2720)
    assert room.nearest((40_000, 1_000)) == (40_000, 1_000)
    assert room.nearest((110_000, 3_000)) == (100_000, 3_000)
    assert room.nearest((300_000, 30_000)) == (300_000, 50_000)
    assert room.nearest((600_000, 60_000)) == (500_000, 52_720)


def test_every_corner_is_timed():
    tree = build(place(registers(40).netlist()), kit=clock_kit(SLOW, TYPICAL))
    assert tree.timings[TYPICAL].latency[1] < tree.timings[SLOW].latency[0]
    assert tree.timings[TYPICAL].skew < 0.1


@pytest.mark.parametrize("skews, tried, chosen", [
    ({20: 0.2}, [20], 20), ({20: 0.4, 16: 0.3}, [20, 16], 16), ({20: 0.5, 16: 0.4, 12: 0.45}, [20, 16, 12], 16),
])
def test_smaller_groups_are_tried_until_the_goal_is_met(monkeypatch, skews, tried, chosen):
    asked = []

    def fake(design, kit, spec):
        asked.append(spec.fanout_limit)
        return SimpleNamespace(timings={SLOW: SimpleNamespace(skew=skews[spec.fanout_limit])}, of=spec.fanout_limit)

    monkeypatch.setattr(engine, "make_clock_tree", fake)
    design = SimpleNamespace(netlist=SimpleNamespace(top="drawn"))
    assert engine.find_clock_tree(design, None, SPEC).of == chosen and asked == tried
