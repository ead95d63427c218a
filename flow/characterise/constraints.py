"""Setup, hold, recovery, removal and pulse widths: how near two edges may come.

The time between two edges is narrowed until the cell just does what it should: its output takes the expected value
with a delay at most 10 % above that of edges far apart, or stays where it is. All points of all constraints of a cell
advance together, a few decks a round.

Near the limit the delay that is added, or the height of a glitch, falls exponentially with time (the cell regenerates
with its time constant). Its logarithm is nearly a straight line, so a secant finds in four or five simulations what
bisection needs thirteen for. The limit is still between one time that was simulated and works and one that does not.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from flow.characterise.corner import Corner
from flow.characterise.extract import ExtractedCell
from flow.characterise.function import settle
from flow.characterise.ngspice import Job, Simulator
from flow.characterise.stimuli import Analysis, Edge, measure_events, stimuli_job
from flow.characterise.waves import Waves
from golden.spec import SpecError

DEGRADATION = 0.1
"""An output may be later than with edges far apart by this part of its delay."""

LARGEST_GLITCH = 0.1
"""An output that should stay must not move by more than this part of the supply ..."""

LARGEST_DISTURBANCE = 0.25
"""... and where a clear or preset hides from the output what is stored, a net inside that gates a transistor and is
still when the edges are far apart must not move by more than this, half of the way to where gates switch. When the
clear ends, the output would show a glitch of 10 % only after the net that stores has come to half of the supply, where
it may fall to either side."""

RESOLUTION_S = 1.5e-12
LOAD_F = 3e-15
NEGLIGIBLE = 0.01
"""Of the limit: a smaller delay or glitch says nothing about where the limit is, it is the simulator's noise."""

MOST_ROUNDS = 60

STEP_U = 1 / 6
"""How long each state of a history lasts, as a part of the corner's settling time."""

PinValues = dict[str, int]


@dataclass(frozen=True)
class Search:
    """One point of a constraint.

    analysis:  from the time between the edges (s, larger is safer) to the experiment, with one event.
    history:   values of all inputs, one after another, that lead to the state in which the experiment begins.
    safe, unsafe: where the cell surely works, and where it may not.
    moves:     whether the output should move in the event, else it should stay.
    hidden:    whether what is stored does not show at the output (see LARGEST_DISTURBANCE).
    first:     the time that is tried first, near to where the limit may be.
    step:      how far from there the next is; it doubles until the limit lies between two.
    """

    name: str
    analysis: Callable[[float], Analysis]
    history: tuple[PinValues, ...]
    safe: float
    unsafe: float
    moves: bool
    hidden: bool = False
    first: float = 0.0
    step: float = 1e-10


@dataclass
class Bracket:
    """A search under way: `good` works, `bad` does not (or is not of interest), with their excess over the limit.

    An excess is the logarithm of (added delay or glitch) / (what is allowed): below zero works; None when it is too
    small or too large to tell anything.
    """

    search: Search
    good: float
    bad: float
    good_excess: float | None = None
    bad_excess: float | None = None
    n_tried: int = 0
    sides: list[bool] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return abs(self.good - self.bad) <= RESOLUTION_S

    def next_time(self) -> float:
        """The next time to simulate, always inside of the bracket."""
        search, to_safe = self.search, math.copysign(1.0, self.search.safe - self.search.unsafe)
        if self.good == search.safe or self.bad == search.unsafe:
            if self.n_tried == 0:
                return search.first
            step = search.step * 2 ** (self.n_tried - 1)
            time = self.bad + to_safe * step if self.good == search.safe else self.good - to_safe * step
            if min(self.good, self.bad) < time < max(self.good, self.bad):
                return time
            return (self.good + self.bad) / 2
        part = 0.5
        one_sided = len(self.sides) >= 3 and len(set(self.sides[-3:])) == 1
        if self.good_excess is not None and self.bad_excess is not None and not one_sided:
            part = self.good_excess / (self.good_excess - self.bad_excess)
        width = abs(self.bad - self.good)
        margin = min(0.5, 0.6 * RESOLUTION_S / width)
        return self.good + min(max(part, margin), 1 - margin) * (self.bad - self.good)

    def tell(self, time: float, excess: float | None, works: bool) -> None:
        self.n_tried += 1
        self.sides.append(works)
        if works:
            self.good, self.good_excess = time, excess
        else:
            self.bad, self.bad_excess = time, excess


def find_limits(cell: ExtractedCell, corner: Corner, output: str, outputs: tuple[str, ...], searches: list[Search],
                simulator: Simulator) -> list[float]:
    """The smallest safe time of each search (s). SpecError when a cell fails where it should be safe."""
    def measure(what: str, tries: list[tuple[Search, float]]) -> list[dict]:
        return measure_all(cell, corner, output, outputs, tries, what, simulator)

    references = measure("constraints, far apart", [(search, search.safe) for search in searches])
    for search, value in zip(searches, references, strict=True):
        if not judge(search, value, None, corner)[0]:
            raise SpecError(f"{cell.name} must work with edges far apart at {corner.name}, and does not: {search.name}")
    brackets = [Bracket(search, search.safe, search.unsafe) for search in searches]
    for n_round in range(MOST_ROUNDS):
        active = [k for k, bracket in enumerate(brackets) if not bracket.is_done]
        if not active:
            return [bracket.good for bracket in brackets]
        tries = [(brackets[k].search, brackets[k].next_time()) for k in active]
        found = measure(f"constraints, round {n_round + 1}", tries)
        for k, (search, time), value in zip(active, tries, found, strict=True):
            works, excess = judge(search, value, references[k], corner)
            brackets[k].tell(time, excess, works)
    raise SpecError(f"a limit must be found within {MOST_ROUNDS} simulations, and of {cell.name} is not: "
                    + ", ".join(bracket.search.name for bracket in brackets if not bracket.is_done))


