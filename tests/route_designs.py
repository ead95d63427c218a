"""Designs for the router's tests and measurements: legal rows of real cells with local nets, drawn from a seed."""

import random
from collections.abc import Mapping
from math import ceil, sqrt

from flow.route.access import CellAccess
from flow.route.problem import MetalPin, PlacedCell, Scene

CELLS = ("inv_1", "nand2_1", "nor2_1", "xor2_1", "xnor2_1", "and2_1", "a21oi_1", "o21ai_1", "fa_1", "ha_1", "dfxtp_1",
         "mux2_1", "buf_2", "a22o_1", "nand3_1", "or2_1")
OUTPUTS = ("X", "Y", "Q", "COUT", "SUM")


def random_scene(n_cells: int, access: Mapping[str, CellAccess], seed: int = 1, utilisation: float = 0.7,
                 fanout: int = 12) -> Scene:
    """Rows of cells at a utilisation; each input is driven by an output nearby, at distances as in placed logic."""
    rng = random.Random(seed)
    kinds = [access[f"sky130_fd_sc_hd__{rng.choice(CELLS)}"] for _ in range(n_cells)]
    n_columns = sum(kind.columns for kind in kinds) / utilisation
    n_rows = max(2, round(sqrt(n_columns * 460 / 2720)))
    width = ceil(n_columns / n_rows) + 12
    margin_x, margin_y = 460 * 12, 2720 * 2
    cells, row, column = [], 0, 0
    for index, kind in enumerate(kinds):
        column += rng.randrange(2 * round(kind.columns * (1 / utilisation - 1)) + 1)
        if column + kind.columns > width and row + 1 < n_rows:
            row, column = row + 1, rng.randrange(3)
        cells.append(PlacedCell(f"u{index}", kind, margin_x + column * 460, margin_y + row * 2720,
                                ("N", "FS")[row % 2] if rng.random() < 0.5 else ("FN", "S")[row % 2]))
        column += kind.columns
    right = max(cell.x + cell.access.columns * 460 for cell in cells)
    die = (0, 0, right + margin_x, 2 * margin_y + n_rows * 2720)
    nets = _nets(cells, rng, fanout)
    ports = []
    for index, net in enumerate(sorted(nets, key=lambda name: int(name[1:]))[:: max(1, n_cells // 60)]):
        y = 170 + 680 * (16 + 4 * index)
        if y < die[3] - 8000:
            ports.append(MetalPin(("", f"p{index}"), (("met3", (0, y - 150, 1000, y + 150)),)))
            nets[net] = (*nets[net], ("", f"p{index}"))
    return Scene(die, cells, ports, nets, ())


def _nets(cells: list[PlacedCell], rng: random.Random, fanout: int) -> dict[str, tuple[tuple[str, str], ...]]:
    drivers = [(cell.x, cell.y, cell.name, pin) for cell in cells for pin in sorted(cell.access.pins) if pin in OUTPUTS]
    bins: dict[tuple[int, int], list[int]] = {}
    for index, driver in enumerate(drivers):
        bins.setdefault((driver[0] // 8000, driver[1] // 8000), []).append(index)
    nets = {index: [driver[2:]] for index, driver in enumerate(drivers)}
    for cell in cells:
        for pin in sorted(cell.access.pins):
            if pin in OUTPUTS:
                continue
            for _ in range(60):
                reach = 6_000 * rng.paretovariate(1.5)
                x, y = cell.x + rng.uniform(-reach, reach), cell.y + rng.uniform(-reach, reach)
                near = bins.get((int(x // 8000), int(y // 8000)))
                if near:
                    index = rng.choice(near)
                    if len(nets[index]) <= fanout and drivers[index][2] != cell.name:
                        nets[index].append((cell.name, pin))
                        break
    return {f"n{index}": tuple(pins) for index, pins in nets.items() if len(pins) > 1}
