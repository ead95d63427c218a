"""Changes of the units that a network's inputs are in, and the channel statistics that training scales by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from golden.spec import ModelSpec


def channel_statistics(model: ModelSpec, x: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(offset, scale), each (X,), of x (T, N, X): mean and deviation; without input biases zero and the root mean
    square. A constant channel has scale 1."""
    inside = np.arange(len(x))[:, None] < lengths
    values = x[inside].astype(np.float64)  # (steps of all sequences, X)
    offset = values.mean(axis=0) if has_input_biases(model) else np.zeros(values.shape[1])
    scale = np.sqrt(((values - offset) ** 2).mean(axis=0))
    return offset, np.where(scale > 0, scale, 1.0)


def has_input_biases(model: ModelSpec) -> bool:
    """Whether every layer that reads the network's inputs has biases, so that an offset can go into them."""
    return all(b is not None for _, b in _input_layers(model))


def change_inputs(
    model: ModelSpec, params: Mapping[str, np.ndarray], offset: np.ndarray, scale: np.ndarray
) -> dict[str, np.ndarray]:
    """Parameters for inputs u in place of x = u * scale + offset: the same network in other units.

    >>> from golden.spec import CellSpec
    >>> params = {"cells.0.w_ih": np.array([[2.0]]), "cells.0.w_hh": np.array([[0.5]]),
    ...           "cells.0.b_ih": np.array([1.0]), "cells.0.b_hh": np.array([0.0])}
    >>> new = change_inputs(ModelSpec(1, (CellSpec("elman", 1),)), params, np.array([3.0]), np.array([4.0]))
    >>> new["cells.0.w_ih"], new["cells.0.b_ih"]
    (array([[8.]]), array([7.]))
    """
    params = {name: value.copy() for name, value in params.items()}
    for w, b in _input_layers(model):
        columns = params[w][:, : model.input_size]
        if b is not None:
            params[b] += columns @ offset
        columns *= scale
    return params


def _input_layers(model: ModelSpec) -> list[tuple[str, str | None]]:
    """Names of weight and bias (None without) of the layers that read the network's inputs."""
    layers = [("cells.0.w_ih", "cells.0.b_ih" if model.cells[0].bias else None)]
    if model.output is not None and model.output.reads == "xh" and len(model.cells) == 1:
        layers.append(("output.w", "output.b" if model.output.bias else None))
    return layers
