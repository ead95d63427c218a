"""The process as place and route see it: layers, tracks, vias, the site; from the tech LEF and the PDK file.

The tech LEF counts the tracks of each layer from an offset of half a pitch. Vias need crossings that tracks of both
layers share, so here the offset is that of the finest layer of the same direction: all tracks of a direction fall on
one lattice, and a coarser layer uses every n-th of it (met3 every second row, met4 every second column in sky130).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from flow.pdk.config import PdkConfig
from flow.pdk.tree import Pdk
from flow.physical.geometry import Rect, Shape, nm
from golden.spec import SpecError

HORIZONTAL, VERTICAL = "horizontal", "vertical"
TECH_LEF = "tech_lef_nom"


@dataclass(frozen=True)
class RoutingLayer:
    """A metal that wires run on (li1 as well); lengths nm, areas nm2.

    offset:        of the first track, on the lattice that all layers of the direction share.
    spacing_table: (width, spacing): shapes of at least that width in both directions keep that spacing.
    min_hole_area:  of what a layer's metal may enclose; 0 where the tech LEF has no such rule.
    thickness, resistance (ohm a square): for antenna rules and extraction.
    antenna_ratio: (diffusion um2, largest side area of the metal to gate area) in steps, linear between them.
    """

    name: str
    direction: str
    pitch: int
    offset: int
    width: int
    spacing_table: tuple[tuple[int, int], ...]
    min_area: int
    thickness: int
    resistance: float
    antenna_ratio: tuple[tuple[float, float], ...]
    min_hole_area: int = 0

    @property
    def is_horizontal(self) -> bool:
        return self.direction == HORIZONTAL

    @property
    def spacing(self) -> int:
        """Between shapes of ordinary width."""
        return self.spacing_table[0][1]

    def spacing_of(self, width: int) -> int:
        """What a shape keeps from others; `width` is the smaller of its two extents."""
        return max(spacing for least, spacing in self.spacing_table if width >= least)


@dataclass(frozen=True)
class CutLayer:
    """Contacts between two metals: square cuts; lengths nm, resistance ohm a cut.

    enclosure_below, enclosure_above: what the metals must overhang, on one pair of sides and on the other.
    antenna_ratio: (diffusion um2, largest area of cuts to gate area) in steps, linear between them.
    """

    name: str
    width: int
    spacing: int
    enclosure_below: tuple[int, int]
    enclosure_above: tuple[int, int]
    resistance: float
    antenna_ratio: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Via:
    """A via around the origin: a rectangle of the lower metal, cuts, a rectangle of the upper metal."""

    name: str
    lower: Shape
    cuts: tuple[Shape, ...]
    upper: Shape

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return (self.lower, *self.cuts, self.upper)


@dataclass(frozen=True)
class Technology:
    """Layers in order from the substrate up, with the cuts between them, vias and the site.

    vias:    by name; `vias_between` gives the default ones of a pair of layers.
    grid:    manufacturing grid in nm.
    """

    config: PdkConfig
    layers: dict[str, RoutingLayer]
    cuts: dict[str, CutLayer]
    vias: dict[str, Via]
    site_name: str
    site_width: int
    row_height: int
    grid: int

    @cached_property
    def cut_between(self) -> dict[tuple[str, str], str]:
        """(lower layer, upper layer) -> the cuts between them."""
        return {(via.lower.layer, via.upper.layer): via.cuts[0].layer for via in self.vias.values()}

    def vias_between(self, lower: str, upper: str) -> tuple[Via, ...]:
        """The tech LEF's vias for one cut, the one with both metals along their direction first."""
        return tuple(via for via in self.vias.values() if (via.lower.layer, via.upper.layer) == (lower, upper))

    def gds_layer(self, name: str) -> tuple[int, int]:
        return self.config.drawing(name)


def load_technology(pdk: Pdk) -> Technology:
    """The technology of a PDK; SpecError names what its tech LEF lacks."""
    path = pdk.view(TECH_LEF)
    return parse_technology(path.read_text(encoding="utf-8"), pdk.config, str(path))


