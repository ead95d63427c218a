"""Experiments with several moving inputs: each analysis gives every input its edges and names what to measure.

Times in seconds. One deck holds one or more copies of the cell that differ in the load of one output only; its
analyses run one after another in one ngspice, so that many short ones cost little.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

from flow.characterise.corner import Corner
from flow.characterise.extract import ExtractedCell, spice_lines
from flow.characterise.models import model_cards
from flow.characterise.ngspice import OPTIONS, Job
from flow.characterise.ramps import LARGEST_STEP_S, SMALL_LOAD_F
from flow.characterise.waves import Waves, charge, crossing

FAST_S = 5e-11
"""Ramp of edges that only prepare."""


@dataclass(frozen=True)
class Edge:
    """An input reaches half of its way to `value` at `at`, on a linear ramp."""

    at: float
    value: int
    ramp: float = FAST_S


@dataclass(frozen=True)
class Event:
    """What to measure: the output's reaction to an input edge at `at`, seen from `start` to `end`."""

    at: float
    start: float
    end: float
    rises: bool
    pin: str
    ramp: float


@dataclass(frozen=True)
class Analysis:
    """One transient: first value and edges of each input, events, end."""

    first: dict[str, int]
    edges: dict[str, tuple[Edge, ...]]
    events: tuple[Event, ...]
    end: float

    def input_value(self, event: Event) -> int:
        """The value that the event's input goes to."""
        return min(self.edges[event.pin], key=lambda edge: abs(edge.at - event.at)).value


def stimuli_job(cell: ExtractedCell, corner: Corner, output: str, outputs: tuple[str, ...], loads_f: tuple[float, ...],
                analyses: list[Analysis], what: str) -> Job:
    """The job; its result is [analysis][event][copy] -> the values of `measure_events`."""
    inputs = [name for name in cell.ports if name not in (*outputs, "VGND", "VNB", "VPWR", "VPB")]
    lines = [f"* {cell.name} {corner.name} {what}", model_cards(cell.devices, corner.process),
             f".options temp={corner.celsius:g} {OPTIONS}"]
    lines += [f"v{name.lower()} a_{name.lower()} 0 pwl(0 0 1n 0)" for name in inputs]
    saved = []
    for k, load in enumerate(loads_f):
        connect = {"VGND": "0", "VNB": "0", "VPWR": f"s{k}", "VPB": f"s{k}", output: f"o{k}"}
        connect |= {name: f"i{k}_{name.lower()}" for name in inputs}
        lines += [f"vs{k} s{k} 0 {corner.voltage}", f"cl{k} o{k} 0 {load:.6g}"]
        lines += [f"vi{k}_{name.lower()} a_{name.lower()} i{k}_{name.lower()} 0" for name in inputs]
        lines += [f"cx{k}_{name} u{k}_{name.lower()} 0 {SMALL_LOAD_F:.6g}" for name in outputs if name != output]
        lines += spice_lines(cell, f"u{k}", connect)
        saved += [f"v(o{k})", f"i(vs{k})", *(f"i(vi{k}_{name.lower()})" for name in inputs)]
    lines += [".save " + " ".join(saved), ".control", "set filetype=binary"]
    for n, analysis in enumerate(analyses):
        for name in inputs:
            points = pwl_points(analysis.first[name], analysis.edges.get(name, ()), corner.voltage)
            lines.append(f"alter @v{name.lower()}[pwl] = [ " + " ".join(f"{x:.9g}" for x in points) + " ]")
        lines += [f"tran 2e-11 {analysis.end:.7g} 0 {LARGEST_STEP_S:.4g}", f"write {n}.raw", "destroy all"]
    lines += ["quit", ".endc", ".end", ""]
    settings = {"voltage": corner.voltage, "n_copies": len(loads_f),
                "events": [[asdict(event) for event in analysis.events] for analysis in analyses]}
    return Job(f"{cell.name} {what} {corner.name}", "\n".join(lines), measure_events, settings)


def pwl_points(first: int, edges: tuple[Edge, ...], voltage: float) -> list[float]:
    """Times and volts of an input; an edge that begins before the one before it has ended begins at its end.

    >>> pwl_points(0, (Edge(1.0, 1, 0.5),), 1.8)
    [0.0, 0.0, 0.75, 0.0, 1.25, 1.8]
    """
    points, level = [0.0, first * voltage], first * voltage
    for edge in edges:
        start = max(edge.at - edge.ramp / 2, points[-2] + 1e-13)
        points += [start, level, max(edge.at + edge.ramp / 2, start + 1e-13), edge.value * voltage]
        level = edge.value * voltage
    return points + [1.0, level] if not edges else points


def measure_events(waves: list[Waves], settings: dict) -> list:
    """Of each analysis, event and copy, in s, V, C and A.

    delay (from half of the input edge to half of the output's), slew (20 to 80 %), both None without a crossing;
    last: the output at the end of the window; swing: how far it got from where it was, as a part of the supply;
    supply: charge from the supply in the window; pin: charge into the pin during its ramp.
    """
    vdd = settings["voltage"]
    result = []
    for wave, events in zip(waves, settings["events"], strict=True):
        time, per_event = wave["time"], []
        for event in events:
            inside = (time >= event["start"]) & (time <= event["end"])
            t, row = time[inside], []
            low, high = (0.2, 0.8) if event["rises"] else (0.8, 0.2)
            for k in range(settings["n_copies"]):
                v, current = wave[f"v(o{k})"][inside], -wave[f"i(vs{k})"]
                half = crossing(t, v, 0.5 * vdd, event["rises"])
                half_ramp = event["ramp"] / 2
                pin = wave[f"i(vi{k}_{event['pin'].lower()})"]
                values = {
                    "delay": half - event["at"],
                    "slew": crossing(t, v, high * vdd, event["rises"], half) - last_before(t, v, low * vdd, half),
                    "last": float(v[-1]), "swing": float(np.max(np.abs(v - v[0]))) / vdd,
                    "supply": charge(time, current, event["start"], event["end"]),
                    "pin": abs(charge(time, pin, event["at"] - half_ramp, event["at"] + half_ramp)),
                }
                row.append({name: None if math.isnan(value) else value for name, value in values.items()})
            per_event.append(row)
        result.append(per_event)
    return result


def last_before(time: np.ndarray, value: np.ndarray, level: float, before: float) -> float:
    """The last crossing of a level, in either direction, before a time; NaN when there is none."""
    side = value >= level
    for k in reversed(np.flatnonzero((side[1:] != side[:-1]) & (time[:-1] <= before))):
        at = float(time[k] + (level - value[k]) * (time[k + 1] - time[k]) / (value[k + 1] - value[k]))
        if at <= before:
            return at
    return float("nan")
