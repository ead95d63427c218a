"""How a macro's pins are reached: from outside, over its edge.

Their metal lies off the lattice and inside the macro other metal is near. So each pin is brought out to the nearest
node beyond the edge that it touches: straight where a track hits it, else with a bend along the edge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flow.route.lattice import Lattice, LayerRule, Rect, too_close
from golden.spec import SpecError

TRACKS = 5
"""Tracks near a pin that are tried."""

BEYOND = 1000
"""How far beyond the edge, in nm, the way to a node goes at most."""


@dataclass(frozen=True)
class Extension:
    """Metal that brings a pin to a node (of its layer); rectangles in die nm."""

    layer: int
    node: int
    metal: tuple[Rect, ...]


def side_of(rect: Rect, outline: Rect) -> str | None:
    """Which edge of a macro a pin touches: left, right, bottom, top."""
    touches = {"left": rect[0] <= outline[0], "right": rect[2] >= outline[2], "bottom": rect[1] <= outline[1],
               "top": rect[3] >= outline[3]}
    return next((side for side, does in touches.items() if does), None)


def extend(lattice: Lattice, rule: LayerRule, layer: int, rect: Rect, outline: Rect, others: Sequence[Rect],
           name: str) -> Extension:
    """Brings a pin to the first node beyond the edge that keeps a wide shape's distance from the macro.

    others: metal of the layer that belongs to other pins (`beyond`); of the tracks near the pin the nearest one is
    taken whose metal keeps its distance from it. SpecError when there is none, the pin touches no edge, or the die
    ends there.
    """
    side = side_of(rect, outline)
    if side is None:
        raise SpecError(f"pin {name} must reach an edge of its macro, which {rect} nm inside {outline} nm does not")
    sideways = side in ("left", "right")
    if sideways:
        turned = Lattice(lattice.ny, lattice.nx, lattice.n_layers, lattice.pitch_y, lattice.pitch_x, lattice.y0,
                         lattice.x0)
        ways = _ways(turned, rule, _turn(rect), _turn(outline), side == "left", name)
    else:
        ways = _ways(lattice, rule, rect, outline, side == "bottom", name)
    for (column, row), pieces in ways:
        metal = tuple(_turn(piece) for piece in pieces) if sideways else pieces
        if not any(too_close(piece, other, rule.spacing) for piece in metal for other in others):
            at = _on_track(rule, *((column, row) if sideways else (row, column)), name)
            return Extension(layer, lattice.node(layer, at[1], at[0]), metal)
    raise SpecError(f"pin {name} at {rect} nm must have a track that other pins' metal leaves free, and of the nearest "
                    f"{TRACKS} none is")


def beyond(rect: Rect, outline: Rect) -> Rect:
    """A pin's metal and what it will take beyond the edge that it touches: others keep away from that as well."""
    match side_of(rect, outline):
        case "left":
            return outline[0] - BEYOND, rect[1], rect[2], rect[3]
        case "right":
            return rect[0], rect[1], outline[2] + BEYOND, rect[3]
        case "bottom":
            return rect[0], outline[1] - BEYOND, rect[2], rect[3]
        case "top":
            return rect[0], rect[1], rect[2], outline[3] + BEYOND
    return rect


def _turn(rect: Rect) -> Rect:
    return rect[1], rect[0], rect[3], rect[2]


def _on_track(rule: LayerRule, row: int, column: int, name: str) -> tuple[int, int]:
    if (row if rule.horizontal else column) % rule.step:
        raise SpecError(f"pin {name} is in {rule.name}, of which the lattice has every {rule.step}. track only; "
                        "pins of macros must be in met1 or met2")
    return row, column


def _ways(lattice: Lattice, rule: LayerRule, rect: Rect, outline: Rect, below: bool,
          name: str) -> Iterator[tuple[tuple[int, int], tuple[Rect, ...]]]:
    """Over the bottom (`below`) or top edge: node (column, row) and metal, for the nearest tracks, nearest first."""
    half, keep = rule.half_width, rule.wide_spacing + rule.half_width
    if below:
        row = (outline[1] - keep - lattice.y0) // lattice.pitch_y
    else:
        row = -((lattice.y0 - outline[3] - keep) // lattice.pitch_y)
    if not 0 <= row < lattice.ny:
        raise SpecError(f"pin {name} must have a track between its macro's edge and the die's; move the macro inwards")
    y = lattice.y0 + row * lattice.pitch_y
    inner = (y - half, rect[1] + half) if below else (rect[3] - half, y + half)
    middle = (rect[0] + rect[2]) // 2
    near = sorted(range(lattice.nx), key=lambda column: abs(lattice.x0 + column * lattice.pitch_x - middle))
    for column in near[:TRACKS]:
        x = lattice.x0 + column * lattice.pitch_x
        if rect[0] <= x - half and x + half <= rect[2]:
            yield (column, row), ((x - half, inner[0], x + half, inner[1]),)
        else:
            low, high = max(rect[0], middle - rule.spacing), min(rect[2], middle + rule.spacing)
            yield (column, row), ((low, inner[0], high, inner[1]),
                                  (min(low, x - half), y - half, max(high, x + half), y + half))
