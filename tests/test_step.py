"""A step's result is whole or not there, whatever happens to the run."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flow.metrics import load_metrics
from flow.step import Step, Work, finished_step, run_step
from flow.tool import ToolError
from golden.spec import SpecError

ROOT = Path(__file__).resolve().parent.parent


def count_words(work: Work) -> dict:
    text = work.inputs[0].read_text()
    (work.folder / "words.txt").write_text("\n".join(text.split()))
    work.run_tool("sh", "-c", "echo counted; pwd")
    return {"text__word__count": len(text.split()) * work.config["weight"]}


COUNT = Step("count", run=count_words, tools=("git",), required_metrics=("text__word__count",))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text("one two three")
    return path


def test_result_holds_metrics_log_and_configuration(tmp_path, text):
    metrics = run_step(COUNT, tmp_path / "build" / "count", {"weight": 2, "a": 1}, [text])
    result = tmp_path / "build" / "count"
    assert metrics["text__word__count"] == 6
    assert load_metrics(result / "metrics.json") == metrics
    assert metrics.tools["git"][0].isdigit()
    assert metrics.inputs == {"text": hashlib.sha256(b"one two three").hexdigest()}
    assert (result / "config.json").read_text() == '{\n  "a": 1,\n  "weight": 2\n}\n'
    assert "counted\n" in (result / "step.log").read_text()
    assert sorted(path.name for path in (tmp_path / "build").iterdir()) == [".count.lock", "count"]


def test_a_configuration_with_tuples_is_the_same_when_it_is_read_back(tmp_path, text):
    config = {"weight": 2, "names": ("a", ("b",))}
    run_step(COUNT, tmp_path / "count", config, [text])
    assert finished_step(COUNT, tmp_path / "count", config, [text])
    assert not finished_step(COUNT, tmp_path / "count", {**config, "names": ("a", "b")}, [text])


def test_the_same_inputs_give_the_same_bytes(tmp_path, text):
    for name in ("a", "b"):
        run_step(COUNT, tmp_path / name / "count", {"weight": 1}, [text])
    a, b = ((tmp_path / name / "count" / "metrics.json").read_bytes() for name in ("a", "b"))
    assert a == b


def test_a_new_result_replaces_the_old_one_whole(tmp_path, text):
    result = tmp_path / "count"
    run_step(COUNT, result, {"weight": 1}, [text])
    (result / "stale").write_text("from the first run")
    run_step(COUNT, result, {"weight": 3}, [text])
    assert load_metrics(result / "metrics.json")["text__word__count"] == 9
    assert not (result / "stale").exists()


def test_a_failed_step_leaves_no_result_and_its_folder_to_look_at(tmp_path, text):
    result = tmp_path / "count"
    run_step(COUNT, result, {"weight": 1}, [text])

    def fail(work: Work) -> dict:
        work.run_tool("sh", "-c", "for i in $(seq 30); do echo line $i; done; exit 3")
        return {}

    with pytest.raises(ToolError) as error:
        run_step(Step("count", run=fail), result, {}, [text])
    log = tmp_path / "count.unfinished" / "step.log"
    assert "sh ended with status 3" in str(error.value) and f"all of it: {log}" in str(error.value)
    assert "  line 30\n" in str(error.value) and "  line 10\n" not in str(error.value)
    assert log.is_file() and not result.exists()
    run_step(COUNT, result, {"weight": 1}, [text])
    assert result.is_dir() and not log.exists()


@pytest.mark.parametrize("values, message", [
    ({}, "metrics text__word__count are missing"),
    ({"text__word__count": float("nan")}, "text__word__count must be finite, not nan"),
    ({"text__word__count": True}, "must be a number or a text, not True"),
    ({"Text Words": 1}, "metric names must look like"),
])
def test_a_step_must_measure_what_it_promises(tmp_path, text, values, message):
    step = Step("count", run=lambda work: values, required_metrics=("text__word__count",))
    with pytest.raises(SpecError, match=message):
        run_step(step, tmp_path / "count", {}, [text])
    assert not (tmp_path / "count").exists()


def test_a_missing_input_or_tool_is_told_before_any_work(tmp_path, text):
    step = Step("count", run=lambda work: pytest.fail("ran"), tools=("no-such-tool",))
    with pytest.raises(ToolError, match="no-such-tool must be on PATH and is not"):
        run_step(step, tmp_path / "count", {}, [text])
    with pytest.raises(SpecError, match="step count needs .*absent"):
        run_step(COUNT, tmp_path / "count", {}, [tmp_path / "absent"])
    assert not (tmp_path / "count").exists()


KILLED = """
import sys, time
from pathlib import Path
from flow.step import Step, run_step

def work(work):
    (work.folder / "half").write_text("half")
    (work.folder / "metrics.json").write_text("{}")
    print("working", flush=True)
    work.run_tool("sh", "-c", "while :; do echo $$; sleep 0.05; done")

run_step(Step("count", run=work), Path(sys.argv[1]), {})
"""


def start_step(result: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", KILLED, result], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "working\n"
    return process


def test_a_killed_run_leaves_no_result_and_the_next_one_succeeds(tmp_path, text):
    result = tmp_path / "count"
    process = start_step(result)
    log = tmp_path / "count.unfinished" / "step.log"
    child = wait_for_child(log)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not result.exists() and (tmp_path / "count.unfinished" / "half").exists()
    assert ends(child), "the tool went on after the run that started it was killed"
    run_step(COUNT, result, {"weight": 1}, [text])
    assert not (result / "half").exists() and load_metrics(result / "metrics.json")


def test_two_runs_of_one_step_do_not_mix(tmp_path, text):
    result = tmp_path / "count"
    process = start_step(result)
    try:
        with pytest.raises(SpecError, match="another run of step count is at work in"):
            run_step(COUNT, result, {"weight": 1}, [text])
    finally:
        process.kill()
        process.wait()


def wait_for_child(log: Path) -> int:
    """The process id that the tool prints."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) > 1 and lines[-1].isdigit():
            return int(lines[1])
        time.sleep(0.02)
    raise TimeoutError(log)


def ends(pid: int) -> bool:
    """Whether a process is gone, or only waits to be collected, within some seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False
