"""What characterising gives, of an inverter with round numbers, for tests that need no simulator."""

import msgspec

from flow.characterise.corner import SLEWS_NS
from flow.characterise.result import CellResult, Leakage, Pin, PowerArc, Table, TimingArc

LOADS_PF = (0.001, 0.002)


def table(scale: float = 1.0) -> Table:
    return Table(SLEWS_NS, LOADS_PF, tuple((0.1 * scale * (1 + s), 0.2 * scale * (1 + s)) for s in SLEWS_NS))


def result(corner: str = "tt_025C_1v80", scale: float = 1.0, **changes) -> CellResult:
    """Transitions from the fastest input are 0.1 and 0.2 ns, times the scale."""
    tables = {name: table(scale) for name in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")}
    cell = CellResult(
        "inv_1", corner, 3.7536,
        (Pin("A", "input", rise_capacitance_pf=0.002, fall_capacitance_pf=0.003), Pin("Y", "output", "!A", 0.002)),
        (TimingArc("Y", "A", "combinational", "negative_unate", tables),),
        (PowerArc("Y", "A", {"rise_power": table(), "fall_power": table()}),),
        (Leakage("A", 0.5), Leakage("!A", 0.25)))
    return msgspec.structs.replace(cell, **changes)
