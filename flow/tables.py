"""Tables of results for people: readable from 80 columns on, numbers and verdicts never cut, plain in a pipe."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

MIN_WIDTH = 80
"""Narrower terminals wrap the lines themselves, which loses nothing."""
PIPE_WIDTH = 100


def table_console(console: Console | None = None) -> Console:
    """Where to print tables: the terminal as wide as it is, but never too narrow; a pipe without colours."""
    console = console or Console()
    if not console.is_terminal:
        return Console(file=console.file, width=PIPE_WIDTH, no_color=True)
    console.width = max(MIN_WIDTH, console.width)
    return console


def new_table(name: str, **columns: str) -> Table:
    """An empty table without its title; the first column, `name`, is the only one that may break its lines.

    columns: heading -> "left" or "right", numbers being right.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(name, overflow="fold")
    for heading, justify in columns.items():
        table.add_column(heading, justify=justify, no_wrap=True)
    return table


def print_titled(console: Console, title: str, table: Table) -> None:
    """A table under its title; a title of the table itself would be broken to the table's width."""
    console.print(Text(f"\n{title}", style="bold"))
    console.print(table)


def verdict(passed: bool | None) -> Text:
    """PASS, FAIL, or nothing where there is nothing to judge.

    >>> str(verdict(True)), str(verdict(None))
    ('PASS', '')
    """
    if passed is None:
        return Text("")
    return Text("PASS", style="bold green") if passed else Text("FAIL", style="bold red")
