"""Hardware against golden in all three simulators, under everything that a host and its streams may do, and with
faults put in: every one must be found and named as what it is.
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from designs import make_design

from flow.simulate import verilog
from flow.simulate.batch import BatchSimulation
from flow.simulate.compare import MismatchError
from flow.simulate.difference import first_unequal
from flow.simulate.events import SimulationError
from flow.simulate.program import Op
from flow.simulate.run import PyrtlSimulator, VerilogRunner, run_session
from flow.simulate.schedule import build_schedule
from flow.simulate.session import Session
from flow.simulate.verilog import VerilogDesign
from flow.step import ROOT
from golden.cells import forward_int
from golden.quantized import QuantizedModel
from golden.random_model import random_input, random_quantized_model, random_states
from golden.spec import CellSpec, ModelSpec, OutputSpec
from rtl import address_map
from rtl.config import DesignConfig
from rtl.cycles import count_cycles
from rtl.export import export_verilog
from rtl.top import build_simulation
from rtl.weight_image import build_image

pytestmark = pytest.mark.eda
KINDS = ("pyrtl", "icarus", "verilator")
CACHE = ROOT / "build" / "simulators"  # compiled simulators, under the hash of what they are made of
C_FRAC_BITS = 12
MODEL = ModelSpec(2, (CellSpec("lstm", 3), CellSpec("gru", 4, reset="before")), OutputSpec(3, "tanh"))


def with_c_format(qmodel: QuantizedModel) -> QuantizedModel:
    """The format of c is built into the hardware: one for all models here, so that they share it."""
    cells = tuple(replace(c, c_frac_bits=C_FRAC_BITS) if c.c_frac_bits else c for c in qmodel.cells)
    return replace(qmodel, cells=cells)


@dataclass(frozen=True)
class Hardware:
    """A design on two streams, in all simulators."""

    design: DesignConfig
    simulators: dict

    def model(self, seed: int = 1, extreme: bool = False) -> QuantizedModel:
        rng = np.random.default_rng(seed)
        return with_c_format(random_quantized_model(MODEL, self.design.quant, rng, extreme))

    def session(self, qmodel: QuantizedModel) -> Session:
        return Session(self.design, qmodel, build_image(self.design, qmodel))

    def run(self, kind: str, session: Session, folder: Path):
        return run_session(self.simulators[kind], session, folder)


def make_hardware(folder: Path, corrupt=None) -> Hardware:
    design = make_design(MODEL, banks=1, word_bits=32, streams=2)
    qmodel = with_c_format(random_quantized_model(MODEL, design.quant, np.random.default_rng(1)))
    files = export_verilog(design, qmodel, folder / "export")
    if corrupt:
        corrupt(files)
    shape = VerilogDesign(tuple(files.values()), design.module_name, 2, True, "flexmem")
    simulators = {kind: VerilogRunner(kind, shape, CACHE) for kind in ("icarus", "verilator")}
    simulated = build_simulation(design, qmodel)
    simulators["pyrtl"] = PyrtlSimulator(BatchSimulation(simulated.block, 2, simulated.memories))
    return Hardware(design, simulators)


@pytest.fixture(scope="module")
def hardware(tmp_path_factory) -> Hardware:
    return make_hardware(tmp_path_factory.mktemp("hardware"))


def sequences(lengths, seed=3):
    return random_input(MODEL, max(lengths), len(lengths), np.random.default_rng(seed)), build_schedule(lengths, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_full_speed_and_the_cycle_formula(hardware, kind, tmp_path):
    session = hardware.session(hardware.model())
    session.begin()
    x, schedule = sequences([3, 1, 4, 2, 6])
    session.stream(x, schedule)
    outcome = hardware.run(kind, session, tmp_path).outcome
    assert outcome.counts.n_h == 16 * 7 and outcome.counts.n_c == 16 * 3 and outcome.counts.n_y == 5 * 3
    count = count_cycles(hardware.design, schedule.keep.tolist(), schedule.last.tolist())
    assert {name: outcome.registers[f"cycles {name}"] for name in count.causes} == count.causes


@pytest.mark.parametrize("seed", range(3))
def test_random_stalls_pokes_and_y_every_step_alike_in_all_simulators(hardware, seed, tmp_path):
    session = hardware.session(hardware.model(seed))
    session.begin()
    session.program.stalls(*((60, 60), (200, 20), (20, 200))[seed], seed)
    session.stream(*sequences([4, 2, 1, 5, 3], seed), y_every_step=True, pokes=3, seed=seed)
    session.stream(*sequences([2, 2, 7], seed + 10), pokes=2, seed=seed)
    logs = {kind: hardware.run(kind, session, tmp_path / kind).outcome.log for kind in KINDS}
    assert len(logs["pyrtl"].rows) > 250
    for kind in ("icarus", "verilator"):
        assert first_unequal("made", logs["pyrtl"], logs[kind]) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[1], [1] * 9, [5], [1, 8]])
def test_sequences_of_one_step_back_to_back_and_a_stream_without_any(hardware, kind, lengths, tmp_path):
    session = hardware.session(hardware.model())
    session.begin()
    session.stream(*sequences(lengths))
    counts = hardware.run(kind, session, tmp_path).outcome.counts
    assert counts.n_h == 7 * sum(lengths) and counts.n_sequences == len(lengths)


@pytest.mark.parametrize("kind", KINDS)
def test_most_negative_values_everywhere(hardware, kind, tmp_path):
    qmodel = hardware.model(extreme=True)
    x, schedule = sequences([4, 3])
    x[:] = -128
    session = hardware.session(qmodel)
    session.begin()
    states = np.full((2, 7), -128), np.full((2, 7), -32768)
    initial = [np.full((2, n), -128) for n in (3, 4)], [np.full((2, 3), -32768), None]
    session.write_states(*states)
    session.stream(x, replace(schedule, continues=True), initial=initial)
    assert hardware.run(kind, session, tmp_path).outcome.counts.n_c == 7 * 3


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_the_host_wrote_are_where_a_sequence_starts(hardware, kind, tmp_path):
    session = hardware.session(hardware.model())
    session.begin()
    h, c = random_states(MODEL, 2, np.random.default_rng(9))
    session.write_states(np.concatenate(h, axis=1), np.concatenate([c[0], np.zeros((2, 4), int)], axis=1))
    x, schedule = sequences([3, 2])
    session.stream(x, replace(schedule, continues=True), initial=(h, c), y_every_step=True)
    session.stream(x, schedule)
    counts = hardware.run(kind, session, tmp_path).outcome.counts
    assert counts.n_h == 2 * 5 * 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("soft", [False, True], ids=["rst", "soft"])
def test_reset_in_the_middle_of_a_sequence(hardware, kind, soft, tmp_path):
    session = hardware.session(hardware.model())
    session.begin()
    x, schedule = sequences([6, 5, 4])
    for n_beats, cycles in ((1, 0), (4, 3), (5, 30), (7, 71), (12, 150), (9, 400)):
        session.program.stalls(0, 120, n_beats)  # y not always taken: a reset may meet a waiting y
        session.abort(x, schedule, n_beats, cycles, soft)
    session.program.stalls(0, 0, 1)
    session.stream(x, schedule)
    assert hardware.run(kind, session, tmp_path).outcome.counts.n_sequences == 3


def test_two_power_ups_with_other_contents_give_the_same_events(hardware, tmp_path):
    session = hardware.session(hardware.model())
    session.begin()
    session.stream(*sequences([3, 4]))
    for kind, name in (("pyrtl", "power_up_seed"), ("verilator", "seed")):
        simulators = [replace(hardware.simulators[kind], **{name: seed}) for seed in (1, 2)]
        logs = [simulator.run(session.program, session.all_beats(), tmp_path) for simulator in simulators]
        assert first_unequal("made", *logs) is None


# Faults. The first one: a bit of a weight, where golden itself tells what must differ first.


def faulty_weight(hardware):
    """A session whose image has one wrong bit in a weight of unit 2's gate f for x[1], and what that does."""
    qmodel = hardware.model()
    x, schedule = sequences([5, 4])
    session = hardware.session(qmodel)
    gate, unit, column = 1, 2, 1
    w = qmodel.cells[0].w.copy()
    w[gate, unit, column] ^= 0x20
    wrong = replace(qmodel, cells=(replace(qmodel.cells[0], w=w), qmodel.cells[1]))
    session.image = build_image(hardware.design, wrong)
    assert (session.image != build_image(hardware.design, qmodel)).sum() == 1
    session.begin()
    session.stream(x, schedule)
    right, got = (forward_int(model, x, schedule.lengths).c[0][:, :, unit] for model in (qmodel, wrong))
    step = int(np.flatnonzero((right != got).any(axis=1))[0])
    stream = int(np.flatnonzero(right[step] != got[step])[0])
    return session, step, stream, int(got[step, stream]), int(right[step, stream])


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_weight_is_named_with_a_waveform(hardware, kind, tmp_path):
    session, step, stream, got, right = faulty_weight(hardware)
    with pytest.raises(MismatchError) as caught:
        hardware.run(kind, session, tmp_path)
    text = str(caught.value)
    where = f"sequence {stream}, step {step} (hardware step {step}, stream {stream}), layer 0 (lstm), unit 2"
    assert f"{where}: c is {got} (" in text
    assert f"must be {right} ({right * 2.0**-C_FRAC_BITS:.6g})" in text
    path = Path(re.search(r"waveform around it: (.*)", text)[1])
    vcd = path.read_text()
    assert vcd.startswith("$") and "probe_c_value" in vcd and vcd.count("\n") > 200


