"""OpenRAM's SRAM macros of a ciel tree: which there are, where their views lie, and whether these are of one mind.

The macros come as they are (PDK file: openram): nothing is generated, and no design rule or layout check of this
project runs on them. What is checked is what the binding relies on, pin by pin.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import klayout.db as kdb

from flow.characterise.liberty_read import Group, load_liberty
from flow.pdk.config import PdkConfig
from flow.pdk.lef import LefMacro, parse_lef
from flow.pdk.netlist_pins import parse_subcircuit_pins, parse_verilog_pins
from flow.pdk.tree import Pdk
from flow.sram.spec import MacroShape, Pin
from golden.spec import SpecError

LIBRARY = "sky130_sram_macros"
"""The library of a ciel tree that the macros are in."""


class OpenRamSpec(MacroShape, frozen=True):
    """An OpenRAM macro with one read-or-write port (0), one read port (1) and a write mask bit a byte."""

    name: str
    power: str
    ground: str

    @property
    def supplies(self) -> dict[str, Pin]:
        return {self.power: Pin("INOUT", "POWER"), self.ground: Pin("INOUT", "GROUND")}

    def pins(self) -> dict[str, Pin]:
        """Every pin of every view; those of port 0 end with 0, those of port 1 with 1."""
        buses = {"din0": (self.word_bits, "INPUT"), "dout0": (self.word_bits, "OUTPUT"),
                 "addr0": (self.address_bits, "INPUT"), "wmask0": (self.n_bytes, "INPUT"),
                 "addr1": (self.address_bits, "INPUT"), "dout1": (self.word_bits, "OUTPUT")}
        pins = {clock: Pin("INPUT", "CLOCK") for clock in ("clk0", "clk1")}
        pins |= {name: Pin("INPUT") for name in ("csb0", "web0", "csb1")}
        for bus, (width, direction) in buses.items():
            pins |= {f"{bus}[{bit}]": Pin(direction) for bit in range(width)}
        return pins | self.supplies


def find_openram(name: str, config: PdkConfig) -> OpenRamSpec:
    """The macro of a name."""
    macros, supplies = config.openram.macros, config.openram.supplies
    if name not in macros:
        raise SpecError(f"an OpenRAM macro must be one of {', '.join(macros)}, not {name!r}")
    return OpenRamSpec(macros[name].n_words, macros[name].word_bits, name, supplies.power, supplies.ground)


def openram_of_shape(n_words: int, word_bits: int, config: PdkConfig) -> str:
    """The name of the macro that a bank of this shape is made of."""
    names = [name for name, shape in config.openram.macros.items()
             if (shape.n_words, shape.word_bits) == (n_words, word_bits)]
    if not names:
        shapes = ", ".join(f"{shape.n_words}x{shape.word_bits}" for shape in config.openram.macros.values())
        raise SpecError(f"a bank of memory openram must be one of {shapes}, not {n_words}x{word_bits}")
    return names[0]


def find_views(spec: OpenRamSpec, pdk: Pdk) -> dict[str, Path]:
    """View, or corner of a Liberty file, -> path. SpecError in one message when the tree lacks some."""
    given = {**pdk.config.openram.views, **pdk.config.openram.liberty}
    paths = {name: pdk.root / path.format(name=spec.name) for name, path in given.items()}
    missing = {name: path for name, path in paths.items() if not path.is_file()}
    if not missing:
        return paths
    if len(missing) == len(paths):
        what = f"the {pdk.source} tree has no macro {spec.name} ({pdk.root / 'libs.ref' / LIBRARY})"
    else:
        listed = ", ".join(f"{name} ({path})" for name, path in missing.items())
        what = f"the {pdk.source} tree has {spec.name} without {listed}"
    raise SpecError(f"{what}; use a ciel tree of {pdk.config.name} with its library {LIBRARY}, or memory flexmem, "
                    "whose macros are generated")


def check_openram(spec: OpenRamSpec, views: dict[str, Path], corners: Iterable[str]) -> None:
    """All views against the pins of the spec; SpecError lists every difference."""
    text = {name: views[name].read_text(encoding="utf-8") for name in ("lef", "spice", "verilog")}
    found = [
        *_compare_lef(spec, parse_lef(text["lef"], views["lef"].name).get(spec.name, LefMacro())),
        *_compare_verilog(spec, text["verilog"]),
        *_compare_spice(spec, parse_subcircuit_pins(text["spice"])),
        *_compare_gds(spec, views["gds"]),
    ]
    for corner in corners:
        found += _compare_liberty(spec, load_liberty(views[corner], {spec.name}), corner)
    if found:
        raise SpecError("\n".join([f"the views of {spec.name} must agree, and do not ({views['lef'].parent.parent}):",
                                   *(f"  {line}" for line in found)]))


def _compare_names(wanted: Iterable[str], given: Iterable[str], view: str) -> list[str]:
    wanted, given = set(wanted), set(given)
    return [f"{view}: pin {name} is missing" for name in sorted(wanted - given)] + [
        f"{view}: pin {name} is not in the contract" for name in sorted(given - wanted)]


def _compare_lef(spec: OpenRamSpec, macro: LefMacro) -> list[str]:
    """Names, directions, a shape for each pin; uses of supplies only (OpenRAM leaves that of clocks out)."""
    pins = spec.pins()
    found = _compare_names(pins, macro.pins, "LEF")
    for name in sorted(pins.keys() & macro.pins.keys()):
        wanted, pin = pins[name], macro.pins[name]
        if pin.direction != wanted.direction:
            found.append(f"LEF: pin {name} is {pin.direction}, not {wanted.direction}")
        if name in spec.supplies and pin.use != wanted.use:
            found.append(f"LEF: pin {name} has use {pin.use}, not {wanted.use}")
        if not any(pin.rects.values()):
            found.append(f"LEF: pin {name} has no shape")
    if min(macro.size_um) <= 0:
        found.append("LEF: the macro has no size")
    return found


def _compare_verilog(spec: OpenRamSpec, text: str) -> list[str]:
    """The model's ports; the width of a bus there is a parameter with a number."""
    numbers = dict(re.findall(r"\bparameter\s+(\w+)\s*=\s*(\d+)", text))
    pins: dict[str, str] = {}
    for name, direction in parse_verilog_pins(text).get(spec.name, {}).items():
        bus = re.fullmatch(r"(\w+)\[(\w+)-1:0\]", name)
        if bus and bus[2] in numbers:
            pins |= {f"{bus[1]}[{bit}]": direction for bit in range(int(numbers[bus[2]]))}
        else:
            pins[name] = direction
    wanted = {name: pin.direction.lower() for name, pin in spec.pins().items()}
    return _compare_names(wanted, pins, "Verilog") + [
        f"Verilog: pin {name} is {pins[name]}, not {wanted[name]}" for name in sorted(wanted.keys() & pins.keys())
        if pins[name] != wanted[name]]


