"""Liberty of SRAM macros: what is read off waves, physics, stages; each gate has something that trips it."""

import re
import subprocess
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from flow.characterise.corner import CORNERS
from flow.characterise.result import Table
from flow.pdk.config import load_pdk_config
from flow.sram import characterise, checks, plans, pulses, readback, reduce
from flow.sram.deck import Cycle, Experiment, node, sources
from flow.sram.inputs import InputTiming
from flow.sram.liberty import macro_library
from flow.sram.measure import measure_cycles
from flow.sram.pins import check_liberty
from flow.sram.pulses import SEQUENCE, SHOWS, WIDTHS, works
from flow.sram.result import Bus, Leakage, MacroResult
from flow.sram.spec import SramSpec
from flow.sram.timing import Access
from flow.steps import sram_liberty
from golden.spec import SpecError

SPEC, WIDE = SramSpec.parse("512x8"), SramSpec.parse("512x64")
TT = CORNERS["tt_025C_1v80"]


# Reading back

def test_what_must_be_read_follows_byte_enables():
    plan = plans.pattern_plan(WIDE)
    steps = (readback.Step(0, 0, 0), readback.Step(0, 0, 1, readback.LAST_BYTE), readback.Step(0, 0),
             readback.Step(0, 3))
    first, reads, memory = readback.expected(plan, steps)
    in_last = [plan.byte_group_of(group[0] // 8) == len(plan.byte_groups) - 1 for group in plan.groups]
    assert reads[2] == tuple(value ^ last for value, last in zip(readback.word(plan, 0), in_last, strict=True))
    assert reads[:2] == [None, None] and reads[3] == first[3] and memory[0] == reads[2]
    assert any(in_last) and not all(in_last)


def test_every_width_reads_both_values_of_first_and_last_row_and_column():
    for spec in (SPEC, WIDE):
        plan, steps = plans.pattern_plan(spec), readback.steps_of(spec)
        first, reads, _ = readback.expected(plan, steps)
        seen = {(step.row, step.column, value[0]) for step, value in zip(steps, reads, strict=True) if value}
        assert {(0, 0, 0), (0, 0, 1), (127, 3, 0), (127, 3, 1), (1, 0, 1), (0, 3, 0)} <= seen
        assert any(step.bytes != readback.ALL for step in steps) == (spec.n_bytes > 1)


def test_a_wrong_value_ends_the_run():
    outcome = readback.Outcome(3, 24, ("cycle 2: row 0, column 0, bits (0,) must read 1, and q is 0.00 of the supply",))
    with pytest.raises(SpecError, match="1 of 24 values are wrong:\n  cycle 2: row 0"):
        readback.check_readback(outcome, SPEC, TT, 3.0, 3.0)


# Waves

def test_cycles_are_measured_on_known_waves():
    time = np.linspace(0, 20e-9, 2001)
    q = np.interp(time, [7e-9, 7.6e-9], [0, 1.8])
    wave = {"time": time, "v(q0)": q, "v(cell)": np.full_like(time, 1.8), "i(vvdd)": np.full_like(time, -1e-3),
            "i(vclk)": np.zeros_like(time)}
    settings = {"voltage": 1.8, "ramp_s": 1e-10, "edges_s": [5e-9, 15e-9], "end_s": 20e-9, "high_s": [5e-9, 2e-9],
                "n_groups": 1, "nets": ["cell"]}
    first, second = measure_cycles([wave], settings)
    assert first["delay"][0] == pytest.approx(2.3e-9, rel=1e-3) and first["slew"][0] == pytest.approx(0.36e-9, rel=1e-2)
    assert first["rises"] == [True] and first["q"][0] == pytest.approx(1) and first["nets"] == [1.0]
    assert first["supply"] == pytest.approx([5e-12, 5e-12]) and second["delay"] == [None]


def test_inputs_change_in_the_middle_of_the_low_phase():
    plan = plans.timing_plan(SPEC, TT, (0, 511))
    cycles = tuple(Cycle(address, (write,), (1,) * 5, 3e-9, 2e-9) for address, write in ((0, 0), (511, 1)))
    experiment = Experiment(plan, cycles, {}, (1e-15,) * 5, lead_s=4e-9)
    by_name = {line.split()[0]: line for line in sources(experiment, 1.8)}
    assert experiment.edges_s == pytest.approx((4e-9, 9e-9)) and experiment.end_s == pytest.approx(14e-9)
    assert "7.95e-09 0 8.05e-09 1.8" in by_name["va_5_"] and "8.05e-09 1.8" in by_name["vwe0"]
    assert node("rowperiph/rowdec/pd[0][3]") == "rowperiph.rowdec.pd_0__3_"


def cycle(q: float, delay: float | None, rises: bool, cell: float = 1.0) -> dict:
    return {"q": [q], "delay": [delay], "rises": [rises], "nets": [cell, cell]}


def test_a_short_phase_does_only_when_value_and_delay_are_right():
    reference = [cycle(value, 1e-9, bool(value), float(value)) for _, _, value, _ in SEQUENCE]
    assert all(works(name, reference, reference, 0) for name in WIDTHS)
    for name in WIDTHS:
        for number in SHOWS[name]:                                 # every cycle that shows it counts, for both values
            wrong = [dict(each) for each in reference]
            wrong[number] = {**wrong[number], "q": [1 - wrong[number]["q"][0]],
                             "nets": [1 - level for level in wrong[number]["nets"]]}
            assert not works(name, wrong, reference, 0)
        assert {SEQUENCE[number][2] for number in SHOWS[name]} == {0, 1}
    late = [{**each, "delay": [1.2e-9]} for each in reference]
    assert [works(name, late, reference, 0) for name in WIDTHS] == [False, False, True, False]


class Clocked:
    """Instead of ngspice: a macro that works where its clock's phases are long enough."""

    needs_s = {"read_high": 1.3e-9, "read_low": 2.1e-9, "write_high": 0.4e-9, "write_low": 2.69e-9}
    access_s = 2.7e-9

    def __init__(self, dead: str = "", period_s: float = 0.0) -> None:
        self.dead, self.period_s, self.n_runs = dead, period_s, 0

    def run(self, jobs):
        [cycles] = jobs
        self.n_runs += 1
        wrong = {number for each, (_, _, _, name) in zip(cycles, SEQUENCE, strict=True) if name
                 and (getattr(each, f"{name.split('_')[1]}_s") < self.needs_s[name] or name == self.dead)
                 for number in SHOWS[name]}
        if len({(each.high_s, each.low_s) for each in cycles}) == 1 and self.n_runs > 1:       # both short everywhere
            wrong |= {k for k, each in enumerate(cycles) if each.high_s + each.low_s < self.period_s}
        return [[cycle(value ^ (k in wrong), self.access_s, bool(value), value ^ (k in wrong))
                 for k, (_, _, value, _) in enumerate(SEQUENCE)]]


@pytest.fixture
def clocked(monkeypatch):
    """find_pulses with jobs that are only their cycles."""
    class Cells(dict):
        def __missing__(self, key):
            return "cell"

    monkeypatch.setattr(pulses, "reduce_macro", lambda macro, plan: reduce.Circuit(cells=Cells()))
    monkeypatch.setattr(pulses, "timing_plan", lambda *_, **__: reduce.Plan(SPEC, (3, 511), (tuple(range(8)),), ((0,),),
                                                                           (0,)))
    monkeypatch.setattr(pulses, "build_job", lambda name, circuit, corner, experiment, *_: experiment.cycles)


def test_the_shortest_phases_are_found_from_the_safe_side(clocked):
    memory = Clocked()
    found = pulses.find_pulses(None, SPEC, TT, memory).widths_ns
    for name, need in memory.needs_s.items():
        step = memory.access_s * pulses.RESOLUTION_PART * 1.01
        least = memory.access_s * pulses.LEAST_PART
        assert max(need, least) * 1e9 <= found[name] <= (max(need, least) + step) * 1e9 + 1e-9
    assert memory.n_runs == 5


def period_ns(found: pulses.Pulses) -> float:
    return sum(max(value for name, value in found.widths_ns.items() if name.endswith(end)) for end in ("high", "low"))


def test_phases_that_do_alone_and_not_together_are_made_longer(clocked):
    alone = pulses.find_pulses(None, SPEC, TT, Clocked())
    needed = period_ns(alone) + 0.3
    together = pulses.find_pulses(None, SPEC, TT, Clocked(period_s=needed * 1e-9))
    assert needed <= period_ns(together) <= needed + 2 * 2.7 * pulses.STEP_PART
    with pytest.raises(SpecError, match="with both clock phases short, and does not with"):
        pulses.find_pulses(None, SPEC, TT, Clocked(period_s=20e-9))


def test_a_macro_that_fails_with_long_phases_is_refused(clocked):
    with pytest.raises(SpecError, match="with clock phases of 6 ns, and fails: write_high"):
        pulses.find_pulses(None, SPEC, TT, Clocked(dead="write_high"))


# Liberty

def constant(value: float, n: int, step: float = 0.0) -> Table:
    index_2 = plans.LOADS_PF if n == 4 else (0.02, 0.3, 1.0)
    return Table((0.02, 0.2, 0.6), index_2, tuple(tuple(value + step * (i + j) for j in range(n)) for i in range(3)))


def falling(value: float, step: float) -> Table:
    """A table that changes with the clock's slew only."""
    return msgspec.structs.replace(constant(value, 4), values=tuple((value + step * i,) * 4 for i in range(3)))


LEAKAGE = {"tt_025C_1v80": Leakage(251.159, 192.094, 544.25, 192.093),
           "ss_100C_1v60": Leakage(93420.9, 3117520, 348090, 3120610),
           "ff_n40C_1v95": Leakage(2678.72, 1046.01, 7044.3, 1046.01)}
"""Of 512x8 as measured."""

BETWEEN_NW = 101_000 * 4096
"""Of the cells of 512x8 when each stands between its two states, where an operating point at ss finds it."""


def result_of(spec: SramSpec = SPEC, slower: float = 1.0, **changes) -> MacroResult:
    limits = {f"{kind}_{edge}": constant(value, 3) for kind, value in (("setup", 0.1), ("hold", -0.05))
              for edge in ("rise", "fall")}
    access = {name: constant(slower * value, 4, 0.05) for name, value in (
        ("cell_rise", 2.7), ("cell_fall", 2.6), ("rise_transition", 0.3), ("fall_transition", 0.2))}
    return msgspec.structs.replace(MacroResult(
        spec.name, "tt_025C_1v80", 38338.6, access, 0.025, 0.024, {"read": (8.0, 13.0), "write": (6.5, 13.5)},
        dict.fromkeys(WIDTHS, 2.0 * slower),
        tuple(Bus(name, 0.005, 0.005, 0.04, 0.06, limits) for name in ("a", "d", "we")), LEAKAGE[TT.name]), **changes)


def test_liberty_has_the_pins_of_the_macro_and_the_same_bytes():
    for spec in (SPEC, WIDE):
        text = macro_library(result_of(spec), spec, TT)
        check_liberty(spec, text, "text")
        assert text == macro_library(result_of(spec), spec, TT)
        assert text.count('when : "!we[') == spec.n_bytes and "not for signoff" in text
        assert "cell_leakage_power : 443.253;" in text             # periphery and bitcells


@pytest.mark.parametrize("old, new, message", [
    ('bus ("we")', 'bus ("wen")', "pin we\\[0\\] is missing"),
    ("bit_width : 9", "bit_width : 8", "a\\[8\\] is missing"),
    ('clock : "true"', 'clock : "false"', "the clock is none, not clk"),
    ('pg_pin ("vdd")', 'pg_pin ("vpwr")', "pin vpwr is not in the contract"),
    ('bus ("q") {\n      bus_type : "q_bus";\n      direction : "output"',
     'bus ("q") {\n      bus_type : "q_bus";\n      direction : "input"', "pin q\\[0\\] is input, not output"),
    ('cell ("flexmem_512x8")', 'cell ("flexmem")', "cell flexmem_512x8 is missing"),
])
def test_liberty_with_a_wrong_pin_is_found(old, new, message):
    text = macro_library(result_of(), SPEC, TT)
    assert old in text
    with pytest.raises(SpecError, match=message):
        check_liberty(SPEC, text.replace(old, new), "text")


@pytest.mark.parametrize("changes, message", [
    ({"access": {"cell_rise": constant(2.7, 4, -0.05)}}, "cell_rise falls by 0.0500 ns with more load"),
    ({"access": {"cell_rise": constant(-2.7, 4)}}, "not positive"),
    ({"access": {"cell_rise": falling(2.7, -0.01)}}, "cell_rise falls with a slower clock by 0.0080 ns more"),
    ({"access": {"cell_rise": constant(2.7, 4), "rise_transition": falling(0.3, -0.05)}},
     "rise_transition falls with a slower clock by 0.0300 ns"),
    ({"pulses": dict.fromkeys(WIDTHS, 1.0)}, "q comes after 2.8 ns, not before the shortest period of 2 ns"),
    ({"pulses": {**dict.fromkeys(WIDTHS, 2.0), "read_low": 0.0}}, "read_low is 0 ns"),
    ({"clock_rise_pf": 0.5}, "capacitance of clk"),
    ({"energy": {"read": (-9.0, 2.0)}}, "energy of a read is -7 pJ"),
])
def test_numbers_that_break_physics_are_refused(changes, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        checks.check_macro(result_of(**changes))


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("changes, message", [
    ({"cells": BETWEEN_NW}, "the bitcells leak 4.137e+08 nW"), ({"cells": 0.0}, "the bitcells leak 0 nW"),
    ({"cells_off": 0.0, "cells": 0.0}, "the bitcells leak 0 nW"), ({"periphery": -1.0}, "the periphery leak -1 nW"),
    ({"periphery": 1e6}, "the periphery leak 1e+06 nW, and must leak 0.1 to 1 of the"),
])
def test_leakage_must_be_that_of_the_transistors_one_by_one(corner, changes, message):
    assert checks.leakage_breaches(LEAKAGE[corner]) == []
    with pytest.raises(SpecError, match=re.escape(message)):
        checks.check_macro(result_of(leakage=msgspec.structs.replace(LEAKAGE[corner], **changes)))


def measured(monkeypatch) -> MacroResult:
    """What is put together of measurements with round numbers; the clock's low phase costs 200 pJ with all inputs."""
    tables = {"rise": np.full((3, 4), 2.7), "fall": np.full((3, 4), 2.6)}
    energy = {"read": (8.0, 200.0), "write": (6.0, 200.0)}
    limits = {(kind, edge): np.full((3, 3), 0.1) for kind in ("setup", "hold") for edge in ("rise", "fall")}
    inputs = {bus: InputTiming(limits, {"rise": 0.005, "fall": 0.006}, {"rise": 0.5 * pj, "fall": 1.5 * pj})
              for bus, pj in (("a", 1.0), ("d", 10.0), ("we", 100.0))}
    for name, value in (("measure_access", Access(tables, tables, energy, (0.025, 0.024))),
                        ("find_pulses", pulses.Pulses(dict.fromkeys(WIDTHS, 2.0))), ("measure_inputs", inputs),
                        ("measure_leakage", LEAKAGE[TT.name])):
        monkeypatch.setattr(characterise, name, lambda *_, value=value: value)
    return characterise.characterise_macro(SimpleNamespace(area_um2=38338.6), SPEC, TT, None)


def test_energy_is_without_what_the_inputs_groups_count(monkeypatch):
    """Four reads with 9 + 0 + 9 edges of an address, 8 + 8 + 8 of data, one of we; two writes with 9 + 9, 8 + 8, 1."""
    found = measured(monkeypatch)
    reads, writes = (18 * 1 + 24 * 10 + 100) / 4, (18 * 1 + 16 * 10 + 100) / 2
    assert found.energy == {"read": (8.0, 200 - reads), "write": (6.0, 200 - writes)}
    assert found.bus("d").rise_pj == 5.0 and found.leakage == LEAKAGE[TT.name]


def test_setup_and_hold_that_overlap_are_refused():
    good = result_of()
    checks.check_macro(good)
    limits = {**good.bus("d").limits, "hold_rise": constant(-0.2, 3)}
    buses = tuple(msgspec.structs.replace(bus, limits=limits) if bus.name == "d" else bus for bus in good.buses)
    with pytest.raises(SpecError, match="setup and hold of d to rise overlap by 0.1000 ns"):
        checks.check_macro(msgspec.structs.replace(good, buses=buses))


def test_setup_that_is_longer_than_a_period_is_refused():
    limits = result_of().bus("d").limits
    buses = (Bus("d", 0.005, 0.005, 0.04, 0.06, {**limits, "setup_fall": constant(4.1, 3)}),)
    with pytest.raises(SpecError, match="setup or hold of d is longer than a period"):
        checks.check_macro(result_of(buses=buses))


def test_pulses_must_be_shorter_at_the_faster_corner():
    slow = result_of(slower=1.6, corner="ss_100C_1v60")
    with pytest.raises(SpecError, match="read_low must fall from ss_100C_1v60 to tt_025C_1v80$"):
        checks.check_order([slow, result_of(pulses={**dict.fromkeys(WIDTHS, 2.0), "read_low": 3.3})])


def test_corners_must_come_in_order():
    slow, fast = result_of(slower=1.6, corner="ss_100C_1v60"), result_of()
    checks.check_order([slow, fast])
    with pytest.raises(SpecError, match="cell_rise must fall from tt_025C_1v80 to ss_100C_1v60"):
        checks.check_order([fast, slow])


@pytest.fixture
def stages(monkeypatch, tmp_path):
    """The stages with measurements that are there already: what may be changed, a function that runs them, build."""
    views = tmp_path / "sram" / SPEC.name / "macro"
    views.mkdir(parents=True)
    for end in ("gds", "cdl"):
        (views / f"{SPEC.name}.{end}").write_text(end)
    speed = {"ss_100C_1v60": 1.6, "tt_025C_1v80": 1.0, "ff_n40C_1v95": 0.6}
    state = {"speed": speed, "outcome": readback.Outcome(3, 24, ()), "n": 0}

    def measured(macro, spec, corner, simulator):
        state["n"] += 1
        return result_of(slower=speed[corner.name], corner=corner.name)

    monkeypatch.setattr(sram_liberty, "PARTS", {})
    monkeypatch.setattr(sram_liberty, "extract_macro", lambda *_: None)
    monkeypatch.setattr(sram_liberty, "characterise_macro", measured)
    monkeypatch.setattr(sram_liberty, "run_readback", lambda *_: state["outcome"])
    return state, lambda: sram_liberty.run_liberty(SPEC, load_pdk_config(), tuple(CORNERS), tmp_path, "x", 1), tmp_path


@pytest.mark.eda
def test_stages_write_a_library_a_corner_and_are_not_repeated(stages):
    state, run, build = stages
    metrics = run()
    assert metrics["liberty"]["sram__period_ns__corner:tt_025C_1v80"] == 4.0
    assert metrics["spice"]["sram__readback__value__count"] == 72
    folder = build / "sram" / SPEC.name / "liberty"
    assert sorted(path.name for path in folder.glob("*.lib")) == [f"{SPEC.name}__{corner}.lib" for corner in
                                                                  sorted(CORNERS)]
    assert run()["liberty"].values == metrics["liberty"].values and state["n"] == 3


@pytest.mark.eda
def test_corners_in_the_wrong_order_leave_no_library(stages):
    state, run, build = stages
    state["speed"]["ss_100C_1v60"] = 0.9
    with pytest.raises(SpecError, match="must fall from ss_100C_1v60 to tt_025C_1v80"):
        run()
    assert not (build / "sram" / SPEC.name / "liberty").exists()


@pytest.mark.eda
def test_a_wrong_read_back_ends_the_task(stages):
    state, run, build = stages
    state["outcome"] = readback.Outcome(3, 24, ("cycle 2: wrong",))
    with pytest.raises(SpecError, match="1 of 24 values are wrong"):
        run()
    assert not (build / "sram" / SPEC.name / "spice").exists()


# With OpenSTA

DESIGN = """module top(input clk, input [8:0] a, input [7:0] d, input we, output [7:0] q);
flexmem_512x8 u(.clk(clk), .a(a), .d(d), .we(we), .q(q));
endmodule
"""
SCRIPT = """read_liberty macro.lib
read_verilog top.v
link_design top
create_clock -period 10 -name clk [get_ports clk]
set_input_delay 1 -clock clk [get_ports {{a* d* we}}]
set_output_delay 1 -clock clk [get_ports q*]
set_input_transition 0.02 [all_inputs]
set_load 0.002 [all_outputs]
report_checks -path_delay max -to [get_ports q[3]]
report_checks -path_delay min -to u/d[7]
report_check_types -min_period -min_pulse_width -verbose
set_power_activity -input -activity 0.0 -duty {duty}
report_power -digits 6
"""


@pytest.mark.eda
def test_opensta_reads_the_liberty_without_a_warning(tmp_path):
    (tmp_path / "macro.lib").write_text(macro_library(result_of(), SPEC, TT))
    (tmp_path / "top.v").write_text(DESIGN)
    watt = {}
    for duty, energy_pj in ((0, 8.0 + 13.0), (1, 6.5 + 13.5)):
        (tmp_path / "script.tcl").write_text(SCRIPT.format(duty=duty))
        done = subprocess.run(["sta", "-no_splash", "-exit", "script.tcl"], cwd=tmp_path, capture_output=True,
                              text=True, timeout=60, stdin=subprocess.DEVNULL)
        text = done.stdout + done.stderr
        assert not re.search("warning|error", text, re.IGNORECASE), text
        assert re.search(r"2\.69\s+2\.69 \^ u/q\[3\]", text)             # an ideal clock: 0.01 ns below the first slew
        assert re.search(r"-0\.05\s+-0\.05\s+library hold time", text)
        assert re.search(r"4\.00\s+min_period", text) and "required pulse width" in text
        watt[duty] = float(re.search(r"Total\s+(\d\S+)", text)[1])
        # OpenSTA 2.0.17 counts the energy of both edges of an input at each of them: twice
        assert watt[duty] == pytest.approx(2 * energy_pj * 1e-12 / 10e-9, rel=0.02)
