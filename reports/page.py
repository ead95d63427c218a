"""The pages: one self-contained HTML file a design, and the index of several. No network, no time, same bytes."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.anchors import Anchor
from reports.baseline import Difference, failures
from reports.parts import PARTS, REST, part_of
from reports.plots import across, section_plots
from reports.schema import Ppa
from reports.texts import number_text, share_text, unit_text, value_text

TEMPLATES = Path(__file__).parent / "templates"
FIVE = ("headline.area", "headline.clock", "headline.power", "headline.latency", "headline.energy")
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("where", "Where it goes", ("area", "power", "cycles", "timing", "wire", "clock")),
    ("accuracy", "Accuracy", ("accuracy",)),
    ("context", "In context", ("context",)),
)
"""Anchor, heading, and the first parts of the keys of its figures."""
COLUMNS = ("clock, MHz", "area, mm²", "power, mW", "GOPS", "GOPS/W", "GOPS/mm²", "useful, %")
N_WORST = 5
COMPARED = (
    ("accuracy.int", "accuracy"), ("headline.area", "die"), ("area.sram", "SRAM"), ("headline.clock", "slow clock"),
    ("headline.power", "power"), ("headline.latency", "step"), ("headline.energy", "inference"),
    ("context.gops", "useful"), ("context.gops_w", "a watt"), ("context.gops_mm2.die", "a mm²"),
    ("cycles.utilisation", "MACs used"),
)
VERDICTS = {"pass": "Right and clean", "fail": "Not right or not clean", "incomplete": "Not all of it was measured"}


@cache
def environment() -> Environment:
    """Templates with everything escaped that is not marked as HTML, and an error for a name that is not there."""
    found = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    found.globals.update(number=number_text, unit_text=unit_text, value_text=value_text,
                         style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
                         zoom=Markup((TEMPLATES / "zoom.js").read_text(encoding="utf-8")), cells=cells_text,
                         share=share_text, columns=COLUMNS)
    return found


def design_page(ppa: Ppa, pictures: dict[str, Path], macros: Path, anchors: list[Anchor],
                differences: list[Difference] | None, tools: list[str]) -> str:
    """HTML of one design. pictures: "gds" and "modules" -> a PNG, those that are there. macros: macros.json of step
    modules. differences: to the baseline, None without one; tools: those of another version than it had."""
    plots = {name: [{"title": plot.title, "svg": Markup(plot.svg), "caption": plot.caption, "keys": plot.keys}
                    for plot in found] for name, found in section_plots(ppa, anchors).items()}
    sections = [{"id": name, "title": title, "plots": plots[name],
                 "figures": {key: figure for key, figure in ppa.figures.items() if key.split(".")[0] in parts}}
                for name, title, parts in SECTIONS]
    worst = worst_paths(ppa)
    return environment().get_template("design.html.j2").render(
        ppa=ppa, five=[(key, ppa.figures[key]) for key in FIVE], sections=sections, verdict=VERDICTS[ppa.verdict],
        said=verdict_text(ppa), images=[image(name, path, macros) for name, path in pictures.items()],
        anchors=anchors, layers=layer_rows(ppa), modules=module_rows(ppa), worst_paths=worst,
        other_paths=[at for at in range(len(ppa.paths)) if at not in worst], parts=(*PARTS, REST),
        differences=differences, tools=tools,
        missing=[step for step, record in ppa.steps.items() if record.missing],
        stale=[step for step, record in ppa.steps.items() if record.stale])


def worst_paths(ppa: Ppa) -> list[int]:
    """The first of each check: they are sorted, the worst first."""
    return [at for check in ("setup", "hold")
            for at in [at for at, path in enumerate(ppa.paths) if path.check == check][:N_WORST]]


def module_rows(ppa: Ppa) -> list[dict[str, Any]]:
    """Modules with their area and power and the shares of both, the largest first; fill is in none of them."""
    areas = {key.removeprefix("area.module."): float(figure.value) for key, figure in ppa.figures.items()
             if key.startswith("area.module.") and figure.value is not None}
    powers = {key.removeprefix("power.module."): float(figure.value) for key, figure in ppa.figures.items()
              if key.startswith("power.module.") and figure.value is not None}
    rows = []
    for name, area in sorted(areas.items(), key=lambda item: (-item[1], item[0])):
        power = powers.get(name)
        rows.append({"name": name, "part": part_of(name).name, "area": area, "power": power,
                     "area_share": 100 * area / sum(areas.values()),
                     "power_share": None if power is None else 100 * power / sum(powers.values())})
    return rows


def layer_rows(ppa: Ppa) -> list[dict[str, Any]]:
    """Inputs, pre-activations, states and outputs with their errors and how often they were limited."""
    names = [key.removeprefix("accuracy.saturated.") for key in ppa.figures if key.startswith("accuracy.saturated.")]
    names.sort(key=row_order)
    return [{"name": row_name(ppa, name), "rms": ppa.figures.get(f"accuracy.rms.{name}"),
             "max": ppa.figures.get(f"accuracy.max.{name}"), "saturated": ppa.figures[f"accuracy.saturated.{name}"],
             "of": ppa.figures[f"accuracy.saturated_of.{name}"]} for name in names]


def row_order(name: str) -> tuple[int, int, str]:
    """x first, y last, layers between them, pre-activations before states.

    >>> sorted(["c0", "y", "preact0", "h1", "h0", "x"], key=row_order)
    ['x', 'preact0', 'c0', 'h0', 'h1', 'y']
    """
    kind = name.rstrip("0123456789")
    layer = int(name[len(kind):] or 0)
    return {"x": 0, "y": 2}.get(kind, 1), layer, "" if kind == "preact" else kind


def row_name(ppa: Ppa, name: str) -> str:
    """What a row of the layers' table is called."""
    if f"error.{name}" in ppa.series:
        return ppa.series[f"error.{name}"].label
    return "x, the inputs (s8.7)" if name == "x" else f"pre-activations of layer {int(name[6:]) + 1} (16 bits)"


