"""Cells without timing: ties, fillers, taps and decoupling capacitors. Their area is measured, nothing is simulated."""

import re

from flow.characterise.corner import Corner
from flow.characterise.function import liberty_text, load_function
from flow.characterise.kit import cell_file
from flow.characterise.result import CellResult, Pin
from golden.spec import SpecError

STATIC = re.compile(r"conb_1|fill_\d+|decap_\d+|tap_\d+|tapvpwrvgnd_1")
SIZE = re.compile(r"^\s*SIZE\s+([\d.]+)\s+BY\s+([\d.]+)", re.MULTILINE)
LARGEST_TIE_LOAD_PF = 0.1
"""A tie drives no transitions: the limit only keeps its fanout reasonable."""


def is_static(cell: str) -> bool:
    """Whether a cell is one without timing.

    >>> is_static("conb_1"), is_static("fill_8"), is_static("inv_1")
    (True, True, False)
    """
    return STATIC.fullmatch(cell) is not None


def static_cell(cell: str, corner: Corner) -> CellResult:
    """Area (of its LEF), and a tie's outputs with their constants; leakage is not measured and not written."""
    size = SIZE.search(cell_file(cell, "lef").read_text())
    if size is None:
        raise SpecError(f"the LEF of {cell} must have a SIZE, and has not")
    pins = ()
    if cell.startswith("conb"):
        pins = tuple(Pin(name, "output", liberty_text(expression), LARGEST_TIE_LOAD_PF)
                     for name, expression in load_function(cell).outputs.items())
    return CellResult(cell, corner.name, round(float(size[1]) * float(size[2]), 4), pins, (), (), ())
