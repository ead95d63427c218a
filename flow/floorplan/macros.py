"""Macros along the lower and the upper edge of the core, with the sides that have pins towards its middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flow.floorplan.spec import FloorplanSpec
from flow.physical.abstract import CellAbstract, Cells
from flow.physical.design import Placed, outline
from flow.physical.geometry import Rect, nm, placed_rect
from flow.physical.technology import Technology
from golden.spec import SpecError

UPRIGHT = ("N", "FN", "FS", "S")
"""Orientations that leave the direction of the macro's straps as it is."""

CHANNEL_LAYERS = ("met1", "met3")
SHARE_FOR_MACROS = 0.5
"""The other half of the tracks is for what the cells between the macros have to say to each other."""

LEFT, RIGHT, BOTTOM, TOP = "left", "right", "bottom", "top"


@dataclass(frozen=True)
class MacroRow:
    """Macros side by side at one edge of the core: the first half from the left corner on, the others up to the right.

    names, cells, orientations, gaps: instance by instance; gaps[i] is the room between i and i + 1.
    """

    edge: str
    names: tuple[str, ...]
    cells: tuple[CellAbstract, ...]
    orientations: tuple[str, ...]
    gaps: tuple[int, ...]

    @property
    def width(self) -> int:
        return sum(cell.width for cell in self.cells) + sum(self.gaps)

    @property
    def height(self) -> int:
        return max((cell.height for cell in self.cells), default=0)


    def pins_inward(self, half: str) -> int:
        """Signal pins that face the other edge, of the macros in one half."""
        n_left, side = (len(self.names) + 1) // 2, TOP if self.edge == BOTTOM else BOTTOM
        part = slice(0, n_left) if half == LEFT else slice(n_left, None)
        return sum(pin_sides(cell, turn)[side]
                   for cell, turn in zip(self.cells[part], self.orientations[part], strict=True))


def wire_room(rows: Sequence[MacroRow], technology: Technology) -> int:
    """The height of the channel between the edges' macros that lets out the wires of their pins, nm.

    Wires of a half leave it sideways on SHARE_FOR_MACROS of the horizontal tracks up to met4.
    """
    tracks = sum(1 / layer.pitch for layer in technology.layers.values()
                 if layer.is_horizontal and layer.name in CHANNEL_LAYERS)
    pins = max((sum(row.pins_inward(half) for row in rows) for half in (LEFT, RIGHT)), default=0)
    return round(pins / (tracks * SHARE_FOR_MACROS))


def pin_sides(cell: CellAbstract, orientation: str = "N") -> Counter[str]:
    """Side -> signal pins that are nearest to it, as placed."""
    sides: Counter[str] = Counter()
    for pin in cell.signal_pins.values():
        boxes = [placed_rect(orientation, cell.width, cell.height, shape.rect) for shape in pin.shapes]
        distance = {LEFT: min(box.x0 for box in boxes), RIGHT: cell.width - max(box.x1 for box in boxes),
                    BOTTOM: min(box.y0 for box in boxes), TOP: cell.height - max(box.y1 for box in boxes)}
        sides[min(distance, key=lambda side: distance[side])] += 1
    return sides


def best_orientation(cell: CellAbstract, edge: str, half: str) -> str:
    """The orientation with most pins towards the core's middle, for a macro at an edge in its left or right half."""
    inward = (TOP if edge == BOTTOM else BOTTOM, RIGHT if half == LEFT else LEFT)
    return max(UPRIGHT, key=lambda orientation: sum(pin_sides(cell, orientation)[side] for side in inward))


def macro_row(edge: str, names: Sequence[str], macros: Sequence[CellAbstract], spec: FloorplanSpec,
              technology: Technology) -> MacroRow:
    """A row of macros with orientations and the room that their pins ask for."""
    n_left = (len(names) + 1) // 2
    orientations = [best_orientation(cell, edge, LEFT if at < n_left else RIGHT) for at, cell in enumerate(macros)]
    gaps = []
    for at in range(len(names) - 1):
        one, other = (halo(macros[at + k], orientations[at + k], side, spec, technology)
                      for k, side in ((0, RIGHT), (1, LEFT)))
        gaps.append(one + other)
    return MacroRow(edge, tuple(names), tuple(macros), tuple(orientations), tuple(gaps))


def halo(cell: CellAbstract, orientation: str, side: str, spec: FloorplanSpec, technology: Technology) -> int:
    """The room that a side of a placed macro keeps free of cells, in whole sites."""
    wide = pin_sides(cell, orientation)[side] > 0
    return round_up(nm(spec.pin_halo_um if wide else spec.halo_um), technology.site_width)


def place_row(row: MacroRow, core: Rect, technology: Technology) -> dict[str, Placed]:
    """The macros of a row in a core; the width must be enough. Corners lie on the tracks' lattice."""
    n_left, placed = (len(row.names) + 1) // 2, {}
    step = min(layer.pitch for layer in technology.layers.values() if layer.is_horizontal)
    x = core.x0
    for at, (name, cell) in enumerate(zip(row.names, row.cells, strict=True)):
        if at == n_left:
            rest = sum(cell.width for cell in row.cells[at:]) + sum(row.gaps[at:])
            x = core.x0 + (core.width - rest) // technology.site_width * technology.site_width
        y = core.y0 if row.edge == BOTTOM else core.y0 + (core.height - cell.height) // step * step
        placed[name] = Placed(cell.name, x, y, row.orientations[at], fixed=True)
        if at < len(row.gaps):
            x = round_up(x + cell.width + row.gaps[at], technology.site_width)
    return placed


Halos = dict[tuple[str, str], tuple[int, int, int, int]]
"""Macro and orientation -> room on the left, below, on the right, above."""


def find_halos(cells: Iterable[CellAbstract], spec: FloorplanSpec, technology: Technology) -> Halos:
    """The room that macros keep free in every orientation."""
    return {(cell.name, orientation): tuple(halo(cell, orientation, side, spec, technology)
                                            for side in (LEFT, BOTTOM, RIGHT, TOP))
            for cell in cells for orientation in UPRIGHT}


def keep_outs(placed: Mapping[str, Placed], cells: Cells, halos: Halos) -> list[Rect]:
    """What no row may enter: the macros with their halos."""
    found = []
    for macro in placed.values():
        box = outline(macro, cells[macro.cell])
        left, bottom, right, top = halos[macro.cell, macro.orientation]
        found.append(Rect(box.x0 - left, box.y0 - bottom, box.x1 + right, box.y1 + top))
    return found


def check_macros(cells: Sequence[CellAbstract], technology: Technology) -> None:
    """SpecError for a macro that cannot be connected: a pin without a shape, or no supply in the strap layer."""
    for cell in cells:
        bare = sorted(name for name, pin in cell.pins.items() if not pin.shapes)
        if bare:
            raise SpecError(f"every pin of macro {cell.name} must have a shape in its LEF, not {', '.join(bare)}")
        uses = {pin.use for pin in cell.pins.values() if pin.is_supply}
        if uses != {"POWER", "GROUND"}:
            raise SpecError(f"macro {cell.name} must have a POWER and a GROUND pin, not {', '.join(sorted(uses))}")


def round_up(length: int, step: int) -> int:
    """The next multiple of step.

    >>> round_up(4000, 460)
    4140
    """
    return -(-length // step) * step
