"""How a storage cell is operated: the edges behind each of its arcs (constraints: flow/characterise/searches.py).

Times are in units of `u`, a sixth of the corner's settling time (1 ns at tt). `on` is the value that the clock pin
has after the active edge of a flip-flop, in an open latch, or of a clock gate's clock when its output may be high.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flow.characterise.corner import Corner
from flow.characterise.extract import ExtractedCell
from flow.characterise.function import CellFunction, Expression, settle
from flow.characterise.stimuli import Analysis, Edge, Event
from golden.spec import SpecError

Make = Callable[[float], Analysis]
"""From the ramp of the input (s) to the analysis."""


START_U = 0.1
"""Before the ramp of a trial begins."""


@dataclass(frozen=True)
class Trial:
    """An experiment with one event, from the ramp of its input, that begins after a history of pin values.

    The history is simulated once (flow.characterise.constraints.history_job).
    """

    history: tuple[dict[str, int], ...]
    make: Make


@dataclass(frozen=True)
class Protocol:
    """Pins and polarities of a storage cell, with the watched output.

    idle:        pin -> inactive value of asynchronous clear and preset.
    stored_when_cleared: of each of them, what is stored after it.
    inverted:    the output is the inverse of what is stored.
    """

    cell: ExtractedCell
    corner: Corner
    output: str
    kind: str
    clock: str
    on: int
    data: str
    idle: dict[str, int]
    forces: dict[str, int]
    inverted: bool
    is_clock_gate: bool

    @property
    def u(self) -> float:
        return self.corner.settle_ns * 1e-9 / 6

    @property
    def off(self) -> int:
        return 1 - self.on

    @property
    def is_transparent(self) -> bool:
        """Whether it is a latch that shows its data, not a flip-flop and not a clock gate."""
        return self.kind == "latch" and not self.is_clock_gate

    def out(self, stored: int) -> int:
        """The output when this is stored (a clock gate's: with its clock on)."""
        return stored ^ self.inverted

    def first(self, data: int, clock: int | None = None) -> dict[str, int]:
        return {self.clock: self.off if clock is None else clock, self.data: data, **self.idle}

    def pulse(self, at: float) -> tuple[Edge, Edge]:
        """A clock pulse of 1.5 u that stores what is at the data pin."""
        return Edge(at, self.on), Edge(at + 1.5 * self.u, self.off)

    def event(self, at: float, ramp: float, rises: int, pin: str, window: float = 6.0) -> Event:
        return Event(at, at - ramp / 2 - 1e-12, at + ramp / 2 + window * self.u, bool(rises), pin, ramp)

    # arcs

    def arcs(self) -> list[tuple[str, str, str, list[Trial]]]:
        """(input, timing type, sense, trials) of every delay arc."""
        edge = "rising_edge" if self.on else "falling_edge"
        if self.is_clock_gate:
            return [(self.clock, "combinational", "positive_unate", self.gated_clock())]
        if self.kind == "flipflop":
            found = [(self.clock, edge, "non_unate", self.clock_to_output())]
        else:
            sense = "negative_unate" if self.inverted else "positive_unate"
            found = [(self.clock, edge, "non_unate", self.clock_to_output()),
                     (self.data, "combinational", sense, self.through_latch())]
        for pin, stored in self.forces.items():
            to_low_output = self.out(stored) == 0
            same = to_low_output == (self.idle[pin] == 1)
            found.append((pin, "clear" if to_low_output else "preset", "positive_unate" if same else "negative_unate",
                          self.forced(pin)))
        return found

    def load(self, stored: int) -> tuple[dict[str, int], ...]:
        """A clock pulse that stores a value, as pin values one after another."""
        return self.first(stored), self.first(stored, self.on), self.first(stored)

    def trial(self, history: tuple[dict[str, int], ...], pin: str, output: int) -> Trial:
        """The edge of a pin away from where the history left it, after which the output goes to a value."""
        def make(ramp: float) -> Analysis:
            at = START_U * self.u + ramp / 2
            end = at + ramp / 2 + 6.5 * self.u
            edges = {pin: (Edge(at, 1 - history[-1][pin], ramp),)}
            return Analysis(history[-1], edges, (self.event(at, ramp, output, pin),), end)
        return Trial(history, make)

    def clock_to_output(self) -> list[Trial]:
        """The clock with 1 at the data and 0 stored, and the other way round."""
        return [self.trial((*self.load(1 - value), self.first(value)), self.clock, self.out(value)) for value in (1, 0)]

    def through_latch(self) -> list[Trial]:
        """With the latch open, data rises and falls."""
        return [self.trial((self.first(1 - value, self.on),), self.data, self.out(value)) for value in (1, 0)]

    def gated_clock(self) -> list[Trial]:
        """A clock gate that is enabled: its output follows the clock."""
        off, on = self.first(1), self.first(1, self.on)
        return [self.trial((off,), self.clock, 1), self.trial((off, on), self.clock, 0)]

    def forced(self, pin: str) -> list[Trial]:
        """The other value is stored and then forced away, with the clock off and, in a flip-flop, on."""
        value = 1 - self.forces[pin]
        histories = [self.load(value)] + ([self.load(value)[:2]] if self.kind == "flipflop" else [])
        return [self.trial(history, pin, 1 - self.out(value)) for history in histories]

    # what inputs cost without an output that moves

    def quiet(self) -> list[tuple[str, Make]]:
        found = [(self.clock, self.quiet_clock), (self.data, self.quiet_data)]
        return found + [(pin, lambda ramp, pin=pin: self.quiet_force(pin, ramp)) for pin in self.idle]

    def quiet_edges(self, pin: str, ramp: float, start: float, values: tuple[int, ...]) -> tuple[list, list, float]:
        edges, events, at = [], [], start
        for value in values:
            middle = at + ramp / 2
            edges.append(Edge(middle, value, ramp))
            events.append(self.event(middle, ramp, 1, pin, window=2.5))
            at = middle + ramp / 2 + 3 * self.u
        return edges, events, at

    def quiet_clock(self, ramp: float) -> Analysis:
        """The clock with data that is stored already; 0 (of a clock gate: disabled), then 1."""
        edges, events, at = self.quiet_edges(self.clock, ramp, 3 * self.u, (self.on, self.off))
        clock, data = [*self.pulse(0.5 * self.u), *edges], []
        if not self.is_clock_gate:
            data.append(Edge(at + 0.5 * self.u, 1))
            clock += self.pulse(at + self.u)
            more, more_events, at = self.quiet_edges(self.clock, ramp, at + 4 * self.u, (self.on, self.off))
            clock, events = clock + more, events + more_events
        return Analysis(self.first(0), {self.clock: tuple(clock), self.data: tuple(data)}, tuple(events), at)

    def quiet_data(self, ramp: float) -> Analysis:
        """Data while the output does not follow: clock off, and for a flip-flop also on."""
        edges, events, at = self.quiet_edges(self.data, ramp, 3 * self.u, (1, 0))
        clock = list(self.pulse(0.5 * self.u))
        if self.kind == "flipflop":
            clock.append(Edge(at + 0.5 * self.u, self.on))
            more, more_events, at = self.quiet_edges(self.data, ramp, at + 2.5 * self.u, (1, 0))
            edges, events = edges + more, events + more_events
        return Analysis(self.first(0), {self.clock: tuple(clock), self.data: tuple(edges)}, tuple(events), at)

    def quiet_force(self, pin: str, ramp: float) -> Analysis:
        """Clear or preset while that is what is stored already."""
        active = 1 - self.idle[pin]
        edges, events, at = self.quiet_edges(pin, ramp, 3 * self.u, (active, self.idle[pin]))
        return Analysis(self.first(self.forces[pin]), {self.clock: self.pulse(0.5 * self.u), pin: tuple(edges)},
                        tuple(events), at)

    # states

    def load_levels(self, stored: int) -> dict[str, int]:
        """The level of every net after a value was stored and the clock went off."""
        levels = None
        for clock in (self.off, self.on, self.off):
            levels = settle(self.cell, self.first(stored, clock), levels)
        return levels

    def steps_to(self, values: dict[str, int]) -> list[dict[str, int]]:
        """Pin values, one after another, that lead from idle to a state: clock first, so that nothing new is stored."""
        clock_first = {**self.first(values[self.data]), **{pin: values[pin] for pin in self.idle}}
        if self.kind == "latch" and not self.is_clock_gate:
            return [clock_first, values]
        return [{**clock_first, self.data: 0, self.clock: self.off}, {**values, self.clock: self.off}, values]


def build_protocol(cell: ExtractedCell, function: CellFunction, corner: Corner, output: str | None = None) -> Protocol:
    """The protocol of a storage cell and one of its outputs, the first when none is named."""
    output = output or next(iter(function.outputs))
    roles = function.storage.roles
    expression = function.outputs[output]
    clock_pin, clock_on = literal(cell, roles["clock" if function.storage.kind == "flipflop" else "gate"])
    data, data_on = literal(cell, roles["d"])
    is_clock_gate = expression[0] == "and" and ("pin", "IQ") in expression[1:] and ("pin", clock_pin) in expression[1:]
    if not data_on or not (is_clock_gate or expression in (("pin", "IQ"), ("not", ("pin", "IQ")))):
        raise SpecError(f"{cell.name} must store a pin and show it or gate a clock with it; its function is not of "
                        "that form")
    forced = {role: literal(cell, roles[role]) for role in ("clear", "preset") if role in roles}
    return Protocol(
        cell, corner, output, function.storage.kind, clock_pin, 1 if is_clock_gate else clock_on, data,
        {pin: 1 - on for pin, on in forced.values()},
        {pin: int(role == "preset") for role, (pin, on) in forced.items()},
        expression[0] == "not", is_clock_gate)


def literal(cell: ExtractedCell, expression: Expression) -> tuple[str, int]:
    """(pin, 1), or (pin, 0) of an inverted pin."""
    if expression[0] == "pin":
        return expression[1], 1
    if expression[0] == "not" and expression[1][0] == "pin":
        return expression[1][1], 0
    raise SpecError(f"{cell.name} must take its clock, data, clear and preset from pins, not from {expression}")
