"""The tables of `./stillwater sim`: is it right, what does it cost in cycles, how fast did the simulators run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from flow.metrics import Metrics
from flow.tables import new_table, print_titled, table_console, verdict

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
ACCURACY = ("test set", "float %", "integer % (95 % interval)")


def print_table(results: Sequence[Metrics], console: Console | None = None, failed: str | None = None) -> None:
    """Print what the simulations of one or several designs found; colours on a terminal only.

    failed: a design whose simulation has just failed; it is shown without figures.
    """
    console = table_console(console)
    print_titled(console, "Is it right? Values of h, c and y equal to golden bit for bit", _right(results, failed))
    print_titled(console, "How good is it? Accuracy on the test set", _accuracy(results))
    print_titled(console, "What does it cost? Where the lanes' cycles go, in %; measured = formula", _cycles(results))
    print_titled(console, "How fast was it simulated? 1,000 cycles a second", _speed(results))
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
    table = new_table("design", **{"": "left"}, **dict.fromkeys(SIMULATORS.values(), "right"))
    for metrics in results:
        counts = (f"{metrics[f'sim__compared__count__simulator:{kind}']:,}" for kind in SIMULATORS)
        table.add_row(str(metrics["design__name"]), verdict(is_exact(metrics)), *counts)
    if failed is not None:
        table.add_row(failed, verdict(False))
    return table


def _accuracy(results: Sequence[Metrics]) -> Table:
    table = new_table("design", **dict.fromkeys(ACCURACY, "right"))
    for metrics in results:
        keys = ("float__fraction", "int__fraction", "int__low", "int__high")
        percent = {key: 100 * metrics[f"accuracy__{key}"] for key in keys}
        table.add_row(
            str(metrics["design__name"]),
            f"{metrics['accuracy__int__sequence__count']:,}",
            f"{percent['float__fraction']:.2f}",
            f"{percent['int__fraction']:.2f} ({percent['int__low']:.1f} .. {percent['int__high']:.1f})",
        )
    return table


def _cycles(results: Sequence[Metrics]) -> Table:
    table = new_table("design", **dict.fromkeys(("MACs", "cyc/step", *LANE_CYCLES.values()), "right"))
    table.columns[3].style = "bold"  # useful
    for metrics in results:
        shares = {key: metrics[f"lane_cycles__{key}"] for key in LANE_CYCLES}
        total = sum(shares.values())
        table.add_row(
            str(metrics["design__name"]),
            f"{metrics['design__lane__count']}x{metrics['design__stream__count']}",
            f"{metrics['cycles__per_step']:.1f}",
            *(f"{100 * share / total:.1f}" for share in shares.values()),
        )
    return table


def _speed(results: Sequence[Metrics]) -> Table:
    table = new_table("design", **dict.fromkeys(SIMULATORS.values(), "right"))
    for metrics in results:
        speeds = (_thousands(metrics[f"sim__speed__cycles_per_s__simulator:{kind}"]) for kind in SIMULATORS)
        table.add_row(str(metrics["design__name"]), *speeds)
    return table


def _thousands(value: float) -> str:
    return f"{value / 1000:,.1f}" if value < 1e4 else f"{value / 1000:,.0f}"
