"""Speed of the integer model, beside PyTorch's nn.LSTM where torch is installed."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from golden.cells import forward_int
from golden.random_model import random_input, random_quantized_model
from golden.spec import CellSpec, ModelSpec, QuantSpec

N_WARM_UP = 10
"""First runs of each that are not counted: they compile and fill caches."""


def benchmark_forward_int(
    n_steps: int = 29, input_size: int = 12, hidden_size: int = 32, batch: int = 64, n_runs: int = 300
) -> dict[str, Any]:
    """Time steps of one sequence a second: forward_int of an LSTM, and torch.nn.LSTM in float32 (None without torch).

    Both on one thread, in turns in the same run, medians over `n_runs`; `golden_vs_torch` is the ratio.
    The defaults are the network and the longest sequences of JapaneseVowels.
    """
    rng = np.random.default_rng(1)
    model = ModelSpec(input_size, (CellSpec("lstm", hidden_size),))
    qmodel = random_quantized_model(model, QuantSpec(), rng)
    x = random_input(model, n_steps, batch, rng)
    runs: dict[str, Callable[[], Any]] = {"golden": lambda: forward_int(qmodel, x)}
    torch_run = _torch_run(x, hidden_size)
    if torch_run is not None:
        runs["torch"] = torch_run
    with threadpool_limits(1):
        seconds = _median_seconds(runs, n_runs)
    rates = {name: n_steps * batch / seconds[name] if name in seconds else None for name in ("golden", "torch")}
    return {
        "golden_steps_per_s": rates["golden"],
        "torch_steps_per_s": rates["torch"],
        "golden_vs_torch": None if rates["torch"] is None else rates["golden"] / rates["torch"],
        "n_steps": n_steps,
        "batch": batch,
        "input_size": input_size,
        "hidden_size": hidden_size,
    }


def _torch_run(x: np.ndarray, hidden_size: int) -> Callable[[], Any] | None:
    """One forward pass of nn.LSTM over x on one thread, or None without torch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    lstm = torch.nn.LSTM(x.shape[2], hidden_size)
    x_torch = torch.from_numpy(x / np.float32(128)).float()

    def run() -> Any:
        with torch.no_grad():
            return lstm(x_torch)

    return run


def _median_seconds(runs: dict[str, Callable[[], Any]], n_runs: int) -> dict[str, float]:
    """Median seconds of each run; they take turns, so that what else the machine does hits both alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(N_WARM_UP + n_runs):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if k >= N_WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
