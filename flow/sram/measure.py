"""What is read off the waves of a memory's cycles. These functions run for `Job.measure`: their text keys the cache."""

import math
from typing import Any

import numpy as np

from flow.characterise.waves import Waves, charge, crossing


def measure_cycles(waves: list[Waves], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Of every cycle, in s, V, C:

    q:      per group, the level at the end (the next rising edge), as a part of the supply.
    delay:  per group, from the clock's edge to half of q's, None where q stays; slew: 20 to 80 %; rises: its direction.
    supply: charge from the supply [in the high phase, in the low phase].
    clock:  charge into clk [of its rising edge, of its falling edge].
    nets:   levels of other nets that were asked for, at the end.
    """
    wave, vdd, half_ramp = waves[0], settings["voltage"], settings["ramp_s"] / 2
    time, edges = wave["time"], [*settings["edges_s"], settings["end_s"]]
    result = []
    for at, end, high in zip(edges, edges[1:], settings["high_s"], strict=False):
        q, delay, slew, rises = [], [], [], []
        inside = (time >= at - half_ramp) & (time <= end)
        t = time[inside]
        for group in range(settings["n_groups"]):
            v = wave[f"v(q{group})"][inside]
            up = bool(v[-1] > v[0])
            low, high_level = (0.2, 0.8) if up else (0.8, 0.2)
            half = crossing(t, v, 0.5 * vdd, up)
            q.append(float(v[-1]) / vdd)
            rises.append(up)
            delay.append(number(half - at))
            slew.append(number(crossing(t, v, high_level * vdd, up) - crossing(t, v, low * vdd, up)))
        current, clock = -wave["i(vvdd)"], -wave["i(vclk)"]
        falls = at + high
        result.append({
            "q": q, "delay": delay, "slew": slew, "rises": rises,
            "supply": [charge(time, current, at - half_ramp, falls - half_ramp),
                       charge(time, current, falls - half_ramp, end - half_ramp)],
            "clock": [charge(time, clock, middle - half_ramp, middle + half_ramp) for middle in (at, falls)],
            "nets": [float(np.interp(end, time, wave[f"v({name})"])) / vdd for name in settings["nets"]],
        })
    return result


def number(value: float) -> float | None:
    return None if math.isnan(value) else value


def measure_flops(waves: list[Waves], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Of every copy of a flip-flop: delay from the clock pin to half of its output (s), and its end (of vdd)."""
    wave, vdd, at = waves[0], settings["voltage"], settings["edge_s"]
    time, result = wave["time"], []
    for copy, value in enumerate(settings["values"]):
        v = wave[f"v(q{copy})"]
        after = time >= at
        result.append({"delay": number(crossing(time[after], v[after], 0.5 * vdd, bool(value)) - at),
                       "last": float(v[-1]) / vdd})
    return result


def measure_pins(waves: list[Waves], settings: dict[str, Any]) -> list[dict[str, float]]:
    """Of every pin: charge into it during its rise and its fall, and from its supply over each (C)."""
    wave, time, result = waves[0], waves[0]["time"], []
    for pin in settings["pins"]:
        found = {}
        for edge, at in (("rise", settings["rise_s"]), ("fall", settings["fall_s"])):
            span = (at - settings["ramp_s"] / 2, at + settings["ramp_s"] / 2)
            found[f"pin_{edge}"] = abs(charge(time, wave[f"i(v{pin})"], *span))
            found[f"supply_{edge}"] = charge(time, -wave[f"i(vs{pin})"], span[0], at + settings["settle_s"])
        result.append(found)
    return result


def measure_currents(waves: list[Waves], settings: dict[str, Any]) -> dict[str, list[float]]:
    """Currents out of supplies, the mean over the second half (A), and the levels of nets in the end (V)."""
    wave, end = waves[0], float(waves[0]["time"][-1])
    return {"ampere": [charge(wave["time"], -wave[f"i({name})"], end / 2, end) / (end / 2)
                       for name in settings["supplies"]],
            "volt": [float(wave[f"v({name})"][-1]) for name in settings["nets"]]}
