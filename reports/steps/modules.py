"""Area by module and class of cell, and the picture of the placed design in the modules' colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec
from PIL import Image, ImageDraw

from flow.characterise.liberty_read import load_liberty
from flow.chip import Chip
from flow.gates.circuit import build_circuit
from flow.gates.functions import CellFunction, cell_functions
from flow.gates.load import CORNER, macro_specs
from flow.metrics import Metrics, Value
from flow.physical.abstract import CellAbstract, load_cells
from flow.physical.def_read import load_def
from flow.physical.design import Design, outline
from flow.physical.netlist import Netlist
from flow.physical.technology import TECH_LEF, load_technology
from flow.power.groups import group_of, modules_of
from flow.step import Step, Work, run_step_once, sources_sha256
from reports.parts import LANE_COLOURS, LANES, PARTS, REST, part_of
from reports.steps.lanes import lanes_of

STEP = "modules"
PICTURE, MACROS = "modules.png", "macros.json"
SOURCES = ("flow/power/groups.py", "flow/gates/*.py", "flow/physical/*.py", "reports/parts.py",
           "reports/steps/modules.py", "reports/steps/lanes.py")
LONGER_SIDE_PX = 2000
FRAME = (128, 128, 128)
FILL = (214, 214, 214)
NAMED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("decap and fill", ("decap", "fill")), ("taps", ("tap",)), ("diodes", ("diode",)), ("ties", ("conb",)),
    ("clock gates", ("dlclk", "sdlclk")), ("flip-flops", ("df", "edf", "sdf")), ("latches", ("dlx", "dlr")),
    ("buffers", ("buf", "clkbuf", "dlygate", "dlymetal", "clkdlybuf", "bufbuf", "probe")),
    ("inverters", ("inv", "clkinv", "bufinv", "einv")), ("adders", ("fa", "ha")),
    ("multiplexers", ("mux",)),
)
"""Class: how its cells' names begin behind the library's prefix."""
GATES, SRAM = "other gates", "SRAM macros"


def run_modules(chip: Chip) -> Metrics:
    """Of the finished layout, into build/<design>-report/modules, unless it is there already."""
    layout = chip.result("gds", f"{chip.top}.def")
    views = list(chip.macro_views.values())
    step = Step(STEP, run=partial(measure, chip), required_metrics=("design__instance__area__part:memory",))
    config = {"design": chip.design.name, "sources_sha256": sources_sha256(SOURCES, ("pillow",))}
    inputs = [layout, chip.pdk.liberty(CORNER), chip.pdk.view(TECH_LEF), chip.pdk.view("lef"), *views]
    return run_step_once(step, chip.build / f"{chip.design.name}-report" / STEP, config=config, inputs=inputs)


def measure(chip: Chip, work: Work) -> dict[str, Value]:
    """Metrics, um2; the picture and the macros' places go into the step's folder."""
    layout, liberty, _, _, *views = work.inputs
    cells = load_cells(chip.pdk, views)
    design = load_def(layout, load_technology(chip.pdk))
    modules, groups = owners(chip, design.netlist, cells, liberty)
    lanes = lanes_of(design.netlist, cells, groups, chip.design.datapath.lanes_per_bank)
    draw_modules(design, cells, modules, lanes, work.folder / PICTURE)
    write_macros(design, cells, work.folder / MACROS)
    return area_values(design, cells, modules, groups)


def owners(chip: Chip, netlist: Netlist, cells: Mapping[str, CellAbstract],
           liberty: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Instance -> module, instance -> group, as the power step has them."""
    macros = macro_specs(chip.design, netlist, cells)
    used = sorted(set(netlist.instances.values()) - set(macros))
    functions: Mapping[str, CellFunction] = cell_functions(load_liberty(liberty, set(used)), used, str(liberty))
    groups = group_of(netlist, functions, frozenset(macros), build_circuit(netlist, functions, macros))
    return modules_of(netlist, functions, groups), groups


