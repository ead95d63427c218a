"""A step of the flow: declared inputs, a fresh folder, a log, and a result that is whole or not there.

    SYNTHESIS = Step("synth", run=synthesize, tools=("yosys",), required_metrics=("design__instance__area",))
    metrics = run_step(SYNTHESIS, build / "synth", config={...}, inputs=[netlist, liberty])

`synthesize(work)` gets a `Work`: the folder to write into, the log, the configuration and the inputs; it returns its
metrics. The folder is `<result>.unfinished` until metrics.json stands in it and everything is checked; then it is
renamed to `<result>`. What a killed or failed run leaves has another name than a result: no later run believes it, a
person can look into it, and the next run removes it.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from flow.metrics import Metrics, Value, check_values, load_metrics, write_metrics
from flow.tool import find_tool, run_tool, tool_version
from golden.spec import SpecError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Work:
    """What a step's function works with.

    folder:  empty and its own; everything in it becomes the result.
    config:  what was given to run_step.
    inputs:  the input files, in the order given.
    """

    folder: Path
    config: Any
    inputs: tuple[Path, ...]

    @property
    def log(self) -> Path:
        return self.folder / "step.log"

    def run_tool(self, *args: str | Path, **options: Any) -> None:
        """`flow.tool.run_tool` in the folder, with its log."""
        run_tool(args, self.log, **{"cwd": self.folder, **options})


@dataclass(frozen=True)
class Step:
    """The declaration of a step.

    name:              names it in metrics.json and messages.
    run:               does the work and returns the metrics.
    tools:             programs that it runs; looked for before anything starts, versions go to metrics.json.
    required_metrics:  without one of these it has failed.
    """

    name: str
    run: Callable[[Work], dict[str, Value]]
    tools: tuple[str, ...] = ()
    required_metrics: tuple[str, ...] = ()


def run_step(step: Step, result: Path, config: Any, inputs: Sequence[Path] = ()) -> Metrics:
    """Runs a step into the folder `result` and returns its metrics.

    config: anything that msgspec can write as JSON; a copy goes into the folder.
    SpecError, before any work, when an input or a tool is missing or another run has the folder. When the step
    fails, an older result is removed: it would not belong to these inputs.
    """
    for command in step.tools:
        find_tool(command)
    missing = [str(path) for path in inputs if not path.is_file()]
    if missing:
        raise SpecError(f"step {step.name} needs {', '.join(missing)}, which the steps before it should have made")
    config_text = msgspec.json.format(msgspec.json.encode(config, order="sorted"), indent=2) + b"\n"
    result.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(step, result), _fresh_folder(result) as folder:
        (folder / "config.json").write_bytes(config_text)
        values = step.run(Work(folder, config, tuple(inputs)))
        check_values(values, step.required_metrics, f"step {step.name} in {folder}")
        metrics = Metrics(step=step.name, config_sha256=hashlib.sha256(config_text).hexdigest(),
                          inputs={input_name(path): file_sha256(path) for path in inputs},
                          tools={command: tool_version(command) for command in step.tools}, values=values)
        write_metrics(folder / "metrics.json", metrics)
    return metrics


def run_step_once(step: Step, result: Path, config: Any, inputs: Sequence[Path] = ()) -> Metrics:
    """The metrics of an earlier run, if configuration, inputs and tools are the same; else those of a run now."""
    return finished_step(step, result, config, inputs) or run_step(step, result, config, inputs)


def finished_step(step: Step, result: Path, config: Any, inputs: Sequence[Path] = ()) -> Metrics | None:
    """The metrics in `result`, or None unless they were made from this configuration, these inputs and these tools."""
    try:
        metrics = load_metrics(result / "metrics.json")
        wanted = msgspec.json.decode(msgspec.json.encode(config))             # as it reads back: tuples are lists
        same_config = msgspec.json.decode((result / "config.json").read_bytes()) == wanted
        same_inputs = metrics.inputs == {input_name(path): file_sha256(path) for path in inputs}
    except (SpecError, OSError, msgspec.DecodeError):
        return None
    same_tools = metrics.tools == {command: tool_version(command) for command in step.tools}
    return metrics if same_config and same_inputs and same_tools else None


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sources_sha256(patterns: Sequence[str], packages: Sequence[str] = ()) -> str:
    """Of the files of the repository that match glob patterns, and of the versions of Python packages."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}):
        if "__pycache__" not in path.parts:
            digest.update(f"{input_name(path)} {file_sha256(path)}\n".encode())
    for name in packages:
        digest.update(f"{name} {metadata.version(name)}\n".encode())
    return digest.hexdigest()


def input_name(path: Path) -> str:
    """A name that is the same on every machine: relative to the repository, or the bare name outside of it."""
    full = path.resolve()
    return full.relative_to(ROOT).as_posix() if full.is_relative_to(ROOT) else full.name


@contextmanager
def _only_one(step: Step, result: Path) -> Iterator[None]:
    """Keeps a second run out of the folder; the kernel drops the lock with the process, however it ends."""
    with (result.parent / f".{result.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError(f"another run of step {step.name} is at work in {result}; wait for it to end") from None
        yield


@contextmanager
def _fresh_folder(result: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `result` if the block ends well."""
    unfinished, old = (result.with_name(result.name + end) for end in (".unfinished", ".old"))
    for leftover in (unfinished, old):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
    except Exception as error:
        shutil.rmtree(result, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise SpecError(f"no room is left on the disk for {unfinished}: free some, then run this again; it goes "
                            f"on with this step ({error})") from error
        raise
    if result.exists():
        os.replace(result, old)                    # a folder cannot be renamed onto one that is not empty
    os.replace(unfinished, result)
    shutil.rmtree(old, ignore_errors=True)
