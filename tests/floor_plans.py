"""Floor plans of random netlists, with the kit's cells and technology."""

from physical_kit import kit_technology
from random_netlist import random_cells, random_netlist

from flow.floorplan.plan import build_floorplan
from flow.floorplan.spec import FloorplanSpec
from flow.physical.design import Placement
from flow.physical.netlist import Netlist

CELLS = random_cells()
TECHNOLOGY = kit_technology()


def plan(n_gates: int = 150, n_macros: int = 0, **demands) -> tuple[Netlist, Placement]:
    netlist = random_netlist(n_gates, 7, n_macros)
    return netlist, build_floorplan(netlist, CELLS, TECHNOLOGY, FloorplanSpec(**demands))
