"""Which kind of silicon every diffusion is, by all the implants that the chip draws over it.

Extraction tells n from p by the well alone. Here every diffusion has to have the implants of its kind and no others,
and the thresholds of the library's transistors; what a neighbour's implants reach into a cell would change is found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import klayout.db as kdb

from flow.pdk.config import PdkConfig

HIGH_THRESHOLD = (78, 44)                       # hvtp: the library's pfets are pfet_01v8_hvt
OTHER_DEVICES = {"lvtn": (125, 44), "hvi": (75, 20), "hvntm": (125, 20), "dnwell": (64, 18), "tunm": (80, 20),
                 "hvtr": (18, 20), "ldntm": (11, 44), "rpm": (86, 20), "urpm": (79, 20)}
"""Marks that make another device of a transistor or a wire; the library has none of them."""

N_SHOWN = 3


def find_doping_faults(layout: kdb.Layout, top: kdb.Cell, pdk: PdkConfig, macros: Collection[str]) -> list[str]:
    """A line for each kind of fault, with places; macros are left out, they have transistors of their own."""
    def region(purpose: tuple[int, int]) -> kdb.Region:
        iterator = kdb.RecursiveShapeIterator(layout, top, layout.layer(*purpose))
        iterator.unselect_cells([layout.cell(name).cell_index() for name in macros])
        return kdb.Region(iterator).merged()

    masks = {name: region(pdk.drawing(name)) for name in ("nwell", "diff", "tap", "poly", "nsdm", "psdm")}
    hvtp = region(HIGH_THRESHOLD)
    p_diff, n_diff = masks["diff"] & masks["nwell"], masks["diff"] - masks["nwell"]
    n_tap, p_tap = masks["tap"] & masks["nwell"], masks["tap"] - masks["nwell"]
    p_type, n_type = p_diff + p_tap, n_diff + n_tap
    gates = masks["diff"] & masks["poly"]
    faults = {
        "p diffusion without psdm": p_type - masks["psdm"], "n diffusion without nsdm": n_type - masks["nsdm"],
        "p diffusion under nsdm": p_type & masks["nsdm"], "n diffusion under psdm": n_type & masks["psdm"],
        "a pfet without hvtp": (gates & masks["nwell"]) - hvtp, "an nfet under hvtp": (gates - masks["nwell"]) & hvtp,
        **{f"{name} over diffusion or poly": (masks["diff"] + masks["tap"] + masks["poly"]) & region(purpose)
           for name, purpose in OTHER_DEVICES.items()}}
    return [f"{what}, at {places}" for what, found in faults.items() if (places := ", ".join(_places(found)))]


def _places(region: kdb.Region) -> Iterator[str]:
    for polygon, _ in zip(region.merged().each(), range(N_SHOWN), strict=False):
        centre = polygon.bbox().center()
        yield f"{centre.x / 1000:.3f}, {centre.y / 1000:.3f} um"
