"""Training of a design: data, float network, calibration or fine-tuning in integers, file of weights.

Nothing is chosen by looking at test labels. A run has a fixed number of epochs and takes the last weights; the
settings in the design files were chosen by cross-validation within the training set (`golden.experiment`, results
in docs/accuracy.md). The test set is only measured, once, at the end.

Same seed, same machine and same numpy: same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np

from golden.accuracy import Accuracy, float_accuracy, int_accuracy
from golden.dataset import Dataset, DataSpec, check_fits_model, load_dataset
from golden.fit import Sequences, TrainSpec, fit, init_params
from golden.input_scale import change_inputs, channel_statistics
from golden.params import check_params
from golden.progress import epoch_progress
from golden.qat import fine_tune
from golden.quantize import quantize_ptq
from golden.spec import ModelSpec, QuantSpec
from golden.weights import Weights, save_weights

__all__ = ["TrainResult", "TrainSpec", "TrainableDesign", "load_training_data", "train_design", "train_float",
           "train_weights"]


class TrainableDesign(Protocol):
    """The part of a design that training needs."""

    name: str
    model: ModelSpec
    quant: QuantSpec
    data: DataSpec
    train: TrainSpec
    weights_path: Path


@dataclass(frozen=True)
class TrainResult:
    """A trained network, the test accuracies and the time: ptq is calibration alone, int what was shipped."""

    weights: Weights
    float_accuracy: Accuracy
    ptq_accuracy: Accuracy
    int_accuracy: Accuracy
    duration_s: float


def train_design(design: TrainableDesign) -> TrainResult:
    """Trains a design, writes its weights file, prints accuracies; SpecError where data and model differ."""
    dataset = load_training_data(design)
    result = train_weights(design.model, design.quant, dataset, design.train, design.name)
    save_weights(design.weights_path, result.weights)
    print(f"{design.name}: float      {result.float_accuracy}")
    print(f"{design.name}: calibrated {result.ptq_accuracy}")
    if design.train.qat_epochs:
        print(f"{design.name}: fine-tuned {result.int_accuracy}")
    print(f"{design.name}: {result.duration_s:.1f} s, written to {design.weights_path.name}")
    return result


def load_training_data(design: TrainableDesign) -> Dataset:
    """The data set of a design; SpecError where it is not there, damaged, or not for this network."""
    dataset = load_dataset(design.data, f"{design.name}.yaml: data")
    check_fits_model(dataset, design.model, f"{design.name}.yaml")
    return dataset


def train_weights(
    model: ModelSpec, quant: QuantSpec, dataset: Dataset, spec: TrainSpec, title: str | None = None
) -> TrainResult:
    """Trains on the training split and measures on the test split; without a title no progress is shown."""
    start = perf_counter()
    params = train_float(model, dataset, spec, title)
    calibrated = quantize_ptq(model, params, quant, dataset.x_train, dataset.lengths_train)
    qmodel = calibrated
    if spec.qat_epochs:
        qmodel = fine_tune(calibrated, params, dataset, spec, title and f"{title} fine-tuning")
    test = (dataset.x_test, dataset.lengths_test, dataset.labels_test, dataset.n_classes)
    return TrainResult(
        Weights(params, qmodel), float_accuracy(model, params, *test), int_accuracy(calibrated, *test),
        int_accuracy(qmodel, *test), perf_counter() - start,
    )


def train_float(
    model: ModelSpec, dataset: Dataset, spec: TrainSpec, title: str | None = None
) -> dict[str, np.ndarray]:
    """The float parameters, rounded to float32, for inputs in the data set's units.

    Training itself sees every channel with mean 0 and deviation 1; mean and deviation go into the weights at the
    end. Layers without biases cannot take up a mean: their inputs are only scaled.
    """
    rng = np.random.default_rng(spec.seed)
    offset, scale = channel_statistics(model, dataset.x_train, dataset.lengths_train)
    x = (dataset.x_train - offset) / scale
    data = Sequences(x, dataset.lengths_train, dataset.labels_train, dataset.n_classes, np.ones_like(scale))
    params = init_params(model, rng)
    with epoch_progress(title, spec.epochs) as report:
        fit(model, params, data, spec, spec.epochs, spec.learning_rate, rng, report)
    params = change_inputs(model, params, -offset / scale, 1 / scale)
    return check_params(model, {name: value.astype(np.float32) for name, value in params.items()})
