"""The official design rules on a finished layout: feol, beol, offgrid and zero area; drc.json lists markers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.signoff.drc import count_zero_areas, run_rules
from flow.step import Step, Work, run_step_once, sources_sha256
from golden.spec import SpecError

STEP, RESULT = "drc", "drc.json"
SOURCES = ("flow/signoff/drc.py", "flow/pdk/drc.py", "flow/steps/drc.py")
REQUIRED = ("klayout__drc_error__count", "klayout__drc_rule__count", "design__zero_area__count")
N_SHOWN = 8


def run_drc(layout: Path, pdk: Pdk, folder: Path) -> Metrics:
    """Checks <top>.gds beside <top>.def (`layout`), in folder/drc; SpecError, with rules and places, on any marker."""
    step = Step(STEP, run=partial(check_rules, layout.stem), tools=("klayout",), required_metrics=REQUIRED)
    config = {"pdk": pdk.config.name, "top": layout.stem, "sources_sha256": sources_sha256(SOURCES)}
    inputs = [layout.with_suffix(".gds"), pdk.deck("drc"), pdk.deck("zero_area")]
    return run_step_once(step, folder / STEP, config=config, inputs=inputs)


def check_rules(top: str, work: Work) -> dict[str, Value]:
    """Runs the decks in the step's folder."""
    gds, deck, zero_area_deck = work.inputs
    n_zero_areas = count_zero_areas(work, zero_area_deck, gds, top)
    report = run_rules(work, deck, gds, top)
    (work.folder / RESULT).write_bytes(msgspec.json.format(msgspec.json.encode(report.markers), indent=2) + b"\n")
    lines = report.lines + ([f"zero area: {n_zero_areas} shapes"] if n_zero_areas else [])
    if lines:
        raise SpecError("\n".join([
            f"the layout must have no design rule marker, and {len(lines)} rules have some ({work.folder / RESULT}; "
            "the .lyrdb files beside it open in KLayout's marker browser):",
            *(f"  {line}" for line in lines[:N_SHOWN])]))
    return {"klayout__drc_error__count": sum(report.counts.values()), "klayout__drc_rule__count": report.n_rules,
            "design__zero_area__count": n_zero_areas}
