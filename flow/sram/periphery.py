"""The macro's layout without its bitcells: transistors and wires of each net, paired with the netlist by structure.

KLayout finds transistors and nets of the flat layout; colours are refined over both netlists until every net of the
layout has one partner in the CDL. Each transistor then takes junctions, contacts and stress from its partner.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import klayout.db as kdb
import msgspec

from flow.characterise.technology import CONTACT_OHM, GATE_TO_CONTACT_UM, SHEET_OHM
from flow.pdk.config import PdkConfig
from flow.sram.extract import CONDUCTORS
from flow.sram.flat import ARRAY, Mos
from flow.sram.gds import load_macro
from flow.sram.spec import SUPPLIES, SramSpec
from golden.spec import SpecError

WIRES = ("poly", "li1", "met1", "met2", "met3", "met4")
PIN_METALS = ("met1", "met2", "met4")
MAX_ROUNDS = 60
PROBE_UM = 5.0
"""How far from a gate the end of its diffusion is looked for; no transistor here has longer diffusion."""


@dataclass(frozen=True)
class Periphery:
    """What the layout says: transistors of the netlist with all fields set, and the wires of each of its nets.

    wires:   net -> layer -> polygons (database units), layers as WIRES, supplies left out.
    metals:  layer -> everything, supplies too; diff: all diffusion.
    array:   where the bitcells are (boxes), left to right.
    """

    transistors: tuple[Mos, ...]
    wires: dict[str, dict[str, kdb.Region]]
    metals: dict[str, kdb.Region]
    diff: kdb.Region
    array: tuple[kdb.Box, ...]
    outline: kdb.Box
    dbu: float


@dataclass(frozen=True)
class Traced:
    """A flat layout's transistors, whose nets are labels or $numbers, its layers, and where each net runs."""

    transistors: list[Mos]
    layers: dict[str, kdb.Region]
    nets: dict[str, kdb.Net]
    masks: dict[str, kdb.Region]
    extractor: kdb.LayoutToNetlist

    def shapes(self, net: str, layers: Iterable[str]) -> dict[str, kdb.Region]:
        """Layer -> polygons of a net, without the layers that it has none on."""
        found = {layer: self.extractor.shapes_of_net(self.nets[net], self.masks[layer], True).merged()
                 for layer in layers}
        return {layer: region for layer, region in found.items() if not region.is_empty()}


def extract_periphery(gds: Path, spec: SramSpec, pdk: PdkConfig, flat: tuple[Mos, ...]) -> Periphery:
    """Extracts and pairs. SpecError when layout and netlist differ."""
    layout, cell = load_macro(gds, spec)
    array = remove_array(layout, cell)
    traced = trace(layout, cell, pdk, "label")        # the generated cells have texts on the pin purpose, not on this
    net_of = pair_nets(traced.transistors, flat, set(spec.pins()))
    wires = {net_of[net]: traced.shapes(net, WIRES) for net in traced.nets if net_of.get(net, "vdd") not in SUPPLIES}
    outline = kdb.Region(cell.begin_shapes_rec(layout.layer(*pdk.drawing("outline")))).bbox()
    return Periphery(annotate(flat, traced.transistors, net_of), wires,
                     {layer: traced.layers[layer] for layer in WIRES}, traced.layers["diff"], array, outline,
                     layout.dbu)


def trace(layout: kdb.Layout, cell: kdb.Cell, pdk: PdkConfig, labels: str) -> Traced:
    """Flattens a cell and finds transistors and nets; `labels` is the purpose whose texts name nets."""
    cell.flatten(-1, True)
    layers = {name: kdb.Region(cell.begin_shapes_rec(layout.layer(*pdk.drawing(name)))).merged()
              for name in ("nwell", "diff", "nsdm", "psdm", "poly", "licon", *CONDUCTORS)}
    extractor = kdb.LayoutToNetlist(kdb.RecursiveShapeIterator(layout, cell, []))
    masks = {name: extractor.make_polygon_layer(layout.layer(*pdk.drawing(name)), name) for name in layers}
    extract_devices(extractor, masks)
    connect_wires(extractor, masks)
    for name in PIN_METALS:
        texts = extractor.make_text_layer(layout.layer(*getattr(pdk.layers[name], labels)), f"{name} text")
        extractor.connect(masks[name], texts)
    extractor.extract_netlist()
    circuit = max(extractor.netlist().each_circuit(), key=lambda circuit: sum(1 for _ in circuit.each_device()))
    nets = {net_key(net): net for net in circuit.each_net()}
    return Traced(read_devices(circuit, layers, layout.dbu), layers, nets, masks, extractor)


