"""Running Yosys (the PyPI package `pyosys`): a script of stages, a log, progress, one message when it fails."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from importlib import metadata, util
from pathlib import Path
from tempfile import TemporaryDirectory

from flow.synthesis.script import STAGE, Stage, script_text
from flow.tool import ToolError, run_tool
from golden.spec import SpecError

WORKER = Path(__file__).with_name("worker.py")
ERROR = re.compile(r"^(?:ERROR: |.*\berror: )(.*)", re.IGNORECASE)


def yosys_version() -> str:
    """Of the package; SpecError with the remedy when it is not installed."""
    try:
        return metadata.version("pyosys")
    except metadata.PackageNotFoundError:
        raise SpecError("synthesis needs the Python package pyosys, which is not installed; "
                        "rm -r .venv && ./stillwater doctor") from None


def yosys_rules(name: str) -> Path:
    """A file of rules that Yosys brings, such as `techmap.v`; SpecError when the package has it not."""
    yosys_version()
    package = util.find_spec("pyosys")
    path = Path(package.origin if package and package.origin else "").parent / "share" / name
    if not path.is_file():
        raise SpecError(f"the Python package pyosys must bring its rules {name}, and {path} is no file; "
                        "rm -r .venv && ./stillwater doctor")
    return path


def starts() -> None:
    """Runs an empty script; ToolError with what the machine lacks when Yosys does not start."""
    yosys_version()
    with TemporaryDirectory(prefix="stillwater-yosys-") as folder:
        run_yosys([Stage("nothing", "log it runs")], Path(folder), Path(folder) / "step.log")


def run_yosys(stages: Sequence[Stage], folder: Path, log: Path, script: str = "script.ys",
              on_stage: Callable[[str], None] | None = None) -> None:
    """Writes the script into the folder and runs it there.

    on_stage: called with the name of each stage when it begins.
    ToolError names the stage that failed, what Yosys said, and the log.
    """
    (folder / script).write_text(script_text(stages), encoding="utf-8")
    reached, said = "start", ""

    def watch(line: str) -> None:
        nonlocal reached, said
        if line.startswith(STAGE):
            reached = line.removeprefix(STAGE)
            if on_stage is not None:
                on_stage(reached)
        elif match := ERROR.match(line):
            said = match[1]

    try:
        run_tool([sys.executable, "-I", WORKER, script], log, cwd=folder, on_line=watch)
    except ToolError as error:
        what = said.rstrip(".") or str(error)
        raise ToolError(f"Yosys failed in stage {reached!r}: {what}; script: {folder / script}, log: {log}") from None
