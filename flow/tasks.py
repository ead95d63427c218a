"""What the tasks of dodo.py do. Heavy modules are imported where they are used: the menu must come at once."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from shutil import rmtree
from typing import Any

import yaml
from doit.exceptions import TaskFailed

from flow.parameters import OPENRAM_MACROS, ROOT, DesignFile
from golden.spec import SpecError

BUILD = ROOT / "build"
SOURCES = tuple(f"{package}/**/*{end}" for package in ("golden", "rtl", "flow")
                for end in (".py", ".v", ".sv", ".c", ".cpp", ".h"))
INTERRUPTED = 130
"""What a shell reports of a program that SIGINT ended."""

SIMULATORS = ("gcc", "g++", "verilator", "iverilog")


def entry(action: Callable, *args: Any, group: str | None = None, announce: bool = True, **task: Any) -> dict:
    """A doit task of one action, whose bad input ends as a message instead of a traceback."""
    return {"actions": [(explained(action), args)], "io": {"capture": False},
            "meta": {"group": group, "announce": announce}, **task}


def group(name: str, heading: str, doc: str) -> dict:
    """The task that stands for all its subtasks, under a heading of the menu."""
    return {"basename": name, "name": None, "actions": None, "doc": doc, "meta": {"group": heading, "announce": False}}


def explained(action: Callable) -> Callable:
    """The action; a SpecError that it raises is the task's failure, told in one message, and so is Ctrl-C."""
    @wraps(action)
    def run(*args: Any) -> Any:
        try:
            return action(*args)
        except SpecError as error:
            return TaskFailed(str(error))
        except KeyboardInterrupt:
            print("\ninterrupted; what was finished is kept, and the next call goes on from there", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None
    return run


def sources_of(design: DesignFile) -> list[str]:
    """Everything that a design's results are made from; doit itself does not see imported modules."""
    files = {path for pattern in SOURCES for path in ROOT.glob(pattern)} | {design.path, ROOT / "requirements.lock"}
    own = (weights_file(design), data_file(design))
    return sorted(map(str, files | {path for path in own if path and path.is_file()}))


def weights_file(design: DesignFile) -> Path | None:
    """A design's trained network; None where its file names none (loading it will tell what is wrong)."""
    folder = ROOT / "golden" / "trained" if design.is_shipped else design.path.parent
    return named_file(design, folder, "weights")


def data_file(design: DesignFile) -> Path | None:
    """The user's own data; None for a public data set."""
    return named_file(design, design.path.parent, "data", "path")


def named_file(design: DesignFile, folder: Path, *keys: str) -> Path | None:
    """The file that a field of the design file names; None where there is no such field."""
    try:
        value = yaml.load(design.path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for key in keys:
            value = value[key]
        return folder / value
    except Exception:                              # whatever is wrong with it, loading the design will tell
        return None


def one_a_weights_file(designs: Iterable[DesignFile]) -> list[DesignFile]:
    """The designs without those whose network an earlier one trains as well."""
    first: dict[Any, DesignFile] = {}
    for design in designs:
        first.setdefault(weights_file(design) or design.path, design)
    return list(first.values())


def same_simulators(task: Any, values: dict) -> bool:
    """For doit's `uptodate`: the simulators are the versions that the last result was made with."""
    from flow.tool import ToolError, tool_version
    try:
        versions = {command: tool_version(command) for command in SIMULATORS}
    except ToolError:
        return False                               # the step will say which one is missing
    task.value_savers.append(lambda: {"simulators": versions})
    return values.get("simulators") == versions


def sim_result(design: DesignFile) -> Path:
    return BUILD / f"{design.name}-sim" / "metrics.json"


def remove_results(design: DesignFile, step: str) -> None:
    for end in ("", ".unfinished", ".old"):
        rmtree(BUILD / f"{design.name}-{step}{end}", ignore_errors=True)


def remove_simulators() -> None:
    """Compiled simulators, which designs share."""
    rmtree(BUILD / "simulators", ignore_errors=True)


def check_sim(design: DesignFile) -> None:
    from flow.steps.sim import check_inputs
    check_inputs(design.reference)


def sim(design: DesignFile, designs: list[DesignFile]) -> None:
    """One design of several; when it fails, the table of those before it is printed all the same."""
    from flow.steps.sim import run_sim
    try:
        run_sim(design.reference, BUILD)
    except SpecError:
        before = [d for d in designs[: designs.index(design)] if sim_result(d).is_file()]
        if before:
            print_sim_table(before, failed=design.name)
        raise


def print_sim_table(designs: list[DesignFile], failed: str | None = None) -> None:
    from flow.metrics import load_metrics
    from flow.steps.sim import print_table
    print_table([load_metrics(sim_result(design)) for design in designs], failed=failed)


def asic(design: DesignFile, designs: list[DesignFile]) -> None:
    """One design of several; before the first, what can be told of all of them without long work."""
    from flow.asic import run_asic
    from flow.chip import check_chips
    from flow.steps.asic_table import print_asic
    from flow.steps.pdk import run_pdk
    if design == designs[0]:
        check_chips([each.reference for each in designs])
    kit = run_pdk(BUILD)
    results = run_asic(design.reference, kit, BUILD)
    print_asic(design.name, results, BUILD / f"{design.name}-{kit.config.name}",
               {name: corner.process for name, corner in kit.config.corners.items()})


def remove_layout(design: DesignFile) -> None:
    for folder in BUILD.glob(f"{design.name}-sky130*"):
        rmtree(folder, ignore_errors=True)


def export(design: DesignFile) -> None:
    from flow.steps.export import run_export
    run_export(design.reference, BUILD)


def train(design: DesignFile, designs: list[DesignFile]) -> None:
    """One design of several; before the first, the inputs of all are checked."""
    from golden.train import load_training_data, train_design
    from rtl.config import load_design
    if design == designs[0]:
        for each in designs:
            load_training_data(load_design(each.reference))
    train_design(load_design(design.reference))


def pdk() -> None:
    from flow.steps.pdk import print_pdk, run_pdk
    print_pdk(run_pdk(BUILD), BUILD)


def remove_pdk() -> None:
    rmtree(BUILD / "pdk", ignore_errors=True)


def sram(words: tuple[str, ...], designs: list[DesignFile]) -> None:
    """The macros of these shapes and names; without any, of those that the designs' memories are made of."""
    from flow.sram.openram import find_openram
    from flow.steps.openram import print_openram, run_openram
    from flow.steps.pdk import run_pdk
    from flow.steps.sram import print_licence, print_sram, run_sram, specs_of
    wanted = words or macros_of(designs)
    kit = run_pdk(BUILD)
    ready_made = [find_openram(word, kit.config) for word in wanted if word in OPENRAM_MACROS]
    generated = specs_of([word for word in wanted if word not in OPENRAM_MACROS])
    for spec in ready_made:                        # first: a tree that lacks one is found before the long work
        print_openram(spec, run_openram(spec, kit, BUILD), kit, BUILD)
    for spec in generated:
        print_sram(spec, run_sram(spec, kit, BUILD), BUILD)
    if generated:
        print_licence()
    if not wanted:
        print("these designs have no SRAM macro")


def sramlib(words: tuple[str, ...], corners: tuple[str, ...] | None, keep: bool, designs: list[DesignFile]) -> None:
    """Liberty of generated macros at the corners (None: all); the views are made first where they are not there.

    keep: takes the measurements into pdk_configs/sram.
    """
    from flow.characterise.corner import CORNERS, find_corner
    from flow.steps.pdk import run_pdk
    from flow.steps.sram import (
        keep_or_compare,
        print_electrical,
        print_licence,
        print_sram,
        run_electrical,
        run_sram,
        specs_of,
    )
    wanted = tuple(find_corner(corner).name for corner in corners or tuple(CORNERS))
    if keep and set(wanted) != set(CORNERS):
        raise SpecError(f"keep=yes needs all corners ({', '.join(CORNERS)}), not corner={','.join(wanted)}")
    ready_made = [word for word in words if word in OPENRAM_MACROS]
    if ready_made:
        raise SpecError(f"words must be of generated macros, not {', '.join(ready_made)}: these come with their "
                        "Liberty (./stillwater sram)")
    shapes = [word for word in words or macros_of(designs) if word not in OPENRAM_MACROS]
    kit = run_pdk(BUILD)
    for spec in specs_of(shapes):
        print_sram(spec, run_sram(spec, kit, BUILD), BUILD)
        print_electrical(spec, wanted, run_electrical(spec, kit, wanted, BUILD))
        keep_or_compare(spec, wanted, BUILD, keep)
    print_licence() if shapes else print("these designs have no generated SRAM macro")


def macros_of(designs: Iterable[DesignFile]) -> list[str]:
    """What the designs' memories are made of, each once: words x bits of flexmem macros, names of OpenRAM ones."""
    from flow.pdk.config import load_pdk_config
    from flow.sram.openram import openram_of_shape
    from rtl.config import load_design
    macros = []
    for memory in (load_design(design.reference).datapath for design in designs):
        if memory.memory == "flexmem":
            macros.append(f"{memory.bank_words}x{memory.word_bits}")
        elif memory.memory == "openram":
            macros.append(openram_of_shape(memory.bank_words, memory.word_bits, load_pdk_config()))
    return list(dict.fromkeys(macros))


def remove_srams() -> None:
    rmtree(BUILD / "sram", ignore_errors=True)


def remove_sram_cache() -> None:
    """Simulations of macros, which take an hour to make again."""
    rmtree(BUILD / "sram-cache", ignore_errors=True)


def characterise(cells: tuple[str, ...] | None, corners: tuple[str, ...] | None) -> None:
    """Liberty of the cells (None: all that are used) at the corners (None: all)."""
    from flow.characterise.cells import characterised_cells
    from flow.characterise.corner import CORNERS
    from flow.steps.characterise import run_characterise
    run_characterise(cells or characterised_cells(), corners or tuple(CORNERS), BUILD)


def library() -> None:
    """Liberty of all cells at all corners, taken into the project."""
    from flow.steps.characterise import install
    characterise(None, None)
    install(BUILD)


def doctor() -> None:
    from flow.doctor import print_report
    print_report()


def bench(parts: tuple[str, ...]) -> None:
    from flow.bench import print_bench
    print_bench(parts)


def lock() -> None:
    from flow.lock import write_lock
    write_lock(ROOT)


def test(tiers: tuple[str, ...]) -> TaskFailed | None:
    """Runs pytest in its own process; its closing line is the last thing printed.

    A worker has a core to itself, so its matrix products take one thread: more would wait for each other in loops.
    """
    command = [sys.executable, "-m", "pytest", "-n", "auto", "--maxprocesses", "8", "--tiers", ",".join(tiers)]
    status = subprocess.run(command, cwd=ROOT, env={"OPENBLAS_NUM_THREADS": "1", **os.environ}).returncode
    return TaskFailed(f"pytest ended with status {status}") if status else None
