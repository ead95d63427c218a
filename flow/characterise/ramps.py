"""The basic experiment: one input of a cell ramps up and down, at several slews, in several copies of the cell.

Copies differ in the state of the other inputs and in the load. Every copy has its own supply, so that its energy is
its own.
"""

import math
from dataclasses import dataclass

from flow.characterise.corner import RAMP_OVER_SLEW, Corner
from flow.characterise.extract import ExtractedCell, spice_lines
from flow.characterise.models import model_cards
from flow.characterise.ngspice import OPTIONS, Job
from flow.characterise.waves import Waves, charge, crossing

START_S = 0.2e-9
SMALL_LOAD_F = 0.5e-15
LARGEST_STEP_S = 1e-10


@dataclass(frozen=True)
class Copy:
    """One copy of the cell: the values of its other inputs, the watched output, the load on it (farad)."""

    side: dict[str, int]
    output: str
    load_f: float
    inverting: bool


def ramp_job(cell: ExtractedCell, corner: Corner, pin: str, outputs: tuple[str, ...], copies: list[Copy],
             slews_ns: tuple[float, ...]) -> Job:
    """The job of one input pin; its result is [slew][copy] -> the values of `measure_ramps`."""
    settle_s = corner.settle_ns * 1e-9
    lines = [f"* {cell.name} {corner.name} {pin}", model_cards(cell.devices, corner.process),
             f".options temp={corner.celsius:g} {OPTIONS}", f"vone one 0 {corner.voltage}",
             "vin a 0 pwl(0 0 1n 0)"]
    saved = ["v(a)"]
    for k, copy in enumerate(copies):
        connect = {"VGND": "0", "VNB": "0", "VPWR": f"s{k}", "VPB": f"s{k}", pin: f"i{k}", copy.output: f"o{k}"}
        connect |= {name: "one" if value else "0" for name, value in copy.side.items()}
        lines += [f"vs{k} s{k} 0 {corner.voltage}", f"vi{k} a i{k} 0", f"cl{k} o{k} 0 {copy.load_f:.6g}"]
        for name in outputs:
            if name != copy.output:
                connect[name] = f"x{k}_{name.lower()}"
                lines.append(f"cx{k}_{name} {connect[name]} 0 {SMALL_LOAD_F:.6g}")
        lines += spice_lines(cell, f"u{k}", connect)
        saved += [f"v(o{k})", f"i(vs{k})", f"i(vi{k})"]
    lines += [".save " + " ".join(saved), ".control", "set filetype=binary"]
    for n, slew in enumerate(slews_ns):
        ramp = slew * 1e-9 * RAMP_OVER_SLEW
        fall = START_S + ramp + settle_s
        points = (0, 0, START_S, 0, START_S + ramp, corner.voltage, fall, corner.voltage, fall + ramp, 0)
        lines += ["alter @vin[pwl] = [ " + " ".join(f"{x:.8g}" for x in points) + " ]",
                  f"tran {min(ramp / 10, 2e-11):.4g} {fall + ramp + settle_s:.6g} 0 {LARGEST_STEP_S:.4g}",
                  f"write {n}.raw", "destroy all"]
    lines += ["quit", ".endc", ".end", ""]
    settings = {"voltage": corner.voltage, "settle_s": settle_s, "slews_ns": slews_ns,
                "inverting": [copy.inverting for copy in copies]}
    return Job(f"{cell.name} {pin} {corner.name}", "\n".join(lines), measure_ramps, settings)


def measure_ramps(waves: list[Waves], settings: dict) -> list[list[dict[str, float | None]]]:
    """Of each slew and copy, in s, C and A; `rise` and `fall` are the output's direction, for pin charges the input's.

    delay_rise, delay_fall, slew_rise, slew_fall (20 to 80 %); supply_rise, supply_fall: charge from the supply over
    the edge (its leakage, at most 10 nA over 12 ns, is far below it); pin_rise, pin_fall: charge into the pin during
    the ramp. None where the output does not cross.
    """
    vdd, settle = settings["voltage"], settings["settle_s"]
    result = []
    for slew, wave in zip(settings["slews_ns"], waves, strict=True):
        time, ramp = wave["time"], slew * 1e-9 / 0.6
        fall = START_S + ramp + settle
        row = []
        for k, inverting in enumerate(settings["inverting"]):
            out, values = wave[f"v(o{k})"], {}
            for input_rises, start, end in ((True, START_S, fall), (False, fall, float(time[-1]))):
                output_rises = input_rises != inverting
                edge, pin_edge = ("rise" if rises else "fall" for rises in (output_rises, input_rises))
                inside = (time >= start - 1e-12) & (time <= end)
                t, v = time[inside], out[inside]
                low, high = (0.2, 0.8) if output_rises else (0.8, 0.2)
                values[f"delay_{edge}"] = crossing(t, v, 0.5 * vdd, output_rises) - (start + ramp / 2)
                values[f"slew_{edge}"] = (crossing(t, v, high * vdd, output_rises)
                                          - crossing(t, v, low * vdd, output_rises))
                current = -wave[f"i(vs{k})"]
                values[f"supply_{edge}"] = charge(time, current, start, end)
                values[f"pin_{pin_edge}"] = abs(charge(time, wave[f"i(vi{k})"], start, start + ramp))
            row.append({name: None if math.isnan(value) else value for name, value in values.items()})
        result.append(row)
    return result
