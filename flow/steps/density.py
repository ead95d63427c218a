"""Densities of a finished layout: the precheck's deck, and the tech LEF's windows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import klayout.db as kdb

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.physical.def_read import load_def
from flow.physical.technology import TECH_LEF, load_technology
from flow.signoff.density import Density, measure_density, parse_window_rules, run_density_deck
from flow.signoff.extract import METALS
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.steps import gds
from golden.spec import SpecError

STEP = "density"
SOURCES = (*gds.SOURCES, "flow/signoff/density.py", "flow/signoff/extract.py", "flow/steps/density.py")
REQUIRED = ("density__error__count", *(f"density__{metal}" for metal in METALS))
SAME = 0.002
"""The deck counts pin purposes beside the masks, which are drawn on them: both shares must agree to this."""


def run_density(layout: Path, pdk: Pdk, folder: Path) -> Metrics:
    """Measures <top>.gds beside <top>.def (`layout`), in folder/density; SpecError when a limit is passed."""
    step = Step(STEP, run=partial(check_density, pdk), tools=("klayout",), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "sources_sha256": sources_sha256(SOURCES, ("klayout",))}
    inputs = [layout, layout.with_suffix(".gds"), pdk.deck("density"), pdk.view(TECH_LEF)]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def check_density(pdk: Pdk, work: Work) -> dict[str, Value]:
    """Runs the deck and measures the windows in the step's folder."""
    layout_def, layout_gds, deck, tech_lef = work.inputs
    placement = load_def(layout_def, load_technology(pdk)).placement
    rules = parse_window_rules(tech_lef.read_text(encoding="utf-8"), str(tech_lef))
    rule = next(iter(rules.values()))
    layout = kdb.Layout()
    layout.read(str(layout_gds))
    top = layout.cell(placement.top)
    if top is None:
        raise SpecError(f"cell {placement.top} must be in {layout_gds}")
    found = measure_density(layout, top, pdk.config, placement.die, rule.window_um, rule.step_um)
    clear, broken = run_density_deck(work.folder, deck, layout_gds, placement.top)
    check_agreement(found, clear)
    lines = [f"{name}: {deck.name} finds too little clear area" for name in broken]
    lines += [f"{metal}: a window of {limit.window_um:g} um is covered to {found[metal].most:.1%}, "
              f"{limit.largest:.0%} allowed" for metal, limit in rules.items() if found[metal].most > limit.largest]
    if lines:
        raise SpecError("\n".join([f"the layout must keep the density limits, and does not ({work.folder}):",
                                   *(f"  {line}" for line in lines)]))
    values: dict[str, Value] = {"density__error__count": len(lines)}
    for name, density in found.items():
        values[f"density__{name}"] = round(density.whole, 5)
        values[f"density__{name}__window__min"] = round(density.least, 5)
        values[f"density__{name}__window__max"] = round(density.most, 5)
    return values


def check_agreement(found: dict[str, Density], clear: dict[str, float]) -> None:
    """SpecError where this project's areas and the deck's differ."""
    for metal, share in clear.items():
        if abs(found[metal].whole - (1 - share)) > SAME:
            raise SpecError(f"{metal} must be measured alike twice, not {found[metal].whole:.4f} here and "
                            f"{1 - share:.4f} in the official deck: is the outline the die?")
