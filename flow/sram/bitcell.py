"""The bitcell: its transistors as they lie in the array, and the capacitance of its lines by a field solution.

One cell between mirrors is one pitch of the array: rows are mirrored in the layout, and columns are as good as.
"""

from dataclasses import dataclass
from pathlib import Path

import klayout.db as kdb
import msgspec
import numpy as np

from flow.characterise.capacitance import assemble, counted_pair, solve
from flow.characterise.grid import covered, edges_of, grid_lines
from flow.characterise.technology import EPSILON_0_F_PER_UM, K_NITRIDE_SPACER, NITRIDE_CAP_UM, NITRIDE_SPACER_UM
from flow.pdk.config import PdkConfig
from flow.sram.flat import Mos
from flow.sram.periphery import Traced, trace
from flow.sram.stack import HEIGHTS_UM, SHEETS_OHM, permittivity, z_lines
from golden.spec import SpecError

CELL, BLOCK = "SP6TCell", "SP6TArray_4X4"
LINES = ("bl", "bl_n", "wl")
NODES = ("bit", "bit_n")
FINEST_NM, COARSEST_NM = 40, 100
PARTS = {"poly": "poly", "li1": "wire", "met1": "wire", "met2": "wire"}
CUTS = {"mcon": ("li1", "met1"), "via": ("met1", "met2")}
N_DIGITS = 4


class BitCell(msgspec.Struct, frozen=True):
    """Transistors on the nets bl, bl_n, wl, bit, bit_n, vdd, vss; pitches (um).

    farad: of each line and node in one cell. line_ohm: resistance of a line over one cell.
    """

    transistors: tuple[Mos, ...]
    farad: dict[str, float]
    line_ohm: dict[str, float]
    width_um: float
    height_um: float


@dataclass(frozen=True)
class Drawn:
    """The cell's shapes: (part, net) -> layer -> region inside of the outline."""

    shapes: dict[tuple[str, str], dict[str, kdb.Region]]
    layers: dict[str, kdb.Region]
    outline: kdb.Box
    dbu: float


def extract_bitcell(gds: Path, pdk: PdkConfig) -> BitCell:
    """The cell of a macro's GDS; SpecError when it is not a cell of six transistors."""
    layout = kdb.Layout()
    layout.read(str(gds))
    outline = kdb.Region(layout.cell(CELL).begin_shapes_rec(layout.layer(*pdk.drawing("outline")))).bbox()
    pitch = kdb.DVector(outline.width() * layout.dbu, outline.height() * layout.dbu)
    block = layout.cell(BLOCK).dup()                       # as in the array: diffusion is shared with the neighbours
    around = {(round(m.x, 3), round(m.y, 3)): m for m in trace(layout, block, pdk, "label").transistors}
    single = layout.cell(CELL).dup()
    traced = trace(layout, single, pdk, "pin")
    names = node_names(traced)
    transistors = []
    for mos in traced.transistors:
        inside = around[round(mos.x + pitch.x, 3), round(mos.y + pitch.y, 3)]
        drain, gate, source = (names.get(net, net) for net in (mos.drain, mos.gate, mos.source))
        rail = "vdd" if mos.device.startswith("p") else "vss"
        swap = abs(inside.ad - mos.ad) + abs(inside.as_ - mos.as_) > abs(inside.as_ - mos.ad) + abs(inside.ad - mos.as_)
        ends = {"ad": inside.as_, "as_": inside.ad, "pd": inside.ps, "ps": inside.pd, "nrd": inside.nrs,
                "nrs": inside.nrd} if swap else {}
        transistors.append(msgspec.structs.replace(
            inside, name=f"{mos.device[0]}{len(transistors)}", drain=drain, gate=gate, source=source, bulk=rail,
            **ends))
    drawn = read_shapes(traced, names, outline, layout.dbu)
    ohm = {line: line_resistance(drawn, line, layer) for line, layer in (("bl", "met1"), ("bl_n", "met1"),
                                                                        ("wl", "met2"))}
    return BitCell(tuple(transistors), solve_field(drawn), ohm, pitch.x, pitch.y)


def node_names(traced: Traced) -> dict[str, str]:
    """The nodes inside: what the access transistors join to the bit lines."""
    names = {}
    for mos in traced.transistors:
        for line, node in zip(LINES, NODES, strict=False):
            if mos.gate == "wl" and line in (mos.drain, mos.source):
                names[mos.source if mos.drain == line else mos.drain] = node
    if len(traced.transistors) != 6 or set(names.values()) != set(NODES):
        raise SpecError(f"{CELL} must be six transistors, two of which join bl and bl_n to the cell by wl, and is not: "
                        f"{len(traced.transistors)} transistors, nodes {sorted(names.values())}")
    return names


