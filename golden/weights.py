"""The file of a trained network in golden/trained/: its float parameters and the integers made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.differences import differences
from golden.npz import load_npz, write_npz
from golden.params import check_params
from golden.quantized import QuantizedModel, model_from_arrays
from golden.spec import ModelSpec, QuantSpec, SpecError

FLOAT, QUANTIZED = "float.", "quantized."


@dataclass(frozen=True, eq=False)
class Weights:
    """params: float parameters by name (`golden.params`; float64 that float32 holds exactly), for inputs in the
    data set's units; qmodel: the network that the hardware is loaded with."""

    params: dict[str, np.ndarray]
    qmodel: QuantizedModel


def save_weights(path: str | Path, weights: Weights) -> None:
    """Writes the file in one go, the same bytes for the same weights; float parameters as float32."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    arrays = {FLOAT + name: value.astype(np.float32) for name, value in weights.params.items()}
    arrays |= {QUANTIZED + name: value for name, value in weights.qmodel.to_arrays().items()}
    write_npz(path, arrays)


def load_weights(path: str | Path, model: ModelSpec, quant: QuantSpec, design: str = "NAME") -> Weights:
    """Reads a file that `save_weights` wrote; SpecError unless it is whole and belongs to `model` and `quant`.

    design: name or path of the design file, for the message that says how to train.
    """
    train = f"with `./stillwater train design={design}` or correct the design file"
    if not Path(path).is_file():
        raise SpecError(f"weights file must exist, but {path} does not: train it {train}")
    groups: dict[str, dict[str, np.ndarray]] = {FLOAT: {}, QUANTIZED: {}}
    for name, value in load_npz(path).items():
        prefix = next((p for p in groups if name.startswith(p)), None)
        if prefix is None:
            raise SpecError(f"arrays must begin with {FLOAT} or {QUANTIZED}, not be called {name}: "
                            f"train it again {train} ({path})")
        groups[prefix][name.removeprefix(prefix)] = value
    qmodel = model_from_arrays(groups[QUANTIZED], str(path))
    for what, wanted, got in (("model", model, qmodel.model), ("quant", quant, qmodel.quant)):
        if wanted != got:
            raise SpecError(f"weights must be for the design's {what}, but {'; '.join(differences(wanted, got))}: "
                            f"train it again {train} ({path})")
    try:
        return Weights(check_params(model, groups[FLOAT]), qmodel)
    except SpecError as error:
        raise SpecError(f"{error} ({path})") from None
