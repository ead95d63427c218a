"""How a macro's pins are reached: from outside, over its edge.

Their metal lies off the lattice and inside the macro other metal is near. So each pin is brought out to the nearest
node beyond the edge that it touches: straight where a track hits it, else with a bend along the edge.
"""

from dataclasses import dataclass

from flow.route.lattice import Lattice, LayerRule, Rect
from golden.spec import SpecError


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


def extend(lattice: Lattice, rule: LayerRule, layer: int, rect: Rect, outline: Rect, name: str) -> Extension:
    """Brings a pin to the first node beyond the edge that keeps a wide shape's distance from the macro.

    SpecError when the pin touches no edge, or the die ends there.
    """
    side = side_of(rect, outline)
    if side is None:
        raise SpecError(f"pin {name} must reach an edge of its macro, which {rect} nm inside {outline} nm does not")
    if side in ("left", "right"):
        turned = _extend(lattice.pitch_y, lattice.y0, lattice.ny, lattice.pitch_x, lattice.x0, lattice.nx, rule,
                         _turn(rect), _turn(outline), side == "left", name)
        (row, column), metal = turned
        metal = tuple(_turn(piece) for piece in metal)
    else:
        (column, row), metal = _extend(lattice.pitch_x, lattice.x0, lattice.nx, lattice.pitch_y, lattice.y0, lattice.ny,
                                       rule, rect, outline, side == "bottom", name)
    row, column = _on_track(rule, row, column, name)
    return Extension(layer, lattice.node(layer, column, row), metal)


def _turn(rect: Rect) -> Rect:
    return rect[1], rect[0], rect[3], rect[2]


def _on_track(rule: LayerRule, row: int, column: int, name: str) -> tuple[int, int]:
    if (row if rule.horizontal else column) % rule.step:
        raise SpecError(f"pin {name} is in {rule.name}, of which the lattice has every {rule.step}. track only; "
                        "pins of macros must be in met1 or met2")
    return row, column


def _extend(pitch: int, origin: int, n: int, pitch_out: int, origin_out: int, n_out: int, rule: LayerRule, rect: Rect,
            outline: Rect, below: bool, name: str) -> tuple[tuple[int, int], tuple[Rect, ...]]:
    """As `extend`, for the bottom (`below`) or top edge: track along the edge and outwards, and the metal."""
    half, keep = rule.half_width, rule.wide_spacing + rule.half_width
    middle = (rect[0] + rect[2]) // 2
    track = min(max(round((middle - origin) / pitch), 0), n - 1)
    x = origin + track * pitch
    out = (outline[1] - keep - origin_out) // pitch_out if below else -((origin_out - outline[3] - keep) // pitch_out)
    if not 0 <= out < n_out:
        raise SpecError(f"pin {name} must have a track between its macro's edge and the die's; move the macro inwards")
    y = origin_out + out * pitch_out
    inner = (y - half, rect[1] + half) if below else (rect[3] - half, y + half)
    if rect[0] <= x - half and x + half <= rect[2]:
        return (track, out), ((x - half, inner[0], x + half, inner[1]),)
    low, high = max(rect[0], middle - rule.spacing), min(rect[2], middle + rule.spacing)
    return (track, out), ((low, inner[0], high, inner[1]),
                          (min(low, x - half), y - half, max(high, x + half), y + half))
