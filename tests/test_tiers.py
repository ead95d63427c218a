"""The tiers and the floor under the number of tests, tried on small suites of their own."""

import re
import subprocess
import sys
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


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra --strict-markers\nmarkers =\n    eda\n    nightly\n")

    def run(*args: str, floor: str = "fast 3\neda 1\nnightly 1\n") -> subprocess.CompletedProcess:
        (tmp_path / "floor.txt").write_text(floor)
        return subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args], cwd=tmp_path,
                              capture_output=True, text=True)
    return run


@pytest.mark.parametrize("tiers, n_passed", [("fast", 3), ("eda", 1), ("nightly", 1), ("fast,eda", 4),
                                             ("fast,eda,nightly", 5)])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_tier_is_run_whole_and_alone(suite, tiers, n_passed, workers):
    done = suite("--tiers", tiers, "-n", workers)
    assert done.returncode == 0, done.stdout
    assert re.search(rf"=+ {n_passed} passed", done.stdout.splitlines()[-1])


def test_too_few_tests_fail_the_run(suite):
    done = suite("--tiers", "fast,eda", floor="fast 4\neda 1\nnightly 0\n")
    assert done.returncode == 1
    assert "FEWER TESTS THAN THE FLOOR  fast: 3 passed, the floor in floor.txt is 4" in done.stdout


def test_no_test_at_all_is_below_a_floor(suite):
    assert suite("--tiers", "fast", "-k", "nothing_has_this_name").returncode == 1


def test_without_tiers_there_is_no_floor(suite):
    done = suite("-k", "quick", floor="fast 100\neda 0\nnightly 0\n")
    assert done.returncode == 0 and "FLOOR" not in done.stdout


def test_skips_print_their_reason(suite):
    assert re.search(r"SKIPPED \[1\] test_suite.py:\d+: no torch here", suite("--tiers", "fast").stdout)


def test_an_unknown_tier_and_a_broken_floor_are_refused(suite):
    assert "--tiers takes fast, eda, nightly, not slow" in suite("--tiers", "slow").stderr
    broken = suite("--tiers", "fast", floor="fast 1\n")
    assert broken.returncode != 0
    assert "must have one line for each of fast, eda, nightly" in broken.stdout + broken.stderr


def test_floor_of_this_project_is_complete():
    floor = {line.split()[0]: int(line.split()[1]) for line in (ROOT / "tests" / "floor.txt").read_text().splitlines()
             if line.strip() and not line.startswith("#")}
    assert set(floor) == {"fast", "eda", "nightly"}
