"""Plots as inline SVG: matplotlib draws, and what it draws takes the page's colours and font.

A plot is drawn in colours that stand for CSS variables (INK, MUTED, GRID, SERIES), which are put in afterwards, so it
is right in light and dark. Text stays text. The same numbers give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK, MUTED, GRID, PAPER = "#010101", "#010102", "#010103", "#010104"
SERIES = ("#010201", "#010202", "#010203", "#010204")
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper",
             **{colour: f"--series{number}" for number, colour in enumerate(SERIES, 1)}}
WIDTH_IN, HEIGHT_IN = 4.2, 2.7
STYLE = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.facecolor": "none", "figure.facecolor": "none",
    "savefig.facecolor": "none", "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "legend.frameon": False,
    "legend.fontsize": 8.5, "path.simplify": False, "axes.formatter.useoffset": False,
    "text.parse_math": False, "axes.unicode_minus": True,
}


def plot(name: str, title: str, draw: Callable[[Axes], None], width_in: float = WIDTH_IN,
         height_in: float = HEIGHT_IN) -> str:
    """An SVG element for a page. name: unique on it, of letters, digits, dots and dashes. title: what it shows, which
    also stands above it."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        canvas = Canvas(figsize=(width_in, height_in), layout="constrained")
        axes = canvas.add_subplot()
        draw(axes)
        out = io.BytesIO()
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return inline(out.getvalue().decode(), name, title)


def inline(svg: str, name: str, title: str) -> str:
    """The <svg> element alone, with ids of its own, CSS variables for colours, the page's font and a title."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"[^A-Za-z0-9]", "-", name)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'(xlink:href="|href="|url\()#', rf"\1#{prefix}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px; font-family: inherit", svg)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    head = (f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
            'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">')
    return re.sub(r"<svg[^>]*>", lambda _: f"{head}<title>{escape(title)}</title>", svg, count=1).strip()


def text_of(value: float) -> str:
    """A number at a bar, three digits that count.

    >>> text_of(0.0873), text_of(1234.5), text_of(12.507), text_of(0), text_of(6.76e-5)
    ('0.0873', '1,234', '12.5', '0', '0.0000676')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def plain_logarithm(axis: Axis, fine: bool = True) -> None:
    """Powers of ten as 1,000 and not as a raised 3; fine: 2 and 5 as well where there are few."""
    low, high = sorted(axis.get_view_interval())
    if fine and high < 200 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text_of(value)))
    axis.set_minor_formatter(NullFormatter())


def bars(labels: Sequence[str], values: Sequence[float], x_label: str,
         colours: Sequence[str] | str = SERIES[0], logarithmic: bool = False) -> Callable[[Axes], None]:
    """Horizontal bars from the top down, each with its value."""
    def draw(axes: Axes) -> None:
        at = np.arange(len(labels))
        if logarithmic:
            axes.set_xscale("log")
        axes.barh(at, values, color=colours, height=0.68)
        axes.set_yticks(at, labels)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(x_label)
        axes.tick_params(axis="y", length=0)
        for y, value in zip(at, values, strict=True):
            axes.annotate(text_of(value), (value, y), (3, 0), textcoords="offset points", va="center", fontsize=8.5)
        low, high = min(values), max(values)
        if logarithmic:
            axes.set_xlim(low / 3, high * 6)
            plain_logarithm(axes.xaxis, fine=False)
        else:
            axes.set_xlim(0, 1.16 * high if high > 0 else 1)
    return draw


def histogram(edges: Sequence[float], groups: Mapping[str, Sequence[float]], x_label: str, y_label: str,
              zero: bool = False, logarithmic: bool = False) -> Callable[[Axes], None]:
    """Steps, one colour a group; zero: a line at 0."""
    def draw(axes: Axes) -> None:
        for (name, counts), colour in zip(groups.items(), SERIES, strict=False):
            axes.stairs(counts, edges, color=colour, fill=len(groups) == 1, linewidth=1.3, label=name)
        if logarithmic:
            axes.set_yscale("log")
            axes.set_ylim(0.7, 2 * max(max(counts) for counts in groups.values()))
            plain_logarithm(axes.yaxis)
        if zero:
            axes.axvline(0, color=INK, linewidth=0.9)
        if len(groups) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(-0.12, 1.0), ncols=3, handlelength=1.2, columnspacing=0.9,
                        borderaxespad=0.2)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return draw


def heatmap(names: Sequence[str], rows: Sequence[Sequence[int]], x_label: str, y_label: str) -> Callable[[Axes], None]:
    """Counts in squares: the darker, the larger their share of the row."""
    def draw(axes: Axes) -> None:
        for y, row in enumerate(rows):
            total = sum(row) or 1
            for x, count in enumerate(row):
                colour = SERIES[0] if x == y else SERIES[1]
                if count:
                    share = count / total
                    axes.add_patch(matplotlib.patches.Rectangle((x - 0.5, y - 0.5), 1, 1, color=colour,
                                                                alpha=0.15 + 0.6 * share, linewidth=0))
                    axes.text(x, y, f"{count}", ha="center", va="center", fontsize=8.5)
        axes.set_aspect("equal")
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xticks(range(len(names)), [shorten(name) for name in names])
        axes.set_yticks(range(len(names)), [shorten(name) for name in names])
        axes.grid(visible=False)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return draw


def shorten(name: str, most: int = 9) -> str:
    """A class name that fits at an axis.

    >>> shorten("badminton"), shorten("standing still")
    ('badminton', 'standing…')
    """
    return name if len(name) <= most else name[: most - 1] + "…"


def line(x: Sequence[float], y: Sequence[float], x_label: str, y_label: str,
         level: tuple[float, str] | None = None) -> Callable[[Axes], None]:
    """A line with its points named; level: a horizontal line with what it is."""
    def draw(axes: Axes) -> None:
        axes.plot(x, y, color=SERIES[0], marker="o", markersize=4.5, linewidth=1.3)
        for at, value in zip(x, y, strict=True):
            axes.annotate(f"{value:.2f}", (at, value), (0, 6), textcoords="offset points", ha="center", fontsize=8.5)
        values = [*y, *([level[0]] if level else [])]
        spread = max(max(values) - min(values), 0.5)
        if level:
            axes.axhline(level[0], color=SERIES[1], linewidth=1.1, linestyle="--", label=level[1])
            axes.legend(loc="lower right")
        axes.margins(x=0.1)
        axes.set_ylim(min(values) - 0.75 * spread, max(values) + 0.35 * spread)
        axes.set_xticks(list(x))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return draw


def scatter(points: Sequence[tuple[str, float, float]], x_label: str, y_label: str,
            logarithmic: bool = True) -> Callable[[Axes], None]:
    """Points with their names."""
    def draw(axes: Axes) -> None:
        if logarithmic:
            axes.set_xscale("log")
            axes.set_yscale("log")
        axes.plot([x for _, x, _ in points], [y for _, _, y in points], "o", color=SERIES[0], markersize=6)
        for name, x, y in points:
            axes.annotate(name, (x, y), (6, 5), textcoords="offset points", fontsize=9)
        axes.margins(0.25)
        if logarithmic:
            plain_logarithm(axes.xaxis)
            plain_logarithm(axes.yaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return draw
