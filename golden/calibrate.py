"""Calibration: the formats of a float network and the statistics of its columns, from a run over calibration data."""

from dataclasses import dataclass

import numpy as np

from golden import formats
from golden.cells import forward_float
from golden.cells_float import sigmoid
from golden.row_codes import ColumnStatistics
from golden.rows import ColumnFormats, Params, folded_cell, folded_output
from golden.spec import ModelSpec, QuantSpec


@dataclass(frozen=True)
class Calibration:
    """Formats and statistics; tuples have one entry a cell.

    columns            what the columns stand for: input ranges and formats of h.
    c_frac_bits        formats of c, None where the cell is not an LSTM.
    preact_frac_bits   format of the output layer's pre-activation.
    statistics         for each cell those of the columns of each accumulator row.
    output_statistics  those of the output layer's columns, None without one.
    """

    columns: ColumnFormats
    c_frac_bits: tuple[int | None, ...]
    preact_frac_bits: int
    statistics: tuple[tuple[ColumnStatistics, ...], ...]
    output_statistics: ColumnStatistics | None


def calibrate(
    model: ModelSpec, params: Params, quant: QuantSpec, x: np.ndarray, lengths: np.ndarray | None = None
) -> Calibration:
    """Choose all formats for `params` (checked, float64) from calibration inputs x (T, N, X), lengths (N,).

    Formats that `quant` pins are taken as they are. SpecError where states or outputs exceed every format.
    """
    trace = forward_float(model, params, x, lengths)
    x = np.asarray(x, dtype=np.float64)
    lengths = np.full(x.shape[1], len(x)) if lengths is None else np.asarray(lengths)
    valid = np.arange(len(x))[:, None] < lengths
    x_offset, x_scale = formats.input_ranges(x[valid], formats.offset_allowed(model))
    h_frac_bits = formats.choose_h_frac_bits(model, params, quant, x_offset, x_scale, [h[valid] for h in trace.h])
    c_frac_bits = formats.choose_c_frac_bits(model, quant, [None if c is None else c[valid] for c in trace.c])
    columns = ColumnFormats(x_offset, x_scale, h_frac_bits)

    # Columns in units of 1/128, rounded as they will be: the input, then the h of every cell.
    u = [formats.to_s8((x - x_offset) / x_scale, 7) / 128]
    u += [formats.to_s8(h, frac_bits) / 128 for h, frac_bits in zip(trace.h, h_frac_bits, strict=True)]
    statistics = tuple(
        _row_statistics(model, params, layer, columns, u[layer][valid], _previous(u[layer + 1])[valid])
        for layer in range(len(model.cells))
    )
    preact_frac_bits, output_statistics = QuantSpec.preact.frac_bits, None
    if model.output is not None:
        parts = [u[-1]] if model.output.reads == "h" else [u[-2], _previous(u[-1])]
        u_output = np.concatenate(parts, axis=2)[valid]
        output_statistics = ColumnStatistics.of(u_output)
        if model.output.is_linear:
            w, b = folded_output(model, params, columns)
            preact_frac_bits = formats.choose_output_frac_bits(w, b, u_output, quant)
    return Calibration(columns, c_frac_bits, preact_frac_bits, statistics, output_statistics)


def _row_statistics(
    model: ModelSpec, params: Params, layer: int, columns: ColumnFormats, x: np.ndarray, h: np.ndarray
) -> tuple[ColumnStatistics, ...]:
    """Statistics of what each accumulator row of a cell multiplies: x (N, X) and the old h (N, H), in units u.

    The n row of GRU reset before has r*h in place of h.
    """
    spec = model.cells[layer]
    xh = np.concatenate([x, h], axis=1)
    statistics = [ColumnStatistics.of(xh)] * len(spec.gates)
    if spec.reset == "before":
        w, b = folded_cell(model, layer, params, columns)
        r = sigmoid(xh @ w[0].T + b[0])
        statistics[2] = ColumnStatistics.of(np.concatenate([x, r * h], axis=1))
    return tuple(statistics)


def _previous(values: np.ndarray) -> np.ndarray:
    """values (T, ...) one step later, the zero state first."""
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])
