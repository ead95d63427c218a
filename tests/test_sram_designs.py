"""Whole designs with the macros of a process in their banks, bit for bit against golden.

The exported Verilog is run with binding, clock gate and macro model in the place of rtl's memory model. Under Icarus
nothing is known at power-up, the clock gates' latches included; a hard and a soft reset come in the middle of a run.
"""

import msgspec
import pytest
from openram_views import verilog as openram_model

from flow.pdk.config import load_pdk_config
from flow.simulate import verilog
from flow.simulate.cases import Case
from flow.simulate.compare import MismatchError
from flow.simulate.events import SimulationError
from flow.simulate.run import VerilogRunner, run_session
from flow.simulate.schedule import build_schedule
from flow.simulate.verilog import VerilogDesign
from flow.sram.openram import find_openram, openram_of_shape
from flow.sram.spec import SramSpec
from flow.sram.verilog import build_binding, build_clock_gate, build_model
from golden.dataset import load_dataset
from golden.weights import load_weights
from rtl.config import load_design
from rtl.export import export_verilog

pytestmark = pytest.mark.eda

N_SEQUENCES, N_STEPS = 3, 6


def macro_verilog(datapath):
    """What a bank of a datapath is made of, all in one file."""
    if datapath.memory == "flexmem":
        spec = SramSpec(datapath.bank_words, datapath.word_bits)
        return build_binding(spec) + build_clock_gate() + build_model(spec)
    config = load_pdk_config()
    spec = find_openram(openram_of_shape(datapath.bank_words, datapath.word_bits, config), config)
    return build_binding(spec) + openram_model(spec)


def run_with_macros(name, simulator, datapath, folder, monkeypatch, change=lambda text: text):
    """Full speed, then resets amid the sequences, then stalls; gives what was compared."""
    design = load_design(name)
    design = msgspec.structs.replace(design, datapath=msgspec.structs.replace(design.datapath, **datapath))
    weights = load_weights(design.weights_path, design.model, design.quant, design.reference)
    data = load_dataset(design.data)
    case = Case(design, weights.qmodel, weights.qmodel.quantize_input(data.x_test), data.lengths_test)
    case = case.first(N_SEQUENCES).shortened(N_STEPS)
    session = case.begin()
    case.add_plain(session)
    schedule = build_schedule(case.lengths, design.datapath.streams)
    for soft in (False, True):
        session.abort(case.x, schedule, 3, 40, soft=soft)
    case.add_stalled(session, seed=5)
    files = export_verilog(design, weights.qmodel, folder / "export")
    memory = folder / "memory.v"
    memory.write_text(change(macro_verilog(design.datapath)))
    monkeypatch.setitem(verilog.MEMORY_FILES, design.datapath.memory, memory)
    has_c = any(cell.kind == "lstm" for cell in design.model.cells)
    shape = VerilogDesign(tuple(files.values()), design.module_name, design.datapath.streams, has_c,
                          design.datapath.memory)
    return run_session(VerilogRunner(simulator, shape, folder / "cache"), session, folder / "run").outcome.counts


FLEXMEM = {"memory": "flexmem", "bank_words": 512}


@pytest.mark.parametrize("name, simulator, datapath", [
    ("tiny", "icarus", FLEXMEM), ("vowels", "icarus", {}), ("vowels", "verilator", {}),
    ("tiny", "icarus", {"memory": "openram", "bank_words": 256}),
])
def test_a_design_with_its_macros_does_what_golden_does(tmp_path, monkeypatch, name, simulator, datapath):
    counts = run_with_macros(name, simulator, datapath, tmp_path, monkeypatch)
    assert counts.n_h > 100 and counts.n_y > 0


@pytest.mark.parametrize("old, new", [
    ("(.CLK(clk), .GATE(en)", "(.CLK(~clk), .GATE(en)"),         # half a period off
    ("(.CLK(clk), .GATE(en)", "(.CLK(clk), .GATE(1'b0)"),        # never clocked
    (".we(wmask)", ".we(~wmask)"),
])
def test_a_fault_in_a_binding_shows_in_the_design(tmp_path, monkeypatch, old, new):
    def change(text):
        assert old in text
        return text.replace(old, new)
    with pytest.raises((MismatchError, SimulationError)):
        run_with_macros("tiny", "icarus", FLEXMEM, tmp_path, monkeypatch, change)
