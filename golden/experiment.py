"""What a setting does: cross-validated and test accuracy of variations of a design, several seeds each.

    python -m golden.experiment rtl/designs/vowels.yaml --seeds 3 --folds 5 "" "weight_decay=0" "quant.weight_bits=4"

Every variation changes settings of the design file's `train` section (or, with the prefix, of `quant`); "" is the
file as it stands, and several changes are separated by spaces. Settings are chosen by the column of cross-validation,
which splits the training set only; the test columns are there to be reported. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
import yaml

from golden.dataset import Dataset, DataSpec, check_fits_model, load_dataset
from golden.fit import TrainSpec
from golden.spec import ModelSpec, QuantSpec, SpecError
from golden.spec_load import load_spec
from golden.train import train_weights
from golden.yaml_file import load_yaml

HEADER = ("variation", "CV float", "CV integer", "test float", "test calibrated", "test integer", "s a run")


@dataclass(frozen=True)
class Experiment:
    """The sections of a design file that training reads."""

    model: ModelSpec
    quant: QuantSpec
    data: DataSpec
    train: TrainSpec


def load_experiment(path: Path, changes: str = "") -> Experiment:
    """Reads a design file's sections with `changes` ("name=value ..." of train, or quant.name=value) applied."""
    if not path.is_file():
        raise SpecError(f"design file must exist, but there is none at {path}: give one of rtl/designs/")
    sections = load_yaml(path)
    for change in changes.split():
        name, equals, value = change.partition("=")
        section, _, field = name.rpartition(".")
        if not equals or section not in ("", "train", "quant"):
            raise SpecError(f"a change must look like learning_rate=0.01 or quant.weight_bits=4, not {change!r}")
        sections[section or "train"] = {**(sections.get(section or "train") or {}), field: yaml.safe_load(value)}
    if (sections.get("data") or {}).get("path"):
        sections["data"]["path"] = str(path.parent / sections["data"]["path"])
    types = {"model": ModelSpec, "quant": QuantSpec, "data": DataSpec, "train": TrainSpec}
    return Experiment(**{name: load_spec(spec_type, sections.get(name) or {}, f"{path.name} {changes}: {name}")
                         for name, spec_type in types.items()})


def training_folds(dataset: Dataset, n_folds: int, seed: int) -> Iterable[Dataset]:
    """The training set as n_folds data sets, each with another part of it for testing; classes evenly spread."""
    order = np.random.default_rng([seed, 2]).permutation(len(dataset.labels_train))
    order = order[np.argsort(dataset.labels_train[order], kind="stable")]
    for k in range(n_folds):
        held_out = np.sort(order[k::n_folds])
        rest = np.setdiff1d(order, held_out)
        x, lengths, labels = dataset.x_train, dataset.lengths_train, dataset.labels_train
        yield replace(dataset, x_train=x[:, rest], lengths_train=lengths[rest], labels_train=labels[rest],
                      x_test=x[:, held_out], lengths_test=lengths[held_out], labels_test=labels[held_out])


def run_variation(experiment: Experiment, dataset: Dataset, n_folds: int, seeds: range) -> list[str]:
    """One row of the table without its name: accuracies in % and the seconds of one run on the whole training set."""
    def train(data: Dataset, seed: int):
        spec = msgspec.structs.replace(experiment.train, seed=seed)
        return train_weights(experiment.model, experiment.quant, data, spec)

    validated = {"float": [], "integer": []}
    for seed in seeds if n_folds else ():
        results = [train(fold, seed) for fold in training_folds(dataset, n_folds, seed)]
        n = sum(r.float_accuracy.n for r in results)
        validated["float"].append(sum(r.float_accuracy.n_correct for r in results) / n)
        validated["integer"].append(sum(r.int_accuracy.n_correct for r in results) / n)
    start = perf_counter()
    tests = [train(dataset, seed) for seed in seeds]
    duration = (perf_counter() - start) / len(seeds)
    kinds = ("float_accuracy", "ptq_accuracy", "int_accuracy")
    cells = [mean_and_range(values) for values in validated.values()]
    cells += [mean_and_range([getattr(t, kind).fraction for t in tests]) for kind in kinds]
    return [*cells, f"{duration:.1f}"]


def mean_and_range(fractions: list[float]) -> str:
    """In %: the mean, and the range over seeds; a dash for none.

    >>> mean_and_range([0.95, 0.97])
    '96.00 (95.00 .. 97.00)'
    """
    if not fractions:
        return "-"
    percent = [100 * f for f in fractions]
    return f"{np.mean(percent):.2f} ({min(percent):.2f} .. {max(percent):.2f})"


def main(arguments: list[str] | None = None) -> None:
    """Prints the table that the command line asks for; bad input ends the program with its message and status 2."""
    parser = argparse.ArgumentParser(prog="python -m golden.experiment", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("design", type=Path, help="design file, e.g. rtl/designs/vowels.yaml")
    parser.add_argument("variations", nargs="*", default=[""], help='changes, e.g. "" "learning_rate=0.003 epochs=50"')
    parser.add_argument("--folds", type=int, default=5, help="of cross-validation; 0 leaves it out")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1 .. this")
    options = parser.parse_intermixed_args(arguments)
    try:
        experiments = [load_experiment(options.design, changes) for changes in options.variations]
        dataset = load_dataset(experiments[0].data, f"{options.design.name}: data")
        check_fits_model(dataset, experiments[0].model, options.design.name)
        print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}")
        for changes, experiment in zip(options.variations, experiments, strict=True):
            try:
                row = run_variation(experiment, dataset, options.folds, range(1, options.seeds + 1))
            except SpecError as error:  # it diverged, or weights are beyond the formats: a result like any other
                row = [str(error)]
            print(f"| {' | '.join([changes or 'as shipped', *row])} |", flush=True)
    except SpecError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
