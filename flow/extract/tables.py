"""The tables of capacitance that extraction looks things up in: flow/extract/sky130.json, as arrays.

`python -m flow.extract.generate` makes the file again, byte for byte (docs/extract.md).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

from flow.extract.corners import RC_CORNERS
from flow.extract.coupling import Look
from flow.extract.stack import METALS
from flow.extract.view import REACH
from golden.spec import Spec, SpecError

PATH = Path(__file__).with_name("sky130.json")


class EdgeTable(Spec, frozen=True):
    """An edge with one metal below and one above; values aF/um.

    below, above: how many metals away, 0 for silicon and nothing. narrow: (beside, down, up) by the gap in front of
    the edge and by that at the wire's other edge. wide: by the gap in front. same: (down, up) with a neighbour of the
    same net, of a narrow and of a wide wire, by the gap.
    """

    layer: str
    below: int
    above: int
    narrow: tuple[tuple[tuple[float, float, float], ...], ...]
    wide: tuple[tuple[float, float, float], ...]
    same: tuple[tuple[tuple[float, float], ...], ...]


class CrossingTable(Spec, frozen=True):
    """Edges of wires of the metal below, or above (upward), that cross over a base so many metals below.

    values: (crossing, beside, base) in aF by the gap beside and the distance to the next crossing wire.
    """

    layer: str
    upward: bool
    base: int
    values: tuple[tuple[tuple[float, float, float], ...], ...]


class CornerTable(Spec, frozen=True):
    """What a corner adds with one metal below and one above: (beside, down, up) in aF by the gap beside."""

    layer: str
    below: int
    above: int
    values: tuple[tuple[float, float, float], ...]


class CornerFactors(Spec, frozen=True):
    """What a corner makes of the nominal capacitance to neighbours, and to below and above; a value a gap."""

    beside: dict[str, tuple[float, ...]]
    plates: dict[str, tuple[float, ...]]


class Tables(Spec, frozen=True):
    """gaps_um and the like: of each metal. apart_um: of crossing wires. plates: aF/um2 to silicon and metals below."""

    gaps_um: dict[str, tuple[float, ...]]
    opposite_um: dict[str, tuple[float, ...]]
    widths_um: dict[str, tuple[float, ...]]
    crossing_gaps_um: dict[str, tuple[float, ...]]
    apart_um: tuple[float, ...]
    plates: dict[str, tuple[float, ...]]
    corners: dict[str, CornerFactors]
    edges: tuple[EdgeTable, ...]
    crossings: tuple[CrossingTable, ...]
    bends: tuple[CornerTable, ...]


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """The tables of the repository."""
    try:
        return msgspec.json.decode(PATH.read_bytes(), type=Tables)
    except (OSError, msgspec.MsgspecError) as error:
        raise SpecError(f"{error} ({PATH}); make it again with: .venv/bin/python -m flow.extract.generate") from None


def as_arrays(tables: Tables) -> Look:
    """For compiled code; the corners are RC_CORNERS, in this order."""
    n, metals, some = REACH + 1, len(METALS), METALS[0]
    gaps, opposite, crossing_gaps = (len(axis[some]) for axis in (
        tables.gaps_um, tables.opposite_um, tables.crossing_gaps_um))
    edges = np.zeros((metals, n, n, 2, gaps, opposite, 5))
    for edge in tables.edges:
        here = edges[METALS.index(edge.layer), edge.below, edge.above]
        here[0, :, :, :3] = edge.narrow
        here[1, :, :, :3] = np.array(edge.wide)[:, None, :]
        here[..., 3:] = np.array(edge.same)[:, :, None, :]
    crossings = np.zeros((metals, 2, n, crossing_gaps, 1 + len(tables.apart_um), 3))
    for crossing in tables.crossings:
        crossings[METALS.index(crossing.layer), int(crossing.upward), crossing.base, :, 1:] = crossing.values
    bends = np.zeros((metals, n, n, crossing_gaps, 3))
    for bend in tables.bends:
        bends[METALS.index(bend.layer), bend.below, bend.above] = bend.values
    plates = np.zeros((metals, n))
    for name, values in tables.plates.items():
        plates[METALS.index(name), :len(values)] = values
    factors = np.array([[[getattr(tables.corners[corner], kind)[name] for corner in RC_CORNERS]
                         for kind in ("beside", "plates")] for name in METALS])          # metals, 2, corners, gaps
    logs = (np.log([axis[name] for name in METALS]) for axis in (
        tables.gaps_um, tables.opposite_um, tables.crossing_gaps_um))
    gaps_log, opposite_log, crossing_log = logs
    return Look(gaps_log, opposite_log, np.array([tables.widths_um[name] for name in METALS]), crossing_log,
                np.array([0.0, *tables.apart_um]), edges, crossings, bends, plates,
                np.ascontiguousarray(np.moveaxis(factors, 3, 1)))
