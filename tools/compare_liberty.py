"""Prints how far a characterised Liberty is from a reference: one row a cell. For development, not part of the product.

    python tools/compare_liberty.py build/characterise/tt_025C_1v80.lib REFERENCE.lib.gz [--markdown]

Ours is interpolated (as a timer does) to the reference's slews and loads. Delay and transition errors are relative to
the reference, 20 ps at least; the core of a table are its slews 2 to 5 and loads 2 to 6. Energy: error of a whole
cycle (rise and fall, the load's C V^2 included) in the core; hidden energy is not compared. Where ours depends on the
other inputs and the reference holds one number, the nearest of ours counts. Constraints: in ps, ours less the
reference's, so below zero is optimistic.

Two rows at the end are over all cells, and over those of one output. Of two outputs the reference's energy goes below
zero without load and rises with it, ours is the same at every load (docs/characterise.md).

Targets, for all cells together and to tell which single ones miss: delay and transition 5 % in the mean and 10 % at
p95, pin capacitance 5 %, internal energy and leakage 15 %, setup, hold, recovery and removal at most 20 ps optimistic.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flow.characterise.liberty_read import Group, load_liberty

SMALLEST_NS = 0.02
CORE = (slice(1, 5), slice(1, 6))
DELAYS, SLEWS = ("cell_rise", "cell_fall"), ("rise_transition", "fall_transition")


def interpolate(ours: Group, like: Group) -> np.ndarray:
    """Our table at the points of another, bilinear, the outer cells extended."""
    values = ours.values()
    if not len(ours.index("index_2")):
        return np.interp(like.index("index_1"), ours.index("index_1"), values.ravel()).reshape(like.values().shape)
    for axis, name in ((0, "index_1"), (1, "index_2")):
        x, at = ours.index(name), like.index(name)
        if len(x) < 2:
            continue
        k = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
        part = (at - x[k]) / (x[k + 1] - x[k])
        low, high = np.take(values, k, axis), np.take(values, k + 1, axis)
        shape = [-1 if a == axis else 1 for a in range(2)]
        values = low + (high - low) * part.reshape(shape)
    return values


def timing_of(pin: Group) -> dict[tuple, Group]:
    """Timing groups without a `when` by related pin, type and sense."""
    return {(t.attributes["related_pin"], t.attributes.get("timing_type", "combinational"),
             t.attributes.get("timing_sense", "")): t for t in pin.all("timing") if "when" not in t.attributes}


def compare_cell(ours: Group, reference: Group, voltage: float) -> dict[str, list]:
    """All errors of one cell by kind."""
    errors = defaultdict(list)
    for pin in reference.all("pin"):
        if pin.attributes["direction"] == "internal":
            continue
        mine = ours.find("pin", pin.arguments[0])
        if mine is None:
            errors["missing"].append(f"pin {pin.arguments[0]}")
            continue
        for edge in ("rise", "fall"):
            name = f"{edge}_capacitance"
            if name in pin.attributes and pin.attributes["direction"] == "input":
                errors["capacitance"].append(float(mine.attributes[name]) / float(pin.attributes[name]) - 1)
        arcs = timing_of(mine)
        for key, timing in timing_of(pin).items():
            match = arcs.get(key) or next((t for k, t in arcs.items() if k[:2] == key[:2]), None)
            if match is None:
                errors["missing"].append(f"{pin.arguments[0]} {' '.join(key)}")
                continue
            compare_timing(key, timing, match, errors)
        compare_power(pin, mine, voltage, errors)
    for key in ("cell_leakage_power",):
        if float(reference.attributes.get(key, 0)) > 0 and key in ours.attributes:
            errors["leakage"].append(float(ours.attributes[key]) / float(reference.attributes[key]) - 1)
    return errors


def has_one_output(cell: Group) -> bool:
    return sum(pin.attributes["direction"] == "output" for pin in cell.all("pin")) == 1


def compare_timing(key: tuple, reference: Group, ours: Group, errors: dict) -> None:
    for table in reference.groups:
        match = ours.find(table.kind)
        if match is None:
            errors["missing"].append(f"{' '.join(key)} {table.kind}")
        elif table.kind in DELAYS + SLEWS:
            at = interpolate(match, table)
            error = (at - table.values()) / np.maximum(np.abs(table.values()), SMALLEST_NS)
            errors["delay" if table.kind in DELAYS else "slew"] += list(error[CORE].ravel())
            errors[f"delay {table.kind[5:]}" if table.kind in DELAYS else "slew each"] += list(error[CORE].ravel())
        elif table.kind.endswith("constraint"):
            kind = "pulse" if key[1] == "min_pulse_width" else key[1].partition("_")[0]
            errors[kind] += list(((interpolate(match, table) - table.values()) * 1000).ravel())


def compare_power(reference: Group, ours: Group, voltage: float, errors: dict) -> None:
    for group in reference.all("internal_power"):
        related = group.attributes.get("related_pin")
        tables = [group.find(f"{edge}_power") for edge in ("rise", "fall")]
        matches = [g for g in ours.all("internal_power") if g.attributes.get("related_pin") == related]
        if related is None or not matches or any(table is None or not len(table.index("index_2")) for table in tables):
            continue
        theirs = sum(table.values() for table in tables)
        cycles = [sum(interpolate(match.find(table.kind), table) for table in tables) for match in matches]
        own = min(cycles, key=lambda cycle: float(np.abs(cycle - theirs)[CORE].sum()))
        load = tables[0].index("index_2")
        error = (own - theirs) / np.maximum(theirs + load[None, :] * voltage**2, 1e-4)
        errors["energy"] += list(error[CORE].ravel())
        errors["internal"] += list(((own - theirs) / np.maximum(np.abs(theirs), 1e-3))[CORE].ravel())


COLUMNS = ("cell", "delay, mean and p95", "bias of rise, fall", "transition, mean and p95", "pin C, bias",
           "energy of a cycle, bias", "internal energy, mean", "leakage, bias", "constraints, ours less reference")
TARGETS = {"delay": (0.05, 0.10), "slew": (0.05, 0.10), "capacitance": (0.05, None), "internal": (0.15, None),
           "leakage": (0.15, None)}
"""Kind of error -> largest mean of its size, largest p95. Constraints: see OPTIMISTIC_PS."""

OPTIMISTIC_PS = 20
CONSTRAINTS = ("setup", "hold", "recovery", "removal", "pulse")


def columns(name: str, errors: dict) -> list[str]:
    """One cell's errors in the order of COLUMNS; % but for the constraints."""
    def pair(kind: str) -> str:
        e = np.abs(np.array(errors[kind])) * 100
        return f"{e.mean():.1f}, {np.percentile(e, 95):.1f}" if len(e) else ""

    def bias(*kinds: str) -> str:
        return ", ".join(f"{np.mean(errors[kind]) * 100:+.1f}" for kind in kinds if errors[kind])

    internal = f"{np.mean(np.abs(errors['internal'])) * 100:.1f}" if errors["internal"] else ""
    limits = [f"{kind} {np.min(errors[kind]):+.0f} to {np.max(errors[kind]):+.0f} ps" for kind in CONSTRAINTS
              if errors[kind]]
    missing = [f"missing: {', '.join(errors['missing'])}"] if errors["missing"] else []
    return [name, pair("delay"), bias("delay rise", "delay fall"), pair("slew"), bias("capacitance"), bias("energy"),
            internal, bias("leakage"), "; ".join(limits + missing)]


