"""Designs for the router's tests and measurements: legal rows of real cells with local nets, drawn from a seed."""

import random
from math import ceil, sqrt

from flow.physical.abstract import Cells
from flow.physical.design import Placed, Placement, Row
from flow.physical.geometry import Rect, Shape
from flow.physical.netlist import Netlist, Pin

KINDS = ("inv_1", "nand2_1", "nor2_1", "xor2_1", "xnor2_1", "and2_1", "a21oi_1", "o21ai_1", "fa_1", "ha_1", "dfxtp_1",
         "mux2_1", "buf_2", "a22o_1", "nand3_1", "or2_1")
LIBRARY = "sky130_fd_sc_hd"
SITE, ROW = 460, 2720
PIN_PITCH = 4 * 680


def random_design(n_cells: int, cells: Cells, seed: int = 1, utilisation: float = 0.7,
                  fanout: int = 12) -> tuple[Placement, Netlist]:
    """Rows of cells at a utilisation; each input is driven by an output nearby, at distances as in placed logic.

    Ports stand on met3 tracks of the left edge.
    """
    rng = random.Random(seed)
    kinds = [f"{LIBRARY}__{rng.choice(KINDS)}" for _ in range(n_cells)]
    widths = [cells[kind].width // SITE for kind in kinds]
    n_sites = sum(widths) / utilisation
    n_rows = max(2, round(sqrt(n_sites * SITE / ROW)))
    in_row = ceil(n_sites / n_rows) + 12
    margin_x, margin_y = 12 * SITE, 2 * ROW
    placed, row, column = {}, 0, 0
    for index, (kind, width) in enumerate(zip(kinds, widths, strict=True)):
        column += rng.randrange(2 * round(width * (1 / utilisation - 1)) + 1)
        if column + width > in_row and row + 1 < n_rows:
            row, column = row + 1, rng.randrange(3)
        turns = ("N", "FN") if row % 2 == 0 else ("FS", "S")
        placed[f"u{index}"] = Placed(kind, margin_x + column * SITE, margin_y + row * ROW, rng.choice(turns))
        column += width
    right = max(place.x + cells[place.cell].width for place in placed.values())
    core = Rect(margin_x, margin_y, right, margin_y + n_rows * ROW)
    die = Rect(0, 0, right + margin_x, 2 * margin_y + n_rows * ROW)
    nets = _nets(placed, cells, rng, fanout)
    ports = {}
    for index, net in enumerate(sorted(nets, key=lambda name: int(name[1:]))[::max(1, n_cells // 60)]):
        y = 16 * 680 + 170 + index * PIN_PITCH
        if y < die.y1 - margin_y:
            ports[f"p{index}"] = Shape("met3", 0, y - 150, 1000, y + 150)
            nets[net] = (("", f"p{index}"), *nets[net])
    rows = tuple(Row(margin_y + index * ROW, margin_x, right, ("N", "FS")[index % 2]) for index in range(n_rows))
    return (Placement("random", die, core, rows, placed, ports),
            Netlist("random", dict.fromkeys(ports, "inout"), {name: place.cell for name, place in placed.items()},
                    nets))


def _nets(placed: dict[str, Placed], cells: Cells, rng: random.Random, fanout: int) -> dict[str, tuple[Pin, ...]]:
    outputs = [(place.x, place.y, name, pin) for name, place in placed.items()
               for pin, abstract in sorted(cells[place.cell].signal_pins.items()) if abstract.direction == "OUTPUT"]
    near: dict[tuple[int, int], list[int]] = {}
    for index, output in enumerate(outputs):
        near.setdefault((output[0] // 8000, output[1] // 8000), []).append(index)
    pins = [[output[2:]] for output in outputs]
    for name, place in placed.items():
        for pin, abstract in sorted(cells[place.cell].signal_pins.items()):
            for _ in range(60 if abstract.direction == "INPUT" else 0):
                reach = 6000 * rng.paretovariate(1.5)
                x, y = place.x + rng.uniform(-reach, reach), place.y + rng.uniform(-reach, reach)
                here = near.get((int(x // 8000), int(y // 8000)))
                index = rng.choice(here) if here else -1
                if here and len(pins[index]) <= fanout and outputs[index][2] != name:
                    pins[index].append((name, pin))
                    break
    return {f"n{index}": tuple(found) for index, found in enumerate(pins) if len(found) > 1}
