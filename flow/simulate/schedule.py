"""Packs sequences of different lengths onto S streams that run in lock step."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from golden.spec import SpecError


@dataclass(frozen=True)
class Schedule:
    """Which sequence, and which of its steps, each stream runs in each step of the hardware.

    sequence: (N, S) int, index of the sequence, -1 where a stream has none.
    time: (N, S) int, step within that sequence, 0 where it has none.
    lengths: (B,) int, steps of every sequence.
    continues: the first sequence of every stream goes on from the states that the host wrote.
    """

    sequence: np.ndarray
    time: np.ndarray
    lengths: np.ndarray
    continues: bool = False

    @property
    def n_steps(self) -> int:
        """Steps that the hardware runs."""
        return self.sequence.shape[0]

    @property
    def n_streams(self) -> int:
        return self.sequence.shape[1]

    @property
    def n_sequences(self) -> int:
        return len(self.lengths)

    @cached_property
    def keep(self) -> np.ndarray:
        """(N, S) bool: the stream takes part in the step."""
        return self.sequence >= 0

    @cached_property
    def first(self) -> np.ndarray:
        """(N, S) bool: the step starts a sequence of the stream from states of zero."""
        starts = self.keep & (self.time == 0)
        if self.continues:
            starts[0] = False
        return starts

    @cached_property
    def last(self) -> np.ndarray:
        """(N, S) bool: the step ends a sequence of the stream."""
        return self.keep & (self.time == self.lengths[self.sequence] - 1)

    @property
    def n_stream_steps(self) -> int:
        """Steps of all sequences together: what the hardware usefully does."""
        return int(self.keep.sum())

    def y_mask(self, every_step: bool) -> np.ndarray:
        """(N, S) bool: the streams that the y vector of a step is for; no vector comes where none is set."""
        return self.keep if every_step else self.last


def build_schedule(lengths, n_streams: int, continues: bool = False) -> Schedule:
    """Give every stream its next sequence as soon as its last one has ended, in the order of the list.

    lengths: (B,) int, at least 1 each. n_streams: S. Raises SpecError for no sequence, an empty one or no stream.

    >>> build_schedule([2, 1, 3], 2).sequence.T.tolist()
    [[0, 0, -1, -1], [1, 2, 2, 2]]
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if n_streams < 1:
        raise SpecError(f"streams must be at least 1, not {n_streams} (simulation schedule)")
    if lengths.ndim != 1 or lengths.size == 0:
        raise SpecError("a schedule needs at least one sequence, got none (simulation schedule)")
    if lengths.min() < 1:
        where = int(np.argmin(lengths))
        raise SpecError(f"a sequence must have at least 1 step, not {lengths[where]} (simulation: sequence {where})")
    free = [(0, stream) for stream in range(n_streams)]
    starts = []
    for length in lengths.tolist():
        start, stream = heapq.heappop(free)
        starts.append((start, stream))
        heapq.heappush(free, (start + length, stream))
    n_steps = max(end for end, _ in free)
    sequence = np.full((n_steps, n_streams), -1, dtype=np.int64)
    time = np.zeros((n_steps, n_streams), dtype=np.int64)
    for index, ((start, stream), length) in enumerate(zip(starts, lengths.tolist(), strict=True)):
        sequence[start : start + length, stream] = index
        time[start : start + length, stream] = np.arange(length)
    return Schedule(sequence, time, lengths, continues)