def index_page(rows: list[tuple[Ppa, list[Difference] | None]]) -> str:
    """HTML of several designs: a table, and scatter plots of those whose figures are there."""
    plots = [{"title": plot.title, "svg": Markup(plot.svg), "caption": plot.caption, "keys": plot.keys}
             for plot in across([ppa for ppa, _ in rows])]
    return environment().get_template("index.html.j2").render(
        rows=[(ppa, difference_text(differences)) for ppa, differences in rows],
        keys=[(key, label) for key, label in COMPARED], plots=plots)


def difference_text(differences: list[Difference] | None) -> tuple[str, str]:
    """(class, words) of a comparison with the baseline.

    >>> difference_text(None)
    ('muted', 'no baseline')
    """
    if differences is None:
        return "muted", "no baseline"
    worse = failures(differences)
    if worse:
        return "worse", f"{len(worse)} beyond tolerance"
    better = sum(row.state == "better" for row in differences)
    return ("better", f"{better} better") if better else ("passed", "as expected")


def verdict_text(ppa: Ppa) -> str:
    """The verdict in a sentence."""
    failed = [check.label for check in ppa.checks.values() if check.passed is False]
    open_ = [check.label for check in ppa.checks.values() if check.passed is None]
    if failed:
        return f"Failed: {'; '.join(failed)}."
    if not open_ and ppa.verdict == "incomplete":
        return "Every gate passed once, but files that steps have read were changed since: it has to run again."
    if len(open_) == len(ppa.checks):
        return f"Nothing of it has been run here: ./stillwater asic design={ppa.design} does."
    if open_:
        return f"What was measured passed; missing: {'; '.join(open_)}."
    return ("Golden, PyRTL, Verilog and the routed gates agree bit for bit; design rules, LVS, antennas and timing "
            "leave nothing open.")


def image(name: str, path: Path, macros: Path) -> dict[str, Any]:
    """A picture as a data URI with its size and the macros' names."""
    content = path.read_bytes()
    width, height = (int.from_bytes(content[at:at + 4], "big") for at in (16, 20))
    try:
        placed = json.loads(macros.read_bytes())
    except (OSError, ValueError):
        placed = {"macros": [], "die_um": None}
    return {"name": name, "uri": "data:image/png;base64," + base64.b64encode(content).decode(), "width": width,
            "height": height, "ratio": round(width / height, 5), "macros": placed["macros"], "die_um": placed["die_um"]}


def cells_text(cells: list[str]) -> str:
    """The cells of a path, repeated ones counted.

    >>> cells_text(["dfxtp_1", "buf_2", "buf_2", "mux2_1"])
    'dfxtp_1 → buf_2 ×2 → mux2_1'
    """
    runs: list[list] = []
    for cell in cells:
        if runs and runs[-1][0] == cell:
            runs[-1][1] += 1
        else:
            runs.append([cell, 1])
    return " → ".join(cell if count == 1 else f"{cell} ×{count}" for cell, count in runs)
