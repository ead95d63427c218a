"""The quantised network: the integers that the hardware is loaded with, checked when they are made, and its file.

Row order, columns and formats are those of docs/arithmetic.md. The dataclasses hold read-only arrays.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from golden.npz import load_npz, write_npz
from golden.spec import (
    C_FRAC_BITS_RANGE,
    H_FRAC_BITS_RANGE,
    PREACT_FRAC_BITS_RANGE,
    CellSpec,
    ModelSpec,
    OutputSpec,
    QuantSpec,
    SpecError,
    check_int,
)
from golden.spec_load import load_model_spec, load_quant_spec

FILE_FORMAT = "stillwater quantised model 1"


@dataclass(frozen=True, eq=False)
class QuantizedCell:
    """One recurrent layer in integers; G' = len(spec.gates) accumulator rows a unit, columns x then h.

    w            (G', H, X+H) int8 codes; reset after: n_x has zeros in the h half, n_h in the x half.
    bias         (G', H) int32 in accumulator units, s20; zero where spec.bias is false.
    shift        (G', H) int8, -4 .. 11: accumulator fraction minus pre-activation fraction.
    h_frac_bits  fraction bits of h (s8): 7, or as calibrated for relu and identity.
    c_frac_bits  fraction bits of c (s16) for LSTM, else None.
    """

    spec: CellSpec
    input_size: int
    w: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    h_frac_bits: int = 7
    c_frac_bits: int | None = None

    @property
    def preact_frac_bits(self) -> int:
        """Fraction bits of the pre-activations (s16)."""
        return self.h_frac_bits + 8 if self.spec.is_linear else QuantSpec.preact.frac_bits


@dataclass(frozen=True, eq=False)
class QuantizedOutput:
    """The output layer in integers; K columns: h, or x then h.

    w (O, K) int8, bias (O,) int32, shift (O,) int8 as in QuantizedCell.
    preact_frac_bits  fraction bits of the pre-activation (s16): 12 for tanh and sigmoid, else calibrated.
    """

    spec: OutputSpec
    w: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    preact_frac_bits: int = 12


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A whole quantised network, consistent with its specs once made (SpecError otherwise).

    x_offset, x_scale  (X,) float64 per input channel: x_int = sat_8(floor((x - offset) / scale * 128 + 0.5)).
    """

    model: ModelSpec
    quant: QuantSpec
    cells: tuple[QuantizedCell, ...]
    output: QuantizedOutput | None
    x_offset: np.ndarray
    x_scale: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(_checked_cells(self)))
        object.__setattr__(self, "output", _checked_output(self))
        for name in ("x_offset", "x_scale"):
            object.__setattr__(self, name, _checked_floats(name, getattr(self, name), self.model.input_size))
        if not (self.x_scale > 0).all():
            raise SpecError(f"x_scale must be above 0 in every channel, not {self.x_scale.min()}: calibrate again")

    def quantize_input(self, x: np.ndarray) -> np.ndarray:
        """x (..., X) floats as s8.7 integers (int32), saturated; SpecError for NaN, infinity or a wrong width."""
        x = np.asarray(x)
        if x.ndim == 0 or x.shape[-1] != self.model.input_size:
            raise SpecError(f"x must have {self.model.input_size} channels in its last axis, not shape {x.shape}")
        if not np.issubdtype(x.dtype, np.number) or not np.isfinite(x).all():
            raise SpecError(f"x must be finite numbers, not {x.dtype} with NaN or infinity: clean the data first")
        steps = np.floor((x.astype(np.float64) - self.x_offset) / self.x_scale * 128 + 0.5)
        return np.clip(steps, QuantSpec.x.min_int, QuantSpec.x.max_int).astype(np.int32)

    @property
    def y_frac_bits(self) -> int:
        """Fraction bits of the y integers that forward_int gives."""
        if self.output is None:
            return self.cells[-1].h_frac_bits
        return self.output.preact_frac_bits if self.output.spec.is_linear else QuantSpec.gate.frac_bits

    def save(self, path: str | Path) -> None:
        """Write the model as .npz: the same model gives the same bytes, and no code is in it."""
        write_npz(path, self.to_arrays())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The model as named arrays; `spec` is JSON in UTF-8 (uint8). Inverse: `model_from_arrays`."""
        header = {
            "format": FILE_FORMAT,
            "model": msgspec.to_builtins(self.model),
            "quant": msgspec.to_builtins(self.quant),
            "h_frac_bits": [cell.h_frac_bits for cell in self.cells],
            "c_frac_bits": [cell.c_frac_bits for cell in self.cells],
            "preact_frac_bits": None if self.output is None else self.output.preact_frac_bits,
        }
        arrays = {"spec": np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)}
        for layer, cell in enumerate(self.cells):
            arrays |= {f"cells.{layer}.{name}": getattr(cell, name) for name in ("w", "bias", "shift")}
        if self.output is not None:
            arrays |= {f"output.{name}": getattr(self.output, name) for name in ("w", "bias", "shift")}
        return arrays | {"x_offset": self.x_offset, "x_scale": self.x_scale}


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON in a model file."""

    format: str
    model: dict[str, Any]
    quant: dict[str, Any]
    h_frac_bits: list[int]
    c_frac_bits: list[int | None]
    preact_frac_bits: int | None


def load_model(path: str | Path) -> QuantizedModel:
    """The quantised model in a file that `QuantizedModel.save` wrote; SpecError for anything else."""
    return model_from_arrays(load_npz(path), str(path))


def model_from_arrays(arrays: dict[str, np.ndarray], where: str) -> QuantizedModel:
    """The quantised model in named arrays as of `to_arrays`; SpecError, with `where`, for anything else."""
    try:
        header = msgspec.json.decode(np.asarray(arrays.get("spec", ())).astype(np.uint8).tobytes(), type=_Header)
    except (msgspec.DecodeError, ValueError, TypeError):
        header = None
    if header is None or header.format != FILE_FORMAT:
        got = "none" if header is None else repr(header.format)
        raise SpecError(f"header must say {FILE_FORMAT!r}, not {got}: quantise the network again ({where}: spec)")
    model = load_model_spec(header.model, f"{where}: spec.model")
    quant = load_quant_spec(header.quant, f"{where}: spec.quant")
    names = {f"cells.{i}.{name}" for i in range(len(model.cells)) for name in ("w", "bias", "shift")}
    names |= {"spec", "x_offset", "x_scale"}
    names |= set() if model.output is None else {"output.w", "output.bias", "output.shift"}
    if wrong := sorted(names ^ set(arrays)):
        kind = "missing" if wrong[0] in names else "unexpected"
        raise SpecError(f"arrays must be {', '.join(sorted(names))}; {wrong[0]} is {kind} ({where})")
    try:
        return _assemble(model, quant, header, arrays)
    except SpecError as error:
        raise SpecError(f"{error} ({where})") from None


def _assemble(model: ModelSpec, quant: QuantSpec, header: _Header, arrays: dict[str, np.ndarray]) -> QuantizedModel:
    for name in ("h_frac_bits", "c_frac_bits"):
        if len(getattr(header, name)) != len(model.cells):
            raise SpecError(f"{name} must have {len(model.cells)} entries, not {len(getattr(header, name))}: "
                            "quantise the network again")
    cells = tuple(
        QuantizedCell(
            spec, size, *(arrays[f"cells.{i}.{name}"] for name in ("w", "bias", "shift")),
            h_frac_bits=header.h_frac_bits[i], c_frac_bits=header.c_frac_bits[i],
        )
        for i, (spec, size) in enumerate(zip(model.cells, model.cell_input_sizes, strict=True))
    )
    output = None
    if model.output is not None:
        integers = (arrays[f"output.{name}"] for name in ("w", "bias", "shift"))
        output = QuantizedOutput(model.output, *integers, preact_frac_bits=header.preact_frac_bits)
    return QuantizedModel(model, quant, cells, output, arrays["x_offset"], arrays["x_scale"])


def row_columns(spec: CellSpec, input_size: int) -> np.ndarray:
    """(G', X+H) bool: the columns that each accumulator row may use (reset after: n_x only x, n_h only h)."""
    used = np.ones((len(spec.gates), input_size + spec.hidden_size), dtype=bool)
    if "n_x" in spec.gates:
        used[spec.gates.index("n_x"), input_size:] = False
        used[spec.gates.index("n_h"), :input_size] = False
    return used


def _checked_cells(qmodel: QuantizedModel):
    """The cells with arrays converted to their dtypes; SpecError where one disagrees with the specs."""
    model = qmodel.model
    if len(qmodel.cells) != len(model.cells):
        raise SpecError(f"cells must be {len(model.cells)} as in the model, not {len(qmodel.cells)}")
    for layer, (spec, size, cell) in enumerate(zip(model.cells, model.cell_input_sizes, qmodel.cells, strict=True)):
        name = f"cells.{layer}"
        if cell.spec != spec or cell.input_size != size:
            raise SpecError(f"{name} must be {spec} with {size} inputs, not {cell.spec} with {cell.input_size}")
        rows = (len(spec.gates), spec.hidden_size)
        arrays = _checked_rows(name, cell, qmodel.quant, rows, size + spec.hidden_size, spec.bias)
        unused = ~row_columns(spec, size)
        if (arrays["w"].swapaxes(1, 2)[unused] != 0).any():
            raise SpecError(f"{name}.w must be zero where n_x has its h columns and n_h its x columns")
        _check_frac_bits(f"{name}.h_frac_bits", cell.h_frac_bits, H_FRAC_BITS_RANGE, 7, spec.is_linear)
        _check_frac_bits(f"{name}.c_frac_bits", cell.c_frac_bits, C_FRAC_BITS_RANGE, None, spec.kind == "lstm")
        yield dataclasses.replace(cell, **arrays)


def _checked_output(qmodel: QuantizedModel) -> QuantizedOutput | None:
    """The output layer with arrays converted to their dtypes; SpecError where it disagrees with its spec."""
    spec, output = qmodel.model.output, qmodel.output
    if (spec is None) != (output is None) or (output is not None and output.spec != spec):
        raise SpecError(f"output must be {spec} as in the model, not {output and output.spec}")
    if output is None:
        return None
    arrays = _checked_rows("output", output, qmodel.quant, (spec.size,), qmodel.model.output_fan_in, spec.bias)
    _check_frac_bits("output.preact_frac_bits", output.preact_frac_bits, PREACT_FRAC_BITS_RANGE, 12, spec.is_linear)
    return dataclasses.replace(output, **arrays)


def _checked_rows(name, layer, quant: QuantSpec, rows: tuple[int, ...], n_columns: int, has_bias: bool):
    """Checked w, bias and shift of a cell or an output layer."""
    arrays = {
        "w": _checked_ints(f"{name}.w", layer.w, (*rows, n_columns), quant.weight_min, quant.weight_max, np.int8),
        "bias": _checked_ints(f"{name}.bias", layer.bias, rows, quant.bias_min, quant.bias_max, np.int32),
        "shift": _checked_ints(f"{name}.shift", layer.shift, rows, quant.shift_min, quant.shift_max, np.int8),
    }
    if not has_bias and arrays["bias"].any():
        raise SpecError(f"{name}.bias must be zero in a layer without biases: set bias: true in its spec")
    return arrays


def _checked_ints(name: str, values, shape: tuple[int, ...], low: int, high: int, dtype) -> np.ndarray:
    """A read-only copy of integer `values` as `dtype`; SpecError for a wrong type, shape or range."""
    values = np.asarray(values)
    if not np.issubdtype(values.dtype, np.integer):
        raise SpecError(f"{name} must be integers, not {values.dtype}: quantise them first")
    if values.shape != shape:
        raise SpecError(f"{name} must have shape {shape}, not {values.shape}: quantise the network again")
    if values.min() < low or values.max() > high:
        raise SpecError(f"{name} must be in {low} .. {high}, not {values.min()} .. {values.max()}: "
                        "quantise the network again")
    return _read_only(values.astype(dtype))


def _checked_floats(name: str, values, size: int) -> np.ndarray:
    """A read-only float64 copy of (size,) finite numbers; SpecError otherwise."""
    values = np.asarray(values)
    if values.shape != (size,) or not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise SpecError(f"{name} must be {size} numbers (one a channel), not {values.dtype} of shape {values.shape}")
    if not np.isfinite(values).all():
        raise SpecError(f"{name} must be finite in every channel: clean the calibration data")
    return _read_only(values.astype(np.float64))


def _check_frac_bits(what: str, value, allowed: tuple[int, int], fixed: int | None, calibrated: bool) -> None:
    """The format is in `allowed` where it is calibrated, else exactly `fixed`."""
    if calibrated:
        check_int(what, value, *allowed)
    elif value != fixed or isinstance(value, bool):
        raise SpecError(f"{what} must be {fixed} for this kind of layer, not {value!r}")


def _read_only(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
