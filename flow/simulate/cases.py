"""The sessions that `./stillwater sim` runs: the whole test set at full speed, and a part of it under everything that a
host and its streams may do: random stalls, a y vector every step, accesses that a busy block must refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.simulate.schedule import build_schedule
from flow.simulate.session import Session
from golden.quantized import QuantizedModel
from rtl.config import DesignConfig
from rtl.weight_image import build_image

STALLS_OF_256 = 72  # so often a side that could go on does not, in each cycle
N_POKES = 4


@dataclass(frozen=True)
class Case:
    """A design with its integer network and its test set: x (T, B, X) s8.7 integers, lengths (B,)."""

    design: DesignConfig
    qmodel: QuantizedModel
    x: np.ndarray
    lengths: np.ndarray

    def first(self, n_sequences: int) -> Case:
        """The case with only the first sequences."""
        return Case(self.design, self.qmodel, self.x[:, :n_sequences], self.lengths[:n_sequences])

    def shortened(self, n_steps: int) -> Case:
        """The case with only the first steps of every sequence."""
        return Case(self.design, self.qmodel, self.x[:n_steps], np.minimum(self.lengths, n_steps))

    def begin(self) -> Session:
        """A session in which the design is reset and its weights are loaded."""
        session = Session(self.design, self.qmodel, build_image(self.design, self.qmodel))
        session.begin()
        return session

    def add_plain(self, session: Session) -> None:
        """All sequences, streams always ready."""
        session.program.stalls(0, 0, 1)
        session.stream(self.x, build_schedule(self.lengths, self.design.datapath.streams))

    def add_stalled(self, session: Session, seed: int) -> None:
        """All sequences with random stalls, y after every step, and accesses while busy."""
        session.program.stalls(STALLS_OF_256, STALLS_OF_256, seed)
        schedule = build_schedule(self.lengths, self.design.datapath.streams)
        session.stream(self.x, schedule, y_every_step=True, pokes=N_POKES, seed=seed)


def plain_session(case: Case) -> Session:
    """The case at full speed."""
    session = case.begin()
    case.add_plain(session)
    return session


def stalled_session(case: Case, seeds: tuple[int, ...]) -> Session:
    """The case under stalls, once for every seed, without a reset in between."""
    session = case.begin()
    for seed in seeds:
        case.add_stalled(session, seed)
    return session


def mixed_session(case: Case, seed: int) -> Session:
    """The case at full speed, then again under stalls."""
    session = case.begin()
    case.add_plain(session)
    case.add_stalled(session, seed)
    return session
