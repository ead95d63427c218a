"""./stillwater on machines that lack this and that, without a network: a tiny lock with a wheel made here."""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from importlib import util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COREUTILS = ("cat cut dirname env flock grep head id ln mkdir mv readlink rm sed sh sha256sum sleep tail touch "
             "tr").split()
DOIT = ("import os, sys; print('doit', sys.argv[1:], os.getcwd(), os.environ['STILLWATER_CWD'], "
        "*['compiles anew'] * sys.dont_write_bytecode)\n")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


class Machine:
    """A clone whose lock holds one package, on a machine whose PATH is one folder of chosen commands."""

    def __init__(self, folder: Path):
        self.clone = folder / "a clone with spaces"
        self.bin = folder / "bin"
        self.wheels = folder / "wheels"
        for path in (self.clone, self.bin, self.wheels):
            path.mkdir()
        for name in COREUTILS:
            (self.bin / name).symlink_to(shutil.which(name))
        (self.bin / "python3").symlink_to(base_python())
        shutil.copy(ROOT / "stillwater", self.clone)
        (self.clone / "apt.txt").write_text("# needed\n\nsim-tool    # simulates\n")
        self.command("sim-tool", "exit 0")
        self.lock(build_wheel(self.wheels))

    def lock(self, digest: str) -> None:
        (self.clone / "requirements.lock").write_text(f"doit==9.0 \\\n    --hash=sha256:{digest}\n    # via test\n")

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def cannot_make_venvs(self) -> None:
        """For tests of what comes before; making one takes seconds."""
        self.command("python3", f'case "$*" in "-m venv"*) exit 3 ;; *) exec {base_python()} "$@" ;; esac')

    def quick_venvs(self) -> None:
        """For tests of what comes after: pip is the one of this environment, unpacking ensurepip's takes seconds."""
        pip = Path(util.find_spec("pip").origin).parent
        self.command("python3", f'case "$*" in "-m venv .venv") {base_python()} -m venv --without-pip .venv && '
                                f'{shutil.which("cp")} -R "{pip}" .venv/lib/python3.*/site-packages/ ;; '
                                f'*) exec {base_python()} "$@" ;; esac')

    def no_python(self) -> None:
        """python3 is there and unfit, and the system's own is out of sight."""
        self.command("python3", "exit 1")
        script = self.clone / "stillwater"
        script.write_text(script.read_text().replace(" /usr/bin/python3;", ";"))

    def environment(self, **extra: str) -> dict[str, str]:
        return {"PATH": str(self.bin), "HOME": str(self.clone), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull,
                "PIP_FIND_LINKS": self.wheels.as_uri(), **extra}

    def run(self, *args: str, cwd: Path | None = None, **extra: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.clone / "stillwater", *args], cwd=cwd or self.clone, env=self.environment(**extra),
                              capture_output=True, text=True, timeout=120)


def base_python() -> Path:
    """The interpreter under the virtual environment: a venv made from a venv would hide a missing ensurepip."""
    return Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"


