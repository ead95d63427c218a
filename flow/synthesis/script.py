"""The Yosys script of a synthesis: pure text from a spec, in stages that a run reports one by one.

Why these passes and in this order:
- Registers are named and split into bits at once, before any pass renames or merges their wires.
- From then on they are kept: merging those with equal inputs and enables would be right only once they are loaded.
- Registers that share an enable get a clock that it gates, enough of them a gate; the others' enables, and all
  synchronous resets, are multiplexers (-nodffe -nosdff): the library's flops with them are not used.
- Products and sums of many terms are rows of full adders in the RTL (rtl/carry_save.py), their last additions
  Sklansky's prefix trees here. For area `extract_fa` finds the full adders again, for the library's cell.
- abc's cache of libraries is off: it is shared by all runs of a user.
- abc buffers what flip-flops and ports drive only when it knows what drives them: hence the driving cell.
- Nets are split and names unescaped at the end, so that every tool behind reads the same plain names; a flip-flop
  has the name of its register.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flow.synthesis.library import Library
from flow.synthesis.spec import SynthesisSpec

LIBERTY, CONSTRAINTS, NETLIST, NETLIST_JSON = "cells.lib", "abc.constr", "netlist.v", "netlist.json"
STAGE = "stage: "
OUTPUT_LOAD_FF = 10.0
"""At the end of a path, for the mapper: the data pin of a flip-flop and some 50 um of wire."""
SEPARATOR = "__"
REGISTERS, FULL_ADDER, FULL_ADDER_CELL = "registers.v", "full_adder.v", "full_adder_cell.v"
NAME_REGISTERS = "rename -wire -suffix _reg t:$dff"
NO_ENABLES = "-nodffe -nosdff"
LOGIC = "t:* t:$fa %d"
"""Selects all but full adders."""
RULES = {"techmap.v": "techmap.v", "sklansky.v": "choices/sklansky.v"}
"""Yosys' own rules by the name of their copy in the run's folder: where a rule was read from gets into names, and the
order of names into the netlist, which must be the same wherever Yosys is installed."""
GENERIC = " ".join(["techmap", *(f"-map {name}" for name in RULES)])
MAPPING = ("strash; &get -n; &fraig -x; &dch -f; &nf -D {time}; &put; topo; buffer -N {fanout} {heed} -p; topo; "
           "upsize -c -D {time}; dnsize -c -D {time}; stime -c -p")
"""abc's commands. `&nf` takes the small cells wherever the time allows; `-c` counts the wire loads of cells.lib, and in
`buffer` puts in more buffers for them, which is for delay."""


@dataclass(frozen=True)
class Stage:
    """Some passes with a name that progress and the log show."""

    name: str
    passes: str


def script_text(stages: Sequence[Stage]) -> str:
    """The script as Yosys reads it, a pass a line; each stage begins by logging its name."""
    return "\n".join(f"log {STAGE}{stage.name}\n{stage.passes.strip()}\n" for stage in stages)


def synthesis_stages(spec: SynthesisSpec, library: Library, top: str, sources: Sequence[str],
                     black_boxes: Sequence[str] = ()) -> list[Stage]:
    """All stages from Verilog to netlist.

    sources, black_boxes: Verilog files in the run's folder; of the latter only the ports are read.
    """
    return [*front_stages(top, sources, black_boxes), gating_stage(spec, library), *arithmetic_stages(spec, library),
            *mapping_stages(spec, library)]


def front_stages(top: str, sources: Sequence[str], black_boxes: Sequence[str] = ()) -> list[Stage]:
    """Reads and flattens the design and names its registers; Yosys ends with an error for latches, falling clocks,
    loops, and nets with two drivers or none.

    The proof of equivalence begins with the same stages: what it compares a netlist with is the result of these.
    """
    read = [f"read_liberty -lib -ignore_miss_func {LIBERTY}"]
    read += [f"read_verilog -sv -lib {name}" for name in black_boxes]
    read += [f"read_verilog {name}" for name in sources]
    return [
        Stage("read", "\n".join([*read, f"hierarchy -check -top {top}"])),
        Stage("flatten", f"""
