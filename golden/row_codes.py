"""Weight codes, bias and shift of accumulator rows: the choice of least error at the row's output.

For a row of real weights w over columns u (integer / 128) and the exponent e, codes q stand for q * 2^-e. With the
columns' mean m and covariance C over the calibration data, the mean square error of the accumulator is
    (dw C dw^T) + (dw . m + db)^2,    dw = q * 2^-e - w,  db the bias's error.
db counts a bias that s20 clips, which is what keeps a row of large bias at a coarse exponent. For each exponent that
the shift field allows, codes are made in two ways: to the nearest, and one column after the other where the columns
still to come make up for the error so far (Frantar et al. 2022, arXiv:2210.17323). The bias, where there is one,
takes up the mean error. The exponent and way of least error win, row by row; an exponent may be so fine that a large
weight is clipped, if that is the lesser evil.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from golden.spec import QuantSpec, SpecError

_DAMPING = 0.01
"""Part of the mean variance added to every column's variance, so that a rank-deficient covariance can be inverted
and columns that the calibration data never moved keep a price."""


@dataclass(frozen=True)
class ColumnStatistics:
    """First and second moments of columns u over calibration data: mean (K,), covariance (K, K)."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, columns: np.ndarray) -> "ColumnStatistics":
        """Statistics of columns (N, K)."""
        mean = columns.mean(axis=0)
        centred = columns - mean
        return cls(mean, centred.T @ centred / len(columns))

    def only(self, used: np.ndarray) -> "ColumnStatistics":
        """Those of the columns `used` (K,) bool."""
        return ColumnStatistics(self.mean[used], self.covariance[np.ix_(used, used)])


@dataclass(frozen=True)
class RowCodes:
    """Integers of R rows: w (R, K), bias (R,), shift (R,), int64."""

    w: np.ndarray
    bias: np.ndarray
    shift: np.ndarray


def nearest_codes(w: np.ndarray, exponent: int | np.ndarray, quant: QuantSpec) -> np.ndarray:
    """w * 2^exponent to the nearest code (half up), clipped to the symmetric range; float64."""
    codes = np.floor(np.ldexp(w, exponent) + 0.5)
    return np.clip(codes, -quant.weight_max, quant.weight_max)


def feedback_codes(w: np.ndarray, exponent: int, quant: QuantSpec, hessian: np.ndarray) -> np.ndarray:
    """Codes of w (R, K) column by column, each column's error spread over those still to come; float64.

    hessian (K, K): the symmetric positive definite price of the errors.
    """
    order = np.argsort(-np.diag(hessian), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    left = w[:, order].copy()
    codes = np.empty_like(left)
    for k in range(left.shape[1]):
        codes[:, k] = nearest_codes(left[:, k], exponent, quant)
        error = (left[:, k] - np.ldexp(codes[:, k], -exponent)) / upper[k, k]
        left[:, k:] -= error[:, None] * upper[k, k:]
    return codes[:, np.argsort(order, kind="stable")]


def fixed_codes(w: np.ndarray, b: np.ndarray, shift: np.ndarray, preact_frac_bits: int, quant: QuantSpec) -> RowCodes:
    """Codes to the nearest at given shifts: w (..., K), b and shift (...). Weights and biases are clipped."""
    exponent = shift.astype(np.int64) + preact_frac_bits - quant.x.frac_bits
    codes = nearest_codes(w, exponent[..., None], quant)
    bias = np.floor(np.ldexp(b, exponent + quant.x.frac_bits) + 0.5)
    return RowCodes(codes.astype(np.int64), np.clip(bias, quant.bias_min, quant.bias_max).astype(np.int64), shift)


def fits(w: np.ndarray, b: np.ndarray, preact_frac_bits: int, quant: QuantSpec) -> bool:
    """Whether all rows can be represented without clipping, at the coarsest exponent if need be."""
    return _first_misfit(w, b, preact_frac_bits, quant) is None


def check_fits(
    w: np.ndarray,
    b: np.ndarray,
    preact_frac_bits: int,
    quant: QuantSpec,
    origin: Callable[[int | None], tuple[str, float]],
) -> None:
    """SpecError where a weight or bias is too large for the coarsest exponent.

    origin(column)  the parameter that a column (None: the bias) comes from, and the scale that is folded into it.
    """
    misfit = _first_misfit(w, b, preact_frac_bits, quant)
    if misfit is None:
        return
    row, column, value, limit = misfit
    name, scale = origin(column)
    folded = " with the inputs' offset folded in" if column is None else ""
    raise SpecError(
        f"parameter {name}{folded} must be within +-{limit / scale:.4g} (the reach of {quant.weight_bits} bits at a "
        f"shift of {quant.shift_min}), not {value / scale:.4g} (row {row}, column {column}): "
        "train with weight decay, use more weight_bits or inputs of a smaller range"
    )


def _first_misfit(w, b, preact_frac_bits: int, quant: QuantSpec):
    """(row, column or None for the bias, value, limit) of something too large, or None."""
    exponent = quant.shift_min + preact_frac_bits - quant.x.frac_bits
    limit = np.ldexp(quant.weight_max + 0.5, -exponent)
    if (np.abs(w) > limit).any():
        row, column = np.unravel_index(np.argmax(np.abs(w)), w.shape)
        return int(row), int(column), float(w[row, column]), limit
    limit = np.ldexp(float(quant.bias_max), -exponent - quant.x.frac_bits)
    if (np.abs(b) > limit).any():
        row = int(np.argmax(np.abs(b)))
        return row, None, float(b[row]), limit
    return None


def best_codes(
    w: np.ndarray, b: np.ndarray, has_bias: bool, statistics: ColumnStatistics, preact_frac_bits: int, quant: QuantSpec
) -> RowCodes:
    """The codes of least error for rows w (R, K), b (R,) that fit (see `check_fits`)."""
    n_rows = len(w)
    best = RowCodes(np.zeros(w.shape, np.int64), np.zeros(n_rows, np.int64), np.zeros(n_rows, np.int64))
    best_error = np.full(n_rows, np.inf)
    mean, covariance = statistics.mean, statistics.covariance
    price = covariance if has_bias else covariance + np.outer(mean, mean)
    variance = max(float(np.mean(np.diag(price))), 1e-12)
    price = price + _DAMPING * variance * np.eye(len(mean))
    for shift in range(quant.shift_min, quant.shift_max + 1):
        exponent = shift + preact_frac_bits - quant.x.frac_bits
        acc_frac_bits = exponent + quant.x.frac_bits
        for codes in (nearest_codes(w, exponent, quant), feedback_codes(w, exponent, quant, price)):
            dw = np.ldexp(codes, -exponent) - w
            bias = np.floor(np.ldexp(b - dw @ mean, acc_frac_bits) + 0.5) * has_bias
            bias = np.clip(bias, quant.bias_min, quant.bias_max)
            db = np.ldexp(bias, -acc_frac_bits) - b
            error = ((dw @ price) * dw).sum(axis=1) + has_bias * (dw @ mean + db) ** 2
            better = error < best_error
            best.w[better], best.bias[better] = codes[better], bias[better]
            best.shift[better], best_error[better] = shift, error[better]
    return best