def corrupt_c(files):
    """One line of the core: from the third step on, stream 1's unit 2 of the LSTM gets a c with a wrong last bit."""
    core = files["core"]
    text = core.read_text()
    stage = int(re.search(r"assign probe_c_index = slot_index_d(\d+);", text)[1]) - 1
    register, expression = re.search(r"^ +(upd_s1_c) <= (.*);$", text, re.MULTILINE).groups()
    broken = f"{register} <= ({expression}) ^ {{15'd0, slot_index_d{stage} == 2 && host_n_steps_low >= 3}};"
    core.write_text(text.replace(f"{register} <= {expression};", broken))


def test_a_corrupted_line_of_verilog_is_named(tmp_path):
    broken = make_hardware(tmp_path, corrupt_c)
    session = broken.session(broken.model())
    session.begin()
    x, schedule = sequences([6, 6])
    session.stream(x, schedule)
    right = int(forward_int(session.qmodel, x, schedule.lengths).c[0][2, 1, 2])
    with pytest.raises(MismatchError) as caught:
        broken.run("icarus", session, tmp_path / "run")
    where = "sequence 1, step 2 (hardware step 2, stream 1), layer 0 (lstm), unit 2"
    assert f"{where}: c is {right ^ 1} (" in str(caught.value) and f"must be {right} (" in str(caught.value)
    assert (tmp_path / "run" / "window" / "window.vcd").stat().st_size > 1000


