"""Float parameters as accumulator rows: one row [x, h] per gate, with the scales of its columns folded in.

A column of an accumulator row is an s8 integer; `scale` and `offset` of the column say what real number it stands
for: value = u * scale + offset with u = integer / 128. So sum_k w[k] * value[k] + b equals
sum_k (w[k] * scale[k]) * u[k] + (b + sum_k w[k] * offset[k]): that is what `fold` computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from golden.spec import CellSpec, ModelSpec

Params = Mapping[str, np.ndarray]


def cell_rows(model: ModelSpec, layer: int, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(w (G', H, X+H), b (G', H)) of one cell as in docs/arithmetic.md: gates in accumulator-row order.

    b_ih and b_hh add up, but for GRU reset after, whose n_x takes b_in and n_h takes b_hn.
    """
    spec: CellSpec = model.cells[layer]
    G, H = spec.n_float_gates, spec.hidden_size
    w_ih = params[f"cells.{layer}.w_ih"].reshape(G, H, -1)
    w_hh = params[f"cells.{layer}.w_hh"].reshape(G, H, H)
    no_bias = np.zeros(G * H)
    b_ih = params.get(f"cells.{layer}.b_ih", no_bias).reshape(G, H)
    b_hh = params.get(f"cells.{layer}.b_hh", no_bias).reshape(G, H)
    w, b = np.concatenate([w_ih, w_hh], axis=2), b_ih + b_hh
    if "n_x" not in spec.gates:
        return w, b
    n_x, n_h = w[2].copy(), w[2].copy()
    n_x[:, w_ih.shape[2] :] = 0.0
    n_h[:, : w_ih.shape[2]] = 0.0
    return np.stack([w[0], w[1], n_x, n_h]), np.stack([b[0], b[1], b_ih[2], b_hh[2]])


def output_rows(model: ModelSpec, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(w (O, K), b (O,)) of the output layer."""
    w = params["output.w"]
    return w, params.get("output.b", np.zeros(len(w)))


def fold(w: np.ndarray, b: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows for columns u: w * scale, b + w . offset. w (..., K), b (...), scale and offset (K,).

    >>> fold(np.array([[2.0, 3.0]]), np.array([1.0]), np.array([4.0, 1.0]), np.array([0.5, 0.0]))
    (array([[8., 3.]]), array([2.]))
    """
    return w * scale, b + w @ offset


@dataclass(frozen=True)
class ColumnFormats:
    """What the columns stand for: x of the first cell by channel, h of each cell (a power of two, no offset).

    x_offset, x_scale (X,): value = u * scale + offset; h_frac_bits: one entry a cell.
    """

    x_offset: np.ndarray
    x_scale: np.ndarray
    h_frac_bits: tuple[int, ...]

    def of_columns(self, model: ModelSpec, layer: int | None) -> tuple[np.ndarray, np.ndarray]:
        """(scale, offset), each (K,), of the columns of a cell, or of the output layer (layer None)."""
        reads_x = layer is not None or model.output.reads == "xh"
        cell = len(model.cells) - 1 if layer is None else layer
        cells = [cell - 1, cell] if reads_x and cell > 0 else [cell]
        scales = [np.full(model.hidden_sizes[k], 2.0 ** (7 - self.h_frac_bits[k])) for k in cells]
        offsets = [np.zeros(model.hidden_sizes[k]) for k in cells]
        if reads_x and cell == 0:
            scales, offsets = [self.x_scale, *scales], [self.x_offset, *offsets]
        return np.concatenate(scales), np.concatenate(offsets)


def folded_cell(
    model: ModelSpec, layer: int, params: Params, formats: ColumnFormats
) -> tuple[np.ndarray, np.ndarray]:
    """(w (G', H, X+H), b (G', H)) of one cell for columns u."""
    return fold(*cell_rows(model, layer, params), *formats.of_columns(model, layer))


def folded_output(model: ModelSpec, params: Params, formats: ColumnFormats) -> tuple[np.ndarray, np.ndarray]:
    """(w (O, K), b (O,)) of the output layer for columns u."""
    return fold(*output_rows(model, params), *formats.of_columns(model, None))
