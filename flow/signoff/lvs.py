"""Layout versus schematic of a chip: its GDS, down to transistors, against the netlist in its DEF and the kit's CDL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import klayout.db as kdb

from flow.pdk.tree import Pdk
from flow.physical.abstract import Cells
from flow.physical.design import Design
from flow.signoff.cdl import load_schematics
from flow.signoff.cells import compare_cells
from flow.signoff.chip import compare_nets, drawn_nets, schematic_nets
from flow.signoff.doping import find_doping_faults
from flow.signoff.extract import extract_chip
from flow.signoff.macros import check_macros
from golden.spec import SpecError


@dataclass(frozen=True)
class LvsReport:
    """What was compared, and a line for each difference.

    n_devices: transistors, diodes and resistors of the standard cells, each instance counted.
    """

    n_instances: int
    n_nets: int
    n_devices: int
    n_cells: int
    differences: tuple[str, ...]


def compare_chip(gds: Path, design: Design, cells: Cells, pdk: Pdk, macro_gds: Mapping[str, Path]) -> LvsReport:
    """Compares a chip with its design; SpecError when the GDS lacks the top cell or holds a macro not verified."""
    layout = kdb.Layout()
    layout.read(str(gds))
    top = layout.cell(design.placement.top)
    if top is None:
        raise SpecError(f"cell {design.placement.top} must be in {gds}")
    check_macros(layout, macro_gds)
    extraction = extract_chip(layout, top, pdk.config)
    drawn, differences = drawn_nets(extraction.netlist, design, cells)
    nets = schematic_nets(design, cells, pdk.config)
    differences += compare_nets(drawn, nets, pdk.config)
    differences += [f"held together by a well or the substrate only: {line}" for line in extraction.soft]
    standard = sorted({placed.cell for placed in design.placement.instances.values()} - macro_gds.keys())
    n_devices = _count_devices(extraction.netlist, design, standard)
    differences += find_doping_faults(layout, top, pdk.config, list(macro_gds))
    differences += compare_cells(extraction.netlist, load_schematics(pdk.view("cdl"), pdk.view("spice"), standard),
                                 standard)
    return LvsReport(len(design.placement.instances), len(nets), n_devices, len(standard), tuple(differences))


def _count_devices(netlist: kdb.Netlist, design: Design, standard: list[str]) -> int:
    in_cell = {name: sum(1 for _ in circuit.each_device()) for name in standard
               if (circuit := netlist.circuit_by_name(name)) is not None}
    return sum(in_cell.get(placed.cell, 0) for placed in design.placement.instances.values())
