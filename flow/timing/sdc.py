"""The SDC of a design: its clock, its surroundings, its limits; nothing in it depends on a corner.

Every input but the clock has a latest and an earliest arrival, every output a required time, so that no path at the
edge of the design is unconstrained. Resets of the shipped designs are synchronous inputs like any other; a flip-flop
with an asynchronous pin gets recovery and removal checks from its Liberty without a word here.
"""

from __future__ import annotations

from flow.physical.netlist import Netlist, shortened
from flow.timing.spec import TimingSpec
from golden.spec import SpecError


def write_sdc(netlist: Netlist, library: str, load_pf: float, spec: TimingSpec, propagated: bool) -> str:
    """The text, the same for the same netlist and spec.

    library:    the prefix of the kit's cells (sky130_fd_sc_hd).
    load_pf:    at every output: see `TimingSpec.load_cell`.
    propagated: the clock's delays are those of its tree; False before there is one.
    SpecError when the clock is no input of the design, or the design has pins that go both ways.
    """
    port, period = spec.clock_port, spec.clock_period_ns
    if netlist.ports.get(port) != "input":
        inputs = [name for name, way in netlist.ports.items() if way == "input"]
        raise SpecError(f"clock_port must be an input of {netlist.top}, not {port!r}; it has "
                        f"{shortened(inputs)}")
    both = [name for name, way in netlist.ports.items() if way == "inout"]
    if both:
        raise SpecError(f"ports must be inputs or outputs, and {both[0]} of {netlist.top} is an inout")
    skew = 0.0 if propagated else spec.skew_ns
    wave = f"-period {period:g} -waveform {{0 {period * spec.high_share:g}}}"
    lines = [f"create_clock -name {port} {wave} [get_ports {{{port}}}]",
             f"set_clock_uncertainty -setup {spec.setup_uncertainty_ns + skew:g} [get_clocks {port}]",
             f"set_clock_uncertainty -hold {spec.hold_uncertainty_ns + skew:g} [get_clocks {port}]"]
    if propagated:
        lines += [f"set_propagated_clock [get_clocks {port}]",
                  f"set_driving_cell -lib_cell {library}__{spec.clock_driving_cell} -input_transition_rise "
                  f"{spec.clock_slew_ns:g} -input_transition_fall {spec.clock_slew_ns:g} [get_ports {{{port}}}]"]
    else:
        lines.append(f"set_clock_transition {spec.clock_slew_ns:g} [get_clocks {port}]")
    for name, way in netlist.ports.items():
        pin = f"[get_ports {{{name}}}]"
        if way == "input" and name != port:
            lines += [f"set_input_delay -max {period * spec.input_share:g} -clock {port} {pin}",
                      f"set_input_delay -min {period * spec.input_hold_share:g} -clock {port} {pin}",
                      f"set_driving_cell -lib_cell {library}__{spec.driving_cell} {pin}"]
        elif way == "output":
            lines += [f"set_output_delay -max {period * spec.output_share:g} -clock {port} {pin}",
                      f"set_output_delay -min 0 -clock {port} {pin}",
                      f"set_load {load_pf:.6g} {pin}"]
    lines.append(f"set_max_transition {spec.max_slew_ns:g} [current_design]")
    return "\n".join([*lines, ""])
