"""What a macro's pins bring to antenna rules: gates, diffusion and the macro's own metal on them, from its layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flow.pdk.config import PdkConfig
from flow.signoff.antenna import AntennaRule, etched_areas_um2
from flow.signoff.front import fronts_of_pins
from flow.sram.spec import SramSpec
from flow.sram.straps import Macro
from golden.spec import SpecError


@dataclass(frozen=True)
class PinAntenna:
    """What is on a pin inside of the macro, um2.

    side: metal -> side area (walls); cut: cut layer -> area.
    """

    gate: float
    diffusion: float
    side: dict[str, float]
    cut: dict[str, float]


def pin_antennas(spec: SramSpec, pdk: PdkConfig, macro: Macro,
                 rules: Mapping[str, AntennaRule]) -> dict[str, PinAntenna]:
    """Of every signal pin; SpecError when an input reaches no gate.

    rules: of the tech LEF (flow.signoff.antenna), for the metals' thickness.
    """
    pins = [name for name, pin in spec.pins().items() if pin.use not in ("POWER", "GROUND")]
    found = {}
    for name, front in fronts_of_pins(macro.layout, macro.cell, pdk, pins).items():
        areas = {layer: round(float(etched_areas_um2(rules[layer], boxes, np.arange(len(boxes))).sum()), 4)
                 for layer, boxes in front.boxes.items() if len(boxes)}
        found[name] = PinAntenna(sum(node.gate_um2 for node in front.nodes),
                                 sum(node.diode_um2 for node in front.nodes),
                                 {layer: area for layer, area in areas.items() if rules[layer].thickness_um},
                                 {layer: area for layer, area in areas.items() if not rules[layer].thickness_um})
    without = [name for name, antenna in found.items() if spec.pins()[name].direction == "INPUT" and not antenna.gate]
    if without:
        raise SpecError(f"every input of {spec.name} must reach a gate, and {', '.join(without[:5])} reach none in its "
                        "layout")
    return found
