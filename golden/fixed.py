"""The rounding rule and the saturation, each stated once.

rs(v, k)     = (v + 2^(k-1)) >> k  for k > 0, v << -k otherwise: round half up, ties towards +infinity.
sat(v, n)    = v limited to -2^(n-1) .. 2^(n-1) - 1.

Both take Python ints (any size) or integer arrays; arrays are computed in int64 and must not exceed it.
`k` may be an array that broadcasts with `v`.
"""

from typing import overload

import numpy as np


@overload
def rs(v: int, k: int) -> int: ...
@overload
def rs(v: np.ndarray, k: "int | np.ndarray") -> np.ndarray: ...
def rs(v, k):
    """Shift right by `k` bits with rounding half up; left without rounding for k <= 0.

    >>> [rs(v, 2) for v in (-6, -2, 1, 2, 6)]   # -1.5 -0.5 0.25 0.5 1.5: ties go up
    [-1, 0, 0, 1, 2]
    >>> rs(3, -2)
    12
    """
    if isinstance(v, int) and isinstance(k, int):
        return (v + (1 << (k - 1))) >> k if k > 0 else v << -k
    v = np.asarray(v, dtype=np.int64)
    right = np.maximum(k, 0)
    half = (np.int64(1) << right) >> 1
    return ((v + half) >> right) << np.maximum(np.negative(k), 0)


@overload
def sat(v: int, width_bits: int) -> int: ...
@overload
def sat(v: np.ndarray, width_bits: int) -> np.ndarray: ...
def sat(v, width_bits):
    """Saturate to a signed integer of `width_bits` bits.

    >>> sat(128, 8), sat(-129, 8), sat(5, 8)
    (127, -128, 5)
    """
    low, high = -(1 << (width_bits - 1)), (1 << (width_bits - 1)) - 1
    if isinstance(v, int):
        return min(max(v, low), high)
    return np.clip(v, low, high)
