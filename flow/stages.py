"""The stages of a layout, in order: what each reads, runs and says. The work is in flow/steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flow.chip import Chip
from flow.extract.corners import rc_corner
from flow.metrics import Metrics
from flow.signoff.extract import METALS
from flow.steps.antenna import run_antenna
from flow.steps.clock import run_clock
from flow.steps.density import run_density
from flow.steps.drc import run_drc
from flow.steps.extract import run_extract, spef_path
from flow.steps.floorplan import run_floorplan
from flow.steps.gatesim import run_gatesim
from flow.steps.gds import run_gds
from flow.steps.hold import run_hold
from flow.steps.lvs import run_lvs
from flow.steps.place import run_place
from flow.steps.power import run_power
from flow.steps.repair import run_repair
from flow.steps.route import Mending, run_route
from flow.steps.sram import run_sram, run_timing
from flow.steps.sta import run_sta
from flow.steps.synthesis import run_equivalence, run_synthesis
from flow.steps.wires import run_wires
from golden.spec import SpecError


@dataclass(frozen=True)
class Stage:
    """One line of the list.

    after: the stages whose results it reads.
    say:   its result in a few words, from its metrics.
    """

    name: str
    after: tuple[str, ...]
    run: Callable[[Chip], Metrics]
    say: Callable[[Metrics], str]


def sram(chip: Chip) -> Metrics:
    """Views, design rules and LVS of the macros, then their Liberty."""
    [spec] = chip.macros
    run_sram(spec, chip.pdk, chip.build)
    return run_timing(spec, chip.pdk, chip.build)


def synthesis(chip: Chip) -> Metrics:
    return run_synthesis(chip.design, chip.file, chip.pdk, chip.build, chip.spec.synthesis)


def equivalence(chip: Chip) -> Metrics:
    return run_equivalence(chip.design, chip.pdk, chip.build, chip.spec.synthesis)


def floorplan(chip: Chip) -> Metrics:
    return run_floorplan(chip.top, chip.result("synthesis", "netlist.v"), chip.pdk, list(chip.macro_views.values()),
                         chip.folder, chip.spec.floorplan)


def place(chip: Chip) -> Metrics:
    return run_place(chip.pdk, chip.macro_views, chip.folder, chip.spec.place)


def repair(chip: Chip) -> Metrics:
    return run_repair(chip.result("place", "place.def"), chip.pdk, chip.macro_views, chip.folder, chip.spec.timing,
                      chip.spec.repair, chip.spec.place)


def clock(chip: Chip) -> Metrics:
    return run_clock(chip.result("repair", "repair.def"), chip.pdk, chip.macro_views, chip.folder, chip.spec.clock)


def hold(chip: Chip) -> Metrics:
    return run_hold(chip.result("clock", "clock.def"), chip.pdk, chip.macro_views, chip.folder, chip.spec.timing,
                    chip.spec.hold, chip.spec.repair)


def route(chip: Chip) -> Metrics:
    return run_route(chip.result("hold", "hold.def"), chip.pdk, chip.macro_views, chip.folder, chip.spec.route,
                     Mending(chip.spec.timing, chip.spec.repair))


def wires(chip: Chip) -> Metrics:
    return run_wires(chip.result("route", "route.def"), chip.pdk, chip.macro_views, chip.folder)


def gds(chip: Chip) -> Metrics:
    return run_gds(chip.result("route", "route.def"), chip.pdk, chip.macro_views, chip.folder)


def final(chip: Chip) -> Path:
    """The finished layout as DEF, with the netlist in it."""
    return chip.result("gds", f"{chip.top}.def")


def extract(chip: Chip) -> Metrics:
    return run_extract(final(chip), chip.pdk, chip.macro_views, chip.folder)


def sta(chip: Chip) -> Metrics:
    spefs = {name: spef_path(chip.folder, chip.top, rc_corner(corner))
             for name, corner in chip.pdk.config.corners.items()}
    return run_sta(final(chip), chip.pdk, chip.macro_views, chip.folder, chip.spec.timing, spefs)


def gatesim(chip: Chip) -> Metrics:
    """Of the routed layout: gds adds cells without signals to it, and reads and writes the same netlist."""
    return run_gatesim(chip.design, chip.result("route", "route.def"), chip.pdk, chip.macro_views, chip.folder,
                       chip.spec.gatesim)


def drc(chip: Chip) -> Metrics:
    return run_drc(final(chip), chip.pdk, chip.folder)


def antenna(chip: Chip) -> Metrics:
    return run_antenna(final(chip), chip.pdk, chip.macro_views, chip.folder)


def density(chip: Chip) -> Metrics:
    return run_density(final(chip), chip.pdk, chip.folder)


def lvs(chip: Chip) -> Metrics:
    return run_lvs(final(chip), chip.pdk, chip.macro_views, chip.folder)


def power(chip: Chip) -> Metrics:
    """Of the finished layout; SpecError when gatesim has simulated another netlist than is in it."""
    metrics = run_power(chip.design, final(chip), chip.pdk, chip.macro_views, chip.folder, chip.spec.power,
                        spef_path(chip.folder, chip.top, "nom"))
    simulated, finished = (chip.result(stage, "netlist.v") for stage in ("gatesim", "power"))
    if simulated.read_bytes() != finished.read_bytes():
        raise SpecError(f"the simulated netlist must be that of the finished layout, and {simulated} is not {finished}")
    return metrics


STAGES = (
    Stage("synthesis", (), synthesis, lambda m: (
        f"{m['design__instance__count']:,} cells, {m['design__instance__area__stdcell'] / 1e6:.3f} mm2")),
    Stage("equivalence", ("synthesis",), equivalence, lambda m: (
        f"{m['synthesis__equivalence__register__count']:,} registers and "
        f"{m['synthesis__equivalence__output__count']:,} outputs proved equal to the RTL")),
    Stage("floorplan", ("synthesis",), floorplan, lambda m: (
        f"{m['design__die__area'] / 1e6:.3f} mm2, {m['design__rows']} rows, "
        f"{m['design__instance__utilization__stdcell']:.1%} full")),
    Stage("place", ("floorplan",), place, lambda m: (
        f"{m['route__wirelength__estimated'] / 1e3:,.0f} mm of wire estimated")),
    Stage("repair", ("place",), repair, lambda m: (
        f"{m['design__buffer__count']:,} buffers, {m['design__resized__count']:,} cells of another size, setup "
        f"{m['timing__setup__ws']:+.2f} ns")),
    Stage("clock", ("repair",), clock, lambda m: (
        f"{m['clock__sink__count']:,} sinks, {m['clock__buffer__count']} buffers on {m['clock__level__count']} levels, "
        f"skew {m['clock__skew__worst'] * 1000:.0f} ps")),
    Stage("hold", ("clock",), hold, lambda m: (
        f"{m['design__hold_buffer__count']:,} delay cells, hold {m['timing__hold__ws']:+.3f} ns, setup "
        f"{m['timing__setup__ws']:+.2f} ns")),
    Stage("route", ("hold",), route, lambda m: (
        f"{m['route__net']:,} nets, {m['route__wirelength'] / 1e3:,.0f} mm, {m['route__wirelength__detour']:.3f} x "
        f"half perimeters, {m['antenna__violating__nets']} antennas")),
    Stage("gds", ("route",), gds, lambda m: f"{m['design__instance__count__fill']:,} fill cells"),
    Stage("wires", ("route",), wires, lambda m: (
        f"{m['route__net']:,} nets, {m['route__drc_errors']} opens, shorts or shapes too near")),
    Stage("gatesim", ("route",), gatesim, lambda m: (
        f"{m['gatesim__compared__count']:,} values of {m['gatesim__sequence__count']:,} sequences equal to golden, "
        f"{m['gatesim__compared__count__simulator:icarus']:,} under Icarus")),
    Stage("drc", ("gds",), drc, lambda m: (
        f"{m['klayout__drc_error__count']} markers of {m['klayout__drc_rule__count']} rules")),
    Stage("extract", ("gds",), extract, lambda m: (
        f"{m['extract__wire__capacitance__total__corner:nom'] / 1000:.1f} pF of wires, "
        f"{m['extract__net__count']:,} nets")),
    Stage("sta", ("extract",), sta, lambda m: (
        f"setup {m['timing__setup__ws']:+.2f} ns, hold {m['timing__hold__ws']:+.2f} ns at {m['clock__period']:g} ns; "
        f"shortest period {m['clock__period__shortest']:.2f} ns")),
    Stage("lvs", ("gds",), lvs, lambda m: (
        f"{m['design__lvs__device__count']:,} devices, {m['design__lvs_error__count']} differences")),
    Stage("antenna", ("gds",), antenna, lambda m: (
        f"{m['antenna__checked__gates']:,} gates, the worst at {m['antenna__worst__ratio']:.0%} of what is allowed")),
    Stage("density", ("gds",), density, lambda m: "metal " + ", ".join(
        f"{m[f'density__{metal}']:.0%}" for metal in METALS)),
    Stage("power", ("extract", "gatesim"), power, lambda m: (
        f"{m['power__total'] * 1000:.2f} mW at tt, {m['energy__step_pj'] / 1000:.2f} nJ a step, "
        f"{m['energy__inference_pj'] / 1000:.1f} nJ an inference")),
)
"""In the order of the way; flow.asic runs side by side what does not wait for each other."""

SRAM = Stage("sram", (), sram, lambda m: f"{m['sram__liberty__corner__count']} corners of Liberty")
"""Before the others where the design has macros."""


def stages_of(chip: Chip) -> tuple[Stage, ...]:
    """The design's list."""
    if not chip.macros:
        return STAGES
    first, *rest = STAGES
    return (SRAM, Stage(first.name, ("sram",), first.run, first.say), *rest)
