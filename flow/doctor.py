"""`./stillwater doctor`: what this machine has of what the project uses, which versions, and how to get the rest.

`examine` finds out and returns plain findings; `print_report` shows them and fails when something required is absent.
"""

import shutil
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flow.lock import locked_versions
from flow.parameters import ROOT
from flow.tool import TOOLS, Tool, ToolError, install_line, tool_version
from golden.spec import SpecError

State = Literal["ok", "missing", "wrong", "optional"]
MARKS = {"ok": "[green]ok[/]", "missing": "[bold red]missing[/]", "wrong": "[bold red]wrong[/]",
         "optional": "[dim]-[/]"}
OPTIONAL = "Optional: later steps, comparisons"
KIT = "Kit"
DATASETS = "Data sets, in aeon's wheel: training + test sequences, the longest in steps"
REINSTALL = "rm -r .venv && ./stillwater doctor"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked for.

    version: as it says of itself, or what was found instead. purpose: what it is for, or what it holds.
    remedy:  how to get it, empty when it is there.
    """

    section: str
    name: str
    state: State
    version: str = ""
    purpose: str = ""
    remedy: str = ""


def examine() -> list[Finding]:
    """Looks for everything; takes some seconds because the data sets are really read."""
    return [find_python(), *find_packages(ROOT), *find_tools(), find_synthesis(), *find_kit(), *find_optional_parts(),
            *find_datasets()]


def find_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info < (3, 13)
    return Finding(section="Python", name="python", state="ok" if fits else "wrong", version=version,
                   purpose="3.11 or 3.12", remedy="" if fits else "call ./stillwater, which looks for one")


def find_packages(root: Path) -> list[Finding]:
    """Every package that pyproject.toml names, against the lock; those that they need in turn as one line."""
    from packaging.requirements import Requirement
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    locked = locked_versions(root)
    named = [Requirement(text).name for text in project["dependencies"]]
    findings = {name: check_package(name, version) for name, version in locked.items()}
    rest = [finding for name, finding in findings.items() if name not in named]
    good = [finding for finding in rest if finding.state == "ok"]
    summary = Finding(section="Python", name=f"{len(good)} more", state="ok", purpose="what these need, as locked")
    return [*(findings[name] for name in named), *(f for f in rest if f.state != "ok"), summary]


def check_package(name: str, locked: str) -> Finding:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(section="Python", name=name, state="missing", purpose=f"{locked} is locked", remedy=REINSTALL)
    if found != locked:
        return Finding(section="Python", name=name, state="wrong", version=found, purpose=f"{locked} is locked",
                       remedy=REINSTALL)
    return Finding(section="Python", name=name, state="ok", version=found, purpose="as locked")


def find_tools() -> list[Finding]:
    """The programs of flow/tool.py, required ones first."""
    return [find_tool_version(tool) for tool in sorted(TOOLS.values(), key=lambda tool: not tool.required)]


def find_tool_version(tool: Tool) -> Finding:
    finding = Finding(section="Tools" if tool.required else OPTIONAL, name=tool.command, purpose=tool.purpose,
                      state="missing" if tool.required else "optional")
    try:
        return msgspec.structs.replace(finding, state="ok", version=tool_version(tool.command))
    except ToolError as error:
        if shutil.which(tool.command):
            return msgspec.structs.replace(finding, state="wrong" if tool.required else "optional", remedy=str(error))
    if tool.required:
        return msgspec.structs.replace(finding, remedy=install_line([tool]))
    return msgspec.structs.replace(finding, remedy=f"Debian: {tool.package}" if tool.package else "with LibreLane")


def find_synthesis() -> Finding:
    """Yosys, which is a Python package with a large library in it: whether it starts on this machine."""
    from flow.synthesis.yosys import starts, yosys_version
    finding = Finding(section="Tools", name="yosys", state="ok", purpose="synthesis (PyPI: pyosys)")
    try:
        starts()
    except SpecError as error:
        return msgspec.structs.replace(finding, state="wrong", remedy=str(error))
    return msgspec.structs.replace(finding, version=yosys_version())


def find_optional_parts() -> list[Finding]:
    """Python packages and settings that only comparisons or later steps use."""
    findings = []
    for name, purpose in (("torch", "compared with golden in tests"),):
        try:
            findings.append(Finding(section=OPTIONAL, name=name, state="ok", version=metadata.version(name),
                                    purpose=purpose))
        except metadata.PackageNotFoundError:
            findings.append(Finding(section=OPTIONAL, name=name, state="optional", purpose=purpose,
                                    remedy=f"PyPI: {name}"))
    return findings


def find_kit() -> list[Finding]:
    """The SkyWater 130 kit: which tree would be used, and the generator of SRAM macros."""
    from flow.pdk.config import load_pdk_config
    from flow.pdk.tree import find_ciel
    config = load_pdk_config()
    try:
        tree = find_ciel(config)
    except SpecError as error:
        return [Finding(section=KIT, name=config.name, state="wrong", remedy=str(error))]
    source, purpose = (("ciel", f"revision {tree.version[:12]}") if tree else
                       ("embedded", "from PyPI packages; no Liberty yet"))
    findings = [Finding(section=KIT, name=config.name, state="ok", version=source, purpose=purpose)]
    for package in ("c4m-flexmem", "pdkmaster"):
        found = check_package(package, locked_versions(ROOT).get(package, ""))
        findings.append(msgspec.structs.replace(found, section=KIT, purpose="SRAM macros (licence of its own)"
                                                if package == "c4m-flexmem" else "what it draws with"))
    return findings


def find_datasets() -> list[Finding]:
    """The public data sets, read as training reads them."""
    from golden.dataset import PUBLIC_SETS, DataSpec, load_dataset
    findings = []
    for name in PUBLIC_SETS:
        try:
            data = load_dataset(DataSpec(name=name))
        except SpecError as error:
            findings.append(Finding(section=DATASETS, name=name, state="missing",
                                    remedy=str(error)))
            continue
        n_train, n_test = data.x_train.shape[1], data.x_test.shape[1]
        longest = max(data.x_train.shape[0], data.x_test.shape[0])
        channels = f"{data.n_channels} channel{'s' if data.n_channels > 1 else ''}"
        shape = f"{channels}, {longest} steps, {data.n_classes} classes"
        findings.append(Finding(section=DATASETS, name=name, state="ok",
                                version=f"{n_train} + {n_test}", purpose=shape))
    return findings


def print_report(look: Callable[[], list[Finding]] = examine, console: Console | None = None) -> None:
    """Prints the findings, a table a section; raises ToolError when something required is missing or wrong."""
    console = console or Console(highlight=False)
    findings = look()
    for section in dict.fromkeys(finding.section for finding in findings):
        console.print(build_table([finding for finding in findings if finding.section == section]))
    bad = [finding for finding in findings if finding.state in ("missing", "wrong")]
    if bad:
        lines = [f"  {finding.name} is {finding.state}: {finding.remedy}" for finding in bad]
        raise ToolError("\n".join(["what is required and not there:", *lines]))
    console.print("Everything required is there. An optional one: apt-get install NAME (Debian),\n"
                  ".venv/bin/python -m pip install NAME (PyPI), or what is said beside it.", soft_wrap=True)


def build_table(findings: list[Finding]) -> Table:
    """One section, at most 80 columns wide."""
    table = Table(title=findings[0].section, title_justify="left", title_style="bold", box=None, show_header=False,
                  width=80, padding=(0, 1, 0, 0))
    table.add_column(width=18, no_wrap=True)
    table.add_column(width=17, no_wrap=True)
    table.add_column(width=7, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for finding in findings:
        version = f"[dim]{escape(finding.remedy)}[/]" if finding.state == "optional" else escape(finding.version)
        table.add_row(f"  {finding.name}", version, MARKS[finding.state], escape(finding.purpose))
    return table
