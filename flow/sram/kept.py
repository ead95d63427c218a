"""Measurements of macros that are kept with the project, so that nobody has to wait for them.

pdk_configs/sram/<macro>.json has what `./stillwater sramlib` measured at every corner, and the hashes of the layout and
the netlist that it measured. The numbers hold for a macro that is generated with the same bytes, and for no other. The
macro itself is made at build time and never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from flow.pdk.config import CONFIGS
from flow.sram.result import MacroResult
from flow.sram.spec import SramSpec
from flow.step import file_sha256
from golden.spec import SpecError

KEPT = CONFIGS / "sram"


class KeptMacro(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Corner -> what was measured, of the macro whose GDS and CDL have these hashes."""

    gds_sha256: str
    cdl_sha256: str
    corners: dict[str, MacroResult]


def kept_path(spec: SramSpec, folder: Path = KEPT) -> Path:
    return folder / f"{spec.name}.json"


def load_kept(spec: SramSpec, gds: Path, cdl: Path, folder: Path = KEPT) -> dict[str, MacroResult] | None:
    """Corner -> numbers that are kept of exactly this macro; None where there are none. SpecError for a broken file."""
    path = kept_path(spec, folder)
    if not path.is_file():
        return None
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=KeptMacro)
    except msgspec.MsgspecError as error:
        raise SpecError(f"kept measurements must be as they were written: {error} ({path}); make them again with: "
                        f"./stillwater sramlib words={spec.shape} keep=yes") from None
    same = (kept.gds_sha256, kept.cdl_sha256) == (file_sha256(gds), file_sha256(cdl))
    return dict(kept.corners) if same else None


def write_kept(spec: SramSpec, gds: Path, cdl: Path, results: Mapping[str, MacroResult], folder: Path = KEPT) -> Path:
    """Keeps the numbers of a macro; the same numbers give the same bytes."""
    kept = KeptMacro(file_sha256(gds), file_sha256(cdl), dict(sorted(results.items())))
    path = kept_path(spec, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
    return path
