"""Resistance and capacitance of a routed layout: <top>.<corner>.spef for min, nom and max."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from flow.extract.corners import temperature_of
from flow.extract.estimates import corner_technology
from flow.extract.spec import ExtractSpec
from flow.extract.spef import write_spef
from flow.extract.tables import as_arrays, load_tables
from flow.extract.wires import Wires, build_networks, extract_wires, ohms_of
from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.design import Design
from flow.physical.technology import load_technology
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import place

STEP = "extract"
SOURCES = (*place.SOURCES, "flow/extract/*.py", "flow/extract/*.json", "flow/compiled.py", "flow/steps/extract.py")
CORNER_VALUES = ("extract__wire__capacitance__total", "extract__wire__capacitance__coupling",
                 "extract__wire__resistance__total")
REQUIRED = ("extract__net__count", "extract__wirelength")
TECH_LEFS = ("tech_lef_min", "tech_lef_nom", "tech_lef_max")


def run_extract(layout: Path, pdk: Pdk, macro_views: Mapping[str, Path], folder: Path,
                spec: ExtractSpec | None = None) -> Metrics:
    """The wires of the DEF `layout`, which must be routed, as SPEF in folder/extract.

    macro_views: macro -> its LEF. SpecError for a net without a route, or one whose pins its wires do not join.
    """
    spec = spec or ExtractSpec()
    required = (*REQUIRED, *(f"{name}__corner:{corner}" for corner in spec.corners for name in CORNER_VALUES))
    step = Step(STEP, run=partial(make_spef, pdk, spec), required_metrics=required)
    config = {"pdk": pdk.config.name, "spec": spec, "sources_sha256": sources_sha256(SOURCES, ("numba", "klayout"))}
    inputs = [layout, *(pdk.view(name) for name in TECH_LEFS), pdk.view("lef"), *macro_views.values()]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def spef_path(folder: Path, top: str, corner: str) -> Path:
    """Where the step leaves a corner's SPEF."""
    return folder / STEP / f"{top}.{corner}.spef"


def make_spef(pdk: Pdk, spec: ExtractSpec, work: Work) -> dict[str, Value]:
    """Extracts every corner in the step's folder."""
    layout, _, _, _, _, *lefs = work.inputs
    cells, technology = load_cells(pdk, lefs), load_technology(pdk)
    design = load_def(layout, technology)
    values: dict[str, Value] = {"extract__net__count": len(design.routes)}
    values |= _lengths(design)
    ohms = {corner: ohms_of(corner_technology(pdk, corner), temperature_of(corner, pdk.config))
            for corner in spec.corners}
    built = build_networks(design, cells, technology, next(iter(ohms.values())))
    networks = {corner: {net: network.with_ohms(values) for net, network in built.items()}
                for corner, values in ohms.items()}
    for corner, wires in extract_wires(design, cells, networks, as_arrays(load_tables())).items():
        text = write_spef(design.netlist, cells, wires.nets, corner)
        (work.folder / f"{design.placement.top}.{corner}.spef").write_text(text, encoding="utf-8")
        values |= {f"{name}__corner:{corner}": value for name, value in _sums(wires).items()}
    return values


def _lengths(design: Design) -> dict[str, Value]:
    """um of wire by layer."""
    lengths: dict[str, int] = {}
    for route in design.routes.values():
        for wire in route.wires:
            lengths[wire.layer] = lengths.get(wire.layer, 0) + abs(wire.x1 - wire.x0) + abs(wire.y1 - wire.y0)
    found: dict[str, Value] = {f"extract__wirelength__layer:{layer}": round(length / 1000, 3)
                               for layer, length in sorted(lengths.items())}
    return found | {"extract__wirelength": round(sum(lengths.values()) / 1000, 3)}


def _sums(wires: Wires) -> dict[str, Value]:
    """fF and ohm of all nets; coupling counts once a pair of nets."""
    total = sum(net.femtofarad for net in wires.nets)
    coupling = sum(net.coupling_femtofarad for net in wires.nets)
    return {"extract__wire__capacitance__total": round(total, 3),
            "extract__wire__capacitance__coupling": round(coupling / 2, 3),
            "extract__wire__capacitance__coupling__grounded": round(wires.grounded_ff, 3),
            "extract__wire__resistance__total": round(sum(net.ohm for net in wires.nets), 3)}
