"""Compiled functions of this folder; flow.route.jit says how and where they are kept."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numba

from flow.parameters import ROOT
from flow.route.jit import sources_digest

THIS = Path(__file__).resolve()
DIGEST = hashlib.sha256(sources_digest(THIS.parent).encode() + THIS.read_bytes())       # options are set here
CACHE = ROOT / "build" / "numba" / f"extract-{DIGEST.hexdigest()[:16]}"


def jit(function: Callable, **options: bool) -> Callable:
    """numba.njit, kept in CACHE between runs, for functions that make no arrays.

    `_nrt` off: arrays that a function is given are not counted as in use by it. The counting, two locked additions for
    every array that goes to a called function, was two thirds of extraction's time. Making an array is then an error
    when the function is compiled. `nogil`: other stages of a run go on meanwhile.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE)
    try:
        return numba.njit(cache=True, nogil=True, **{"_nrt": False, **options})(function)
    finally:
        numba.config.CACHE_DIR = before


jit_making = partial(jit, _nrt=True)
"""For functions that make arrays."""