def build_wheel(folder: Path) -> str:
    """A wheel `doit` 9.0 that prints its arguments and folders; returns its SHA-256."""
    files = {"doit/__init__.py": "", "doit/__main__.py": DOIT, "doit-9.0.dist-info/METADATA":
             "Metadata-Version: 2.1\nName: doit\nVersion: 9.0\n", "doit-9.0.dist-info/WHEEL":
             "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
               for name, text in files.items()}
    record = "".join(f"{name},sha256={digest},{len(files[name])}\n" for name, digest in digests.items())
    wheel = folder / "doit-9.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr("doit-9.0.dist-info/RECORD", record + "doit-9.0.dist-info/RECORD,,\n")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_first_call_installs_and_later_ones_do_not(machine, tmp_path):
    first = machine.run("sim", "design=vowels", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "installing 1 locked Python packages" in first.stdout
    assert f"doit ['sim', 'design=vowels'] {machine.clone} {tmp_path}" in first.stdout

    second = machine.run(PYTHONPATH="/nowhere", PYTHONDONTWRITEBYTECODE="1", LANG="xx_YY", LC_ALL="xx_YY")
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout == f"doit ['list'] {machine.clone} {machine.clone}\n"

    link = tmp_path / "sw"
    link.symlink_to(machine.clone / "stillwater")
    linked = subprocess.run([link, "list"], env=machine.environment(), capture_output=True, text=True, cwd=tmp_path)
    assert linked.stdout == f"doit ['list'] {machine.clone} {tmp_path}\n"


def test_a_changed_lock_or_package_list_makes_the_environment_anew(machine):
    stamp = machine.clone / ".venv" / "stamp"
    for name in ("requirements.lock", "apt.txt"):
        machine.cannot_make_venvs()
        (machine.clone / ".venv" / "bin").mkdir(parents=True)
        machine.command("venv-python", "case $1 in -ISc) echo 3.11 ;; *) echo doit ran ;; esac")
        (machine.clone / ".venv" / "bin" / "python").symlink_to(machine.bin / "venv-python")
        sums = subprocess.run("cat requirements.lock apt.txt | sha256sum | cut -c 1-64", shell=True, text=True,
                              cwd=machine.clone, capture_output=True, check=True).stdout.strip()
        stamp.write_text(f"{sums} python3.11\n")
        assert machine.run().stdout == "doit ran\n"
        with (machine.clone / name).open("a") as file:
            file.write("# changed\n")
        changed = machine.run()
        assert "installing 1 locked" in changed.stdout and "could not make .venv" in changed.stderr
        assert not stamp.exists()


def test_a_killed_installation_is_done_again(machine):
    real = base_python()
    machine.command("python3", f'case "$*" in "-m venv"*) mkdir .venv; touch .venv/half; sleep 60 ;; '
                               f'*) exec {real} "$@" ;; esac')
    process = subprocess.Popen([machine.clone / "stillwater"], env=machine.environment(), start_new_session=True,
                               stdout=subprocess.DEVNULL)
    half = machine.clone / ".venv" / "half"
    deadline = time.monotonic() + 60
    while not half.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert half.exists() and not (machine.clone / ".venv" / "stamp").exists()
    machine.quick_venvs()
    again = machine.run()
    assert again.returncode == 0, again.stderr
    assert "installing 1 locked" in again.stdout and not half.exists()


def test_a_package_that_is_not_the_locked_one_is_refused(machine):
    machine.lock("0" * 64)
    machine.quick_venvs()
    done = machine.run()
    assert done.returncode == 1
    assert "do not match the hashes" in done.stderr.lower()
    assert f"its whole output is in {machine.clone}/.venv/pip.log" in done.stderr
    assert not (machine.clone / ".venv" / "stamp").exists()


def test_missing_debian_package_without_root_prints_the_line(machine):
    (machine.clone / "apt.txt").write_text("sim-tool\nother-tool # why\nlibrary-dev\n")
    machine.command("id", "echo 1000")
    machine.command("apt-get", "echo must not run; exit 9")
    machine.command("dpkg-query", 'case "$*" in *library-dev) echo installed ;; *) exit 1 ;; esac')
    done = machine.run("list")
    assert done.returncode == 1 and done.stdout == ""
    assert "needed and not found: other-tool\n" in done.stderr
    assert "  sudo apt-get update && sudo apt-get install -y --no-install-recommends other-tool\n" in done.stderr
    assert not (machine.clone / ".venv").exists()


def test_missing_debian_package_as_root_is_installed(machine, tmp_path):
    (machine.clone / "apt.txt").write_text("sim-tool\nother-tool\nthird-tool\n")
    machine.cannot_make_venvs()
    machine.command("id", "echo 0")
    machine.command("dpkg-query", "exit 1")
    machine.command("apt-get", f'echo "$LC_ALL $*" >>"{tmp_path}/apt-calls"')
    done = machine.run("list")
    assert "installing Debian packages (once): other-tool third-tool\n" in done.stdout
    assert "installing 1 locked" in done.stdout
    update, install = (tmp_path / "apt-calls").read_text().splitlines()
    assert update.startswith("C ") and update.endswith(" update")
    assert install.endswith(" install -y --no-install-recommends other-tool third-tool")


@pytest.mark.parametrize("task, asked", [("list", False), ("test", True)])
def test_what_only_tests_need_is_installed_for_tests_alone(machine, tmp_path, task, asked):
    (machine.clone / "apt.txt").write_text("sim-tool\nother-tool # test: a browser\n")
    machine.quick_venvs()
    machine.command("id", "echo 0")
    machine.command("dpkg-query", "exit 1")
    machine.command("apt-get", f'echo "$*" >>"{tmp_path}/apt-calls"')
    done = machine.run(task)
    assert ("installing Debian packages (once): other-tool\n" in done.stdout) == asked
    assert (tmp_path / "apt-calls").exists() == asked


def test_failing_apt_shows_its_last_lines(machine):
    (machine.clone / "apt.txt").write_text("other-tool\n")
    machine.command("id", "echo 0")
    machine.command("dpkg-query", "exit 1")
    machine.command("apt-get", "echo E: no space left; exit 100")
    done = machine.run("list")
    assert done.returncode == 1
    assert "E: no space left" in done.stderr and "apt-get could not install: other-tool" in done.stderr


def test_no_apt_get_names_what_is_needed(machine):
    (machine.clone / "apt.txt").write_text("other-tool\n")
    done = machine.run("list")
    assert done.returncode == 1
    assert "needed and not found: other-tool" in done.stderr and "there is no apt-get here" in done.stderr


def test_a_shim_that_does_not_run_does_not_count(machine):
    machine.command("python3.12", "echo 'python3.12: command not found' >&2; exit 127")
    machine.cannot_make_venvs()
    assert f"{machine.bin}/python3 could not make .venv" in machine.run("list").stderr


def test_python_without_venv_asks_for_the_package(machine):
    machine.no_python()
    machine.command("id", "echo 1000")
    machine.command("apt-get", "exit 9")
    machine.command("dpkg-query", 'case "$*" in *python3) echo installed ;; *) exit 1 ;; esac')
    assert "needed and not found: python3-venv\n" in machine.run("list").stderr


def test_no_fitting_python_is_told(machine):
    machine.no_python()
    machine.command("dpkg-query", "echo installed")
    done = machine.run("list")
    assert done.returncode == 1
    assert "Python 3.11 or 3.12 (with venv) is needed and was not found" in done.stderr


def test_lock_names_no_index_and_hashes_everything():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    entries = [line for line in text.replace("\\\n", " ").splitlines() if line[:1].isalnum()]
    assert len(entries) > 20
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
