"""The tiers and the floor under the number of tests, tried on small suites of their own."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUITE = """
import pytest

@pytest.mark.parametrize("k", range(3))
def test_quick(k): pass

@pytest.mark.eda
def test_simulator(): pass

@pytest.mark.skip(reason="no torch here")
def test_skipped(): pass

@pytest.mark.nightly
@pytest.mark.eda
def test_long(): pass
"""


pytest_plugins = ["pytester"]


@pytest.fixture
def simulators(pytester, monkeypatch):
    """A PATH with empty scripts in the place of the simulators; returns its folder."""
    folder = pytester.mkdir("bin")
    for name in ("gcc", "g++", "make", "verilator", "iverilog", "vvp"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def suite(pytester, simulators):
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile(test_suite=SUITE)
    pytester.makeini("[pytest]\naddopts = -ra --strict-markers\nmarkers =\n    eda\n    nightly\n")

    def run(*args: str, floor: str = "fast 3\neda 1\nnightly 1\n") -> pytest.RunResult:
        (pytester.path / "floor.txt").write_text(floor)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *args)
    return run


@pytest.mark.parametrize("tiers, n_passed", [("fast", 3), ("eda", 1), ("nightly", 1), ("fast,eda", 4),
                                             ("fast,eda,nightly", 5)])
def test_a_tier_is_run_whole_and_alone(suite, tiers, n_passed):
    done = suite("--tiers", tiers)
    assert done.ret == 0 and done.parseoutcomes()["passed"] == n_passed


def test_two_workers_are_counted_as_one(suite):
    done = suite("--tiers", "fast,eda", "-n", "2", floor="fast 4\neda 1\nnightly 1\n")
    assert done.parseoutcomes()["passed"] == 4
    assert done.ret == 1 and "FLOOR  fast: 3 passed, the floor in floor.txt is 4" in done.stdout.str()
    assert "FLOOR  eda" not in done.stdout.str()


def test_too_few_tests_fail_the_run(suite):
    done = suite("--tiers", "fast,eda", floor="fast 4\neda 1\nnightly 0\n")
    assert done.ret == 1
    assert "FEWER TESTS THAN THE FLOOR  fast: 3 passed, the floor in floor.txt is 4" in done.stdout.str()


def test_no_test_at_all_is_below_a_floor(suite):
    assert suite("--tiers", "fast", "-k", "nothing_has_this_name").ret == 1


def test_without_tiers_there_is_no_floor(suite):
    done = suite("-k", "quick", floor="fast 100\neda 0\nnightly 0\n")
    assert done.ret == 0 and "FLOOR" not in done.stdout.str()


def test_skips_print_their_reason(suite):
    assert re.search(r"SKIPPED \[1\] test_suite.py:\d+: no torch here", suite("--tiers", "fast").stdout.str())


def test_without_a_simulator_the_tier_eda_is_skipped_and_below_its_floor(suite, simulators):
    (simulators / "verilator").unlink()
    done = suite("--tiers", "eda")
    assert done.ret == 1
    assert re.search(r"SKIPPED \[1\] .*: not on PATH: verilator", done.stdout.str())


def test_an_unknown_tier_and_a_broken_floor_are_refused(suite):
    assert "--tiers takes fast, eda, nightly, not slow" in suite("--tiers", "slow").stderr.str()
    broken = suite("--tiers", "fast", floor="fast 1\n")
    assert broken.ret != 0
    assert "must have one line for each of fast, eda, nightly" in broken.stdout.str() + broken.stderr.str()


def test_floor_of_this_project_is_complete():
    floor = {line.split()[0]: int(line.split()[1]) for line in (ROOT / "tests" / "floor.txt").read_text().splitlines()
             if line.strip() and not line.startswith("#")}
    assert set(floor) == {"fast", "eda", "nightly"}
