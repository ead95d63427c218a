"""Number formats from calibration data: the range of each input channel, the fraction bits of h, c and y."""

import numpy as np

from golden.row_codes import fits
from golden.rows import ColumnFormats, Params, folded_cell
from golden.spec import C_FRAC_BITS_RANGE, H_FRAC_BITS_RANGE, PREACT_FRAC_BITS_RANGE, ModelSpec, QuantSpec, SpecError

C_HEADROOM = 1.25
"""The cell state's format holds this times the largest |c| of the calibration data."""
Y_HEADROOM = 1.5
"""The same for relu, identity and log_softmax outputs; quantised states can drive them further than float ones."""
_TAILS = (0.0, 1e-4, 1e-3, 1e-2)
"""Parts of the calibration data that an input's range may leave out at either end."""


def to_s8(values: np.ndarray, frac_bits: int) -> np.ndarray:
    """values as s8.frac_bits integers, in float64."""
    return np.clip(np.floor(np.ldexp(values, frac_bits) + 0.5), -128, 127)


def offset_allowed(model: ModelSpec) -> bool:
    """Whether every layer that reads the raw inputs has a bias that can take up their offset."""
    reads_x = model.output is not None and model.output.reads == "xh" and len(model.cells) == 1
    return model.cells[0].bias and (model.output.bias if reads_x else True)


def input_ranges(x: np.ndarray, with_offset: bool) -> tuple[np.ndarray, np.ndarray]:
    """(offset, scale), (X,) each, for inputs x (N, X): the range of least mean square error in s8.7.

    Candidates leave out some of the outermost values at either end. Without an offset (networks without biases have
    nowhere to put one) the range is symmetric. A channel that never moves gets a scale of its magnitude, or 1.
    """
    n_channels = x.shape[1]
    lows, highs = np.quantile(x, _TAILS, axis=0), np.quantile(x, [1 - tail for tail in _TAILS], axis=0)
    best = np.zeros(n_channels), np.ones(n_channels), np.full(n_channels, np.inf)
    for low in lows:
        for high in highs:
            if with_offset:
                offset, half = (low + high) / 2, (high - low) / 2
            else:
                offset, half = np.zeros(n_channels), np.maximum(np.abs(low), np.abs(high))
            half = np.where(half > 0, half, np.abs(offset))
            scale = np.where(half > 0, half * 128 / 127, 1.0)
            restored = to_s8((x - offset) / scale, 7) / 128 * scale + offset
            error = np.mean((restored - x) ** 2, axis=0)
            better = error < best[2]
            best = tuple(np.where(better, new, old) for new, old in zip((offset, scale, error), best, strict=True))
    return best[0], best[1]


def choose_h_frac_bits(
    model: ModelSpec, params: Params, quant: QuantSpec, x_offset: np.ndarray, x_scale: np.ndarray, h: list[np.ndarray]
) -> tuple[int, ...]:
    """The format of each cell's h: 7, or for relu and identity pinned, or of least error where the weights fit.

    h: the states of each cell over the calibration data, (N, H). SpecError for states beyond every format.
    """
    chosen = [7] * len(model.cells)
    pins = quant.pinned_frac_bits("h_frac_bits", len(model.cells))
    limit = 2.0 ** (7 - H_FRAC_BITS_RANGE[0])
    for layer, spec in enumerate(model.cells):
        if not spec.is_linear:
            continue
        largest = float(np.abs(h[layer]).max())
        if not largest < limit:
            raise SpecError(
                f"hidden state of cell {layer} ({spec.activation}) must stay below {limit:g} in magnitude, "
                f"not reach {largest:g}: the recurrence grows, train it with smaller weights"
            )
        errors = {}
        for n in range(H_FRAC_BITS_RANGE[1], H_FRAC_BITS_RANGE[0] - 1, -1):
            formats = ColumnFormats(x_offset, x_scale, (*chosen[:layer], n, *chosen[layer + 1 :]))
            w, b = folded_cell(model, layer, params, formats)
            if fits(w[0], b[0], n + 8, quant):
                errors[n] = float(np.mean((np.ldexp(to_s8(h[layer], n), -n) - h[layer]) ** 2))
        # Where the weights fit no format, the coarsest comes closest; they are refused by name afterwards.
        best = min(errors, key=lambda n: errors[n], default=H_FRAC_BITS_RANGE[0])
        chosen[layer] = best if pins[layer] is None else pins[layer]
    return tuple(chosen)


def choose_c_frac_bits(model: ModelSpec, quant: QuantSpec, c: list[np.ndarray | None]) -> tuple[int | None, ...]:
    """The finest format of each LSTM's c (N, H) that holds it with headroom, or the pinned one; None without c.

    States that even the coarsest format does not hold saturate: tanh(c) has long been 1 there.
    """
    pins = quant.pinned_frac_bits("c_frac_bits", len(model.cells))
    chosen: list[int | None] = []
    for values, pin in zip(c, pins, strict=True):
        if values is None or pin is not None:
            chosen.append(None if values is None else pin)
        else:
            finest = _finest(float(np.abs(values).max()) * C_HEADROOM, C_FRAC_BITS_RANGE)
            chosen.append(C_FRAC_BITS_RANGE[0] if finest is None else finest)
    return tuple(chosen)


def choose_output_frac_bits(w: np.ndarray, b: np.ndarray, u: np.ndarray, quant: QuantSpec) -> int:
    """The finest format of the output's pre-activation that holds it with headroom and that its weights fit.

    w (O, K), b (O,) for columns u (N, K). SpecError for outputs beyond every format.
    """
    largest = float(np.abs(u @ w.T + b).max())
    finest = _finest(largest * Y_HEADROOM, PREACT_FRAC_BITS_RANGE)
    if finest is None:
        raise SpecError(
            f"outputs must stay below {32767 / Y_HEADROOM:.0f} in magnitude, not reach {largest:g}: "
            "scale the targets down and train again"
        )
    coarsest = PREACT_FRAC_BITS_RANGE[0]
    return next((n for n in range(finest, coarsest, -1) if fits(w, b, n, quant)), coarsest)


def _finest(largest: float, allowed: tuple[int, int]) -> int | None:
    """The most fraction bits in `allowed` with which s16 holds `largest`, None if there are none."""
    return next((n for n in range(allowed[1], allowed[0] - 1, -1) if largest <= np.ldexp(32767.0, -n)), None)
