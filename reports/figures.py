"""The figures of a report: which metric of which step each one is, or how it follows from others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flow.power.groups import GROUPS
from flow.steps.sim_table import LANE_CYCLES
from reports.collect import Tree, derived, figure
from reports.parts import PARTS, REST, part_of
from reports.schema import Figure, Source

Figures = dict[str, Figure]
MM2, MILLI, MICRO, KILO = 1e-6, 1e3, 1e6, 1e-3

DIRECT: tuple[tuple[str, str, str, str, str, float | None], ...] = (
    ("accuracy.float", "float accuracy", "%", "sim", "accuracy__float__fraction", 100),
    ("accuracy.int", "integer accuracy", "%", "sim", "accuracy__int__fraction", 100),
    ("accuracy.int_low", "its 95 % interval from", "%", "sim", "accuracy__int__low", 100),
    ("accuracy.int_high", "to", "%", "sim", "accuracy__int__high", 100),
    ("accuracy.sequences", "test sequences", "", "sim", "accuracy__int__sequence__count", None),
    ("area.die", "die", "mm2", "floorplan", "design__die__area", MM2),
    ("area.core", "core", "mm2", "floorplan", "design__core__area", MM2),
    ("area.synthesis", "standard cells as synthesised", "mm2", "synthesis", "design__instance__area__stdcell", MM2),
    ("area.utilisation", "rows filled, as placed", "%", "place", "design__instance__utilization__stdcell", 100),
    ("area.registers", "registers proved equal to the RTL", "", "equivalence",
     "synthesis__equivalence__register__count", None),
    ("area.cells", "instances in the finished layout, fill too", "", "lvs", "design__lvs__instance__count", None),
    ("area.transistors", "devices that LVS compared", "", "lvs", "design__lvs__device__count", None),
    ("power.total", "total", "mW", "power", "power__total", MILLI),
    ("power.internal", "inside of cells", "mW", "power", "power__internal__total", MILLI),
    ("power.switching", "switching of wires", "mW", "power", "power__switching__total", MILLI),
    ("power.leakage", "leakage", "mW", "power", "power__leakage__total", MILLI),
    ("power.load", "while weights are loaded", "mW", "power", "power__total__window:load", MILLI),
    ("power.period", "at a clock period of", "ns", "power", "power__clock_period_ns", None),
    ("power.energy_step", "energy of a step, all streams", "nJ", "power", "energy__step_pj", KILO),
    ("power.energy_load", "energy of loading all weights", "nJ", "power", "energy__load_pj", KILO),
    ("power.opensta", "internal power, OpenSTA's over ours counted its way", "", "power",
     "power__opensta__internal__ratio", None),
    ("cycles.per_step", "cycles a step", "", "sim", "cycles__per_step", None),
    ("cycles.total", "cycles over the test set", "", "sim", "cycles__total", None),
    ("cycles.utilisation", "MAC utilisation", "%", "sim", "mac__utilization", 100),
    ("timing.period", "clock period that is asked for", "ns", "sta", "clock__period", None),
    ("timing.shortest", "shortest period, slow corner", "ns", "sta", "clock__period__shortest", None),
    ("timing.setup", "worst setup slack", "ns", "sta", "timing__setup__ws", None),
    ("timing.hold", "worst hold slack", "ns", "sta", "timing__hold__ws", None),
    ("wire.total", "wire", "mm", "route", "route__wirelength", KILO),
    ("wire.detour", "over the sum of half perimeters", "", "route", "route__wirelength__detour", None),
    ("wire.vias", "vias", "", "route", "route__vias", None),
    ("wire.nets", "nets", "", "route", "route__net", None),
    ("wire.capacitance", "capacitance of wires, nominal", "pF", "extract",
     "extract__wire__capacitance__total__corner:nom", KILO),
    ("clock.sinks", "clock sinks", "", "clock", "clock__sink__count", None),
    ("clock.buffers", "clock buffers", "", "clock", "clock__buffer__count", None),
    ("clock.levels", "levels of the tree", "", "clock", "clock__level__count", None),
    ("clock.skew", "worst skew", "ns", "sta", "clock__skew__worst", None),
    ("context.lanes", "MACs of a stream (lanes)", "", "sim", "design__lane__count", None),
    ("context.streams", "streams", "", "sim", "design__stream__count", None),
)
"""Key, label, unit, step, metric, and the factor from the metric's unit to this one."""

OF_CORNER = (("setup", "setup slack", "ns", "timing__setup__ws"), ("hold", "hold slack", "ns", "timing__hold__ws"),
             ("shortest", "shortest period", "ns", "clock__period__shortest"),
             ("skew", "clock skew", "ns", "clock__skew__worst"),
             ("latency", "latest clock arrival", "ns", "clock__latency__max"))