def parse_technology(text: str, config: PdkConfig, where: str) -> Technology:
    """From the text of a tech LEF."""
    text = re.sub(r"#[^\n]*", "", text)
    order = re.findall(r"^LAYER (\w+)\s+TYPE (ROUTING|CUT)", text, re.MULTILINE)
    metals = [name for name, kind in order if kind == "ROUTING"]
    layers = {name: _parse_layer(name, _block(text, "LAYER", name, where), where) for name in metals}
    missing = sorted(set(config.tracks) - set(layers))
    if missing:
        raise SpecError(f"the tech LEF must have the layers of the PDK file and lacks {', '.join(missing)} ({where})")
    vias = _parse_vias(text)
    joined = {(via.lower.layer, via.upper.layer) for via in vias.values()}
    for lower, upper in pairwise(metals):
        if (lower, upper) not in joined:
            raise SpecError(f"the tech LEF must have a via from {lower} to {upper}, and has none ({where})")
    used = {via.cuts[0].layer for via in vias.values()}
    cuts = {name: _parse_cut(name, _block(text, "LAYER", name, where), where) for name, kind in order
            if kind == "CUT" and name in used}
    site = _block(text, "SITE", config.site.name, where)
    width, height = (nm(float(value)) for value in _words(site, "SIZE", where, config.site.name)[::2])
    grid = re.search(r"^MANUFACTURINGGRID ([\d.]+)", text, re.MULTILINE)
    if grid is None or nm(float(grid[1])) != config.grid_nm:
        raise SpecError(f"the grid must be {config.grid_nm} nm as in the PDK file, not {grid and grid[1]} um ({where})")
    return Technology(config, on_one_lattice(layers), cuts, vias, config.site.name, width, height, config.grid_nm)


def on_one_lattice(layers: dict[str, RoutingLayer]) -> dict[str, RoutingLayer]:
    """The layers that routing uses with offsets of the finest of their direction; others, whose pitch is no multiple
    of its, keep theirs."""
    finest = {}
    for layer in layers.values():
        best = finest.get(layer.direction)
        if best is None or layer.pitch < best.pitch:
            finest[layer.direction] = layer
    return {name: _with_offset(layer, finest[layer.direction].offset)
            if layer.pitch % finest[layer.direction].pitch == 0 else layer for name, layer in layers.items()}


def _with_offset(layer: RoutingLayer, offset: int) -> RoutingLayer:
    return RoutingLayer(**{**vars(layer), "offset": offset})


