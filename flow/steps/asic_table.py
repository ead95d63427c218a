"""What `./stillwater asic` ends with: is the layout clean, what did it become, and where the files are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flow.metrics import Metrics, Value
from flow.power.groups import GROUPS
from flow.step import input_name
from flow.tables import new_table, print_titled, table_console, verdict

Results = Mapping[str, Metrics]

CLEAN: tuple[tuple[str, str, str, str], ...] = (
    ("wires: opens, shorts, spacing", "wires", "route__drc_errors", ""),
    ("design rules: official deck, markers", "drc", "klayout__drc_error__count", ""),
    ("LVS: differences", "lvs", "design__lvs_error__count", ""),
    ("antennas: nets", "antenna", "antenna__violating__nets", ""),
    ("densities", "density", "density__error__count", ""),
    ("setup: endpoints, worst corner", "sta", "timing__setup_vio__count", ""),
    ("hold: endpoints, worst corner", "sta", "timing__hold_vio__count", ""),
    ("slews and loads beyond limits", "sta", "design__max_slew_violation__count", "design__max_cap_violation__count"),
    ("gates against golden: values", "gatesim", "gatesim__mismatch__count", ""),
)
"""What is counted, the stage that counts it, and its metrics; each must be 0."""


def print_asic(name: str, results: Results, folder: Path, corners: Mapping[str, str],
               console: Console | None = None) -> None:
    """The closing tables of one design. folder: build/<design>-<pdk>; corners: name -> process."""
    console = table_console(console)
    print_titled(console, f"Is {name} clean? What each gate found", clean_table(results))
    print_titled(console, f"What did {name} become?", figures_table(results))
    print_titled(console, "Timing, ns; the clock's tree and extracted wires in it", timing_table(results, corners))
    if "power" in results:
        print_titled(console, "Power at tt, mW; from the activity of real inference", power_table(results["power"]))
    for what, path in (("layout", "gds/{top}.gds"), ("picture", "gds/{top}.png")):
        for found in sorted(folder.glob(path.format(top="*"))):
            console.print(f"{what:<8} {input_name(found)}", soft_wrap=True)


def clean_table(results: Results) -> Table:
    """One line a gate; a stage that failed has raised, so what stands here has been measured."""
    table = new_table("gate", **{"": "left", "found": "right"})
    for what, stage, *keys in CLEAN:
        if stage in results:
            found = sum(int(results[stage][key]) for key in keys if key)
            table.add_row(what, verdict(found == 0), f"{found:,}")
    return table


def figures_table(results: Results) -> Table:
    """Area, cells, wires, clock, power: of the stages that ran."""
    table = new_table("figure", value="right")
    for what, stage, text in FIGURES:
        if stage in results:
            table.add_row(what, text(results[stage].__getitem__))
    return table


def timing_table(results: Results, corners: Mapping[str, str]) -> Table:
    """Worst slacks, skew and the shortest period of every corner."""
    table = new_table("corner", **dict.fromkeys(("setup", "hold", "skew", "shortest period"), "right"))
    for corner in corners if "sta" in results else ():
        values = (results["sta"][f"{key}__corner:{corner}"] for key in (
            "timing__setup__ws", "timing__hold__ws", "clock__skew__worst", "clock__period__shortest"))
        setup, hold, skew, period = values
        table.add_row(corner, f"{setup:+.3f}", f"{hold:+.3f}", f"{skew:.3f}", f"{period:.2f}")
    return table


def power_table(metrics: Metrics) -> Table:
    """Switching of wires, inside of cells, leakage; by group. Then energy."""
    table = new_table("group", **dict.fromkeys(("internal", "switching", "leakage", "sum"), "right"))
    kinds = ("internal", "switching", "leakage")
    for group in GROUPS:
        parts = [1000 * metrics[f"power__{kind}__group:{group}"] for kind in kinds]
        table.add_row(group.replace("_", " "), *(f"{part:.3f}" for part in (*parts, sum(parts))))
    sums = [1000 * metrics[f"power__{kind}__total"] for kind in kinds]
    table.add_row("all", *(f"{part:.3f}" for part in sums), f"{1000 * metrics['power__total']:.3f}", style="bold")
    return table


def die(value: Callable[[str], Value]) -> str:
    left, bottom, right, top = (float(number) for number in str(value("design__die__bbox")).split())
    return f"{right - left:.0f} x {top - bottom:.0f} um, {(right - left) * (top - bottom) / 1e6:.3f} mm2"


FIGURES: tuple[tuple[str, str, Callable[[Callable[[str], Value]], str]], ...] = (
    ("die", "floorplan", die),
    ("standard cells", "synthesis", lambda value: (
        f"{value('design__instance__count__stdcell'):,}, {value('design__instance__area__stdcell') / 1e6:.3f} mm2")),
    ("SRAM macros", "floorplan", lambda value: (
        f"{value('design__instance__count__macros')}, {value('design__instance__area__macros') / 1e6:.3f} mm2")),
    ("utilisation around the macros", "place", lambda value: f"{value('design__instance__utilization__stdcell'):.1%}"),
    ("clock tree", "clock", lambda value: (
        f"{value('clock__buffer__count')} buffers, {value('clock__level__count')} levels, "
        f"{value('clock__sink__count'):,} sinks")),
    ("wire", "route", lambda value: (
        f"{value('route__wirelength') / 1e3:,.0f} mm, {value('route__wirelength__detour'):.3f} x half perimeters, "
        f"{value('route__vias'):,} vias")),
    ("energy of a step, of an inference", "power", lambda value: (
        f"{value('energy__step_pj') / 1000:.2f} nJ, {value('energy__inference_pj') / 1000:.1f} nJ")),
)
"""What, the stage that measured it, and its text from the stage's metrics."""
