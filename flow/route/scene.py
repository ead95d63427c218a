"""What lies in the die before routing, out of placement, netlist and cells."""

from collections.abc import Iterable, Iterator

from flow.physical.abstract import CellAbstract, Cells
from flow.physical.design import Placement, outline, to_die
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from flow.route.access import CellAccess, cell_access
from flow.route.lattice import Lattice, Rect, Stack, lattice_of
from flow.route.problem import MetalPin, PlacedCell, RoutingProblem, Scene, build_problem
from flow.route.stack import stack_of

_TABLES: dict[tuple[int, Stack], CellAccess] = {}
"""Access tables of this process, so that several runs work them out once."""


def access_of(cells: Iterable[CellAbstract], stack: Stack, pitch: tuple[int, int]) -> dict[str, CellAccess]:
    """Access tables by cell."""
    found = {}
    for cell in cells:
        key = (id(cell), stack)
        if key not in _TABLES:
            _TABLES[key] = cell_access(cell, stack, pitch)
        found[cell.name] = _TABLES[key]
    return found


def scene_of(placement: Placement, netlist: Netlist, cells: Cells, stack: Stack, pitch: tuple[int, int]) -> Scene:
    """Cells on the rows with their access; macros, ports and the power grid as metal."""
    used = {placed.cell for placed in placement.instances.values()}
    tables = access_of((cells[name] for name in sorted(used) if not cells[name].is_macro), stack, pitch)
    standard, metal, obstacles = [], [], []
    for name, placed in sorted(placement.instances.items()):
        cell = cells[placed.cell]
        if not cell.is_macro:
            standard.append(PlacedCell(name, tables[placed.cell], placed.x, placed.y, placed.orientation))
            continue
        for pin, abstract in cell.pins.items():
            shapes = tuple((shape.layer, tuple(shape.rect)) for shape in
                           (to_die(placed, cell, shape) for shape in abstract.shapes))
            if abstract.is_supply:
                obstacles += shapes
            else:
                metal.append(MetalPin((name, pin), shapes, tuple(outline(placed, cell))))
        obstacles += [(shape.layer, tuple(shape.rect)) for shape in
                      (to_die(placed, cell, shape) for shape in cell.obstructions)]
    metal += [MetalPin(("", port), ((shape.layer, tuple(shape.rect)),))
              for port, shape in sorted(placement.ports.items())]
    obstacles += [(shape.layer, tuple(shape.rect)) for shape in placement.blockages if shape.layer]
    for net in sorted(placement.supplies):
        obstacles += _metals(placement.supply_shapes(net), stack)
    return Scene(tuple(placement.die), standard, metal, netlist.nets, obstacles)


def _metals(shapes: Iterable, stack: Stack) -> Iterator[tuple[str, Rect]]:
    yield from ((shape.layer, tuple(shape.rect)) for shape in shapes if stack.layer_index(shape.layer) is not None)


def problem_of(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology) -> RoutingProblem:
    """The routing problem of a placed design."""
    stack, pitch, offset = stack_of(technology)
    lattice: Lattice = lattice_of(stack, tuple(placement.die), pitch, offset)
    return build_problem(scene_of(placement, netlist, cells, stack, pitch), stack, lattice)
