"""SkyWater 130 as the extraction needs it: layers, sheet and contact resistances, the stack of dielectrics.

Resistances: the nominal values of the Magic technology file sky130A.tech (package cf-precheck). Heights, thicknesses
and dielectric constants: the metal stack diagram of the SkyWater PDK documentation. None of them is fitted to timing.
"""

from dataclasses import dataclass

LAYERS = {
    "nwell": (64, 20), "diff": (65, 20), "tap": (65, 44), "poly": (66, 20), "licon": (66, 44), "li": (67, 20),
    "mcon": (67, 44), "met1": (68, 20), "boundary": (236, 0),
}
"""Layer name -> GDS layer and datatype."""

LABELS = {"li": (67, 5), "met1": (68, 5)}
"""Conducting layer -> the GDS layer of the texts that name its nets."""

SHEET_OHM = {"poly": 48.2, "li": 12.8, "ndiff": 120.0, "pdiff": 197.0}
CONTACT_OHM = {"poly": 152.0, "ndiff": 185.0, "pdiff": 585.0, "tap": 185.0, "mcon": 9.3}
"""Ohm a cut: licon on each kind of silicon, mcon."""

GATE_TO_CONTACT_UM, CONTACT_PITCH_UM = 0.055, 0.34
"""Diffusion between the edge of a gate and a contact beside it (rule licon.11); contacts at their densest."""

CONTACTED_OHM_UM = {"pfet": CONTACT_OHM["pdiff"] * CONTACT_PITCH_UM + SHEET_OHM["pdiff"] * GATE_TO_CONTACT_UM}
"""What transistor models hold of the layout's resistance, ohm um a side: a full row of contacts beside the gate.

The pfet card's series resistance (rdsw 532 ohm um, 266 a side) has room for that (210), and it is taken out of it,
since the layout's own contacts and diffusion are in the netlist. The nfet card's (66, 33 a side) is smaller than its
contacts alone (63): it holds none, and stays.
"""

STACK_UM = {"diff": (0.0, 0.3262), "poly": (0.3262, 0.5062), "li": (0.9361, 1.0361), "met1": (1.3761, 1.7361)}
"""Conductor -> bottom and top above the floor of the field oxide; diffusion fills the height of that oxide."""

NITRIDE_SPACER_UM = 0.0431
NITRIDE_CAP_UM = 0.121
LI_NITRIDE_UM = 0.075


@dataclass(frozen=True)
class Dielectric:
    """A layer of the stack from the one below it up to `top_um`, with its relative permittivity."""

    name: str
    top_um: float
    k: float


DIELECTRICS = (
    Dielectric("field oxide", 0.3262, 3.9),
    Dielectric("phosphosilicate glass", 0.9361, 3.9),
    Dielectric("local interconnect nitride", 1.1111, 7.3),
    Dielectric("oxide 2", 1.3761, 4.05),
    Dielectric("oxide 3", 2.0061, 4.5),
    Dielectric("oxide 4", 3.4, 4.2),
)
K_NITRIDE_SPACER = 7.5
EPSILON_0_F_PER_UM = 8.8541878e-18
