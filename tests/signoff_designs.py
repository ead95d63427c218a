"""A small routed design for the tests of the signoff checks, and ways to damage its layout."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import klayout.db as kdb
from random_netlist import random_netlist

from flow.floorplan.spec import FloorplanSpec
from flow.pdk.tree import Pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.design import Design
from flow.physical.gds import write_gds
from flow.physical.technology import load_technology
from flow.physical.verilog import write_netlist
from flow.place.spec import PlaceSpec
from flow.steps.floorplan import run_floorplan
from flow.steps.gds import run_gds
from flow.steps.place import run_place
from flow.steps.route import run_route


@dataclass(frozen=True)
class Made:
    """A finished layout: its files, and what is in them."""

    pdk: Pdk
    gds: Path
    design: Design
    cells: dict

    @property
    def top(self) -> str:
        return self.design.placement.top

    def drawn(self, path: Path, design: Design) -> Path:
        """The GDS of a design that differs from this one."""
        technology = load_technology(self.pdk)
        write_gds(path, design.placement, design.routes, self.cells, technology, self.pdk.view("gds"), {})
        return path

    def damaged(self, path: Path, damage: Callable[[kdb.Layout, kdb.Cell], None]) -> Path:
        """This GDS after `damage(layout, top cell)`."""
        layout = kdb.Layout()
        layout.read(str(self.gds))
        damage(layout, layout.cell(self.top))
        layout.write(str(path))
        return path

    def with_placement(self, **changes) -> Design:
        return replace(self.design, placement=replace(self.design.placement, **changes))

    def with_route(self, net: str, **changes) -> Design:
        return replace(self.design, routes={**self.design.routes, net: replace(self.design.routes[net], **changes)})

    def layer(self, name: str) -> tuple[int, int]:
        return self.pdk.config.drawing(name)


def make_routed(pdk: Pdk, folder: Path, n_gates: int = 50, seed: int = 4) -> Made:
    """Netlist, floor plan, placement, routes and GDS in a folder."""
    netlist = random_netlist(n_gates, seed, n_ports=4)
    (folder / "netlist.v").write_text(write_netlist(netlist))
    run_floorplan(netlist.top, folder / "netlist.v", pdk, [], folder, FloorplanSpec())
    run_place(pdk, {}, folder, PlaceSpec(effort=1))
    run_route(folder / "place" / "place.def", pdk, {}, folder)
    run_gds(folder / "route" / "route.def", pdk, {}, folder)
    layout = folder / "gds" / f"{netlist.top}.def"
    return Made(pdk, layout.with_suffix(".gds"), load_def(layout, load_technology(pdk)), load_cells(pdk))
