"""`doit sram`: SRAM macros with all their views but Liberty, checked by design rules, LVS and against each other.

Liberty and what proves it, which take minutes, are `doit sramlib` (flow.steps.sram_liberty).

Every macro has build/sram/<name>/macro (the views), drc and lvs beside it: stages that are whole or not there, and not
repeated while what they are made from (spec, PDK file, sources, packages) is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from flow.metrics import Metrics, Value
from flow.pdk.drc import check_drc, run_drc
from flow.pdk.picture import draw_picture
from flow.pdk.tree import Pdk
from flow.physical.technology import TECH_LEF
from flow.signoff.antenna import parse_antenna_rules
from flow.sram import verilog
from flow.sram.antenna import pin_antennas
from flow.sram.cdl import build_cdl
from flow.sram.extract import extract_netlist
from flow.sram.flexmem import LICENCE, LICENCE_NOTE, generate
from flow.sram.gds import load_macro, write_gds
from flow.sram.graph import build_graph, read_reference
from flow.sram.kept import load_kept, write_kept
from flow.sram.lef import build_lef
from flow.sram.lvs import LvsResult, compare_graphs
from flow.sram.pins import SEAM, check_views
from flow.sram.spec import SramSpec
from flow.sram.straps import add_straps
from flow.step import Step, Work, file_sha256, input_name, run_step_once, sources_sha256
from flow.steps.sram_liberty import measured, run_kept_liberty, run_liberty
from flow.usage import metered
from golden.spec import SpecError

SOURCES = ("flow/sram/**/*", "flow/pdk/*.py", "flow/steps/sram*.py", "flow/characterise/*.py",
           "flow/signoff/antenna.py", "flow/signoff/extract.py", "flow/signoff/front.py", "flow/signoff/touch.py",
           "rtl/verilog/stillwater_sram.sv", "pdk_configs/*")
PACKAGES = ("c4m-flexmem", "c4m-pdk-sky130", "c4m-flexcell", "c4m-flexio", "pdkmaster", "klayout", "cf-precheck")
STAGES = ("macro", "drc", "lvs")


def run_sram(spec: SramSpec, pdk: Pdk, build: Path) -> dict[str, Metrics]:
    """Stage -> metrics of a macro; everything is in build/sram/<name>. SpecError when a gate finds anything."""
    folder = build / "sram" / spec.name
    gds, cdl = (folder / "macro" / f"{spec.name}.{end}" for end in ("gds", "cdl"))
    stages = {
        "macro": (Step("sram-macro", run=partial(make_views, spec, pdk),
                       required_metrics=("design__instance__area", "sram__strap__count")), []),
        "drc": (Step("sram-drc", run=partial(check_rules, spec), tools=("klayout",),
                     required_metrics=("klayout__drc_error__count",)), [gds, pdk.deck("drc")]),
        "lvs": (Step("sram-lvs", run=partial(check_schematic, spec, pdk),
                     required_metrics=("design__lvs_error__count", "design__lvs__device__count")), [gds, cdl]),
    }
    config = {"macro": spec.name, "sources_sha256": sources_sha256(SOURCES, PACKAGES)}

    def run(name: str) -> Metrics:
        step, inputs = stages[name]
        return run_step_once(step, folder / name, config={**config, "stage": name}, inputs=inputs)

    return {"macro": run("macro"), **run_side_by_side(run, "drc", "lvs")}


def run_side_by_side(run: Callable[[str], Metrics], tool_stage: str, own_stage: str) -> dict[str, Metrics]:
    """Both stages at the same time: one that waits for a program, and one that works in this process.

    SpecError after both have ended, with the messages of both where both fail.
    """
    results, errors = {}, []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(metered(run), tool_stage)
        for name, wait in ((own_stage, partial(run, own_stage)), (tool_stage, waiting.result)):
            try:
                results[name] = wait()
            except SpecError as error:
                errors.append(error)
    if len(errors) > 1:
        raise SpecError("\n".join(map(str, errors)))
    if errors:
        raise errors[0]
    return results


def run_electrical(spec: SramSpec, pdk: Pdk, corners: Sequence[str], build: Path) -> dict[str, Metrics]:
    """Liberty at corners and the SPICE run that proves it, after run_sram; needs the views in build/sram/<name>."""
    return run_liberty(spec, pdk.config, corners, build, sources_sha256(SOURCES, PACKAGES))


def run_timing(spec: SramSpec, pdk: Pdk, build: Path) -> Metrics:
    """Liberty at every corner for who builds with the macro: from kept measurements where they are of this one."""
    return run_kept_liberty(spec, pdk.config, build, sources_sha256(SOURCES, PACKAGES))


def print_electrical(spec: SramSpec, corners: Sequence[str], metrics: dict[str, Metrics]) -> None:
    """A line a corner."""
    liberty, spice = metrics["liberty"], metrics["spice"]
    for corner in corners:
        access, period, read, write, leakage = (liberty[f"sram__{key}__corner:{corner}"] for key in (
            "access_ns", "period_ns", "read_pj", "write_pj", "leakage_nw"))
        print(f"  {corner}  access {access:.2f} ns, shortest period {period:.2f} ns, read {read:.1f} pJ, "
              f"write {write:.1f} pJ, leakage {leakage:.0f} nW")
    print(f"  SPICE         {spice['sram__readback__value__count']} values written and read back, at the "
          f"shortest clock of {len(corners)} corners")


def keep_or_compare(spec: SramSpec, corners: Sequence[str], build: Path, keep: bool) -> None:
    """Takes what was measured into the project, or says whether it is what is kept there."""
    results = measured(spec, corners, build)
    views = [build / "sram" / spec.name / "macro" / f"{spec.name}.{end}" for end in ("gds", "cdl")]
    if keep:
        print(f"  kept          {input_name(write_kept(spec, *views, results))}")
        return
    kept = load_kept(spec, *views)
    other = [corner for corner, result in results.items() if kept is not None and kept.get(corner) != result]
    print("  kept          " + ("no measurements of this macro" if kept is None else "the same numbers" if not other
                                 else f"other numbers at {', '.join(other)}"))


def print_sram(spec: SramSpec, metrics: dict[str, Metrics], build: Path) -> None:
    """A few lines a macro: what it is, what the gates found, where it is."""
    macro, drc, lvs = (metrics[stage] for stage in STAGES)
    width, height, area = (macro[f"sram__{key}"] for key in ("width_um", "height_um", "area_um2"))
    per_bit = macro["sram__area_um2__per_bit"]
    print(f"{spec.name}: {width:.2f} x {height:.2f} um, {area:,.0f} um2, {per_bit:.2f} um2/bit")
    print(f"  design rules  {drc['klayout__drc_error__count']} markers (official deck: feol, beol, offgrid)")
    print(f"  LVS           {lvs['design__lvs__device__count']:,} transistors, {lvs['design__lvs__net__count']:,} nets,"
          f" {lvs['design__lvs_error__count']} differences")
    print("  pins          LEF, GDS, CDL, Verilog and the rtl contract agree")
    print(f"  files         {input_name(build / 'sram' / spec.name / 'macro')}")


def print_licence() -> None:
    """Whom the macros belong to, which every user must know."""
    print(f"licence: {LICENCE_NOTE}")


def make_views(spec: SramSpec, pdk: Pdk, work: Work) -> dict[str, Value]:
    """GDS, LEF, CDL, Verilog, picture and licence of a macro into the step's folder, compared with each other."""
    generated = generate(spec)
    macro = add_straps(spec, pdk.config, generated.layout, generated.cell)
    gds = work.folder / f"{spec.name}.gds"
    write_gds(macro.layout, macro.cell, gds)
    cdl = work.folder / f"{spec.name}.cdl"
    cdl.write_text(build_cdl(generated.circuit, spec.name), encoding="utf-8")
    rules = parse_antenna_rules(pdk.view(TECH_LEF).read_text(encoding="utf-8"), str(pdk.view(TECH_LEF)))
    texts = {f"{spec.name}.lef": build_lef(spec, pdk.config, macro, pin_antennas(spec, pdk.config, macro, rules)),
             f"{spec.name}.v": verilog.build_model(spec), f"{SEAM}.v": verilog.build_binding(spec),
             f"{verilog.CLOCK_GATE}.v": verilog.build_clock_gate(),
             "LICENCE.txt": f"SPDX-License-Identifier: {LICENCE}\n\n{LICENCE_NOTE}\n"}
    for name, text in texts.items():
        (work.folder / name).write_text(text, encoding="utf-8")
    check_views(spec, pdk.config, work.folder)
    draw_picture(gds, work.folder / f"{spec.name}.png", pdk.config)
    width, height = macro.outline.width() * macro.dbu, macro.outline.height() * macro.dbu
    area = round(width * height, 3)
    return {
        "design__instance__area": area, "sram__area_um2": area, "sram__area_um2__per_bit": round(area / spec.n_bits, 4),
        "sram__width_um": round(width, 3), "sram__height_um": round(height, 3),
        "sram__strap__count": sum(macro.pins[net]["met4"].count() for net in ("vdd", "vss")),
        "sram__pin__count": len(macro.pins), "sram__gds__sha256": file_sha256(gds),
    }


