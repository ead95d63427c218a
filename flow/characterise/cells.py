"""Which cells of the library are characterised: those that synthesis, clock tree, repair and memories may use."""

import re

from flow.characterise.kit import base_name, cell_names
from golden.spec import SpecError

LEFT_OUT = {
    r".*_0": "the smallest drives break rule npc.2 beside others",
    r"a222oi_1": "one of its pins has no clean access from a router's track",
    r"(sdf|sedf|edf|sdlclk).*": "no scan chain and no enable flops are used",
    r"lpflow_.*": "for power domains, of which there is one",
    r"probe.*|macro_.*|dlymetal.*": "for probing and spares",
    r"dly.*|clkdlybuf4s18_.*|clkdlybuf4s25_.*": "hold repair takes the other delay cells",
    r"diode_2": "its junction is not extracted yet",
    r"tapvgnd.*|tapmet1.*": "the taps that join well and supply are used",
    r".*dfrbp.*|.*dfsbp.*|.*dfbbp.*|.*dfbbn.*|.*dfrtn.*|.*dfxbp.*|dlxb.*|dlrb.*|dlrtn.*|dlxtn.*":
        "second outputs and falling clocks are not used",
    r"(a|o)(2111|221|311|32|41|31|21b|211|2bb2)\w*_[24]": "wide gates with large drives are built of two cells",
    r"(and|or|nand|nor)4bb?_\d|(fah|fahcin|fahcon)_1|xn?or3_\d|(maj3|mux4|fa|ha)_4": "rare and large",
    r"(ebufn|einvn|einvp|clkinvlp)_\d": "no three-state nets and no low-power inverters are used",
}
"""Pattern of names -> why not."""


def characterised_cells() -> tuple[str, ...]:
    """The cells to characterise, by name."""
    return tuple(name for name in cell_names() if why_not(name) is None)


def why_not(cell: str) -> str | None:
    """Why a cell is left out, or None for one that is characterised.

    >>> why_not("inv_1"), why_not("inv_0")
    (None, 'the smallest drives break rule npc.2 beside others')
    """
    return next((reason for pattern, reason in LEFT_OUT.items() if re.fullmatch(pattern, cell)), None)


def check_cells(names: tuple[str, ...]) -> None:
    """SpecError for a name that is no cell of the library."""
    known = set(cell_names())
    for name in names:
        if name not in known:
            near = sorted(other for other in known if base_name(other) == base_name(name))
            raise SpecError(f"cell must be one of {len(known)} of the library, not {name!r}"
                            + (f"; there are {', '.join(near)}" if near else ""))
