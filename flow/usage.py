"""CPU seconds of one piece of work beside others: those of its thread, of the programs that it runs, of its threads.

A process knows only the sum of all that it does, so a stage that runs beside another is metered where its time is
spent: `flow.tool.run_tool` adds what the kernel says of a program that has ended, `metered` what a thread has used.
Processes of a pool (characterisation) are not in it.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class CpuMeter:
    """Seconds in user and system mode."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        with self._lock:
            self.seconds += seconds


_METER: ContextVar[CpuMeter | None] = ContextVar("cpu_meter", default=None)


@contextmanager
def cpu_meter() -> Iterator[CpuMeter]:
    """Meters the block; the meter's `seconds` are whole when it has ended."""
    meter = CpuMeter()
    with _metering(meter):
        yield meter


def metered(work: Callable) -> Callable:
    """The work, for another thread, on the meter of this one."""
    meter = _METER.get()

    def run(*args: Any) -> Any:
        with _metering(meter):
            return work(*args)
    return run


@contextmanager
def _metering(meter: CpuMeter | None) -> Iterator[None]:
    token, start = _METER.set(meter), time.thread_time()
    try:
        yield
    finally:
        _METER.reset(token)
        if meter is not None:
            meter.add(time.thread_time() - start)


def wait_for(process: subprocess.Popen) -> int:
    """Waits for a program's end; its status. What it and its own programs have used goes to the meter."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    meter = _METER.get()
    if meter is not None:
        meter.add(used.ru_utime + used.ru_stime)
    return process.returncode
