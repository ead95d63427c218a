"""Compiled functions of timing and repair, kept between runs under a name made from their sources (flow.route.jit).

Repair's call timing's, so both are in one cache.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numba

from flow.parameters import ROOT
from flow.route.jit import sources_digest

TIMING = Path(__file__).resolve().parent
DIGEST = hashlib.sha256("".join(sources_digest(TIMING.parent / name) for name in ("timing", "repair")).encode())
CACHE = ROOT / "build" / "numba" / f"timing-{DIGEST.hexdigest()[:16]}"


def jit(function: Callable) -> Callable:
    """numba.njit, kept in CACHE between runs."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(CACHE)      # numba looks at it here, and nowhere else
    try:
        return numba.njit(cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
