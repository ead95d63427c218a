"""The comparison with golden: what is right passes with exact counts, every kind of fault is named as it is."""

import re

import numpy as np
import pytest

from flow.simulate.compare import MismatchError, build_expected, compare
from flow.simulate.events import CYCLE, A, B, C, Event, EventLog, SimulationError, parse_events
from flow.simulate.schedule import build_schedule
from golden.cells import forward_int
from golden.random_model import random_input, random_quantized_model
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec

STEP_CYCLES = 100
LENGTHS = [3, 1, 4, 2, 5]


def expected_run(n_streams=2, every_step=False):
    """Golden's side of a small run: an LSTM, a GRU and an output layer."""
    model = ModelSpec(2, (CellSpec("lstm", 3), CellSpec("gru", 2)), OutputSpec(2))
    rng = np.random.default_rng(5)
    qmodel = random_quantized_model(model, QuantSpec(), rng)
    x = random_input(model, max(LENGTHS), len(LENGTHS), rng)
    schedule = build_schedule(LENGTHS, n_streams)
    trace = forward_int(qmodel, x, schedule.lengths)
    return build_expected("small", qmodel, schedule, trace, every_step)


def perfect_rows(expected):
    """The events of hardware without a fault; updates of a step follow the beginning of the next."""
    rows = []
    n_streams = expected.schedule.n_streams

    def packed(values, bits):
        return sum((int(value) & ((1 << bits) - 1)) << (bits * stream) for stream, value in enumerate(values))

    def mask(flags):
        return sum(int(flag) << stream for stream, flag in enumerate(flags))

    for step in range(expected.schedule.n_steps):
        start = step * STEP_CYCLES
        rows.append((Event.STEP, start, 0, 0, 0))
        keep = mask(expected.schedule.keep[step])
        for unit in range(expected.h.shape[2]):
            cycle = start + 60 + 10 * unit
            if expected.has_c[unit]:
                rows.append((Event.C, cycle - 2, keep, unit, packed(expected.c[step, :, unit], 16)))
            rows.append((Event.H, cycle, keep, unit, packed(expected.h[step, :, unit], 8)))
        if expected.y_mask[step].any():
            for k in range(expected.y.shape[2]):
                last = int(k == expected.y.shape[2] - 1)
                data = packed(expected.y[step, :, k], 16)
                rows.append((Event.Y, start + 150 + k, data, mask(expected.y_mask[step]), last))
    rows.append((Event.END, expected.schedule.n_steps * STEP_CYCLES + 500, 0, 0, 0))
    assert n_streams == expected.h.shape[1]
    return np.array(sorted(rows, key=lambda row: row[1]), dtype=np.uint64)


def find(rows, kind, nth):
    return np.flatnonzero(rows[:, 0] == int(kind))[nth]


def message_of(rows, expected):
    with pytest.raises(MismatchError) as caught:
        compare(EventLog(rows, "Testulator"), expected)
    return str(caught.value)


@pytest.mark.parametrize("n_streams", [1, 2, 4])
@pytest.mark.parametrize("every_step", [False, True])
def test_a_perfect_run_passes_and_counts_every_value(n_streams, every_step):
    expected = expected_run(n_streams, every_step)
    counts = compare(EventLog(perfect_rows(expected), "Testulator"), expected)
    n_stream_steps = sum(LENGTHS)
    assert (counts.n_h, counts.n_c) == (5 * n_stream_steps, 3 * n_stream_steps)
    assert counts.n_y == 2 * (n_stream_steps if every_step else len(LENGTHS))
    assert counts.n_sequences == len(LENGTHS)


@pytest.mark.parametrize("kind, name, bits", [(Event.H, "h", 8), (Event.C, "c", 16)])
def test_a_wrong_state_names_step_layer_unit_and_both_values(kind, name, bits):
    expected = expected_run()
    rows = perfect_rows(expected)
    for nth in (20, 9):  # the later fault comes first in the code and must not be the one that is named
        rows[find(rows, kind, nth), C] ^= np.uint64(1 << bits)  # the lowest bit of stream 1
    wrong = rows[find(rows, kind, 9)]
    step, unit = 9 // (5 if name == "h" else 3), int(wrong[B])
    wanted = int(getattr(expected, name)[step, 1, unit])
    sequence, time = expected.schedule.sequence[step, 1], expected.schedule.time[step, 1]
    layer = "layer 0 (lstm)" if unit < 3 else "layer 1 (gru)"
    text = message_of(rows, expected)
    assert f"sequence {sequence}, step {time} (hardware step {step}, stream 1)" in text
    assert f"{layer}, unit {unit if unit < 3 else unit - 3}: {name} is {wanted ^ 1} (" in text
    assert f"must be {wanted} ({wanted * 2.0 ** -int(expected.frac_bits[name][unit]):.6g})" in text
    assert f"at cycle {int(wrong[CYCLE])}" in text