def _block(text: str, kind: str, name: str, where: str) -> str:
    found = re.search(rf"^{kind} {name}\b(.*?)^END {name}$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SpecError(f"the tech LEF must have {kind} {name} ({where})")
    return found[1]


def _words(block: str, key: str, where: str, name: str) -> list[str]:
    """The words of a statement of a block."""
    found = re.search(rf"^\s+{key} ([^;]*);", block, re.MULTILINE)
    if found is None:
        raise SpecError(f"{name} must have {key} in the tech LEF ({where})")
    return found[1].split()


def _parse_layer(name: str, block: str, where: str) -> RoutingLayer:
    def number(key: str) -> float:
        return float(_words(block, key, where, name)[-1])

    def by_axis(key: str) -> int:
        """PITCH and OFFSET have one value, or one for x and one for y; tracks are counted across the direction."""
        values = _words(block, key, where, name)
        return nm(float(values[0] if direction == VERTICAL else values[-1]))

    direction = _words(block, "DIRECTION", where, name)[0].lower()
    table = re.findall(r"WIDTH ([\d.]+) ([\d.]+)", block[block.find("SPACINGTABLE"):])
    if not table:
        raise SpecError(f"{name} must have a SPACINGTABLE in the tech LEF ({where})")
    return RoutingLayer(
        name, direction, by_axis("PITCH"), by_axis("OFFSET"), nm(number("WIDTH")),
        tuple((nm(float(width)), nm(float(spacing))) for width, spacing in table), round(number("AREA") * 1e6),
        nm(number("THICKNESS")), number("RESISTANCE"), _antenna_ratio(block, "ANTENNADIFFSIDEAREARATIO"),
        round(float(hole[1]) * 1e6) if (hole := re.search(r"MINENCLOSEDAREA ([\d.]+) ;", block)) else 0)


def _antenna_ratio(block: str, key: str) -> tuple[tuple[float, float], ...]:
    """The steps of an antenna rule; none when the layer has no such rule."""
    found = re.search(rf"{key} PWL \((.*?)\) ;", block)
    steps = re.findall(r"\( ([\d.]+) ([\d.]+) \)", found[1]) if found else []
    return tuple((float(area), float(ratio)) for area, ratio in steps)


def _parse_cut(name: str, block: str, where: str) -> CutLayer:
    def pair(key: str) -> tuple[int, int]:
        first, second = _words(block, key, where, name)
        return nm(float(first)), nm(float(second))

    width, spacing = (nm(float(_words(block, key, where, name)[0])) for key in ("WIDTH", "SPACING"))
    resistance = float(_words(block, "RESISTANCE", where, name)[0])
    return CutLayer(name, width, spacing, pair("ENCLOSURE BELOW"), pair("ENCLOSURE ABOVE"), resistance,
                    _antenna_ratio(block, "ANTENNADIFFAREARATIO"))


def _parse_vias(text: str) -> dict[str, Via]:
    """The fixed vias: cut, lower and upper metal, in this order in the tech LEF."""
    vias = {}
    for name, block in re.findall(r"^VIA (\w+) DEFAULT$(.*?)^END \1$", text, re.MULTILINE | re.DOTALL):
        shapes = [Shape(layer, *(nm(float(value)) for value in rect.split()))
                  for layer, rect in re.findall(r"LAYER (\w+) ;\s+RECT ([^;]*);", block)]
        if len(shapes) == 3:
            cut, lower, upper = shapes
            vias[name] = Via(name, lower, (cut,), upper)
    return vias


def array_via(technology: Technology, lower: str, upper: str, area: Rect, upper_area: Rect | None = None) -> Via:
    """A via with as many cuts around the origin as the rules let in, between metals that fill given areas.

    area, upper_area: of the lower and of the upper metal (None: the same), both around the origin.
    SpecError when not even one cut fits.
    """
    cut = technology.cuts[technology.cut_between[lower, upper]]
    over = upper_area or area
    best: tuple[int, int] = (0, 0)
    for across in (False, True):                                 # which pair of sides has the larger enclosure
        below, above = (sorted(rule, reverse=across) for rule in (cut.enclosure_below, cut.enclosure_above))
        room_x = min(area.width - 2 * below[0], over.width - 2 * above[0])
        room_y = min(area.height - 2 * below[1], over.height - 2 * above[1])
        count = tuple((room + cut.spacing) // (cut.width + cut.spacing) for room in (room_x, room_y))
        if min(count) > 0 and count[0] * count[1] > best[0] * best[1]:
            best = count
    if not best[0]:
        raise SpecError(f"a via from {lower} to {upper} must have room for a cut of {cut.width} nm with its enclosure, "
                        f"not only {area.width} x {area.height} nm")
    name = f"{lower}_{upper}_{area.width}x{area.height}"
    name += f"_{over.width}x{over.height}" if over != area else ""
    return Via(name, Shape.of(lower, area), tuple(_cuts(cut, *best)), Shape.of(upper, over))


def _cuts(cut: CutLayer, nx: int, ny: int) -> Iterator[Shape]:
    """An array of cuts with the origin in its middle."""
    pitch, half = cut.width + cut.spacing, cut.width // 2
    for row in range(ny):
        for column in range(nx):
            x, y = (2 * column - nx + 1) * pitch // 2, (2 * row - ny + 1) * pitch // 2
            yield Shape(cut.name, x - half, y - half, x + half, y + half)
