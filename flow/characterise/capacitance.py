"""Capacitance between the nets of a cell, by solving Laplace's equation over its layout.

The published stack of the technology is filled into a grid whose lines follow the edges of the polygons; each
conductor in turn is put at 1 V and the charge on all others is summed. Shielding and fringe follow from the geometry:
there is nothing to fit.

What the transistor models hold already is left out: diffusion to the well, a gate to the channel, to the diffusion
beside it and to the contacts on that diffusion. The last follows from the models' numbers: cgso, cf and dlc of both
transistors give 0.165 fF/um a side beyond the drawn gate, three times what the field of a gate to bare diffusion is
here (0.058; with the contacts 0.244): they come from devices with contacts.
"""

import klayout.db as kdb
import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array

from flow.characterise.grid import covered, edges_of, grid_lines
from flow.characterise.layout import CellLayout
from flow.characterise.technology import (
    DIELECTRICS,
    EPSILON_0_F_PER_UM,
    K_NITRIDE_SPACER,
    LI_NITRIDE_UM,
    NITRIDE_CAP_UM,
    NITRIDE_SPACER_UM,
    STACK_UM,
)
from golden.spec import SpecError

FINEST_NM, COARSEST_NM = 30, 100
MARGIN_NM = 400
"""What is solved around the outline of the cell; its sides carry no field, like a mirror."""

Z_LINES_UM = np.array([0.0, 0.12, 0.23, 0.3262, 0.3862, 0.4462, 0.5062, 0.565, 0.6272, 0.72, 0.83, 0.9361, 0.9861,
                       1.0361, 1.1111, 1.23, 1.3761, 1.54, 1.7361, 2.0061, 2.4, 3.4])
TOLERANCE = 1e-3
"""Of the residual. With it, single precision is right to 0.05 % and nearly three times as fast as double."""

N_DIGITS = 4
"""Kept of a result, so that the last bits of another processor's arithmetic do not show."""

MOST_ITERATIONS = 3000
TINY = 1e-30
SMALLEST_F = 2e-19
BULK_NETS = ("VNB", "VPB")
SUPPLIES = frozenset({"VPWR", "VGND", *BULK_NETS})

WIRES = ("wire", "contact", "poly", "gate")
"""Parts whose charge no transistor model has."""

Conductor = tuple[str, str]
"""(part, net): part is wire, contact (a plug on diffusion), poly, gate, diff, channel or bulk."""


def extract_capacitance(cell: CellLayout) -> dict[tuple[str, str], float]:
    """Farad between pairs of nets (names in order, bulks VNB and VPB among them); pairs of supplies are left out."""
    x_lines, y_lines = cell_grid(cell)
    conductors, filled = fill_conductors(cell, x_lines, y_lines)
    matrix, to_conductor = assemble(filled, fill_dielectrics(cell, x_lines, y_lines), len(conductors),
                                    x_lines * cell.dbu_um, y_lines * cell.dbu_um)
    excited = [k for k, (part, net) in enumerate(conductors) if part in WIRES and net not in SUPPLIES]
    potential = solve(matrix.astype(np.float32), to_conductor[:, excited].toarray().astype(np.float32), cell.name)
    charge = (to_conductor.T @ potential) * EPSILON_0_F_PER_UM
    total: dict[tuple[str, str], float] = {}
    for column, k in enumerate(excited):
        for j, other in enumerate(conductors):
            pair = counted_pair(conductors[k], other)
            if pair is not None:
                total[pair] = total.get(pair, 0.0) + charge[j, column] * (0.5 if j in excited else 1.0)
    return {pair: float(f"{value:.{N_DIGITS}g}") for pair, value in sorted(total.items()) if value > SMALLEST_F}


def solve(matrix: csr_array, right: np.ndarray, name: str) -> np.ndarray:
    """Potentials (N, M) for M right-hand sides at once, by conjugate gradients scaled with the diagonal."""
    scale = 1 / matrix.diagonal()[:, None]
    potential = np.zeros_like(right)
    residual = right.copy()
    direction = scale * residual
    energy = first = np.einsum("nm,nm->m", residual, direction)
    for _ in range(MOST_ITERATIONS):
        product = matrix @ direction
        step = energy / np.maximum(np.einsum("nm,nm->m", direction, product), TINY)
        potential += step * direction
        residual -= step * product
        scaled = scale * residual
        old, energy = energy, np.einsum("nm,nm->m", residual, scaled)
        if np.all(energy <= TOLERANCE**2 * first):
            return potential
        direction *= energy / np.maximum(old, TINY)
        direction += scaled
    raise SpecError(f"the field of {name} must settle in {MOST_ITERATIONS} iterations, and did not")


