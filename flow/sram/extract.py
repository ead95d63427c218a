"""Transistors and nets out of the macro's layout, by KLayout's extractor.

Wells and substrate do not carry supply current: they are connected softly, so that two rails that only a well joins
are reported (`Extraction.soft_connections`) instead of passing for one net.
"""

from dataclasses import dataclass

import klayout.db as kdb

from flow.pdk.config import PdkConfig
from flow.sram.cdl import MODELS

CONDUCTORS = ("li1", "mcon", "met1", "via", "met2", "via2", "met3", "via3", "met4")
"""From the bottom up; each connects to the next."""

LABELLED = ("li1", "met1", "met2", "met4")
N_MODEL, P_MODEL = MODELS["nfet_01v8"], MODELS["pfet_01v8"]
SUBSTRATE_NET = "vss"


@dataclass(frozen=True)
class Extraction:
    """The hierarchical netlist of a layout, and a line for each net that only wells or substrate hold together."""

    netlist: kdb.Netlist
    soft_connections: tuple[str, ...]


def extract_netlist(layout: kdb.Layout, cell: kdb.Cell, pdk: PdkConfig) -> Extraction:
    """Four-terminal transistors with W and L; nets named by the labels on pins."""
    extractor = kdb.LayoutToNetlist(kdb.RecursiveShapeIterator(layout, cell, []))
    masks = {name: extractor.make_polygon_layer(layout.layer(*pdk.drawing(name)), name)
             for name in ("nwell", "diff", "nsdm", "psdm", "poly", "licon", *CONDUCTORS)}
    regions = _extract_transistors(extractor, masks)
    _connect(extractor, layout, pdk, masks, regions)
    extractor.extract_netlist()
    soft = [entry.message for entry in extractor.each_log_entry() if entry.category_name == "soft-connection-check"]
    return Extraction(extractor.netlist().dup(), tuple(line.strip() for line in soft))


def _extract_transistors(extractor: kdb.LayoutToNetlist, masks: dict[str, kdb.Region]) -> dict[str, kdb.Region]:
    """Registers the devices; returns the regions of diffusion, taps and substrate that are to be connected."""
    p_active = masks["diff"] & masks["psdm"] & masks["nwell"]
    n_active = (masks["diff"] & masks["nsdm"]) - masks["nwell"]
    p_gate, n_gate = p_active & masks["poly"], n_active & masks["poly"]
    regions = {
        "p_source_drain": p_active - p_gate,
        "n_source_drain": n_active - n_gate,
        "n_tap": masks["diff"] & masks["nsdm"] & masks["nwell"],
        "p_tap": (masks["diff"] & masks["psdm"]) - masks["nwell"],
    }
    for name, region in {**regions, "p_gate": p_gate, "n_gate": n_gate}.items():
        extractor.register(region, name)
    regions["substrate"] = extractor.make_layer("substrate")
    for model, gate, source_drain, bulk in ((P_MODEL, p_gate, "p_source_drain", masks["nwell"]),
                                            (N_MODEL, n_gate, "n_source_drain", regions["substrate"])):
        extractor.extract_devices(kdb.DeviceExtractorMOS4Transistor(model), {
            "SD": regions[source_drain], "G": gate, "tS": regions[source_drain], "tD": regions[source_drain],
            "tG": masks["poly"], "W": bulk})
    return regions


def _connect(extractor: kdb.LayoutToNetlist, layout: kdb.Layout, pdk: PdkConfig, masks: dict[str, kdb.Region],
             regions: dict[str, kdb.Region]) -> None:
    """The stack from diffusion to met4, its labels, and the soft connections of taps."""
    diffusion = [regions[name] for name in ("p_source_drain", "n_source_drain", "n_tap", "p_tap")]
    stack = [masks["licon"], *(masks[name] for name in CONDUCTORS)]
    for region in (*diffusion, masks["poly"], masks["nwell"], *stack):
        extractor.connect(region)
    for region in (*diffusion, masks["poly"]):
        extractor.connect(region, masks["licon"])
    for lower, upper in zip(stack, stack[1:], strict=False):
        extractor.connect(lower, upper)
    for name in LABELLED:
        pin = pdk.layers[name].pin
        extractor.connect(masks[name], extractor.make_text_layer(layout.layer(*pin), f"{name}_label"))
    extractor.soft_connect(regions["n_tap"], masks["nwell"])
    extractor.connect_global(regions["substrate"], SUBSTRATE_NET)
    extractor.soft_connect_global(regions["p_tap"], SUBSTRATE_NET)
