"""The list of stages: order, side by side, what a failure says, and what a second run keeps."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from flow import stages as all_stages
from flow.asic import run_stages
from flow.metrics import Metrics
from flow.stages import Stage
from flow.step import Step, Work, run_step_once
from flow.usage import metered
from golden.spec import SpecError


@dataclass(frozen=True)
class FakeDesign:
    name: str = "fake"


@dataclass(frozen=True)
class FakeChip:
    folder: Path
    design: FakeDesign = FakeDesign()


def stage(name, after=(), work=lambda work: {}, ran=None):
    def run(chip):
        def body(step_work: Work):
            if ran is not None:
                ran.append(name)
            return {"stage__number": 1, **work(step_work)}
        return run_step_once(Step(name, run=body), chip.folder / name, config={"name": name})
    return Stage(name, tuple(after), run, lambda metrics: f"number {metrics['stage__number']}")


def test_stages_run_after_those_that_they_read_and_say_what_they_found(tmp_path, capsys):
    ran = []
    stages = [stage("b", ("a",), ran=ran), stage("a", ran=ran), stage("c", ("b", "a"), ran=ran)]
    results = run_stages(FakeChip(tmp_path), stages, n_workers=3)
    assert ran == ["a", "b", "c"] and list(results) == ["b", "a", "c"]
    assert isinstance(results["c"].metrics, Metrics)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["fake", "1/3", "a"], ["fake", "2/3", "b"], ["fake", "3/3", "c"]]
    assert lines[0].endswith("number 1")


def test_a_second_run_keeps_what_is_done(tmp_path, capsys):
    ran = []
    stages = [stage("a", ran=ran), stage("b", ("a",), ran=ran)]
    run_stages(FakeChip(tmp_path), stages)
    assert "kept" not in capsys.readouterr().out
    run_stages(FakeChip(tmp_path), stages)
    assert ran == ["a", "b"] and capsys.readouterr().out.count("kept") == 2


def test_stages_that_do_not_need_each_other_run_side_by_side(tmp_path):
    both = threading.Barrier(2, timeout=20)

    def meet(work):
        return {"stage__order": both.wait()}

    results = run_stages(FakeChip(tmp_path), [stage("a", work=meet), stage("b", work=meet)], n_workers=2)
    assert {results[name].metrics["stage__order"] for name in "ab"} == {0, 1}


def burn(cpu_seconds):
    """Keeps a core busy, in the thread that calls it."""
    end = time.thread_time() + cpu_seconds
    while time.thread_time() < end:
        pass


BURN = "import time\nwhile time.process_time() < 0.4: pass"


def test_each_stage_is_told_what_it_used_of_the_cores_and_not_what_others_did(tmp_path):
    """Two side by side: one waits, one works in its thread, in another thread and in a program."""
    both = threading.Barrier(2, timeout=20)

    def idle(work):
        both.wait()
        return {}

    def busy(work):
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(metered(burn), 0.2)
            burn(0.1)
            work.run_tool(sys.executable, "-c", BURN)
            beside.result()
        both.wait()
        return {}

    results = run_stages(FakeChip(tmp_path), [stage("a", work=idle), stage("b", work=busy)], n_workers=2)
    assert results["a"].cpu_seconds < 0.1 and results["a"].seconds > 0.4
    assert 0.7 <= results["b"].cpu_seconds < 1.2


def fail(work):
    (work.folder / "report").write_text("bad")
    raise SpecError("3 wires must be 0 apart")


def test_a_failure_names_design_stage_and_folder_and_keeps_what_was_done(tmp_path):
    ran = []
    stages = [stage("a", ran=ran), stage("b", ("a",), fail, ran), stage("c", ("b",), ran=ran)]
    with pytest.raises(SpecError, match=r"fake: stage b: 3 wires must be 0 apart; its files are in .*b\.unfinished"):
        run_stages(FakeChip(tmp_path), stages)
    assert (tmp_path / "b.unfinished" / "report").is_file() and not (tmp_path / "b").exists()
    stages[1] = stage("b", ("a",), ran=ran)
    run_stages(FakeChip(tmp_path), stages)
    assert ran == ["a", "b", "b", "c"]


def test_of_two_failures_the_first_in_the_list_is_told(tmp_path):
    both = threading.Barrier(2, timeout=20)

    def fail_together(work):
        both.wait()
        raise SpecError(f"broken in {work.folder.name}")

    with pytest.raises(SpecError, match="stage a: broken in a.unfinished"):
        run_stages(FakeChip(tmp_path), [stage("a", work=fail_together), stage("b", work=fail_together)], n_workers=2)


def test_a_list_that_waits_for_a_stage_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="wait for what does not exist: b"):
        run_stages(FakeChip(tmp_path), [stage("a"), stage("b", ("nowhere",))])


@pytest.mark.parametrize("simulated, message", [("module top;", None), ("module other;", "must be that of the fini")])
def test_the_netlist_that_was_simulated_must_be_that_of_the_finished_layout(monkeypatch, tmp_path, simulated, message):
    for name, text in (("gatesim", simulated), ("power", "module top;")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "netlist.v").write_text(text)
    chip = SimpleNamespace(folder=tmp_path, top="top", design=None, pdk=None, macro_views={},
                           spec=SimpleNamespace(power=None), result=lambda stage, name: tmp_path / stage / name)
    monkeypatch.setattr(all_stages, "run_power", lambda *args: "metrics")
    if message is None:
        assert all_stages.power(chip) == "metrics"
        return
    with pytest.raises(SpecError, match=message):
        all_stages.power(chip)


def test_the_simulation_of_gates_does_not_wait_for_the_finished_layout_and_power_does():
    after = {stage.name: stage.after for stage in all_stages.STAGES}
    assert after["gatesim"] == ("route",) and {"extract", "gatesim"} <= set(after["power"])
    names = [stage.name for stage in all_stages.STAGES]
    assert all(names.index(before) < names.index(name) for name in names for before in after[name])


def test_a_full_disk_ends_in_one_message_that_says_what_to_do(tmp_path):
    def fill(work):
        raise OSError(28, "No space left on device")

    with pytest.raises(SpecError, match=r"stage a: no room is left on the disk for .*a\.unfinished: free some"):
        run_stages(FakeChip(tmp_path), [stage("a", work=fill)])
