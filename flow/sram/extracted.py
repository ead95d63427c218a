"""Everything that simulations need of a macro's layout, kept by content: made once, whatever the corner."""

import hashlib
from pathlib import Path

import klayout.db as kdb
import msgspec

from flow.characterise import capacitance, grid, technology
from flow.characterise.store import load_or_make
from flow.pdk.config import PdkConfig
from flow.sram import bitcell, flat, periphery, stack, wires
from flow.sram.bitcell import BitCell, extract_bitcell
from flow.sram.flat import Mos, load_flat
from flow.sram.periphery import Periphery, extract_periphery
from flow.sram.spec import SramSpec
from flow.sram.stack import SHEETS_OHM
from flow.sram.wires import wire_capacitance
from golden.spec import SpecError

SOURCES = (capacitance, grid, technology, bitcell, flat, periphery, stack, wires)
LONG_UM = 40.0
"""A net with a straight wire of this length is a line: its resistance counts, and its ends are apart."""

NO_LINES = ("wl[", "q[", "columnblock/")
"""The array's own lines are ladders of their own; what belongs to a bit or a byte is short (at most 30 ohm)."""


class Line(msgspec.Struct, frozen=True):
    """A long wire: its direction (`x` or `y`), where it starts and ends (um), its resistance from end to end (ohm)."""

    axis: str
    start: float
    end: float
    ohm: float

    def section(self, place: float, n: int) -> int:
        """The section of n in which a place is; beyond the ends it is the last one.

        >>> Line("x", 10.0, 50.0, 100.0).section(21.0, 4), Line("x", 10.0, 50.0, 100.0).section(90.0, 4)
        (1, 3)
        """
        return min(max(int((place - self.start) / (self.end - self.start) * n), 0), n - 1)


class ExtractedMacro(msgspec.Struct, frozen=True):
    """A macro: transistors outside of the array, farad of each net's wires, lines, the bitcell."""

    name: str
    transistors: tuple[Mos, ...]
    farad: dict[str, float]
    lines: dict[str, Line]
    bitcell: BitCell
    area_um2: float


def extract_macro(gds: Path, cdl: Path, spec: SramSpec, pdk: PdkConfig, store: Path | None = None) -> ExtractedMacro:
    """Extracts a macro (some 10 s for 512x32), or takes it from the folder `store` where the same was done before."""
    digest = hashlib.sha256(gds.read_bytes() + cdl.read_bytes())
    for module in (*SOURCES, __import__(__name__, fromlist=["x"])):
        digest.update(Path(module.__file__).read_bytes())
    path = None if store is None else store / f"{spec.name}-{digest.hexdigest()[:20]}.json"
    return load_or_make(path, ExtractedMacro, lambda: build_macro(gds, cdl, spec, pdk))


def build_macro(gds: Path, cdl: Path, spec: SramSpec, pdk: PdkConfig) -> ExtractedMacro:
    found = extract_periphery(gds, spec, pdk, load_flat(cdl, spec.name))
    box = found.outline
    return ExtractedMacro(
        spec.name, found.transistors, wire_capacitance(found), find_lines(found), extract_bitcell(gds, pdk),
        round(box.width() * box.height() * found.dbu**2, 3))


def find_lines(found: Periphery) -> dict[str, Line]:
    """The nets with a long straight wire in metal."""
    lines = {}
    for net, layers in sorted(found.wires.items()):
        if net.startswith(NO_LINES):
            continue
        longest: tuple[float, kdb.Box, str] | None = None
        for layer in ("met1", "met2"):
            for polygon in layers.get(layer, kdb.Region()).decompose_trapezoids_to_region().each():
                box = polygon.bbox()
                length = max(box.width(), box.height()) * found.dbu
                if longest is None or length > longest[0]:
                    longest = (length, box, layer)
        if longest is not None and longest[0] >= LONG_UM:
            length, box, layer = longest
            along_x = box.width() > box.height()
            width = min(box.width(), box.height()) * found.dbu
            low, high = (box.left, box.right) if along_x else (box.bottom, box.top)
            lines[net] = Line("x" if along_x else "y", low * found.dbu, high * found.dbu,
                              round(SHEETS_OHM[layer] * length / width, 3))
    if not lines:
        raise SpecError("a macro must have lines across its columns, and none is as long as a line")
    return lines
