"""Where a net may come down on a cell's pins: worked out once a cell, on the lattice, against the cell's own shapes.

A pin is reached in one of three ways, in this order:
- `contact`: a via from met1 (mcon) on a node, whole on the pin's li1, clear of the cell's other mcon and met1;
- `direct`:  a node whose wire lies on met1 that the pin has itself;
- `stub`:    where no node gives either, an mcon off the lattice with a met1 rectangle from it to a node.

Beside that a cell takes nodes: its rails, its inner met1 and its stubs keep others at a distance. Orientation N only;
both offsets are half a pitch and the vias are symmetric, so a flipped cell has the mirrored table (`mirrored`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np

from flow.physical.abstract import CellAbstract
from flow.physical.geometry import Shape
from flow.route.lattice import Lattice, Rect, Stack, centred, reach, too_close
from golden.spec import SpecError

Node = tuple[int, int]
"""Column and row, counted from the cell's lower left corner."""

_CHOICES = 512
"""Combinations of stubs among which a cell's best is looked for, about."""


@dataclass(frozen=True)
class Stub:
    """Off-grid access: `metal` (met1) joins the via's cut at `cut` to `node`; rectangles and points in cell nm."""

    node: Node
    cut: tuple[int, int]
    metal: Rect


@dataclass(frozen=True)
class PinAccess:
    """The nodes of the lowest layer at which a pin is reached: `contact` needs a via to the pin, `direct` none.

    metal: what the pin itself has on that layer, nm.
    """

    contact: tuple[Node, ...]
    direct: tuple[Node, ...]
    stub: Stub | None
    metal: tuple[Rect, ...] = ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.contact + self.direct + ((self.stub.node,) if self.stub else ())


@dataclass(frozen=True)
class CellAccess:
    """What a router needs of a cell.

    columns, rows:  size in nodes.
    pins:           signal pins.
    wire, pad:      node -> who has it: a pin's name, or "" for nobody's. A wire, or a via's pad, of another net there
                    would be too near to met1 of the cell. Nodes beside the cell are in it too.
    """

    name: str
    columns: int
    rows: int
    pins: dict[str, PinAccess]
    wire: dict[Node, str]
    pad: dict[Node, str]


Shapes = dict[str, list[Rect]]

Contacts = dict[str, tuple[tuple[Node, ...], tuple[Node, ...]]]
"""Pin -> its nodes with a legal contact, its nodes on metal of its own."""


def by_layer(shapes: Iterable[Shape]) -> Shapes:
    found: Shapes = {}
    for shape in shapes:
        found.setdefault(shape.layer, []).append(tuple(shape.rect))
    return found


