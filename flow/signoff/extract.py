"""Devices and nets out of a chip's GDS, by KLayout's extractor in its hierarchical mode.

Everything of the layout takes part, down to diffusion and wells: what the top level or a neighbour draws over a cell
changes the cell's devices or nets, and with them its circuit. A circuit of the result is a cell of the layout as it is
in this chip.

Wells and substrate carry no supply current: they are connected softly. Rails that only a well or the substrate joins
are reported, and so is a well that no tap ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import klayout.db as kdb

from flow.pdk.config import PdkConfig

METALS = ("li1", "met1", "met2", "met3", "met4", "met5")
CUTS = ("mcon", "via", "via2", "via3", "via4")
N_MODEL, P_MODEL, DIODE_MODEL, RESISTOR_MODEL = "nfet_01v8", "pfet_01v8_hvt", "diode_pw2nd_05v5", "res_generic_po"
"""Device classes; the kit's CDL and SPICE use these names, the models' without the prefix sky130_fd_pr__."""

SUBSTRATE = "VNB"
"""What the substrate is called, in every circuit."""

POLY_RESISTOR, DIODE_MARK, N_WELL_LABEL = (66, 15), (81, 23), (64, 5)
"""GDS purposes that only extraction asks for: poly that is a resistor, diffusion that is a diode, a well's name."""


@dataclass(frozen=True)
class Extraction:
    """What a layout holds.

    extractor: what owns the netlist.
    soft:      a line for every place where only a well or the substrate holds nets together.
    """

    extractor: kdb.LayoutToNetlist
    soft: tuple[str, ...]

    @property
    def netlist(self) -> kdb.Netlist:
        """A circuit a cell, a subcircuit an instance; nets are called by the labels on them."""
        return self.extractor.netlist()


def extract_chip(layout: kdb.Layout, top: kdb.Cell, pdk: PdkConfig) -> Extraction:
    """Transistors with W and L, diodes, poly resistors, and nets from diffusion to met5."""
    extractor, _ = run_extractor(layout, top, pdk)
    soft = [entry.message.strip() for entry in extractor.each_log_entry()
            if entry.category_name == "soft-connection-check"]
    return Extraction(extractor, tuple(soft))


def run_extractor(layout: kdb.Layout, top: kdb.Cell,
                  pdk: PdkConfig) -> tuple[kdb.LayoutToNetlist, dict[str, kdb.Region]]:
    """The extractor after its work, and its layers by name (masks, and what _extract_devices makes of them)."""
    extractor = kdb.LayoutToNetlist(kdb.RecursiveShapeIterator(layout, top, []))
    extractor.include_floating_subcircuits = True
    masks = {name: extractor.make_polygon_layer(layout.layer(*pdk.drawing(name)), name)
             for name in ("nwell", "diff", "tap", "poly", "licon", *METALS, *CUTS)}
    silicon = _extract_devices(extractor, layout, masks)
    _connect(extractor, layout, pdk, masks, silicon)
    extractor.extract_netlist()
    return extractor, {**masks, **silicon}


def _extract_devices(extractor: kdb.LayoutToNetlist, layout: kdb.Layout,
                     masks: dict[str, kdb.Region]) -> dict[str, kdb.Region]:
    """Registers the devices; returns what of diffusion, poly and substrate is to be connected."""
    marks = {name: extractor.make_polygon_layer(layout.layer(*purpose), name)
             for name, purpose in (("resistor", POLY_RESISTOR), ("diode", DIODE_MARK))}
    p_active, n_active = masks["diff"].andnot(masks["nwell"])
    p_gate, p_end = p_active.andnot(masks["poly"])
    n_gate, n_end = n_active.andnot(masks["poly"])
    n_tap, p_tap = masks["tap"].andnot(masks["nwell"])
    resistor, poly = masks["poly"].andnot(marks["resistor"])
    diode = n_end & marks["diode"]
    found = {"p_gate": p_gate, "p_end": p_end, "n_gate": n_gate, "n_end": n_end, "n_tap": n_tap, "p_tap": p_tap,
             "poly_wire": poly, "poly_resistor": resistor, "n_diode": diode}
    for name, region in found.items():
        extractor.register(region, name)
    found["substrate"] = extractor.make_layer("substrate")
    found["diode_bulk"] = diode.dup()
    extractor.register(found["diode_bulk"], "diode_bulk")
    for model, gate, end, bulk in ((P_MODEL, "p_gate", "p_end", masks["nwell"]),
                                   (N_MODEL, "n_gate", "n_end", found["substrate"])):
        extractor.extract_devices(kdb.DeviceExtractorMOS4Transistor(model), {
            "SD": found[end], "G": found[gate], "tS": found[end], "tD": found[end], "tG": poly, "W": bulk})
    extractor.extract_devices(kdb.DeviceExtractorDiode(DIODE_MODEL), {
        "P": found["diode_bulk"], "N": diode, "tA": found["diode_bulk"], "tC": diode})
    extractor.extract_devices(kdb.DeviceExtractorResistor(RESISTOR_MODEL, 1.0), {
        "R": resistor, "C": poly, "tA": poly, "tB": poly})
    return found


def _connect(extractor: kdb.LayoutToNetlist, layout: kdb.Layout, pdk: PdkConfig, masks: dict[str, kdb.Region],
             silicon: dict[str, kdb.Region]) -> None:
    """From silicon to met5, with labels; taps tie wells and substrate softly."""
    ends = [silicon[name] for name in ("p_end", "n_end", "n_tap", "p_tap", "poly_wire")]
    stack = [masks["licon"], masks["li1"]]
    for cut, metal in zip(CUTS, METALS[1:], strict=True):
        stack += [masks[cut], masks[metal]]
    for region in (*ends, *stack, masks["nwell"], silicon["n_diode"], silicon["diode_bulk"]):
        extractor.connect(region)
    for region in ends:
        extractor.connect(region, masks["licon"])
    extractor.connect(silicon["n_diode"], silicon["n_end"])
    for lower, upper in zip(stack, stack[1:], strict=False):
        extractor.connect(lower, upper)
    for name in METALS:
        for purpose in (pdk.layers[name].label, pdk.layers[name].pin):
            texts = extractor.make_text_layer(layout.layer(*purpose), f"{name}_text_{purpose[1]}")
            extractor.connect(masks[name], texts)
    extractor.connect(masks["nwell"], extractor.make_text_layer(layout.layer(*N_WELL_LABEL), "nwell_text"))
    extractor.soft_connect(silicon["n_tap"], masks["nwell"])
    extractor.connect_global(silicon["substrate"], SUBSTRATE)
    extractor.connect_global(silicon["diode_bulk"], SUBSTRATE)
    extractor.soft_connect_global(silicon["p_tap"], SUBSTRATE)
