"""What repair works with: a timer, places, and whom it tells; and what a run of it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from flow.physical.design import Design
from flow.physical.technology import Technology
from flow.place.engine import Desk, improve_cells, place_cells
from flow.place.spec import PlaceSpec
from flow.repair.bench import Kit
from flow.repair.detours import Outlook
from flow.repair.spec import RepairSpec
from flow.timing.analyse import Timer
from flow.timing.engine import clock_nets
from flow.timing.reports import TimingReport


@dataclass(frozen=True)
class Demands:
    """Of one run: ns, pF limits as shares."""

    goal: float
    max_slew: float
    load_share: float
    rounds: int


def demands(kit: Kit, spec: RepairSpec) -> Demands:
    return Demands(spec.goal_share * kit.timer.spec.clock_period_ns, kit.slew_limit(spec.slew_share), spec.load_share,
                   spec.rounds)


@dataclass(frozen=True)
class Workshop:
    """Timing, places, and whom to tell."""

    timer: Timer
    technology: Technology
    place: PlaceSpec
    desk: Desk
    folder: Path
    tell: Callable[[str], None]

    def judge(self, design: Design, corners: Iterable[str], name: str, *, propagated: bool,
              detours: Mapping[str, float] | None = None) -> dict[str, TimingReport]:
        """OpenSTA's report of a design with estimated wires, in a folder of its own; an ideal clock's edges, which
        nothing drives yet, are left out.

        detours: net -> length over that of its tree.
        """
        folder, corners = self.folder / name, tuple(corners)
        folder.mkdir(parents=True, exist_ok=True)
        spefs = self.timer.write_estimates(design, self.timer.trees(design, propagated, detours), folder, corners)
        reports = self.timer.time(design.netlist, spefs, folder, self.desk.log, propagated=propagated, corners=corners)
        for path in spefs.values():
            path.unlink()                                  # large, and made again by the same call
        if propagated:
            return reports
        clock = {"/".join(pin) for net in self.clock_nets(design) for pin in design.netlist.nets[net]}
        return {corner: replace(report, slews=tuple(found for found in report.slews if found.pin not in clock))
                for corner, report in reports.items()}

    def clock_nets(self, design: Design) -> list[str]:
        return clock_nets(design.netlist, self.timer.library(self.timer.corners[0]), self.timer.spec.clock_port)

    def detours(self, design: Design, *, propagated: bool) -> dict[str, float]:
        """Net -> length over that of its tree, of nets that the router will lead around full places."""
        without = () if propagated else self.clock_nets(design)
        return self._outlook.detours(design, self.timer.trees(design, propagated), without)

    @cached_property
    def _outlook(self) -> Outlook:
        return Outlook(self.timer.cells, self.technology)

    def net_slacks(self, design: Design, corner: str, name: str) -> dict[str, float]:
        """Net -> setup slack at its driver, ns, by OpenSTA with estimated wires and an ideal clock."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        [spef] = self.timer.write_estimates(design, self.timer.trees(design, propagated=False), folder,
                                            [corner]).values()
        found = self.timer.net_slacks(design.netlist, spef, folder, corner, propagated=False)
        spef.unlink()
        clock = set(self.clock_nets(design))               # behind clock gates: nothing drives them well yet
        return {net: slack for net, slack in found.items() if net not in clock}

    def placed(self, design: Design, weights: Mapping[str, float]) -> Design:
        """The design with all standard cells placed anew. weights: net -> how much its length counts."""
        places = place_cells(design.placement, design.netlist, self.timer.cells, self.technology, self.place, self.desk,
                             weights)
        return replace(design, placement=places)

    def legal(self, design: Design) -> Design:
        """The design with all standard cells on sites of rows, near where they were."""
        places = improve_cells(design.placement, design.netlist, self.timer.cells, self.technology, self.place,
                               self.desk)
        return replace(design, placement=places)
