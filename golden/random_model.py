"""Random quantised networks: for tests and for checks of the hardware that need no trained network."""

import numpy as np

from golden.quantized import QuantizedCell, QuantizedModel, QuantizedOutput, row_columns
from golden.spec import C_FRAC_BITS_RANGE, ModelSpec, QuantSpec

_TYPICAL_PREACT_LOG2 = (10.0, 14.5)
"""log2 of a pre-activation's spread in its own units: from the linear middle of the table to saturation."""


def random_quantized_model(
    model: ModelSpec, quant: QuantSpec, rng: np.random.Generator, extreme: bool = False
) -> QuantizedModel:
    """A valid quantised model of random integers over their full ranges.

    Weights take every code, the most negative included; shifts and biases are drawn so that pre-activations
    spread from the middle of the activation table to saturation. Formats are drawn, or pinned by `quant`.
    extreme  every weight is the most negative code, every bias one of its two extremes, every shift one of its
             two: with inputs and states at -128 this is the accumulator's worst case.
    """
    cells = []
    c_pins, h_pins = (quant.pinned_frac_bits(f"{state}_frac_bits", len(model.cells)) for state in "ch")
    for spec, size, c_pin, h_pin in zip(model.cells, model.cell_input_sizes, c_pins, h_pins, strict=True):
        rows = (len(spec.gates), spec.hidden_size)
        w, bias, shift = _random_rows(rows, size + spec.hidden_size, spec.bias, quant, rng, extreme)
        w *= row_columns(spec, size)[:, None, :]
        h_frac_bits, c_frac_bits = 7, None
        if spec.is_linear:
            h_frac_bits = int(rng.integers(0, 8)) if h_pin is None else h_pin
        if spec.kind == "lstm":
            low, high = C_FRAC_BITS_RANGE
            c_frac_bits = int(rng.integers(low, high + 1)) if c_pin is None else c_pin
        cells.append(QuantizedCell(spec, size, w, bias, shift, h_frac_bits, c_frac_bits))
    output = None
    if model.output is not None:
        spec = model.output
        w, bias, shift = _random_rows((spec.size,), model.output_fan_in, spec.bias, quant, rng, extreme)
        output = QuantizedOutput(spec, w, bias, shift, int(rng.integers(6, 16)) if spec.is_linear else 12)
    x_scale = rng.uniform(0.5, 2.0, model.input_size)
    return QuantizedModel(model, quant, tuple(cells), output, np.zeros(model.input_size), x_scale)


def random_input(model: ModelSpec, n_steps: int, n_sequences: int, rng: np.random.Generator) -> np.ndarray:
    """Random s8.7 inputs (T, B, X) int32 over the full range; about one value in eight is an extreme."""
    shape = (n_steps, n_sequences, model.input_size)
    x = rng.integers(QuantSpec.x.min_int, QuantSpec.x.max_int + 1, shape)
    ends = rng.choice((QuantSpec.x.min_int, QuantSpec.x.max_int), shape)
    return np.where(rng.random(shape) < 0.125, ends, x).astype(np.int32)


def random_states(model: ModelSpec, n_sequences: int, rng: np.random.Generator):
    """Random initial states over their full ranges: (h list, c list), (B, H) int32 each, c None where not LSTM."""
    h = [rng.integers(-128, 128, (n_sequences, size)).astype(np.int32) for size in model.hidden_sizes]
    c = [
        rng.integers(-32768, 32768, (n_sequences, cell.hidden_size)).astype(np.int32) if cell.kind == "lstm" else None
        for cell in model.cells
    ]
    return h, c


def _random_rows(rows: tuple[int, ...], n_columns: int, has_bias: bool, quant: QuantSpec, rng, extreme: bool):
    """Random (w, bias, shift) of accumulator rows."""
    if extreme:
        w = np.full((*rows, n_columns), quant.weight_min, dtype=np.int64)
        bias = rng.choice((quant.bias_min, quant.bias_max), rows)
        shift = rng.choice((quant.shift_min, quant.shift_max), rows)
        return w, bias * has_bias, shift
    # Rows of small weights and of large ones; one weight in sixteen is the most negative code all the same.
    row_max = rng.integers(1, quant.weight_max + 1, (*rows, 1))
    w = np.rint(rng.uniform(-1, 1, (*rows, n_columns)) * row_max).astype(np.int64)
    w[rng.random(w.shape) < 1 / 16] = quant.weight_min
    spread = np.sqrt(np.mean(w.astype(float) ** 2, axis=-1) * n_columns) * 74 + 1
    shift = np.rint(np.log2(spread) - rng.uniform(*_TYPICAL_PREACT_LOG2, rows))
    shift = np.clip(shift, quant.shift_min, quant.shift_max).astype(np.int64)
    bias = np.rint(np.clip(rng.normal(0, 1, rows) * spread, quant.bias_min, quant.bias_max)).astype(np.int64)
    full_range = rng.integers(quant.bias_min, quant.bias_max + 1, rows)
    bias = np.where(rng.random(rows) < 1 / 16, full_range, bias)
    return w, bias * has_bias, shift
