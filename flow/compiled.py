"""Compiled functions whose compiled form is kept, and never outlives the sources that it was made from.

    @ROUTE.jit
    def nearest(points, x, y): ...

numba keeps compiled functions by the time of the file that each is in. What such a function calls is compiled into it,
so that a change in another file would go unnoticed. Here those that call each other are kept in one folder, named by
the text of all files with such functions and by the options that they are compiled with.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numba

from flow.parameters import ROOT

FLOW = Path(__file__).resolve().parent
KEPT = ROOT / "build" / "numba"


def sources_digest(folder: Path, name: str) -> str:
    """Of the names and the text of the Python files in a folder that have functions compiled by `name`.jit."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        text = path.read_bytes()
        if f"@{name}.jit".encode() in text:
            digest.update(f"{path.name}\n".encode() + text)
    return digest.hexdigest()


class Compiled:
    """Decorators for the functions of some folders of `flow`, which call only each other.

    options: of numba.njit. folder: where their compiled form is kept between runs.
    """

    def __init__(self, *folders: str, **options: bool):
        self.name, self.options = folders[0].upper(), options
        parts = [*(sources_digest(FLOW / folder, self.name) for folder in folders), repr(sorted(options.items()))]
        self.folder = KEPT / f"{folders[0]}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"

    def jit(self, function: Callable) -> Callable:
        """numba.njit with the options, kept."""
        return self._compiled(function, self.options)

    def jit_making(self, function: Callable) -> Callable:
        """As jit, for functions that make arrays."""
        return self._compiled(function, {**self.options, "_nrt": True})

    def _compiled(self, function: Callable, options: dict[str, bool]) -> Callable:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(self.folder)      # numba looks at it here, and nowhere else
        try:
            return numba.njit(cache=True, **options)(function)
        finally:
            numba.config.CACHE_DIR = before


ROUTE = Compiled("route")
TIMING = Compiled("timing", "repair")
POWER = Compiled("power")
SIGNOFF = Compiled("signoff")
EXTRACT = Compiled("extract", nogil=True, _nrt=False)
"""`_nrt` off: arrays that a function is given are not counted as in use by it. The counting, two locked additions for
every array that goes to a called function, was two thirds of extraction's time. Making an array is then an error when
the function is compiled, but for those of `jit_making`. `nogil`: other stages of a run go on meanwhile."""
