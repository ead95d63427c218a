"""What characterising a macro at a corner gives, in Liberty's units (ns, pF, pJ, nW)."""

import msgspec

from flow.characterise.result import Table


class Bus(msgspec.Struct, frozen=True):
    """An input bus. limits: `setup_rise`, `setup_fall`, `hold_rise`, `hold_fall` over (clock slew, data slew)."""

    name: str
    rise_pf: float
    fall_pf: float
    rise_pj: float
    fall_pj: float
    limits: dict[str, Table]


class Leakage(msgspec.Struct, frozen=True):
    """nW at rest, of the periphery and of all bitcells; `_off`: what their transistors leak one by one, added up."""

    periphery: float
    cells: float
    periphery_off: float
    cells_off: float

    @property
    def total(self) -> float:
        return self.periphery + self.cells


class MacroResult(msgspec.Struct, frozen=True):
    """A macro at a corner.

    access:  `cell_rise`, `cell_fall`, `rise_transition`, `fall_transition` of q over (clock slew, load).
    energy:  pJ of a whole word's cycle, (at the clock's rise, at its fall), by `read` and `write`, without inputs.
    pulses:  shortest phases by what limits them: read_high, read_low, write_high, write_low.
    """

    name: str
    corner: str
    area_um2: float
    access: dict[str, Table]
    clock_rise_pf: float
    clock_fall_pf: float
    energy: dict[str, tuple[float, float]]
    pulses: dict[str, float]
    buses: tuple[Bus, ...]
    leakage: Leakage

    @property
    def high_ns(self) -> float:
        return max(self.pulses["read_high"], self.pulses["write_high"])

    @property
    def low_ns(self) -> float:
        return max(self.pulses["read_low"], self.pulses["write_low"])

    @property
    def period_ns(self) -> float:
        return self.high_ns + self.low_ns

    @property
    def slowest_access_ns(self) -> float:
        return max(max(row) for edge in ("cell_rise", "cell_fall") for row in self.access[edge].values)

    def bus(self, name: str) -> Bus:
        return next(bus for bus in self.buses if bus.name == name)
