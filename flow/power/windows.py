"""The windows of a run that power is told for: loading the weights, and inference step after step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.gates.kernel import Kernel
from flow.gates.load import Gates, first_sequences
from flow.power.activity import Activity, build_activity
from flow.simulate.cases import plain_session
from flow.simulate.events import CYCLE, Event, EventLog
from flow.simulate.session import Session
from golden.spec import SpecError

ACCESSES_BEFORE_LOAD = 5
"""Reads of a session (flow.simulate.session) before the weights are written: ID, LAYOUT, SHAPE, SIZES, CTRL."""


@dataclass(frozen=True)
class Window:
    """Cycles from, to. n_steps: of the hardware; n_stream_steps: of all streams together. mean_length: steps of a
    sequence, over those that the window's steps belong to."""

    name: str
    begin: int
    end: int
    n_steps: int = 0
    n_stream_steps: int = 0
    mean_length: float = 0.0


def find_windows(session: Session, log: EventLog, max_cycles: int) -> tuple[Window, Window]:
    """Load and inference in the run of a session that has been found right."""
    accesses = log.of(Event.ACCESS)[:, CYCLE].astype(int)
    steps = log.of(Event.STEP)[:, CYCLE].astype(int)
    load = Window("load", int(accesses[ACCESSES_BEFORE_LOAD - 1]) + 1, int(accesses[ACCESSES_BEFORE_LOAD]))
    fits = np.flatnonzero(steps - steps[0] <= max_cycles)
    last = int(fits[-1])
    if last == 0:
        raise SpecError(f"max_cycles must hold a step of {session.design.name} at least, which takes "
                        f"{int(steps[1] - steps[0])} cycles, not {max_cycles} (power)")
    schedule = session.runs[-1].expected.schedule
    begins = [step for step in range(1, last + 1) if schedule.first[step].any()]
    end = begins[-1] if begins else last                   # whole sequences, where there is one
    keep = schedule.keep[:end]
    sequences = np.unique(schedule.sequence[:end][keep])
    return load, Window("inference", int(steps[0]), int(steps[end]), end, int(keep.sum()),
                        float(schedule.lengths[sequences].mean()))


def record_windows(gates: Gates, kernel: Kernel, max_cycles: int, folder: Path) -> list[tuple[Window, Activity]]:
    """Runs enough sequences for the window, compares them with golden, and records what every net did."""
    case = first_sequences(gates.case, 2 * max_cycles)
    if len(case.lengths) < 2:
        case = gates.case.first(2)
    session = plain_session(case)
    log = kernel.run(session.program, session.all_beats(), folder)
    session.check(log)
    found = []
    for window in find_windows(session, log, max_cycles):
        history = kernel.record(session.program, session.all_beats(), folder, (window.begin, window.end))[1]
        found.append((window, build_activity(gates.circuit, history)))
    return found
