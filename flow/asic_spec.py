"""What a layout is asked for: the section `asic` of a design file, one part a stage, all with defaults."""

from __future__ import annotations

from flow.clock.spec import ClockSpec
from flow.floorplan.spec import FloorplanSpec
from flow.gates.spec import GateSimSpec
from flow.place.spec import PlaceSpec
from flow.power.spec import PowerSpec
from flow.repair.spec import HoldSpec, RepairSpec
from flow.route.spec import RouteSpec
from flow.synthesis.spec import SynthesisSpec
from flow.timing.spec import TimingSpec
from golden.spec import Spec, SpecError
from golden.spec_load import load_spec
from rtl.config import DesignConfig

CLOCKED = ("synthesis", "timing")
"""Parts that take the clock period, which is the design's."""


class AsicSpec(Spec, frozen=True, kw_only=True):
    """Demands of the stages; what is not given is the stage's default.

        asic:
          floorplan: {utilisation: 0.65}
          synthesis: {goal: area}
    """

    synthesis: SynthesisSpec
    timing: TimingSpec
    floorplan: FloorplanSpec = FloorplanSpec()
    place: PlaceSpec = PlaceSpec()
    repair: RepairSpec = RepairSpec()
    clock: ClockSpec = ClockSpec()
    hold: HoldSpec = HoldSpec()
    route: RouteSpec = RouteSpec()
    gatesim: GateSimSpec = GateSimSpec()
    power: PowerSpec = PowerSpec()


def load_asic_spec(design: DesignConfig) -> AsicSpec:
    """The demands of a design; SpecError names the field of the file that is wrong."""
    where = f"{design.file_name}: asic"
    mapping = dict(design.asic)
    for part in CLOCKED:
        fields = mapping.get(part, {})
        if isinstance(fields, dict):
            if "clock_period_ns" in fields:
                raise SpecError(f"clock_period_ns must stand once, at the top of the file, not here ({where}.{part})")
            mapping[part] = {**fields, "clock_period_ns": design.clock_period_ns}
    return load_spec(AsicSpec, mapping, where)
