"""The plots of a design's page, out of its ppa.json; a plot whose numbers are missing is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flow.power.groups import GROUPS
from reports.anchors import Anchor
from reports.charts import SERIES, bars, heatmap, histogram, line, plot, scatter
from reports.figures import CYCLE_LABELS
from reports.parts import PARTS, REST
from reports.schema import Ppa


@dataclass(frozen=True)
class Plot:
    """title: above it. svg: an element. caption: below it. keys: the figures or series that it shows."""

    title: str
    svg: str
    caption: str
    keys: tuple[str, ...]


def section_plots(ppa: Ppa, anchors: list[Anchor]) -> dict[str, list[Plot]]:
    """Section of the page -> its plots."""
    return {"where": [*areas_and_powers(ppa), *cycles(ppa), *slacks(ppa), *wires(ppa), *clocks(ppa)],
            "accuracy": [*confusions(ppa), *weight_bits(ppa), *errors(ppa)],
            "context": [*efficiency(ppa, anchors), *speed(ppa)]}


def of_keys(ppa: Ppa, keys: Mapping[str, str]) -> list[tuple[str, str, float]]:
    """(key, name, value) of the figures that are there; keys: key -> name."""
    return [(key, name, float(ppa.figures[key].value)) for key, name in keys.items()
            if key in ppa.figures and ppa.figures[key].value is not None]


def bar_plot(name: str, title: str, rows: list[tuple[str, str, float]], unit: str, caption: str,
             colours=SERIES[0], logarithmic: bool = False) -> Iterator[Plot]:
    """One plot of bars, none without rows."""
    if rows:
        height = 0.9 + 0.235 * len(rows)
        draw = bars([row[1] for row in rows], [row[2] for row in rows], unit, colours, logarithmic)
        yield Plot(title, plot(name, title, draw, height_in=max(height, 1.7)), caption, tuple(row[0] for row in rows))


def areas_and_powers(ppa: Ppa) -> Iterator[Plot]:
    """By part, in the colours of the picture; by class of cell and group."""
    parts = (*PARTS, REST)
    colour = {part.name: "#{:02x}{:02x}{:02x}".format(*part.colour) for part in parts}
    for what, unit in (("area", "mm²"), ("power", "mW")):
        rows = of_keys(ppa, {f"{what}.part.{part.name.replace(' ', '_')}": part.name for part in parts})
        rows.sort(key=lambda row: -row[2])
        yield from bar_plot(f"{what}-part", f"{what.capitalize()} by part", rows, f"{what}, {unit}",
                            "Gates count for the register that they feed first."
                            if what == "area" else "At tt, 1.8 V, 25 °C, from the activity of real inference.",
                            [colour[row[1]] for row in rows])
    classes = {key: key.removeprefix("area.class.").replace("_", " ") for key in ppa.figures
               if key.startswith("area.class.")}
    rows = sorted(of_keys(ppa, classes), key=lambda row: -row[2])
    yield from bar_plot("area-class", "Area by class of cell", rows, "area, mm²", "Everything that is placed.")
    rows = of_keys(ppa, {f"power.group.{group}": group.replace("_", " ") for group in GROUPS})
    yield from bar_plot("power-group", "Power by group of cells", rows, "power, mW",
                        "Glitches are not in it: nets move once a cycle.")


def cycles(ppa: Ppa) -> Iterator[Plot]:
    rows = of_keys(ppa, {f"cycles.{key}": label for key, label in CYCLE_LABELS.items()})
    yield from bar_plot("cycles", "Lane-cycles by cause", rows, "share of lanes × cycles, %",
                        "Useful is MAC utilisation; counted by the block itself over the whole test set.")


def slacks(ppa: Ppa) -> Iterator[Plot]:
    for check in ("setup", "hold"):
        series = ppa.series.get(f"slack.{check}")
        if series:
            draw = histogram(series.x, series.groups, series.x_label, series.y_label, zero=True, logarithmic=True)
            title = f"{check.capitalize()} slack of every endpoint"
            yield Plot(title, plot(f"slack-{check}", title, draw), "Left of 0 is too late." if check == "setup" else
                       "Left of 0 is too early.", (f"slack.{check}",))


def wires(ppa: Ppa) -> Iterator[Plot]:
    layers = {key: key.removeprefix("wire.layer.") for key in ppa.figures if key.startswith("wire.layer.")}
    yield from bar_plot("wire-layer", "Wire by layer", of_keys(ppa, layers), "length, mm",
                        "Signals and clock, as extracted; supplies are not in it.")


def clocks(ppa: Ppa) -> Iterator[Plot]:
    series = ppa.series.get("clock.arrival")
    if series:
        draw = histogram(series.x, series.groups, series.x_label, series.y_label, logarithmic=True)
        title = "Arrival of the clock at registers"
        yield Plot(title, plot("clock-arrival", title, draw), "The width of a corner's hill is its skew.",
                   ("clock.arrival",))


def confusions(ppa: Ppa) -> Iterator[Plot]:
    series = ppa.series.get("confusion.int")
    if series:
        names = [str(name) for name in series.x]
        side = min(max(2.2, 0.9 + 0.32 * len(names)), 4.2)
        draw = heatmap(names, list(series.groups.values()), series.x_label, series.y_label)
        title = "Confusion of the integer network"
        yield Plot(title, plot("confusion-int", title, draw, height_in=side),
                   "Sequences of the test set; what the hardware says, bit for bit.", ("confusion.int",))


def weight_bits(ppa: Ppa) -> Iterator[Plot]:
    rows = of_keys(ppa, {key: key.rpartition(".")[2] for key in ppa.figures if key.startswith("accuracy.bits.")})
    exact = ppa.figures["accuracy.float"].value
    if rows:
        level = None if exact is None else (float(exact), "float")
        draw = line([int(row[1]) for row in rows], [row[2] for row in rows], "bits of a weight", "accuracy, %", level)
        title = "Weight bits and accuracy"
        yield Plot(title, plot("weight-bits", title, draw), "Quantised by calibration alone, without training again.",
                   tuple(row[0] for row in rows))


def errors(ppa: Ppa) -> Iterator[Plot]:
    for key, series in ppa.series.items():
        if key.startswith("error."):
            name = key.removeprefix("error.")
            draw = histogram(series.x, series.groups, series.x_label, series.y_label, logarithmic=True)
            title = f"Error of {series.label}"
            yield Plot(title, plot(key, title, draw), "Every step of the test set; the outermost bars hold what is "
                       "beyond (0.1 % at most).", (key, f"accuracy.rms.{name}", f"accuracy.max.{name}"))


def efficiency(ppa: Ppa, anchors: list[Anchor]) -> Iterator[Plot]:
    """Operations a watt, the design's own in another colour."""
    own = ppa.figures["context.gops_w"].value
    rows = [] if own is None else [("context.gops_w", f"{ppa.design} (130 nm)", float(own))]
    for anchor in anchors:
        for numbers, suffix in ((anchor.published, ""), (anchor.scaled, ", scaled to 130 nm")):
            if rows and numbers is not None and numbers.gops_w is not None:
                process = f" ({anchor.process.partition(',')[0]})" if not suffix else ""
                rows.append(("", f"{anchor.name}{process}{suffix}", numbers.gops_w))
    rows.sort(key=lambda row: -row[2])
    colours = [SERIES[1] if row[0] else SERIES[0] for row in rows]
    yield from bar_plot("gops-w", "Operations a watt", rows, "GOPS/W, logarithmic",
                        "As published in their own processes, but for what says scaled; sources in the table below.",
                        colours, logarithmic=True)


