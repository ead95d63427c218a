"""Running ngspice: decks in, measurements out; what was measured once is not simulated again.

A job is a deck and what to measure from its waveforms. Its key is the hash of the deck's text and of the sources of the
measuring function's module and of flow.characterise.waves; the measurements, a small JSON, are stored under it. A
killed run therefore goes on where it was, and the order in which jobs end changes nothing.
"""

import hashlib
import inspect
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from flow.characterise import waves
from flow.characterise.store import write_whole
from flow.characterise.waves import Waves, load_raw
from flow.tool import ToolError, find_tool, tool_version

CELL_TIME_LIMIT_S = 600.0
OPTIONS = "reltol=1e-3 trtol=1 chgtol=1e-17"
SPICEINIT = "set num_threads=1\nset ngbehavior=hsa\n"


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
        for module in (inspect.getmodule(self.measure), waves):
            digest.update(inspect.getsource(module).encode())
        digest.update(SPICEINIT.encode())
        digest.update(msgspec.json.encode([self.measure.__name__, self.settings], order="sorted"))
        digest.update(tool_version("ngspice").encode())
        return digest.hexdigest()[:32]


@dataclass
class Simulator:
    """Runs jobs and keeps measurements in `store`; callers that have two cores use two processes.

    time_limit_s: of one job. n_run: how many were simulated and not found in the store.
    """

    store: Path
    time_limit_s: float = CELL_TIME_LIMIT_S
    n_run: int = field(default=0, init=False)

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """The measurements of the jobs, in their order. ToolError with ngspice's last words when one fails."""
        return [self.measure(job) for job in jobs]

    def measure(self, job: Job) -> Any:
        result = self.load(job)
        if result is None:
            result = run_job(job, self.time_limit_s)
            write_whole(self.path(job), result)
            self.n_run += 1
        return result

    def path(self, job: Job) -> Path:
        return self.store / job.key[:2] / f"{job.key}.json"

    def load(self, job: Job) -> Any:
        try:
            return msgspec.json.decode(self.path(job).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return None


def run_job(job: Job, time_limit_s: float) -> Any:
    """Simulates in a folder of its own, which is removed, and measures. ToolError after the time limit."""
    folder = Path(tempfile.mkdtemp(prefix="stillwater-ngspice-"))
    try:
        (folder / "deck.sp").write_text(job.deck)
        (folder / ".spiceinit").write_text(SPICEINIT)
        done = subprocess.run([find_tool("ngspice"), "-b", "deck.sp"], cwd=folder, capture_output=True, text=True,
                              errors="replace", timeout=time_limit_s, stdin=subprocess.DEVNULL,
                              env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(folder)})
        n_waves = job.deck.count("\nwrite ")
        missing = [n for n in range(n_waves) if not (folder / f"{n}.raw").is_file()]
        if missing:
            last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-20:])
            raise ToolError(f"ngspice wrote no {missing[0]}.raw for {job.name}; the last lines of its output:\n{last}")
        return job.measure([load_raw(folder / f"{n}.raw") for n in range(n_waves)], job.settings)
    except subprocess.TimeoutExpired:
        raise ToolError(f"ngspice must be done with {job.name} in {time_limit_s:g} s, and is not; run it again when "
                        "the machine has less other work") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
