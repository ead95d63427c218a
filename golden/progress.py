"""Progress of a long loop: a bar on a terminal, a few plain lines elsewhere (logs, pipes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

N_PLAIN_LINES = 5


@contextmanager
def epoch_progress(
    title: str | None, n_epochs: int, console: Console | None = None
) -> Iterator[Callable[[int, float], None]]:
    """Gives report(epoch, loss), to be called after each of n_epochs epochs, from 0.

    Without a title nothing is shown.
    """""
    if title is None:
        yield lambda epoch, loss: None
        return
    console = console or Console()
    if not console.is_terminal:
        marks = {round(n_epochs * k / N_PLAIN_LINES) - 1 for k in range(1, N_PLAIN_LINES + 1)}

        def report_line(epoch: int, loss: float) -> None:
            if epoch in marks:
                console.print(f"{title}: epoch {epoch + 1} of {n_epochs}, loss {loss:.4f}", highlight=False)

        yield report_line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("epochs, loss {task.fields[loss]:.4f}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=n_epochs, loss=float("nan"))
        yield lambda epoch, loss: progress.update(task, completed=epoch + 1, loss=loss)
