"""Synthesis of a design: its exported Verilog to a flat netlist of the kit's cells, checked and counted.

The result is build/<design>-<pdk>/synthesis: netlist.v for every tool behind, netlist.json for our own steps, the
Verilog that it was made from, the Yosys script and its log. The same inputs give the same bytes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from flow.metrics import Metrics, Value
from flow.pdk.tree import Pdk
from flow.sram import verilog
from flow.sram.spec import SramSpec
from flow.step import Step, Work, run_step_once, sources_sha256
from flow.synthesis import script
from flow.synthesis.equivalence import GATE_JSON, RTL_JSON
from flow.synthesis.library import Library, load_library, with_wire_loads
from flow.synthesis.netlist import Netlist, check_netlist, measure_netlist, parse_netlist
from flow.synthesis.prove import prove
from flow.synthesis.script import (
    CONSTRAINTS,
    FULL_ADDER,
    FULL_ADDER_CELL,
    LIBERTY,
    NETLIST,
    NETLIST_JSON,
    REGISTERS,
    RULES,
    constraints_text,
    full_adder_text,
    synthesis_stages,
)
from flow.synthesis.spec import SynthesisSpec, why_not
from flow.synthesis.yosys import run_yosys, yosys_rules, yosys_version
from golden.spec import SpecError
from golden.weights import load_weights
from rtl.config import DesignConfig
from rtl.export import export_verilog

SOURCES = ("flow/synthesis/*", "flow/steps/synthesis.py", "flow/sram/verilog.py", "flow/sram/verilog/*",
           "pdk_configs/*", "rtl/**/*.py", "rtl/verilog/*", "golden/*.py")
PACKAGES = ("pyosys", "pyrtl")
CLOCK_GATE = Path(__file__).resolve().parents[1] / "synthesis" / "clock_gate.v"
REGFILE = Path(__file__).resolve().parents[2] / "rtl" / "verilog" / "stillwater_regfile.v"
REGISTER_RULE = Path(script.__file__).with_name(REGISTERS)
RTL, BINDING = "rtl", "stillwater_sram.v"


@dataclass(frozen=True)
class DesignSources:
    """The Verilog of a design in the step's folder.

    files, black_boxes: relative to the folder; of the latter only the ports count.
    macros:               the modules that stay black boxes.
    """

    files: tuple[str, ...]
    black_boxes: tuple[str, ...]
    macros: tuple[str, ...]


def run_synthesis(design: DesignConfig, design_file: Path, pdk: Pdk, build: Path, spec: SynthesisSpec | None = None,
                  liberty: Path | None = None) -> Metrics:
    """Synthesises a design, unless a result of the same inputs is there already.

    spec:    None: for the design's clock, with the defaults.
    liberty: another library than the kit's for the spec's corner.
    SpecError, before any work, for a missing library; ToolError, naming the stage, when Yosys fails.
    """
    spec = spec or SynthesisSpec(clock_period_ns=design.clock_period_ns)
    cells = liberty or pdk.liberty(spec.corner)
    yosys_version()
    step = Step("synthesis", run=partial(synthesise, design, pdk, spec),
                required_metrics=("design__instance__count", "design__instance__area__stdcell"))
    config = {"design": design.name, "pdk": pdk.config.name, "spec": spec,
              "sources_sha256": sources_sha256(SOURCES, PACKAGES)}
    return run_step_once(step, build / f"{design.name}-{pdk.config.name}" / "synthesis", config=config,
                         inputs=[design_file, design.weights_path, cells])


def synthesise(design: DesignConfig, pdk: Pdk, spec: SynthesisSpec, work: Work) -> dict[str, Value]:
    """Runs Yosys in the step's folder, checks the netlist and returns its metrics."""
    liberty = work.inputs[2]
    library = load_library(liberty, partial(why_not, spec=spec, pdk=pdk.config))
    sources = write_sources(design, work.folder)
    netlist = map_design(spec, library, liberty, design.module_name, sources, work)
    return measure_netlist(netlist, library)


def run_equivalence(design: DesignConfig, pdk: Pdk, build: Path, spec: SynthesisSpec | None = None,
                    liberty: Path | None = None) -> Metrics:
    """Proves that the netlist of a finished synthesis does what its RTL says; SpecError when it does not."""
    spec = spec or SynthesisSpec(clock_period_ns=design.clock_period_ns)
    cells = liberty or pdk.liberty(spec.corner)
    folder = build / f"{design.name}-{pdk.config.name}"
    sources = sorted((folder / "synthesis" / RTL).glob("*.v"))
    step = Step("equivalence", run=partial(prove_design, design),
                required_metrics=("synthesis__equivalence__register__count",))
    config = {"design": design.name, "sources_sha256": sources_sha256(SOURCES, PACKAGES)}
    return run_step_once(step, folder / "equivalence", config=config,
                         inputs=[folder / "synthesis" / NETLIST, cells, *sources])


