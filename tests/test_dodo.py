"""The tasks as a person calls them: the menu, parameters by name, and what wrong ones are answered."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from doit.exceptions import InvalidDodoFile

from flow import tasks
from flow.parameters import DESIGNS, OF_TASK, DesignFile, check_command_line, parse_designs, parse_parts, parse_tiers
from flow.tasks import explained, one_a_weights_file, sources_of
from golden.spec import SpecError

ROOT = Path(__file__).resolve().parent.parent


def doit(*args: str, cwd: Path = ROOT, **extra: str) -> subprocess.CompletedProcess:
    """As from a terminal: shells start what runs behind them deaf to interrupts, and that is inherited."""
    return subprocess.run([sys.executable, "-m", "doit", *args], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, **extra}, timeout=60,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def test_menu_names_every_task_once_with_its_parameters():
    done = doit("list")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for task, parameters in OF_TASK.items():
        [line] = [line for line in lines if line.startswith(f"  {task} ") and "commas" not in line]
        for parameter in parameters:
            assert f"{parameter.name}={parameter.default}" in line
        assert len(line.split()) > 3 + len(parameters), f"{task} has no description"
    assert max(map(len, lines)) <= 100


def test_menu_loads_nothing_heavy():
    code = ("import sys; from doit.doit_cmd import DoitMain; DoitMain().run(['list']); "
            "heavy = {'numpy', 'numba', 'pyrtl', 'aeon', 'rich', 'pandas'} & set(sys.modules); sys.exit(bool(heavy))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0


def test_doits_own_options_of_list_still_work():
    assert "sim:tiny" in doit("list", "--all").stdout.split()
    assert doit("list", "-q", "--all", "sim", "design=tiny").stdout.split() == ["sim", "sim:table", "sim:tiny"]


@pytest.mark.parametrize("args, message", [
    (["sim", "dseign=tiny"], "sim takes the parameters design, not 'dseign'; did you mean design?"),
    (["doctor", "design=tiny"], "doctor takes no parameters, not 'design'"),
    (["simm"], "there is no task 'simm'; did you mean sim?"),
    (["sim", "design=vowles"], "the path of a .yaml, not 'vowles'; did you mean vowels?"),
    (["sim", "design=mine/x.yaml"], "design=mine/x.yaml: there is no such file"),
    (["test", "tier=night"], "tier must be all or one or more of fast, eda, nightly, not 'night'"),
    (["sim", "tiny"], "a design is given by name: design=tiny, for example ./stillwater sim design=tiny"),
    (["sim", "mine.yaml"], "a design is given by name: design=mine.yaml"),
    (["sim:tiny", "design=vowels"], "sim has no part 'tiny' with these parameters; for one design: ./stillwater sim "
                                    "design=tiny"),
    (["run", "nothing_like_it"], "there is no task 'nothing_like_it' (./stillwater list)"),
    (["-x"], "there is no option -x; ./stillwater shows the tasks"),
    (["sim", "--deep"], "there is no option --deep; ./stillwater shows the tasks"),
    (["list", "-x"], "there is no option -x; ./stillwater shows the tasks"),
    (["-n", "sim"], "invalid literal for int() with base 10: 'sim'; ./stillwater shows the tasks"),
    (["sim", "design=mine.yml"], "a design file must end in .yaml, not .yml; rename it"),
    (["sim", "design=nowhere/mine.yaml"], "there is no such file"),
    (["list", "colour=red"],
     "the tasks take the parameters cell, corner, design, gpu, keep, part, tier, words, not 'colour'"),
    (["report", "gpu=nowhere.json"], "gpu must be none or the path of a file, and nowhere.json is not there"),
])
def test_a_wrong_word_gets_one_message(args, message):
    done = doit(*args)
    assert done.returncode == 3
    assert done.stderr.startswith("ERROR: ") and message in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


def test_subtasks_and_doits_commands_are_not_mistaken_for_typing_errors():
    check_command_line(["sim:tiny"])
    check_command_line(["forget", "sim"])
    check_command_line(["-n", "2", "sim", "design=tiny"])


def test_designs_by_name_by_list_and_by_path(tmp_path):
    everything = [design.name for design in parse_designs("all")]
    assert everything[0] == "tiny" and sorted(everything) == sorted(path.stem for path in DESIGNS.glob("*.yaml"))
    assert [design.name for design in parse_designs("vowels,tiny")] == ["vowels", "tiny"]
    assert parse_designs("vowels")[0].reference == "vowels"
    (tmp_path / "mine.yaml").write_text("title: mine\n")
    [mine] = parse_designs("mine.yaml", cwd=tmp_path)
    assert (mine.name, mine.reference) == ("mine", str(tmp_path / "mine.yaml"))
    (tmp_path / "tiny.yaml").write_text("title: another\n")
    with pytest.raises(InvalidDodoFile, match="two designs cannot both be called tiny"):
        parse_designs("tiny,tiny.yaml", cwd=tmp_path)


def test_a_relative_design_starts_where_the_bootstrap_was_called(tmp_path):
    (tmp_path / "mine.yaml").write_text("title: mine\n")
    done = doit("list", "--all", "design=mine.yaml", STILLWATER_CWD=str(tmp_path))
    assert "sim:mine" in done.stdout.split()


def test_a_folder_and_a_name_that_verilog_cannot_have_are_refused(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InvalidDodoFile, match="design=folder.yaml: that is a folder"):
        parse_designs("folder.yaml", cwd=tmp_path)
    (tmp_path / "two-layers.yaml").touch()
    with pytest.raises(InvalidDodoFile, match="letters, digits and _, because it names Verilog modules; rename it"):
        parse_designs("two-layers.yaml", cwd=tmp_path)


def test_a_shipped_design_by_its_path_is_the_shipped_design():
    for path in ("rtl/designs/tiny.yaml", "golden/../rtl/designs/tiny.yaml"):
        assert [design.reference for design in parse_designs(path, cwd=ROOT)] == ["tiny"]


@pytest.mark.parametrize("broken, message", [
    ("title: [\n", "design file is not readable YAML"),
    ("title: x\nmodel: {}\nmodel: {}\n", "model must be given once, not in line 2"),
    (None, "weights file must exist, but {folder}/tiny.npz does not: train it with `./stillwater train "
           "design={folder}/last.yaml`"),
])
def test_a_bad_design_stops_all_before_the_first_long_step(tmp_path, broken, message):
    (tmp_path / "last.yaml").write_text(broken or (DESIGNS / "tiny.yaml").read_text())
    database = f"--db-file={tmp_path / 'doit.db'}"                    # as if nothing had been run yet
    done = doit("run", database, "sim", f"design=tiny,{tmp_path / 'last.yaml'}")
    assert done.returncode != 0
    [line] = [line for line in done.stdout.splitlines() if "failed" in line]
    assert line.startswith("check:last failed: ") and message.format(folder=tmp_path) in line
    assert "sim:" not in done.stdout and "Traceback" not in done.stdout + done.stderr


def test_a_bad_design_stops_training_before_the_first_one(tmp_path):
    text = (DESIGNS / "tiny.yaml").read_text().replace("epochs: 200", "epochs: 1").replace("words: 36", "words: 64")
    (tmp_path / "first.yaml").write_text(text.replace("tiny.npz", "first.npz"))
    (tmp_path / "last.yaml").write_text(text.replace("input_size: 2", "input_size: 3"))
    first, last = (DesignFile(name, tmp_path / f"{name}.yaml") for name in ("first", "last"))
    with pytest.raises(SpecError, match=r"2 channels, not 3 \(last.yaml: model.input_size\)"):
        tasks.train(first, [first, last])
    assert not (tmp_path / "first.npz").exists()
    tasks.train(first, [first])
    assert (tmp_path / "first.npz").is_file()


def test_clean_removes_results_exports_and_simulators(tmp_path, monkeypatch):
    [tiny] = parse_designs("tiny")
    monkeypatch.setattr(tasks, "BUILD", tmp_path)
    for name in ("tiny-sim", "tiny-sim.unfinished", "tiny-export", "vowels-sim", "simulators"):
        (tmp_path / name / "inside").mkdir(parents=True)
    tasks.remove_results(tiny, "sim")
    tasks.remove_results(tiny, "export")
    tasks.remove_simulators()
    assert [path.name for path in tmp_path.iterdir()] == ["vowels-sim"]
    shown = doit("clean", "--dry-run", "design=tiny").stdout           # all tasks, though none is named
    for name in ("sim:tiny", "sim:table", "export:tiny"):
        assert f"{name} - " in shown


def test_parts_of_the_bench_keep_their_order_and_unknown_ones_are_refused():
    assert parse_parts("asic,models") == ("models", "asic") and parse_parts("all") == ("models", "router", "asic")
    with pytest.raises(InvalidDodoFile, match="part must be all or one or more of models, router, asic, not 'ruoter'"):
        parse_parts("ruoter")


def test_a_worker_takes_one_core_unless_told_otherwise(monkeypatch):
    calls = []
    monkeypatch.setattr(tasks.subprocess, "run", lambda command, **options: calls.append((command, options["env"]))
                        or subprocess.CompletedProcess(command, 0))
    for given, taken in ((None, "1"), ("3", "3")):
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        if given:
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
        assert tasks.test(("fast", "eda")) is None
        command, environment = calls.pop()
        assert command[-2:] == ["--tiers", "fast,eda"] and environment["OPENBLAS_NUM_THREADS"] == taken
        assert environment["PATH"] == os.environ["PATH"]


def test_tiers_keep_their_order():
    assert parse_tiers("eda,fast") == ("fast", "eda")
    assert parse_tiers("all") == ("fast", "eda", "nightly")


def test_a_design_depends_on_sources_its_file_and_its_weights():
    [design] = parse_designs("vowels")
    names = {str(Path(path).relative_to(ROOT)) for path in sources_of(design)}
    assert {"golden/fixed.py", "rtl/controller.py", "flow/step.py", "rtl/designs/vowels.yaml",
            "requirements.lock"} <= names
    assert "rtl/designs/tiny.yaml" not in names and not any("__pycache__" in name for name in names)


def test_a_broken_design_file_does_not_break_the_menu(tmp_path):
    (tmp_path / "broken.yaml").write_text("weights: [\n")
    done = doit("list", "--all", f"design={tmp_path / 'broken.yaml'}")
    assert (done.returncode, done.stderr) == (0, "")


def test_own_weights_and_data_are_sources(tmp_path):
    (tmp_path / "mine.yaml").write_text("weights: mine.npz\ndata: {name: npz, path: data.npz}\n")
    (design,) = parse_designs(str(tmp_path / "mine.yaml"))
    for name in ("mine.npz", "data.npz"):
        assert str(tmp_path / name) not in sources_of(design)
        (tmp_path / name).touch()
        assert str(tmp_path / name) in sources_of(design)


def test_designs_that_share_weights_are_trained_once():
    trained = [design.name for design in one_a_weights_file(parse_designs("all"))]
    assert "vowels" in trained and "vowels_x4" not in trained


def test_bad_input_ends_a_task_with_its_message_and_a_bug_with_its_traceback():
    def refuse():
        raise SpecError("lanes must be 4, not 5")

    assert explained(refuse)().get_msg().strip() == "lanes must be 4, not 5"
    with pytest.raises(ZeroDivisionError):
        explained(lambda: 1 / 0)()


DODO = """
import os, signal, time
from pathlib import Path
from flow.durable import Reporter
from flow.tasks import entry
from golden.spec import SpecError
DOIT_CONFIG = {"backend": "durable", "dep_file": "memory.db", "reporter": Reporter, "verbosity": 2}