def counted_pair(a: Conductor, b: Conductor) -> tuple[str, str] | None:
    """The nets whose capacitance the field between two conductors is; None for one net or what a transistor model has.

    >>> counted_pair(("wire", "Y"), ("gate", "A")), counted_pair(("gate", "A"), ("contact", "Y"))
    (('A', 'Y'), None)
    """
    parts = {a[0], b[0]}
    if "channel" in parts or parts in ({"gate", "diff"}, {"gate", "contact"}):
        return None
    return None if a[1] == b[1] else (min(a[1], b[1]), max(a[1], b[1]))


def cell_grid(cell: CellLayout) -> tuple[np.ndarray, np.ndarray]:
    """Grid lines (database units) over the cell's outline and a margin."""
    xs, ys = set(), set()
    for layer in ("diff", "poly", "li", "met1", "licon"):
        new_x, new_y = edges_of(cell.region(layer))
        xs |= new_x
        ys |= new_y
    box = cell.region("boundary").bbox().enlarged(MARGIN_NM, MARGIN_NM)
    return (grid_lines((x for x in xs if x > box.left), box.left, box.right, FINEST_NM, COARSEST_NM),
            grid_lines((y for y in ys if y > box.bottom), box.bottom, box.top, FINEST_NM, COARSEST_NM))


def z_range(layer: str) -> slice:
    low, high = STACK_UM[layer]
    return z_between(low, high)


def z_between(low: float, high: float) -> slice:
    """The boxes between two heights, which must be lines of the grid."""
    i, j = (int(np.flatnonzero(np.isclose(Z_LINES_UM, z))[0]) for z in (low, high))
    return slice(i, j)


def fill_conductors(cell: CellLayout, x_lines: np.ndarray, y_lines: np.ndarray) -> tuple[list[Conductor], np.ndarray]:
    """All conductors and (NX, NY, 1 + NZ) the number of the one in each box, -1 in insulators; the floor is wells."""
    conductors: list[Conductor] = []

    def number(part: str, net: str) -> int:
        if (part, net) not in conductors:
            conductors.append((part, net))
        return conductors.index((part, net))

    filled = np.full((len(x_lines) - 1, len(y_lines) - 1, len(Z_LINES_UM)), -1, np.int32)
    well = covered(cell.region("nwell"), x_lines, y_lines)
    filled[:, :, 0] = np.where(well, number("bulk", "VPB"), number("bulk", "VNB"))
    over_diff = covered(cell.region("diff"), x_lines, y_lines)
    volume = filled[:, :, 1:]
    volume[:, :, z_range("diff")] = np.where((over_diff & covered(cell.region("poly"), x_lines, y_lines))[:, :, None],
                                             number("channel", "channel"), volume[:, :, z_range("diff")])
    for piece, net in zip(cell.pieces, cell.nets, strict=True):
        here = covered(kdb.Region(piece.polygon), x_lines, y_lines)
        if piece.layer == "poly":
            put(volume, here & over_diff, "poly", number("gate", net))
            put(volume, here & ~over_diff, "poly", number("poly", net))
        elif piece.layer in ("diff", "tap"):
            put(volume, here, "diff", number("diff", net))
        else:
            put(volume, here, piece.layer, number("wire", net))
    plugs = {"licon": cell.region("licon"), "mcon": cell.region("mcon")}
    for cut in cell.cuts:
        square = plugs[cut.layer] & kdb.Region(kdb.Box(cut.at.x - 1, cut.at.y - 1, cut.at.x + 1, cut.at.y + 1))
        whole = plugs[cut.layer].interacting(square)
        below = STACK_UM[{"tap": "diff"}.get(cell.pieces[cut.below].layer, cell.pieces[cut.below].layer)][1]
        above = STACK_UM[cell.pieces[cut.above].layer][0]
        volume[covered(whole, x_lines, y_lines), z_between(below, above)] = number(
            "contact" if cell.pieces[cut.below].layer == "diff" else "wire", cell.nets[cut.above])
    return conductors, filled