def all_figures(tree: Tree, corners: list[str], slow: str) -> Figures:
    """Every figure of a design. corners: names; slow: the one of the slow corner's clock."""
    found = {key: figure(label, unit, tree.find(step, metric), scale)
             for key, label, unit, step, metric, scale in DIRECT}
    found |= dict(of_corners(tree, corners))
    found |= dict(of_parts(tree))
    found |= dict(of_cycles(tree))
    found |= dict(of_layers(tree))
    found |= dict(of_errors(tree))
    found |= dict(of_cpu(tree))
    found |= dict(headline(tree, found, slow))
    found |= dict(context(tree, found))
    return found


def of_corners(tree: Tree, corners: list[str]) -> Iterator[tuple[str, Figure]]:
    """Timing at each corner."""
    for corner in corners:
        for name, label, unit, metric in OF_CORNER:
            section = "clock" if name in ("skew", "latency") else "timing"
            yield f"{section}.{name}.{corner}", figure(f"{label}, {corner}", unit,
                                                      tree.find("sta", f"{metric}__corner:{corner}"))


def of_parts(tree: Tree) -> Iterator[tuple[str, Figure]]:
    """Area by part, module, class and group; power by part, module and group."""
    area = "design__instance__area__"
    for part in (*PARTS, REST):
        name = part.name.replace(" ", "_")
        yield f"area.part.{name}", figure(part.name, "mm2", tree.find("modules", f"{area}part:{name}"), MM2)
    for kind in ("module", "class", "group"):
        for name, found in tree.having("modules", f"{area}{kind}:").items():
            yield f"area.{kind}.{name}", figure(name.replace("_", " ") if kind != "module" else name, "mm2", found, MM2)
    for group in GROUPS:
        yield f"power.group.{group}", figure(group.replace("_", " "), "mW", tree.find("power", f"power__group:{group}"),
                                             MILLI)
    yield from of_power_modules(tree)


def of_power_modules(tree: Tree) -> Iterator[tuple[str, Figure]]:
    """Power by module and by part, out of power.json."""
    content = tree.json("power", "power.json")
    file = tree.file("power", "power.json")
    where = "windows.inference.modules"
    modules = content["windows"]["inference"]["modules"] if content else {}
    sums: dict[str, float] = {}
    for module, groups in sorted(modules.items()):
        milliwatt = MILLI * sum(row[kind] for row in groups.values() for kind in ("internal", "switching", "leakage"))
        source = Source(file=file, metric=f"{where}.{module}")
        yield f"power.module.{module}", Figure(label=module, unit="mW", value=milliwatt, sources=[source],
                                               formula="internal + switching + leakage of its groups")
        part = part_of(module).name
        sums[part] = sums.get(part, 0.0) + milliwatt
    for part in (*PARTS, REST):
        missing = "" if content else f"there is no {file}"
        yield (f"power.part.{part.name.replace(' ', '_')}",
               Figure(label=part.name, unit="mW", value=sums.get(part.name, 0.0) if content else None,
                      sources=[Source(file=file, metric=where)], formula="sum over its modules", missing=missing))


def of_cycles(tree: Tree) -> Iterator[tuple[str, Figure]]:
    """Lane-cycles by cause, as shares of all."""
    causes = {key: tree.find("sim", f"lane_cycles__{key}") for key in LANE_CYCLES}
    for key in LANE_CYCLES:
        yield f"cycles.{key}", derived(CYCLE_LABELS[key], "%", f"{key} / all lane-cycles", causes,
                                       lambda key=key, **all_of: 100 * all_of[key] / sum(all_of.values()))


CYCLE_LABELS = {"useful": "useful", "idle_lanes": "idle lanes", "fill": "fill", "recurrence": "recurrence",
                "update": "update", "host": "host", "drain": "drain"}


def of_layers(tree: Tree) -> Iterator[tuple[str, Figure]]:
    """Wirelength of each layer that has wires."""
    for layer, found in tree.having("extract", "extract__wirelength__layer:").items():
        yield f"wire.layer.{layer}", figure(f"wire on {layer}", "mm", found, KILO)


def of_errors(tree: Tree) -> Iterator[tuple[str, Figure]]:
    """Errors of states and outputs, saturation, accuracy by weight bits."""
    for name, found in tree.having("accuracy", "error__rms__at:").items():
        yield f"accuracy.rms.{name}", figure(f"{name}: root mean square error", "LSB", found)
        yield f"accuracy.max.{name}", figure(f"{name}: largest error", "LSB",
                                             tree.find("accuracy", f"error__max__at:{name}"))
    for name, found in tree.having("accuracy", "saturation__count__at:").items():
        of = tree.find("accuracy", f"saturation__of__count__at:{name}")
        yield f"accuracy.saturated.{name}", figure(f"{name}: saturated", "", found)
        yield f"accuracy.saturated_of.{name}", figure(f"{name}: of", "", of)
    for bits, found in tree.having("accuracy", "accuracy__int__fraction__weight_bits:").items():
        yield f"accuracy.bits.{bits}", figure(f"{bits}-bit weights, calibration only", "%", found, 100)


