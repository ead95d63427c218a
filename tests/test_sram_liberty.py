"""Liberty of SRAM macros: the reduction leaves nothing out, physics holds, each gate has something that trips it."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flow.characterise.corner import CORNERS
from flow.characterise.models import model_card, value_of
from flow.characterise.ngspice import Simulator
from flow.characterise.result import Table
from flow.pdk.config import load_pdk_config
from flow.sram import checks, plans, pulses, readback, reduce
from flow.sram.cdl import build_cdl
from flow.sram.deck import Cycle, Experiment, build_job, node, sources
from flow.sram.extracted import Line, extract_macro
from flow.sram.flat import Mos, load_flat
from flow.sram.flexmem import generate
from flow.sram.gds import write_gds
from flow.sram.inputs import POINTS, captures, flop_job, inputs_of, reach_s
from flow.sram.liberty import macro_library
from flow.sram.measure import measure_cycles
from flow.sram.periphery import pair_nets
from flow.sram.pins import check_liberty
from flow.sram.pulses import SEQUENCE, SHOWS, WIDTHS, works
from flow.sram.result import Bus, MacroResult
from flow.sram.spec import SramSpec
from flow.sram.stack import plate_f_per_um2
from flow.sram.straps import add_straps
from flow.sram.wires import GAPS_UM, edge_tables
from flow.steps import sram_liberty
from golden.spec import SpecError

SPEC, WIDE = SramSpec.parse("512x8"), SramSpec.parse("512x64")
TT = CORNERS["tt_025C_1v80"]


# Capacitance from the stack

@pytest.mark.parametrize("layer, published_af", [("li1", 36.99), ("met1", 25.78), ("met2", 17.5), ("met3", 12.37)])
def test_plates_are_those_that_the_technology_file_publishes(layer, published_af):
    assert plate_f_per_um2(None, layer) * 1e18 == pytest.approx(published_af, rel=0.08)


@pytest.mark.parametrize("layer, published_af", [("li1", 40.7), ("met1", 40.57), ("met2", 37.76)])
def test_a_lone_edge_is_near_what_the_technology_file_publishes(layer, published_af):
    assert edge_tables(layer)[0][-1] * 1e18 == pytest.approx(published_af, rel=0.25)


def test_an_edge_has_more_capacitance_the_nearer_another_net_is_and_less_beside_its_own():
    other, same = edge_tables("met1")
    assert list(other[:6]) == sorted(other[:6], reverse=True) and list(same) == sorted(same)
    assert all(a > b for a, b in zip(other, same, strict=True)) and len(other) == len(GAPS_UM)


def test_models_take_their_stress_coefficients_from_the_kit():
    assert value_of("{0+sky130_fd_pr__pfet_01v8__kvth0_diff}") == 3.29e-8
    assert "kvth0=3.29e-08" in model_card("pfet_01v8", 2.0, 0.15, "tt")
    with pytest.raises(SpecError, match="sky130_fd_pr__pfet_01v8__nothing_diff is not"):
        value_of("{0+sky130_fd_pr__pfet_01v8__nothing_diff}")


# From two netlists to one

INVERTERS = """.SUBCKT inv vdd vss i nq
Mp nq i vdd vdd sky130_fd_pr__pfet_01v8 w=2u l=0.15u
Mn vss i nq vss sky130_fd_pr__nfet_01v8 w=1u l=0.15u
.ENDS inv
.SUBCKT SP6TArray_1X1 bl
.ENDS SP6TArray_1X1
.SUBCKT chain a vdd vss y
Xfirst vdd vss a
+ m inv
Xarray m SP6TArray_1X1
Xsecond vdd vss m y inv
.ENDS chain
"""


def flat_chain(folder: Path, text: str = INVERTERS) -> tuple[Mos, ...]:
    (folder / "chain.cdl").write_text(text)
    return load_flat(folder / "chain.cdl", "chain")


def test_a_netlist_is_flattened_without_its_array(tmp_path):
    flat = flat_chain(tmp_path)
    assert [(mos.name, mos.device, mos.gate, mos.w) for mos in flat] == [
        ("first/p", "pfet_01v8", "a", 2.0), ("first/n", "nfet_01v8", "a", 1.0),
        ("second/p", "pfet_01v8", "m", 2.0), ("second/n", "nfet_01v8", "m", 1.0)]
    with pytest.raises(SpecError, match="subcircuit other must be in"):
        load_flat(tmp_path / "chain.cdl", "other")


def test_nets_are_paired_by_structure(tmp_path):
    flat = flat_chain(tmp_path)
    drawn = [msgspec.structs.replace(mos, drain=mos.source, source=mos.drain) for mos in reversed(flat)]
    drawn = [msgspec.structs.replace(mos, **{end: getattr(mos, end).replace("m", "$7")
                                             for end in ("drain", "gate", "source")}) for mos in drawn]
    assert pair_nets(drawn, flat, {"a", "y", "vdd", "vss"})["$7"] == "m"


def test_a_layout_that_is_another_circuit_is_refused(tmp_path):
    flat = flat_chain(tmp_path)
    other = flat_chain(tmp_path, INVERTERS.replace("w=1u", "w=1.1u"))
    with pytest.raises(SpecError, match="must be the same circuit; without a partner of their own are"):
        pair_nets(list(other), flat, {"a", "y", "vdd", "vss"})


# Plans

@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_every_bit_is_in_one_group_of_every_plan(bits):
    spec = SramSpec(512, bits)
    far = plans.timing_plan(spec, TT, (0, 511))
    near = plans.timing_plan(spec, CORNERS["ff_n40C_1v95"], (0, 511))
    assert far.groups[-4:] == tuple((bits - 4 + k,) for k in range(4)) and near.groups[-4:] == ((0,), (1,), (2,), (3,))
    assert [far.address_bit(bit) for bit in range(9)] == [0, 0, 2, 2, 2, 5, 5, 5, 5]
    pattern = plans.pattern_plan(spec)
    assert [pattern.address_bit(bit) for bit in range(9)] == [0, 0, 2, 3, 3, 5, 5, 5, 5]
    assert pattern.rows == (0, 1, 127) and pattern.columns == (0, 3)
    assert (0,) in pattern.groups and (bits - 1,) in pattern.groups


def test_a_plan_that_forgets_a_bit_is_refused():
    with pytest.raises(SpecError, match="every bit of flexmem_512x8 must be in one group"):
        reduce.Plan(SPEC, (0,), ((0, 1, 2),), ((0,),), (0,))
    with pytest.raises(SpecError, match="every byte of flexmem_512x64 must be in one group"):
        reduce.Plan(WIDE, (0,), (tuple(range(64)),), ((0,), (0,)), (0,))


def test_a_line_is_cut_into_sections():
    line = Line("y", 60.0, 160.0, 50.0)
    assert [line.section(place, 4) for place in (0.0, 60.0, 90.0, 159.9, 400.0)] == [0, 0, 1, 3, 3]


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
    return {"q": [q], "delay": [delay], "rises": [rises], "nets": [cell]}


def test_a_short_phase_does_only_when_value_and_delay_are_right():
    reference = [cycle(value, 1e-9, bool(value), float(value)) for _, _, value, _ in SEQUENCE]
    assert all(works(name, reference, reference, 0) for name in WIDTHS)
    for name in WIDTHS:
        wrong = [dict(each) for each in reference]
        number = SHOWS[name][0]
        wrong[number] = {**wrong[number], "q": [1 - wrong[number]["q"][0]], "nets": [1 - wrong[number]["nets"][0]]}
        assert not works(name, wrong, reference, 0)
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


def test_phases_that_do_alone_and_not_together_are_made_longer(clocked):
    alone = pulses.find_pulses(None, SPEC, TT, Clocked())
    needed = alone.period_ns + 0.3
    together = pulses.find_pulses(None, SPEC, TT, Clocked(period_s=needed * 1e-9))
    assert needed <= together.period_ns <= needed + 2 * 2.7 * pulses.STEP_PART
    with pytest.raises(SpecError, match="with both clock phases short, and does not with"):
        pulses.find_pulses(None, SPEC, TT, Clocked(period_s=20e-9))


def test_a_macro_that_fails_with_long_phases_is_refused(clocked):
    with pytest.raises(SpecError, match="with clock phases of 6 ns, and fails: write_high"):
        pulses.find_pulses(None, SPEC, TT, Clocked(dead="write_high"))


# Liberty

def constant(value: float, n: int, step: float = 0.0) -> Table:
    index_2 = plans.LOADS_PF if n == 4 else (0.02, 0.3, 1.0)
    return Table((0.02, 0.2, 0.6), index_2, tuple(tuple(value + step * (i + j) for j in range(n)) for i in range(3)))


def result_of(spec: SramSpec = SPEC, slower: float = 1.0, **changes) -> MacroResult:
    limits = {f"{kind}_{edge}": constant(value, 3) for kind, value in (("setup", 0.1), ("hold", -0.05))
              for edge in ("rise", "fall")}
    access = {name: constant(slower * value, 4, 0.05) for name, value in (
        ("cell_rise", 2.7), ("cell_fall", 2.6), ("rise_transition", 0.3), ("fall_transition", 0.2))}
    return msgspec.structs.replace(MacroResult(
        spec.name, "tt_025C_1v80", 38338.6, access, 0.025, 0.024, {"read": (8.0, 13.0), "write": (6.5, 13.5)},
        dict.fromkeys(WIDTHS, 2.0 * slower),
        tuple(Bus(name, 0.005, 0.005, 0.04, 0.06, limits) for name in ("a", "d", "we")), (255.0, 195.0)), **changes)


def test_liberty_has_the_pins_of_the_macro_and_the_same_bytes():
    for spec in (SPEC, WIDE):
        text = macro_library(result_of(spec), spec, TT)
        check_liberty(spec, text, "text")
        assert text == macro_library(result_of(spec), spec, TT)
        assert text.count('when : "!we[') == spec.n_bytes and "not for signoff" in text


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
    ({"pulses": dict.fromkeys(WIDTHS, 1.0)}, "q comes after 2.8 ns, not before the shortest period of 2 ns"),
    ({"pulses": {**dict.fromkeys(WIDTHS, 2.0), "read_low": 0.0}}, "read_low is 0 ns"),
    ({"leakage_nw": (255.0, -1.0)}, "leakage is -1 nW"), ({"leakage_nw": (255.0, 1e10)}, "leakage is 1e"),
    ({"clock_rise_pf": 0.5}, "capacitance of clk"),
    ({"energy": {"read": (-9.0, 2.0)}}, "energy of a read is -7 pJ"),
])
def test_numbers_that_break_physics_are_refused(changes, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        checks.check_macro(result_of(**changes))


def test_setup_and_hold_that_overlap_are_refused():
    good = result_of()
    checks.check_macro(good)
    limits = {**good.bus("d").limits, "hold_rise": constant(-0.2, 3)}
    buses = tuple(msgspec.structs.replace(bus, limits=limits) if bus.name == "d" else bus for bus in good.buses)
    with pytest.raises(SpecError, match="setup and hold of d to rise overlap by 0.1000 ns"):
        checks.check_macro(msgspec.structs.replace(good, buses=buses))


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


# With the generator, ngspice and OpenSTA

@pytest.fixture(scope="module")
def macro(tmp_path_factory):
    """A 512x8 as the layout has it."""
    folder = tmp_path_factory.mktemp("macro")
    generated = generate(SPEC)
    strapped = add_straps(SPEC, load_pdk_config(), generated.layout, generated.cell)
    write_gds(strapped.layout, strapped.cell, folder / "macro.gds")
    (folder / "macro.cdl").write_text(build_cdl(generated.circuit, SPEC.name))
    return extract_macro(folder / "macro.gds", folder / "macro.cdl", SPEC, load_pdk_config(), folder), folder


@pytest.mark.eda
def test_the_reduced_circuit_stands_for_every_transistor(macro):
    extracted, _ = macro
    for plan in (plans.timing_plan(SPEC, TT, (0, 511)), plans.pattern_plan(SPEC)):
        circuit = reduce.reduce_macro(extracted, plan)
        idle_cells = (reduce.N_ROWS - len(plan.rows)) * reduce.N_COLUMNS * SPEC.word_bits
        # of an idle cell the two access transistors are there, the four behind them hold its value
        assert sum(mos.m for mos in circuit.transistors) + 4 * idle_cells == 26998
        assert len(circuit.transistors) < 1500
        whole = sum(value for net, value in extracted.farad.items())
        cells = 128 * 32 * (extracted.bitcell.farad["bl"] + extracted.bitcell.farad["bl_n"]
                            + extracted.bitcell.farad["wl"])
        nodes = len(plan.rows) * 32 * (extracted.bitcell.farad["bit"] + extracted.bitcell.farad["bit_n"])
        assert sum(circuit.farad.values()) == pytest.approx(whole + cells + nodes, rel=1e-6)


@pytest.mark.eda
def test_a_plan_that_joins_nothing_is_the_whole_macro(macro):
    extracted, _ = macro
    circuit = reduce.reduce_macro(extracted, plans.whole_plan(SPEC))
    assert len(circuit.transistors) == 26998 and {mos.m for mos in circuit.transistors} == {1}
    assert len(circuit.cells) == 512 * 8


@pytest.mark.nightly
def test_a_read_of_the_whole_macro_takes_as_long_as_one_of_the_reduced_circuit(macro):
    extracted, folder = macro
    found = []
    for plan in (plans.timing_plan(SPEC, TT, (0, 511)), plans.whole_plan(SPEC)):
        n = len(plan.groups)
        cycles = tuple(Cycle(address, (0,), (0,) * n, 6e-9, 6e-9) for address in (511, 0))
        stored = {address: (int(address == 0),) * n for address in plan.addresses}
        experiment = Experiment(plan, cycles, stored, (2e-14,) * n, 0.2)
        job = build_job("one read", reduce.reduce_macro(extracted, plan), TT, experiment, measure_cycles,
                        {"ramp_s": 0.2e-9 / 0.6, "nets": []})
        [(_, read)] = Simulator(folder / "store").run([job])
        found.append((read["delay"][-1], sum(read["supply"])))
    assert found[1][0] == pytest.approx(found[0][0], rel=0.02)
    assert found[1][1] == pytest.approx(found[0][1], rel=0.05)


@pytest.mark.eda
def test_a_layout_and_a_netlist_of_different_size_are_refused(macro):
    _, folder = macro
    text = (folder / "macro.cdl").read_text()
    changed = re.sub(r"(\.SUBCKT inv_x0 .*\n.*)w=1u", r"\1w=1.02u", text)
    assert changed != text
    (folder / "wrong.cdl").write_text(changed)
    with pytest.raises(SpecError, match="the periphery's layout and netlist must be the same circuit"):
        extract_macro(folder / "macro.gds", folder / "wrong.cdl", SPEC, load_pdk_config())


@pytest.mark.eda
def test_a_flip_flop_takes_early_data_and_not_late_data(macro):
    extracted, folder = macro
    address, simulator = inputs_of(SPEC)[0], Simulator(folder / "store")
    far = [reach_s(TT, 0.2, point) for point in POINTS]
    good, bad = simulator.run([flop_job(extracted, SPEC, TT, address, 0.2, times, "test")
                               for times in (far, [-time for time in far])])
    assert all(captures(point, one, None) for point, one in zip(POINTS, good, strict=True))
    assert not any(captures(point, one, None) for point, one in zip(POINTS, bad, strict=True))


STEPS = (readback.Step(0, 0, 0), readback.Step(127, 3), readback.Step(0, 0))


@pytest.mark.nightly
def test_a_broken_bitcell_and_a_short_clock_are_read_back_wrong(macro):
    extracted, folder = macro
    simulator = Simulator(folder / "store")

    def cut(circuit: reduce.Circuit) -> None:
        # the side that a 1 is written to and read from
        [gone] = [mos for mos in circuit.transistors if "cell0/3/0/bit_n" in (mos.drain, mos.source)
                  and mos.gate.startswith("wl0")]
        circuit.transistors.remove(gone)

    assert readback.run_readback(extracted, SPEC, TT, 4.0, 4.0, simulator, STEPS).wrong == ()
    broken = readback.run_readback(extracted, SPEC, TT, 4.0, 4.0, simulator, STEPS, cut).wrong
    assert broken and all("bits (7,)" in line for line in broken)
    assert len(readback.run_readback(extracted, SPEC, TT, 1.0, 4.0, simulator, STEPS).wrong) >= 2


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


def test_a_bit_that_is_looked_at_is_alone():
    for corner in CORNERS.values():
        groups = plans.timing_plan(WIDE, replace(corner, worst="max"), plans.LAST_COLUMN, 1).groups
        assert groups[-1] == (63,)
