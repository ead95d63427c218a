"""Schedules and the stimulus made of them: every sequence once, in order, without gaps; bad input refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.simulate.schedule import build_schedule
from flow.simulate.stimulus import build_beats
from golden.spec import SpecError

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=25)
STREAMS = st.sampled_from([1, 2, 4])


@given(LENGTHS, STREAMS)
def test_every_sequence_runs_once_in_contiguous_steps(lengths, n_streams):
    schedule = build_schedule(lengths, n_streams)
    for index, length in enumerate(lengths):
        steps, streams = np.nonzero(schedule.sequence == index)
        assert len(set(streams)) == 1
        assert steps.tolist() == list(range(steps[0], steps[0] + length))
        assert schedule.time[steps, streams].tolist() == list(range(length))
    assert schedule.n_stream_steps == sum(lengths)


@given(LENGTHS, STREAMS)
def test_a_stream_is_never_idle_before_its_last_sequence_and_flags_mark_the_ends(lengths, n_streams):
    schedule = build_schedule(lengths, n_streams)
    for stream in range(n_streams):
        mine = schedule.sequence[:, stream]
        n_used = int((mine >= 0).sum())
        assert (mine[:n_used] >= 0).all()
        assert (np.diff(mine[:n_used]) >= 0).all()
    assert schedule.first.sum() == schedule.last.sum() == len(lengths)
    assert schedule.n_steps < sum(lengths) / n_streams + max(lengths)


def test_a_continuing_schedule_has_no_first_flag_in_its_first_step():
    schedule = build_schedule([2, 3, 1], 2, continues=True)
    assert schedule.first[0].tolist() == [False, False]
    assert schedule.first.sum() == 1


@pytest.mark.parametrize("lengths, message", [([], "at least one sequence"), ([3, 0], "at least 1 step, not 0")])
def test_empty_input_is_refused(lengths, message):
    with pytest.raises(SpecError, match=message):
        build_schedule(lengths, 1)


@given(LENGTHS, STREAMS, st.integers(1, 3), st.integers(0, 9))
def test_beats_carry_every_element_of_every_stream(lengths, n_streams, n_channels, seed):
    x = np.random.default_rng(seed).integers(-128, 128, (max(lengths), len(lengths), n_channels))
    schedule = build_schedule(lengths, n_streams)
    beats = build_beats(x, schedule, seed).reshape(schedule.n_steps, n_channels, 4)
    for step in range(schedule.n_steps):
        flags = [int(beats[step, -1, field]) for field in (1, 2, 3)]
        for stream in range(n_streams):
            wanted = [bool(array[step, stream]) for array in (schedule.first, schedule.last, schedule.keep)]
            assert [bool(flag >> stream & 1) for flag in flags] == wanted
            if schedule.keep[step, stream]:
                got = [(int(word) >> (8 * stream) & 255 ^ 128) - 128 for word in beats[step, :, 0]]
                assert got == x[schedule.time[step, stream], schedule.sequence[step, stream]].tolist()


@pytest.mark.parametrize(
    "x, message",
    [
        (np.zeros((3, 1, 2)), r"B = 2, X\), not \(3, 1, 2\)"),
        (np.full((3, 2, 1), 128), "-128 .. 127, not 128 .. 128"),
        (np.zeros((3, 2, 0)), "at least one channel"),
    ],
)
def test_wrong_input_is_refused(x, message):
    with pytest.raises(SpecError, match=message):
        build_beats(x, build_schedule([3, 2], 1))