def prove_design(design: DesignConfig, work: Work) -> dict[str, Value]:
    """Copies netlist, library and sources into the step's folder and proves them equal there."""
    netlist, liberty, *sources = work.inputs
    (work.folder / RTL).mkdir()
    shutil.copyfile(netlist, work.folder / NETLIST)
    shutil.copyfile(REGISTER_RULE, work.folder / REGISTERS)
    (work.folder / LIBERTY).symlink_to(liberty.resolve())
    for path in sources:
        shutil.copyfile(path, work.folder / RTL / path.name)
    macros = [path.stem for path in sources if path.name.startswith(f"{design.datapath.memory}_")]
    boxes = [f"{RTL}/{name}.v" for name in macros]
    files = [f"{RTL}/{path.name}" for path in sources if path.stem not in macros]
    with shown_stages(f"{design.module_name}: equivalence") as on_stage:
        proof = prove(design.module_name, files, boxes, macros, work.folder, work.log, NETLIST, on_stage=on_stage)
    for name in (LIBERTY, RTL_JSON, GATE_JSON):    # large, and made again by the scripts
        (work.folder / name).unlink()
    return {"synthesis__equivalence__register__count": proof.n_registers,
            "synthesis__equivalence__output__count": proof.n_outputs,
            "synthesis__equivalence__removed_register__count": len(proof.removed)}


def map_design(spec: SynthesisSpec, library: Library, liberty: Path, top: str, sources: DesignSources,
               work: Work) -> Netlist:
    """Runs the stages on sources in the step's folder; the checked netlist."""
    (work.folder / CONSTRAINTS).write_text(constraints_text(library), encoding="utf-8")
    shutil.copyfile(REGISTER_RULE, work.folder / REGISTERS)
    for name, original in RULES.items():
        shutil.copyfile(yosys_rules(original), work.folder / name)
    if spec.uses_full_adders:
        shutil.copyfile(REGISTER_RULE.with_name(FULL_ADDER), work.folder / FULL_ADDER)
        (work.folder / FULL_ADDER_CELL).write_text(full_adder_text(library), encoding="utf-8")
    cells = work.folder / LIBERTY                  # by one name, so that no path of this machine gets into names
    text = liberty.read_text(encoding="utf-8", errors="replace")
    cells.write_text(with_wire_loads(text, spec.wire_ff_a_sink, spec.max_fanout, str(liberty)), encoding="utf-8")
    stages = synthesis_stages(spec, library, top, sources.files, sources.black_boxes)
    with shown_stages(f"{top}: synthesis") as on_stage:
        run_yosys(stages, work.folder, work.log, on_stage=on_stage)
    cells.unlink()                                 # large, and the library's but for the wires
    netlist = parse_netlist((work.folder / NETLIST_JSON).read_bytes(), top, sources.macros)
    check_netlist(netlist, library)
    return netlist


def write_sources(design: DesignConfig, folder: Path) -> DesignSources:
    """The design's Verilog into folder/rtl, with what its memories are: flip-flops, or macros as black boxes."""
    rtl = folder / RTL
    qmodel = load_weights(design.weights_path, design.model, design.quant, design.reference).qmodel
    files = [path.name for path in export_verilog(design, qmodel, rtl).values()]
    memory, black_boxes, macros = design.datapath.memory, [], []
    if memory == "flipflop":
        shutil.copyfile(REGFILE, rtl / REGFILE.name)
        files.append(REGFILE.name)
    elif memory == "flexmem":
        spec = SramSpec.parse(f"{design.datapath.bank_words}x{design.datapath.word_bits}")
        (rtl / BINDING).write_text(verilog.build_binding(spec), encoding="utf-8")
        (rtl / f"{spec.name}.v").write_text(verilog.build_model(spec), encoding="utf-8")
        shutil.copyfile(CLOCK_GATE, rtl / CLOCK_GATE.name)
        files += [BINDING, CLOCK_GATE.name]
        black_boxes.append(f"{spec.name}.v")
        macros.append(spec.name)
    else:
        raise SpecError(f"synthesis binds the memories flexmem and flipflop, not {memory!r} yet "
                        f"({design.reference}: datapath.memory)")
    return DesignSources(tuple(f"{RTL}/{name}" for name in sorted(files)),
                         tuple(f"{RTL}/{name}" for name in black_boxes), tuple(macros))


@contextmanager
def shown_stages(title: str, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Gives on_stage(name): on a terminal the stage at work, elsewhere a line at the start and one with the time."""
    console, start = console or Console(), time.perf_counter()
    if console.is_terminal:
        with console.status(title) as status:
            yield lambda stage: status.update(f"{title}: {stage}")
    else:
        console.print(f"{title} ...", highlight=False)
        yield lambda stage: None
    console.print(f"{title}: {time.perf_counter() - start:.1f} s", highlight=False)
