"""`doit sram` for an OpenRAM macro of a ciel tree: its views as the tree has them, compared, and its binding.

They lie in build/sram/<name>/macro like those of a generated macro.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from flow.metrics import Metrics, Value
from flow.pdk.lef import parse_lef
from flow.pdk.tree import Pdk
from flow.sram.openram import OpenRamSpec, check_openram, find_views
from flow.sram.pins import RTL_MODEL, SEAM, compare_binding
from flow.sram.verilog import build_binding
from flow.step import Step, Work, input_name, run_step_once, sources_sha256
from flow.steps.sram import PACKAGES, SOURCES
from golden.spec import SpecError


def run_openram(spec: OpenRamSpec, pdk: Pdk, build: Path) -> Metrics:
    """The metrics of a macro whose views are in build/sram/<name>/macro. SpecError when one is missing or differs."""
    views = find_views(spec, pdk)
    step = Step("sram-openram", run=partial(take_views, spec, pdk, tuple(views)),
                required_metrics=("design__instance__area",))
    config = {"macro": spec.name, "sources_sha256": sources_sha256(SOURCES, PACKAGES)}
    return run_step_once(step, build / "sram" / spec.name / "macro", config=config, inputs=list(views.values()))


def take_views(spec: OpenRamSpec, pdk: Pdk, names: tuple[str, ...], work: Work) -> dict[str, Value]:
    """Copies of the tree's files, under their names there, and the binding; compared with each other."""
    views = dict(zip(names, work.inputs, strict=True))
    for path in views.values():
        shutil.copyfile(path, work.folder / path.name)
    binding = build_binding(spec)
    (work.folder / f"{SEAM}.v").write_text(binding, encoding="utf-8")
    check_openram(spec, views, pdk.config.openram.liberty)
    found = compare_binding(binding, RTL_MODEL.read_text(encoding="utf-8"), tuple(spec.supplies))
    if found:
        raise SpecError("\n".join([f"the binding of {spec.name} must have the ports of the seam, and has not:",
                                   *(f"  {line}" for line in found)]))
    width, height = parse_lef(views["lef"].read_text(encoding="utf-8"), views["lef"].name)[spec.name].size_um
    area = round(width * height, 3)
    return {"design__instance__area": area, "sram__area_um2": area, "sram__width_um": width, "sram__height_um": height,
            "sram__area_um2__per_bit": round(area / spec.n_bits, 4), "sram__pin__count": len(spec.pins())}


def print_openram(spec: OpenRamSpec, metrics: Metrics, pdk: Pdk, build: Path) -> None:
    """A few lines: what it is, what was checked and what was not, where it is."""
    width, height, area, per_bit = (metrics[f"sram__{key}"]
                                    for key in ("width_um", "height_um", "area_um2", "area_um2__per_bit"))
    print(f"{spec.name}: {width:.2f} x {height:.2f} um, {area:,.0f} um2, {per_bit:.2f} um2/bit")
    print("  pins          LEF, Liberty, SPICE, Verilog and the rtl contract agree")
    print(f"  Liberty       {', '.join(pdk.config.openram.liberty)}; the tree has no other corner")
    print("  not checked   design rules and LVS: the macro is taken as the tree has it")
    print(f"  files         {input_name(build / 'sram' / spec.name / 'macro')}")
