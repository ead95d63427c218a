"""Gate area behind a macro's pins, for the antenna rules of those who route to them."""

from __future__ import annotations

from pathlib import Path

from flow.sram.graph import read_reference
from flow.sram.spec import SramSpec
from golden.spec import SpecError


def gate_areas(cdl: Path, spec: SramSpec) -> dict[str, float]:
    """Input pin -> um2 of the gates that it is connected to; SpecError when an input reaches none."""
    netlist = read_reference(cdl, spec.name)
    netlist.flatten()
    top = netlist.circuit_by_name(spec.name.upper()) or netlist.circuit_by_name(spec.name)
    areas = {name: 0.0 for name, pin in spec.pins().items() if pin.direction == "INPUT"}
    for device in top.each_device():
        net = device.net_for_terminal("G")
        name = net.name.lower() if net is not None else ""
        if name in areas:
            areas[name] += device.parameter("W") * device.parameter("L")
    without = [name for name, area in areas.items() if not area > 0]
    if without:
        raise SpecError(f"every input of {spec.name} must reach a gate, and {', '.join(without[:5])} reach none "
                        f"({cdl})")
    return areas