proc
check -assert -nolatches
select -assert-none t:$dff r:CLK_POLARITY=1'0 %i
{NAME_REGISTERS}
flatten -noscopeinfo -separator {SEPARATOR}
opt_expr
opt_clean
check -assert -nolatches
opt {NO_ENABLES}
"""),
        Stage("registers", f"""
memory -nordff -nomap
memory_map
{NAME_REGISTERS}
techmap -map {REGISTERS} t:$dff
opt -full {NO_ENABLES}
setattr -set keep 1 t:$_DFF_P_
"""),
    ]


def gating_stage(spec: SynthesisSpec, library: Library) -> Stage:
    """Enables out of the registers' multiplexers, and gated clocks for those that enough registers share.

    Between the two passes of worker.py registers lose their names and get them back.
    """
    gate = library.clock_gate
    enable, clock, out = gate.roles
    return Stage("clock gates", f"""
note_registers
opt_dff -nosdff
opt -full {NO_ENABLES}
clockgate -pos {gate.name} {enable}:{clock}:{out} -min_net_size {spec.min_gated}
dffunmap -ce-only
name_registers {gate.name} {out}
opt -full {NO_ENABLES}
""")


def arithmetic_stages(spec: SynthesisSpec, library: Library) -> list[Stage]:
    """Word-level optimisation, then adders down to Yosys' own gates, full adders to the library's cells if wanted."""
    found = f"""
extract_fa -fa
techmap -map {FULL_ADDER} t:$fa
techmap -map techmap.v {LOGIC}
opt -fast {NO_ENABLES}
techmap -map {FULL_ADDER_CELL} t:$fa
""" if spec.uses_full_adders else ""
    return [
        Stage("arithmetic", f"""
wreduce
peepopt
opt_clean
alumacc
opt -full {NO_ENABLES}
"""),
        Stage("gates", f"""
{GENERIC}
opt -fast {NO_ENABLES}
{found}"""),
    ]


def mapping_stages(spec: SynthesisSpec, library: Library) -> list[Stage]:
    """Flip-flops, logic, ties and names; then the netlist is checked and written."""
    refused = " ".join(f"-dont_use {cell}" for cell in sorted(library.refused))
    mapping = MAPPING.format(fanout=spec.max_fanout, time=spec.logic_time_ps,
                             heed="" if spec.uses_full_adders else "-c")
    buffer, (high, high_pin), (low, low_pin) = " ".join(library.buffer), library.tie(1), library.tie(0)
    return [
        Stage("flip-flops", f"""
dfflibmap -liberty {LIBERTY} {refused}
opt -fast {NO_ENABLES}
"""),
        Stage("map", f"""
libcache -scl -disable
abc -liberty {LIBERTY} {refused} -constr {CONSTRAINTS} -D {spec.logic_time_ps} -script +{mapping.replace(' ', ',')}
setattr -unset keep a:register
opt_clean -purge
"""),
        Stage("names", f"""
setundef -zero
hilomap -hicell {high} {high_pin} -locell {low} {low_pin}
splitnets -format __
sort_names
opt_clean -purge
insbuf -buf {buffer}
limit_fanout {spec.max_fanout} {" ".join(library.strong_buffer)}
rename -unescape
opt_clean -purge
rename -enumerate -pattern _%_
check -mapped -assert
"""),
        Stage("write", f"""
write_verilog -noattr {NETLIST}
write_json {NETLIST_JSON}
"""),
    ]


def constraints_text(library: Library) -> str:
    """abc's constraints: the smallest buffer stands for a flip-flop as the driver of each path."""
    return f"set_driving_cell {library.buffer[0]}\nset_load {OUTPUT_LOAD_FF} [all_outputs]\n"


def full_adder_text(library: Library) -> str:
    """The rule that makes the library's cell of a full adder."""
    adder = library.full_adder
    pins = ", ".join(f".{pin}({port})" for pin, port in zip((*adder.inputs, adder.carry, adder.total), "ABCXY",
                                                           strict=True))
    return ('(* techmap_celltype = "$fa" *)\nmodule stillwater_full_adder_cell #(parameter WIDTH = 1) '
            "(input A, input B, input C, output X, output Y);\n"
            f"    {adder.cell} _TECHMAP_REPLACE_ ({pins});\nendmodule\n")
