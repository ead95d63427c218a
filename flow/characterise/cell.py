"""One cell at one corner, whatever kind of cell it is."""

from pathlib import Path

from flow.characterise.combinational import characterise_combinational
from flow.characterise.corner import Corner
from flow.characterise.extract import extract_cell
from flow.characterise.function import load_function
from flow.characterise.ngspice import Simulator
from flow.characterise.result import CellResult
from flow.characterise.sequential import characterise_sequential
from flow.characterise.static import is_static, static_cell


def characterise_cell(name: str, corner: Corner, simulator: Simulator, extractions: Path) -> CellResult:
    """Extracts the cell (or takes the stored extraction) and measures it. SpecError for a cell of an unknown kind."""
    if is_static(name):
        return static_cell(name, corner, simulator)
    function = load_function(name)
    cell = extract_cell(name, extractions)
    if function.storage is None:
        return characterise_combinational(cell, function, corner, simulator)
    return characterise_sequential(cell, function, corner, simulator)
