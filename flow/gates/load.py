"""A design's final netlist with everything that simulating it and its power need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrtl import Block

from flow.characterise.liberty_read import Group, load_liberty
from flow.gates.circuit import Circuit, build_circuit
from flow.gates.functions import CellFunction, cell_functions
from flow.gates.observer import Observer, build_observer
from flow.pdk.tree import Pdk
from flow.physical.abstract import CellAbstract, load_cells
from flow.physical.def_read import load_def
from flow.physical.design import Design
from flow.physical.netlist import Netlist, check_netlist
from flow.physical.technology import TECH_LEF, load_technology
from flow.physical.verilog import load_netlist
from flow.simulate.cases import Case
from flow.sram.spec import SramSpec
from golden.dataset import check_fits_model, load_dataset
from golden.spec import SpecError
from golden.weights import load_weights
from rtl.config import DesignConfig
from rtl.cycles import step_cycles
from rtl.top import build_core

CORNER = "tt_025C_1v80"
"""Functions are the same at every corner; power is told at this one."""


@dataclass(frozen=True)
class Gates:
    """layout: None where the netlist came as Verilog. library: of the standard cells that the netlist has. block: the
    core as PyRTL has it."""

    design: DesignConfig
    case: Case
    netlist: Netlist
    layout: Design | None
    cells: Mapping[str, CellAbstract]
    library: Group
    functions: Mapping[str, CellFunction]
    macros: Mapping[str, SramSpec]
    block: Block
    observer: Observer
    circuit: Circuit

    @property
    def has_c(self) -> bool:
        return any(cell.kind == "lstm" for cell in self.design.model.cells)


def load_gates(design: DesignConfig, netlist_file: Path, pdk: Pdk, macro_lefs: Sequence[Path]) -> Gates:
    """Reads a netlist (.v) or layout (.def) of a design; SpecError says what of it cannot be simulated."""
    weights = load_weights(design.weights_path, design.model, design.quant, design.reference)
    dataset = load_dataset(design.data, f"{design.file_name}: data")
    check_fits_model(dataset, design.model, design.file_name)
    qmodel = weights.qmodel
    case = Case(design, qmodel, qmodel.quantize_input(dataset.x_test), dataset.lengths_test)
    cells = load_cells(pdk, macro_lefs)
    layout = load_def(netlist_file, load_technology(pdk)) if netlist_file.suffix == ".def" else None
    netlist = layout.netlist if layout else load_netlist(netlist_file, design.module_name, cells)
    check_netlist(netlist, cells)
    macros = macro_specs(design, netlist, cells)
    used = sorted(set(netlist.instances.values()) - set(macros))
    where = pdk.liberty(CORNER)
    library = load_liberty(where, set(used))
    functions = cell_functions(library, used, str(where))
    block = build_core(design, qmodel)
    observer = build_observer(block, netlist)
    circuit = build_circuit(netlist, functions, macros, observer)
    return Gates(design, case, netlist, layout, cells, library, functions, macros, block, observer, circuit)


def netlist_inputs(design: DesignConfig, netlist_file: Path, pdk: Pdk, macro_lefs: Sequence[Path]) -> list[Path]:
    """The files that `load_gates` reads."""
    return [netlist_file, design.weights_path, pdk.liberty(CORNER), pdk.view(TECH_LEF), pdk.view("lef"), *macro_lefs]


def macro_specs(design: DesignConfig, netlist: Netlist, cells: Mapping[str, CellAbstract]) -> dict[str, SramSpec]:
    """The macros of the netlist; SpecError for one that is not the design's memory."""
    found = sorted({cell for cell in netlist.instances.values() if cells[cell].is_macro})
    if not found:
        return {}
    datapath = design.datapath
    spec = SramSpec(datapath.bank_words, datapath.word_bits) if datapath.memory == "flexmem" else None
    if spec is None or found != [spec.name]:
        raise SpecError(f"the macros of the netlist must be the memory of {design.file_name} "
                        f"({datapath.memory} {datapath.bank_words}x{datapath.word_bits}), not {', '.join(found)}")
    return {spec.name: spec}


def first_sequences(case: Case, max_cycles: int) -> Case:
    """As many sequences as are done in so many cycles at full speed, at least one a stream."""
    streams = case.design.datapath.streams
    budget, n = max_cycles * streams // step_cycles(case.design, emit=True), 0
    for length in case.lengths:
        budget -= int(length)
        if budget < 0:
            break
        n += 1
    return case.first(max(n, streams))
