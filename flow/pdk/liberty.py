"""The Liberty files that are kept with the project: installed by `./stillwater library`, unpacked into the tree.

pdk_configs/liberty/ holds <library>__<corner>.lib.gz (no name and time in it: the same text gives the same bytes) and
manifest.json, which says what they were made from. They are characterised by this project and not for signoff.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from flow.pdk.config import CONFIGS, PdkConfig
from flow.pdk.lef import LefMacro
from golden.spec import SpecError

LIBERTY = CONFIGS / "liberty"
LIBERTY_MANIFEST = "manifest.json"
ORIGIN = "stillwater, self-characterised"
LICENCE = "Apache-2.0, not for signoff"
AREA_TOLERANCE_UM2 = 1e-3
HEAD = re.compile(r'^\s*(cell|pin|pg_pin)\s*\(\s*"?([^")\s]+)"?\s*\)|^\s*(direction|area)\s*:\s*"?([\w.]+)"?\s*;',
                  re.MULTILINE)
DIRECTIONS = {"input": "INPUT", "output": "OUTPUT", "inout": "INOUT"}


class LibertyManifest(msgspec.Struct, frozen=True):
    """What of the manifest is needed to use the files; the rest is for those who make them again.

    cells: cell -> corner (and "layout") -> the first 16 digits of a SHA-256, of its group's text (of its GDS).
    """

    cells: dict[str, dict[str, str]]
    libraries_sha256: dict[str, str]


def packed_path(config: PdkConfig, corner: str, folder: Path = LIBERTY) -> Path:
    """Where the packed Liberty of a corner is, or would be."""
    return folder / f"{Path(config.corners[corner].liberty).name}.gz"


def liberty_files(config: PdkConfig, folder: Path = LIBERTY) -> list[Path]:
    """The packed files and their manifest, those that are there."""
    wanted = [folder / LIBERTY_MANIFEST, *(packed_path(config, corner, folder) for corner in config.corners)]
    return [path for path in wanted if path.is_file()]


def load_liberty_manifest(folder: Path = LIBERTY) -> LibertyManifest:
    path = folder / LIBERTY_MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=LibertyManifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise SpecError(f"the kept Liberty files must have a manifest that can be read: {error} ({path}); make them "
                        "again with: ./stillwater library") from None


def load_packed(config: PdkConfig, corner: str, folder: Path = LIBERTY) -> str | None:
    """The text of a corner's Liberty, None where none is kept; SpecError when it is not what the manifest says."""
    path = packed_path(config, corner, folder)
    if not path.is_file():
        return None
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise SpecError(f"{path} must be a gzip file: {error}; make it again with: ./stillwater library") from None
    wanted = load_liberty_manifest(folder).libraries_sha256.get(path.name.removesuffix(".gz"))
    if hashlib.sha256(data).hexdigest() != wanted:
        raise SpecError(f"{path} must be the file of its manifest (SHA-256 {wanted}), and is another; make both again "
                        "with: ./stillwater library")
    return data.decode()


def install_liberty(config: PdkConfig, made: Path, folder: Path = LIBERTY) -> list[Path]:
    """Packs the libraries of all corners and their manifest from the folder `made`; the files written.

    SpecError when a corner is missing: files of several runs would not belong together.
    """
    sources = [made / Path(corner.liberty).name for corner in config.corners.values()]
    missing = [path.name for path in sources if not path.is_file()]
    if missing:
        raise SpecError(f"the libraries of all corners must be installed together, and {', '.join(missing)} is not in "
                        f"{made}; run: ./stillwater library")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sources:
        path = folder / f"{source.name}.gz"
        path.write_bytes(gzip.compress(source.read_bytes(), 9, mtime=0))
        written.append(path)
    (folder / LIBERTY_MANIFEST).write_bytes((made / LIBERTY_MANIFEST).read_bytes())
    return [*written, folder / LIBERTY_MANIFEST]


def cell_text(library: str, cell: str) -> str | None:
    """A cell's group out of the text of one of our libraries, None when it is not in it."""
    found = re.search(rf'^  cell \("{re.escape(cell)}"\) \{{$.*?^  \}}$', library, re.MULTILINE | re.DOTALL)
    return found[0] if found else None


def read_liberty_pins(text: str) -> dict[str, tuple[float, dict[str, str]]]:
    """Cell -> (area in um2, pin -> direction; supply pins have the direction "supply").

    >>> read_liberty_pins('cell ("a") { \\n area : 3.0; \\n pin ("X") { \\n direction : "input"; }')
    {'a': (3.0, {'X': 'input'})}
    """
    cells: dict[str, tuple[float, dict[str, str]]] = {}
    name = pin = ""
    for kind, argument, attribute, value in HEAD.findall(text):
        if kind == "cell":
            name, pin = argument, ""
            cells[name] = (0.0, {})
        elif kind and name:
            pin = argument
            cells[name][1][pin] = "supply" if kind == "pg_pin" else ""
        elif attribute == "area" and name:
            cells[name] = (float(value), cells[name][1])
        elif attribute == "direction" and pin:
            cells[name][1][pin] = value
    return cells


def compare_liberty(text: str, lef: Mapping[str, LefMacro], where: str) -> list[str]:
    """Cells, areas, pins and directions of a Liberty file against the LEF, a line for each difference."""
    found = []
    for cell, (area, pins) in read_liberty_pins(text).items():
        macro = lef.get(cell)
        if macro is None:
            found.append(f"{cell} is in the Liberty ({where}) and not in the LEF")
            continue
        size = macro.size_um[0] * macro.size_um[1]
        if abs(area - size) > AREA_TOLERANCE_UM2:
            found.append(f"{cell}: area is {area} um2 in the Liberty ({where}), {size:.4f} in the LEF")
        if pins.keys() != macro.pins.keys():
            differ = ", ".join(sorted(pins.keys() ^ macro.pins.keys()))
            found.append(f"{cell}: LEF and Liberty ({where}) differ in the pins {differ}")
        found += [f"{cell}: {pin} is {direction} in the Liberty ({where}), {macro.pins[pin].direction} in the LEF"
                  for pin, direction in pins.items()
                  if pin in macro.pins and direction != "supply" and DIRECTIONS[direction] != macro.pins[pin].direction]
    return found