def refuse(): raise SpecError("no such thing")
def write(path): Path(path).write_text("x")
def die(): os.kill(os.getpid(), signal.SIGKILL)
def wait(): os.kill(os.getpid(), signal.SIGINT); time.sleep(60)

def task_first(): return entry(write, "first", file_dep=["dodo.py"], targets=["first"])
def task_second(): return entry(die, task_dep=["first"])
def task_long(): return entry(wait, task_dep=["first"])
def task_refused(): return entry(refuse)
def task_after(): return entry(write, "after", task_dep=["refused"])
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dodo.py").write_text(DODO)
    (tmp_path / "pyproject.toml").write_text('[tool.doit.plugins.backend]\ndurable = "flow.durable:DurableDB"\n')
    return tmp_path


def test_a_killed_run_remembers_what_was_done(project):
    killed = doit("second", cwd=project, PYTHONPATH=str(ROOT))
    assert killed.returncode == -signal.SIGKILL and ">  first" in killed.stdout
    again = doit("first", cwd=project, PYTHONPATH=str(ROOT))
    assert again.stdout == "-- first (up to date)\n"


def test_an_interrupt_is_told_in_one_line_and_forgets_nothing(project):
    done = doit("long", cwd=project, PYTHONPATH=str(ROOT))
    assert done.returncode == 130
    assert done.stderr == "\ninterrupted; what was finished is kept, and the next call goes on from there\n"
    assert doit("first", cwd=project, PYTHONPATH=str(ROOT)).stdout == "-- first (up to date)\n"


def test_a_failure_is_its_message(project):
    done = doit("after", cwd=project, PYTHONPATH=str(ROOT))
    assert done.returncode != 0 and not (project / "after").exists()
    assert "refused failed: no such thing\n" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
