"""What OpenSTA printed, as numbers. Pure functions of the text: what is not there, or cannot be read, is an error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from flow.physical.netlist import shortened
from golden.spec import SpecError

MARK = "@@"
NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
ENDPOINT = re.compile(rf"^(\S+) \((\S+)\) +(\S+) \((\S+)\) +({NUMBER})$")
HEAD = re.compile(r"^Startpoint +Endpoint +Slack$|^-+$|^$")
POINT = re.compile(rf"^ *((?:{NUMBER} +)*)({NUMBER}) +({NUMBER}) ([v^]) (\S+) \((\S+)\)$", re.MULTILINE)
SLACK = re.compile(rf"^ *({NUMBER}) +slack", re.MULTILINE)
ARRIVAL = re.compile(rf"^ *({NUMBER}) +data arrival time", re.MULTILINE)
REQUIRED = re.compile(rf"^ *({NUMBER}) +data required time", re.MULTILINE)
LIMIT = re.compile(rf"^(\S+) +({NUMBER}) +({NUMBER}) +({NUMBER}) \((?:MET|VIOLATED)\)$", re.MULTILINE)
PULSE = re.compile(rf"^(\S+ \((?:high|low)\)) +({NUMBER}) +({NUMBER}) +({NUMBER}) \((?:MET|VIOLATED)\)$", re.MULTILINE)
LOAD = re.compile(rf"^(\S+) ({NUMBER}) ({NUMBER})$")
LATENCY = re.compile(rf"^(\S+) +({NUMBER}) ({NUMBER})$")
COMPLAINT = re.compile(r"^(Error|Warning): .*", re.MULTILINE)
SECTIONS = ("read", "setup", "hold", "setup_paths", "hold_paths", "slew", "slews", "loads", "pulse", "pulses",
            "period", "periods", "latencies", "unconstrained", "end")
FEMTO = 1e15


@dataclass(frozen=True)
class Point:
    """A pin on a path: its edge, arrival and slew in ns, the load that it drives in pF (None at an input)."""

    pin: str
    cell: str
    edge: str
    arrival: float
    slew: float
    load: float | None


@dataclass(frozen=True)
class TimingPath:
    """From a launching clock pin or a port to an endpoint; ns."""

    start: str
    end: str
    points: tuple[Point, ...]
    arrival: float
    required: float
    slack: float


@dataclass(frozen=True)
class Limit:
    """A pin against a limit (ns)."""

    pin: str
    limit: float
    actual: float
    slack: float


class EndSlack(NamedTuple):
    """The worst slack of an endpoint, ns, and the pin or port that the path comes from."""

    slack: float
    start: str


@dataclass(frozen=True)
class TimingReport:
    """One corner. setup, hold: endpoint -> worst slack, of every endpoint that is constrained.

    loads:      net -> what its driver sees, fF, the worse of both edges.
    slews:      pins beyond their limit of slew; worst_slew: the pin nearest to its own or farthest beyond.
    pulses, periods: clock pins whose pulses or whose period is too short; worst_*: the nearest, None where no cell
                has such a limit.
    latencies:  clock pins of registers and macros -> the earliest and the latest arrival of the rising edge.
    """

    setup: dict[str, EndSlack]
    hold: dict[str, EndSlack]
    setup_paths: tuple[TimingPath, ...]
    hold_paths: tuple[TimingPath, ...]
    slews: tuple[Limit, ...]
    worst_slew: Limit
    loads: dict[str, float]
    pulses: tuple[Limit, ...]
    worst_pulse: Limit | None
    periods: tuple[Limit, ...]
    worst_period: Limit | None
    latencies: dict[str, tuple[float, float]]
    unconstrained: tuple[str, ...]

    def worst(self, check: str) -> float:
        """Worst slack of `setup` or `hold`, ns."""
        return min(end.slack for end in getattr(self, check).values())

    def total_negative(self, check: str) -> float:
        """The sum of negative slacks over endpoints, ns; 0 when there is none."""
        return sum(min(end.slack, 0.0) for end in getattr(self, check).values())

    def violating(self, check: str) -> list[str]:
        """Endpoints with negative slack, the worst first."""
        slacks = getattr(self, check)
        return sorted((end for end in slacks if slacks[end].slack < 0), key=lambda end: (slacks[end].slack, end))

    @cached_property
    def is_met(self) -> bool:
        """Setup, hold, slews, pulses and periods."""
        return not (self.violating("setup") or self.violating("hold") or self.slews or self.pulses or self.periods)


def parse_report(text: str) -> TimingReport:
    """The report of `flow.timing.sta.script_text`; SpecError says which part of it is missing or cannot be read."""
    parts = _sections(text)
    complaint = COMPLAINT.search(text.partition(f"{MARK} unconstrained\n")[0])
    if complaint:
        raise SpecError(f"it must read its files without a word, and says {complaint[0]!r}")
    loads = dict(_loads(parts["loads"]))
    return TimingReport(
        setup=_endpoints(parts["setup"], "setup"), hold=_endpoints(parts["hold"], "hold"),
        setup_paths=_paths(parts["setup_paths"]), hold_paths=_paths(parts["hold_paths"]),
        slews=_limits(parts["slews"], LIMIT), worst_slew=_one(_limits(parts["slew"], LIMIT), "the worst slew"),
        loads=loads, pulses=_limits(parts["pulses"], PULSE), worst_pulse=_first(_limits(parts["pulse"], PULSE)),
        periods=_periods(parts["periods"]), worst_period=_first(_periods(parts["period"])),
        latencies=_latencies(parts["latencies"]),
        unconstrained=_unconstrained(parts["unconstrained"]))


def _sections(text: str) -> dict[str, str]:
    found = dict(re.findall(rf"^{MARK} (\w+)\n(.*?)(?=^{MARK} |\Z)", text, re.MULTILINE | re.DOTALL))
    missing = [name for name in SECTIONS if name not in found]
    if missing:
        last = [line for line in text.splitlines() if line.strip()][-3:]
        raise SpecError(f"it must print all of its report, and {', '.join(missing)} is missing; its last words: "
                        f"{' | '.join(last)}")
    return found


def _endpoints(text: str, check: str) -> dict[str, EndSlack]:
    """Endpoint -> its worst slack, of the report in format `summary`; every line of it must be understood."""
    slacks: dict[str, EndSlack] = {}
    for line in text.splitlines():
        match = ENDPOINT.match(line)
        if match is None:
            if not HEAD.match(line):
                raise SpecError(f"a line of the {check} endpoints must be start, cell, end, cell, slack, not {line!r}")
            continue
        slack = float(match[5])
        if match[3] not in slacks or slack < slacks[match[3]].slack:
            slacks[match[3]] = EndSlack(slack, match[1])
    if not slacks:
        raise SpecError(f"there must be endpoints with a {check} check, and there is none")
    return slacks


def _paths(text: str) -> tuple[TimingPath, ...]:
    blocks = text.split("Startpoint: ")[1:]
    if not blocks:
        raise SpecError("there must be paths, and there is none")
    return tuple(_path(block) for block in blocks)


def _path(block: str) -> TimingPath:
    points = tuple(_points(block))
    end = re.search(r"^Endpoint: (\S+)", block, re.MULTILINE)
    numbers = [pattern.search(block) for pattern in (ARRIVAL, REQUIRED, SLACK)]
    if not points or end is None or None in numbers:
        raise SpecError(f"a path must have points, arrival, required time and slack, not {block[:200]!r}")
    return TimingPath(block.split()[0], points[-1].pin, points, *(float(number[1]) for number in numbers))


def _points(block: str) -> Iterator[Point]:
    """The pins up to the arrival of the data; those of the capturing clock come after it."""
    for match in POINT.finditer(block.partition("data arrival time")[0]):
        before = [float(number) for number in match[1].split()]
        if len(before) not in (1, 2):
            raise SpecError(f"a point of a path must have a slew, and a load where it drives, not {match[0]!r}")
        yield Point(match[5], match[6], match[4], float(match[3]), before[-1], before[0] if len(before) == 2 else None)


def _limits(text: str, pattern: re.Pattern[str]) -> tuple[Limit, ...]:
    """Rows of pin, limit, actual, slack; a line with a verdict that is no such row is an error."""
    verdicts = sum("(MET)" in line or "(VIOLATED)" in line for line in text.splitlines())
    found = [Limit(match[1], *(float(number) for number in match.groups()[-3:])) for match in pattern.finditer(text)]
    if len(found) != verdicts:
        raise SpecError(f"a table of limits must have {verdicts} rows that can be read, and has {len(found)}: "
                        f"{text[:200]!r}")
    return tuple(found)


def _periods(text: str) -> tuple[Limit, ...]:
    """Rows of pin, period, least period, slack: here the limit comes second."""
    return tuple(Limit(row.pin, row.actual, row.limit, row.slack) for row in _limits(text, LIMIT))


def _one(found: tuple[Limit, ...], what: str) -> Limit:
    if len(found) != 1:
        raise SpecError(f"{what} must be there once, not {len(found)} times")
    return found[0]


def _first(found: tuple[Limit, ...]) -> Limit | None:
    return found[0] if found else None


def _loads(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        match = LOAD.match(line)
        if match is None:
            raise SpecError(f"the load of a net must be its name and two numbers, not {line!r}")
        yield match[1], FEMTO * max(float(match[2]), float(match[3]))


def _latencies(text: str) -> dict[str, tuple[float, float]]:
    found = {}
    for line in filter(str.strip, text.splitlines()):
        match = LATENCY.match(line)
        if match is None:
            raise SpecError(f"the latency of a clock pin must be its name and two numbers, not {line!r}: does the "
                            "clock reach it?")
        low, high = sorted((float(match[2]), float(match[3])))
        found[match[1]] = (low, high)
    if not found:
        raise SpecError("there must be clock pins, and there is none")
    return found


def _unconstrained(text: str) -> tuple[str, ...]:
    """Everything that `check_setup` names: ports without delays, pins without a clock, endpoints without a check."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def check_constrained(report: TimingReport, endpoints: Collection[str], constant: Collection[str] = ()) -> None:
    """SpecError unless every endpoint has a setup and a hold slack, and OpenSTA names nothing else without.

    constant: endpoints that a tie cell drives, which never change and so have no arrival.
    """
    for check in ("setup", "hold"):
        lacking = sorted(set(endpoints) - set(getattr(report, check)))
        if lacking:
            raise SpecError(f"every endpoint must have a {check} check, and {len(lacking)} have none: "
                            f"{shortened(lacking)}")
    found = [line for line in report.unconstrained if line not in constant
             and not re.fullmatch(r"Warning: There (is|are) \d+ unconstrained endpoints?\.", line)]
    if found:
        raise SpecError(f"nothing may be without a constraint, and OpenSTA says: {'; '.join(found[:6])}")
