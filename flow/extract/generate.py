"""Makes flow/extract/sky130.json: python -m flow.extract.generate [--check]

--check compares with what is there, byte for byte. Minutes of CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np

from flow.extract.kit_tables import KitTable, edge_shift, load_kit_table, narrow, pattern_name
from flow.extract.patterns import LEAST_WIDTH_UM, Edge, above_of, below_of, corner, crossing, lopsided, section
from flow.extract.stack import METALS, plate
from flow.extract.tables import PATH, CornerFactors, CornerTable, CrossingTable, EdgeTable, Tables
from flow.extract.view import REACH
from flow.pdk.config import load_pdk_config

LEAST_SPACING_UM = {"li1": 0.17, "met1": 0.14, "met2": 0.14, "met3": 0.30, "met4": 0.30, "met5": 1.60}
GAPS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 11.0, 25.0)
OPPOSITE = (1.0, 2.5, 25.0)
CROSSING_GAPS = (1.0, 1.5, 2.5, 5.0, 25.0)
WIDE = 8.0
"""Gaps and the wide width, in least spacings and least widths: what the kit's own table has, but for the last gap."""

APART_UM = (0.14, 0.3, 0.6, 1.2, 2.4)
N_DIGITS = 4

Shift = Callable[[str, float], float]


def make_tables(shift: Shift, corners: Mapping[str, CornerFactors]) -> Tables:
    """The tables with edges where `shift` (metal, gap in um) puts them."""
    def of_each(least: Mapping[str, float], factors: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
        return {name: tuple(round(least[name] * factor, 4) for factor in factors) for name in METALS}

    gaps, opposite, crossing_gaps = (of_each(LEAST_SPACING_UM, factors) for factors in (GAPS, OPPOSITE, CROSSING_GAPS))
    widths = of_each(LEAST_WIDTH_UM, (1.0, WIDE))
    plates = {name: tuple(_rounded(plate(below_of(name, below), name)) for below in range(_n_below(name) + 1))
              for name in METALS}
    both = [(name, below, above) for name in METALS for below in range(_n_below(name) + 1)
            for above in range(min(REACH, len(METALS) - 1 - METALS.index(name)) + 1)]
    edges = {which: _edge_table(*which, gaps[which[0]], opposite[which[0]], widths[which[0]], shift) for which in both}
    crossings = [_crossing_table(name, upward, base, crossing_gaps[name])
                 for name in METALS for upward in (False, True) for base in range(_n_below(name) + 1)
                 if 0 <= METALS.index(name) + (1 if upward else -1) < len(METALS) and (upward or base != 1)]
    bends = [_corner_table(*which, crossing_gaps[which[0]], edges[which], plates) for which in both]
    return Tables(gaps, opposite, widths, crossing_gaps, APART_UM, plates, dict(corners), tuple(edges.values()),
                  tuple(crossings), tuple(bends))


def _n_below(layer: str) -> int:
    return min(REACH, METALS.index(layer))


def _edge_table(layer: str, below: int, above: int, gaps: tuple[float, ...], opposite: tuple[float, ...],
                widths: tuple[float, ...], shift: Shift) -> EdgeTable:
    metals = below_of(layer, below), above_of(layer, above)

    def silicon(width: float, gap: float) -> tuple[float, float]:
        """Gap and width as printed."""
        out = shift(layer, gap)
        return round(gap - 2 * out, 6), round(width + 2 * out, 6)

    def printed(width: float, gap: float) -> tuple[Edge, Edge]:
        return section(layer, *metals, *silicon(width, gap))

    even = [[printed(width, gap) for gap in gaps] for width in widths]
    narrow = []
    for gap in gaps:
        own_gap, own_width = silicon(widths[0], gap)
        narrow.append(tuple(_printed(lopsided(layer, *metals, own_gap, silicon(widths[0], other)[0], own_width))
                            for other in opposite))
    return EdgeTable(layer, below, above, tuple(narrow), tuple(_printed(edge) for edge, _ in even[1]),
                     tuple(tuple(_printed(same[1:]) for _, same in row) for row in even))


def _crossing_table(layer: str, upward: bool, base: int, gaps: tuple[float, ...]) -> CrossingTable:
    other = METALS[METALS.index(layer) + (1 if upward else -1)]
    return CrossingTable(layer, upward, base, tuple(
        tuple(_printed(crossing(layer, other, below_of(layer, base), gap, apart), signed=True) for apart in APART_UM)
        for gap in gaps))


def _corner_table(layer: str, below: int, above: int, gaps: tuple[float, ...], edge: EdgeTable,
                  plates: Mapping[str, tuple[float, ...]]) -> CornerTable:
    """A wire's end is an edge of a wide wire without what lies straight below and above, as flow.extract.coupling has
    it."""
    half = LEAST_WIDTH_UM[layer] * WIDE / 2
    down = plates[layer][below] * half
    up = plates[above_of(layer, above)][above] * half if above else 0.0
    end = Edge(edge.wide[-1][0], edge.wide[-1][1] - down, edge.wide[-1][2] - up)
    return CornerTable(layer, below, above, tuple(
        _printed(corner(layer, below_of(layer, below), above_of(layer, above), gap, end), signed=True)
        for gap in gaps))


def _printed(values: Iterable[float], signed: bool = False) -> tuple[float, ...]:
    """Rounded; what must not be negative and is by the arithmetic's last bits is 0."""
    return tuple(_rounded(value if signed else max(value, 0.0)) for value in values)


def _rounded(value: float) -> float:
    return float(f"{value:.{N_DIGITS}g}") + 0.0


def kit_shift(table: KitTable) -> Shift:
    """Edges where the kit's coupling has them."""
    known = {name: edge_shift(table, name) for name in METALS}
    return lambda layer, gap: float(np.interp(gap, *known[layer]))


def corner_factors(table: KitTable, nominal: KitTable) -> CornerFactors:
    """A corner of the kit's table over its nominal one, a value a gap; mean over silicon and the next metal."""
    beside, plates = {}, {}
    for name in METALS:
        gaps = [LEAST_SPACING_UM[name] * gap for gap in GAPS]
        found = []
        for below in (None, below_of(name, 1)) if name != "li1" else (None,):
            pattern = pattern_name(name, below, None)
            pairs = list(zip(narrow(table, pattern, name), narrow(nominal, pattern, name), strict=True))
            known = [gap for (gap, _), _ in pairs]
            ratios = np.array([(a.beside / b.beside, a.plates / b.plates) for (_, a), (_, b) in pairs])
            found.append([np.interp(gaps, known, ratio) for ratio in ratios.T])
        mean = np.mean(found, axis=0)
        beside[name], plates[name] = (tuple(_rounded(value) for value in row) for row in mean)
    return CornerFactors(beside, plates)


def as_text(tables: Tables) -> bytes:
    """One table a line."""
    parts = msgspec.to_builtins(tables)
    lines = []
    for key, value in parts.items():
        if key in ("edges", "crossings", "bends"):
            inner = b",\n".join(msgspec.json.encode(entry) for entry in value)
            lines.append(b'"%s":[\n%s]' % (key.encode(), inner))
        else:
            lines.append(b'"%s":%s' % (key.encode(), msgspec.json.encode(value)))
    return b"{" + b",\n".join(lines) + b"}\n"


def main(arguments: list[str]) -> int:
    """Writes or compares; 1 when the file differs."""
    config = load_pdk_config()
    tables = {corner: load_kit_table(config, corner) for corner in ("min", "nom", "max")}
    factors = {corner: corner_factors(tables[corner], tables["nom"]) for corner in tables}
    text = as_text(make_tables(kit_shift(tables["nom"]), factors))
    if arguments == ["--check"]:
        same = PATH.read_bytes() == text
        print(f"{PATH.name} {'is what is made here' if same else 'differs from what is made here'}")
        return 0 if same else 1
    PATH.write_bytes(text)
    print(f"{PATH.name}: {len(text):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
