"""Doctor finds what is there, says how to get what is not, and fails only for what is required."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flow import doctor
from flow.doctor import Finding, check_package, find_datasets, find_packages, find_tools, print_report
from flow.lock import locked_versions
from flow.tool import TOOLS, ToolError, tool_version

ROOT = Path(__file__).resolve().parent.parent


def report(findings, width=80) -> str:
    out = io.StringIO()
    print_report(lambda: findings, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_this_machine_has_the_locked_packages():
    findings = find_packages(ROOT)
    assert {finding.state for finding in findings} == {"ok"}
    assert {"numpy", "pyrtl", "doit", "aeon", "pytest"} <= {finding.name for finding in findings}


def test_another_version_than_the_locked_one_is_wrong():
    numpy = check_package("numpy", "0.0.1")
    assert (numpy.state, numpy.purpose) == ("wrong", "0.0.1 is locked") and "rm -r .venv" in numpy.remedy
    assert check_package("no-such-package", "1.0").state == "missing"


def test_the_lock_has_what_pyproject_names_for_both_pythons():
    text = (ROOT / "requirements.lock").read_text()
    assert locked_versions(ROOT)["pyrtl"] == "1.0.3"
    assert "python_full_version" not in text, "one set of versions serves Python 3.11 and 3.12"


def test_data_sets_are_really_read():
    found = {finding.name: (finding.version, finding.purpose) for finding in find_datasets()}
    assert found == {
        "JapaneseVowels": ("270 + 370", "12 channels, 29 steps, 9 classes"),
        "ItalyPowerDemand": ("67 + 1029", "1 channel, 24 steps, 2 classes"),
        "BasicMotions": ("40 + 40", "6 channels, 100 steps, 4 classes"),
    }


@pytest.fixture
def path_without(tmp_path, monkeypatch):
    """A PATH with the required tools that are given, as scripts that print a version."""
    def make(*absent: str) -> None:
        for tool in TOOLS.values():
            if tool.required and tool.command not in absent:
                (tmp_path / tool.command).write_text("#!/bin/sh\necho tool 1.2.3\n")
                (tmp_path / tool.command).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        tool_version.cache_clear()
    yield make
    tool_version.cache_clear()


def test_a_missing_required_tool_fails_with_its_remedy(path_without):
    path_without("verilator")
    with pytest.raises(ToolError) as error:
        report(find_tools())
    assert str(error.value) == ("what is required and not there:\n  verilator is missing: "
                                "sudo apt-get install -y --no-install-recommends verilator")


def test_optional_tools_may_be_missing(path_without):
    path_without()
    text = report(find_tools())
    assert "Everything required is there" in text
    assert "Debian: opensta" in text and "1.2.3" in text


def test_the_report_fits_80_columns(path_without):
    path_without()
    findings = [doctor.find_python(), *find_packages(ROOT), *find_tools(), *doctor.find_optional_parts()]
    text = report(findings)
    assert max(map(len, text.splitlines())) <= 80
    for finding in findings:
        assert f"  {finding.name}" in text and "…" not in text


def test_the_report_has_no_folder_of_this_machine(path_without, tmp_path):
    path_without()
    findings = [doctor.find_python(), *find_packages(ROOT), *find_tools(), *doctor.find_optional_parts()]
    assert str(tmp_path) not in report(findings) and sys.prefix not in report(findings)


def test_markup_in_a_version_is_shown_as_it_is():
    text = report([Finding(section="Tools", name="odd", state="ok", version="[1.0]", purpose="[bold]")])
    assert "[1.0]" in text and "[bold]" in text
