"""The Yosys script of a synthesis: pure text from a spec, in stages that a run reports one by one.

Why these passes and in this order:
- Enables and synchronous resets stay multiplexers (-nodffe -nosdff): the library's flops with them are not used.
- Registers are named and split into bits at once, before any pass renames or merges their wires.
- `booth` before `alumacc`, which would take the multipliers' sums apart otherwise.
- Adders become carry-lookahead cells ($lcu), which the goal "delay" maps to Kogge-Stone prefix trees.
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
REGISTERS = "registers.v"
NAME_REGISTERS = "rename -wire -suffix _reg t:$dff"
NO_ENABLES = "-nodffe -nosdff"
ADDERS = {"area": "techmap", "delay": "techmap -map +/choices/kogge-stone.v\ntechmap"}
SIZING = "topo; buffer -c -N {fanout} -p; topo; upsize -D {time}; dnsize -D {time}; stime -p"
MAPPING = {
    "area": f"strash; ifraig; scorr; dc2; dch -f; map -a; {SIZING}",
    "delay": f"strash; dch; if -g; dch; if -g; strash; dch -f; map -B 0.9 -D {{time}}; {SIZING}",
}
"""abc's commands. `if -g` rebuilds logic by delay instead of area: without it prefix adders come out as long chains."""


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
    return [*front_stages(top, sources, black_boxes), *arithmetic_stages(spec), *mapping_stages(spec, library)]


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
"""),
    ]


def arithmetic_stages(spec: SynthesisSpec) -> list[Stage]:
    """Word-level optimisation, multipliers and adders down to Yosys' own gates."""
    return [
        Stage("arithmetic", f"""
wreduce
peepopt
opt_clean
booth
alumacc
share
opt -full {NO_ENABLES}
"""),
        Stage("gates", f"""
{ADDERS[spec.goal]}
opt -fast {NO_ENABLES}
"""),
    ]


def mapping_stages(spec: SynthesisSpec, library: Library) -> list[Stage]:
    """Flip-flops, logic, ties and names; then the netlist is checked and written."""
    refused = " ".join(f"-dont_use {cell}" for cell in sorted(library.refused))
    mapping = MAPPING[spec.goal].format(fanout=spec.max_fanout, time=spec.logic_time_ps)
    buffer, (high, high_pin), (low, low_pin) = " ".join(library.buffer), library.tie(1), library.tie(0)
    return [
        Stage("flip-flops", f"""
dfflibmap -liberty {LIBERTY} {refused}
opt -fast {NO_ENABLES}
"""),
        Stage("map", f"""
abc -liberty {LIBERTY} {refused} -constr {CONSTRAINTS} -D {spec.logic_time_ps} -script +{mapping.replace(' ', ',')}
opt_clean -purge
"""),
        Stage("names", f"""
setundef -zero
hilomap -hicell {high} {high_pin} -locell {low} {low_pin}
splitnets -format __
opt_clean -purge
insbuf -buf {buffer}
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
