"""The macro's transistors as one flat list, with the bitcell array left out: what simulations start from."""

from pathlib import Path

import msgspec

from golden.spec import SpecError

ARRAY = "SP6TArray_"
"""Subcircuits of this prefix are bitcells and nothing else; they are modelled on their own."""


class Mos(msgspec.Struct, frozen=True):
    """A transistor: `nfet_01v8` or `pfet_01v8`, its nets, drawn size, and what the layout knows of it.

    w, l, pd, ps, sa, sb in um, ad, as_ in um2, nrd, nrs in ohm (the models' sheet resistance is 1), x, y its place in
    the layout (um), m how many it stands for.
    """

    name: str
    device: str
    drain: str
    gate: str
    source: str
    bulk: str
    w: float
    l: float
    ad: float = 0.0
    as_: float = 0.0
    pd: float = 0.0
    ps: float = 0.0
    sa: float = 0.0
    sb: float = 0.0
    nrd: float = 0.0
    nrs: float = 0.0
    x: float = 0.0
    y: float = 0.0
    m: float = 1


def load_flat(cdl: Path, top: str) -> tuple[Mos, ...]:
    """All transistors below `top` but those of the array. Nets are called `instance/.../net`, ports as in the macro."""
    subcircuits = read_subcircuits(cdl.read_text())
    if top not in subcircuits:
        raise SpecError(f"subcircuit {top} must be in {cdl}")
    found: list[Mos] = []
    _flatten(subcircuits, top, "", {port: port for port in subcircuits[top][0]}, found)
    return tuple(found)


def read_subcircuits(text: str) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Name -> (ports, the words of each element line)."""
    found: dict[str, tuple[list[str], list[list[str]]]] = {}
    for line in text.replace("\n+", " ").splitlines():
        words = line.split()
        if not words or words[0].startswith("*"):
            continue
        if words[0] == ".SUBCKT":
            ports, elements = words[2:], []
            found[words[1]] = (ports, elements)
        elif words[0] != ".ENDS":
            elements.append(words)
    return found


def _flatten(subcircuits: dict, name: str, path: str, net_of: dict[str, str], found: list[Mos]) -> None:
    for words in subcircuits[name][1]:
        instance = f"{path}{words[0][1:]}"
        nets = [net_of.get(net, f"{path}{net}") for net in (words[1:5] if words[0][0] == "M" else words[1:-1])]
        if words[0][0] == "M":
            size = dict(word.split("=") for word in words[6:])
            found.append(Mos(instance, words[5].removeprefix("sky130_fd_pr__"), *nets,
                             *(float(size[key].rstrip("u")) for key in ("w", "l"))))
        elif not words[-1].startswith(ARRAY):
            ports = subcircuits[words[-1]][0]
            _flatten(subcircuits, words[-1], f"{instance}/", dict(zip(ports, nets, strict=True)), found)
