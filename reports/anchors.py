"""Published figures that stand beside a design's: reports/anchors.yaml, each with its source."""

from __future__ import annotations

from pathlib import Path

import msgspec

from golden.spec import SpecError
from golden.yaml_file import load_yaml

FILE = Path(__file__).parent / "anchors.yaml"


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was published of a design; null where it was not. follows: how a number follows from published ones."""

    clock_mhz: float | None = None
    area_mm2: float | None = None
    power_mw: float | None = None
    gops: float | None = None
    gops_w: float | None = None
    gops_mm2: float | None = None
    utilisation: float | None = None
    follows: str = ""


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A published design. scaled: its numbers at 130 nm and 1.8 V, by the rule in `scaled.follows`."""

    name: str
    process: str
    what: str
    source: str
    published: Numbers
    scaled: Numbers | None = None


def load_anchors(path: Path = FILE) -> list[Anchor]:
    """SpecError where the file is not as it must be, or a scaled number does not say its rule."""
    try:
        anchors = msgspec.convert(load_yaml(path), list[Anchor])
    except msgspec.ValidationError as error:
        raise SpecError(f"{error} ({path})") from None
    for anchor in anchors:
        if anchor.scaled is not None and not anchor.scaled.follows:
            raise SpecError(f"scaled numbers must say their rule in `follows` ({path}: {anchor.name})")
    return anchors
