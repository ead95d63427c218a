"""Random cells x options x datapaths, in PyRTL's compiled simulation: bit-exact against golden, cycles as the formula.

Every h, c and y of every step is compared. The same sessions as `doit sim` runs: weights through Wishbone, sequences
back to back on all streams, random stalls, a host that tries what a busy block must refuse.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from designs import designs, make_design
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow.simulate.batch import BatchSimulation
from flow.simulate.cases import Case
from flow.simulate.run import PyrtlSimulator, Result, run_session
from flow.simulate.schedule import build_schedule
from flow.simulate.session import Session
from golden.random_model import random_input, random_quantized_model, random_states
from golden.spec import CellSpec, ModelSpec, OutputSpec
from rtl.config import DesignConfig
from rtl.cycles import count_cycles
from rtl.top import build_simulation

MAX_SEQUENCES, MAX_STEPS = 6, 6
SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def random_case(design: DesignConfig, seed: int, extreme: bool) -> Case:
    """A network of random integers with sequences of random lengths, T = 1 among them."""
    rng = np.random.default_rng(seed)
    qmodel = random_quantized_model(design.model, design.quant, rng, extreme)
    lengths = rng.integers(1, MAX_STEPS + 1, rng.integers(1, MAX_SEQUENCES + 1))
    x = random_input(design.model, int(lengths.max()), len(lengths), rng)
    return Case(design, qmodel, np.full_like(x, -128) if extreme else x, lengths)


def run(case: Case, session: Session, power_up_seed: int) -> Result:
    block = build_simulation(case.design, case.qmodel)
    simulation = BatchSimulation(block.block, case.design.datapath.streams, block.memories)
    with TemporaryDirectory() as folder:
        return run_session(PyrtlSimulator(simulation, power_up_seed), session, Path(folder))


def check_plain(design: DesignConfig, seed: int, every_step: bool, extreme: bool) -> None:
    """At full speed the block's own counters give what the formula gives, cause by cause."""
    case = random_case(design, seed, extreme)
    session = case.begin()
    schedule = build_schedule(case.lengths, design.datapath.streams)
    session.stream(case.x, schedule, y_every_step=every_step)
    outcome = run(case, session, seed % 997).outcome
    formula = count_cycles(design, schedule.keep, schedule.last, every_step)
    assert {cause: outcome.registers[f"cycles {cause}"] for cause in formula.causes} == formula.causes
    assert outcome.counts.n_h == schedule.n_stream_steps * design.layout.n_states


def check_hostile(design: DesignConfig, seed: int, extreme: bool) -> None:
    """Stalled streams, busy refusals, then sequences that go on from states that the host wrote."""
    case = random_case(design, seed, extreme)
    session = case.begin()
    case.add_stalled(session, seed)
    rng = np.random.default_rng(seed)
    streams = design.datapath.streams
    lengths = rng.integers(1, MAX_STEPS, streams)
    h, c = random_states(design.model, streams, rng)
    if extreme:
        h, c = [np.full_like(a, -128) for a in h], [None if a is None else np.full_like(a, -32768) for a in c]
    session.write_states(*_side_by_side(h, c))
    schedule = build_schedule(lengths, streams, continues=True)
    session.stream(random_input(design.model, int(lengths.max()), streams, rng), schedule, initial=(h, c), seed=seed)
    run(case, session, seed % 997)


def _side_by_side(h: list[np.ndarray], c: list[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray | None]:
    """States of all cells in one row a stream; c None if no cell has one (0 where a cell has none)."""
    all_c = [np.zeros_like(a) if b is None else b for a, b in zip(h, c, strict=True)]
    return np.concatenate(h, axis=1), None if all(b is None for b in c) else np.concatenate(all_c, axis=1)


LSTM, GRU, BEFORE = CellSpec("lstm", 2), CellSpec("gru", 3), CellSpec("gru", 5, reset="before")
EDGES = {  # network, banks, word bits
    # More lanes than a tile has words: the update is what limits the output layer's tiles.
    "update-bound output": (ModelSpec(1, (CellSpec("elman", 1),), OutputSpec(20, bias=False)), 2, 32),
    "headers of both lengths": (ModelSpec(2, (CellSpec("lstm", 2, bias=False), GRU), OutputSpec(3)), 1, 32),
    "two formats of c, a GRU between": (ModelSpec(1, (LSTM, GRU, LSTM)), 1, 32),
    "one of everything": (ModelSpec(1, (CellSpec("elman", 1, activation="relu"),)), 1, 8),
    "lanes of a unit in four banks": (ModelSpec(3, (LSTM,), OutputSpec(2, "sigmoid", "xh")), 4, 8),
    "y from a GRU without output layer": (ModelSpec(2, (BEFORE, GRU)), 2, 16),
}


@pytest.mark.eda
@pytest.mark.parametrize("streams", [1, 4])
@pytest.mark.parametrize("edge", EDGES)
def test_edges(edge, streams):
    design = make_design(*EDGES[edge], streams=streams)
    for every_step in (False, True):
        check_plain(design, 7, every_step, extreme=False)
    check_hostile(design, 8, extreme=False)


@pytest.mark.eda
@settings(max_examples=20, **SLOW)
@given(designs(), st.integers(0, 2**31), st.booleans(), st.sampled_from([False, False, True]))
def test_full_speed(design, seed, every_step, extreme):
    check_plain(design, seed, every_step, extreme)


@pytest.mark.eda
@settings(max_examples=20, **SLOW)
@given(designs(), st.integers(0, 2**31), st.sampled_from([False, False, True]))
def test_stalls_refusals_and_given_states(design, seed, extreme):
    check_hostile(design, seed, extreme)


@pytest.mark.nightly
@settings(max_examples=300, **SLOW)
@given(designs(), st.integers(0, 2**31), st.booleans(), st.sampled_from([False, False, True]))
def test_full_speed_at_length(design, seed, every_step, extreme):
    check_plain(design, seed, every_step, extreme)


@pytest.mark.nightly
@settings(max_examples=300, **SLOW)
@given(designs(), st.integers(0, 2**31), st.sampled_from([False, False, True]))
def test_stalls_refusals_and_given_states_at_length(design, seed, extreme):
    check_hostile(design, seed, extreme)
