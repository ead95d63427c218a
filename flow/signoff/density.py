"""How much of a layout each mask covers, whole and by windows, and the official limits.

The precheck's deck asks for a least *clear* area of the whole layout: at most 60 % of li1 to met4, 76 % of met5. The
tech LEF bounds met1 to met4 in windows as well: 70 % of 700 x 700 um, in steps of 70 um. Neither has a lower limit;
the least densities of the process hold for a whole chip, whose fill is generated when blocks are put together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import klayout.db as kdb
import numpy as np

from flow.pdk.config import PdkConfig
from flow.physical.geometry import NM_PER_UM, Rect
from flow.signoff.extract import METALS
from flow.tool import run_tool
from golden.spec import SpecError

MASKS = ("diff", "tap", "poly", *METALS)


@dataclass(frozen=True)
class WindowRule:
    """The largest share of a window that a metal may cover; lengths um."""

    largest: float
    window_um: float
    step_um: float


@dataclass(frozen=True)
class Density:
    """A mask's share of the die, and of its sparsest and densest window."""

    whole: float
    least: float
    most: float


def parse_window_rules(text: str, where: str) -> dict[str, WindowRule]:
    """Metal -> its rule in a tech LEF; SpecError when no metal has one."""
    rules = {}
    for name in METALS:
        block = re.search(rf"^LAYER {name}$(.*?)^END {name}$", text, re.MULTILINE | re.DOTALL)
        found = [re.search(rf"^\s+{key} ([\d.]+)", block[1] if block else "", re.MULTILINE)
                 for key in ("MAXIMUMDENSITY", "DENSITYCHECKWINDOW", "DENSITYCHECKSTEP")]
        if all(found):
            largest, window, step = (float(match[1]) for match in found)
            rules[name] = WindowRule(largest / 100, window, step)
    if not rules:
        raise SpecError(f"the tech LEF must have a MAXIMUMDENSITY of some metal, and has none ({where})")
    return rules


def measure_density(layout: kdb.Layout, top: kdb.Cell, pdk: PdkConfig, die: Rect, window_um: float,
                    step_um: float) -> dict[str, Density]:
    """Of every mask; a die that is smaller than a window is one window."""
    step = round(step_um * NM_PER_UM)
    columns, rows = -(-die.width // step), -(-die.height // step)
    tile = np.outer(np.minimum(step, die.height - step * np.arange(rows)),
                    np.minimum(step, die.width - step * np.arange(columns))).astype(float)
    found = {}
    for name in MASKS:
        region = kdb.Region(top.begin_shapes_rec(layout.layer(*pdk.drawing(name)))).merged()
        covered = np.array(region.rasterize(kdb.Point(die.x0, die.y0), kdb.Vector(step, step), columns, rows), float)
        shares = _windows(covered, round(window_um / step_um)) / _windows(tile, round(window_um / step_um))
        found[name] = Density(float(covered.sum() / die.area), float(shares.min()), float(shares.max()))
    return found


def _windows(tiles: np.ndarray, size: int) -> np.ndarray:
    """The sums of all windows of size x size tiles (of all tiles where there are fewer)."""
    sums = np.zeros((tiles.shape[0] + 1, tiles.shape[1] + 1))
    sums[1:, 1:] = tiles.cumsum(0).cumsum(1)
    high, wide = (min(size, length) for length in tiles.shape)
    return sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]


def run_density_deck(folder: Path, deck: Path, gds: Path, top: str) -> tuple[dict[str, float], list[str]]:
    """Metal -> the clear share that the precheck's deck computes, and the rules that are broken."""
    report, log = folder / "density.lyrdb", folder / "density.log"
    run_tool(["klayout", "-b", "-r", deck, "-rd", f"input={gds}", "-rd", f"top_cell={top}", "-rd", f"report={report}"],
             log, cwd=folder, env={"KLAYOUT_HOME": str(folder), "QT_QPA_PLATFORM": "offscreen"})
    if not report.is_file():
        raise SpecError(f"{deck.name} left no report ({log})")
    clear = parse_clear_areas(log.read_text(encoding="utf-8", errors="replace"), str(log))
    text = report.read_text(encoding="utf-8")
    return clear, sorted(set(re.findall(r"<category>'?([\w.]+)'?</category>", text)))


def parse_clear_areas(text: str, where: str) -> dict[str, float]:
    """Metal -> clear share, out of the deck's log; SpecError when a metal is missing.

    >>> sorted(parse_clear_areas("".join(f"{m}_ca_density is 0.5\\n" for m in "li1 m1 m2 m3 m4 m5".split()), ""))
    ['li1', 'met1', 'met2', 'met3', 'met4', 'met5']
    """
    found = {name.replace("m", "met") if name != "li1" else name: float(share)
             for name, share in re.findall(r"^(li1|m\d)_ca_density is (-?[\d.e-]+)", text, re.MULTILINE)}
    missing = [name for name in METALS if name not in found]
    if missing:
        raise SpecError(f"the density deck must print the clear area of {', '.join(missing)}, and does not ({where})")
    return found
