"""Buffers, sizes and delays: what they must not change, what they must reach, and that they are the best there are."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from physical_kit import LIBRARY, kit_cells, kit_technology
from timing_kit import FAST, LOGIC, ROW, SITE, SLOW, chain, fan, liberty_text, placed, timer, write_kit

from flow.characterise.liberty_read import parse_liberty
from flow.physical.def_read import load_def
from flow.physical.def_write import write_def
from flow.physical.design import outline
from flow.physical.netlist import Netlist, check_netlist
from flow.place.engine import Desk
from flow.place.spec import PlaceSpec
from flow.repair import repair
from flow.repair.bench import Bench, load_kit
from flow.repair.buffering import interpolate, put_buffers
from flow.repair.delays import Chain, pick_chain
from flow.repair.edit import Editor, without_buffers
from flow.repair.gaps import settle
from flow.repair.hold import repair_hold
from flow.repair.repair import repair_placement
from flow.repair.same import check_same
from flow.repair.shop import Workshop
from flow.repair.spec import HoldSpec, RepairSpec
from flow.steps.hold import run_hold
from flow.steps.repair import run_repair
from flow.timing.liberty import read_cells
from flow.timing.spec import TimingSpec
from flow.timing.trees import build_trees
from golden.spec import SpecError

CELLS = kit_cells(*LOGIC)
BUF = f"{LIBRARY}__buf_2"


@pytest.fixture(scope="module")
def library():
    return read_cells(parse_liberty(liberty_text(SLOW)), SLOW)


def test_a_buffer_goes_in_and_comes_out_again(library):
    design = chain(3)
    editor = Editor(design, CELLS)
    editor.add_buffer("rep_0", BUF, "n1", [("u1", "A")], (50_000, 10_000))
    editor.add_buffer("rep_1", BUF, "out", [("", "out")], (60_000, 10_000))
    after = editor.design().netlist
    check_netlist(after, CELLS)
    assert set(after.nets["out"]) == {("", "out"), ("rep_1", "X")} and ("core__b_reg", "Q") in after.nets["rep_1_net"]
    check_same(design.netlist, after, CELLS, library)
    bare = without_buffers(after, CELLS, {"rep_0", "rep_1"})
    assert {net: set(pins) for net, pins in bare.nets.items()} == {
        net: set(pins) for net, pins in design.netlist.nets.items()}
    assert editor.design().placement.instances["rep_0"].cell == BUF


def test_a_buffer_between_two_ports_stays():
    netlist = Netlist("thru", {"a": "input", "z": "output"}, {"b": BUF},
                      {"a": (("", "a"), ("b", "A")), "z": (("", "z"), ("b", "X"))})
    assert without_buffers(netlist, CELLS, {"b"}) == netlist


def changed(netlist, **parts):
    return replace(netlist, **parts)


@pytest.mark.parametrize(("what", "message"), [
    ("cell", "cells do something else: u1"), ("pins", "nets connect other pins"), ("gone", "instances are only in one"),
    ("port", "the ports differ"), ("polarity", "instances are only in one: u9"),
])
def test_what_changes_the_function_is_found(what, message, library):
    netlist = chain(4).netlist
    wrong = {
        "cell": changed(netlist, instances={**netlist.instances, "u1": BUF.replace("buf_2", "nand2_1")}),
        "pins": changed(netlist, nets={**netlist.nets, "n1": (("u0", "Y"), ("u2", "A")),
                                       "n2": (("u1", "Y"), ("u1", "A"))}),
        "gone": changed(netlist, instances={k: v for k, v in netlist.instances.items() if k != "u3"},
                        nets={**netlist.nets, "n3": (("u2", "Y"), ("core__b_reg", "D")), "n4": ()}),
        "port": changed(netlist, ports={**netlist.ports, "x": "input"}),
        "polarity": changed(netlist, instances={**netlist.instances, "u9": f"{LIBRARY}__inv_1"},
                            nets={**netlist.nets, "n1": (("u0", "Y"), ("u9", "A")), "m": (("u9", "Y"), ("u1", "A"))}),
    }[what]
    with pytest.raises(SpecError, match=message):
        check_same(netlist, wrong, CELLS, library)
    larger = changed(netlist, instances={**netlist.instances, "u1": f"{LIBRARY}__inv_8"})
    check_same(netlist, larger, CELLS, library)


def test_new_cells_go_into_the_nearest_gaps_and_nothing_else_moves():
    design = chain(3)
    editor = Editor(design, CELLS)
    net, new = "n1", {}
    for k in range(4):
        net = editor.add_buffer(f"hold_{k}", BUF, net, [("u1", "A")], (50_000, 11_000))
        new[f"hold_{k}"] = (50_000, 11_000)
    after = settle(editor.design(), new, CELLS, kit_technology()).placement
    boxes = [outline(place, CELLS[place.cell]) for place in after.instances.values()]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert all(place.x % SITE == 0 and place.y % ROW == 0 for place in after.instances.values())
    assert all(after.instances[name] == place for name, place in design.placement.instances.items())
    assert all(abs(after.instances[name].x - 50_000) < 20_000 and abs(after.instances[name].y - 11_000) < 3 * ROW
               for name in new)
    full = replace(editor.design(), placement=replace(editor.design().placement, rows=after.rows[:0]))
    with pytest.raises(SpecError, match="hold_0 must find a gap"):
        settle(full, new, CELLS, kit_technology())


def test_the_smallest_chain_that_is_enough_is_taken():
    small, middle, large = (Chain((name,), {SLOW: a, FAST: b}, {SLOW: 2 * a, FAST: b}, area) for name, a, b, area in
                            (("s", 0.2, 0.1, 1.0), ("m", 0.5, 0.2, 2.0), ("l", 1.0, 0.4, 3.0)))
    chains = [small, middle, large]
    ample = {SLOW: 9.0, FAST: 9.0}
    assert pick_chain(chains, {SLOW: 0.1, FAST: 0.15}, ample) is middle
    assert pick_chain(chains, {SLOW: 0.1, FAST: 0.15}, {SLOW: 0.5, FAST: 9.0}) is small    # what setup can spare
    assert pick_chain(chains, {SLOW: 0.1, FAST: 0.15}, {SLOW: 0.1, FAST: 9.0}) is None


@pytest.mark.parametrize(("spec", "wrong"), [
    (RepairSpec, {"goal_share": 0.6}), (RepairSpec, {"slew_share": 0.0}), (RepairSpec, {"rounds": 0}),
    (HoldSpec, {"margin_ns": -0.1}), (HoldSpec, {"rounds": 0}),
])
def test_demands_that_make_no_sense_are_refused(spec, wrong):
    with pytest.raises(SpecError, match=next(iter(wrong))):
        spec(**wrong)


LOADS = np.array([0.0, 0.05, 1.0])
BUFFERS = {"pf": np.array([0.002, 0.006]), "area": np.array([1.0, 3.0]), "most": np.array([0.1, 0.4]),
           "delays": np.array([[0.1, 0.4, 6.1], [0.12, 0.18, 1.3]])}
DRIVER = np.array([[0.0, 0.7, 14.0]])


def brute_force(tree, ohm, edge_pf, pin_pf, left, price):
    """Every way to put no or one buffer at either end of each wire, timed from the driver on; the best value."""
    n = len(tree.parent)
    best = -np.inf
    for choice in product(range(-1, 2), repeat=2 * (n - 1)):       # of each node: at its own end, at its parent's end
        kinds = np.array(choice).reshape(-1, 2)
        load, slack, area, legal = pin_pf.copy(), left.copy(), 0.0, True
        for node in range(n - 1, 0, -1):
            for end in (0, 1):
                if end == 1:
                    slack[node] -= 1e-3 * ohm[node] * (load[node] + edge_pf[node] / 2)
                    load[node] += edge_pf[node]
                kind = kinds[node - 1, end]
                if kind >= 0:
                    legal &= load[node] <= BUFFERS["most"][kind]
                    slack[node] -= interpolate(load[node], LOADS, BUFFERS["delays"][kind])
                    load[node], area = BUFFERS["pf"][kind], area + BUFFERS["area"][kind]
            load[tree.parent[node]] += load[node]
            slack[tree.parent[node]] = min(slack[tree.parent[node]], slack[node])
        if legal:
            best = max(best, slack[0] - interpolate(load[0], LOADS, DRIVER[0]) - price * area)
    return best


def value_of(rows, tree, ohm, edge_pf, pin_pf, left, price):
    """What the chosen buffers give."""
    load, slack, area = pin_pf.copy(), left.copy(), 0.0
    at = {(node, end): kind for node, end, kind in rows.tolist()}
    for node in range(len(tree.parent) - 1, 0, -1):
        for end in (1, 0):
            if end == 0:
                slack[node] -= 1e-3 * ohm[node] * (load[node] + edge_pf[node] / 2)
                load[node] += edge_pf[node]
            kind = at.get((node, end), -1)
            if kind >= 0:
                assert load[node] <= BUFFERS["most"][kind]
                slack[node] -= interpolate(load[node], LOADS, BUFFERS["delays"][kind])
                load[node], area = BUFFERS["pf"][kind], area + BUFFERS["area"][kind]
        load[tree.parent[node]] += load[node]
        slack[tree.parent[node]] = min(slack[tree.parent[node]], slack[node])
    return slack[0] - interpolate(load[0], LOADS, DRIVER[0]) - price * area


@pytest.mark.eda
@pytest.mark.parametrize("seed", range(2))
def test_no_other_choice_of_buffers_is_better(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 400_000, (2, 4))
    tree = build_trees(np.array([0, 4]), x, y)
    n = len(tree.parent)
    assert 4 <= n <= 6
    length = (tree.dx + tree.dy) / 1000
    ohm, edge_pf = 0.6 * length, 1.5e-4 * length
    is_sink = tree.pin > 0
    pin_pf = np.where(is_sink, 0.01, 0.0)
    left = np.where(is_sink, rng.uniform(1.0, 3.0, n), 1e6)
    price = 1e-3
    rows = put_buffers(np.array([0]), tree.first, tree.parent, ohm, edge_pf, pin_pf, left, LOADS, DRIVER,
                       np.array([10.0]), BUFFERS["pf"], BUFFERS["area"], BUFFERS["most"], LOADS, BUFFERS["delays"],
                       np.array([1e6]), price, 1e6, 9)
    best = brute_force(tree, ohm, edge_pf, pin_pf, left, price)
    assert value_of(rows, tree, ohm, edge_pf, pin_pf, left, price) == pytest.approx(best, abs=2e-3)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return write_kit(tmp_path_factory.mktemp("kit"))


def workshop(kit, folder, **demands):
    return Workshop(timer(kit, **demands), kit_technology(), PlaceSpec(effort=1), Desk(folder / "log"), folder,
                    lambda line: None)


@pytest.mark.eda
@pytest.mark.parametrize("hold", [False, True])
def test_the_engine_agrees_with_opensta(kit, tmp_path, hold):
    """Slacks of all endpoints; both count the same wires, one with an effective load, the other with the whole."""
    for design in (chain(12, step=25), fan(6)):
        shop = workshop(kit, tmp_path, clock_period_ns=6.0)
        report = shop.judge(design, [SLOW], "sta", propagated=True)[SLOW]
        bench = Bench(load_kit(shop.timer, SLOW, dict.fromkeys(design.netlist.instances.values())), design,
                      propagated=True, hold=hold)
        times = bench.time()
        for end, worst in getattr(report, "hold" if hold else "setup").items():
            instance, _, pin = end.rpartition("/")
            assert times.slack[bench.graph.pin(instance, pin, bench.number)] == pytest.approx(worst.slack, abs=0.03)


@pytest.mark.eda
def test_slow_edges_and_late_paths_are_repaired(kit, tmp_path, library):
    design = fan(64, spread=2)
    shop = workshop(kit, tmp_path, clock_period_ns=4.0, output_share=0.1, max_fanout=16)
    before = shop.judge(design, [SLOW], "sta", propagated=False)[SLOW]
    assert before.slews and before.violating("setup")
    repaired, report = repair_placement(design, shop, SLOW, RepairSpec())
    assert not report.slews and not report.violating("setup")
    check_same(design.netlist, repaired.netlist, CELLS, library)
    check_netlist(repaired.netlist, CELLS)
    assert all(len(pins) <= 17 for net, pins in repaired.netlist.nets.items() if net != "clk")
    assert any(name.startswith("rep_") for name in repaired.netlist.instances)


@pytest.mark.eda
def test_what_needs_no_repair_is_not_made_worse(kit, tmp_path):
    shop = workshop(kit, tmp_path, clock_period_ns=20.0)
    design = chain(4)
    before = shop.judge(design, [SLOW], "sta", propagated=False)[SLOW]
    repaired, report = repair_placement(design, shop, SLOW, RepairSpec())
    assert report.total_negative("setup") == 0 == before.total_negative("setup")
    assert len(repaired.netlist.instances) == len(design.netlist.instances)


def shift_register():
    """Two registers, one right behind the other."""
    d = f"{LIBRARY}__dfxtp_1"
    netlist = Netlist("shift", {"clk": "input", "in": "input", "out": "output"},
                      {"core__a_reg": d, "core__b_reg": d},
                      {"clk": (("", "clk"), ("core__a_reg", "CLK"), ("core__b_reg", "CLK")),
                       "in": (("", "in"), ("core__a_reg", "D")), "q": (("core__a_reg", "Q"), ("core__b_reg", "D")),
                       "out": (("", "out"), ("core__b_reg", "Q"))})
    return placed(netlist, {"core__a_reg": (20, 3), "core__b_reg": (60, 3)})


@pytest.mark.eda
def test_hold_is_repaired_at_every_corner_and_setup_stays_met(kit, tmp_path, library):
    shop = workshop(kit, tmp_path, clock_period_ns=5.0, hold_uncertainty_ns=0.35)
    design = shift_register()
    before = shop.judge(design, [FAST], "sta", propagated=True)[FAST]
    assert "core__b_reg/D" in before.violating("hold")
    result = repair_hold(design, shop, HoldSpec(margin_ns=0.05, latency_share=0.0), SLOW, RepairSpec())
    assert result.n_cells > 0 and result.n_without == 0
    assert all(report.worst("hold") >= 0.05 and report.worst("setup") > 0 for report in result.reports.values())
    assert len(result.reports) == 3
    check_same(design.netlist, result.design.netlist, CELLS, library)
    kept = result.design.placement.instances
    assert all(kept[name] == place for name, place in design.placement.instances.items())


@pytest.mark.eda
def test_hold_that_would_break_setup_is_counted_and_left(kit, tmp_path):
    shop = workshop(kit, tmp_path, clock_period_ns=1.9, hold_uncertainty_ns=0.35, skew_ns=0.1)
    result = repair_hold(shift_register(), shop, HoldSpec(setup_margin_ns=1.0), SLOW, RepairSpec())
    assert result.n_cells == 0 and result.n_without >= 1 and result.reports[FAST].violating("hold")


@pytest.mark.eda
def test_the_steps_leave_layouts_and_the_same_bytes(kit, tmp_path):
    layout = tmp_path / "in.def"
    design = fan(20, spread=2)
    layout.write_text(write_def(design, kit_technology()))
    timing = TimingSpec(clock_period_ns=6.0, hold_uncertainty_ns=0.3)
    texts = []
    for run in ("a", "b"):
        folder = tmp_path / run
        metrics = run_repair(layout, kit, {}, folder, timing)
        assert metrics["timing__setup__ws"] > 0 and metrics["design__violations"] == 0
        held = run_hold(folder / "repair" / "repair.def", kit, {}, folder, timing)
        assert held["timing__hold__ws"] > 0 and held["design__hold_buffer__count"] > 0
        texts.append((folder / "hold" / "hold.def").read_bytes())
    assert texts[0] == texts[1]
    final = load_def(tmp_path / "a" / "hold" / "hold.def", kit_technology())
    check_netlist(final.netlist, CELLS)


@pytest.mark.eda
def test_slacks_of_nets_are_those_of_the_paths_through_them(kit, tmp_path, monkeypatch):
    design = chain(12, step=25)
    shop = workshop(kit, tmp_path, clock_period_ns=6.0)
    report = shop.judge(design, [SLOW], "sta", propagated=False)[SLOW]
    slacks = shop.net_slacks(design, SLOW, "slacks")
    assert "clk" not in slacks and len(slacks) > 12
    monkeypatch.setattr(Workshop, "clock_nets", lambda self, design: ["clk", "n5"])      # as one behind a clock gate
    assert set(slacks) - set(shop.net_slacks(design, SLOW, "slacks")) == {"n5"}
    assert slacks["n3"] == slacks["n9"] == pytest.approx(report.setup["core__b_reg/D"].slack, abs=1e-4)


@pytest.mark.eda
@pytest.mark.parametrize("period, again", [(20.0, False), (1.2, True)])
def test_cells_are_placed_again_by_slack_only_where_slack_is_missing(kit, tmp_path, monkeypatch, period, again):
    design, weights = chain(12, step=25), []
    shop = workshop(kit, tmp_path, clock_period_ns=period)
    monkeypatch.setattr(Workshop, "placed", lambda self, design, found: weights.append(found) or design)
    _, report = repair_placement(design, shop, SLOW, RepairSpec())
    assert bool(weights) == again
    assert all(set(found) <= set(design.netlist.nets) and max(found.values()) == 4 for found in weights)
    _, before = repair_placement(design, shop, SLOW, RepairSpec(placings=0))
    assert report.worst("setup") >= before.worst("setup")


@pytest.mark.eda
@pytest.mark.parametrize("second, kept", [(-2.0, "first"), (-0.5, "second")])
def test_of_two_placements_the_better_one_stays(kit, tmp_path, monkeypatch, second, kept):
    design, shop = chain(4), workshop(kit, tmp_path, clock_period_ns=1.0)
    found = iter([("first", -1.0), ("second", second)])

    def repaired(*args):
        name, slack = next(found)
        report = SimpleNamespace(slews=(), total_negative=lambda check: slack, worst=lambda check: slack)
        return replace(design, netlist=replace(design.netlist, top=name)), report

    monkeypatch.setattr(repair, "_repaired", repaired)
    monkeypatch.setattr(repair, "_words", lambda report: "")
    monkeypatch.setattr(Workshop, "judge", lambda self, design, corners, *args, **kwargs: {
        corner: SimpleNamespace(slews=(1, 2), total_negative=lambda check: -9.0, worst=lambda check: -9.0)
        for corner in corners})
    monkeypatch.setattr(Workshop, "net_slacks", lambda self, *args: {"n1": -1.0})
    monkeypatch.setattr(Workshop, "placed", lambda self, design, weights: design)
    assert repair_placement(design, shop, SLOW, RepairSpec())[0].netlist.top == kept