def of_cpu(tree: Tree) -> Iterator[tuple[str, Figure]]:
    """Steps a second of this machine's CPU."""
    labels = {"one": "one sequence at a time", "all": "the whole test set at once"}
    for name, found in tree.having("cpu", "cpu__steps_per_s__with:").items():
        program, _, batch = name.partition("__batch:")
        yield f"context.cpu.{program}.{batch}", figure(f"CPU, {program}, one thread, {labels[batch]}", "steps/s", found)
    yield "context.cpu.name", figure("CPU", "", tree.find("cpu", "cpu__name"))


def headline(tree: Tree, figures: Mapping[str, Figure], slow: str) -> Iterator[tuple[str, Figure]]:
    """The five numbers that a page begins with."""
    yield "headline.area", figure("area", "mm2", tree.find("floorplan", "design__die__area"), MM2)
    yield "headline.clock", derived("clock at the slow corner", "MHz", f"1000 / shortest period at {slow}",
                                    {"period": tree.find("sta", f"clock__period__shortest__corner:{slow}")},
                                    lambda period: 1000 / period)
    yield "headline.power", figure("power", "mW", tree.find("power", "power__total"), MILLI)
    yield "headline.latency", derived("latency of a step", "us", "cycles a step x clock period",
                                      {"cycles": figures["cycles.per_step"], "period": figures["timing.period"]},
                                      lambda cycles, period: cycles * period / 1000)
    yield "headline.energy", figure("energy of an inference", "nJ", tree.find("power", "energy__inference_pj"), KILO)


def context(tree: Tree, figures: Figures) -> Iterator[tuple[str, Figure]]:
    """Operations a second, a watt and a square millimetre; a MAC is two operations, useful ones only."""
    useful, cycles = tree.find("sim", "lane_cycles__useful"), tree.find("sim", "cycles__total")
    period = figures["power.period"]
    gops = derived("useful operations at the clock that power is told at", "GOPS", "2 x useful MACs / cycles / period",
                   {"useful": useful, "cycles": cycles, "period": period},
                   lambda useful, cycles, period: 2 * useful / cycles / period)
    yield "context.gops", gops
    yield "context.clock", derived("clock that power is told at", "MHz", "1000 / period", {"period": period},
                                   lambda period: 1000 / period)
    yield "context.gops_peak", derived(
        "peak at the same clock", "GOPS", "2 x lanes x streams / period",
        {"lanes": figures["context.lanes"], "streams": figures["context.streams"], "period": period},
        lambda lanes, streams, period: 2 * lanes * streams / period)
    yield "context.gops_fast", derived(
        "useful operations at the slow corner's shortest period", "GOPS", "2 x useful MACs / cycles / shortest period",
        {"useful": useful, "cycles": cycles, "period": figures["timing.shortest"]},
        lambda useful, cycles, period: 2 * useful / cycles / period)
    yield "context.gops_w", derived("operations a watt", "GOPS/W", "GOPS / power",
                                    {"gops": gops, "power": figures["power.total"]},
                                    lambda gops, power: 1000 * gops / power)
    sram = figure("SRAM macros", "mm2", tree.find("floorplan", "design__instance__area__macros"), MM2)
    logic = derived("core without SRAM macros", "mm2", "core - SRAM macros",
                    {"core": figures["area.core"], "sram": sram}, lambda core, sram: core - sram)
    yield from (("area.sram", sram), ("area.logic", logic))
    for name, label, area in (("die", "of the whole die", figures["area.die"]),
                              ("logic", "of the core without SRAM", logic), ("sram", "of the SRAM macros", sram)):
        if area.value == 0:
            continue                               # memory is flip-flops, and among the logic
        yield f"context.gops_mm2.{name}", derived(
            f"operations a second and mm2 {label}", "GOPS/mm2", "GOPS / area", {"gops": gops, "area": area},
            lambda gops, area: gops / area)
    yield "context.pj_op", derived("energy of an operation", "pJ", "power / GOPS",
                                   {"gops": gops, "power": figures["power.total"]}, lambda gops, power: power / gops)
    yield "context.steps_per_s", derived(
        "steps a second of all streams, at the clock that power is told at", "steps/s",
        "1e9 / cycles of a stream's step / period",
        {"cycles": tree.find("sim", "cycles__per_stream_step"), "period": period},
        lambda cycles, period: 1e9 / cycles / period)

