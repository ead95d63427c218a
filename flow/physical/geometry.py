"""Rectangles on layers, and the eight ways in which a cell can be placed. Lengths are integer nanometres."""

from collections.abc import Iterable
from typing import NamedTuple

from golden.spec import SpecError

NM_PER_UM = 1000

ORIENTATIONS = ("N", "S", "FN", "FS", "W", "E", "FW", "FE")
"""DEF's words: N as drawn, S turned by 180 degrees, FN mirrored left to right, FS upside down, W and E turned by 90."""


class Rect(NamedTuple):
    """Left, bottom, right, top."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        return self.width * self.height

    def moved(self, dx: int, dy: int) -> "Rect":
        return Rect(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def grown(self, dx: int, dy: int | None = None) -> "Rect":
        """Larger by dx on the left and the right, by dy (None: dx) below and above."""
        dy = dx if dy is None else dy
        return Rect(self.x0 - dx, self.y0 - dy, self.x1 + dx, self.y1 + dy)

    def overlaps(self, other: "Rect") -> bool:
        """Whether they share an area; touching edges do not count.

        >>> Rect(0, 0, 2, 2).overlaps(Rect(2, 0, 4, 2)), Rect(0, 0, 2, 2).overlaps(Rect(1, 1, 4, 2))
        (False, True)
        """
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def contains(self, other: "Rect") -> bool:
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1


class Shape(NamedTuple):
    """A rectangle on a layer."""

    layer: str
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def rect(self) -> Rect:
        return Rect(*self[1:])

    @classmethod
    def of(cls, layer: str, rect: Iterable[int]) -> "Shape":
        return cls(layer, *rect)

    def moved(self, dx: int, dy: int) -> "Shape":
        return Shape(self.layer, self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)


def nm(um: float) -> int:
    """Micrometres as nanometres; SpecError for what is not a whole number of them.

    >>> nm(0.46)
    460
    """
    value = round(um * NM_PER_UM)
    if abs(value - um * NM_PER_UM) > 1e-3:
        raise SpecError(f"lengths must be whole nanometres, not {um} um")
    return value


def placed_point(orientation: str, width: int, height: int, x: int, y: int) -> tuple[int, int]:
    """Where a point of a cell comes to lie, relative to the lower left corner of the placed cell.

    width, height: of the cell as it is drawn.

    >>> [placed_point(orientation, 10, 4, 1, 1) for orientation in ORIENTATIONS]
    [(1, 1), (9, 3), (9, 1), (1, 3), (3, 1), (1, 9), (1, 1), (3, 9)]
    """
    match orientation:
        case "N":
            return x, y
        case "S":
            return width - x, height - y
        case "FN":
            return width - x, y
        case "FS":
            return x, height - y
        case "W":
            return height - y, x
        case "E":
            return y, width - x
        case "FW":
            return y, x
        case "FE":
            return height - y, width - x
    raise SpecError(f"orientation must be one of {', '.join(ORIENTATIONS)}, not {orientation!r}")


def placed_size(orientation: str, width: int, height: int) -> tuple[int, int]:
    """Width and height of a cell as it is placed."""
    return (height, width) if orientation in ("W", "E", "FW", "FE") else (width, height)


def placed_rect(orientation: str, width: int, height: int, rect: Rect) -> Rect:
    """`placed_point` of a rectangle.

    >>> placed_rect("FS", 10, 4, Rect(0, 0, 10, 1))
    Rect(x0=0, y0=3, x1=10, y1=4)
    """
    ax, ay = placed_point(orientation, width, height, rect.x0, rect.y0)
    bx, by = placed_point(orientation, width, height, rect.x1, rect.y1)
    return Rect(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
