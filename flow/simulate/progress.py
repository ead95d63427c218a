"""Progress of the stages of a simulation: a bar on a terminal, a line a stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Report = Callable[[int, int], None]


@contextmanager
def stage_progress(title: str, n_beats: int, console: Console | None = None) -> Iterator[Report]:
    """Gives report(cycles, x beats taken), to be called now and then; n_beats of 0: a stage without a length.

    Off a terminal: one line when the stage begins, one with its time when it has ended.
    """
    console = console or Console()
    start = time.perf_counter()
    if not console.is_terminal:
        console.print(f"{title} ...", highlight=False)
        yield lambda cycles, beats: None
        console.print(f"{title}: {time.perf_counter() - start:.1f} s", highlight=False)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=n_beats or None, speed="")

        def report(cycles: int, beats: int) -> None:
            speed = cycles / max(1e-9, time.perf_counter() - start)
            progress.update(task, completed=beats, speed=f"{cycles:,} cycles, {speed / 1000:,.0f} k/s")

        yield report
