"""Coloquinte at work: `python worker.py problem.json solution.json`, in a process of its own.

Global placement, then rows and sites, then local improvement. Coloquinte counts in whole units: in global placement a
site is SITE_UNITS of them wide; in the rows, where every position must be a whole site, a unit is a site, and a row is
ROW_SITES high, so that a unit is about as long upwards as sideways.

Its text goes to the log. It ends its process on bad input and may crash; here that costs nothing but this process.
"""

import sys
from pathlib import Path

import coloquinte
import msgspec

from flow.place.problem import Problem, Solution

SITE_UNITS, ROW_SITES = 46, 6
SHARES_OF_ROOM = (1.0, 0.5, 0.0)
"""How much of the room between cells rows are filled with; less of it where the whole does not fit."""

Orientation = coloquinte.CellOrientation
Polarity = coloquinte.CellRowPolarity


class Circuit:
    """A problem in Coloquinte's units: sites of `site` units, rows of `row` units."""

    def __init__(self, problem: Problem, site: int, row: int):
        self.problem, self.n = problem, len(problem.widths)
        self.scale_x, self.scale_y = site / problem.site, row / problem.row_height
        circuit = self.circuit = coloquinte.Circuit(self.n + len(problem.fixed))
        in_rows = [bool(cell.width) for cell in problem.fixed]
        circuit.cell_width = ([width // problem.site * site for width in problem.widths]
                              + [round(cell.width * self.scale_x) for cell in problem.fixed])
        circuit.cell_height = [row] * self.n + [row * here for here in in_rows]
        circuit.cell_is_fixed = [False] * self.n + [True] * len(problem.fixed)
        circuit.cell_is_obstruction = [True] * self.n + in_rows
        circuit.cell_orientation = [Orientation.N] * self.n + [
            getattr(Orientation, cell.orientation) if here else Orientation.N
            for cell, here in zip(problem.fixed, in_rows, strict=True)]
        circuit.cell_row_polarity = [Polarity.SAME] * self.n + [Polarity.ANY] * len(problem.fixed)
        circuit.rows = [coloquinte.Row(coloquinte.Rectangle(*self.units(x0, x1, self.scale_x),
                                                            *self.units(y, y + problem.row_height, self.scale_y)),
                                       getattr(Orientation, turn)) for x0, x1, y, turn in problem.rows]
        for weight, pins in problem.nets:
            circuit.add_net([pin.cell for pin in pins], self.units(*(pin.x for pin in pins), self.scale_x),
                            self.units(*(pin.y for pin in pins), self.scale_y), weight)

    @staticmethod
    def units(*lengths: float) -> list[int]:
        """Lengths times the last argument."""
        *lengths, scale = lengths
        return [round(length * scale) for length in lengths]

    @property
    def widths(self) -> list[int]:
        """Of the movable cells."""
        return list(self.circuit.cell_width)[:self.n]

    @widths.setter
    def widths(self, widths: list[int]) -> None:
        self.circuit.cell_width = widths + list(self.circuit.cell_width)[self.n:]

    @property
    def utilisation(self) -> float:
        """Movable cells to what the fixed ones leave of the rows."""
        room = sum(row.width for row in self.circuit.rows) - sum(list(self.circuit.cell_width)[self.n:])
        return sum(self.widths) / max(room, 1)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Lower left corners of the movable cells, nm."""
        x = [round(value / self.scale_x) for value in self.circuit.cell_x[:self.n]]
        y = [round(value / self.scale_y) for value in self.circuit.cell_y[:self.n]]
        return list(zip(x, y, strict=True))

    @places.setter
    def places(self, places: list[tuple[int, int]]) -> None:
        fixed = self.problem.fixed
        self.circuit.cell_x = self.units(*(x for x, _ in places), *(cell.x for cell in fixed), self.scale_x)
        self.circuit.cell_y = self.units(*(y for _, y in places), *(cell.y for cell in fixed), self.scale_y)

    def run(self, stage: str, effort: int) -> int:
        """A stage; the wire length after it in nm, heights as in x."""
        self.circuit.check()
        getattr(self.circuit, stage)(coloquinte.ColoquinteParameters(effort, self.problem.spec.seed))
        return round(self.circuit.hpwl() / self.scale_x)


def widened(real: list[int], wanted: list[float]) -> list[int]:
    """Whole widths of at least the real ones whose running sum follows that of the wanted ones.

    >>> widened([2, 2, 3], [2.5, 2.5, 3.5])
    [2, 3, 3]
    """
    found, total, target = [], 0, 0.0
    for width, wish in zip(real, wanted, strict=True):
        target += wish
        found.append(max(width, int(target - total)))
        total += found[-1]
    return found


def solve(problem: Problem) -> Solution:
    """Places for the movable cells."""
    spec, lengths = problem.spec, {}
    start = Circuit(problem, SITE_UNITS, round(SITE_UNITS * problem.row_height / problem.site))
    x = [value for row in problem.rows for value in row[:2]]
    y = [row[2] for row in problem.rows]
    start.places = [((min(x) + max(x)) // 2, (min(y) + max(y)) // 2)] * start.n
    start.circuit.expand_cells_to_density(spec.density_of(start.utilisation))
    lengths["global"] = start.run("place_global", 1 if problem.rough else spec.effort)
    if problem.rough:
        return Solution(start.places, ["N"] * start.n, lengths)
    final = Circuit(problem, 1, ROW_SITES)
    lengths["legal"] = legalise(final, start.places, [width / SITE_UNITS for width in start.widths])
    lengths["detailed"] = final.run("place_detailed", spec.effort)
    orientations = [turn.name for turn in final.circuit.cell_orientation[:final.n]]
    return Solution(final.places, orientations, lengths)


def legalise(circuit: Circuit, places: list[tuple[int, int]], wanted: list[float]) -> int:
    """Puts cells into rows on sites, with as much of the wanted room between them as fits; the wire length after it.

    RuntimeError when they do not even fit without any.
    """
    real = circuit.widths
    for share in SHARES_OF_ROOM:
        circuit.places = places
        circuit.widths = widened(real, [a + share * (b - a) for a, b in zip(real, wanted, strict=True)])
        try:
            length = circuit.run("legalize", circuit.problem.spec.effort)
        except RuntimeError as error:
            if not share:
                raise
            print(f"with {share} of the room between cells: {error}", flush=True)
            continue
        circuit.widths = real
        return length
    raise AssertionError("the last share is 0")


if __name__ == "__main__":
    solution = solve(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Problem))
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(solution))
