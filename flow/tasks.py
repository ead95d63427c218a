"""What the tasks of dodo.py do. Heavy modules are imported where they are used: the menu must come at once."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from shutil import rmtree
from typing import Any

import yaml
from doit.exceptions import TaskFailed

from flow.parameters import ROOT, DesignFile
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
    weights = weights_file(design)
    return sorted(map(str, files | ({weights} if weights and weights.is_file() else set())))


def weights_file(design: DesignFile) -> Path | None:
    """Where a design's trained network is; None when its file does not say (loading it will tell what is wrong)."""
    try:
        mapping = yaml.load(design.path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return ROOT / "golden" / "trained" / mapping["weights"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
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


def remove_results(design: DesignFile) -> None:
    for folder in (BUILD / f"{design.name}-sim", BUILD / f"{design.name}-sim.unfinished"):
        rmtree(folder, ignore_errors=True)


def sim(design: DesignFile) -> None:
    from flow.steps.sim import run_sim
    run_sim(design.reference, BUILD)


def print_sim_table(designs: list[DesignFile]) -> None:
    from flow.metrics import load_metrics
    from flow.steps.sim import print_table
    print_table([load_metrics(sim_result(design)) for design in designs])


def say_what_asic_lacks() -> None:
    print("asic: the layout (place, route, GDS) is not there yet; what ran is sim, the first half of the way")


def export(design: DesignFile) -> None:
    from flow.steps.export import run_export
    run_export(design.reference, BUILD)


def train(design: DesignFile) -> None:
    from golden.train import train_design
    from rtl.config import load_design
    train_design(load_design(design.reference))


def characterise(cells: tuple[str, ...] | None, corners: tuple[str, ...] | None) -> None:
    """Liberty of the cells (None: all that are used) at the corners (None: all)."""
    from flow.characterise.cells import characterised_cells
    from flow.characterise.corner import CORNERS
    from flow.steps.characterise import run_characterise
    run_characterise(cells or characterised_cells(), corners or tuple(CORNERS), BUILD)


def doctor() -> None:
    from flow.doctor import print_report
    print_report()


def bench() -> None:
    from flow.bench import print_bench
    print_bench()


def lock() -> None:
    from flow.lock import write_lock
    write_lock(ROOT)


def test(tiers: tuple[str, ...]) -> TaskFailed | None:
    """Runs pytest in its own process; its closing line is the last thing printed."""
    command = [sys.executable, "-m", "pytest", "-n", "auto", "--maxprocesses", "8", "--tiers", ",".join(tiers)]
    status = subprocess.run(command, cwd=ROOT).returncode
    return TaskFailed(f"pytest ended with status {status}") if status else None
