"""Random cells x options x datapaths as exported Verilog under Icarus: no unknown value reaches anything that counts.

Four-state simulation sees what compiled simulation cannot: a register that nothing has set, a memory word that was
never written, read data after a write or an idle cycle. A reset in the middle is part of every run.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from designs import designs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow.simulate.run import VerilogRunner, run_session
from flow.simulate.schedule import build_schedule
from flow.simulate.session import Session
from flow.simulate.verilog import VerilogDesign
from golden.random_model import random_input, random_quantized_model
from rtl.config import DesignConfig
from rtl.export import export_verilog
from rtl.weight_image import build_image

MAX_SEQUENCES, MAX_STEPS = 5, 5
SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def check_verilog(design: DesignConfig, seed: int) -> None:
    """A run under stalls, a reset in the middle of another, and a run at full speed after it."""
    rng = np.random.default_rng(seed)
    qmodel = random_quantized_model(design.model, design.quant, rng)
    lengths = rng.integers(1, MAX_STEPS + 1, rng.integers(1, MAX_SEQUENCES + 1))
    x = random_input(design.model, int(lengths.max()), len(lengths), rng)
    schedule = build_schedule(lengths, design.datapath.streams)
    session = Session(design, qmodel, build_image(design, qmodel))
    session.begin()
    session.program.stalls(int(rng.integers(0, 200)), int(rng.integers(0, 200)), seed)
    session.stream(x, schedule, y_every_step=bool(rng.integers(2)), pokes=2, seed=seed)
    n_beats = int(rng.integers(1, len(session.beats[0]) + 1))
    session.abort(x, schedule, n_beats, int(rng.integers(0, 200)), soft=bool(rng.integers(2)))
    session.program.stalls(0, 0, 1)
    session.stream(x, schedule)
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = export_verilog(design, qmodel, folder / "export")
        has_c = any(cell.kind == "lstm" for cell in design.model.cells)
        datapath = design.datapath
        shape = VerilogDesign(tuple(files.values()), design.module_name, datapath.streams, has_c, datapath.memory)
        counts = run_session(VerilogRunner("icarus", shape, folder / "cache"), session, folder).outcome.counts
    assert counts.n_h == 2 * schedule.n_stream_steps * design.layout.n_states


@pytest.mark.eda
@settings(max_examples=12, **SLOW)
@given(designs(), st.integers(0, 2**31))
def test_random_designs_in_four_states(design, seed):
    check_verilog(design, seed)


@pytest.mark.nightly
@settings(max_examples=200, **SLOW)
@given(designs(), st.integers(0, 2**31))
def test_random_designs_in_four_states_at_length(design, seed):
    check_verilog(design, seed)
