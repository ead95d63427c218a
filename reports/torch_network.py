"""The float network in PyTorch, to be timed beside golden; None where torch is not installed or has no such cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from golden.spec import CellSpec, ModelSpec

Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def torch_network(model: ModelSpec, params: Mapping[str, np.ndarray]) -> Run | None:
    """x (T, B, X), lengths (B,) -> y of every step (T, B, O), before the output's activation; float32, one thread."""
    try:
        import torch
    except ImportError:
        return None
    if not all(map(_has_cell, model.cells)) or (model.output is not None and model.output.reads != "h"):
        return None
    torch.set_num_threads(1)
    cells = [_cell(torch, spec, size, {k: params.get(f"cells.{layer}.{k}") for k in ("w_ih", "w_hh", "b_ih", "b_hh")})
             for layer, (spec, size) in enumerate(zip(model.cells, model.cell_input_sizes, strict=True))]
    output = None if model.output is None else (_tensor(torch, params["output.w"]),
                                                _tensor(torch, params.get("output.b", 0.0)))

    def run(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            y = torch.from_numpy(np.ascontiguousarray(x, np.float32))
            for cell in cells:
                y, _ = cell(y)
            return (y if output is None else y @ output[0].T + output[1]).numpy()

    return run


def _has_cell(spec: CellSpec) -> bool:
    """Whether torch.nn has the cell: no GRU with reset before the product, Elman with tanh or relu only."""
    return spec.kind == "lstm" or spec.reset == "after" or spec.activation in ("tanh", "relu")


def _cell(torch, spec: CellSpec, size: int, params: Mapping[str, np.ndarray | None]):
    """One layer with the parameters of golden, whose names and gate order are PyTorch's."""
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "elman": torch.nn.RNN}[spec.kind]
    options = {"nonlinearity": spec.activation} if spec.kind == "elman" else {}
    cell = kind(size, spec.hidden_size, bias=spec.bias, **options)
    names = {"w_ih": "weight_ih_l0", "w_hh": "weight_hh_l0", "b_ih": "bias_ih_l0", "b_hh": "bias_hh_l0"}
    cell.load_state_dict({names[k]: _tensor(torch, value) for k, value in params.items() if value is not None})
    return cell


def _tensor(torch, value):
    return torch.from_numpy(np.array(value, np.float32))
