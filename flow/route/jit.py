"""Compiled functions whose compiled form is kept, and never outlives the sources that it was made from.

numba keeps compiled functions by the time of the file that each is in. What such a function calls is compiled into it,
so that a change in another file would go unnoticed. Here they are kept in a folder named by the text of all files
with such functions.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numba

from flow.parameters import ROOT

THIS = Path(__file__).resolve()


def sources_digest(folder: Path = THIS.parent) -> str:
    """Of the names and the text of the Python files in a folder that have compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        text = path.read_bytes()
        if path != THIS and (b"@jit" in text or b"@njit" in text):
            digest.update(f"{path.name}\n".encode() + text)
    return digest.hexdigest()[:16]


CACHE = ROOT / "build" / "numba" / f"route-{sources_digest()}"


def jit(function: Callable) -> Callable:
    """numba.njit, kept in CACHE between runs."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE)      # numba looks at it here, and nowhere else
    try:
        return numba.njit(cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