def remove_array(layout: kdb.Layout, cell: kdb.Cell) -> tuple[kdb.Box, ...]:
    """Takes the bitcells out; returns where they were."""
    arrays = [c for c in layout.each_cell() if c.name.startswith(ARRAY)
              and not all(layout.cell(parent).name.startswith(ARRAY) for parent in c.each_parent_cell())]
    if not arrays:
        raise SpecError(f"the layout of {cell.name} must have cells {ARRAY}*, and has none")
    boxes = []
    for found in arrays:
        outline = found.shapes(layout.layer(235, 4))
        box = next(shape.box for shape in outline.each())
        walk = kdb.RecursiveInstanceIterator(layout, cell)
        walk.targets = [found.cell_index()]
        boxes += [box.transformed(each.trans() * each.inst_trans()) for each in walk.each()]
    for name in [found.name for found in arrays]:
        layout.prune_cell(layout.cell(name).cell_index(), -1)
    return tuple(sorted(boxes, key=lambda box: box.left))


def extract_devices(extractor: kdb.LayoutToNetlist, masks: dict[str, kdb.Region]) -> None:
    """Transistors; their sources and drains become layers that connect to contacts."""
    p_active = masks["diff"] & masks["psdm"] & masks["nwell"]
    n_active = (masks["diff"] & masks["nsdm"]) - masks["nwell"]
    masks["substrate"] = extractor.make_layer("substrate")
    for model, active, bulk in (("pfet_01v8", p_active, "nwell"), ("nfet_01v8", n_active, "substrate")):
        gate = active & masks["poly"]
        ends = active - gate
        masks[f"{model} ends"] = ends
        for name, region in ((f"{model} gate", gate), (f"{model} ends", ends)):
            extractor.register(region, name)
        extractor.extract_devices(kdb.DeviceExtractorMOS4Transistor(model), {
            "SD": ends, "G": gate, "tS": ends, "tD": ends, "tG": masks["poly"], "W": masks[bulk]})


def connect_wires(extractor: kdb.LayoutToNetlist, masks: dict[str, kdb.Region]) -> None:
    """Diffusion and poly to contacts, up to met4; wells and substrate are of no interest here."""
    silicon = [masks["pfet_01v8 ends"], masks["nfet_01v8 ends"], masks["poly"]]
    stack = [masks["licon"], *(masks[name] for name in CONDUCTORS)]
    for region in (*silicon, masks["nwell"], *stack):
        extractor.connect(region)
    extractor.connect_global(masks["substrate"], "substrate")
    for region in silicon:
        extractor.connect(region, masks["licon"])
    for lower, upper in zip(stack, stack[1:], strict=False):
        extractor.connect(lower, upper)


def read_devices(circuit: kdb.Circuit, layers: dict[str, kdb.Region], dbu: float) -> list[Mos]:
    """Transistors of the layout; nets are called by their number, or by their label."""
    found = []
    for device in circuit.each_device():
        nets = {name: net_key(device.net_for_terminal(name)) for name in ("S", "G", "D")}
        size = {name: round(device.parameter(name), 6) for name in ("W", "L", "AS", "AD", "PS", "PD")}
        place, kind = device.trans.disp, device.device_class().name
        found.append(Mos(device.expanded_name(), kind, nets["D"], nets["G"], nets["S"], "", size["W"], size["L"],
                         ad=size["AD"], as_=size["AS"], pd=size["PD"], ps=size["PS"],
                         x=round(place.x, 3), y=round(place.y, 3)))
    return add_stress(found, layers, dbu)


def net_key(net: kdb.Net) -> str:
    return net.name or f"${net.cluster_id}"


def add_stress(found: list[Mos], layers: dict[str, kdb.Region], dbu: float) -> list[Mos]:
    """Of every transistor sa and sb (from its gate to the ends of the diffusion, through its middle) and contacts."""
    diff, ends, cuts, gates = (kdb.Shapes() for _ in range(4))
    for shapes, region in ((diff, layers["diff"]), (ends, layers["diff"] - layers["poly"]), (cuts, layers["licon"]),
                           (gates, layers["diff"] & layers["poly"])):
        shapes.insert(region)
    gate_net = {}
    for mos in found:
        gate_net[round(mos.x / dbu), round(mos.y / dbu)] = mos.gate
    result = []
    for mos in found:
        centre = kdb.Point(round(mos.x / dbu), round(mos.y / dbu))
        box = next(s.bbox() for s in gates.each_touching(kdb.Box(centre, centre)) if s.bbox().center() == centre)
        reach, along_x = round(PROBE_UM / dbu), abs(box.width() * dbu - mos.l) < 1e-6
        arms = (reach, 0) if along_x else (0, reach)
        probe = kdb.Region(kdb.Box(centre.x - arms[0], centre.y - arms[1], centre.x + max(arms[0], 1),
                                   centre.y + max(arms[1], 1)))
        pieces = [piece.bbox() for s in diff.each_touching(box) for piece in (probe & kdb.Region(s.polygon)).each()]
        row = next(piece for piece in pieces if piece.contains(centre))
        low, high = ((box.left - row.left, row.right - box.right) if along_x else
                     (box.bottom - row.bottom, row.top - box.top))
        ohms = contact_ohms(mos, [s.polygon for s in ends.each_touching(box)], cuts, gates, gate_net, dbu)
        result.append(msgspec.structs.replace(mos, sa=round(low * dbu, 3), sb=round(high * dbu, 3), **ohms))
    return result


