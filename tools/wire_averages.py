"""Capacitance of a routed layout's wires a um of their length, by layer: what flow/extract/estimates.py has.

    .venv/bin/python tools/wire_averages.py routed.def [macro.lef ...]

Via pads and wires' ends count to their layer. Prints min, nom, max in fF/um.
"""

import sys
from pathlib import Path

import numpy as np

from flow.extract.corners import RC_CORNERS
from flow.extract.coupling import edge_capacitances, new_sums
from flow.extract.scene import build_scene
from flow.extract.stack import METALS
from flow.extract.tables import as_arrays, load_tables
from flow.extract.view import new_view
from flow.extract.wires import build_networks, ohms_of, space_of
from flow.pdk.config import load_pdk_config
from flow.pdk.tree import load_pdk
from flow.physical.abstract import load_cells
from flow.physical.def_read import load_def
from flow.physical.technology import load_technology


def main(layout: Path, lefs: list[Path]) -> None:
    pdk = load_pdk(load_pdk_config())
    cells, technology = load_cells(pdk, lefs), load_technology(pdk)
    design = load_def(layout, technology)
    scene = build_scene(design, cells, build_networks(design, cells, technology, ohms_of(technology, 25.0)))
    space, view, tables = space_of(scene), new_view(), as_arrays(load_tables())
    sums = new_sums(int(scene.node_start[-1]), 100_000, len(RC_CORNERS))
    total = np.zeros((len(METALS), len(RC_CORNERS)))
    for layer in range(len(METALS)):
        sums.ground[:] = 0.0
        for i in np.flatnonzero(scene.layer[:scene.n_wires] == layer):
            sums.count[0] = 0
            edge_capacitances(space, view, tables, sums, i, i + 1)
            total[layer] += 2 * sums.values[:sums.count[0]].sum(axis=0)      # half of a pair is this edge's
        total[layer] += sums.ground.sum(axis=0)
    length = dict.fromkeys(METALS, 0)
    for route in design.routes.values():
        for wire in route.wires:
            length[wire.layer] += abs(wire.x1 - wire.x0) + abs(wire.y1 - wire.y0)
    for name, value in zip(METALS, total, strict=True):
        if length[name]:
            print(f"{name}: {length[name] / 1000:,.0f} um, " + ", ".join(f"{x / length[name]:.4f}" for x in value))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
