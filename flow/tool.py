"""The programs that steps run: where they are, which version, what to install when one is missing.

`run_tool` is the only way a step starts a program: output goes line by line into a log file, and a failure shows
the last lines and where the rest is.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flow.usage import wait_for
from golden.spec import SpecError

N_TAIL_LINES = 20


class ToolError(SpecError):
    """A program is missing or ended with an error."""


@dataclass(frozen=True)
class Tool:
    """A program that a step may run.

    command:   its name on PATH.
    package:   the Debian package that holds it, or None.
    purpose:   what it is for, in a few words.
    version:   arguments that make it print its version.
    pattern:   regular expression whose first group is the version in that output.
    required:  False for what only later or optional parts use.
    """

    command: str
    package: str | None
    purpose: str
    version: tuple[str, ...] = ("--version",)
    pattern: str = r"(\d+(?:\.\d+)+)"
    required: bool = True


TOOLS = {tool.command: tool for tool in (
    Tool("gcc", "gcc", "PyRTL's compiled simulation"),
    Tool("g++", "g++", "compiles what Verilator writes"),
    Tool("make", "make", "builds it"),
    Tool("verilator", "verilator", "exported Verilog, whole test sets"),
    Tool("iverilog", "iverilog", "exported Verilog, four-state", ("-V",)),
    Tool("vvp", "iverilog", "runs what iverilog compiles", ("-V",)),
    Tool("git", "git", "revisions in reports"),
    Tool("sta", "opensta", "timing and power of a layout", ("-version",), required=False),
    Tool("klayout", "klayout", "official design rule decks", ("-v",)),
    Tool("ngspice", "ngspice", "characterising cells and memories", ("-v",), r"ngspice-(\d+)", required=False),
    Tool("chromium", "chromium", "opens the report's page in a test", required=False),
    Tool("magic", "magic", "extraction of cell layouts", required=False),
    Tool("openroad", None, "place and route through LibreLane", ("-version",), r"(\S*\d\S*)", required=False),
    Tool("docker", "docker.io", "LibreLane in a container", required=False),
    Tool("nix", "nix-bin", "LibreLane from its own builds", required=False),
)}


def find_tool(command: str) -> Path:
    """Where a tool is; ToolError with the line that installs it when it is not on PATH."""
    found = shutil.which(command)
    if found:
        return Path(found)
    tool = TOOLS.get(command)
    if tool is None or tool.package is None:
        raise ToolError(f"{command} must be on PATH and is not")
    raise ToolError(f"{command} ({tool.purpose}) must be on PATH and is not; install it with: {install_line([tool])}")


def install_line(tools: Sequence[Tool]) -> str:
    """The one shell line that installs the Debian packages of these tools.

    >>> install_line([TOOLS["vvp"], TOOLS["iverilog"], TOOLS["make"]])
    'sudo apt-get install -y --no-install-recommends iverilog make'
    """
    packages = sorted({tool.package for tool in tools if tool.package})
    return f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


@cache
def tool_version(command: str) -> str:
    """The version that a tool prints of itself; ToolError when it is missing, does not run or prints none."""
    tool, path = TOOLS[command], find_tool(command)
    try:
        done = subprocess.run([path, *tool.version], capture_output=True, text=True, errors="replace", timeout=30,
                              stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{command} {' '.join(tool.version)} did not run: {error}") from None
    match = re.search(tool.pattern, done.stdout + done.stderr)
    if match is None:
        raise ToolError(f"{command} {' '.join(tool.version)} printed no version that looks like {tool.pattern}")
    return match[1]


def run_tool(args: Sequence[str | Path], log: Path, *, cwd: Path | None = None,
             env: Mapping[str, str] | None = None, on_line: Callable[[str], None] | None = None) -> None:
    """Runs a program to its end, its output (stderr in it) appended to `log` as it comes.

    args:     the program, looked up by `find_tool` unless it is a path, and its arguments.
    env:      variables to set on top of this process's own.
    on_line:  called with every line of output, for progress.
    ToolError when it is missing or ends with anything but 0. Its output is a pipe: should this process be killed,
    the program ends at its next line instead of going on alone.
    """
    command = str(args[0])
    program = Path(command) if os.sep in command else find_tool(command)
    if not program.exists():
        raise ToolError(f"{program} must exist to be run, and does not")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", errors="replace") as log_file:
        log_file.write(f"$ {' '.join(map(str, args))}\n")
        process = subprocess.Popen([program, *map(str, args[1:])], cwd=cwd, env={**os.environ, **(env or {})},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, encoding="utf-8", errors="replace")
        try:
            for line in process.stdout:
                log_file.write(line)
                log_file.flush()
                if on_line is not None:
                    on_line(line.rstrip("\n"))
            status = wait_for(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
    if status != 0:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        raise ToolError(f"{program.name} {how}; the last lines of its output:\n{tail(log)}\nall of it: {log}")


def tail(log: Path, n_lines: int = N_TAIL_LINES) -> str:
    """The last lines of a log, indented by two."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-n_lines:])