def read_shapes(traced: Traced, names: dict[str, str], outline: kdb.Box, dbu: float) -> Drawn:
    """The conductors of each net, as parts that flow.characterise.capacitance.counted_pair knows."""
    inside, diff = kdb.Region(outline), traced.layers["diff"]
    shapes: dict[tuple[str, str], dict[str, kdb.Region]] = {}
    for net in traced.nets:
        own = traced.shapes(net, [*PARTS, "mcon", "via", "licon", "pfet_01v8 ends", "nfet_01v8 ends"])
        name = names.get(net, net)
        for layer, region in own.items():
            pieces = {"poly": (("gate", region & diff), ("poly", region - diff)),
                      "licon": (("contact", region & diff), ("wire", region - diff))}.get(
                layer, ((PARTS.get(layer, "diff" if layer.endswith("ends") else "wire"), region),))
            for part, piece in pieces:
                clipped = piece & inside
                if not clipped.is_empty():
                    shapes.setdefault((part, name), {})["diff" if layer.endswith("ends") else layer] = clipped
    return Drawn(shapes, traced.layers, outline, dbu)


def line_resistance(drawn: Drawn, line: str, layer: str) -> float:
    """Of a straight wire across the cell: the cell's length over the wire's width."""
    region = drawn.shapes["wire", line][layer]
    box = region.bbox()
    along = max(box.width(), box.height()) * drawn.dbu
    return SHEETS_OHM[layer] * along**2 / (region.area() * drawn.dbu**2)


def solve_field(drawn: Drawn) -> dict[str, float]:
    """Farad of each line and node to all others in one cell, without what the transistor models have."""
    xs, ys = set(), set()
    for layers in drawn.shapes.values():
        for region in layers.values():
            new_x, new_y = edges_of(region)
            xs, ys = xs | new_x, ys | new_y
    box = drawn.outline
    x_lines = grid_lines((x for x in xs if x > box.left), box.left, box.right, FINEST_NM, COARSEST_NM)
    y_lines = grid_lines((y for y in ys if y > box.bottom), box.bottom, box.top, FINEST_NM, COARSEST_NM)
    z = z_lines()
    conductors = [("bulk", "well"), ("channel", "channel"), *drawn.shapes]
    filled = np.full((len(x_lines) - 1, len(y_lines) - 1, len(z)), -1, np.int32)
    filled[:, :, 0] = 0
    height = {layer: z_slice(z, *HEIGHTS_UM[layer]) for layer in HEIGHTS_UM}
    over_diff = covered(drawn.layers["diff"], x_lines, y_lines)
    gate = over_diff & covered(drawn.layers["poly"], x_lines, y_lines)
    filled[:, :, height["diff"]][gate] = 1
    for number, ((part, _), layers) in enumerate(drawn.shapes.items(), 2):
        for layer, region in layers.items():
            here = covered(region, x_lines, y_lines)
            if layer in CUTS:
                where = z_slice(z, HEIGHTS_UM[CUTS[layer][0]][1], HEIGHTS_UM[CUTS[layer][1]][0])
            elif layer == "licon":
                where = z_slice(z, HEIGHTS_UM["diff" if part == "contact" else "poly"][1], HEIGHTS_UM["li1"][0])
            else:
                where = height[layer]
            filled[:, :, where][here] = number
    matrix, walls = assemble(filled, dielectrics(drawn, x_lines, y_lines, z), len(conductors), x_lines * drawn.dbu,
                             y_lines * drawn.dbu, z)
    wanted = [k for k, (part, net) in enumerate(conductors) if net in (*LINES, *NODES) and part != "diff"]
    potential = solve(matrix.astype(np.float32), walls[:, wanted].toarray().astype(np.float32), CELL)
    charge = (walls.T @ potential) * EPSILON_0_F_PER_UM
    total = dict.fromkeys((*LINES, *NODES), 0.0)
    for column, k in enumerate(wanted):
        for j, other in enumerate(conductors):
            if counted_pair(conductors[k], other) is not None:
                total[conductors[k][1]] += float(charge[j, column])
    return {net: float(f"{value:.{N_DIGITS}g}") for net, value in total.items()}


def z_slice(z: np.ndarray, low: float, high: float) -> slice:
    """Boxes between two heights, the floor in front of them counted."""
    i, j = (int(np.argmin(np.abs(z - value))) for value in (low, high))
    return slice(i + 1, j + 1)


def dielectrics(drawn: Drawn, x_lines: np.ndarray, y_lines: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Relative permittivity of every box: the stack, and the nitride around poly."""
    middle = (z[1:] + z[:-1]) / 2
    volume = np.broadcast_to(permittivity(middle), (len(x_lines) - 1, len(y_lines) - 1, len(middle))).copy()
    around = covered(drawn.layers["poly"].sized(round(NITRIDE_SPACER_UM / drawn.dbu)).merged(), x_lines, y_lines)
    low, high = HEIGHTS_UM["poly"]
    sheath = (middle > low) & (middle < high + NITRIDE_CAP_UM)
    volume[np.ix_(*(np.arange(n) for n in volume.shape[:2]), np.flatnonzero(sheath))] = np.where(
        around[:, :, None], K_NITRIDE_SPACER, volume[:, :, sheath])
    return volume
