"""Searching for setup, hold and pulses, without a simulator: the search itself, its experiments, its verdicts."""

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("klayout.db", reason="the PyPI package klayout is not installed")

from flow.characterise.constraints import (
    LARGEST_DISTURBANCE,
    LARGEST_GLITCH,
    RESOLUTION_S,
    Bracket,
    excess,
    find_limits,
    initial_lines,
    judge,
    measure_with_gates,
)
from flow.characterise.corner import CORNERS
from flow.characterise.extract import ExtractedCell
from flow.characterise.protocol import Protocol
from flow.characterise.searches import constraint_searches, pulse_searches
from flow.characterise.sequential import Experiment, run_experiments
from golden.spec import SpecError

TT = CORNERS["tt_025C_1v80"]
CELL = ExtractedCell("flop", ("CLK", "D", "Q", "RESET_B", "VGND", "VNB", "VPB", "VPWR"), (), (), (), 20.0)
FLOP = Protocol(CELL, TT, "Q", "flipflop", "CLK", 1, "D", {"RESET_B": 1}, {"RESET_B": 0}, False, False)
LATCH = Protocol(CELL, TT, "Q", "latch", "GATE", 1, "D", {}, {}, False, False)
GATE = Protocol(CELL, TT, "GCLK", "latch", "CLK", 1, "GATE", {}, {}, False, True)
RAMP = 1e-9


def search(**changes):
    [first, *_] = constraint_searches(FLOP)
    return replace(first[3](RAMP, RAMP), **changes)


def run_bracket(added, **changes):
    """Narrows a search whose excess is a known function of time; the bracket, and how many times it asked."""
    one = search(**changes)
    bracket, n = Bracket(one, one.safe, one.unsafe), 0
    while not bracket.is_done:
        time = bracket.next_time()
        assert min(bracket.good, bracket.bad) <= time <= max(bracket.good, bracket.bad)
        part = added(time)
        bracket.tell(time, None if part is None else excess(part), part is not None and part <= 1)
        n += 1
        assert n < 40
    return bracket, n


@pytest.mark.parametrize("limit", [-8e-10, -3.3e-11, 0.0, 1.234e-10, 7e-10])
@pytest.mark.parametrize("time_constant", [5e-12, 3e-11, 2e-10])
def test_the_limit_is_found_between_what_works_and_what_does_not(limit, time_constant):
    bracket, n = run_bracket(lambda time: math.exp(-(time - limit) / time_constant))
    assert bracket.bad <= limit <= bracket.good and bracket.good - bracket.bad <= RESOLUTION_S
    assert n <= 15


def test_a_search_that_only_knows_yes_and_no_ends_too():
    bracket, n = run_bracket(lambda time: 0.0 if time >= 1.23e-10 else None)
    assert bracket.bad <= 1.23e-10 <= bracket.good and n <= 16


def test_what_never_fails_ends_at_its_bound():
    bracket, _ = run_bracket(lambda time: 0.0, unsafe=1e-10, first=1.005e-10, safe=2e-9)
    assert bracket.good == pytest.approx(1e-10, abs=RESOLUTION_S)


def value(**changes):
    return {"delay": 3e-10, "slew": 5e-11, "last": 1.8, "swing": 1.0, "moved": {}, **changes}


def test_a_delay_may_grow_by_a_tenth():
    one, far = search(), value()
    assert judge(one, value(delay=3.29e-10), far, TT)[0] and not judge(one, value(delay=3.31e-10), far, TT)[0]
    assert judge(one, value(delay=3.3e-10), far, TT)[1] == pytest.approx(0, abs=1e-9)
    assert judge(one, value(delay=None), far, TT) == (False, None)
    assert judge(one, value(last=0.9), far, TT) == (False, None)           # came, and fell back


def test_an_output_that_should_stay_may_not_move():
    one = search(moves=False)
    assert judge(one, value(swing=0.9 * LARGEST_GLITCH), value(), TT)[0]
    assert not judge(one, value(swing=1.1 * LARGEST_GLITCH), value(), TT)[0]


def test_behind_a_clear_the_nets_inside_must_stay_too():
    far = value(swing=0.0, moved={"v(u0_store)": 0.02, "v(u0_clock)": 1.0})
    near = value(swing=0.0, moved={"v(u0_store)": 1.1 * LARGEST_DISTURBANCE, "v(u0_clock)": 1.0})
    assert judge(search(moves=False), near, far, TT)[0]
    assert not judge(search(moves=False, hidden=True), near, far, TT)[0]
    calm = {**near, "moved": {"v(u0_store)": 0.9 * LARGEST_DISTURBANCE, "v(u0_clock)": 1.0}}
    assert judge(search(moves=False, hidden=True), calm, far, TT)[0]       # the clock moves anyhow


@pytest.mark.parametrize("protocol", [FLOP, LATCH, GATE])
@pytest.mark.parametrize("time", [-4e-10, 0.0, 5e-10])
def test_edges_are_as_far_apart_as_asked(protocol, time):
    for pin, kind, table, make in constraint_searches(protocol):
        one = make(RAMP, RAMP / 2)
        analysis = one.analysis(time)
        [clock], [own] = analysis.edges[protocol.clock], analysis.edges[pin]
        apart = clock.at - own.at if kind.startswith(("setup", "recovery")) else own.at - clock.at
        assert apart == pytest.approx(time, abs=1e-18)
        assert min(clock.at - clock.ramp / 2, own.at - own.ramp / 2) > 0     # nothing begins before the experiment
        assert analysis.end > max(clock.at + clock.ramp / 2, own.at + own.ramp / 2)
        assert own.value == (1 if table == "rise_constraint" else 0) != analysis.first[pin]
        assert one.safe > 0 > one.unsafe


