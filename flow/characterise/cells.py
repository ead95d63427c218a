"""Which cells of the library are characterised: those that synthesis, clock tree, repair and memories may use.

What no step may place at all is named in the PDK file (do_not_use) and has no timing either. What is here may be
placed, and is left out because nothing asks for it.
"""

import re

from flow.characterise.kit import CONFIG, base_name, cell_names
from golden.spec import SpecError

LEFT_OUT = {
    r"edf.*": "no enable flip-flops: synthesis makes them of a multiplexer and a plain one",
    r"(ebufn|einvn|einvp)_\d": "no three-state nets are used",
    r"dfbb\w+_\d": "no bit has both clear and preset",
    r"dlrb\w_\d|dlrtn_\d|dlxbn_\d": "latches open while high or have one output; with clear both",
    r"df(xbp|rbp|sbp)_2|dlrtp_[24]|dlxtn_[24]": "rare cells have their smallest drive; repair adds a buffer",
    r"tapvgnd.*|tap_2": "the taps that join well and supply are used",
    r"bufbuf_\d+|bufinv_\d+": "clkbuf, buf and inv have the same drives in one or two stages",
    r"clkdlybuf4s\d+_2": "hold repair takes the small delay cells",
    r"(a|o)(41|2bb2)\w+_\d": "four and one inputs, or two inverted ones, are rare and built of two cells",
    r"(a|o)(2111|221|222|311|32|31|211|21b)\w*_[24]": "wide gates with large drives are built of two cells",
    r"(a22oi|o22ai|nand3|nand4|nor3|and4|or4|mux2i)_4|nor4_[24]|(nand2|nor2|mux2)_8":
        "a smaller gate and a buffer take less area",
    r"(and|or|nand|nor)[23]b_4|(and|or|nand|nor)3b_2|(and|or|nand|nor)4bb?_\d":
        "gates with inverted inputs are used in their small drives",
    r"(fah|fahcin|fahcon)_1|xn?or3_\d|(maj3|mux4|fa|ha)_4": "rare and large",
}
"""Pattern of names -> why not."""


def characterised_cells() -> tuple[str, ...]:
    """The cells to characterise, by name."""
    return tuple(name for name in cell_names() if why_not(name) is None)


def why_not(cell: str) -> str | None:
    """Why a cell is left out, or None for one that is characterised.

    >>> why_not("inv_1"), why_not("ebufn_1")
    (None, 'no three-state nets are used')
    """
    forbidden = CONFIG.why_not(cell)
    if forbidden is not None:
        return forbidden
    return next((reason for pattern, reason in LEFT_OUT.items() if re.fullmatch(pattern, cell)), None)


def check_cells(names: tuple[str, ...]) -> None:
    """SpecError for a name that is no cell of the library."""
    known = set(cell_names())
    for name in names:
        if name not in known:
            near = sorted(other for other in known if base_name(other) == base_name(name))
            raise SpecError(f"cell must be one of {len(known)} of the library, not {name!r}"
                            + (f"; there are {', '.join(near)}" if near else ""))
