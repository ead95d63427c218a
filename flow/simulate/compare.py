"""Compares what a simulation did with golden: every h and c of every step, stream and unit, every y beat.

Updates of a step can follow the beginning of the next one, so events are told apart by counting: the k-th write of
a unit by a stream belongs to the k-th step in which that stream takes part. The beginnings of the steps bound when
that may be, so that a missing or a double write is named as such.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.simulate.difference import Difference, Expected, Teller
from flow.simulate.events import CYCLE, A, B, C, Event, EventLog
from flow.simulate.schedule import Schedule
from golden.cells import Trace
from golden.quantized import QuantizedModel
from golden.spec import SpecError

H_BITS, C_BITS, Y_BITS = 8, 16, 16


@dataclass(frozen=True)
class Counts:
    """Values compared; all of them were equal."""

    n_h: int
    n_c: int
    n_y: int
    n_steps: int
    n_sequences: int

    @property
    def total(self) -> int:
        return self.n_h + self.n_c + self.n_y


class MismatchError(SpecError):
    """A simulation and golden differ."""

    def __init__(self, difference: Difference):
        super().__init__(difference.message)
        self.difference = difference


def build_expected(
    design: str, qmodel: QuantizedModel, schedule: Schedule, trace: Trace, y_every_step: bool = False
) -> Expected:
    """Golden's trace (T, B, ...) in the order of the schedule."""
    kept = schedule.keep
    pick = (schedule.time[kept], schedule.sequence[kept])
    n_steps, n_streams = kept.shape

    def laid_out(values: np.ndarray) -> np.ndarray:
        result = np.zeros((n_steps, n_streams, values.shape[-1]), dtype=np.int64)
        result[kept] = values[pick]
        return result

    layers, first = [], 0
    for index, cell in enumerate(qmodel.model.cells):
        layers.append((f"layer {index} ({cell.kind})", first, cell.hidden_size))
        first += cell.hidden_size
    units = [(cell, size) for cell, size in zip(qmodel.cells, qmodel.model.hidden_sizes, strict=True)]
    no_c = [np.zeros_like(h) if c is None else c for h, c in zip(trace.h, trace.c, strict=True)]
    return Expected(
        design=design,
        schedule=schedule,
        h=laid_out(np.concatenate(trace.h, axis=2)),
        c=laid_out(np.concatenate(no_c, axis=2)),
        has_c=np.concatenate([np.full(size, cell.c_frac_bits is not None) for cell, size in units]),
        y=laid_out(trace.y),
        y_mask=schedule.y_mask(y_every_step),
        frac_bits={
            "h": np.concatenate([np.full(size, cell.h_frac_bits) for cell, size in units]),
            "c": np.concatenate([np.full(size, cell.c_frac_bits or 0) for cell, size in units]),
            "y": np.full(trace.y.shape[2], qmodel.y_frac_bits),
        },
        layers=tuple(layers),
    )


def compare(log: EventLog, expected: Expected) -> Counts:
    """Raise MismatchError at the first difference in time; give the numbers of values compared otherwise."""
    steps = log.of(Event.STEP)[:, CYCLE].astype(np.int64)
    end = int(log.rows[-1, CYCLE]) if len(log.rows) else 0
    teller = Teller(log.source, expected, end)
    differences: list[Difference] = []
    counts = []
    everything = np.ones(expected.h.shape[2], dtype=bool)
    for name, event, bits, values, units in (
        ("h", Event.H, H_BITS, expected.h, everything),
        ("c", Event.C, C_BITS, expected.c, expected.has_c),
    ):
        count, found = _compare_states(name, log.of(event), bits, values, units, steps, teller)
        counts.append(count)
        differences += found
    n_y, found = _compare_y(log.of(Event.Y), teller)
    differences += found
    if len(steps) != expected.schedule.n_steps:
        differences.append(teller.count("steps begun", len(steps), expected.schedule.n_steps))
    if differences:
        raise MismatchError(min(differences, key=lambda difference: difference.cycle))
    result = Counts(*counts, n_y, expected.schedule.n_steps, expected.schedule.n_sequences)
    if result.n_h == 0 or result.n_y == 0:
        raise MismatchError(Difference(end, f"{expected.design} under {log.source}: nothing was compared ({result})"))
    return result


def _signed(values: np.ndarray, stream: int, bits: int) -> np.ndarray:
    """The signed field of a stream out of values side by side."""
    field = (values >> np.uint64(bits * stream)) & np.uint64((1 << bits) - 1)
    return ((field.astype(np.int64) ^ (1 << (bits - 1))) - (1 << (bits - 1))).astype(np.int64)


