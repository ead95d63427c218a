"""The same network on this machine's CPU: golden's float model in numpy, and PyTorch where it is installed.

Seconds differ from run to run, so they are measured once and kept; `./stillwater forget report` does not remove them,
`./stillwater clean report` does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata, util
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from flow.metrics import Metrics, Value
from flow.step import Step, Work, run_step_once, sources_sha256
from golden.cells import forward_float
from golden.dataset import Dataset, load_dataset
from golden.weights import load_weights
from reports.torch_network import torch_network
from rtl.config import DesignConfig

STEP = "cpu"
SOURCES = ("reports/steps/cpu.py", "reports/torch_network.py")
BATCHES = {"one": 1, "all": None}
"""One sequence at a time, as an edge device has it, and the whole test set at once."""
N_RUNS, N_SEQUENCES = 7, 32


def run_cpu(design: DesignConfig, file: Path, folder: Path) -> Metrics:
    """Into folder/cpu, unless it was measured already on this kind of CPU with these versions."""
    step = Step(STEP, run=partial(measure, design), required_metrics=("cpu__steps_per_s__with:numpy__batch:all",))
    versions = {name: metadata.version(name) for name in ("numpy", "torch") if util.find_spec(name)}
    config = {"design": design.name, "cpu": cpu_name(), "versions": versions, "runs": N_RUNS,
              "sources_sha256": sources_sha256(SOURCES)}
    return run_step_once(step, folder / STEP, config=config, inputs=[file, design.weights_path])


def cpu_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """What the kernel calls the processor, "unknown" where it does not say."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def measure(design: DesignConfig, work: Work) -> dict[str, Value]:
    """Steps a second, one thread, median of N_RUNS runs after a first that is not counted."""
    weights = load_weights(design.weights_path, design.model, design.quant, design.reference)
    data = load_dataset(design.data, f"{design.file_name}: data")
    networks: dict[str, Callable[[np.ndarray, np.ndarray], object]] = {
        "numpy": lambda x, lengths: forward_float(design.model, weights.params, x, lengths)}
    torch = torch_network(design.model, weights.params)
    if torch is not None:
        networks["torch"] = torch
    values: dict[str, Value] = {"cpu__name": work.config["cpu"], "cpu__thread__count": 1, "cpu__run__count": N_RUNS}
    with threadpool_limits(1):
        for name, network in networks.items():
            for batch, size in BATCHES.items():
                seconds, n_steps = time_network(network, data, size)
                values[f"cpu__steps_per_s__with:{name}__batch:{batch}"] = n_steps / seconds
    return values


def time_network(network: Callable[[np.ndarray, np.ndarray], object], data: Dataset,
                 batch: int | None) -> tuple[float, int]:
    """(median seconds, steps that count) of the test set at once, or of its first sequences in batches."""
    n = data.x_test.shape[1] if batch is None else min(N_SEQUENCES, data.x_test.shape[1])
    size = batch or n
    parts = []
    for begin in range(0, n, size):
        lengths = data.lengths_test[begin:begin + size]
        parts.append((data.x_test[:lengths.max(), begin:begin + size], lengths))
    seconds = []
    for _ in range(N_RUNS + 1):
        start = time.perf_counter()
        for x, lengths in parts:
            network(x, lengths)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]), int(sum(lengths.sum() for _, lengths in parts))