def misses(errors: dict) -> list[str]:
    """Which targets a cell does not meet."""
    found = []
    for kind, (mean, p95) in TARGETS.items():
        e = np.abs(np.array(errors[kind]))
        if len(e) and (e.mean() > mean or (p95 is not None and np.percentile(e, 95) > p95)):
            found.append({"slew": "transition", "internal": "internal energy"}.get(kind, kind))
    return found + [kind for kind in CONSTRAINTS[:-1] if errors[kind] and np.min(errors[kind]) < -OPTIMISTIC_PS]


def print_table(rows: list[list[str]], markdown: bool) -> None:
    rows = [list(COLUMNS), *rows]
    widths = [0 if markdown else max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    for k, cells in enumerate(rows):
        line = " | ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True))
        print(f"| {line} |" if markdown else line.rstrip())
        if k == 0 and markdown:
            print("|" + "---|" * len(COLUMNS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--markdown", action="store_true", help="as a table for the documentation")
    arguments = parser.parse_args()
    ours = load_liberty(arguments.ours)
    names = [cell.arguments[0] for cell in ours.all("cell")]
    reference = load_liberty(arguments.reference, set(names))
    voltage = float(ours.attributes["nom_voltage"])
    rows, absent, beyond = [], [], defaultdict(list)
    totals = {"all cells": defaultdict(list), "cells of one output": defaultdict(list)}
    for name in names:
        cell = reference.find("cell", name)
        if cell is None:
            absent.append(name.partition("__")[2])
            continue
        errors = compare_cell(ours.find("cell", name), cell, voltage)
        rows.append(columns(name.partition("__")[2], errors))
        for kind in misses(errors):
            beyond[kind].append(name.partition("__")[2])
        for total in totals.values() if has_one_output(cell) else [totals["all cells"]]:
            for kind, found in errors.items():
                total[kind] += found if kind != "missing" else []
    print_table([*rows, *(columns(name, total) for name, total in totals.items())], arguments.markdown)
    for kind, cells in beyond.items():
        print(f"\nbeyond the target of {kind}: {', '.join(cells)}")
    print(f"\nnot in the reference: {', '.join(absent) or 'none'}")


if __name__ == "__main__":
    main()
