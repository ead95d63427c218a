"""One cell at one corner, whatever kind of cell it is."""

from pathlib import Path

from flow.characterise.combinational import characterise_combinational
from flow.characterise.corner import Corner
from flow.characterise.extract import extract_cell
from flow.characterise.function import load_function
from flow.characterise.ngspice import Simulator
from flow.characterise.result import CellResult


def characterise_cell(name: str, corner: Corner, simulator: Simulator, extractions: Path) -> CellResult:
    """Extracts the cell (or takes the stored extraction) and measures it. SpecError for a cell of an unknown kind."""
    function = load_function(name)
    cell = extract_cell(name, extractions)
    if function.storage is None:
        return characterise_combinational(cell, function, corner, simulator)
    from flow.characterise.sequential import characterise_sequential
    return characterise_sequential(cell, function, corner, simulator)