def speed(ppa: Ppa) -> Iterator[Plot]:
    """Steps a second beside this machine's CPU, and a GPU where given."""
    labels = {"context.steps_per_s": f"this chip, {ppa.figures['context.streams'].value} at a time"}
    words = {"one": "one at a time", "all": "all at once"}
    for key in ppa.figures:
        if key.startswith("context.cpu.") and key != "context.cpu.name":
            _, _, program, batch = key.split(".")
            labels[key] = f"CPU, {program}, {words[batch]}"
        elif key.startswith("context.gpu.") and key.endswith("steps_per_s"):
            labels[key] = ppa.figures[key].label.partition(" (")[0]
    rows = of_keys(ppa, labels)
    colours = [SERIES[1] if row[0] == "context.steps_per_s" else SERIES[0] for row in rows]
    yield from bar_plot("steps-per-s", "Time steps a second", rows, "steps/s, logarithmic",
                        "The chip at the clock that power is told at; one thread of this machine's CPU, "
                        "measured once and kept.", colours,
                        logarithmic=True)


ACROSS = (("area-energy", "Area and energy", "headline.area", "area of the die, mm²", "headline.energy",
           "energy of an inference, nJ"),
          ("power-gops", "Power and operations", "power.total", "power, mW", "context.gops", "useful GOPS"),
          ("area-accuracy", "Area and accuracy", "headline.area", "area of the die, mm²", "accuracy.int",
           "accuracy of the integers, %"))


def across(reports: list[Ppa]) -> Iterator[Plot]:
    """Scatter plots over designs; a design without one of the two figures is not in it, and the caption says so."""
    for name, title, x, x_label, y, y_label in ACROSS:
        points = [(ppa.design, float(ppa.figures[x].value), float(ppa.figures[y].value)) for ppa in reports
                  if ppa.figures[x].value is not None and ppa.figures[y].value is not None]
        absent = [ppa.design for ppa in reports if ppa.design not in {point[0] for point in points}]
        if points:
            draw = scatter(points, x_label, y_label, logarithmic=name != "area-accuracy")
            caption = f"Missing: {', '.join(absent)}." if absent else "Every design that was asked for."
            yield Plot(title, plot(name, title, draw), caption, (x, y))