def put(volume: np.ndarray, here: np.ndarray, layer: str, number: int) -> None:
    volume[:, :, z_range(layer)] = np.where(here[:, :, None], number, volume[:, :, z_range(layer)])


def fill_dielectrics(cell: CellLayout, x_lines: np.ndarray, y_lines: np.ndarray) -> np.ndarray:
    """(NX, NY, NZ) relative permittivity: the layers of the stack and the nitride on poly."""
    middle = (Z_LINES_UM[1:] + Z_LINES_UM[:-1]) / 2
    top = np.array([dielectric.top_um for dielectric in DIELECTRICS])
    k = np.array([dielectric.k for dielectric in DIELECTRICS])[np.searchsorted(top, middle)]
    in_li_nitride = (middle > STACK_UM["li"][1]) & (middle < STACK_UM["li"][1] + LI_NITRIDE_UM)
    k = np.where((middle > STACK_UM["poly"][1]) & (middle < STACK_UM["li"][1]) & ~in_li_nitride,
                 DIELECTRICS[1].k, k)
    volume = np.broadcast_to(k, (len(x_lines) - 1, len(y_lines) - 1, len(k))).copy()
    around = cell.region("poly").sized(round(NITRIDE_SPACER_UM / cell.dbu_um))
    sheath = z_between(STACK_UM["poly"][0], round(STACK_UM["poly"][1] + NITRIDE_CAP_UM, 4))
    here = covered(around.merged(), x_lines, y_lines)
    volume[:, :, sheath] = np.where(here[:, :, None], K_NITRIDE_SPACER, volume[:, :, sheath])
    return volume


def assemble(filled: np.ndarray, k: np.ndarray, n_conductors: int, x_um: np.ndarray, y_um: np.ndarray,
             z_um: np.ndarray = Z_LINES_UM) -> tuple[csr_array, csr_array]:
    """Laplace's equation over the boxes of insulator, in units of epsilon_0 * um.

    Returns the (N, N) matrix and the (N, C) couplings of the boxes to the conductors that they touch.
    """
    floor = k[:, :, :1]
    k = np.concatenate([floor, k], axis=2)
    sizes = [np.diff(x_um), np.diff(y_um), np.concatenate([[0.0], np.diff(z_um)])]
    unknown = np.full(filled.shape, -1, np.int64)
    unknown[filled < 0] = np.arange(np.count_nonzero(filled < 0))
    rows, columns, values, wall_rows, wall_columns, wall_values = ([] for _ in range(6))
    for axis in range(3):
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        there = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        shape = [-1 if a == axis else 1 for a in range(3)]
        half = (sizes[axis] / 2).reshape(shape)
        others = [sizes[a].reshape([-1 if b == a else 1 for b in range(3)]) for a in range(3) if a != axis]
        area = np.broadcast_to(others[0] * others[1], filled.shape)[here]
        resist = [np.where(filled < 0, half / k, 0.0)[part] for part in (here, there)]
        total = resist[0] + resist[1]
        g = np.divide(area, total, out=np.zeros(total.shape), where=total > 0)
        a, b, ca, cb = unknown[here], unknown[there], filled[here], filled[there]
        inner = (a >= 0) & (b >= 0)
        rows += [a[inner], b[inner]]
        columns += [b[inner], a[inner]]
        values += [g[inner], g[inner]]
        for box, conductor in ((a, cb), (b, ca)):
            wall = (box >= 0) & (conductor >= 0)
            wall_rows.append(box[wall])
            wall_columns.append(conductor[wall])
            wall_values.append(g[wall])
    n = int(unknown.max()) + 1
    off = coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (n, n)).tocsr()
    walls = coo_array((np.concatenate(wall_values), (np.concatenate(wall_rows), np.concatenate(wall_columns))),
                      (n, n_conductors)).tocsr()
    diagonal = off.sum(axis=1) + walls.sum(axis=1)
    return (diags_array(diagonal) - off).tocsr(), walls
