"""Rows of sites around the macros, and the cells that they must have: end caps and taps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flow.floorplan.spec import TAP_REACH_SITES
from flow.physical.abstract import CellAbstract
from flow.physical.design import Placed, Row
from flow.physical.geometry import Rect
from flow.physical.technology import Technology

TAP_CELL, END_CAP_CELL = "tapvpwrvgnd_1", "decap_3"
"""Without the library's prefix. The end cap is a decoupling capacitor, as open flows for this library have it."""


def cut_rows(core: Rect, keep_outs: Sequence[Rect], technology: Technology, least_width: int) -> list[Row]:
    """Rows from the core's bottom up, alternately N and FS, where nothing keeps them out.

    Pieces narrower than least_width are left out: no supply strap would be sure to cross them.
    """
    rows, pieces = [], {}
    for number in range(core.height // technology.row_height):
        y = core.y0 + number * technology.row_height
        taken = tuple((box.x0, box.x1) for box in keep_outs if box.y0 < y + technology.row_height and box.y1 > y)
        if taken not in pieces:
            pieces[taken] = list(_pieces(core, taken, technology.site_width, least_width))
        rows += [Row(y, x0, x1, "FS" if number % 2 else "N") for x0, x1 in pieces[taken]]
    return rows


def _pieces(core: Rect, taken: Sequence[tuple[int, int]], site: int, least_width: int) -> Iterator[tuple[int, int]]:
    """What is left of a row between the stretches that are taken, in whole sites."""
    x = core.x0
    for x0, x1 in [*sorted(taken), (core.x1, core.x1)]:
        end = core.x0 + (min(x0, core.x1) - core.x0) // site * site
        if end - x >= least_width:
            yield x, end
        x = max(x, core.x0 - (core.x0 - x1) // site * site)


def n_sites(rows: Iterable[Row], technology: Technology) -> int:
    return sum(row.x1 - row.x0 for row in rows) // technology.site_width


def row_cells(rows: Sequence[Row], core: Rect, tap: CellAbstract, end_cap: CellAbstract,
              technology: Technology) -> dict[str, Placed]:
    """End caps and taps by name, all fixed.

    Taps stand every 2 x TAP_REACH_SITES in a row, in the next row half way between, counted from the core's edge;
    a row's ends get one more where the nearest is out of reach.
    """
    site, placed = technology.site_width, {}
    for row in rows:
        for x in (row.x0, row.x1 - end_cap.width):
            placed[f"ENDCAP_{len(placed)}"] = Placed(end_cap.name, x, row.y, row.orientation, fixed=True)
        first, last = row.x0 + end_cap.width, row.x1 - end_cap.width - tap.width
        for x in tap_places(row, core, first, last, site):
            placed[f"TAP_{len(placed)}"] = Placed(tap.name, x, row.y, row.orientation, fixed=True)
    return placed


def tap_places(row: Row, core: Rect, first: int, last: int, site: int) -> list[int]:
    """Left edges of a row's taps, between first and last."""
    reach = TAP_REACH_SITES * site
    offset = reach if row.orientation == "FS" else 0
    start = core.x0 + offset + -(-(first - core.x0 - offset) // (2 * reach)) * 2 * reach
    places = list(range(start, last + 1, 2 * reach))
    if not places or places[0] - row.x0 > reach:
        places.insert(0, first)
    if row.x1 - places[-1] - site > reach:
        places.append(last)
    return places


def farthest_from_tap(rows: Iterable[Row], taps: Iterable[Placed], site: int) -> int:
    """The longest way, in sites, from a site of a row to the next tap in it; the row's whole length without any."""
    worst = 0
    places = sorted((tap.y, tap.x) for tap in taps)
    for row in rows:
        mine = [x for y, x in places if y == row.y and row.x0 <= x < row.x1]
        if not mine:
            worst = max(worst, (row.x1 - row.x0) // site)
            continue
        gaps = [mine[0] - row.x0, row.x1 - site - mine[-1]]
        gaps += [(b - a) // 2 for a, b in zip(mine, mine[1:], strict=False)]
        worst = max(worst, max(gaps) // site)
    return worst
