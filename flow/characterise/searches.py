"""Which edges of a storage cell may come how near: its setup, hold, recovery, removal and pulses as searches.

Each begins after a history of pin values that is simulated once for all that share it: mostly a clock pulse that
stores a value, then new data.
"""

from collections.abc import Callable

from flow.characterise.constraints import PinValues, Search
from flow.characterise.protocol import START_U, Protocol
from flow.characterise.stimuli import FAST_S, Analysis, Edge, Event

WATCH_U = 2.0
"""How long the output is watched after the last edge's ramp (for units `u` see flow.characterise.protocol)."""

REACH_U = 1.2
"""How far apart edges are safe, beside half of their ramps."""

MakeSearch = Callable[[float, float], Search]
"""From the ramps of the related pin and of the constrained pin (s) to the search."""


def constraint_searches(p: Protocol) -> list[tuple[str, str, str, MakeSearch]]:
    """(constrained pin, timing type, table, search) of setup, hold, recovery and removal."""
    closing = p.on if p.kind == "flipflop" or p.is_clock_gate else p.off
    edge = "rising" if closing else "falling"
    found = []
    for value, table in ((1, "rise_constraint"), (0, "fall_constraint")):
        for kind in ("setup", "hold"):
            found.append((p.data, f"{kind}_{edge}", table,
                          lambda c, d, kind=kind, value=value: data_search(p, kind, value, c, d)))
    for pin in p.idle:
        table = "rise_constraint" if p.idle[pin] else "fall_constraint"
        for kind in ("recovery", "removal"):
            found.append((pin, f"{kind}_{edge}", table,
                          lambda c, d, kind=kind, pin=pin: force_search(p, kind, pin, c, d)))
    return found


def data_search(p: Protocol, kind: str, value: int, clock_ramp: float, data_ramp: float) -> Search:
    """Data goes to `value` before (setup) or after (hold) the clock's closing edge.

    A flip-flop's output always moves: what it stored before is the opposite of what it must store now.
    """
    stored = value if kind == "setup" else 1 - value
    if p.is_transparent:
        name = f"{kind} of {p.data} to {value}"
        return closing_search(p, name, kind == "setup", p.data, value, 1 - value, data_ramp, clock_ramp)
    before = stored if p.is_clock_gate else 1 - stored
    history = (*p.load(before), p.first(1 - value))
    moves = stored == 1 or not p.is_clock_gate
    return pair_search(p, f"{kind} of {p.data} to {value}", kind == "setup", p.data, value, data_ramp,
                       clock_ramp, p.on, history, moves, stored)


def force_search(p: Protocol, kind: str, pin: str, clock_ramp: float, ramp: float) -> Search:
    """Clear or preset ends before (recovery) or after (removal) the clock's edge, with the other data."""
    data, name = 1 - p.forces[pin], f"{kind} of {pin}"
    if p.is_transparent:
        return closing_search(p, name, kind == "recovery", pin, p.idle[pin], data, ramp, clock_ramp)
    history = (*p.load(data), {**p.first(data), pin: 1 - p.idle[pin]})
    return pair_search(p, name, kind == "recovery", pin, p.idle[pin], ramp, clock_ramp, p.on, history,
                       kind == "recovery", data)


def closing_search(p: Protocol, name: str, comes_before: bool, pin: str, value: int, data: int, ramp: float,
                   clock_ramp: float) -> Search:
    """A latch that closes: what `pin` does before goes through and stays, what it does after does not.

    data: what is at the data pin until then (of clear and preset: what comes through when they end).
    """
    opened = p.first(data, p.on)
    history = (*p.load(data), opened) if pin == p.data else (*p.load(data), opened, {**opened, pin: 1 - p.idle[pin]})
    shown = data if pin != p.data or not comes_before else value
    return pair_search(p, name, comes_before, pin, value, ramp, clock_ramp, p.off, history, comes_before, shown,
                       watch=pin if comes_before else p.clock)


