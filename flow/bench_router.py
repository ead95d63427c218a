"""Speed of the router on arrays of multiply-accumulators of about 2, 5, 10 and 20 thousand nets, and how it grows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from flow.bench import Figure
from flow.floorplan.plan import build_floorplan
from flow.floorplan.spec import FloorplanSpec
from flow.pdk.tree import Pdk
from flow.physical.abstract import Cells, load_cells
from flow.physical.design import Placement
from flow.physical.netlist import Netlist
from flow.physical.technology import Technology, load_technology
from flow.physical.verilog import load_netlist
from flow.place.engine import Desk, place_cells, place_pins
from flow.place.spec import PlaceSpec
from flow.route.check import find_faults
from flow.route.router import route_design
from flow.step import Work
from flow.steps.synthesis import DesignSources, map_design
from flow.synthesis.library import load_library
from flow.synthesis.script import NETLIST
from flow.synthesis.spec import SynthesisSpec, why_not
from golden.spec import SpecError

LANES = (5, 11, 22, 44)
"""Multiply-accumulators in the arrays that are measured."""

TARGETS_S = {11: 60.0, 44: 360.0}
"""CPU seconds that arrays of about 5 and 20 thousand nets may take (issue 4)."""

MOST_GROWTH, MOST_DETOUR = 1.3, 1.15
"""The power of the net count that CPU seconds may grow with; wire over the sum of the half perimeters."""

MOST_PINS = 40
"""Nets with more pins are left out: clock and clear, which other steps make trees of."""

TOP = "mac_array"
RTL = """
module {top} (clk, clear, load, x_in, w_in, y_out);
  input clk, clear, load;
  input signed [7:0] x_in, w_in;
  output signed [23:0] y_out;
  reg signed [7:0] x [0:{last}], w [0:{last}];
  reg signed [15:0] product [0:{last}];
  reg signed [23:0] sum [0:{last}], y [0:{last}];
  integer i;
  always @(posedge clk)
    for (i = 0; i <= {last}; i = i + 1) begin
      x[i] <= i ? x[i - 1] : x_in;
      if (load) w[i] <= i ? w[i - 1] : w_in;
      product[i] <= x[i] * w[i];
      sum[i] <= clear ? 24'd0 : sum[i] + product[i];
      y[i] <= clear ? sum[i] : i ? y[i - 1] : 24'd0;
    end
  assign y_out = y[{last}];
endmodule
"""


@dataclass(frozen=True)
class RouterSpeed:
    """A routed array; cpu_s: of the whole run, from the placed design to the checked routes."""

    n_lanes: int
    n_nets: int
    cpu_s: float
    rounds: int
    wirelength_um: float
    detour: float

    @property
    def nets_a_second(self) -> float:
        return self.n_nets / self.cpu_s


def run_router_bench(pdk: Pdk, folder: Path, lanes: Sequence[int] = LANES) -> list[Figure]:
    """The figures of all arrays, which are made in `folder`; SpecError when one does not come out clean."""
    def tell(speed: RouterSpeed) -> None:
        Console(highlight=False).print(f"{speed.n_nets:,} nets routed in {speed.cpu_s:.1f} s of CPU, {speed.rounds} "
                                       "rounds")

    return router_figures(measure_router(pdk, folder, lanes, tell))


def router_figures(speeds: Sequence[RouterSpeed]) -> list[Figure]:
    """What each array took and came to, and how the time grows."""
    note = f"arrays of 8 x 8 bit multiply-accumulators, without nets of more than {MOST_PINS} pins; CPU seconds from " \
           "the placed design to checked routes, antennas repaired"
    figures = []
    for speed in speeds:
        name = f"router, {speed.n_nets:,} nets"
        figures += [Figure(name, speed.cpu_s, "s", TARGETS_S.get(speed.n_lanes), True, note),
                    Figure(f"{name}, speed", speed.nets_a_second, "nets/s"),
                    Figure(f"{name}, wire / half perimeters", speed.detour, "x", MOST_DETOUR, True)]
    return [*figures, Figure("router, growth of the time", growth(speeds), "power", MOST_GROWTH, True)]


def measure_router(pdk: Pdk, folder: Path, lanes: Sequence[int] = LANES,
                   tell: Callable[[RouterSpeed], None] = lambda speed: None) -> list[RouterSpeed]:
    """Builds and routes an array of each size in `folder`; SpecError when one does not come out clean.

    The smallest is routed once more before, so that no time is of compiling.
    """
    cells, technology = load_cells(pdk), load_technology(pdk)
    arrays = [place_array(number, pdk, cells, technology, folder / f"{TOP}_{number}") for number in lanes]
    route_design(*arrays[0], cells, technology, TOP)
    speeds = []
    for number, (placement, netlist) in zip(lanes, arrays, strict=True):
        start = time.process_time()
        routed = route_design(placement, netlist, cells, technology, TOP)
        faults = find_faults(routed.placement, routed.netlist, routed.routes, cells, technology)
        if faults:
            raise SpecError(f"an array must come out clean, and {number} lanes have {len(faults)} faults: {faults[0]}")
        report = routed.report
        speeds.append(RouterSpeed(number, report.n_nets, time.process_time() - start, report.rounds,
                                  report.wirelength_um, report.detour))
        tell(speeds[-1])
    return speeds


def growth(speeds: Sequence[RouterSpeed]) -> float:
    """The power of the net count that CPU time grows with, by least squares.

    >>> round(growth([RouterSpeed(n, n, n ** 1.5, 1, 0.0, 1.0) for n in (10, 20, 50)]), 3)
    1.5
    """
    nets, seconds = zip(*((speed.n_nets, speed.cpu_s) for speed in speeds), strict=True)
    return float(np.polyfit(np.log(nets), np.log(seconds), 1)[0])


def place_array(n_lanes: int, pdk: Pdk, cells: Cells, technology: Technology,
                folder: Path) -> tuple[Placement, Netlist]:
    """An array, synthesised and placed, without nets of more than MOST_PINS."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{TOP}.v").write_text(RTL.format(top=TOP, last=n_lanes - 1), encoding="utf-8")
    spec = SynthesisSpec(clock_period_ns=20.0)
    liberty = pdk.liberty(spec.corner)
    library = load_library(liberty, partial(why_not, spec=spec, pdk=pdk.config))
    work = Work(folder, None, ())
    map_design(spec, library, liberty, TOP, DesignSources((f"{TOP}.v",), (), ()), work)
    netlist = load_netlist(folder / NETLIST, TOP, cells)
    plan, place, desk = FloorplanSpec(), PlaceSpec(), Desk(work.log)
    placement = place_pins(build_floorplan(netlist, cells, technology, plan), netlist, cells, technology, place, desk)
    placement = place_cells(placement, netlist, cells, technology, place, desk)
    nets = {name: pins for name, pins in netlist.nets.items() if len(pins) <= MOST_PINS}
    return placement, Netlist(netlist.top, netlist.ports, netlist.instances, nets)