def test_a_corrupted_wrapper_shows_in_the_weights_read_back(tmp_path):
    def corrupt(files):
        text = files["wrapper"].read_text()
        assert text.count(".wdata(sram_wdata)") == 1
        files["wrapper"].write_text(text.replace(".wdata(sram_wdata)", ".wdata(sram_wdata ^ 32'h00010000)"))

    broken = make_hardware(tmp_path, corrupt)
    session = broken.session(broken.model())
    session.begin()
    session.stream(*sequences([2]))
    with pytest.raises(MismatchError, match=r"address 0x80000 \(weight word 0 of bank 0 at 0x80000\): reads 0x"):
        broken.run("icarus", session, tmp_path / "run")


def test_a_word_never_written_is_unknown_and_named(hardware, tmp_path):
    session = hardware.session(hardware.model())
    session.begin()
    session.stream(*sequences([2, 2]))
    window = session.window
    n_before = len(session.program.ops)
    session.program.ops = [op for op in session.program.ops if op[:2] != (Op.WRITE, window.address(0, 7))]
    assert len(session.program.ops) == n_before - 1
    with pytest.raises(SimulationError, match=r"Icarus: cycle \d+: unknown \(X\) value in"):
        hardware.run("icarus", session, tmp_path)
    for kind in ("pyrtl", "verilator"):
        with pytest.raises(MismatchError):
            hardware.run(kind, session, tmp_path / kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_hangs_is_told(hardware, kind, tmp_path):
    session = hardware.session(hardware.model())
    session.begin()
    session.program.add(Op.PATIENCE, 3000)
    session.stream(*sequences([2, 2]), control=0)  # not enabled
    with pytest.raises(SimulationError, match=r"no progress: 4 x beats taken, 0 y beats .*\nwaveform around it"):
        hardware.run(kind, session, tmp_path)


def test_a_simulator_that_dies_leaves_a_message(hardware, tmp_path, monkeypatch):
    monkeypatch.setattr(verilog, "write_beats", lambda beats, path: None)
    session = hardware.session(hardware.model())
    session.begin()
    session.stream(*sequences([2]))
    with pytest.raises(SimulationError, match=r"Icarus stopped: [\s\S]*cannot open a file"):
        hardware.run("icarus", session, tmp_path)


@cache
def documented_addresses() -> dict[str, int]:
    """Name -> address of the register table in docs/datapath.md."""
    text = (Path(__file__).parents[1] / "docs" / "datapath.md").read_text()
    return {name: int(address, 16) for address, name in re.findall(r"^\| (0x\w+)[^|]*\| (\w+)", text, re.MULTILINE)}


def test_the_documented_addresses_are_those_of_the_hardware():
    addresses = documented_addresses()
    assert addresses == {
        **{name: getattr(address_map, name) for name in
           ("ID", "LAYOUT", "SHAPE", "SIZES", "CTRL", "STATUS", "N_SEQUENCES", "N_STEPS")},
        **{f"CYCLES_{name.upper()}": address for name, address in address_map.CYCLES.items()},
        "H": address_map.H_BASE, "C": address_map.C_BASE, "BANK": address_map.BANK_BASE,
    }
