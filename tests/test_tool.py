"""Programs: found, asked for their version, run with a log, and explained when they are missing or fail."""

import pytest

from flow.metrics import Metrics, load_metrics, write_metrics
from flow.tool import TOOLS, ToolError, find_tool, run_tool, tool_version
from golden.spec import SpecError


@pytest.fixture
def empty_path(tmp_path, monkeypatch):
    """A PATH with nothing on it; returns its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    tool_version.cache_clear()
    yield folder
    tool_version.cache_clear()


def add_command(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("command", [tool.command for tool in TOOLS.values() if tool.package])
def test_a_missing_tool_says_how_to_get_it(empty_path, command):
    with pytest.raises(ToolError) as error:
        find_tool(command)
    assert str(error.value) == (f"{command} ({TOOLS[command].purpose}) must be on PATH and is not; install it with: "
                                f"sudo apt-get install -y --no-install-recommends {TOOLS[command].package}")


@pytest.mark.parametrize("command, printed, version", [
    ("gcc", "gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0"),
    ("verilator", "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", "5.006"),
    ("iverilog", "Icarus Verilog version 11.0 (stable) ()", "11.0"),
    ("ngspice", "** ngspice-39 : Circuit level simulation program", "39"),
    ("klayout", "KLayout 0.28.5", "0.28.5"),
    ("openroad", "v2.0-17598-ga008522d8", "v2.0-17598-ga008522d8"),
])
def test_versions_as_tools_print_them(empty_path, command, printed, version):
    add_command(empty_path, command, f"echo '{printed}'")
    assert tool_version(command) == version


def test_a_tool_without_a_version_is_an_error(empty_path):
    add_command(empty_path, "make", "echo none today")
    with pytest.raises(ToolError, match="make --version printed no version"):
        tool_version("make")


def test_output_goes_to_the_log_and_to_the_listener(tmp_path):
    lines = []
    run_tool(["sh", "-c", "echo one; echo two >&2; echo $EXTRA"], tmp_path / "logs" / "a.log", env={"EXTRA": "three"},
             on_line=lines.append)
    assert lines == ["one", "two", "three"]
    assert (tmp_path / "logs" / "a.log").read_text() == "$ sh -c echo one; echo two >&2; echo $EXTRA\none\ntwo\nthree\n"


def test_a_tool_that_is_killed_says_by_what(tmp_path):
    with pytest.raises(ToolError, match="sh was ended by signal 9"):
        run_tool(["sh", "-c", "kill -9 $$"], tmp_path / "log")


def test_a_listener_that_raises_ends_the_tool(tmp_path):
    def refuse(line):
        raise KeyError(line)

    with pytest.raises(KeyError, match="first"):
        run_tool(["sh", "-c", "echo first; sleep 100"], tmp_path / "log", on_line=refuse)


def metrics(**values):
    return Metrics(step="s", config_sha256="0", inputs={}, tools={}, values=values)


def test_metrics_come_back_as_written_and_keys_are_sorted(tmp_path):
    path = tmp_path / "metrics.json"
    write_metrics(path, metrics(sim__b=2, sim__a=0.5))
    assert load_metrics(path) == metrics(sim__a=0.5, sim__b=2)
    assert path.read_text().index("sim__a") < path.read_text().index("sim__b")
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]


def test_an_absent_metric_raises_and_names_the_nearest():
    with pytest.raises(SpecError, match="sim__acuracy is not in the result of step s; the nearest is sim__accuracy"):
        metrics(sim__accuracy=0.9)["sim__acuracy"]


@pytest.mark.parametrize("content, message", [
    ("{", r"truncated.*metrics.json\); remove its folder"),
    ('{"step": "s"}', "missing required field `config_sha256`"),
    ('{"step": "s", "config_sha256": "", "inputs": {}, "tools": {}, "values": {"a": null}}', "got `null`"),
    ('{"step": "s", "config_sha256": "", "inputs": {}, "tools": {}, "values": {}, "more": 1}', "unknown field `more`"),
])
def test_a_damaged_metrics_file_is_refused(tmp_path, content, message):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(SpecError, match=message):
        load_metrics(tmp_path / "metrics.json")


def test_a_missing_metrics_file_says_so(tmp_path):
    with pytest.raises(SpecError, match="no metrics.json in .*: the step that makes it has not finished"):
        load_metrics(tmp_path / "metrics.json")
