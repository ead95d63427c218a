"""What characterising a cell gives: tables in Liberty's units (ns, pF, pJ, nW, um2)."""

import msgspec

Row = tuple[float, ...]


class Table(msgspec.Struct, frozen=True):
    """Values over one index (a single row) or two: [index_1][index_2]."""

    index_1: Row
    index_2: Row
    values: tuple[Row, ...]


class TimingArc(msgspec.Struct, frozen=True):
    """A `timing` group of `pin`: its related pin, sense (or ""), type, and tables by Liberty's names."""

    pin: str
    related_pin: str
    timing_type: str
    timing_sense: str
    tables: dict[str, Table]


class PowerArc(msgspec.Struct, frozen=True):
    """An `internal_power` group of `pin`; related_pin is "" for what an input costs when no output moves.

    when: the state of other inputs that it is for; "" for all.
    """

    pin: str
    related_pin: str
    tables: dict[str, Table]
    when: str = ""


class Pin(msgspec.Struct, frozen=True):
    """A signal pin. Outputs have a function and a largest load; inputs capacitances."""

    name: str
    direction: str
    function: str = ""
    max_capacitance_pf: float = 0.0
    rise_capacitance_pf: float = 0.0
    fall_capacitance_pf: float = 0.0
    is_clock: bool = False
    clock_gate_role: str = ""
    min_pulse_width_high_ns: float = 0.0
    min_pulse_width_low_ns: float = 0.0


class Leakage(msgspec.Struct, frozen=True):
    """Leakage in one state of the pins (and IQ)."""

    when: str
    nanowatt: float


class StorageGroup(msgspec.Struct, frozen=True):
    """An ff or latch group: its kind and attributes as Liberty writes them."""

    kind: str
    attributes: dict[str, str]


class CellResult(msgspec.Struct, frozen=True):
    """One cell at one corner."""

    name: str
    corner: str
    area_um2: float
    pins: tuple[Pin, ...]
    timing: tuple[TimingArc, ...]
    power: tuple[PowerArc, ...]
    leakage: tuple[Leakage, ...]
    storage: StorageGroup | None = None
    clock_gating: str = ""
