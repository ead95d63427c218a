"""Waveforms that ngspice wrote, and what is read off them."""

import re
from pathlib import Path

import numpy as np

Waves = dict[str, np.ndarray]
"""Of one analysis: `time`, `v(net)`, `i(source)`."""


def load_raw(path: Path) -> Waves:
    """Vectors of a binary raw file by name (`time`, `v(x)`, `i(v1)`)."""
    head, _, body = path.read_bytes().partition(b"Binary:\n")
    text = head.decode()
    n_variables = int(re.search(r"No\. Variables: (\d+)", text)[1])
    n_points = int(re.search(r"No\. Points: (\d+)", text)[1])
    names = [line.split()[1] for line in text.split("Variables:\n")[1].strip().splitlines()]
    values = np.frombuffer(body, np.float64, n_variables * n_points).reshape(n_points, n_variables)
    return {name: values[:, k] for k, name in enumerate(names)}


def crossing(time: np.ndarray, value: np.ndarray, level: float, rising: bool, start: float = -np.inf) -> float:
    """When a wave first crosses a level after `start`, by a straight line between points; NaN when it does not."""
    beyond = value >= level if rising else value <= level
    for k in np.flatnonzero(beyond[1:] & ~beyond[:-1] & (time[1:] >= start)):
        at = float(time[k] + (level - value[k]) * (time[k + 1] - time[k]) / (value[k + 1] - value[k]))
        if at >= start:
            return at
    return float("nan")


def charge(time: np.ndarray, current: np.ndarray, start: float, end: float) -> float:
    """The integral of a current from start to end, both between points if need be."""
    inside = (time > start) & (time < end)
    grid = np.concatenate([[start], time[inside], [end]])
    return float(np.trapezoid(np.interp(grid, time, current), grid))