def check_rules(spec: SramSpec, work: Work) -> dict[str, Value]:
    """The official design rule deck; SpecError on any marker."""
    gds, deck = work.inputs
    markers = run_drc(work, deck, gds, spec.name)
    check_drc(markers, f"{work.folder / 'drc.lyrdb'}")
    return {"klayout__drc_error__count": sum(markers.values())}


def check_schematic(spec: SramSpec, pdk: Pdk, work: Work) -> dict[str, Value]:
    """Layout against CDL, transistor by transistor; SpecError on any difference."""
    gds, cdl = work.inputs
    result = compare_with_cdl(spec, pdk, gds, cdl)
    (work.folder / "lvs.txt").write_text("\n".join(result.differences or ("match",)) + "\n")
    if result.differences:
        raise SpecError("\n".join([f"the layout of {spec.name} must match its netlist, and does not:",
                                   *(f"  {line}" for line in result.differences)]))
    return {"design__lvs_error__count": len(result.differences), "design__lvs__device__count": result.n_devices,
            "design__lvs__net__count": result.n_nets}


def compare_with_cdl(spec: SramSpec, pdk: Pdk, gds: Path, cdl: Path) -> LvsResult:
    """Extracts a GDS and compares it with a CDL; supplies that only a well or the substrate joins are differences."""
    extraction = extract_netlist(*load_macro(gds, spec), pdk.config)
    ports = set(spec.pins())
    result = compare_graphs(build_graph(extraction.netlist, ports), build_graph(read_reference(cdl, spec.name), ports))
    return LvsResult(result.n_devices, result.n_nets, (*result.differences, *extraction.soft_connections))


def specs_of(shapes: Sequence[str]) -> list[SramSpec]:
    """The macros of shapes like 512x32, each once."""
    return [SramSpec.parse(shape) for shape in dict.fromkeys(shapes)]