def measure_all(cell: ExtractedCell, corner: Corner, output: str, outputs: tuple[str, ...],
                tries: list[tuple[Search, float]], what: str, simulator: Simulator) -> list[dict]:
    """What the event of each try gave: one deck for all that have the same history."""
    groups: dict[tuple, list[int]] = {}
    for k, (search, _) in enumerate(tries):
        groups.setdefault(tuple(tuple(sorted(step.items())) for step in search.history), []).append(k)
    states = simulator.run([history_job(cell, corner, output, outputs, tries[members[0]][0].history)
                            for members in groups.values()])
    jobs = []
    for members, state in zip(groups.values(), states, strict=True):
        analyses = [search.analysis(time) for search, time in (tries[k] for k in members)]
        job = stimuli_job(cell, corner, output, outputs, (LOAD_F,), analyses, what)
        job = with_lines(job, initial_lines(state))
        jobs.append(with_gates(job, cell))
    values: dict[int, dict] = {}
    for members, result in zip(groups.values(), simulator.run(jobs), strict=True):
        values |= dict(zip(members, result, strict=True))
    return [values[k] for k in range(len(tries))]


def history_job(cell: ExtractedCell, corner: Corner, output: str, outputs: tuple[str, ...],
                history: tuple[PinValues, ...]) -> Job:
    """Puts a cell through a history; its result is the voltage of every node at the end.

    Nodes between transistors that are off hold the charge of what was before. An operating point would give them
    what leakage makes of them in many microseconds, which a cell that is clocked never sees.
    """
    step = STEP_U * corner.settle_ns * 1e-9
    edges = {name: tuple(Edge(k * step, after[name]) for k, (before, after) in enumerate(pairwise(history), 1)
                         if before[name] != after[name]) for name in history[0]}
    job = stimuli_job(cell, corner, output, outputs, (LOAD_F,),
                      [Analysis(history[0], edges, (), len(history) * step)], "history")
    levels = None
    for values in (*history[:-1], history[0]):              # what is stored first is of no interest, but must be clear
        levels = settle(cell, values, levels)
    nodes = {node: levels[net] for d in cell.devices for node, net in zip(d.nodes, d.nets, strict=True)
             if net in levels and node not in cell.ports}
    job = with_lines(job, [f".nodeset v(u0_{node.lower()})={corner.voltage * level:g}"
                           for node, level in sorted(nodes.items())])
    return replace(job, deck=re.sub(r"^\.save .*$", ".save all", job.deck, flags=re.MULTILINE),
                   measure=last_voltages, settings={})


def last_voltages(waves: list[Waves], settings: dict) -> dict[str, float]:
    """The last value of every node of the cell and of its output, by ngspice's name of it."""
    return {name: float(wave[-1]) for name, wave in waves[0].items()
            if re.fullmatch(r"v\((u0_[^#]*|o0)\)", name)}


def initial_lines(state: dict[str, float], n_copies: int = 1) -> list[str]:
    """Every copy of a cell begins with these node voltages (of the first copy, as last_voltages names them)."""
    return [f".ic {name.replace('(u0_', f'(u{k}_').replace('(o0)', f'(o{k})')}={volt!r}"
            for k in range(n_copies) for name, volt in sorted(state.items())]


def with_gates(job: Job, cell: ExtractedCell) -> Job:
    """The job with how far each net that gates a transistor moves among what it measures."""
    nodes = {d.nets[1]: f"v(u0_{d.nodes[1].lower()})" for d in cell.devices if d.nets[1] not in cell.ports}
    deck = job.deck.replace(".save ", f".save {' '.join(sorted(nodes.values()))} ", 1)
    return replace(job, deck=deck, measure=measure_with_gates,
                   settings={**job.settings, "nodes": sorted(nodes.values())})


def measure_with_gates(waves: list[Waves], settings: dict) -> list[dict]:
    """Of each analysis the values of its event (stimuli.measure_events), and as `moved` of each node that gates a
    transistor how far it gets from where it began, as a part of the supply."""
    return [{**events[0][0], "moved": {name: float(np.max(np.abs(wave[name] - wave[name][0]))) / settings["voltage"]
                                       for name in settings["nodes"]}}
            for wave, events in zip(waves, measure_events(waves, settings), strict=True)]


def with_lines(job: Job, lines: list[str]) -> Job:
    return replace(job, deck=job.deck.replace(".save ", "\n".join([*lines, ".save "]), 1))


def judge(search: Search, value: dict, reference: dict | None, corner: Corner) -> tuple[bool, float | None]:
    """Whether the cell did what it should in one experiment, and its excess (see Bracket).

    reference: the same experiment with edges far apart; None for that one itself.
    """
    if not search.moves:
        still = reference["moved"] if search.hidden and reference is not None else {}
        inside = [value["moved"][name] / LARGEST_DISTURBANCE for name, far in still.items() if far < LARGEST_GLITCH]
        largest = max([value["swing"] / LARGEST_GLITCH, *inside])
        return largest <= 1, excess(largest)
    if value["delay"] is None or value["slew"] is None or value["swing"] < 0.9:
        return False, None
    rises = search.analysis(search.safe).events[0].rises
    settled = value["last"] > 0.9 * corner.voltage if rises else value["last"] < 0.1 * corner.voltage
    if not settled or reference is None:
        return settled, None
    added = (value["delay"] - reference["delay"]) / (DEGRADATION * abs(reference["delay"]))
    return added <= 1, excess(added)


def excess(part: float) -> float | None:
    """The logarithm of a part of what is allowed.

    >>> excess(1.0), excess(0.001)
    (0.0, None)
    """
    return math.log(part) if part > NEGLIGIBLE else None
