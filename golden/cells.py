"""Forward passes of a whole network: floating point (PyTorch's semantics) and integers (what the hardware computes).

Shapes: T steps, B sequences, X inputs, H hidden, O outputs; x is (T, B, X). A sequence that is shorter than T is
padded with anything valid: its states and outputs stay at those of its last step from there on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from golden import cells_fast, cells_float, cells_int
from golden.params import check_params
from golden.quantized import QuantizedModel
from golden.spec import ModelSpec, QuantSpec, SpecError

States = tuple[Sequence[np.ndarray], Sequence[np.ndarray | None] | None]
"""Initial states: a list of h (B, H) and a list of c (B, H), None for cells without c (or no list at all)."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Every state and output of a forward pass; int32 from forward_int, float64 from forward_float.

    h        per cell (T, B, H).
    c        per cell (T, B, H), None where the cell is not an LSTM.
    y        (T, B, O): the output layer, or the last cell's h. log_softmax: log-probabilities from forward_float,
             logits from forward_int (as the hardware delivers them).
    h_final  per cell (B, H): after each sequence's own last step.
    c_final  per cell (B, H) or None.
    """

    h: list[np.ndarray]
    c: list[np.ndarray | None]
    y: np.ndarray

    @property
    def h_final(self) -> list[np.ndarray]:
        return [h[-1] for h in self.h]

    @property
    def c_final(self) -> list[np.ndarray | None]:
        return [None if c is None else c[-1] for c in self.c]

    @property
    def y_final(self) -> np.ndarray:
        """(B, O): the outputs of each sequence's own last step."""
        return self.y[-1]


def forward_float(
    model: ModelSpec,
    params: Mapping[str, np.ndarray],
    x: np.ndarray,
    lengths: np.ndarray | None = None,
    initial: States | None = None,
) -> Trace:
    """The network in float64, with the semantics of PyTorch's nn.LSTM, nn.GRU, nn.RNN (and Cho's GRU).

    params as in `golden.params`; x (T, B, X) real; lengths (B,) integers 1 .. T; initial states real.
    Raises SpecError for a wrong shape or type, an empty sequence, NaN or infinity.
    """
    params = check_params(model, params)
    x = _checked_x(model, x, np.number).astype(np.float64)
    lengths = _checked_lengths(lengths, x)
    h0, c0 = _checked_initial(model, initial, x.shape[1], None)
    hs, cs = [], []
    inputs = x
    for layer, spec in enumerate(model.cells):
        p = cells_float.CellParams(*(params.get(f"cells.{layer}.{k}", 0.0) for k in ("w_ih", "w_hh", "b_ih", "b_hh")))
        h, c = cells_float.run_cell(spec, p, inputs, h0[layer], c0[layer])
        hs.append(hold(h, lengths))
        cs.append(None if c is None else hold(c, lengths))
        last_inputs, inputs = inputs, hs[-1]
    y = hs[-1]
    if model.output is not None:
        columns = _output_columns(model, last_inputs, hs[-1], h0[-1])
        act = cells_float.ACTIVATIONS[model.output.activation]
        y = hold(act(columns @ params["output.w"].T + params.get("output.b", 0.0)), lengths)
    return Trace(hs, cs, y)


def forward_int(
    qmodel: QuantizedModel,
    x: np.ndarray,
    lengths: np.ndarray | None = None,
    initial: States | None = None,
    reference: bool = False,
) -> Trace:
    """The network in integers, bit for bit what the hardware computes (docs/arithmetic.md).

    x (T, B, X) s8.7 integers; lengths (B,) integers 1 .. T; initial h s8 and c s16 integers.
    reference  compute by the plain statement of the arithmetic (`cells_int`), not by the fast kernels (`cells_fast`).
    Raises SpecError for a type that is not integer, a wrong shape, a value out of range, an empty sequence.
    """
    model, quant = qmodel.model, qmodel.quant
    engine = cells_int if reference else cells_fast
    x = _checked_x(model, x, np.integer)
    _check_range("x", x, QuantSpec.x.width_bits)
    lengths = _checked_lengths(lengths, x)
    h0, c0 = _checked_initial(model, initial, x.shape[1], (QuantSpec.h.width_bits, QuantSpec.c_width_bits))
    hs, cs = [], []
    inputs = x
    for layer, cell in enumerate(qmodel.cells):
        h, c = engine.run_cell(cell, quant, inputs, h0[layer], c0[layer])
        hs.append(hold(h, lengths))
        cs.append(None if c is None else hold(c, lengths))
        last_inputs, inputs = inputs, hs[-1]
    y = hs[-1]
    if qmodel.output is not None:
        columns = _output_columns(model, last_inputs, hs[-1], h0[-1])
        y = hold(engine.output_layer(qmodel.output, quant, columns), lengths)
    return Trace(hs, cs, y.astype(np.int32, copy=False))


def real_outputs(qmodel: QuantizedModel, y: np.ndarray) -> np.ndarray:
    """Outputs of forward_int as real numbers (float64): y * 2^-y_frac_bits; for log_softmax log-probabilities."""
    real = np.ldexp(np.asarray(y, dtype=np.float64), -qmodel.y_frac_bits)
    output = qmodel.model.output
    return cells_float.log_softmax(real) if output is not None and output.activation == "log_softmax" else real