def pair_search(p: Protocol, name: str, comes_before: bool, pin: str, value: int, ramp: float, clock_ramp: float,
                clock_value: int, history: tuple[PinValues, ...], moves: bool, shown: int,
                watch: str | None = None) -> Search:
    """The time between an edge of `pin` and one of the clock.

    comes_before: the time counts from the pin's edge to the clock's, else from the clock's to the pin's.
    shown:        what the output shows in the end (if it moves).
    watch:        the pin from whose edge the delay counts; the clock's when not named.
    """
    sign = -1 if comes_before else 1
    reach = REACH_U * p.u + 0.5 * (clock_ramp + ramp)

    def analysis(time: float) -> Analysis:
        clock_at = START_U * p.u + max(clock_ramp / 2, ramp / 2 - sign * time)
        pin_at = clock_at + sign * time
        end = max(clock_at + clock_ramp / 2, pin_at + ramp / 2) + WATCH_U * p.u
        edges = {p.clock: (Edge(clock_at, clock_value, clock_ramp),), pin: (Edge(pin_at, value, ramp),)}
        at = (clock_at, p.clock, clock_ramp) if watch in (None, p.clock) else (pin_at, pin, ramp)
        event = Event(at[0], 0.0, end, bool(p.out(shown)), at[1], at[2])
        return Analysis(history[-1], edges, (event,), end)

    return Search(name, analysis, history, reach, -reach, moves, pin in p.idle, 0.0, 0.1 * p.u)


def pulse_searches(p: Protocol) -> list[tuple[str, str, Callable[[float], Search]]]:
    """(pin, `high` or `low`, from the ramp of both edges to the search) of the smallest pulses.

    A pulse narrower than its ramp does not reach the supply and is not a pulse: that bounds the searches.
    """
    active, idle = ("high", "low") if p.on else ("low", "high")
    found = []
    for value in (1,) if p.is_clock_gate else (0, 1):
        found.append((p.clock, active, lambda ramp, value=value: clock_pulse(p, value, ramp)))
    if not p.is_transparent:
        for value in (0, 1):
            found.append((p.clock, idle, lambda ramp, value=value: idle_pulse(p, value, ramp)))
    for pin in p.idle:
        found.append((pin, "low" if p.idle[pin] else "high", lambda ramp, pin=pin: force_pulse(p, pin, ramp)))
    return found


def clock_pulse(p: Protocol, value: int, ramp: float) -> Search:
    """The other value is stored; a short pulse must store `value` (a clock gate: must come out whole)."""
    before = value if p.is_clock_gate else 1 - value

    def event(at: float, end: float, width: float) -> Event:
        return Event(at, 0.0, at + width if p.is_clock_gate else end, bool(p.out(value)), p.clock, ramp)

    return pulse_search(p, f"active pulse of {p.clock}, storing {value}", p.clock, p.on, ramp, event,
                        (*p.load(before), p.first(value)))


def idle_pulse(p: Protocol, value: int, ramp: float) -> Search:
    """The clock is off for a short time only, with new data since it was on; then `value` must be stored.

    A clock gate that is closed must come out with the clock's next edge; one that is open must stay low after this.
    """
    def event(at: float, end: float, width: float) -> Event:
        falls = p.is_clock_gate and value == 0
        return Event(at if falls else at + width, 0.0, end, bool(p.out(value)), p.clock, ramp)

    return pulse_search(p, f"idle pulse of {p.clock}, storing {value}", p.clock, p.off, ramp, event,
                        (*p.load(1 - value)[:2], p.first(value, p.on)))


def force_pulse(p: Protocol, pin: str, ramp: float) -> Search:
    """A short pulse of clear or preset must change what is stored."""
    other = 1 - p.forces[pin]

    def event(at: float, end: float, width: float) -> Event:
        return Event(at, 0.0, end, bool(p.out(p.forces[pin])), pin, ramp)

    return pulse_search(p, f"pulse of {pin}", pin, 1 - p.idle[pin], ramp, event, p.load(other))


def pulse_search(p: Protocol, name: str, pin: str, value: int, ramp: float,
                 event: Callable[[float, float, float], Event], history: tuple[PinValues, ...]) -> Search:
    """A pulse of `pin` to `value`; the event is made from the pulse's time, the end of the experiment, its width."""
    at = START_U * p.u + ramp / 2

    def analysis(width: float) -> Analysis:
        end = at + width + ramp / 2 + WATCH_U * p.u
        edges = {pin: (Edge(at, value, ramp), Edge(at + width, 1 - value, ramp))}
        return Analysis(history[-1], edges, (event(at, end, width),), end)

    shortest = max(ramp, FAST_S / 2)
    return Search(name, analysis, history, 2 * p.u + ramp, shortest, True, False, shortest + 1e-12, 0.1 * p.u)
