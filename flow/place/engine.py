"""Coloquinte places the standard cells: global placement, then rows and sites, then local improvement.

Lengths are sites and parts of them here. In global placement a site is SITE_UNITS wide; in the rows, where every
position must be a whole site, a row is ROW_SITES high, so that a unit is about as long upwards as sideways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import coloquinte
import numpy as np

from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, outline, to_die
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology
from flow.place.spec import PlaceSpec
from golden.spec import SpecError

SITE_UNITS = 46
ROW_SITES = 6
Orientation = coloquinte.CellOrientation


@dataclass(frozen=True)
class Problem:
    """A placement problem, cells in a fixed order.

    movable:    standard cells of the netlist; fixed: everything else with a place, ports as cells without size.
    nets:       (movable or fixed cell, x, y of the pin from the cell's lower left corner in nm), and the weight.
    """

    movable: tuple[str, ...]
    fixed: tuple[Placed, ...]
    sizes: tuple[tuple[int, int], ...]
    nets: tuple[tuple[float, tuple[tuple[int, int, int], ...]], ...]


def place_cells(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology, spec: PlaceSpec,
                weights: Mapping[str, float] | None = None) -> dict[str, Placed]:
    """Places for the netlist's standard cells: in rows, on sites, without overlaps.

    weights: net -> how much its length counts, 1 for those that are not in it: nets on slow paths get more.
    SpecError when the cells do not fit into the rows.
    """
    problem = _problem(placement, netlist, cells, weights or {})
    start = _Circuit(problem, placement, cells, technology, SITE_UNITS, _row_units(technology))
    middle = placement.core
    start.put([((middle.x0 + middle.x1) // 2, (middle.y0 + middle.y1) // 2)] * len(problem.movable))
    start.spread(spec.density_of(start.utilisation))
    start.run("place_global", spec)
    rough, widths = start.places(), start.widths
    final = _Circuit(problem, placement, cells, technology, 1, ROW_SITES)
    final.put(rough)
    real = final.widths
    final.widths = widened(real, [width / SITE_UNITS for width in widths])
    final.run("legalize", spec)
    final.widths = real
    final.run("place_detailed", spec)
    return final.placed(netlist)


def rough_places(placement: Placement, netlist: Netlist, cells: Cells, technology: Technology,
                 spec: PlaceSpec) -> dict[str, tuple[int, int]]:
    """Instance -> about where it will be (its lower left corner, nm): global placement alone, for what comes before.
    """
    problem = _problem(placement, netlist, cells, {})
    circuit = _Circuit(problem, placement, cells, technology, SITE_UNITS, _row_units(technology))
    middle = placement.core
    circuit.put([((middle.x0 + middle.x1) // 2, (middle.y0 + middle.y1) // 2)] * len(problem.movable))
    circuit.spread(spec.density_of(circuit.utilisation))
    circuit.run("place_global", replace_effort(spec, 1))
    return dict(zip(problem.movable, circuit.places(), strict=True))


def replace_effort(spec: PlaceSpec, effort: int) -> PlaceSpec:
    return PlaceSpec(effort=effort, density=spec.density, seed=spec.seed)


def widened(real: list[int], wanted: list[float]) -> list[int]:
    """Whole widths of at least the real ones whose running sum follows that of the wanted ones.

    >>> widened([2, 2, 3], [2.5, 2.5, 3.5])
    [2, 3, 4]
    """
    found, total, target = [], 0, 0.0
    for width, wish in zip(real, wanted, strict=True):
        target += wish
        found.append(max(width, int(target - total)))
        total += found[-1]
    return found


def _row_units(technology: Technology) -> int:
    return round(SITE_UNITS * technology.row_height / technology.site_width)


def _problem(placement: Placement, netlist: Netlist, cells: Cells, weights: Mapping[str, float]) -> Problem:
    unknown = sorted(set(weights) - set(netlist.nets))
    if unknown:
        raise SpecError(f"weights must be of nets of {netlist.top}, not {', '.join(unknown[:3])}")
    movable = tuple(name for name, cell in netlist.instances.items() if not cells[cell].is_macro)
    index = {name: number for number, name in enumerate(movable)}
    lacking = [name for name in netlist.instances if name not in index and name not in placement.instances]
    if lacking:
        raise SpecError(f"macros must have a place before cells get theirs, not {', '.join(lacking)}")
    fixed = [(name, placed) for name, placed in placement.instances.items() if name not in index]
    index |= {name: len(movable) + number for number, (name, _) in enumerate(fixed)}
    ports = {port: len(index) + number for number, port in enumerate(placement.ports)}
    centres: dict[tuple[str, str], tuple[int, int]] = {}
    nets = []
    for net, pins in netlist.nets.items():
        ends = []
        for instance, pin in pins:
            if not instance:
                if pin in ports:
                    ends.append((ports[pin], 0, 0))
                continue
            place = placement.instances.get(instance) if index[instance] >= len(movable) else None
            ends.append((index[instance], *_pin_offset(cells, netlist.instances[instance], pin, place, centres)))
        if len(ends) > 1:
            nets.append((weights.get(net, 1.0), tuple(ends)))
    sizes = tuple((cells[netlist.instances[name]].width, cells[netlist.instances[name]].height) for name in movable)
    corners = [Placed("", (s.x0 + s.x1) // 2, (s.y0 + s.y1) // 2, "N", True) for s in placement.ports.values()]
    return Problem(movable, tuple([placed for _, placed in fixed] + corners), sizes, tuple(nets))


def _pin_offset(cells: Cells, cell_name: str, pin: str, place: Placed | None,
                centres: dict[tuple[str, str], tuple[int, int]]) -> tuple[int, int]:
    """Middle of a pin from the lower left corner; of a placed macro as it is oriented."""
    key = (cell_name, pin) if place is None else (f"{cell_name} {place.orientation}", pin)
    if key not in centres:
        cell = cells[cell_name]
        at = Placed(cell_name, 0, 0, place.orientation if place else "N")
        shapes = [to_die(at, cell, shape) for shape in cell.pins[pin].shapes]
        centres[key] = ((min(s.x0 for s in shapes) + max(s.x1 for s in shapes)) // 2,
                        (min(s.y0 for s in shapes) + max(s.y1 for s in shapes)) // 2)
    return centres[key]


class _Circuit:
    """A problem in Coloquinte's units: sites of `site` units, rows of `row` units, from the core's corner."""

    def __init__(self, problem: Problem, placement: Placement, cells: Cells, technology: Technology, site: int,
                 row: int):
        self.problem, self.placement, self.technology = problem, placement, technology
        self.scale = (site / technology.site_width, row / technology.row_height)
        self.site, self.row = site, row
        self._fixed_x, self._fixed_y = [], []
        n_movable, n_fixed = len(problem.movable), len(problem.fixed)
        circuit = coloquinte.Circuit(n_movable + n_fixed)
        widths = [width // technology.site_width * site for width, _ in problem.sizes]
        heights, obstructs, orientations = [row] * n_movable, [True] * n_movable, [Orientation.N] * n_movable
        for placed in problem.fixed:
            cell = cells.get(placed.cell)
            box = outline(placed, cell) if cell else None
            in_rows = cell is not None and not cell.is_macro
            widths.append(round(box.width * self.scale[0]) if in_rows else 0)
            heights.append(row if in_rows else 0)
            obstructs.append(in_rows)                    # rows already end at the macros
            orientations.append(getattr(Orientation, placed.orientation) if in_rows else Orientation.N)
            x, y = self._units(placed.x, placed.y)
            self._fixed_x.append(x)
            self._fixed_y.append(y)
        circuit.cell_width, circuit.cell_height = widths, heights
        circuit.cell_is_fixed = [False] * n_movable + [True] * n_fixed
        circuit.cell_is_obstruction = obstructs
        circuit.cell_orientation = orientations
        circuit.cell_row_polarity = ([coloquinte.CellRowPolarity.SAME] * n_movable
                                     + [coloquinte.CellRowPolarity.ANY] * n_fixed)
        circuit.rows = [self._row(r) for r in placement.rows]
        for weight, pins in problem.nets:
            circuit.add_net([cell for cell, _, _ in pins], [round(x * self.scale[0]) for _, x, _ in pins],
                            [round(y * self.scale[1]) for _, _, y in pins], weight)
        self.circuit = circuit

    def _units(self, x: int, y: int) -> tuple[int, int]:
        core = self.placement.core
        return round((x - core.x0) * self.scale[0]), round((y - core.y0) * self.scale[1])

    def _row(self, row) -> coloquinte.Row:
        (x0, y), (x1, _) = self._units(row.x0, row.y), self._units(row.x1, row.y)
        return coloquinte.Row(coloquinte.Rectangle(x0, x1, y, y + self.row), getattr(Orientation, row.orientation))

    @property
    def widths(self) -> list[int]:
        """Of the movable cells."""
        return list(self.circuit.cell_width)[:len(self.problem.movable)]

    @widths.setter
    def widths(self, widths: list[int]) -> None:
        self.circuit.cell_width = widths + list(self.circuit.cell_width)[len(widths):]

    @property
    def utilisation(self) -> float:
        """Movable cells to what the fixed ones leave of the rows."""
        rows = sum(row.width for row in self.circuit.rows)
        fixed = sum(list(self.circuit.cell_width)[len(self.problem.movable):])
        return sum(self.widths) / max(rows - fixed, 1)

    def put(self, places: list[tuple[int, int]]) -> None:
        """Lower left corners of the movable cells, nm."""
        units = [self._units(x, y) for x, y in places]
        self.circuit.cell_x = [x for x, _ in units] + self._fixed_x
        self.circuit.cell_y = [y for _, y in units] + self._fixed_y

    def spread(self, density: float) -> None:
        """Makes cells wider, so that they leave room between them everywhere alike."""
        self.circuit.expand_cells_to_density(density)

    def run(self, stage: str, spec: PlaceSpec) -> None:
        """A stage of Coloquinte; SpecError with what it says when it cannot."""
        parameters = coloquinte.ColoquinteParameters(spec.effort, spec.seed)
        try:
            self.circuit.check()
            getattr(self.circuit, stage)(parameters)
        except RuntimeError as error:
            raise SpecError(f"{self.placement.top}: the placer failed in {stage}: {error}; the cells fill "
                            f"{self.utilisation:.3f} of the rows beside taps and end caps; lower utilisation") from None

    def places(self) -> list[tuple[int, int]]:
        """Lower left corners of the movable cells, nm."""
        core = self.placement.core
        n = len(self.problem.movable)
        x = np.rint(np.array(self.circuit.cell_x[:n]) / self.scale[0]).astype(int) + core.x0
        y = np.rint(np.array(self.circuit.cell_y[:n]) / self.scale[1]).astype(int) + core.y0
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def placed(self, netlist: Netlist) -> dict[str, Placed]:
        orientations = self.circuit.cell_orientation
        return {name: Placed(netlist.instances[name], x, y, orientations[number].name)
                for number, (name, (x, y)) in enumerate(zip(self.problem.movable, self.places(), strict=True))}


def with_cells(placement: Placement, placed: Mapping[str, Placed]) -> Placement:
    """The placement with more instances, or with other places for those that it has."""
    return replace(placement, instances={**placement.instances, **placed})
