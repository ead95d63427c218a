"""The official KLayout design rule deck: runs it, counts its markers by rule."""

import os
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping
from pathlib import Path

from flow.step import Work
from golden.spec import SpecError

GROUPS = ("feol", "beol", "offgrid")
"""What the shuttle's precheck asks of the deck: front end, back end, manufacturing grid."""


REPORT = "drc.lyrdb"


def run_drc(work: Work, deck: Path, gds: Path, cell: str, groups: Collection[str] = GROUPS,
            n_threads: int | None = None) -> dict[str, int]:
    """Rule -> markers of a layout; only rules with markers are in it.

    n_threads: of KLayout; None: as many as there are cores.
    The report stays in the step's folder, for KLayout's marker browser. SpecError when the deck leaves no report.
    """
    report = work.folder / REPORT
    switches = [word for group in (*GROUPS, "seal", "floating_met")
                for word in ("-rd", f"{group}={str(group in groups).lower()}")]
    work.run_tool("klayout", "-b", "-r", deck, "-rd", f"input={gds}", "-rd", f"top_cell={cell}", "-rd",
                  f"report={report}", "-rd", f"thr={n_threads or os.cpu_count()}", *switches,
                  env={"KLAYOUT_HOME": str(work.folder), "QT_QPA_PLATFORM": "offscreen"})
    if not report.is_file():
        raise SpecError(f"{deck.name} left no report ({work.log})")
    return parse_drc_report(report.read_text(encoding="utf-8"), str(report))


def parse_drc_report(text: str, where: str) -> dict[str, int]:
    """Rule -> markers, out of a KLayout marker database. SpecError on what is none, or one without any rule."""
    try:
        database = ET.fromstring(text)
    except ET.ParseError as error:
        raise SpecError(f"not a KLayout marker database: {error} ({where})") from None
    rules = [(item.findtext("name") or "").strip("'") for item in database.iterfind("categories/category")]
    if not rules:
        raise SpecError(f"a marker database must name the rules that were checked, and this one names none ({where})")
    counts = dict.fromkeys(rules, 0)
    for item in database.iterfind("items/item"):
        rule = (item.findtext("category") or "").strip("'")
        counts[rule] = counts.get(rule, 0) + int(item.findtext("multiplicity") or 1)
    return {rule: count for rule, count in counts.items() if count}


def check_drc(markers: Mapping[str, int], where: str) -> None:
    """Raises SpecError on any marker, with the rules that have most."""
    if markers:
        worst = sorted(markers.items(), key=lambda item: (-item[1], item[0]))[:5]
        listed = ", ".join(f"{rule} ({count})" for rule, count in worst)
        raise SpecError(f"the layout must have 0 design rule markers, not {sum(markers.values())}: {listed} ({where})")
