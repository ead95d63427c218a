"""Stillwater's tasks: their names, what they read and what they leave. `./stillwater list` shows them.

No logic here: parameters are checked in flow/parameters.py, the work is in flow/tasks.py.
"""

from doit import get_var

from flow import parameters, tasks
from flow.durable import Reporter
from reports import tasks as reports

DOIT_CONFIG = {
    "default_tasks": ["doctor"],
    "dep_file": ".doit.db",
    "backend": "durable",
    "reporter": Reporter,
    "verbosity": 2,
}

parameters.check_command_line()
DESIGNS = parameters.parse_designs(get_var("design", parameters.DESIGN.default))
ASIC_DESIGNS = parameters.parse_designs(get_var("design", parameters.ASIC_DESIGN.default))
WORDS = parameters.parse_words(get_var("words", parameters.WORDS.default))
CELLS = parameters.parse_names(get_var("cell", parameters.CELL.default))
CORNERS = parameters.parse_names(get_var("corner", parameters.CORNER.default))
KEEP = parameters.parse_yes(get_var("keep", parameters.KEEP.default))
GPU = parameters.parse_file(get_var("gpu", parameters.GPU.default))
PARTS = parameters.parse_parts(get_var("part", parameters.PART.default))
TIERS = parameters.parse_tiers(get_var("tier", parameters.TIER.default))


def task__check():
    yield tasks.group("_check", "", "Inputs and tools of all designs, before the first long step")
    for design in DESIGNS:
        yield tasks.entry(
            tasks.check_sim, design, announce=False, name=design.name,
            file_dep=tasks.sources_of(design), uptodate=[tasks.same_simulators],
        )


def task_sim():
    yield tasks.group("sim", "Run a network", "Is it right? Golden, PyRTL, Verilog, bit for bit")
    for design in DESIGNS:
        yield tasks.entry(
            tasks.sim, design, DESIGNS, name=design.name,
            file_dep=tasks.sources_of(design), targets=[tasks.sim_result(design)],
            task_dep=[f"_check:{design.name}" for design in DESIGNS],
            uptodate=[tasks.same_simulators], clean=[(tasks.remove_results, [design, "sim"])],
        )
    yield tasks.entry(tasks.print_sim_table, DESIGNS, name="table",
                      task_dep=[f"sim:{design.name}" for design in DESIGNS], clean=[tasks.remove_simulators])


def task_export():
    yield tasks.group("export", "Run a network", "Verilog, SRAM wrapper and weight image into build/")
    for design in DESIGNS:
        yield tasks.entry(tasks.export, design, name=design.name, clean=[(tasks.remove_results, [design, "export"])])


def task_train():
    yield tasks.group("train", "Run a network", "Train and quantise again what golden/trained/ ships")
    designs = tasks.one_a_weights_file(DESIGNS)
    for design in designs:
        yield tasks.entry(tasks.train, design, designs, name=design.name)


def task_asic():
    yield tasks.group("asic", "Make silicon of it", "From a design to a checked GDS: every stage and gate")
    for design in ASIC_DESIGNS:
        yield tasks.entry(tasks.asic, design, ASIC_DESIGNS, name=design.name, task_dep=[f"sim:{design.name}"],
                          clean=[(tasks.remove_layout, [design])])


def task_pdk():
    """SkyWater 130: the kit's files, found or assembled"""
    return tasks.entry(tasks.pdk, group="Make silicon of it", clean=[tasks.remove_pdk])


def task_sram():
    """SRAM macros: layout, views, design rules, LVS"""
    return tasks.entry(tasks.sram, WORDS, DESIGNS, group="Make silicon of it",
                       clean=[tasks.remove_srams])


def task_sramlib():
    """Liberty of SRAM macros, proved by SPICE runs: minutes"""
    return tasks.entry(tasks.sramlib, WORDS, CORNERS, KEEP, DESIGNS, group="Make silicon of it",
                       clean=[tasks.remove_sram_cache])


def task_characterise():
    """Liberty of standard cells from layouts, by ngspice"""
    return tasks.entry(tasks.characterise, CELLS, CORNERS, group="Make silicon of it")


def task_report():
    """Right, clean, and at what cost? A page to read"""
    return tasks.entry(reports.report, ASIC_DESIGNS, GPU, group="See what it costs",
                       clean=[(reports.remove_reports, [ASIC_DESIGNS])])


def task_baseline():
    """Take the report's figures as what is expected"""
    return tasks.entry(reports.baseline, ASIC_DESIGNS, group="See what it costs")


def task_library():
    """Characterise every cell, keep in pdk_configs/liberty"""
    return tasks.entry(tasks.library, group="Look after the project")


def task_doctor():
    """Tools and data sets found; how to get what is missing"""
    return tasks.entry(tasks.doctor, group="Look after the project", announce=False)


def task_test():
    """The project's tests, by tier"""
    return tasks.entry(tasks.test, TIERS, group="Look after the project", announce=False)


def task_bench():
    """Speed: models and simulators, router, whole layouts"""
    return tasks.entry(tasks.bench, PARTS, group="Look after the project", announce=False)


def task_lock():
    """Resolve pyproject.toml into requirements.lock again"""
    return tasks.entry(tasks.lock, group="Look after the project")
