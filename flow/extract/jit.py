"""Compiled functions of this folder; flow.route.jit says how and where they are kept."""

from collections.abc import Callable
from pathlib import Path

import numba

from flow.parameters import ROOT
from flow.route.jit import sources_digest

CACHE = ROOT / "build" / "numba" / f"extract-{sources_digest(Path(__file__).resolve().parent)}"


def jit(function: Callable) -> Callable:
    """numba.njit, kept in CACHE between runs."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE)
    try:
        return numba.njit(cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
