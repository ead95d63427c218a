"""All routing tracks as one lattice, and what on it may not stand next to what.

Vertical layers have their tracks at the columns of the lattice, horizontal ones at its rows; a layer with a coarser
pitch uses every second of them (met3 every second row, met4 every second column in sky130). A node is a layer and a
crossing of column and row. Everything that the router draws is centred on a node: a wire's square and vias' pads;
so two features of different nets conflict or not by their layer, kind and distance in nodes alone. `conflicts` works
that out from the rules; `check_model` refuses a technology whose conflicts are others than those the search avoids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from golden.spec import SpecError

Half = tuple[int, int]
"""Half extents of a centred rectangle in x and y, nm."""

Rect = tuple[int, int, int, int]
"""Left, bottom, right, top in nm."""


@dataclass(frozen=True)
class LayerRule:
    """A routing layer; lengths nm, area nm2.

    step:       the layer has every step-th row (horizontal) or column (vertical) of the lattice.
    both_ways:  wires against its direction are allowed too.
    wide_*:     shapes wider than wide_width in both directions keep wide_spacing.
    """

    name: str
    horizontal: bool
    step: int
    both_ways: bool
    half_width: int
    spacing: int
    min_area: int
    wide_width: int
    wide_spacing: int

    def spacing_to(self, rect: Rect) -> int:
        """What a wire keeps from a fixed shape."""
        narrow = min(rect[2] - rect[0], rect[3] - rect[1])
        return self.wide_spacing if narrow > self.wide_width else self.spacing


@dataclass(frozen=True)
class ViaRule:
    """A via, centred: pads below and above, cut; `cut_spacing` between cuts of the layer. Lengths nm."""

    name: str
    cut_layer: str
    lower: Half
    cut: Half
    upper: Half
    cut_spacing: int


@dataclass(frozen=True)
class Stack:
    """The layers that are routed on, bottom up, and the vias below each of them: vias[0] lands on `pin_layer`."""

    pin_layer: str
    layers: tuple[LayerRule, ...]
    vias: tuple[ViaRule, ...]

    def layer_index(self, name: str) -> int | None:
        names = [layer.name for layer in self.layers]
        return names.index(name) if name in names else None


@dataclass(frozen=True)
class Lattice:
    """Node (layer, column, row) <-> number and nm; number = (layer * ny + row) * nx + column.

    >>> lattice = Lattice(nx=10, ny=20, n_layers=4, pitch_x=460, pitch_y=340, x0=230, y0=170)
    >>> lattice.node(1, 3, 2), lattice.place(223), lattice.xy(223)
    (223, (1, 3, 2), (1610, 850))
    """

    nx: int
    ny: int
    n_layers: int
    pitch_x: int
    pitch_y: int
    x0: int
    y0: int

    @property
    def plane(self) -> int:
        """Nodes of one layer."""
        return self.nx * self.ny

    @property
    def n_nodes(self) -> int:
        return self.plane * self.n_layers

    def node(self, layer: int, column: int, row: int) -> int:
        return (layer * self.ny + row) * self.nx + column

    def place(self, node: int) -> tuple[int, int, int]:
        """Layer, column, row."""
        layer, rest = divmod(node, self.plane)
        row, column = divmod(rest, self.nx)
        return layer, column, row

    def xy(self, node: int) -> tuple[int, int]:
        """The middle of a node in nm."""
        _, column, row = self.place(node)
        return self.x0 + column * self.pitch_x, self.y0 + row * self.pitch_y

    def window(self, rect: Rect, margin_x: int, margin_y: int) -> tuple[int, int, int, int]:
        """First and last column and row whose nodes lie in the open rectangle that `rect` is with a margin (nm)."""
        first_x = (rect[0] - margin_x - self.x0) // self.pitch_x + 1
        last_x = -((self.x0 - rect[2] - margin_x) // self.pitch_x) - 1
        first_y = (rect[1] - margin_y - self.y0) // self.pitch_y + 1
        last_y = -((self.y0 - rect[3] - margin_y) // self.pitch_y) - 1
        return max(first_x, 0), min(last_x, self.nx - 1), max(first_y, 0), min(last_y, self.ny - 1)


def too_close(a: Rect, b: Rect, spacing: int) -> bool:
    """Whether two rectangles overlap or are nearer than `spacing`, corners measured diagonally.

    >>> too_close((0, 0, 10, 10), (16, 18, 20, 20), 10), too_close((0, 0, 10, 10), (16, 17, 20, 20), 10)
    (False, True)
    """
    dx = max(a[0] - b[2], b[0] - a[2], 0)
    dy = max(a[1] - b[3], b[1] - a[3], 0)
    return dx * dx + dy * dy < spacing * spacing


def centred(half: Half, x: int, y: int) -> Rect:
    return x - half[0], y - half[1], x + half[0], y + half[1]


def reach(lattice: Lattice, rect: Rect, half: Half, spacing: int) -> list[tuple[int, int]]:
    """Columns and rows at which a centred feature would be nearer than `spacing` to `rect`."""
    x_first, x_last, y_first, y_last = lattice.window(rect, half[0] + spacing, half[1] + spacing)
    return [(x, y) for y in range(y_first, y_last + 1) for x in range(x_first, x_last + 1)
            if too_close(rect, centred(half, lattice.x0 + x * lattice.pitch_x, lattice.y0 + y * lattice.pitch_y),
                         spacing)]


def reach_mask(lattice: Lattice, rect: Rect, half: Half, spacing: int) -> tuple[slice, slice, np.ndarray]:
    """`reach` for large rectangles: rows, columns and a mask within them."""
    x_first, x_last, y_first, y_last = lattice.window(rect, half[0] + spacing, half[1] + spacing)
    x = lattice.x0 + np.arange(x_first, x_last + 1) * lattice.pitch_x
    y = lattice.y0 + np.arange(y_first, y_last + 1) * lattice.pitch_y
    dx = np.maximum(np.maximum(rect[0] - half[0] - x, x - half[0] - rect[2]), 0)
    dy = np.maximum(np.maximum(rect[1] - half[1] - y, y - half[1] - rect[3]), 0)
    mask = dx[None, :] ** 2 + dy[:, None] ** 2 < spacing * spacing
    return slice(y_first, y_last + 1), slice(x_first, x_last + 1), mask


Feature = tuple[int, str]
"""Layer, and what stands there: wire, pad_below (of the via from below, or of the pin), pad_above."""

Conflict = tuple[Feature, Feature, int, int]
"""Two features of different nets that may not be these columns and rows apart."""


def features(stack: Stack) -> dict[Feature, Half]:
    """Everything that can be centred on a node."""
    found: dict[Feature, Half] = {}
    for index, layer in enumerate(stack.layers):
        found[index, "wire"] = (layer.half_width, layer.half_width)
        found[index, "pad_below"] = stack.vias[index].upper
        if index + 1 < len(stack.layers):
            found[index, "pad_above"] = stack.vias[index + 1].lower
    return found


def conflicts(stack: Stack, pitch_x: int, pitch_y: int) -> set[Conflict]:
    """Pairs of features on neighbouring tracks (one or two nodes away) that are nearer than the rules allow."""
    every = features(stack)
    found = set()
    for (one, other), dx, dy in product(product(every, every), range(-2, 3), range(-2, 3)):
        if one[0] != other[0] or (dx, dy) == (0, 0):
            continue
        layer = stack.layers[one[0]]
        along = dy if layer.horizontal else dx
        if along % layer.step:
            continue
        if too_close(centred(every[one], 0, 0), centred(every[other], dx * pitch_x, dy * pitch_y), layer.spacing):
            found.add((one, other, dx, dy))
    return found


def modelled_conflicts() -> set[Conflict]:
    """What the search avoids, by layer: see flow/route/search.py, `mark`."""
    model: set[Conflict] = set()
    up_down = ((0, 1), (0, -1))
    for one, other in product(("pad_below", "pad_above"), repeat=2):       # pads in met1, a row apart
        model |= {((0, one), (0, other), dx, dy) for dx, dy in up_down}
    model |= {((1, "pad_below"), (1, "pad_below"), dx, dy) for dx, dy in up_down}      # implied by those in met1
    for other in ("wire", "pad_below", "pad_above"):                       # the via to met3 and any met2 a row apart
        model |= {((1, "pad_above"), (1, other), dx, dy) for dx, dy in up_down}
        model |= {((1, other), (1, "pad_above"), dx, dy) for dx, dy in up_down}
    for layer, offsets in ((2, ((1, 0), (-1, 0))), (3, up_down)):          # any two ends in met3, in met4
        kinds = ("wire", "pad_below", "pad_above") if layer == 2 else ("wire", "pad_below")
        model |= {((layer, one), (layer, other), dx, dy)
                  for one, other in product(kinds, repeat=2) for dx, dy in offsets}
    return model


def check_model(stack: Stack, pitch_x: int, pitch_y: int, where: str) -> None:
    """SpecError when the rules forbid neighbours that the search would allow, or the other way round."""
    steps = [(layer.horizontal, layer.step) for layer in stack.layers]
    expected = [(True, 1), (False, 1), (True, 2), (False, 2)]
    if steps != expected:
        raise SpecError(f"the router needs layers (horizontal, every n-th track) {expected}, not {steps} ({where})")
    found, model = conflicts(stack, pitch_x, pitch_y), modelled_conflicts()
    if found != model:
        unknown, needless = sorted(found - model)[:3], sorted(model - found)[:3]
        raise SpecError("neighbours that the spacing rules forbid must be those that the router avoids; forbidden and "
                        f"not avoided: {unknown}; avoided and not forbidden: {needless} ({where})")


def lattice_of(stack: Stack, die: Rect, pitch: Sequence[int], offset: Sequence[int]) -> Lattice:
    """The nodes inside a die whose lower left corner is the origin of the tracks, half a wide via from its edge.

    SpecError when the die does not begin at the tracks' origin.
    """
    if die[0] or die[1]:
        raise SpecError(f"the die must begin at 0, 0, where the tracks are counted from, not {die[0]}, {die[1]}")
    nx = (die[2] - offset[0]) // pitch[0] + 1
    ny = (die[3] - offset[1]) // pitch[1] + 1
    return Lattice(nx, ny, len(stack.layers), pitch[0], pitch[1], offset[0], offset[1])
