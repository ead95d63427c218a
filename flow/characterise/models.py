"""The transistors' BSIM4 cards as plain numbers, one card a size: ngspice loads them in a twentieth of a second.

The kit's cards are binned and wrapped in subcircuits with mismatch terms. For each size that a cell uses the bin is
chosen here, mismatch set to zero, and nothing else changed.
"""

import re
from functools import cache

from flow.characterise.extract import Device, model_name
from flow.characterise.kit import model_file, stress_parameters
from flow.characterise.technology import CONTACTED_OHM_UM
from golden.spec import SpecError

NOT_IN_A_CARD = {"lmin", "lmax", "wmin", "wmax", "level", "version"}
MISMATCH = re.compile(r"[+*]?\s*MC_MM_SWITCH.*$")
PARAMETER = re.compile(r"(.+)\+(sky130_fd_pr__\w+_diff)$")
EDGE_M = 1e-12


def model_cards(devices: tuple[Device, ...], process: str) -> str:
    """The .model lines for all sizes of some transistors at a process corner (`tt`, `ss`, `ff`, `leak`, ...)."""
    sizes = sorted({(d.device, d.w, d.l) for d in devices})
    return "\n".join(model_card(device, w, l, process) for device, w, l in sizes) + "\n"


@cache
def model_card(device: str, w_um: float, l_um: float, process: str) -> str:
    for kind, card in load_cards(device, process):
        fits = all(value_of(card[f"{axis}min"]) - EDGE_M <= size * 1e-6 < value_of(card[f"{axis}max"]) - EDGE_M
                   for axis, size in (("w", w_um), ("l", l_um)))
        if fits:
            values = {key: value_of(text) for key, text in card.items() if key not in NOT_IN_A_CARD}
            values["rdsw"] = without_contacts(device, values["rdsw"])
            lines = [f".model {model_name(device, w_um, l_um)} {kind} level=54 version=4.5"]
            lines += [f"+ {key}={value:.10g}" for key, value in values.items()]
            return "\n".join(lines)
    raise SpecError(f"{device} has no model for w={w_um} um l={l_um} um at {process}")


def without_contacts(device: str, rdsw: float) -> float:
    """A card's series resistance of both sides (ohm um) less the contacts in it, which the netlist has as resistors.

    SpecError for a card that has no room for them.
    """
    held = 2 * CONTACTED_OHM_UM.get(device.partition("_")[0], 0.0)
    if rdsw < held:
        raise SpecError(f"rdsw of {device} must be at least the {held:.0f} ohm um of its contacts, not {rdsw:g}")
    return rdsw - held


@cache
def load_cards(device: str, process: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """All (nmos or pmos, parameter -> text) cards of a transistor."""
    cards: list[tuple[str, dict[str, str]]] = []
    inside = False
    for line in model_file(device, process).read_text().splitlines():
        if line.startswith(".model"):
            cards.append((line.split()[2], {}))
            inside = True
        elif line.startswith(".ends"):
            inside = False
        elif inside and line.startswith("+"):
            cards[-1][1].update(re.findall(r"(\w+)\s*=\s*(\{[^}]*\}|'[^']*'|\S+)", line[1:]))
    return tuple(cards)


def value_of(text: str) -> float:
    """The number in a parameter; a mismatch term is dropped, a parameter of the kit for stress is added.

    >>> value_of("{0.519+MC_MM_SWITCH*AGAUSS(0,1.0,1)*(0.1/sqrt(l*w*mult))}"), value_of("2.0e-05")
    (0.519, 2e-05)
    """
    bare = MISMATCH.sub("", text.strip("{}'")).strip()
    if match := PARAMETER.match(bare):
        parameters = stress_parameters()
        if match[2] not in parameters:
            raise SpecError(f"a model parameter must be defined in the kit's stress parameters, and {match[2]} is not")
        return float(match[1]) + parameters[match[2]]
    try:
        return float(bare)
    except ValueError:
        raise SpecError(f"a model parameter must be a number with a mismatch term, not {text}") from None
