"""What the stages of one design's layout share: the design, its demands, the kit, and where results lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flow.asic_spec import AsicSpec, load_asic_spec
from flow.pdk.tree import Pdk
from flow.sram.spec import SramSpec
from flow.tool import find_tool
from golden.spec import SpecError
from golden.weights import load_weights
from rtl.config import DesignConfig, find_design, load_design

TOOLS = ("sta", "klayout", "verilator", "iverilog", "ngspice")
"""Programs that stages run."""


@dataclass(frozen=True)
class Chip:
    """A design on its way to a layout.

    file:   the design file. build: where all results are; `folder` is this design's.
    macros: the SRAM macros that its memories are made of; none for flip-flop memories.
    """

    design: DesignConfig
    file: Path
    spec: AsicSpec
    pdk: Pdk
    build: Path
    macros: tuple[SramSpec, ...]

    @property
    def folder(self) -> Path:
        return self.build / f"{self.design.name}-{self.pdk.config.name}"

    @property
    def top(self) -> str:
        return self.design.module_name

    @property
    def macro_views(self) -> dict[str, Path]:
        """Macro -> its LEF; GDS, CDL and Verilog of the same name are beside it."""
        return {macro.name: self.macro_folder(macro) / "macro" / f"{macro.name}.lef" for macro in self.macros}

    def macro_folder(self, macro: SramSpec) -> Path:
        return self.build / "sram" / macro.name

    def macro_liberty(self, corner: str) -> list[Path]:
        """The macros' Liberty files of a corner."""
        return [self.macro_folder(macro) / "liberty" / f"{macro.name}__{corner}.lib" for macro in self.macros]

    def result(self, stage: str, name: str) -> Path:
        """A file that a stage has left."""
        return self.folder / stage / name


def load_chip(reference: str | Path, pdk: Pdk, build: Path) -> Chip:
    """A design, checked for everything that can be told before long work; SpecError otherwise."""
    design = load_design(reference)
    return Chip(design, find_design(reference), load_asic_spec(design), pdk, build, macros_of(design))


def macros_of(design: DesignConfig) -> tuple[SramSpec, ...]:
    """The SRAM macros of a design; SpecError for a memory that this back end cannot place."""
    memory = design.datapath
    if memory.memory == "openram":
        raise SpecError("memory must be flexmem or flipflop to be placed and routed here, not openram: the embedded "
                        f"back end does not place its macros yet ({design.file_name}: datapath.memory)")
    return (SramSpec.parse(f"{memory.bank_words}x{memory.word_bits}"),) if memory.memory == "flexmem" else ()


def check_chips(references: Iterable[str]) -> None:
    """What can be wrong with designs and tools before the first long step; SpecError says which and what to do."""
    for command in TOOLS:
        find_tool(command)
    for reference in references:
        design = load_design(reference)
        macros_of(design)
        load_asic_spec(design)
        load_weights(design.weights_path, design.model, design.quant, design.reference)