def predicted_classes(y: np.ndarray) -> np.ndarray:
    """The class of each output vector (..., O) -> (...): its largest element, the first one of equals."""
    return np.argmax(y, axis=-1)


def hold(values: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """values (T, B, ...) with the values of each sequence's last step repeated from there on."""
    if lengths is None:
        return values
    steps = np.minimum(np.arange(len(values))[:, None], lengths - 1)
    return values[steps, np.arange(values.shape[1])]


def _output_columns(model: ModelSpec, x: np.ndarray, h: np.ndarray, h0: np.ndarray) -> np.ndarray:
    """What the output layer multiplies: the new h, or x (of the last cell) and the old h."""
    if model.output.reads == "h":
        return h
    return np.concatenate([x, np.concatenate([h0[None], h[:-1]])], axis=-1)


def _checked_x(model: ModelSpec, x: np.ndarray, kind: type) -> np.ndarray:
    """x as an array; SpecError unless it is (T, B, X) of the right kind of number, finite and not empty."""
    x = np.asarray(x)
    if x.dtype == object or not np.issubdtype(x.dtype, kind) or np.iscomplexobj(x):
        wanted = "integers (QuantizedModel.quantize_input makes them)" if kind is np.integer else "real numbers"
        raise SpecError(f"x must be {wanted}, not {x.dtype}")
    if x.ndim != 3 or x.shape[2] != model.input_size:
        raise SpecError(
            f"x must have shape (steps, sequences, input_size={model.input_size}), not {x.shape}: "
            "transpose it or correct input_size in the model spec"
        )
    if 0 in x.shape:
        raise SpecError(f"x must have at least one step and one sequence, not shape {x.shape}: drop empty sequences")
    if kind is np.number and not np.isfinite(x).all():
        raise SpecError("x must be finite, not NaN or infinite: clean the data first")
    return x


def _checked_lengths(lengths: np.ndarray | None, x: np.ndarray) -> np.ndarray | None:
    """lengths as an int64 array, None where all sequences are T long; SpecError for a wrong type, shape or value."""
    n_steps, n_sequences = x.shape[:2]
    if lengths is None:
        return None
    lengths = np.asarray(lengths)
    if not np.issubdtype(lengths.dtype, np.integer) or lengths.shape != (n_sequences,):
        raise SpecError(f"lengths must be {n_sequences} integers, not {lengths.dtype} of shape {lengths.shape}")
    if lengths.min() < 1 or lengths.max() > n_steps:
        raise SpecError(
            f"lengths must be in 1 .. {n_steps} (the steps of x), not {lengths.min()} .. {lengths.max()}: "
            "drop empty sequences"
        )
    return None if (lengths == n_steps).all() else lengths.astype(np.int64)


def _checked_initial(model: ModelSpec, initial: States | None, n_sequences: int, widths: tuple[int, int] | None):
    """(h, c) lists of initial states, zeros where none are given; `widths` of integers, None for real numbers."""
    dtype = np.float64 if widths is None else np.int32
    h, c = (None, None) if initial is None else initial
    needs_c = [spec.kind == "lstm" for spec in model.cells]
    states = []
    for name, values, needed, width in (
        ("h", h, [True] * len(model.cells), widths and widths[0]),
        ("c", c, needs_c, widths and widths[1]),
    ):
        values = [None] * len(model.cells) if values is None else list(values)
        if len(values) != len(model.cells):
            raise SpecError(f"initial {name} must have {len(model.cells)} entries, one a cell, not {len(values)}")
        checked = []
        for layer, (value, wanted) in enumerate(zip(values, needed, strict=True)):
            shape = (n_sequences, model.hidden_sizes[layer])
            what = f"initial {name} of cell {layer}"
            if not wanted:
                if value is not None:
                    raise SpecError(f"{what} must be None, not an array: a {model.cells[layer].kind} cell has no c")
                checked.append(None)
            else:
                checked.append(np.zeros(shape, dtype) if value is None else _checked_state(what, value, shape, width))
        states.append(checked)
    return states


def _checked_state(what: str, value: np.ndarray, shape: tuple[int, int], width_bits: int | None) -> np.ndarray:
    """One initial state: integers of `width_bits`, or real numbers where that is None; SpecError otherwise."""
    value = np.asarray(value)
    kind = np.number if width_bits is None else np.integer
    if not np.issubdtype(value.dtype, kind) or np.iscomplexobj(value) or not np.isfinite(value).all():
        wanted = "finite real numbers" if width_bits is None else "integers"
        raise SpecError(f"{what} must be {wanted}, not {value.dtype}")
    if value.shape != shape:
        raise SpecError(f"{what} must have shape (sequences, hidden_size)={shape}, not {value.shape}")
    if width_bits is None:
        return value.astype(np.float64)
    _check_range(what, value, width_bits)
    return value.astype(np.int32)


def _check_range(what: str, values: np.ndarray, width_bits: int) -> None:
    low, high = -(1 << (width_bits - 1)), (1 << (width_bits - 1)) - 1
    if values.min() < low or values.max() > high:
        raise SpecError(
            f"{what} must be in {low} .. {high} (signed, {width_bits} bits), not {values.min()} .. {values.max()}: "
            "quantise it with saturation"
        )
