"""Setup, hold, recovery, removal and pulse widths: how near two edges may come.

The time between two edges is narrowed by bisection until the cell just does what it should: its output takes the
expected value with a delay at most 10 % above that of edges far apart, or stays where it is. All points of all
constraints of a cell advance together, one deck a round.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flow.characterise.corner import Corner
from flow.characterise.extract import ExtractedCell
from flow.characterise.ngspice import Simulator
from flow.characterise.stimuli import Analysis, stimuli_job
from golden.spec import SpecError

DEGRADATION = 1.10
RESOLUTION_S = 1.5e-12
LARGEST_GLITCH = 0.1
"""An output that should stay must not move by more than this part of the supply."""

LOAD_F = 3e-15


@dataclass(frozen=True)
class Search:
    """One point of a constraint.

    analysis:  from the time between the edges (s, larger is safer) to the experiment, with one event.
    safe, unsafe: where the cell surely works, and where it may not.
    moves:     whether the output should move in the event, else it should stay.
    """

    name: str
    analysis: Callable[[float], Analysis]
    safe: float
    unsafe: float
    moves: bool


def find_limits(cell: ExtractedCell, corner: Corner, output: str, outputs: tuple[str, ...], searches: list[Search],
                simulator: Simulator) -> list[float]:
    """The smallest safe time of each search (s). SpecError when a cell fails where it should be safe."""
    if not searches:
        return []

    def measure(times: list[float], what: str) -> list[dict]:
        analyses = [search.analysis(time) for search, time in zip(searches, times, strict=True)]
        [result] = simulator.run([stimuli_job(cell, corner, output, outputs, (LOAD_F,), analyses, what)])
        return [events[0][0] for events in result]

    reference = measure([search.safe for search in searches], "constraints, far apart")
    for search, value in zip(searches, reference, strict=True):
        if not works(search, value, None, corner):
            raise SpecError(f"{cell.name} must work with edges far apart at {corner.name}, and does not: {search.name}")
    good, bad = [search.safe for search in searches], [search.unsafe for search in searches]
    n_rounds = 0
    while max(abs(g - b) for g, b in zip(good, bad, strict=True)) > RESOLUTION_S:
        n_rounds += 1
        middle = [(g + b) / 2 for g, b in zip(good, bad, strict=True)]
        found = measure(middle, f"constraints, round {n_rounds}")
        for k, (search, value) in enumerate(zip(searches, found, strict=True)):
            if works(search, value, reference[k]["delay"], corner):
                good[k] = middle[k]
            else:
                bad[k] = middle[k]
    return good


def works(search: Search, value: dict, reference_delay: float | None, corner: Corner) -> bool:
    """Whether the cell did what it should in one experiment."""
    if not search.moves:
        return value["swing"] < LARGEST_GLITCH
    if value["delay"] is None or value["slew"] is None or value["swing"] < 0.9:
        return False
    event_value = value["last"] / corner.voltage
    settled = event_value > 0.9 if search.analysis(search.safe).events[0].rises else event_value < 0.1
    return settled and (reference_delay is None or value["delay"] <= DEGRADATION * reference_delay)
