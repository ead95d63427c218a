"""Puts new cells into the rows of a placement: each near where it is wanted, its neighbours in the row moved aside.

Between two fixed cells of a row the others keep their order. A place is good when it is near and little has to move
for it; what moves stays in its row, so that nothing goes farther than from one tap to the next.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace

from flow.clock.wire import Point
from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, outline
from flow.physical.geometry import NM_PER_UM
from flow.physical.technology import Technology
from golden.spec import SpecError

MOVED_COUNTS = 0.5
"""What a nm that a neighbour moves costs, in nm that the new cell is away from where it is wanted."""


@dataclass
class Stretch:
    """A part of a row from x0 to x1 without fixed cells; cells in order, with left edges and widths."""

    y: int
    x0: int
    x1: int
    orientation: str
    names: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.x1 - self.x0 - sum(self.widths)


@dataclass(frozen=True)
class Plan:
    """A new cell's place in a stretch: before which cell, its left edge, and the left edges of all others."""

    cost: float
    stretch: Stretch
    at: int
    x: int
    left: tuple[int, ...]


class Rows:
    """The rows of a placement, while cells are put in and taken out."""

    def __init__(self, placement: Placement, cells: Cells, technology: Technology, movable: Iterable[str]):
        self.placement, self.cells, self.site = placement, cells, technology.site_width
        self.height = technology.row_height
        self.stretches: dict[int, list[Stretch]] = defaultdict(list)
        self.home: dict[str, Stretch] = {}
        self.taken_out: frozenset[str] = frozenset()
        self._fill(set(movable))
        self.ys = sorted(self.stretches)

    def _fill(self, movable: set[str]) -> None:
        fixed: dict[int, list[tuple[int, int]]] = defaultdict(list)
        moving: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        for name, placed in self.placement.instances.items():
            if not self.cells[placed.cell].is_macro:
                box = outline(placed, self.cells[placed.cell])
                (moving[box.y0].append((box.x0, box.width, name)) if name in movable
                 else fixed[box.y0].append((box.x0, box.x1)))
        kept_out = [shape.rect for shape in self.placement.blockages if not shape.layer]
        for row in self.placement.rows:
            taken = sorted([piece for piece in fixed[row.y] if row.x0 <= piece[0] < row.x1]
                           + [(box.x0, box.x1) for box in kept_out if box.y0 < row.y + self.height and row.y < box.y1])
            x = row.x0
            for x0, x1 in [*taken, (row.x1, row.x1)]:
                if x0 > x:
                    self.stretches[row.y].append(Stretch(row.y, x, min(x0, row.x1), row.orientation))
                x = max(x, row.x0 - (row.x0 - x1) // self.site * self.site)
        for y, found in moving.items():
            stretches = self.stretches[y] = sorted(self.stretches[y], key=lambda stretch: stretch.x0)
            starts = [stretch.x0 for stretch in stretches]
            for x, width, name in sorted(found):
                stretch = stretches[bisect_left(starts, x + 1) - 1] if starts and x >= starts[0] else None
                if stretch is None or x + width > stretch.x1:
                    raise SpecError(f"cells must stand in rows before others are put between them, and {name} "
                                    f"does not; place {self.placement.top} anew")
                self.home[name] = stretch
                stretch.names.append(name)
                stretch.left.append(x)
                stretch.widths.append(width)

    def remove(self, name: str) -> None:
        """Takes a cell out."""
        stretch = self.home.pop(name)
        self.taken_out = self.taken_out | {name}
        at = stretch.names.index(name)
        for values in (stretch.names, stretch.left, stretch.widths):
            del values[at]

    def insert(self, name: str, cell: str, wish: Point) -> None:
        """Puts a cell in, its lower left corner as near to the wish as it can; SpecError when no row has room."""
        width = self.cells[cell].width
        best: Plan | None = None
        for y in sorted(self.ys, key=lambda y: (abs(y - wish[1]), y)):
            if best is not None and abs(y - wish[1]) >= best.cost:
                break
            for stretch in self.stretches[y]:
                away = max(stretch.x0 - wish[0], wish[0] - (stretch.x1 - width), 0) + abs(y - wish[1])
                if stretch.free >= width and (best is None or away < best.cost):
                    for plan in self._plans(stretch, width, wish):
                        if best is None or plan.cost < best.cost:
                            best = plan
        if best is None:
            raise SpecError(f"{name} ({cell}, {width / NM_PER_UM} um wide) must have room between "
                            f"the fixed cells of some row of {self.placement.top}, and no row has any; lower "
                            "utilisation")
        stretch = best.stretch
        stretch.left = list(best.left)
        for values, value in ((stretch.names, name), (stretch.left, best.x), (stretch.widths, width)):
            values.insert(best.at, value)
        self.home[name] = stretch
        self.taken_out = self.taken_out - {name}

    def _plans(self, stretch: Stretch, width: int, wish: Point) -> Iterator[Plan]:
        """The new cell before each cell of a stretch, and after the last, where that may be the best."""
        names, left, widths = stretch.names, stretch.left, stretch.widths
        wanted = stretch.x0 + round((wish[0] - stretch.x0) / self.site) * self.site
        middle = bisect_left(left, wanted)
        for at in range(max(middle - 3, 0), min(middle + 3, len(names)) + 1):
            low, high = stretch.x0 + sum(widths[:at]), stretch.x1 - sum(widths[at:]) - width
            if low > high:
                continue
            after_last = left[at - 1] + widths[at - 1] if at else stretch.x0
            before_next = left[at] if at < len(names) else stretch.x1
            ways = {min(max(wanted, low), high)}
            if before_next - after_last >= width:
                ways.add(min(max(wanted, after_last), before_next - width))
            for x in sorted(ways):
                places = _made_room(left, widths, at, x, width)
                moved = sum(abs(a - b) for a, b in zip(places, left, strict=True))
                yield Plan(abs(x - wish[0]) + abs(stretch.y - wish[1]) + MOVED_COUNTS * moved, stretch, at, x, places)

    def corner(self, name: str) -> Point:
        """The lower left corner of a cell."""
        stretch = self.home[name]
        return stretch.left[stretch.names.index(name)], stretch.y

    def copy(self) -> Rows:
        """The rows as they are; later changes of one do not change the other."""
        other = copy(self)
        other.stretches = {y: [replace(s, names=list(s.names), left=list(s.left), widths=list(s.widths))
                               for s in stretches] for y, stretches in self.stretches.items()}
        other.home = {name: s for stretches in other.stretches.values() for s in stretches for name in s.names}
        return other

    def placed(self, cells: Mapping[str, str], fixed: Iterable[str]) -> dict[str, Placed]:
        """All instances of the placement and the new ones, without those that were taken out.

        cells: instance -> cell. fixed: those that later steps must leave where they are.
        """
        fixed = set(fixed)
        found = {name: placed for name, placed in self.placement.instances.items() if name not in self.taken_out}
        for stretches in self.stretches.values():
            for stretch in stretches:
                for name, x in zip(stretch.names, stretch.left, strict=True):
                    old = self.placement.instances.get(name)
                    turn = old.orientation if old is not None and old.y == stretch.y else stretch.orientation
                    found[name] = Placed(cells[name], x, stretch.y, turn, name in fixed)
        return found


def _made_room(left: list[int], widths: list[int], at: int, x: int, width: int) -> tuple[int, ...]:
    """Left edges when those before `at` end before x, and the others begin after x + width.

    >>> _made_room([0, 10, 20], [5, 5, 5], 2, 13, 6)
    (0, 8, 20)
    """
    places = list(left)
    end = x
    for k in range(at - 1, -1, -1):
        end = places[k] = min(places[k], end - widths[k])
    start = x + width
    for k in range(at, len(left)):
        places[k] = max(places[k], start)
        start = places[k] + widths[k]
    return tuple(places)
