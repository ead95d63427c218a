"""From a macro to what ngspice runs: capacitance, transistors, and a reduction that leaves nothing out."""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from flow.characterise.corner import CORNERS
from flow.characterise.models import model_card, value_of
from flow.characterise.ngspice import Simulator, run_job
from flow.pdk.config import load_pdk_config
from flow.sram import checks, leakage, plans, readback, reduce
from flow.sram.cdl import build_cdl
from flow.sram.deck import Cycle, Experiment, build_job
from flow.sram.extracted import Line, extract_macro
from flow.sram.flat import Mos, load_flat
from flow.sram.flexmem import generate
from flow.sram.gds import write_gds
from flow.sram.inputs import POINTS, captures, flop_job, inputs_of, reach_s
from flow.sram.measure import measure_cycles
from flow.sram.periphery import pair_nets
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


def test_a_bit_that_is_looked_at_is_alone():
    for corner in CORNERS.values():
        groups = plans.timing_plan(WIDE, replace(corner, worst="max"), plans.LAST_COLUMN, 1).groups
        assert groups[-1] == (63,)


# With the generator and ngspice

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
def test_a_cell_between_its_states_is_refused(macro):
    """Both nodes at one voltage is where ngspice's operating point may be: here they are tied together."""
    (extracted, folder), slow = macro, CORNERS["ss_100C_1v60"]
    found = leakage.measure_leakage(extracted, SPEC, slow, Simulator(folder / "store"))
    assert checks.leakage_breaches(found) == []
    job = leakage.leakage_job(extracted, SPEC, slow)
    between = re.sub(r"\ntran .*", "\nop", re.sub(r"\.ic v\(cell\.bit.*\n", "", job.deck)).replace(
        "\n.control", "\nvtie cell.bit cell.bit_n 0\n.control")
    ampere = run_job(replace(job, deck=between, measure=lambda waves, _: -float(waves[0]["i(vcell)"][0])),
                     sram_liberty.MACRO_TIME_LIMIT_S)
    wrong = msgspec.structs.replace(found, cells=ampere * slow.voltage * leakage.NANO * SPEC.n_bits)
    [breach] = checks.leakage_breaches(wrong)
    assert breach.startswith("the bitcells leak") and wrong.cells > 100 * found.cells


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
