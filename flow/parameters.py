"""The parameters of tasks, given by name on the command line: `./stillwater sim design=vowels`.

Values are checked when the tasks are listed, before anything runs; a wrong name or value gets one message with what
is allowed and the nearest match.
"""

import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from doit.exceptions import InvalidDodoFile

ROOT = Path(__file__).resolve().parent.parent
DESIGNS = ROOT / "rtl" / "designs"
TIERS = ("fast", "eda", "nightly")
BENCH_PARTS = ("models", "router", "asic")
SRAM_SHAPES = ("512x8", "512x16", "512x32", "512x64")
OPENRAM_MACROS = ("sky130_sram_1kbyte_1rw1r_32x256_8", "sky130_sram_2kbyte_1rw1r_32x512_8")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a task: its name, its value when none is given, and what else is allowed."""

    name: str
    default: str
    allowed: str


DESIGN = Parameter("design", "all", "shipped names with commas between them, or the path of a .yaml")
ASIC_DESIGN = Parameter("design", "vowels", DESIGN.allowed)
WORDS = Parameter("words", "auto", f"of {', '.join(SRAM_SHAPES)}, names of OpenRAM macros; auto: as the designs")
TIER = Parameter("tier", "fast,eda", f"of {', '.join(TIERS)}, with commas between them, or all")
CELL = Parameter("cell", "all", "cells of the library without its prefix, with commas between them, or all")
CORNER = Parameter("corner", "all", "corners with commas between them, or all")
PART = Parameter("part", "models", f"of {', '.join(BENCH_PARTS)}, with commas between them, or all")
KEEP = Parameter("keep", "no", "yes or no: take what was measured into pdk_configs/sram")
GPU = Parameter("gpu", "none", "a JSON file with a GPU's figures (docs/report.md)")
OF_TASK: dict[str, tuple[Parameter, ...]] = {
    "sim": (DESIGN,),
    "asic": (ASIC_DESIGN,),
    "export": (DESIGN,),
    "train": (DESIGN,),
    "report": (ASIC_DESIGN, GPU),
    "baseline": (ASIC_DESIGN,),
    "pdk": (),
    "sram": (WORDS, DESIGN),
    "sramlib": (WORDS, CORNER, KEEP),
    "bench": (PART,),
    "characterise": (CELL, CORNER),
    "library": (),
    "test": (TIER,),
    "doctor": (),
    "lock": (),
}


@dataclass(frozen=True)
class DesignFile:
    """A design to work on: its name, which names its folders, and its file."""

    name: str
    path: Path

    @property
    def reference(self) -> str:
        """What rtl.config.load_design takes: the name of a shipped design, else the path."""
        return self.name if self.is_shipped else str(self.path)

    @property
    def is_shipped(self) -> bool:
        return self.path.resolve().parent == DESIGNS


def check_command_line(arguments: Sequence[str] | None = None) -> None:
    """Checks the names of the parameters on the command line, before any task is made.

    Arguments without `=` (tasks, options, their values, doit's own commands) are left to doit and flow/command.py.
    """
    words = [word for word in (sys.argv[1:] if arguments is None else arguments) if not word.startswith("-")]
    tasks = [word for word in words if "=" not in word]
    check_names([word.partition("=")[0] for word in words if "=" in word], tasks)


def check_names(given: Iterable[str], tasks: Sequence[str]) -> None:
    """Raises InvalidDodoFile on a parameter that none of the tasks takes (no tasks named: that no task takes)."""
    groups = [task.partition(":")[0] for task in tasks]
    known = [group for group in groups if group in OF_TASK] or list(OF_TASK)
    allowed = sorted({parameter.name for group in known for parameter in OF_TASK[group]})
    for name in given:
        if name not in allowed:
            who = ", ".join(dict.fromkeys(known)) if len(known) < len(OF_TASK) else "the tasks"
            verb = "take" if who == "the tasks" or "," in who else "takes"
            what = f"the parameters {', '.join(allowed)}" if allowed else "no parameters"
            raise InvalidDodoFile(f"{who} {verb} {what}, not {name!r}{nearest(name, allowed)}")


def parse_designs(value: str, folder: Path = DESIGNS, cwd: Path | None = None) -> list[DesignFile]:
    """The designs that `design=value` asks for, in the order given (all: by name, the smallest, tiny, first).

    A relative path starts in `cwd`: the folder that ./stillwater was called in.
    """
    shipped = {path.stem: DesignFile(path.stem, path) for path in sorted(folder.glob("*.yaml"))}
    if value == "all":
        return sorted(shipped.values(), key=lambda design: (design.name != "tiny", design.name))
    designs: dict[str, DesignFile] = {}
    for word in value.split(","):
        path = (cwd or Path(os.environ.get("STILLWATER_CWD", "."))) / word
        if word.endswith(".yml"):
            raise InvalidDodoFile(f"design={word}: a design file must end in .yaml, not .yml; rename it")
        if word.endswith(".yaml"):
            if not path.is_file():
                what = "that is a folder" if path.is_dir() else "there is no such file"
                raise InvalidDodoFile(f"design={word}: {what}")
            if not path.stem.isidentifier():
                raise InvalidDodoFile(f"design={word}: the file's name must be letters, digits and _, because it names "
                                      "Verilog modules; rename it")
            design = DesignFile(path.stem, path)
        elif word in shipped:
            design = shipped[word]
        else:
            raise InvalidDodoFile(f"design must be all, one or more of {', '.join(shipped)}, or the path of a .yaml, "
                                  f"not {word!r}{nearest(word, shipped)}")
        if designs.setdefault(design.name, design).path != design.path:
            raise InvalidDodoFile(f"two designs cannot both be called {design.name}: {designs[design.name].path} and "
                                  f"{design.path}; rename one")
    return list(designs.values())


def explain_unknown_task(word: str) -> str:
    """What is wrong with a word of the command line that is no task, and what was perhaps meant.

    >>> explain_unknown_task("simm")
    "there is no task 'simm'; did you mean sim? (./stillwater list)"
    """
    shipped = [path.stem for path in DESIGNS.glob("*.yaml")]
    if word in shipped or word.endswith(".yaml"):
        return f"a design is given by name: design={word}, for example ./stillwater sim design={word}"
    task, _, part = word.partition(":")
    if DESIGN in OF_TASK.get(task, ()) and part:
        return f"{task} has no part {part!r} with these parameters; for one design: ./stillwater {task} design={part}"
    return f"there is no task {word!r}{nearest(word, OF_TASK)} (./stillwater list)"


def parse_words(value: str) -> tuple[str, ...]:
    """The SRAM macros that `words=value` asks for, shapes or names, each once; none when it was not given."""
    if value == WORDS.default:
        return ()
    allowed = (*SRAM_SHAPES, *OPENRAM_MACROS)
    for word in value.split(","):
        if word not in allowed:
            raise InvalidDodoFile(f"words must be auto or one or more of {', '.join(allowed)}, not {word!r}"
                                  f"{nearest(word, allowed)}")
    return tuple(dict.fromkeys(value.split(",")))


def parse_names(value: str) -> tuple[str, ...] | None:
    """Names with commas between them, each once; None for `all`. What they name is checked by the task.

    >>> parse_names("inv_1,buf_4,inv_1"), parse_names("all")
    (('inv_1', 'buf_4'), None)
    """
    return None if value == "all" else tuple(dict.fromkeys(value.split(",")))


def parse_yes(value: str, name: str = KEEP.name) -> bool:
    """True for yes, False for no.

    >>> parse_yes("yes"), parse_yes("no")
    (True, False)
    """
    if value not in ("yes", "no"):
        raise InvalidDodoFile(f"{name} must be yes or no, not {value!r}")
    return value == "yes"


def parse_file(value: str, name: str = GPU.name) -> Path | None:
    """The file that a parameter names, from the folder that ./stillwater was called in; None for `none`.

    >>> parse_file("none")
    """
    if value == "none":
        return None
    path = Path(os.environ.get("STILLWATER_CWD", ".")) / value
    if not path.is_file():
        raise InvalidDodoFile(f"{name} must be none or the path of a file, and {value} is not there")
    return path


def parse_tiers(value: str) -> tuple[str, ...]:
    """The test tiers that `tier=value` asks for, in the order of TIERS."""
    return _some_of(TIERS, TIER.name, value)


def parse_parts(value: str) -> tuple[str, ...]:
    """The parts of the bench that `part=value` asks for, in the order of BENCH_PARTS."""
    return _some_of(BENCH_PARTS, PART.name, value)


def _some_of(allowed: tuple[str, ...], name: str, value: str) -> tuple[str, ...]:
    words = allowed if value == "all" else tuple(value.split(","))
    for word in words:
        if word not in allowed:
            raise InvalidDodoFile(f"{name} must be all or one or more of {', '.join(allowed)}, not {word!r}"
                                  f"{nearest(word, allowed)}")
    return tuple(word for word in allowed if word in words)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`; did you mean x?` if something allowed looks like the word, else nothing.

    >>> nearest("vovels", ["tiny", "vowels"])
    '; did you mean vowels?'
    """
    near = difflib.get_close_matches(word, list(allowed), n=1)
    return f"; did you mean {near[0]}?" if near else ""
