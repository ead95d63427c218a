"""Quantisation of a trained float network: by calibration (PTQ), or into formats that are already fixed."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from golden.calibrate import Calibration, calibrate
from golden.params import check_params
from golden.quantized import QuantizedCell, QuantizedModel, QuantizedOutput, load_model, row_columns
from golden.random_model import random_quantized_model
from golden.row_codes import best_codes, check_fits, fixed_codes
from golden.rows import ColumnFormats, folded_cell, folded_output
from golden.spec import ModelSpec, QuantSpec

__all__ = [
    "QuantizedCell",
    "QuantizedModel",
    "QuantizedOutput",
    "load_model",
    "quantize_ptq",
    "random_quantized_model",
    "requantize",
]


_BIASES = {"n_x": "b_ih", "n_h": "b_hh"}
"""The parameter that a row's bias comes from, where that is not the sum of both."""


def quantize_ptq(
    model: ModelSpec,
    params: Mapping[str, np.ndarray],
    quant: QuantSpec,
    calibration_x: np.ndarray,
    lengths: np.ndarray | None = None,
) -> QuantizedModel:
    """Quantise float parameters by calibration alone.

    params as in `golden.params`; calibration_x (T, N, X) real inputs as the network was trained on, lengths (N,).
    Input ranges, formats and every row's exponent and codes are those of least error on the calibration data
    (`golden.formats`, `golden.row_codes`); formats pinned in `quant` are kept.
    Raises SpecError: parameters or data that are missing, of a wrong shape, NaN or infinite; weights, biases, states
    or outputs beyond what the formats can express.
    """
    params = check_params(model, params)
    calibration = calibrate(model, params, quant, calibration_x, lengths)
    cells = tuple(_quantized_cell(model, layer, params, quant, calibration) for layer in range(len(model.cells)))
    output = None if model.output is None else _quantized_output(model, params, quant, calibration)
    columns = calibration.columns
    return QuantizedModel(model, quant, cells, output, columns.x_offset, columns.x_scale)


def requantize(qmodel: QuantizedModel, params: Mapping[str, np.ndarray]) -> QuantizedModel:
    """Other float parameters in the formats, input ranges and shifts of `qmodel`, each to the nearest code.

    For parameters that were trained within these formats. Weights and biases beyond them are clipped.
    Raises SpecError for parameters that are missing, of a wrong shape, NaN or infinite.
    """
    model, quant = qmodel.model, qmodel.quant
    params = check_params(model, params)
    columns = ColumnFormats(qmodel.x_offset, qmodel.x_scale, tuple(cell.h_frac_bits for cell in qmodel.cells))
    cells = []
    for layer, cell in enumerate(qmodel.cells):
        w, b = folded_cell(model, layer, params, columns)
        codes = fixed_codes(w, b, cell.shift, cell.preact_frac_bits, quant)
        cells.append(replace(cell, w=codes.w, bias=codes.bias))
    output = qmodel.output
    if output is not None:
        w, b = folded_output(model, params, columns)
        codes = fixed_codes(w, b, output.shift, output.preact_frac_bits, quant)
        output = replace(output, w=codes.w, bias=codes.bias)
    return replace(qmodel, cells=tuple(cells), output=output)


def _quantized_cell(model: ModelSpec, layer: int, params, quant: QuantSpec, calibration: Calibration) -> QuantizedCell:
    """One cell with the codes of least error, gate by gate: a gate's rows share the statistics of their columns."""
    spec, size = model.cells[layer], model.cell_input_sizes[layer]
    h_frac_bits = calibration.columns.h_frac_bits[layer]
    preact_frac_bits = h_frac_bits + 8 if spec.is_linear else quant.preact.frac_bits
    w, b = folded_cell(model, layer, params, calibration.columns)
    scale, _ = calibration.columns.of_columns(model, layer)

    q = np.zeros(w.shape, np.int64)
    bias, shift = np.zeros(b.shape, np.int64), np.zeros(b.shape, np.int64)
    for gate, used in enumerate(row_columns(spec, size)):

        def origin(column: int | None, gate: str = spec.gates[gate]) -> tuple[str, float]:
            if column is None:
                return f"cells.{layer}.{_BIASES.get(gate, 'b_ih + b_hh')}", 1.0
            return f"cells.{layer}.{'w_ih' if column < size else 'w_hh'}", scale[column]

        check_fits(w[gate], b[gate], preact_frac_bits, quant, origin)
        statistics = calibration.statistics[layer][gate].only(used)
        codes = best_codes(w[gate][:, used], b[gate], spec.bias, statistics, preact_frac_bits, quant)
        q[gate][:, used], bias[gate], shift[gate] = codes.w, codes.bias, codes.shift
    return QuantizedCell(spec, size, q, bias, shift, h_frac_bits, calibration.c_frac_bits[layer])


def _quantized_output(model: ModelSpec, params, quant: QuantSpec, calibration: Calibration) -> QuantizedOutput:
    """The output layer with the codes of least error."""
    spec, preact_frac_bits = model.output, calibration.preact_frac_bits
    w, b = folded_output(model, params, calibration.columns)
    scale, _ = calibration.columns.of_columns(model, None)

    def origin(column: int | None) -> tuple[str, float]:
        return ("output.b", 1.0) if column is None else ("output.w", scale[column])

    check_fits(w, b, preact_frac_bits, quant, origin)
    codes = best_codes(w, b, spec.bias, calibration.output_statistics, preact_frac_bits, quant)
    return QuantizedOutput(spec, codes.w, codes.bias, codes.shift, preact_frac_bits)

