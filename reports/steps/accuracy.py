"""How well the integers do what the trained network does: confusion, errors of every layer, saturation, weight bits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flow.metrics import Metrics, Value
from flow.step import Step, Work, run_step_once, sources_sha256
from golden.accuracy import classify, int_accuracy
from golden.cells import Trace, forward_float, forward_int, real_outputs
from golden.cells_int import IntCell
from golden.dataset import Dataset, check_fits_model, load_dataset
from golden.fixed import rs, sat
from golden.quantize import quantize_ptq
from golden.quantized import QuantizedCell, QuantizedModel
from golden.spec import QuantSpec, SpecError
from golden.weights import Weights, load_weights
from rtl.config import DesignConfig

STEP = "accuracy"
RESULT = "accuracy.json"
SOURCES = ("golden/*.py", "reports/steps/accuracy.py")
WEIGHT_BITS = (4, 5, 6, 7, 8)
N_BINS = 41
"""Of an error histogram; odd, so that 0 is in the middle of a bin."""


def run_accuracy(design: DesignConfig, file: Path, folder: Path) -> Metrics:
    """Into folder/accuracy, unless it is there already; over the whole test set."""
    step = Step(STEP, run=partial(measure, design),
                required_metrics=("accuracy__int__fraction", "accuracy__float__fraction"))
    config = {"design": design.name, "weight_bits": WEIGHT_BITS, "sources_sha256": sources_sha256(SOURCES, ("numpy",))}
    return run_step_once(step, folder / STEP, config=config, inputs=[file, design.weights_path])


def measure(design: DesignConfig, work: Work) -> dict[str, Value]:
    """Metrics; the tables and histograms go to accuracy.json."""
    weights = load_weights(design.weights_path, design.model, design.quant, design.reference)
    data = load_dataset(design.data, f"{design.file_name}: data")
    check_fits_model(data, design.model, design.file_name)
    exact = forward_float(design.model, weights.params, data.x_test, data.lengths_test)
    codes = weights.qmodel.quantize_input(data.x_test)
    integer = forward_int(weights.qmodel, codes, data.lengths_test)
    valid = np.arange(len(data.x_test))[:, None] < data.lengths_test
    content: dict[str, Any] = {"class_names": list(data.class_names), "n_steps": int(valid.sum())}
    values: dict[str, Value] = {}
    for name, y in (("float", exact.y_final), ("int", integer.y_final)):
        table = confusion(classify(y, data.n_classes), data.labels_test, data.n_classes)
        content[f"confusion_{name}"] = table.tolist()
        values[f"accuracy__{name}__fraction"] = float(np.trace(table) / table.sum())
    content["errors"] = errors = {}
    for name, label, wrong in layer_errors(weights.qmodel, exact, integer, valid):
        errors[name] = {"label": label, **histogram(wrong)}
        values[f"error__rms__at:{name}"] = float(np.sqrt(np.mean(wrong ** 2)))
        values[f"error__max__at:{name}"] = float(np.abs(wrong).max())
    for name, hit, of in saturations(weights.qmodel, data, codes, integer, valid):
        values[f"saturation__count__at:{name}"] = hit
        values[f"saturation__of__count__at:{name}"] = of
    values |= dict(by_weight_bits(design, weights, data))
    (work.folder / RESULT).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return values


def confusion(predicted: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(n_classes, n_classes) counts: rows are the true classes.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    table = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table


def layer_errors(qmodel: QuantizedModel, exact: Trace, integer: Trace,
                 valid: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """(name, label, integer - float in units of the last bit), of every state and output at every step that counts."""
    for layer, cell in enumerate(qmodel.cells):
        kind = cell.spec.kind
        yield (f"h{layer}", f"h of layer {layer + 1} ({kind}, s8.{cell.h_frac_bits})",
               (integer.h[layer] - np.ldexp(exact.h[layer], cell.h_frac_bits))[valid].ravel())
        if integer.c[layer] is not None:
            yield (f"c{layer}", f"c of layer {layer + 1} ({kind}, s16.{cell.c_frac_bits})",
                   (integer.c[layer] - np.ldexp(exact.c[layer], cell.c_frac_bits))[valid].ravel())
    if qmodel.output is not None:
        real = real_outputs(qmodel, integer.y) - exact.y
        yield ("y", f"y ({qmodel.output.spec.activation}, s16.{qmodel.y_frac_bits})",
               np.ldexp(real, qmodel.y_frac_bits)[valid].ravel())


def histogram(wrong: np.ndarray) -> dict[str, Any]:
    """Bins that are even around 0 and hold 99.9 % of the errors; the rest is counted in the outermost."""
    reach = max(float(np.quantile(np.abs(wrong), 0.999)), 0.5)
    edges = np.linspace(-reach, reach, N_BINS + 1)
    counts, _ = np.histogram(np.clip(wrong, -reach, reach), edges)
    return {"edges": edges.tolist(), "counts": counts.tolist(), "beyond": int((np.abs(wrong) > reach).sum())}


def saturations(qmodel: QuantizedModel, data: Dataset, codes: np.ndarray, integer: Trace,
                valid: np.ndarray) -> Iterator[tuple[str, int, int]]:
    """(name, how many, of how many): inputs and pre-activations that were limited, states at an end of their range."""
    steps = (data.x_test.astype(np.float64) - qmodel.x_offset) / qmodel.x_scale * 128 + 0.5
    beyond = (np.floor(steps) != codes)[valid]
    yield "x", int(beyond.sum()), beyond.size
    inputs = codes
    for layer, cell in enumerate(qmodel.cells):
        h = integer.h[layer]
        before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
        limited = limited_preacts(cell, qmodel.quant, inputs[valid], before[valid])
        yield f"preact{layer}", int(limited.sum()), limited.size
        yield f"h{layer}", *at_ends(h[valid], QuantSpec.h.width_bits)
        if integer.c[layer] is not None:
            yield f"c{layer}", *at_ends(integer.c[layer][valid], QuantSpec.c_width_bits)
        inputs = h
    if qmodel.output is not None:
        yield "y", *at_ends(integer.y[valid], 16)


def at_ends(values: np.ndarray, width_bits: int) -> tuple[int, int]:
    """How many are the largest or the smallest integer of the width, of how many.

    >>> at_ends(np.array([127, -128, 3]), 8)
    (2, 3)
    """
    top = (1 << (width_bits - 1)) - 1
    return int(((values == top) | (values == -top - 1)).sum()), values.size


def limited_preacts(cell: QuantizedCell, quant: QuantSpec, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Whether rs(bias + w . columns, shift) is beyond 16 bits: bool of every row and step.

    x (N, X), h (N, H): the inputs and the states before of N steps. The n row of a GRU with reset before has r*h.
    """
    ready = IntCell.of(cell, quant)
    columns = np.hstack([x, h]).astype(np.int64)

    def beyond(columns: np.ndarray, rows: slice) -> np.ndarray:
        acc = ready.bias[rows, None, :] + np.einsum("guk,bk->gbu", ready.w[rows], columns)
        pre = rs(acc, ready.shift[rows, None, :])
        return pre != sat(pre, 16)

    if cell.spec.reset != "before":
        return beyond(columns, slice(None))
    r = ready.sigmoid(ready.preacts(columns, slice(0, 1))[0])
    reset = np.hstack([x, sat(rs(r * h, 15), 8)]).astype(np.int64)
    return np.concatenate([beyond(columns, slice(0, 2)), beyond(reset, slice(2, 3))])


def by_weight_bits(design: DesignConfig, weights: Weights, data: Dataset) -> Iterator[tuple[str, Value]]:
    """Accuracy of the same float network, quantised by calibration alone to each width; the design's own is in `sim`.

    A width that the quantiser refuses (weights beyond its formats) has no metric.
    """
    for bits in WEIGHT_BITS:
        quant = msgspec.structs.replace(design.quant, weight_bits=bits)
        try:
            qmodel = quantize_ptq(design.model, weights.params, quant, data.x_train, data.lengths_train)
        except SpecError:
            continue
        result = int_accuracy(qmodel, data.x_test, data.lengths_test, data.labels_test, data.n_classes)
        yield f"accuracy__int__fraction__weight_bits:{bits}", result.fraction
