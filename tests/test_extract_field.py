"""Extraction against a direct solution of the field in three dimensions, over pieces of a routed layout."""

import random

import numpy as np
import pytest
from extract_reference import cut_piece, field_capacitance, mirrored_scene
from physical_kit import kit_cells, kit_technology
from route_designs import KINDS, random_design

from flow.extract import field
from flow.extract.corners import RC_CORNERS
from flow.extract.generate import GAPS, make_tables
from flow.extract.patterns import lopsided, section
from flow.extract.stack import METALS
from flow.extract.tables import CornerFactors, as_arrays
from flow.extract.wires import build_networks, capacitances, ohms_of
from flow.physical.design import Design
from flow.route.router import route_design

pytestmark = pytest.mark.nightly

N_PIECES, SIZE = 20, 3000
LEAST_AF = 150
"""Nets with less in the piece are corners of something that lies outside of it."""


@pytest.fixture
def drawn_tables(monkeypatch):
    """Tables of wires as drawn and without liners, as the direct solution takes them."""
    monkeypatch.setattr(field, "LINED", ())
    for cached in (section, lopsided):
        cached.cache_clear()
    one = dict.fromkeys(METALS, (1.0,) * len(GAPS))
    yield as_arrays(make_tables(lambda layer, gap: 0.0, dict.fromkeys(RC_CORNERS, CornerFactors(one, one))))
    for cached in (section, lopsided):
        cached.cache_clear()


def test_pieces_of_a_routed_layout_have_the_capacitance_of_their_field(drawn_tables):
    cells, technology = kit_cells(*KINDS), kit_technology()
    placement, netlist = random_design(300, cells, seed=5)
    done = route_design(placement, netlist, cells, technology, "random")
    design = Design(done.placement, done.netlist, done.routes)
    networks = build_networks(design, cells, technology, ohms_of(technology, 25.0))
    rng, core = random.Random(5), placement.core
    pieces, nets = [], []
    while len(pieces) < N_PIECES:
        x, y = rng.randrange(core.x0, core.x1 - SIZE), rng.randrange(core.y0, core.y1 - SIZE)
        piece = cut_piece(design, cells, networks, technology, x, y, SIZE)
        if not len(piece.rects):                  # nothing is routed there
            continue
        truth = np.diag(field_capacitance(piece))
        ground, pairs, values = capacitances(mirrored_scene(piece), drawn_tables)
        found = ground[:, 1].copy()
        for column in range(2):
            np.add.at(found, pairs[:, column], values[:, 1])
        counted = truth > LEAST_AF
        if counted.any():
            pieces.append(found[counted].sum() / truth[counted].sum() - 1)
            nets += (found[counted] / truth[counted] - 1).tolist()
    print(f"pieces: mean {np.mean(np.abs(pieces)):.1%}, worst {np.max(np.abs(pieces)):.1%}; nets: bias "
          f"{np.mean(nets):.1%}, mean {np.mean(np.abs(nets)):.1%}, 95 % within {np.percentile(np.abs(nets), 95):.1%}")
    assert len(nets) > 100
    assert np.mean(np.abs(pieces)) < 0.05 and np.max(np.abs(pieces)) < 0.15
    assert abs(np.mean(nets)) < 0.03 and np.mean(np.abs(nets)) < 0.08