def class_of(cell: str, is_macro: bool = False) -> str:
    """What kind of cell it is, by its name.

    >>> [class_of("sky130_fd_sc_hd__" + name) for name in ("dlclkp_1", "dlygate4sd3_1", "dfxtp_1", "fa_1", "o21ai_1")]
    ['clock gates', 'buffers', 'flip-flops', 'adders', 'other gates']
    """
    if is_macro:
        return SRAM
    stem = cell.partition("__")[2]
    return next((name for name, starts in NAMED if stem.startswith(starts)), GATES)


def area_values(design: Design, cells: Mapping[str, CellAbstract], modules: Mapping[str, str],
                groups: Mapping[str, str]) -> dict[str, Value]:
    """Sums over what is placed, um2: by module and group, by part, by class of cell."""
    area: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for name, placed in design.placement.instances.items():
        um2 = cells[placed.cell].area / 1e6
        kind = class_of(placed.cell, cells[placed.cell].is_macro).replace(" ", "_")
        keys = [f"class:{kind}"]
        if name in modules:
            keys += [f"module:{modules[name]}", f"group:{groups[name]}",
                     f"part:{part_of(modules[name]).name.replace(' ', '_')}"]
        for key in keys:
            area[key] += um2
            count[key] += 1
    for part in (*PARTS, REST):
        area.setdefault(f"part:{part.name.replace(' ', '_')}", 0.0)
    values: dict[str, Value] = {f"design__instance__area__{key}": round(um2, 4) for key, um2 in area.items()}
    return values | {f"design__instance__count__{key}": count[key] for key in area}


def draw_modules(design: Design, cells: Mapping[str, CellAbstract], modules: Mapping[str, str],
                 lanes: Mapping[str, int], png: Path) -> None:
    """Every placed cell in the colour of its part, of a MAC lane in one of its shades, fill in light grey, the rest
    transparent."""
    die = design.placement.die
    scale = LONGER_SIDE_PX / max(die.x1 - die.x0, die.y1 - die.y0)
    parts = (*PARTS, REST)
    palette = [(255, 255, 255), FRAME, FILL, *(part.colour for part in parts), *LANE_COLOURS]
    numbers = {part.name: at for at, part in enumerate(parts, 3)}
    first_shade = 3 + len(parts)
    size = round((die.x1 - die.x0) * scale), round((die.y1 - die.y0) * scale)
    image = Image.new("P", size, 0)
    image.putpalette([channel for colour in palette for channel in colour])
    draw = ImageDraw.Draw(image)
    for name, box in boxes(design, cells):
        part = part_of(modules[name]) if name in modules else None
        kind = 2 if part is None else numbers[part.name]
        if part is LANES and name in lanes:
            kind = first_shade + lanes[name] % len(LANE_COLOURS)
        left, right = (round((x - die.x0) * scale) for x in (box[0], box[2]))
        top, bottom = (round((die.y1 - y) * scale) for y in (box[3], box[1]))
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 2)), fill=kind)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=1)
    image.save(png, optimize=True, transparency=0)


def boxes(design: Design, cells: Mapping[str, CellAbstract]) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """(instance, (x0, y0, x1, y1) nm), what is physical only first."""
    placed = design.placement.instances
    for name in sorted(placed, key=lambda name: (name in design.netlist.instances, name)):
        box = outline(placed[name], cells[placed[name].cell])
        yield name, (box.x0, box.y0, box.x1, box.y1)


def write_macros(design: Design, cells: Mapping[str, CellAbstract], path: Path) -> None:
    """Where the macros are, in parts of the die from its upper left corner, for the names on the pictures."""
    die = design.placement.die
    width, height = die.x1 - die.x0, die.y1 - die.y0
    rows = []
    for name, box in boxes(design, cells):
        cell = design.placement.instances[name].cell
        if cells[cell].is_macro:
            rows.append({"name": name, "cell": cell, "left": round((box[0] - die.x0) / width, 5),
                         "top": round((die.y1 - box[3]) / height, 5), "width": round((box[2] - box[0]) / width, 5),
                         "height": round((box[3] - box[1]) / height, 5)})
    content = {"die_um": [width / 1000, height / 1000], "macros": rows}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
