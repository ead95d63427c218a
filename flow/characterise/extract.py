"""A cell's layout as a SPICE netlist: transistors with junctions and stress, resistance, capacitance."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flow.characterise import capacitance, grid, layout, resistance, technology
from flow.characterise.kit import LIBRARY, cell_file
from flow.characterise.layout import CellLayout, load_layout
from flow.characterise.store import load_or_make

SOURCES = (capacitance, grid, layout, resistance, technology)
"""Modules that decide what is extracted; their text is part of the key of a stored extraction."""


class Device(msgspec.Struct, frozen=True):
    """A transistor of the netlist; lengths in um, areas in um2.

    nets are those of the layout (drain, gate, source), nodes include the resistance inside a net.
    """

    device: str
    nets: tuple[str, str, str]
    nodes: tuple[str, str, str]
    bulk: str
    w: float
    l: float
    ad: float
    as_: float
    pd: float
    ps: float
    sa: float
    sb: float


class Element(msgspec.Struct, frozen=True):
    """A resistor (ohm) or capacitor (farad) between two nodes."""

    a: str
    b: str
    value: float


class ExtractedCell(msgspec.Struct, frozen=True):
    """What simulations need of a cell's layout. Bulks are the nets VNB and VPB, supplies VGND and VPWR."""

    name: str
    ports: tuple[str, ...]
    devices: tuple[Device, ...]
    resistors: tuple[Element, ...]
    capacitors: tuple[Element, ...]
    area_um2: float


@dataclass(frozen=True)
class CdlDevice:
    """A transistor of the schematic; w and l in um."""

    device: str
    drain: str
    gate: str
    source: str
    bulk: str
    w: float
    l: float


def extract_cell(cell: str, store: Path | None = None) -> ExtractedCell:
    """Extracts a cell of the library, or takes it from the folder `store` where the same was extracted before."""
    gds = cell_file(cell, "gds")
    ports, _ = load_cdl(cell)
    digest = hashlib.sha256(gds.read_bytes() + repr(ports).encode())
    for module in (*SOURCES, __import__(__name__, fromlist=["x"])):
        digest.update(Path(module.__file__).read_bytes())
    path = None if store is None else store / f"{cell}-{digest.hexdigest()[:20]}.json"
    return load_or_make(path, ExtractedCell, lambda: build_netlist(load_layout(gds, f"{LIBRARY}__{cell}"), cell, ports))


def build_netlist(cell: CellLayout, name: str, ports: tuple[str, ...]) -> ExtractedCell:
    resistors, nodes = resistance.extract_resistance(cell)
    devices = []
    for number, t in enumerate(cell.transistors):
        at = nodes.of_transistor[number]
        devices.append(Device(
            t.device, (cell.nets[t.drain], cell.nets[t.gate], cell.nets[t.source]),
            (at["drain"], at["gate"], at["source"]), t.bulk, t.w, t.l, t.ad, t.as_, t.pd, t.ps, t.sa, t.sb))
    farads = capacitance.extract_capacitance(cell)
    box = cell.region("boundary").bbox()
    return ExtractedCell(
        name, ports, tuple(devices), tuple(Element(r.a, r.b, r.ohm) for r in resistors),
        tuple(Element(a, b, value) for (a, b), value in farads.items()),
        round(box.width() * box.height() * cell.dbu_um**2, 4))


def spice_lines(cell: ExtractedCell, prefix: str, connect: dict[str, str]) -> list[str]:
    """The cell as element lines without a subcircuit: nets in `connect` get that node, others `<prefix>_<net>`.

    Transistor models are called <device>_<w in nm>_<l in nm>, as flow.characterise.models writes them.
    """
    def node(name: str) -> str:
        return connect.get(name) or f"{prefix}_{name}".lower()

    lines = []
    for k, d in enumerate(cell.devices):
        drain, gate, source = map(node, d.nodes)
        lines.append(f"m{prefix}_{k} {drain} {gate} {source} {node(d.bulk)} {model_name(d.device, d.w, d.l)} "
                     f"w={d.w:.6g}u l={d.l:.6g}u ad={d.ad:.5g}p as={d.as_:.5g}p pd={d.pd:.5g}u ps={d.ps:.5g}u "
                     f"sa={d.sa:.5g}u sb={d.sb:.5g}u nrd=0 nrs=0")
    lines += [f"r{prefix}_{k} {node(r.a)} {node(r.b)} {r.value:.5g}" for k, r in enumerate(cell.resistors)]
    lines += [f"c{prefix}_{k} {node(c.a)} {node(c.b)} {c.value:.5g}" for k, c in enumerate(cell.capacitors)]
    return lines


def bare(cell: ExtractedCell) -> ExtractedCell:
    """The cell without resistance and capacitance: what a direct current needs."""
    devices = tuple(msgspec.structs.replace(d, nodes=d.nets) for d in cell.devices)
    return msgspec.structs.replace(cell, devices=devices, resistors=(), capacitors=())


def model_name(device: str, w_um: float, l_um: float) -> str:
    """The name of the model card of one size.

    >>> model_name("nfet_01v8", 0.65, 0.15)
    'nfet_01v8_650_150'
    """
    return f"{device}_{round(w_um * 1000)}_{round(l_um * 1000)}"


def load_cdl(cell: str) -> tuple[tuple[str, ...], tuple[CdlDevice, ...]]:
    """Ports and transistors of a cell's schematic; multiplied ones appear as often as they are there.

    The `special_` transistors (narrower than 0.42 um) are called as the others are: the kit defines them as such.
    """
    ports: tuple[str, ...] = ()
    devices: list[CdlDevice] = []
    for line in cell_file(cell, "cdl").read_text().replace("\n+", " ").splitlines():
        words = line.split()
        if words and words[0] == ".SUBCKT":
            ports = tuple(words[2:])
        elif words and words[0].startswith("M"):
            value = dict(word.split("=") for word in words[6:])
            device = CdlDevice(words[5].removeprefix("special_"), *words[1:5], float(value["w"]), float(value["l"]))
            devices += [device] * int(value.get("m", 1))
    return ports, tuple(devices)
