"""The kit's schematics of its cells as KLayout netlists: transistors, poly resistors, diodes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import klayout.db as kdb

from flow.signoff.extract import DIODE_MODEL, N_MODEL, P_MODEL, RESISTOR_MODEL
from golden.spec import SpecError

PREFIX = "sky130_fd_pr__"
NARROW = "special_"
"""Transistors narrower than 0.42 um are called so in the CDL; the kit's models define them as the others."""

Subcircuit = tuple[list[str], list[list[str]]]
"""Ports, and the words of each element."""


def read_subcircuits(text: str) -> dict[str, Subcircuit]:
    """The subcircuits of a CDL or SPICE text.

    >>> read_subcircuits(".SUBCKT inv A Y\\nM1 Y A vss\\n+ vss nfet_01v8 w=0.65 l=0.15\\n.ENDS")
    {'inv': (['A', 'Y'], [['M1', 'Y', 'A', 'vss', 'vss', 'nfet_01v8', 'w=0.65', 'l=0.15']])}
    """
    found: dict[str, Subcircuit] = {}
    elements: list[list[str]] = []
    for line in re.sub(r"\n\s*\+", " ", text).splitlines():
        words = line.split()
        if not words or words[0].startswith("*"):
            continue
        if words[0].lower() == ".subckt":
            elements = []
            found[words[1]] = (words[2:], elements)
        elif not words[0].startswith("."):
            elements.append(words)
    return found


def load_schematics(cdl: Path, spice: Path, cells: Iterable[str]) -> kdb.Netlist:
    """A circuit for each of the cells.

    The CDL has everything but antenna diodes ("tap diode is not represented"): a cell without any element takes what
    diodes its SPICE view has. SpecError for a cell that is not there, or holds an element that is not known.
    """
    schematics = read_subcircuits(cdl.read_text(encoding="utf-8"))
    layouts = read_subcircuits(spice.read_text(encoding="utf-8"))
    netlist = kdb.Netlist()
    classes: dict[str, kdb.DeviceClass] = {}
    for device, kind in ((N_MODEL, kdb.DeviceClassMOS4Transistor), (P_MODEL, kdb.DeviceClassMOS4Transistor),
                         (DIODE_MODEL, kdb.DeviceClassDiode), (RESISTOR_MODEL, kdb.DeviceClassResistor)):
        classes[device] = kind()
        classes[device].name = device
        netlist.add(classes[device])
    for cell in sorted(cells):
        if cell not in schematics:
            raise SpecError(f"cell {cell} must have a schematic in {cdl}")
        ports, elements = schematics[cell]
        drawn = layouts.get(cell, ([], []))[1]
        diodes = [] if elements else [words for words in drawn if PREFIX + DIODE_MODEL in words]
        _add_circuit(netlist, classes, cell, ports, [*elements, *diodes], str(cdl))
    return netlist


def _add_circuit(netlist: kdb.Netlist, classes: dict[str, kdb.DeviceClass], cell: str, ports: list[str],
                 elements: list[list[str]], where: str) -> None:
    circuit = kdb.Circuit()
    circuit.name = cell
    netlist.add(circuit)
    nets: dict[str, kdb.Net] = {}

    def net(name: str) -> kdb.Net:
        if name not in nets:
            nets[name] = circuit.create_net(name)
        return nets[name]

    for port in ports:
        circuit.connect_pin(circuit.create_pin(port), net(port))
    for words in elements:
        values = dict(word.lower().split("=") for word in words if "=" in word)
        *terminals, model = [word for word in words[1:] if "=" not in word]
        model = model.removeprefix(PREFIX).removeprefix(NARROW)
        names = {N_MODEL: "DGSB", P_MODEL: "DGSB", DIODE_MODEL: "AC", RESISTOR_MODEL: "AB"}.get(model)
        if names is None or len(names) != len(terminals):
            raise SpecError(f"{cell} must be made of {', '.join(classes)}, not of {' '.join(words)} ({where})")
        for copy in range(int(values.get("m", 1))):
            device = circuit.create_device(classes[model], f"{words[0]}_{copy}")
            for terminal, name in zip(names, terminals, strict=True):
                device.connect_terminal(terminal, net(name))
            for parameter in ("w", "l"):
                if len(names) == 4:
                    device.set_parameter(parameter.upper(), length_um(values[parameter]))


def length_um(text: str) -> float:
    """A length of the kit's files: um without a unit, and with one the kit's scale of a million.

    >>> length_um("0.65"), length_um("650000u")
    (0.65, 0.65)
    """
    return float(text[:-1]) * 1e-6 if text.endswith("u") else float(text)
