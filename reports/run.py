"""Makes the reports: runs the report's own steps, collects everything, writes ppa.json, the page and the index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree

from flow.chip import Chip, load_chip
from flow.metrics import Metrics
from flow.pdk.config import PdkConfig, load_pdk_config
from flow.pdk.tree import load_pdk
from flow.sram.spec import SramSpec
from flow.step import ROOT, input_name
from golden.spec import SpecError
from reports.anchors import load_anchors
from reports.baseline import FOLDER, Difference, baseline_path, changed_tools, compare, failures, load_baseline
from reports.build import build_ppa
from reports.collect import Tree
from reports.gpu import gpu_figures, load_gpu
from reports.page import design_page, index_page
from reports.schema import Ppa, write_ppa, write_whole
from rtl.config import DesignConfig, find_design, load_design

PAGES = "reports"
LAYOUT_STEPS = ("modules", "slacks")


@dataclass(frozen=True)
class Report:
    """A design's report. differences: None where it has no baseline."""

    ppa: Ppa
    differences: list[Difference] | None
    page: Path

    @property
    def failures(self) -> list[str]:
        return failures(self.differences or [])


def make_reports(references: list[str], build: Path, gpu: Path | None = None, baselines: Path = FOLDER) -> list[Report]:
    """A page for each design, and with several of them an index. SpecError for a design or a file that is wrong;
    what has not been measured is shown as missing."""
    gpus = load_gpu(gpu) if gpu else []
    made = []
    for design, file in [(load_design(reference), find_design(reference)) for reference in references]:
        more = gpu_figures(gpus, design.name, input_name(gpu)) if gpu else {}
        made.append(make_report(design, file, build, more, baselines))
    if len(made) > 1:
        write_whole(build / PAGES / "index.html",
                    index_page([(report.ppa, report.differences) for report in made]).encode())
    return made


def make_report(design: DesignConfig, file: Path, build: Path, more: dict, baselines: Path) -> Report:
    """One design: <build>/reports/<design>.ppa.json and .html."""
    config = load_pdk_config()
    tree, source = measured_tree(design, file, build, config)
    corners = {name: corner.process for name, corner in config.corners.items()}
    ppa = build_ppa(tree, design.title, source, corners, more)
    baseline = load_baseline(baseline_path(design.name, baselines))
    differences = None if baseline is None else compare(ppa, baseline)
    tools = [] if baseline is None else changed_tools(ppa, baseline)
    pictures = {"gds": tree.layout / "gds" / f"{design.module_name}.png",
                "modules": tree.own / "modules" / "modules.png"}
    page = build / PAGES / f"{design.name}.html"
    html = design_page(ppa, {name: path for name, path in pictures.items() if path.is_file()},
                       tree.own / "modules" / "macros.json", load_anchors(), differences, tools)
    write_ppa(build / PAGES / f"{design.name}.ppa.json", ppa)
    write_whole(page, html.encode())
    return Report(ppa, differences, page)


def measured_tree(design: DesignConfig, file: Path, build: Path, config: PdkConfig) -> tuple[Tree, str]:
    """The design's steps, after the report's own have run where what they read is there; and the PDK's source, "none"
    where there is no tree."""
    memory = design.datapath
    macro = SramSpec(memory.bank_words, memory.word_bits).name if memory.memory == "flexmem" else None
    tree, source = Tree(design.name, config.name, build, macro=macro), "none"
    own = golden_steps(design, file, tree.own)
    try:
        pdk = load_pdk(config, build)
        source = pdk.source
        own |= layout_steps(load_chip(file, pdk, build))
    except SpecError as error:                     # no kit yet, or a memory that cannot be placed here: no layout
        own |= dict.fromkeys(LAYOUT_STEPS, partial(refuse, str(error)))
    for step, run in own.items():
        try:
            run()
        except SpecError as error:
            tree.notes[step] = str(error).replace(f"{ROOT}/", "")
            rmtree(tree.own / step, ignore_errors=True)      # an older result would not belong to these files
    tree.read()
    return tree, source


def refuse(message: str) -> Metrics:
    raise SpecError(message)


def golden_steps(design: DesignConfig, file: Path, folder: Path) -> dict[str, Callable[[], Metrics]]:
    """The steps that need the trained network only."""
    from reports.steps.accuracy import run_accuracy
    from reports.steps.cpu import run_cpu
    return {"accuracy": lambda: run_accuracy(design, file, folder), "cpu": lambda: run_cpu(design, file, folder)}


def layout_steps(chip: Chip) -> dict[str, Callable[[], Metrics]]:
    """The steps that read the finished layout."""
    from reports.steps.modules import run_modules
    from reports.steps.slacks import run_slacks
    return {"modules": lambda: run_modules(chip), "slacks": lambda: run_slacks(chip)}
