"""Quantisation-aware fine-tuning: training on what the integer network computes.

The forward pass rounds wherever the integer model does: weights and biases to the codes of `golden.quantize`, x, h,
c and pre-activations to their formats, tanh and sigmoid by the same tables. All values are multiples of powers of
two below 2^53, so float64 holds them exactly and the outputs are those of `forward_int` times its resolution, bit
for bit. On the way back every rounding counts as the identity (straight-through estimator; Bengio et al. 2013,
arXiv:1308.3432), and the gradient found at the codes moves the float weights behind them.

Formats, input ranges and each row's exponent stay those of the calibrated model that fine-tuning starts from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from golden.activation import lookup_tables
from golden.arithmetic import Arithmetic
from golden.dataset import Dataset
from golden.fit import Sequences, TrainSpec, fit
from golden.input_scale import change_inputs, channel_statistics
from golden.progress import epoch_progress
from golden.quantize import QuantizedModel, requantize
from golden.spec import FixedPoint, QuantSpec


class FakeQuantized(Arithmetic):
    """Real arithmetic with the roundings of one quantised model; inputs and parameters in units u = x_int / 128."""

    def __init__(self, qmodel: QuantizedModel) -> None:
        n_inputs = qmodel.model.input_size
        self.qmodel = replace(qmodel, x_offset=np.zeros(n_inputs), x_scale=np.ones(n_inputs))
        tables = lookup_tables(qmodel.quant.activation_segment_bits)
        self._tanh, self._sigmoid = (table * QuantSpec.gate.resolution for table in tables)

    def params(self, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return real_params(requantize(self.qmodel, params))

    def inputs(self, x: np.ndarray) -> np.ndarray:
        return to_format(x, QuantSpec.x)

    def tanh(self, a: np.ndarray) -> np.ndarray:
        return self._tanh[_preact_codes(a) + 32768]

    def sigmoid(self, a: np.ndarray) -> np.ndarray:
        return self._sigmoid[_preact_codes(a) + 32768]

    def preactivation(self, a: np.ndarray) -> np.ndarray:
        return to_format(a, QuantSpec.preact)

    def linear(self, a: np.ndarray, layer: int | None) -> np.ndarray:
        owner = self.qmodel.output if layer is None else self.qmodel.cells[layer]
        return to_format(a, FixedPoint(QuantSpec.preact.width_bits, owner.preact_frac_bits))

    def hidden(self, h: np.ndarray, layer: int) -> np.ndarray:
        return to_format(h, FixedPoint(QuantSpec.h.width_bits, self.qmodel.cells[layer].h_frac_bits))

    def cell(self, c: np.ndarray, layer: int) -> np.ndarray:
        return to_format(c, FixedPoint(QuantSpec.c_width_bits, self.qmodel.cells[layer].c_frac_bits))


def to_format(values: np.ndarray, fixed: FixedPoint) -> np.ndarray:
    """The nearest values of a format, half up, saturated.

    >>> to_format(np.array([0.3, -0.25, 2.0]), FixedPoint(3, 1)).tolist()
    [0.5, 0.0, 1.5]
    """
    codes = np.floor(values * 2.0**fixed.frac_bits + 0.5)
    return np.clip(codes, fixed.min_int, fixed.max_int) * fixed.resolution


def _preact_codes(a: np.ndarray) -> np.ndarray:
    codes = np.floor(a * 2.0**QuantSpec.preact.frac_bits + 0.5)
    return np.clip(codes, QuantSpec.preact.min_int, QuantSpec.preact.max_int).astype(np.int64)


def real_params(qmodel: QuantizedModel) -> dict[str, np.ndarray]:
    """The codes of a quantised model as float parameters for inputs u = x_int / 128.

    A code q counts q * 2^-e with e = shift + pre-activation fraction - 7; an h column of s8.n another 2^(n-7).
    b_ih holds the sum of both biases, b_hh zeros (GRU reset after: b_ih of r, z, n_x and b_hh of n_h).
    """
    model, params = qmodel.model, {}
    h_factors = [2.0 ** (cell.h_frac_bits - 7) for cell in qmodel.cells]
    for layer, cell in enumerate(qmodel.cells):
        w, b = _real_rows(cell.w, cell.bias, cell.shift, cell.preact_frac_bits)
        x_factor = h_factors[layer - 1] if layer else 1.0
        w_ih, w_hh = w[..., : cell.input_size] * x_factor, w[..., cell.input_size :] * h_factors[layer]
        b_ih, b_hh = b, np.zeros_like(b)
        if "n_x" in cell.spec.gates:
            w_ih, w_hh = w_ih[:3], w_hh[[0, 1, 3]]
            b_ih, b_hh = b[:3], np.stack([0 * b[0], 0 * b[1], b[3]])
        values = {"w_ih": w_ih.reshape(-1, cell.input_size), "w_hh": w_hh.reshape(-1, cell.spec.hidden_size)}
        if cell.spec.bias:
            values |= {"b_ih": b_ih.reshape(-1), "b_hh": b_hh.reshape(-1)}
        params |= {f"cells.{layer}.{name}": value for name, value in values.items()}
    if (output := qmodel.output) is not None:
        w, b = _real_rows(output.w, output.bias, output.shift, output.preact_frac_bits)
        n_x = w.shape[1] - model.hidden_sizes[-1]
        w[:, :n_x] *= h_factors[-2] if len(model.cells) > 1 else 1.0
        w[:, n_x:] *= h_factors[-1]
        params |= {"output.w": w} | ({"output.b": b} if output.spec.bias else {})
    return params


def _real_rows(w, bias, shift, preact_frac_bits: int) -> tuple[np.ndarray, np.ndarray]:
    exponent = shift.astype(np.int64) + preact_frac_bits
    return np.ldexp(w.astype(np.float64), 7 - exponent[..., None]), np.ldexp(bias.astype(np.float64), -exponent)


def fine_tune(
    calibrated: QuantizedModel, params: Mapping[str, np.ndarray], dataset: Dataset, spec: TrainSpec,
    title: str | None = None
) -> QuantizedModel:
    """Fine-tunes a calibrated model for spec.qat_epochs; params are the float parameters that it was made from."""
    model, offset, scale = calibrated.model, calibrated.x_offset, calibrated.x_scale
    arithmetic = FakeQuantized(calibrated)
    latent = change_inputs(model, params, offset, scale)
    _, deviation = channel_statistics(model, dataset.x_train, dataset.lengths_train)
    x = (dataset.x_train.astype(np.float64) - offset) / scale
    data = Sequences(x, dataset.lengths_train, dataset.labels_train, dataset.n_classes, deviation / scale)
    rng = np.random.default_rng([spec.seed, 1])
    with epoch_progress(title, spec.qat_epochs) as report:
        fit(model, latent, data, spec, spec.qat_epochs, spec.qat_learning_rate, rng, report, arithmetic)
    return replace(requantize(arithmetic.qmodel, latent), x_offset=offset, x_scale=scale)
