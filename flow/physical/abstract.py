"""What place and route see of a cell or macro: outline, pins with their shapes, obstructions. From LEF."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from flow.pdk.lef import LefMacro, LefPin, Rect, parse_lef
from flow.pdk.tree import Pdk
from flow.physical.geometry import Shape, nm
from golden.spec import SpecError

POWER_USES = ("POWER", "GROUND")
CORE, BLOCK = "CORE", "BLOCK"


@dataclass(frozen=True)
class PinAbstract:
    """A pin: direction (INPUT, OUTPUT, INOUT) and use (SIGNAL, CLOCK, POWER, GROUND) in LEF's words.

    shapes:              where it can be contacted; shapes of wells are among them.
    gate_area_um2, diffusion_area_um2: what it connects to, for antenna rules.
    etched_um2:          (layer, side area of metal or area of cuts) that it has inside of the cell, for the same.
    """

    direction: str
    use: str
    shapes: tuple[Shape, ...]
    gate_area_um2: float = 0.0
    diffusion_area_um2: float = 0.0
    etched_um2: tuple[tuple[str, float], ...] = ()

    @property
    def is_supply(self) -> bool:
        return self.use in POWER_USES


@dataclass(frozen=True)
class CellAbstract:
    """A standard cell or a macro, its lower left corner at the origin; lengths nm.

    kind: LEF's class ("CORE", "CORE WELLTAP", "BLOCK", ...).
    """

    name: str
    kind: str
    width: int
    height: int
    pins: dict[str, PinAbstract]
    obstructions: tuple[Shape, ...]

    @property
    def is_macro(self) -> bool:
        return self.kind.split()[0] == BLOCK

    @property
    def area(self) -> int:
        return self.width * self.height

    @cached_property
    def signal_pins(self) -> dict[str, PinAbstract]:
        """The pins that nets connect to."""
        return {name: pin for name, pin in self.pins.items() if not pin.is_supply}


Cells = Mapping[str, CellAbstract]


def load_cells(pdk: Pdk, macro_lefs: Iterable[Path] = ()) -> dict[str, CellAbstract]:
    """The standard cells of a PDK and the macros of more LEF files, by name; SpecError for a name that is there twice.
    """
    cells = dict(load_lef(pdk.view("lef")))
    for path in macro_lefs:
        for name, cell in load_lef(path).items():
            if name in cells:
                raise SpecError(f"cell names must be unique, and {name} is in two LEF files, the second is {path}")
            cells[name] = cell
    return cells


def load_lef(path: Path) -> Mapping[str, CellAbstract]:
    """The cells of a LEF file; read once a process while the file is the same."""
    stat = path.stat()
    return _load_lef(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _load_lef(path: Path, mtime_ns: int, size: int) -> Mapping[str, CellAbstract]:
    return parse_abstracts(path.read_text(encoding="utf-8"), str(path))


def parse_abstracts(text: str, where: str) -> dict[str, CellAbstract]:
    """The cells of a LEF text; SpecError when one has no class or no size."""
    return {name: _cell(name, macro, where) for name, macro in parse_lef(text, where).items()}


def _cell(name: str, macro: LefMacro, where: str) -> CellAbstract:
    width, height = (nm(size) for size in macro.size_um)
    if not macro.kind or not width or not height:
        raise SpecError(f"{name} must have a CLASS and a SIZE in its LEF ({where})")
    pins = {pin: _pin(lef) for pin, lef in macro.pins.items()}
    return CellAbstract(name, macro.kind, width, height, pins, _shapes(macro.obstructions))


def _pin(pin: LefPin) -> PinAbstract:
    return PinAbstract(pin.direction, pin.use, _shapes(pin.rects), pin.gate_area_um2, pin.diffusion_area_um2,
                       tuple(sorted(pin.etched_um2.items())))


def _shapes(layers: Mapping[str, Iterable[Rect]]) -> tuple[Shape, ...]:
    return tuple(Shape(layer, *(nm(value) for value in rect)) for layer, rects in layers.items() for rect in rects)