def test_a_wrong_y_names_sequence_and_element():
    expected = expected_run(1)
    rows = perfect_rows(expected)
    rows[find(rows, Event.Y, 5), A] ^= np.uint64(1)
    wanted = r"sequence 2, step 3 .*, output, element 1: y is -?\d+ \(.*\), must be -?\d+ "
    assert re.search(wanted, message_of(rows, expected))


def test_a_missing_write_is_named():
    expected = expected_run(1)
    rows = perfect_rows(expected)
    rows = np.delete(rows, find(rows, Event.H, 11), axis=0)  # 5 units a step: unit 1 in step 2
    text = message_of(rows, expected)
    assert "hardware step 2, stream 0), layer 0 (lstm), unit 1: h was not written" in text


def test_a_write_missing_in_the_last_step_is_named():
    expected = expected_run(1)
    rows = perfect_rows(expected)
    rows = np.delete(rows, find(rows, Event.C, -1), axis=0)
    last = expected.schedule.n_steps - 1
    assert f"hardware step {last}, stream 0), layer 0 (lstm), unit 2: c was not written" in message_of(rows, expected)


def test_a_double_write_is_named_even_of_the_same_value():
    expected = expected_run(1)
    rows = perfect_rows(expected)
    where = find(rows, Event.H, 10)
    again = rows[where].copy()
    again[CYCLE] += 1
    text = message_of(np.insert(rows, where + 1, again, axis=0), expected)
    assert "hardware step 2, stream 0), layer 0 (lstm), unit 0: h was written once more than once a step" in text


def test_a_write_for_a_stream_that_takes_no_part_is_a_difference():
    expected = expected_run(2)
    rows = perfect_rows(expected)
    idle = np.argwhere(~expected.schedule.keep)
    assert len(idle), "the schedule must leave a stream idle for this test"
    step, stream = idle[0]
    where = np.flatnonzero((rows[:, 0] == Event.H) & (rows[:, CYCLE] == step * STEP_CYCLES + 60))[0]
    rows[where, A] |= np.uint64(1 << stream)
    assert "was written once more than once a step" in message_of(rows, expected)


def test_c_of_a_cell_without_c_is_a_difference():
    expected = expected_run(1)
    rows = perfect_rows(expected)
    rows[find(rows, Event.C, 4), B] = 4
    assert "c of unit 1 of layer 1 (gru) was written, which has none" in message_of(rows, expected)


@pytest.mark.parametrize("field, name", [(B, "y_keep"), (C, "y_last")])
def test_wrong_y_flags_are_differences(field, name):
    expected = expected_run(2)
    rows = perfect_rows(expected)
    rows[find(rows, Event.Y, 3), field] ^= np.uint64(1)
    assert f"{name} is" in message_of(rows, expected)


def test_missing_y_and_missing_steps_are_differences():
    expected = expected_run(2)
    rows = perfect_rows(expected)
    assert "y beats: " in message_of(np.delete(rows, find(rows, Event.Y, -1), axis=0), expected)
    one_more = (Event.STEP, expected.schedule.n_steps * STEP_CYCLES + 400, 0, 0, 0)
    assert "steps begun: " in message_of(np.insert(rows, -1, one_more, axis=0), expected)


def test_an_empty_run_is_a_difference():
    expected = expected_run(1)
    rows = perfect_rows(expected)
    assert "differs from golden" in message_of(rows[rows[:, 0] == Event.END], expected)


def test_an_unknown_value_is_named_with_its_cycle():
    with pytest.raises(SimulationError, match=r"cycle 16: unknown \(X\) value in H event 1 2 x5, 1 steps begun"):
        parse_events("0 a 0 0 0\n1 10 1 2 x5\n6 20 0 0 0\n", "Icarus")


@pytest.mark.parametrize(
    "text, message",
    [
        ("0 a 0 0 0\n1 1", "cut after 1 events"),
        ("0 a 0 0 0\n", "no end"),
        ("5 7 4 3 2\n6 7 0 0 0\n", "cycle 7: no progress: 3 x beats taken, 2 y beats"),
    ],
)
def test_broken_event_files_are_refused(text, message):
    with pytest.raises(SimulationError, match=message):
        parse_events(text, "Icarus").check()