def _occurrence(units: np.ndarray) -> np.ndarray:
    """For every write, how many writes of the same unit came before it."""
    order = np.argsort(units, kind="stable")
    ordered = units[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    run = np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    result = np.empty(len(units), dtype=np.int64)
    result[order] = np.arange(len(units)) - run
    return result


def _compare_states(
    name: str, rows: np.ndarray, bits: int, expected: np.ndarray, units: np.ndarray, steps: np.ndarray, teller: Teller
) -> tuple[int, list[Difference]]:
    """Values compared, and the first differences of every stream."""
    n_compared, differences = 0, []
    for stream in range(expected.shape[1]):
        mine = rows[(rows[:, A] >> np.uint64(stream)) & np.uint64(1) == 1]
        unit, cycle = mine[:, B].astype(np.int64), mine[:, CYCLE].astype(np.int64)
        got = _signed(mine[:, C], stream, bits)
        stray = np.flatnonzero((unit >= len(units)) | ~units[np.minimum(unit, len(units) - 1)])
        if len(stray):
            where = stray[0]
            differences.append(teller.stray(name, stream, int(unit[where]), int(cycle[where])))
            continue
        kept = np.flatnonzero(teller.expected.schedule.keep[:, stream])
        nth = _occurrence(unit) if len(unit) else unit
        extra = nth >= len(kept)
        step = np.r_[kept, teller.expected.schedule.n_steps][np.minimum(nth, len(kept))]
        begins = np.r_[steps, np.full(3 + max(0, len(kept) and kept[-1] + 1 - len(steps)), np.iinfo(np.int64).max)]
        last_begin = len(begins) - 1
        early = extra | (cycle < begins[np.minimum(step, last_begin)])
        late = ~extra & (cycle >= begins[np.minimum(step + 2, last_begin)])
        wanted = expected[np.minimum(step, len(expected) - 1), stream, unit]
        wrong = np.flatnonzero(early | late | (got != wanted))
        written = np.bincount(unit, minlength=len(units))
        if len(wrong):
            i = wrong[0]
            at = (stream, int(step[i]), int(unit[i]), int(cycle[i]))
            if early[i]:
                differences.append(teller.double(name, *at, begins))
            elif late[i] or written[unit[i]] < len(kept):
                differences.append(teller.missing(name, *at))
            else:
                differences.append(teller.value(name, *at, int(got[i]), int(wanted[i])))
        short = np.flatnonzero(units & (written < len(kept)))
        if len(short) and not len(wrong):
            by_step = short[np.argmin(written[short])]
            differences.append(teller.missing(name, stream, int(kept[written[by_step]]), int(by_step), teller.end))
        n_compared += len(unit)
    return n_compared, differences


def _compare_y(rows: np.ndarray, teller: Teller) -> tuple[int, list[Difference]]:
    """Beats of y in order: data of the streams meant, keep and last."""
    expected = teller.expected
    n_streams, size = expected.y.shape[1:]
    vectors = np.flatnonzero(expected.y_mask.any(axis=1))
    step = np.repeat(vectors, size)
    element = np.tile(np.arange(size), len(vectors))
    n_rows, n = len(rows), min(len(rows), len(step))
    rows, step_n, element_n = rows[:n], step[:n], element[:n]
    flags = (expected.y_mask[step_n].astype(np.uint64) << np.arange(n_streams, dtype=np.uint64)).sum(1, dtype=np.uint64)
    problems = [
        (i, teller.flag("y_keep", int(step_n[i]), int(element_n[i]), int(rows[i, CYCLE]), rows[i, B], flags[i]))
        for i in np.flatnonzero(rows[:, B] != flags)[:1]
    ]
    last = (element_n == size - 1).astype(np.uint64)
    problems += [
        (i, teller.flag("y_last", int(step_n[i]), int(element_n[i]), int(rows[i, CYCLE]), rows[i, C], last[i]))
        for i in np.flatnonzero(rows[:, C] != last)[:1]
    ]
    n_compared = 0
    for stream in range(n_streams):
        meant = np.flatnonzero(expected.y_mask[step_n, stream])
        got = _signed(rows[meant, A], stream, Y_BITS)
        wanted = expected.y[step_n[meant], stream, element_n[meant]]
        for i in np.flatnonzero(got != wanted)[:1]:
            j = meant[i]
            at = (stream, int(step_n[j]), int(element_n[j]), int(rows[j, CYCLE]))
            problems.append((j, teller.value("y", *at, int(got[i]), int(wanted[i]))))
        n_compared += len(meant)
    differences = [problem for _, problem in sorted(problems, key=lambda item: item[0])[:1]]
    if n_rows != len(step):
        differences.append(teller.count("y beats", n_rows, len(step)))
    return n_compared, differences
