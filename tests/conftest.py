"""Tiers of tests, and the floor under how many ran.

A test is in the tier of its marker: `eda` needs the simulators, `nightly` takes minutes, all others are `fast`.
`--tiers fast,eda` selects (default: all that the command line selects). The floor, tests/floor.txt, holds how many
tests of each tier have to pass; a run of whole tiers with fewer fails. A test that is skipped does not count.

Property tests draw the same examples in every run, so that a failure is everybody's; only with the tier nightly they
go looking for new ones.
"""

from collections import Counter
from pathlib import Path
from shutil import which

import pytest
from hypothesis import settings

TIERS = ("fast", "eda", "nightly")
SIMULATORS = ("gcc", "g++", "make", "verilator", "iverilog", "vvp")
FLOOR_FILE = Path(__file__).with_name("floor.txt")

collect_ignore = ["data"]                # scripts that make test data, not tests


def pytest_addoption(parser):
    parser.addoption("--tiers", metavar="TIER,TIER", help="run these whole tiers and hold them to the floor: "
                     + ", ".join(TIERS))
    parser.addoption("--floor", type=Path, default=FLOOR_FILE, help="the file with the floor of each tier")


def pytest_configure(config):
    text = config.getoption("--tiers")
    tiers = tuple(text.split(",")) if text else ()
    unknown = sorted(set(tiers) - set(TIERS))
    if unknown:
        raise pytest.UsageError(f"--tiers takes {', '.join(TIERS)}, not {', '.join(unknown)}")
    settings.register_profile("repeatable", derandomize=True, deadline=None)
    settings.register_profile("searching", deadline=None, print_blob=True)
    settings.load_profile("searching" if "nightly" in tiers else "repeatable")
    config.pluginmanager.register(TierCount(tiers, config.getoption("--floor")), "stillwater-tiers")


def tier_of(keywords) -> str:
    """The tier of a test by its markers; nightly wins over eda."""
    return next((tier for tier in ("nightly", "eda") if tier in keywords), "fast")


def load_floor(path: Path) -> dict[str, int]:
    """Tier -> fewest tests that must pass, from lines `tier count`."""
    lines = [line.partition("#")[0].split() for line in path.read_text().splitlines()]
    floor = {tier: int(count) for tier, count in filter(None, lines)}
    if set(floor) != set(TIERS):
        raise pytest.UsageError(f"{path.name} must have one line for each of {', '.join(TIERS)}, not {sorted(floor)}")
    return floor


class TierCount:
    """Selects the tests of some tiers, counts what passed, and fails the run below the floor."""

    def __init__(self, tiers: tuple[str, ...], floor_file: Path):
        self.tiers, self.floor_file = tiers, floor_file
        self.n_passed: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.below: list[str] = []

    def pytest_collection_modifyitems(self, config, items):
        if self.tiers:
            dropped = [item for item in items if tier_of(item.keywords) not in self.tiers]
            config.hook.pytest_deselected(items=dropped)
            items[:] = [item for item in items if tier_of(item.keywords) in self.tiers]
        absent = [command for command in SIMULATORS if which(command) is None]
        for item in items if absent else ():
            if "eda" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=f"not on PATH: {', '.join(absent)} (./stillwater doctor)"))

    def pytest_runtest_logreport(self, report):
        tier = tier_of(report.keywords)
        self.seconds[tier] += report.duration
        if report.when == "call" and report.passed:
            self.n_passed[tier] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        if not self.tiers or hasattr(session.config, "workerinput"):
            return
        floor = load_floor(self.floor_file)
        self.below = [f"{tier}: {self.n_passed[tier]} passed, the floor in {self.floor_file.name} is {floor[tier]}"
                      for tier in self.tiers if self.n_passed[tier] < floor[tier]]
        if self.below and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        for tier in self.tiers:
            n, seconds = self.n_passed[tier], self.seconds[tier]
            terminalreporter.write_line(f"tier {tier}: {n} passed in {seconds:.0f} s of work")
        for line in self.below:
            terminalreporter.write_line(f"FEWER TESTS THAN THE FLOOR  {line}", red=True)
