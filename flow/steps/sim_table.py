"""The table of `doit sim`: is it right, and what does it cost in cycles."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flow.metrics import Metrics

SIMULATORS = {"pyrtl": "PyRTL", "verilator": "Verilator", "icarus": "Icarus"}
LANE_CYCLES = {  # key: heading
    "useful": "useful",
    "idle_lanes": "idle",
    "fill": "fill",
    "recurrence": "recur.",
    "update": "update",
    "host": "host",
    "drain": "drain",
}
MAX_LOSS_POINTS = 0.5  # of accuracy, float to integer
WIDTH = 100


def print_table(results: Sequence[Metrics], console: Console | None = None, failed: str | None = None) -> None:
    """Print what the simulations of one or several designs found; colours on a terminal only.

    failed: a design whose simulation has just failed; it is shown without figures.
    """
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDTH, no_color=True)
    console.print(_right(results, failed))
    console.print(_cycles(results))
    for metrics in results:
        loss = 100 * (metrics["accuracy__float__fraction"] - metrics["accuracy__int__fraction"])
        if loss > MAX_LOSS_POINTS:
            name = metrics["design__name"]
            console.print(f"{name}: the integers lose {loss:.2f} points of accuracy, more than {MAX_LOSS_POINTS}: "
                          f"try fine-tuning (train.qat_epochs)", style="yellow")


def is_exact(metrics: Metrics) -> bool:
    """Whether every simulator compared something and found no difference."""
    compared = [metrics[f"sim__compared__count__simulator:{kind}"] for kind in SIMULATORS]
    different = [metrics[f"sim__mismatch__count__simulator:{kind}"] for kind in SIMULATORS]
    return min(compared) > 0 and max(different) == 0


def _right(results: Sequence[Metrics], failed: str | None) -> Table:
    table = _table("Is it right? Accuracy, and values of h, c and y equal to golden bit for bit")
    for heading in ("test set", "float %", "integer % (95 % interval)", *SIMULATORS.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for metrics in results:
        keys = ("float__fraction", "int__fraction", "int__low", "int__high")
        percent = {key: 100 * metrics[f"accuracy__{key}"] for key in keys}
        verdict = Text("PASS", style="bold green") if is_exact(metrics) else Text("FAIL", style="bold red")
        table.add_row(
            str(metrics["design__name"]),
            f"{metrics['accuracy__int__sequence__count']:,}",
            f"{percent['float__fraction']:.2f}",
            f"{percent['int__fraction']:.2f} ({percent['int__low']:.1f} .. {percent['int__high']:.1f})",
            *(f"{metrics[f'sim__compared__count__simulator:{kind}']:,}" for kind in SIMULATORS),
            verdict,
        )
    if failed is not None:
        table.add_row(failed, *[""] * 6, Text("FAIL", style="bold red"))
    return table


def _cycles(results: Sequence[Metrics]) -> Table:
    table = _table("What does it cost? Where the lanes' cycles go, in %, measured = formula; simulated k cycles/s")
    for heading in ("MACs", "cyc/step", *LANE_CYCLES.values(), "PyRTL/Veril./Icarus"):
        table.add_column(heading, justify="right", no_wrap=True, style="bold" if heading == "useful" else None)
    for metrics in results:
        shares = {key: metrics[f"lane_cycles__{key}"] for key in LANE_CYCLES}
        total = sum(shares.values())
        table.add_row(
            str(metrics["design__name"]),
            f"{metrics['design__lane__count']}x{metrics['design__stream__count']}",
            f"{metrics['cycles__per_step']:.1f}",
            *(f"{100 * share / total:.1f}" for share in shares.values()),
            "/".join(_thousands(metrics[f"sim__speed__cycles_per_s__simulator:{kind}"]) for kind in SIMULATORS),
        )
    return table


def _table(title: str) -> Table:
    """An empty table with its first column, the design."""
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold",
                  padding=(0, 1, 0, 0))
    table.add_column("design", no_wrap=True)
    return table


def _thousands(value: float) -> str:
    return f"{value / 1000:,.1f}" if value < 1e4 else f"{value / 1000:,.0f}"
