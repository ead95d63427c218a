"""Turns input sequences and a schedule into the beats of the x stream."""

from __future__ import annotations

import numpy as np

from flow.simulate.schedule import Schedule
from golden.spec import SpecError


def build_beats(x_int: np.ndarray, schedule: Schedule, seed: int = 0) -> np.ndarray:
    """Beats of the x stream, `input_size` a step, element 0 first: (N * X, 4) uint64 of data, first, last, keep.

    x_int: (T, B, X) integers in -128 .. 127 (s8.7). Streams without a sequence get noise, and so do the flags of all
    but the last beat of a step: the contract says that neither matters. Raises SpecError on a wrong shape or value.
    """
    x_int = np.asarray(x_int)
    if x_int.ndim != 3 or x_int.shape[1] != schedule.n_sequences or x_int.shape[0] < schedule.lengths.max():
        raise SpecError(
            f"x must be (T >= {schedule.lengths.max()}, B = {schedule.n_sequences}, X), not {x_int.shape} "
            "(simulation stimulus)"
        )
    if x_int.shape[2] < 1:
        raise SpecError("x must have at least one channel, not 0 (simulation stimulus)")
    if x_int.min() < -128 or x_int.max() > 127:
        raise SpecError(f"x must lie in -128 .. 127, not {x_int.min()} .. {x_int.max()} (simulation stimulus)")
    n_steps, n_streams = schedule.n_steps, schedule.n_streams
    input_size = x_int.shape[2]
    noise = np.random.default_rng(seed)
    values = noise.integers(0, 256, (n_steps, n_streams, input_size), dtype=np.uint64)
    kept = schedule.keep
    values[kept] = (x_int[schedule.time[kept], schedule.sequence[kept]] & 0xFF).astype(np.uint64)
    shifts = np.arange(n_streams, dtype=np.uint64)
    beats = np.empty((n_steps, input_size, 4), dtype=np.uint64)
    beats[:, :, 0] = (values << (8 * shifts)[None, :, None]).sum(axis=1, dtype=np.uint64)
    beats[:, :, 1:] = noise.integers(0, 1 << n_streams, (n_steps, input_size, 3), dtype=np.uint64)
    for field, flags in enumerate((schedule.first, schedule.last, schedule.keep), start=1):
        beats[:, -1, field] = (flags.astype(np.uint64) << shifts).sum(axis=1, dtype=np.uint64)
    return beats.reshape(n_steps * input_size, 4)


def write_beats(beats: np.ndarray, path) -> None:
    """Write beats as the test bench reads them: four hexadecimal numbers a line."""
    lines = ["%x %x %x %x\n" % tuple(beat) for beat in beats.tolist()]
    path.write_text("".join(lines))
