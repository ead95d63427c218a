"""The PDK file: layers, tracks, sites, cells, corners and where each view lies in a tree, checked when loaded."""

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import msgspec
import yaml

from flow.parameters import ROOT
from golden.spec import Spec, SpecError
from golden.spec_load import load_spec

CONFIGS = ROOT / "pdk_configs"
GdsLayer = tuple[int, int]


class Layer(Spec, frozen=True):
    """GDS layer and datatype of a mask (`drawing`) and of what names its pins."""

    drawing: GdsLayer
    pin: GdsLayer | None = None
    label: GdsLayer | None = None


class Track(Spec, frozen=True):
    """Routing tracks of a metal, and the width of a wire on them."""

    direction: str
    pitch_um: float
    offset_um: float
    width_um: float

    def __post_init__(self) -> None:
        if self.direction not in ("horizontal", "vertical"):
            raise SpecError(f"direction must be horizontal or vertical, not {self.direction!r}")
        if not 0 <= self.offset_um < self.pitch_um:
            raise SpecError(f"offset_um must lie in 0 .. pitch_um={self.pitch_um}, not {self.offset_um}")


class Site(Spec, frozen=True):
    """The unit that rows are made of."""

    name: str
    width_um: float
    height_um: float


class Supplies(Spec, frozen=True):
    """Names of a standard cell's supply pins."""

    power: str
    ground: str
    n_well: str
    p_substrate: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset((self.power, self.ground, self.n_well, self.p_substrate))


class Corner(Spec, frozen=True):
    """Process, temperature and supply, and where the Liberty file of it lies in the tree."""

    process: str
    temperature_c: float
    voltage_v: float
    liberty: str


class Package(Spec, frozen=True):
    """A Python package that the embedded tree takes files from."""

    name: str
    version: str
    licence: str
    holds: str


class DoNotUse(Spec, frozen=True):
    """Cells (a shell pattern over names without the library's prefix) that no step may place, and why."""

    cells: str
    reason: str


class MacroSupplies(Spec, frozen=True):
    """Names of an SRAM macro's supply pins."""

    power: str
    ground: str


class MacroShape(Spec, frozen=True):
    """Words of an SRAM macro and bits of a word."""

    n_words: int
    word_bits: int


class OpenRam(Spec, frozen=True):
    """OpenRAM's SRAM macros: name -> shape; where each view lies in a tree that has them, `{name}` being the macro.

    views: lef, gds, spice and verilog. liberty: corner -> path.
    """

    supplies: MacroSupplies
    macros: dict[str, MacroShape]
    views: dict[str, str]
    liberty: dict[str, str]

    def __post_init__(self) -> None:
        wanted = ("lef", "gds", "spice", "verilog")
        if set(self.views) != set(wanted):
            raise SpecError(f"views of OpenRAM macros must be {', '.join(wanted)}, not {', '.join(self.views)}")
        nameless = [path for path in self.paths if "{name}" not in path]
        if nameless:
            raise SpecError(f"paths of OpenRAM macros must hold {{name}}, and {', '.join(nameless)} does not")

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.views.values(), *self.liberty.values())


class PdkConfig(Spec, frozen=True):
    """A file of pdk_configs/; the fields are explained in pdk_configs/sky130.yaml."""

    name: str
    variant: str
    cell_library: str
    grid_nm: int
    ciel_versions: tuple[str, ...]
    packages: tuple[Package, ...]
    site: Site
    supplies: Supplies
    layers: dict[str, Layer]
    tracks: dict[str, Track]
    corners: dict[str, Corner]
    views: dict[str, str]
    decks: dict[str, str]
    models: str
    openram: OpenRam
    do_not_use: tuple[DoNotUse, ...]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.tracks) - set(self.layers))
        if unknown:
            raise SpecError(f"tracks must belong to layers ({', '.join(self.layers)}), not {', '.join(unknown)}")
        unknown = sorted(set(self.openram.liberty) - set(self.corners))
        if unknown:
            raise SpecError(f"Liberty of OpenRAM macros must be for corners ({', '.join(self.corners)}), "
                            f"not {', '.join(unknown)}")
        for path in (*self.views.values(), *self.decks.values(), self.models, *self.openram.paths):
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise SpecError(f"paths must lie inside the tree, not {path!r}")

    def why_not(self, cell: str) -> str | None:
        """The reason not to place a cell (its full name), or None when it may be used."""
        short = cell.removeprefix(f"{self.cell_library}__")
        return next((rule.reason for rule in self.do_not_use if fnmatchcase(short, rule.cells)), None)

    def drawing(self, layer: str) -> GdsLayer:
        return self.layers[layer].drawing


@cache
def load_pdk_config(name: str = "sky130") -> PdkConfig:
    """Reads and checks pdk_configs/<name>.yaml; SpecError says what is wrong and where."""
    path = CONFIGS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
        raise SpecError(f"PDK must be one of {known}, not {name!r}")
    return parse_pdk_config(path.read_text(encoding="utf-8"), f"pdk_configs/{path.name}")


def parse_pdk_config(text: str, where: str) -> PdkConfig:
    """A PdkConfig out of YAML text; `where` names the file in messages."""
    try:
        mapping = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"not YAML: {error} ({where})") from None
    try:
        return load_spec(PdkConfig, mapping, where)
    except msgspec.ValidationError as error:
        raise SpecError(f"{error} ({where})") from None