def test_kinds_of_constraints():
    kinds = {(pin, kind) for pin, kind, _, _ in constraint_searches(FLOP)}
    assert kinds == {("D", "setup_rising"), ("D", "hold_rising"), ("RESET_B", "recovery_rising"),
                     ("RESET_B", "removal_rising")}
    assert {kind for _, kind, _, _ in constraint_searches(LATCH)} == {"setup_falling", "hold_falling"}
    assert {kind for _, kind, _, _ in constraint_searches(GATE)} == {"setup_rising", "hold_rising"}
    hidden = {kind for pin, kind, _, make in constraint_searches(FLOP) if make(RAMP, RAMP).hidden}
    assert hidden == {"recovery_rising", "removal_rising"}


@pytest.mark.parametrize("protocol, pulses", [
    (FLOP, {("CLK", "high"), ("CLK", "low"), ("RESET_B", "low")}), (LATCH, {("GATE", "high")}),
    (GATE, {("CLK", "high"), ("CLK", "low")}),
])
def test_pulses_are_not_narrower_than_their_ramps(protocol, pulses):
    assert {(pin, level) for pin, level, _ in pulse_searches(protocol)} == pulses
    for pin, _, make in pulse_searches(protocol):
        one = make(RAMP)
        begin, end = one.analysis(one.unsafe).edges[pin]
        assert begin.at + begin.ramp / 2 <= end.at - end.ramp / 2 + 1e-18 and one.unsafe == RAMP


def test_histories_store_the_opposite_of_what_must_be_stored():
    for pin, kind, table, make in constraint_searches(FLOP):
        one = make(RAMP, RAMP)
        if pin == "D":
            stored = one.history[1]["D"]
            assert one.history[1]["CLK"] == 1 and stored != one.analysis(0.0).events[0].rises, (kind, table)


def test_a_cell_that_does_not_work_far_apart_is_refused():
    class Dead:
        def run(self, jobs):
            return [{} if "history" in job.name else [value(swing=0.0, delay=None)] for job in jobs]

    with pytest.raises(SpecError, match="flop must work with edges far apart at tt_025C_1v80, .*: setup of D to 1"):
        find_limits(CELL, TT, "Q", ("Q",), [search()], Dead())


def test_moves_of_gates_are_measured_from_where_they_began():
    time = np.linspace(0, 1e-9, 11)
    wave = {"time": time, "v(o0)": 0 * time, "i(vs0)": 0 * time, "i(vi0_clk)": 0 * time,
            "v(u0_a)": np.where(time > 5e-10, 1.35, 1.8)}
    event = {"at": 1e-10, "start": 0.0, "end": 1e-9, "rises": True, "pin": "CLK", "ramp": 1e-11}
    [found] = measure_with_gates([wave], {"voltage": 1.8, "n_copies": 1, "events": [[event]], "nodes": ["v(u0_a)"]})
    assert found["moved"] == {"v(u0_a)": pytest.approx(0.25)} and found["delay"] is None


def test_trials_of_arcs_begin_where_their_history_ends():
    for protocol in (FLOP, LATCH, GATE):
        for pin, _, _, trials in protocol.arcs():
            for trial in trials:
                analysis = trial.make(RAMP)
                [edge], [event] = analysis.edges[pin], analysis.events
                assert analysis.first == trial.history[-1] and edge.value != analysis.first[pin]
                assert edge.at - RAMP / 2 > 0 and event.end <= analysis.end and event.pin == pin


def test_arcs_are_tried_in_both_directions_and_a_clear_with_the_clock_off_and_on():
    directions = {(pin, kind): [trial.make(RAMP).events[0].rises for trial in trials]
                  for protocol in (FLOP, LATCH, GATE) for pin, kind, _, trials in protocol.arcs()}
    assert directions == {("CLK", "rising_edge"): [True, False], ("RESET_B", "clear"): [False, False],
                          ("GATE", "rising_edge"): [True, False], ("D", "combinational"): [True, False],
                          ("CLK", "combinational"): [True, False]}
    [clear] = [trials for pin, kind, _, trials in FLOP.arcs() if kind == "clear"]
    assert [trial.history[-1]["CLK"] for trial in clear] == [0, 1]


def test_every_copy_begins_in_the_same_state():
    lines = initial_lines({"v(u0_n1)": 1.8, "v(o0)": 0.0, "v(u0_o0)": 0.9}, 2)
    assert lines == [".ic v(o0)=0.0", ".ic v(u0_n1)=1.8", ".ic v(u0_o0)=0.9",
                     ".ic v(o1)=0.0", ".ic v(u1_n1)=1.8", ".ic v(u1_o0)=0.9"]


def test_results_of_several_decks_become_one_experiment():
    class Two:
        def run(self, jobs):
            return [[[[f"{job} slew {k}"]] for k in range(2)] for job in jobs]

    one = Experiment("CLK", "rising_edge", "", ("rise", "fall"), (), ())
    assert run_experiments([one], Two()) == [[[["rise slew 0"], ["fall slew 0"]], [["rise slew 1"], ["fall slew 1"]]]]
