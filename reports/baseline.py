"""Committed expectations of a design: reports/baselines/<design>.json, one file a design.

`./stillwater baseline` writes what the last run gave; `./stillwater report` shows how far the next one is from it, and
fails where a figure is worse by more than its tolerance, is missing, or a gate that was passed is not any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from flow.physical.netlist import shortened
from golden.spec import SpecError
from reports.schema import Ppa, Record, write_whole

FORMAT = "stillwater baseline 1"
FOLDER = Path(__file__).parent / "baselines"
Better = Literal["lower", "higher"]
State = Literal["same", "within", "better", "worse", "missing"]

WATCHED: tuple[tuple[str, Better, float], ...] = (
    ("accuracy.float", "higher", 0.001), ("accuracy.int", "higher", 0.001), ("cycles.utilisation", "higher", 0.001),
    ("headline.area", "lower", 0.01), ("area.synthesis", "lower", 0.01), ("headline.clock", "higher", 0.03),
    ("headline.power", "lower", 0.03), ("headline.latency", "lower", 0.001), ("headline.energy", "lower", 0.03),
    ("wire.total", "lower", 0.03), ("clock.skew", "lower", 0.25), ("context.gops_w", "higher", 0.03),
)
"""Figures, which way is better, and the part of the value that it may be worse by."""


class Expected(Record, frozen=True):
    """A figure's value; tolerance: the part of it that it may be worse by."""

    value: float
    unit: str
    better: Better
    tolerance: float


class Baseline(Record, frozen=True):
    """checks: gates that were passed. tools: versions that the values were measured with."""

    format: str
    design: str
    tools: dict[str, str]
    checks: list[str]
    figures: dict[str, Expected]


class Difference(Record, frozen=True):
    """A figure or gate beside its expectation. change: part of the expected value, above 0 when larger."""

    key: str
    label: str
    unit: str
    value: float | None
    expected: float | None
    change: float | None
    tolerance: float | None
    state: State
    why: str = ""


def baseline_path(design: str, folder: Path = FOLDER) -> Path:
    return folder / f"{design}.json"


def check_whole(ppa: Ppa) -> None:
    """SpecError unless every figure is there, every gate passed, and all of it is of today's files."""
    stale = [name for name, step in ppa.steps.items() if step.stale]
    if stale:
        raise SpecError(f"a baseline must be of results that belong together, and of {ppa.design} these are out of "
                        f"date: {', '.join(stale)}; run ./stillwater asic design={ppa.design} first")
    missing = [key for key, _, _ in WATCHED if ppa.figures[key].value is None]
    missing += [key for key, check in ppa.checks.items() if check.passed is not True]
    if missing:
        raise SpecError(f"a baseline must have every figure and every gate passed, and of {ppa.design} these are not: "
                        f"{shortened(missing)}; run ./stillwater asic design={ppa.design} first")


def write_baseline(ppa: Ppa, path: Path) -> Baseline:
    """Takes a report's figures as expectations; tolerances of a file that is there stay as they are.

    SpecError where something is missing: what is expected must have been measured.
    """
    check_whole(ppa)
    kept = load_baseline(path)
    old = {} if kept is None else kept.figures
    figures = {key: Expected(value=float(ppa.figures[key].value), unit=ppa.figures[key].unit, better=better,
                             tolerance=old[key].tolerance if key in old else tolerance)
               for key, better, tolerance in WATCHED}
    baseline = Baseline(format=FORMAT, design=ppa.design, tools=ppa.tools, checks=sorted(ppa.checks), figures=figures)
    write_whole(path, msgspec.json.format(msgspec.json.encode(baseline, order="sorted"), indent=2) + b"\n")
    return baseline


def load_baseline(path: Path) -> Baseline | None:
    """None where there is no file; SpecError where it is not one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise SpecError(f"{error} ({path}); write it anew with ./stillwater baseline design={path.stem}") from None


def compare(ppa: Ppa, baseline: Baseline) -> list[Difference]:
    """Every expectation with what came of it."""
    found = [_figure(ppa, key, expected) for key, expected in baseline.figures.items()]
    return found + [_check(ppa, key) for key in baseline.checks if key not in ppa.checks
                    or ppa.checks[key].passed is not True]


def _figure(ppa: Ppa, key: str, expected: Expected) -> Difference:
    figure = ppa.figures.get(key)
    label = figure.label if figure else key
    common = {"key": key, "label": label, "unit": expected.unit, "expected": expected.value,
              "tolerance": expected.tolerance}
    if figure is None or figure.value is None:
        return Difference(**common, value=None, change=None, state="missing",
                          why=figure.missing if figure else "this version has no such figure")
    value = float(figure.value)
    change = (value - expected.value) / abs(expected.value) if expected.value else float(value != 0)
    worse = change if expected.better == "lower" else -change
    state: State = "same" if change == 0 else "worse" if worse > expected.tolerance \
        else "better" if worse < -expected.tolerance else "within"
    return Difference(**common, value=value, change=change, state=state)


def _check(ppa: Ppa, key: str) -> Difference:
    check = ppa.checks.get(key)
    why = "this version has no such gate" if check is None else check.missing or f"found {check.found}"
    return Difference(key=key, label=check.label if check else key, unit="", value=None, expected=None, change=None,
                      tolerance=None, state="missing" if check is None or check.passed is None else "worse", why=why)


def changed_tools(ppa: Ppa, baseline: Baseline) -> list[str]:
    """Tools with another version than the baseline's, in words."""
    names = sorted(set(ppa.tools) | set(baseline.tools))
    return [f"{name} {ppa.tools.get(name, 'not used')} (baseline: {baseline.tools.get(name, 'not used')})"
            for name in names if ppa.tools.get(name) != baseline.tools.get(name)]


def failures(differences: list[Difference]) -> list[str]:
    """What is beyond tolerance, in words."""
    said = []
    for difference in differences:
        if difference.state == "missing":
            said.append(f"{difference.label} is missing ({difference.why})")
        elif difference.state == "worse" and difference.change is None:
            said.append(f"{difference.label}: no longer passed ({difference.why})")
        elif difference.state == "worse":
            said.append(f"{difference.label} must be within {difference.tolerance:.1%} of {difference.expected:.5g} "
                        f"{difference.unit}, and is {difference.value:.5g} ({difference.change:+.1%})")
    return said