def cell_access(cell: CellAbstract, stack: Stack, pitch: tuple[int, int]) -> CellAccess:
    """The table of a standard cell; SpecError when a pin cannot be reached."""
    lattice = Lattice(cell.width // pitch[0], cell.height // pitch[1], 1, *pitch, pitch[0] // 2, pitch[1] // 2)
    metal, cut = stack.layers[0].name, stack.vias[0].cut_layer
    signals = {name: by_layer(pin.shapes) for name, pin in sorted(cell.signal_pins.items())}
    obstructions = by_layer(cell.obstructions)
    fixed = [("", rect) for rect in obstructions.get(metal, ())]
    fixed += [("", rect) for name, pin in cell.pins.items() if name not in signals
              for rect in by_layer(pin.shapes).get(metal, ())]
    fixed += [(name, rect) for name, shapes in signals.items() for rect in shapes.get(metal, ())]
    cuts = [*obstructions.get(cut, ()), *(rect for shapes in signals.values() for rect in shapes.get(cut, ()))]
    finder = _Finder(cell.name, lattice, stack, fixed, cuts)
    on_grid = {name: finder.on_grid(name, shapes) for name, shapes in signals.items()}
    stubs = finder.stubs({name: shapes for name, shapes in signals.items() if not any(on_grid[name])}, on_grid)
    fixed += [(name, stub.metal) for name, stub in stubs.items()]
    pins = {name: PinAccess(tuple(node for node in contact if finder.clear_of_stubs(name, node, stubs)), direct,
                            stubs.get(name), tuple(signals[name].get(metal, ())))
            for name, (contact, direct) in on_grid.items()}
    rule = stack.layers[0]
    pads = stack.vias[1].lower
    return CellAccess(cell.name, lattice.nx, lattice.ny, pins,
                      _owners(lattice, fixed, (rule.half_width, rule.half_width), stack),
                      _owners(lattice, fixed, pads, stack))


def mirrored(node: Node, columns: int, rows: int, orientation: str) -> Node:
    """A node of a cell placed as N, S, FN or FS, from the lower left corner of where it stands.

    >>> [mirrored((0, 1), 4, 8, orientation) for orientation in ("N", "FN", "FS", "S")]
    [(0, 1), (3, 1), (0, 6), (3, 6)]
    """
    if orientation not in ("N", "S", "FN", "FS"):
        raise SpecError(f"a standard cell must be placed N, S, FN or FS, not {orientation}")
    column = columns - 1 - node[0] if orientation in ("S", "FN") else node[0]
    row = rows - 1 - node[1] if orientation in ("S", "FS") else node[1]
    return column, row


def covered(rect: Rect, by: Iterable[Rect]) -> bool:
    """Whether rectangles together cover one.

    >>> covered((0, 0, 10, 10), [(0, 0, 4, 10), (4, 0, 10, 10)]), covered((0, 0, 10, 10), [(0, 0, 4, 10)])
    (True, False)
    """
    left = [rect]
    for cover in by:
        left = [piece for whole in left for piece in _without(whole, cover)]
    return not left


def _without(rect: Rect, cover: Rect) -> Iterator[Rect]:
    x0, y0, x1, y1 = rect
    a0, b0, a1, b1 = max(x0, cover[0]), max(y0, cover[1]), min(x1, cover[2]), min(y1, cover[3])
    if a0 >= a1 or b0 >= b1:
        yield rect
        return
    pieces = ((x0, y0, x1, b0), (x0, b1, x1, y1), (x0, b0, a0, b1), (a1, b0, x1, b1))
    yield from (piece for piece in pieces if piece[0] < piece[2] and piece[1] < piece[3])


def _owners(lattice: Lattice, fixed: Sequence[tuple[str, Rect]], half: tuple[int, int],
            stack: Stack) -> dict[Node, str]:
    """Node -> the pin whose met1 reaches it, "" where several do or nobody's does; with a margin around the cell."""
    margin = 3
    around = Lattice(lattice.nx + 2 * margin, lattice.ny + 2 * margin, 1, lattice.pitch_x, lattice.pitch_y,
                     lattice.x0 - margin * lattice.pitch_x, lattice.y0 - margin * lattice.pitch_y)
    owners: dict[Node, str] = {}
    for owner, rect in fixed:
        for column, row in reach(around, rect, half, stack.layers[0].spacing_to(rect)):
            node = column - margin, row - margin
            owners[node] = owner if owners.get(node, owner) == owner else ""
    return dict(sorted(owners.items()))


@dataclass(frozen=True)
class _Finder:
    """Searches one cell. fixed: met1 with the pin that has it, or ""; cuts: every mcon of the cell."""

    name: str
    lattice: Lattice
    stack: Stack
    fixed: Sequence[tuple[str, Rect]]
    cuts: Sequence[Rect]

    def on_grid(self, pin: str, shapes: Shapes) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
        """Nodes with a legal contact, nodes on the pin's own met1."""
        own = shapes.get(self.stack.layers[0].name, [])
        half = self.stack.layers[0].half_width
        contact, direct = [], []
        contacts = self._nodes_in(shapes.get(self.stack.pin_layer, []))
        for column, row in sorted(contacts | self._nodes_in(own)):
            x, y = self.lattice.xy(self.lattice.node(0, column, row))
            if covered(centred((half, half), x, y), own):
                direct.append((column, row))
            elif self._cuts_legal(np.array([(x, y)]), shapes).all() and self._metals_legal(
                    pin, np.array([centred(self.stack.vias[0].upper, x, y)])).all():
                contact.append((column, row))
        return tuple(contact), tuple(direct)

    def _nodes_in(self, rects: Iterable[Rect]) -> set[Node]:
        """Nodes whose middle lies in one of the rectangles."""
        found: set[Node] = set()
        for rect in rects:
            x_first, x_last, y_first, y_last = self.lattice.window(rect, 1, 1)
            found.update(product(range(x_first, x_last + 1), range(y_first, y_last + 1)))
        return found

    def _cuts_legal(self, places: np.ndarray, shapes: Shapes) -> np.ndarray:
        """At which of many points (n, 2) a cut keeps its distance from all cuts that it does not take the place of,
        and has the pin's li1 around it."""
        via, legal = self.stack.vias[0], np.ones(len(places), np.bool_)
        half = np.array(via.cut)
        low, high = places - half, places + half
        for other in np.array(self.cuts, np.int64).reshape(-1, 4):
            gap = np.maximum(low - other[2:], other[:2] - high).clip(0)
            same = (low == other[:2]).all(axis=1) & (high == other[2:]).all(axis=1)
            legal &= same | ((gap ** 2).sum(axis=1) >= via.cut_spacing ** 2)
        own = shapes.get(self.stack.pin_layer, [])
        for index in np.flatnonzero(legal).tolist():
            legal[index] = covered(centred(via.lower, *places[index].tolist()), own)
        return legal

    def stubs(self, wanted: dict[str, Shapes], on_grid: Contacts) -> dict[str, Stub]:
        """A stub for each pin that needs one: the combination that takes least from the others."""
        options = []
        for pin, shapes in wanted.items():
            found = list(islice(self._options(pin, shapes), max(2, int(_CHOICES ** (1 / len(wanted))))))
            if not found:
                raise SpecError(f"pin {pin} must be reachable by a via on the lattice or by a stub, and is by neither "
                                f"({self.name}); list the cell under do_not_use of the PDK's file")
            options.append([self._weigh(pin, stub, on_grid) for stub in found])
        best: tuple[int, Sequence[_Option]] | None = None
        for choice in product(*options):
            cost = self._cost(choice, on_grid)
            if cost is not None and (best is None or cost < best[0]):
                best = cost, choice
        if best is None:
            raise SpecError(f"the stubs of pins {', '.join(wanted)} must leave room for each other and for the other "
                            f"pins, and no choice of them does ({self.name}); list the cell under do_not_use")
        return {option.pin: option.stub for option in best[1]}

    def _options(self, pin: str, shapes: Shapes) -> Iterator[Stub]:
        """The smallest legal stub of each node, smallest first."""
        found: list[tuple[int, Stub]] = []
        places = np.array(list(self._cut_places(shapes)), np.int64).reshape(-1, 2)
        cuts = places[self._cuts_legal(places, shapes)]
        if not len(cuts):
            return
        rule, lattice = self.stack.layers[0], self.lattice
        width, margin = lattice.nx * lattice.pitch_x, rule.spacing // 2
        for node in product(range(lattice.nx), range(lattice.ny)):
            middle = lattice.xy(lattice.node(0, *node))
            near = cuts[(np.abs(cuts - middle) <= (lattice.pitch_x, lattice.pitch_y)).all(axis=1)]
            hulls = self._hulls(near, middle)
            legal = (hulls[:, 0] >= margin) & (hulls[:, 2] <= width - margin) & self._metals_legal(pin, hulls)
            if legal.any():
                x0, y0, x1, y1, x, y = hulls[legal][0].tolist()
                found.append((_area((x0, y0, x1, y1)), Stub(node, (x, y), (x0, y0, x1, y1))))
        yield from (stub for _, stub in sorted(found, key=lambda item: (item[0], item[1].node)))

    def _metals_legal(self, pin: str, metals: np.ndarray) -> np.ndarray:
        """Which of many rectangles are clear of others' met1; the pin's own they overlap, or keep away from."""
        legal = np.ones(len(metals), np.bool_)
        for owner, rect in self.fixed:
            gap_x = np.maximum(metals[:, 0] - rect[2], rect[0] - metals[:, 2])
            gap_y = np.maximum(metals[:, 1] - rect[3], rect[1] - metals[:, 3])
            near = gap_x.clip(0) ** 2 + gap_y.clip(0) ** 2 < self.stack.layers[0].spacing_to(rect) ** 2
            legal &= ~near | ((owner == pin) & (gap_x < 0) & (gap_y < 0))
        return legal

    def _hulls(self, cuts: np.ndarray, middle: tuple[int, int]) -> np.ndarray:
        """Rectangles around the pad over a cut and the wire at a node, with the cut (n, 6); the smallest first."""
        half = self.stack.layers[0].half_width
        low, high = np.array(middle) - half, np.array(middle) + half
        upper = self.stack.vias[0].upper
        both = np.concatenate([np.concatenate((np.minimum(cuts - pad, low), np.maximum(cuts + pad, high), cuts), axis=1)
                               for pad in (upper, upper[::-1])])
        area = (both[:, 2] - both[:, 0]) * (both[:, 3] - both[:, 1])
        return both[np.lexsort((*both.T, area))]

    def _cut_places(self, shapes: Shapes) -> Iterator[tuple[int, int]]:
        """Points on the manufacturing grid of 5 nm at which a cut could stand in the pin's li1."""
        rects = shapes.get(self.stack.pin_layer, [])
        half = self.stack.vias[0].lower
        seen = set()
        for rect in rects:
            for x in range(rect[0], rect[2] + 1, 5):
                for y in range(rect[1], rect[3] + 1, 5):
                    wide = (other[0] + half[0] <= x <= other[2] - half[0]
                            or other[1] + half[1] <= y <= other[3] - half[1] for other in rects)
                    if (x, y) not in seen and any(wide):
                        seen.add((x, y))
                        yield x, y

    def _weigh(self, pin: str, stub: Stub, on_grid: Contacts) -> "_Option":
        """What a stub alone takes: nodes of the lowest layer, area, contacts of other pins."""
        rule = self.stack.layers[0]
        taken = len(reach(self.lattice, stub.metal, (rule.half_width,) * 2, rule.spacing))
        lost = frozenset((other, node) for other, (contact, _) in on_grid.items() for node in contact
                         if not self.clear_of_stubs(other, node, {pin: stub}))
        return _Option(pin, stub, taken * 20 + _area(stub.metal) // 10_000, lost)

    def _cost(self, choice: Sequence["_Option"], on_grid: Contacts) -> int | None:
        """What a choice of stubs takes from the cell, most of all from pins with few contacts; None when illegal."""
        for option, other in combinations(choice, 2):
            if too_close(option.stub.metal, other.stub.metal, self.stack.layers[0].spacing):
                return None
        lost = frozenset().union(*(option.lost for option in choice))
        cost = sum(option.cost for option in choice)
        for pin in {pin for pin, _ in lost} - {option.pin for option in choice}:
            here = len(on_grid[pin][0]) + len(on_grid[pin][1])
            kept = here - sum(other == pin for other, _ in lost)
            if not kept:
                return None
            cost += (here - kept) * 12 // kept * 10
        return cost

    def clear_of_stubs(self, pin: str, node: Node, stubs: dict[str, Stub]) -> bool:
        """Whether a contact at a node keeps its distance from other pins' stubs."""
        pad = centred(self.stack.vias[0].upper, *self.lattice.xy(self.lattice.node(0, *node)))
        return all(owner == pin or not too_close(pad, stub.metal, self.stack.layers[0].spacing)
                   for owner, stub in stubs.items())


@dataclass(frozen=True)
class _Option:
    """A stub that a pin could have. lost: contacts of other pins that it stands too near to."""

    pin: str
    stub: Stub
    cost: int
    lost: frozenset[tuple[str, Node]]


def _area(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


def all_reachable(access: CellAccess) -> bool:
    """Whether every pin can be reached at the same time: pads of two pins may not stand a row apart in a column."""
    pins = sorted(access.pins.values(), key=lambda pin: len(pin.nodes))
    return _reachable(pins, [])


def _reachable(pins: list[PinAccess], taken: list[Node]) -> bool:
    if not pins:
        return True
    for node in pins[0].nodes:
        if all(node[0] != other[0] or abs(node[1] - other[1]) > 1 for other in taken):
            if _reachable(pins[1:], [*taken, node]):
                return True
    return False
