"""A small tree of results, made by hand, that a report can be made of: every step's metrics.json, with round values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from PIL import Image

from flow.metrics import Metrics, write_metrics
from reports.collect import Tree

DESIGN, PDK = "toy", "sky130"
CORNERS = {"tt_025C_1v80": "tt", "ss_100C_1v60": "ss", "ff_n40C_1v95": "ff"}
SIMULATORS = ("pyrtl", "verilator", "icarus")
GROUPS = ("clock_network", "sequential", "combinational", "sram")

SIM = {
    "accuracy__float__fraction": 0.98, "accuracy__int__fraction": 0.978, "accuracy__int__low": 0.95,
    "accuracy__int__high": 0.99, "accuracy__int__sequence__count": 200, "cycles__per_step": 400.0,
    "cycles__per_stream_step": 400.0, "cycles__total": 80_000, "mac__utilization": 0.75, "design__lane__count": 16,
    "design__stream__count": 1, "lane_cycles__useful": 960_000, "lane_cycles__idle_lanes": 64_000,
    "lane_cycles__fill": 128_000, "lane_cycles__recurrence": 64_000, "lane_cycles__update": 32_000,
    "lane_cycles__host": 0, "lane_cycles__drain": 32_000,
    **{f"sim__compared__count__simulator:{name}": 5000 for name in SIMULATORS},
    **{f"sim__mismatch__count__simulator:{name}": 0 for name in SIMULATORS},
}
STA = {
    "clock__period": 20.0, "clock__period__shortest": 12.5, "clock__skew__worst": 0.25, "timing__setup__ws": 7.5,
    "timing__hold__ws": 0.125, "timing__setup_vio__count": 0, "timing__hold_vio__count": 0,
    "design__max_slew_violation__count": 0, "design__max_cap_violation__count": 0,
    **{f"{key}__corner:{corner}": value for corner in CORNERS for key, value in (
        ("timing__setup__ws", 7.5), ("timing__hold__ws", 0.125), ("clock__period__shortest", 12.5),
        ("clock__skew__worst", 0.25), ("clock__latency__max", 2.0))},
}
POWER = {
    "power__total": 0.02, "power__internal__total": 0.015, "power__switching__total": 0.004,
    "power__leakage__total": 0.001, "power__total__window:load": 0.01, "power__clock_period_ns": 20.0,
    "energy__step_pj": 160_000.0, "energy__load_pj": 500_000.0, "energy__inference_pj": 1_600_000.0,
    "power__opensta__internal__ratio": 1.001, **{f"power__group:{group}": 0.005 for group in GROUPS},
}
AREAS = {f"design__instance__area__{name}": 20_000.0 for name in (
    "part:memory", "part:MAC_lanes", "part:update", "part:states", "part:control", "part:host", "part:clock",
    "part:rest", "module:core.mac", "module:bank_0", "class:flip-flops", "class:other_gates", "group:sequential")}
STEPS: dict[str, dict[str, int | float | str]] = {
    "sim": SIM, "sta": STA, "power": POWER, "modules": AREAS,
    "synthesis": {"design__instance__area__stdcell": 150_000.0},
    "equivalence": {"synthesis__equivalence__register__count": 3000},
    "floorplan": {"design__die__area": 500_000.0, "design__core__area": 480_000.0,
                  "design__instance__area__macros": 240_000.0, "design__instance__count__macros": 2},
    "place": {"design__instance__utilization__stdcell": 0.7}, "repair": {"design__buffer__count": 100},
    "clock": {"clock__sink__count": 3000, "clock__buffer__count": 300, "clock__level__count": 5},
    "hold": {"design__hold_buffer__count": 10},
    "route": {"route__wirelength": 400_000.0, "route__wirelength__detour": 1.125, "route__vias": 90_000,
              "route__net": 15_000},
    "wires": {"route__drc_errors": 0, "route__net": 15_000},
    "gds": {"design__instance__count__fill": 900},
    "gatesim": {"gatesim__compared__count": 4000, "gatesim__mismatch__count": 0},
    "drc": {"klayout__drc_error__count": 0},
    "extract": {"extract__wire__capacitance__total__corner:nom": 100_000.0,
                "extract__wirelength__layer:met1": 150_000.0, "extract__wirelength__layer:met2": 250_000.0},
    "lvs": {"design__lvs__device__count": 200_000, "design__lvs__instance__count": 20_000,
            "design__lvs_error__count": 0},
    "antenna": {"antenna__violating__nets": 0}, "density": {"density__error__count": 0},
    "accuracy": {"accuracy__int__fraction": 0.975, "accuracy__float__fraction": 0.98, "error__rms__at:h0": 0.75,
                 "error__max__at:h0": 12.5, "saturation__count__at:h0": 7, "saturation__of__count__at:h0": 7000,
                 "saturation__count__at:x": 3, "saturation__of__count__at:x": 2400,
                 "accuracy__int__fraction__weight_bits:4": 0.95, "accuracy__int__fraction__weight_bits:8": 0.975},
    "slacks": {"timing__path__count": 2},
    "cpu": {"cpu__name": "a processor", "cpu__steps_per_s__with:numpy__batch:one": 50_000.0,
            "cpu__steps_per_s__with:numpy__batch:all": 400_000.0},
}
EDGES = [0.0, 0.5, 1.0]
FILES = {
    ("power", "power.json"): {"windows": {"inference": {"modules": {
        "core.mac": {"sequential": {"n": 5, "internal": 0.008, "switching": 0.001, "leakage": 0.001}},
        "bank_0": {"sram": {"n": 1, "internal": 0.009, "switching": 0.001, "leakage": 0.0}}}}}},
    ("slacks", "slacks.json"): {
        **{check: {"edges": EDGES, "counts": {corner: [3, 4] for corner in CORNERS}}
           for check in ("setup", "hold", "latency")},
        "paths": [{"check": check, "corner": "ss_100C_1v60", "from": "core.acc[3]", "to": "core.h[1]/D",
                   "slack_ns": 0.125, "arrival_ns": 5.5, "cells": ["dfxtp_1", "buf_2", "buf_2"]}
                  for check in ("setup", "hold")]},
    ("accuracy", "accuracy.json"): {
        "class_names": ["yes", "no"], "n_steps": 2400, "confusion_float": [[98, 2], [2, 98]],
        "confusion_int": [[97, 3], [2, 98]],
        "errors": {"h0": {"label": "h of layer 1", "edges": EDGES, "counts": [10, 20], "beyond": 0}}},
    ("modules", "macros.json"): {"die_um": [500.0, 1000.0], "macros": [
        {"name": "bank_0__macro", "cell": "flexmem_512x32", "left": 0.1, "top": 0.1, "width": 0.5, "height": 0.2}]},
}


def write_tree(root: Path, design: str = DESIGN, without: tuple[str, ...] = (), **changed: dict) -> Tree:
    """The tree under root/build. without: steps that are not there; changed: step -> metrics that are other or, None,
    missing."""
    tree = Tree(design, PDK, root / "build", root=root)
    for step, values in STEPS.items():
        if step in without:
            continue
        folder = tree.folders[step]
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "input.txt"
        source.write_text(f"what {step} reads\n")
        kept = {key: value for key, value in {**values, **changed.get(step, {})}.items() if value is not None}
        write_metrics(folder / "metrics.json", Metrics(
            step=step, config_sha256="a" * 64, tools={"tool": "1.2"}, values=kept,
            inputs={tree.name(source): hashlib.sha256(source.read_bytes()).hexdigest()}))
    for (step, name), content in FILES.items():
        if step not in without:
            (tree.folders[step] / name).write_text(json.dumps(content))
    if "modules" not in without:
        Image.new("P", (20, 40), 3).save(tree.folders["modules"] / "modules.png")
    tree.read()
    return tree