def contact_ohms(mos: Mos, fragments: list[kdb.Polygon], cuts: kdb.Shapes, gates: kdb.Shapes,
                 gate_net: dict[tuple[int, int], str], dbu: float) -> dict[str, float]:
    """nrd and nrs (ohm): the contacts of drain and source, shared by the gates that switch together, and the diffusion
    up to them.

    None where a fragment has no contact (in a stack). No model holds contacts: flow.characterise.models takes them out.
    """
    kind = mos.device[0]
    gap = SHEET_OHM[f"{kind}diff"] * GATE_TO_CONTACT_UM / mos.w
    ohms = []
    for fragment in fragments:
        n_cuts = sum(1 for s in cuts.each_touching(fragment.bbox()) if fragment.inside(s.bbox().center()))
        centres = [s.bbox().center() for s in gates.each_touching(fragment.bbox())
                   if not (kdb.Region(s.polygon).sized(1) & kdb.Region(fragment)).is_empty()]
        same = sum(gate_net.get((c.x, c.y)) == mos.gate for c in centres)
        ohms.append((fragment.area() * dbu**2 / max(len(centres), 1),
                     CONTACT_OHM[f"{kind}diff"] * same / n_cuts + gap if n_cuts else 0.0))
    (_, drain), (_, source) = min(((a, b) for a in ohms for b in ohms if len(ohms) == 1 or a is not b),
                                  key=lambda pair: abs(pair[0][0] - mos.ad) + abs(pair[1][0] - mos.as_))
    return {"nrd": round(drain, 3), "nrs": round(source, 3)}


def pair_nets(drawn: list[Mos], flat: tuple[Mos, ...], ports: set[str]) -> dict[str, str]:
    """Net of the layout -> net of the netlist. SpecError when the two differ or a net has no partner of its own."""
    colours = [{net: net if net in ports else "" for mos in side for net in (mos.drain, mos.gate, mos.source)}
               for side in (drawn, flat)]
    n_classes = 0
    for _ in range(MAX_ROUNDS):
        colours = [refine(side, colour) for side, colour in zip((drawn, flat), colours, strict=True)]
        before, n_classes = n_classes, len(set(colours[0].values()))
        if n_classes == before:
            break
    ours, theirs = (Counter(colour.values()) for colour in colours)
    if ours != theirs or any(count > 1 for count in ours.values()):
        alone = sorted(net for net, colour in colours[1].items() if ours[colour] != 1)
        raise SpecError(f"the periphery's layout and netlist must be the same circuit; without a partner of their own "
                        f"are {len(alone)} nets: {', '.join(alone[:5])}")
    name_of = {colour: net for net, colour in colours[1].items()}
    return {net: name_of[colour] for net, colour in colours[0].items()}


def refine(side: Iterable[Mos], colour: dict[str, str]) -> dict[str, str]:
    """New colours of nets from the old ones and from what hangs on them."""
    hanging = defaultdict(list)
    for mos in side:
        ends = sorted((colour[mos.drain], colour[mos.source]))
        own = hash_of((mos.device, round(mos.w, 3), round(mos.l, 3), colour[mos.gate], *ends))
        hanging[mos.gate].append((own, "g"))
        hanging[mos.drain].append((own, "e"))
        hanging[mos.source].append((own, "e"))
    return {net: hash_of((colour[net], *sorted(found))) for net, found in hanging.items()}


def hash_of(value: tuple) -> str:
    """The same in every process, unlike hash()."""
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


def annotate(flat: tuple[Mos, ...], drawn: list[Mos], net_of: dict[str, str]) -> tuple[Mos, ...]:
    """The netlist's transistors with what the layout knows of their partners."""
    partners = defaultdict(list)
    for mos in sorted(drawn, key=lambda mos: (mos.x, mos.y)):
        drain, gate, source = (net_of[net] for net in (mos.drain, mos.gate, mos.source))
        partners[key_of(mos, drain, gate, source)].append((mos, drain))
    result = []
    for mos in flat:
        found = partners[key_of(mos, mos.drain, mos.gate, mos.source)]
        if not found:
            raise SpecError(f"transistor {mos.name} must be in the layout, and is not")
        other, drain = found.pop(0)
        swap = drain != mos.drain
        result.append(msgspec.structs.replace(
            mos, sa=other.sa, sb=other.sb, x=other.x, y=other.y,
            ad=other.as_ if swap else other.ad, as_=other.ad if swap else other.as_,
            pd=other.ps if swap else other.pd, ps=other.pd if swap else other.ps,
            nrd=other.nrs if swap else other.nrd, nrs=other.nrd if swap else other.nrs))
    return tuple(result)


def key_of(mos: Mos, drain: str, gate: str, source: str) -> tuple:
    return mos.device, round(mos.w, 3), round(mos.l, 3), gate, *sorted((drain, source))