def _compare_spice(spec: OpenRamSpec, subcircuits: dict[str, list[str]]) -> list[str]:
    """SPICE does not tell cases apart."""
    pins = next((pins for name, pins in subcircuits.items() if name.lower() == spec.name.lower()), [])
    return _compare_names(spec.pins(), (pin.lower() for pin in pins), "SPICE")


def _compare_gds(spec: OpenRamSpec, path: Path) -> list[str]:
    layout = kdb.Layout()
    layout.read(str(path))
    return [] if layout.has_cell(spec.name) else [f"GDS: cell {spec.name} is missing"]


def _compare_liberty(spec: OpenRamSpec, library: Group, corner: str) -> list[str]:
    """Names, directions and clocks; supplies are its pg_pins. Each data output has an arc from its clock."""
    view, cell = f"Liberty {corner}", library.find("cell", spec.name)
    if cell is None:
        return [f"{view}: cell {spec.name} is missing"]
    types = {group.arguments[0]: int(group.attributes["bit_width"]) for group in library.all("type")}
    given: dict[str, Group] = {group.arguments[0]: group for group in cell.all("pin")}
    for bus in cell.all("bus"):
        width = types.get(str(bus.attributes.get("bus_type")), 0)
        given |= {f"{bus.arguments[0]}[{bit}]": bus for bit in range(width)}
    signals = {name: pin for name, pin in spec.pins().items() if name not in spec.supplies}
    found = _compare_names(signals, given, view)
    found += _compare_names(spec.supplies, (group.arguments[0] for group in cell.all("pg_pin")), view)
    for name in sorted(signals.keys() & given.keys()):
        direction, is_clock = given[name].attributes.get("direction"), given[name].attributes.get("clock") == "true"
        if direction != signals[name].direction.lower():
            found.append(f"{view}: pin {name} is {direction}, not {signals[name].direction.lower()}")
        if is_clock != (signals[name].use == "CLOCK"):
            found.append(f"{view}: pin {name} is {'a' if is_clock else 'no'} clock")
    return found + _missing_arcs(given, view)


def _missing_arcs(given: dict[str, Group], view: str) -> list[str]:
    """Read data without an arc from clk0 would pass for data that are there at once."""
    reads = given.get("dout0[0]")
    if reads is None:
        return []
    arcs = [arc for group in (reads, *reads.all("pin")) for arc in group.all("timing")]
    from_clock = [arc for arc in arcs if arc.attributes.get("related_pin") == "clk0"]
    return [] if from_clock else [f"{view}: dout0 has no timing arc from clk0"]
