"""Running ngspice: decks in, waveforms out, many at a time; what was measured once is not simulated again.

A job is a deck and what to measure from its waveforms. Its key is the hash of the deck's text, of the source of the
measuring function's module and of this one; the measurements, a small JSON, are stored under it. A killed run
therefore goes on where it was, and the order in which jobs end changes nothing.
"""

import hashlib
import inspect
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flow.tool import ToolError, find_tool, tool_version

TIME_LIMIT_S = 600
OPTIONS = "reltol=1e-3 trtol=1 chgtol=1e-17"
SPICEINIT = "set num_threads=1\nset ngbehavior=hsa\n"

Waves = dict[str, np.ndarray]


@dataclass(frozen=True)
class Job:
    """One ngspice run.

    deck:     the netlist and a .control section whose analyses each end with `write <n>.raw`, n = 0, 1, ...
    measure:  function of a module: (waves of every analysis, settings) -> anything that JSON holds.
    settings: what measure needs to know, JSON too.
    """

    name: str
    deck: str
    measure: Callable[[list[Waves], Any], Any]
    settings: Any = field(default=None)

    @property
    def key(self) -> str:
        digest = hashlib.sha256(self.deck.encode())
        for module in (inspect.getmodule(self.measure), inspect.getmodule(Job)):
            digest.update(inspect.getsource(module).encode())
        digest.update(msgspec.json.encode([self.measure.__name__, self.settings], order="sorted"))
        digest.update(tool_version("ngspice").encode())
        return digest.hexdigest()[:32]


@dataclass
class Simulator:
    """Runs jobs with up to `n_parallel` processes and keeps measurements in `store`.

    on_done(number of jobs done, number of all jobs so far) is called after each; n_run counts what was simulated.
    """

    store: Path
    n_parallel: int = 1
    on_done: Callable[[int, int], None] | None = None
    n_run: int = 0

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """The measurements of the jobs, in their order. ToolError with ngspice's last words when one fails."""
        results: list[Any] = [self.load(job) for job in jobs]
        missing = [k for k, result in enumerate(results) if result is None]
        done = len(jobs) - len(missing)
        with ThreadPoolExecutor(self.n_parallel) as pool:
            futures = {pool.submit(run_job, jobs[k]): k for k in missing}
            try:
                for future in as_completed(futures):
                    k = futures[future]
                    results[k] = future.result()
                    self.save(jobs[k], results[k])
                    self.n_run += 1
                    done += 1
                    if self.on_done is not None:
                        self.on_done(done, len(jobs))
            except BaseException:
                for future in futures:
                    future.cancel()
                raise
        return results

    def path(self, job: Job) -> Path:
        return self.store / job.key[:2] / f"{job.key}.json"

    def load(self, job: Job) -> Any:
        try:
            return msgspec.json.decode(self.path(job).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def save(self, job: Job, result: Any) -> None:
        path = self.path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(msgspec.json.encode(result))
        os.replace(part, path)


def run_job(job: Job) -> Any:
    """Simulates in a folder of its own, which is removed, and measures."""
    folder = Path(tempfile.mkdtemp(prefix="stillwater-ngspice-"))
    try:
        (folder / "deck.sp").write_text(job.deck)
        (folder / ".spiceinit").write_text(SPICEINIT)
        done = subprocess.run([find_tool("ngspice"), "-b", "deck.sp"], cwd=folder, capture_output=True, text=True,
                              errors="replace", timeout=TIME_LIMIT_S, stdin=subprocess.DEVNULL,
                              env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(folder)})
        n_waves = job.deck.count("\nwrite ")
        missing = [n for n in range(n_waves) if not (folder / f"{n}.raw").is_file()]
        if missing:
            last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-20:])
            raise ToolError(f"ngspice wrote no {missing[0]}.raw for {job.name}; the last lines of its output:\n{last}")
        return job.measure([load_raw(folder / f"{n}.raw") for n in range(n_waves)], job.settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
