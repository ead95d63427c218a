"""Leakage of a cell in every state of its pins: one operating point of as many copies as there are states."""

from typing import Any

from flow.characterise.corner import Corner
from flow.characterise.extract import ExtractedCell, bare, spice_lines
from flow.characterise.models import model_cards
from flow.characterise.ngspice import Job
from flow.characterise.waves import Waves

OPTIONS = "reltol=1e-4 abstol=1e-16 gmin=1e-16 itl1=1000"


def leakage_job(cell: ExtractedCell, corner: Corner, levels: list[dict[str, int]],
                outputs: tuple[str, ...]) -> Job:
    """The job; its result is the power (nW) for each of `levels`, the level of every net (see function.settle)."""
    inputs = [name for name in cell.ports if name not in (*outputs, "VGND", "VNB", "VPWR", "VPB")]
    lines = [f"* {cell.name} {corner.name} leakage", model_cards(cell.devices, corner.leakage_process),
             f".options temp={corner.celsius:g} {OPTIONS}", f"vone one 0 {corner.voltage}"]
    for k, state in enumerate(levels):
        connect = {"VGND": "0", "VNB": "0", "VPWR": f"s{k}", "VPB": f"s{k}"}
        connect |= {name: "one" if state[name] else "0" for name in inputs}
        lines += [f"vs{k} s{k} 0 {corner.voltage}", *spice_lines(bare(cell), f"u{k}", connect)]
        lines += [f".nodeset v(u{k}_{net.lower()})={corner.voltage * state[net]:g}"
                  for net in sorted({net for d in cell.devices for net in d.nets} & state.keys() - connect.keys())]
    lines += [".save " + " ".join(f"i(vs{k})" for k in range(len(levels))), ".control", "set filetype=binary", "op",
              "write 0.raw", "quit", ".endc", ".end", ""]
    return Job(f"{cell.name} leakage {corner.name}", "\n".join(lines), measure_leakage,
               {"voltage": corner.voltage, "n": len(levels)})


def measure_leakage(waves: list[Waves], settings: dict) -> list[Any]:
    return [-float(waves[0][f"i(vs{k})"][0]) * settings["voltage"] * 1e9 for k in range(settings["n"])]
