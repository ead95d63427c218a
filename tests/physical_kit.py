"""The kit's files for tests of the layout, straight out of the package: no tree to assemble, none to lock."""

from functools import cache

from flow.pdk.assemble import find_package, join_lef
from flow.pdk.config import load_pdk_config
from flow.physical.abstract import CellAbstract, parse_abstracts
from flow.physical.technology import Technology, parse_technology

CONFIG = load_pdk_config()
LIBRARY = CONFIG.cell_library


def tech_lef() -> str:
    return (find_package(CONFIG.packages[0]) / f"src/{LIBRARY}/tech/{LIBRARY}__nom.tlef").read_text()


@cache
def kit_technology() -> Technology:
    return parse_technology(tech_lef(), CONFIG, "tech.lef")


@cache
def kit_cells(*names: str) -> dict[str, CellAbstract]:
    """Some standard cells, named without the library's prefix."""
    cells = find_package(CONFIG.packages[0]) / f"src/{LIBRARY}/cells"
    paths = [next(cells.glob(f"*/{LIBRARY}__{name}.magic.lef")) for name in sorted(names)]
    return parse_abstracts(join_lef(paths), "cells.lef")
