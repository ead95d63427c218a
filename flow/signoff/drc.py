"""The official rule decks on a finished layout, and where their markers are."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from flow.pdk.drc import REPORT, run_drc
from flow.step import Work
from flow.tool import ToolError
from flow.usage import metered
from golden.spec import SpecError

PARTS = (("beol",), ("feol", "offgrid"))
"""Groups of rules that a process checks; they take about the same time."""

ZERO_AREA = "zero_area"
N_SHOWN = 3


class Marker(NamedTuple):
    """A fault: its rule, the cell whose coordinates it is in, its middle."""

    rule: str
    cell: str
    x_um: float
    y_um: float


@dataclass(frozen=True)
class DrcReport:
    """Rule -> markers, of rules with any; their places; how many rules were checked."""

    counts: dict[str, int]
    markers: tuple[Marker, ...]
    n_rules: int

    @property
    def lines(self) -> list[str]:
        """A line for each rule, with some places."""
        return [f"{rule}: {count} markers, {', '.join(self._places(rule))}"
                for rule, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))]

    def _places(self, rule: str) -> list[str]:
        found = [marker for marker in self.markers if marker.rule == rule][:N_SHOWN]
        return [f"{marker.cell} at {marker.x_um:.3f}, {marker.y_um:.3f} um" for marker in found]


def run_rules(work: Work, deck: Path, gds: Path, top: str, parts: Sequence[Sequence[str]] = PARTS) -> DrcReport:
    """Every rule of the precheck's groups on the whole layout, some processes side by side.

    Each has a folder of its own, named by its groups, with its log and its report for KLayout's marker browser.
    """
    n_threads = max(1, (os.cpu_count() or 1) // len(parts))
    works = [Work(work.folder / "-".join(groups), work.config, work.inputs) for groups in parts]
    for part in works:
        part.folder.mkdir()
    with ThreadPoolExecutor(len(parts)) as pool:
        running = [pool.submit(metered(run_drc), part, deck, gds, top, groups, n_threads)
                   for part, groups in zip(works, parts, strict=True)]
        counts = sum((Counter(done.result()) for done in running), Counter())
    texts = {str(part.folder / REPORT): (part.folder / REPORT).read_text(encoding="utf-8") for part in works}
    markers = sorted(marker for where, text in texts.items() for marker in parse_markers(text, where))
    return DrcReport(dict(counts), tuple(markers), len({rule for text in texts.values() for rule in parse_rules(text)}))


def parse_rules(text: str) -> list[str]:
    """The rules that a marker database was asked to check."""
    return [(item.findtext("name") or "").strip("'") for item in ET.fromstring(text).iterfind("categories/category")]


def parse_markers(text: str, where: str) -> list[Marker]:
    """The markers of a KLayout marker database, each at the middle of what it draws; SpecError on one without a place.
    """
    found = []
    for item in ET.fromstring(text).iterfind("items/item"):
        points = [(float(x), float(y)) for value in item.iterfind("values/value")
                  for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", value.text or "")]
        rule, cell = ((item.findtext(key) or "").strip("'") for key in ("category", "cell"))
        if not points:
            raise SpecError(f"a marker must have a place, and one of {rule} has none ({where})")
        xs, ys = zip(*points, strict=True)
        found.append(Marker(rule, cell, round((min(xs) + max(xs)) / 2, 4), round((min(ys) + max(ys)) / 2, 4)))
    return found


def count_zero_areas(work: Work, deck: Path, gds: Path, top: str) -> int:
    """Shapes without an area and paths without a length, by the precheck's deck."""
    part = Work(work.folder / ZERO_AREA, work.config, work.inputs)
    part.folder.mkdir()
    try:
        part.run_tool("klayout", "-b", "-r", deck, "-rd", f"input={gds}", "-rd", f"top_cell_name={top}", "-rd",
                      f"report={part.folder / REPORT}",
                      env={"KLAYOUT_HOME": str(part.folder), "QT_QPA_PLATFORM": "offscreen"})
    except ToolError:                                    # the deck ends with its count as status
        if "total zero-area objects" not in part.log.read_text(encoding="utf-8", errors="replace"):
            raise
    return parse_zero_areas(part.log.read_text(encoding="utf-8", errors="replace"), str(part.log))


def parse_zero_areas(text: str, where: str) -> int:
    """The count in the deck's last line.

    >>> parse_zero_areas("0 zero-area shapes\\n2 total zero-area objects,  0 total objects deleted.", "log")
    2
    """
    found = re.findall(r"^(\d+) total zero-area objects", text, re.MULTILINE)
    if len(found) != 1:
        raise SpecError(f"the zero area deck must print one count, and printed {len(found)} ({where})")
    return int(found[0])
