"""Rules about the sources themselves: who imports whom, lint, and what must never be in a file."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("reports", "flow", "rtl", "golden")
SOURCES = [path for name in (*PACKAGES, "tests") for path in sorted((ROOT / name).glob("**/*.py"))]


def lint_imports(root: Path) -> subprocess.CompletedProcess:
    """import-linter with the contracts of root/pyproject.toml."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run([sys.executable, "-c", code, "--no-cache"], cwd=root, capture_output=True, text=True,
                          env={"PYTHONPATH": str(root)})


def test_imports_keep_their_direction():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("module, statement, broken", [
    ("golden/cells.py", "import rtl.config", "golden.cells -> rtl.config"),
    ("golden/fixed.py", "from flow import step", "golden.fixed -> flow.step"),
    ("rtl/config.py", "import flow.step", "rtl.config -> flow.step"),
    ("rtl/config.py", "from golden.fixed import rs", "rtl.config -> golden.fixed"),
])
def test_an_import_against_the_direction_is_found(tmp_path, module, statement, broken):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ours = [path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).glob("*.py")]
    for name in ours:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert lint_imports(tmp_path).returncode == 0
    (tmp_path / module).write_text(statement + "\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert broken in done.stdout.replace("\n", " ")


def test_every_package_is_under_the_contract():
    text = (ROOT / "pyproject.toml").read_text()
    covered = re.search(r"root_packages = \[(.*)\]", text)[1]
    for name in PACKAGES:
        if (ROOT / name).is_dir():
            assert (ROOT / name / "__init__.py").is_file(), f"{name} is no package"
            assert f'"{name}"' in covered, f"add {name} to root_packages and to the layers in pyproject.toml"


def test_rtl_takes_tables_from_golden_and_no_arithmetic():
    arithmetic = {"rs", "sat", "tanh_int", "sigmoid_int", "forward_int", "forward_float"}
    found = []
    for path in sorted((ROOT / "rtl").glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("golden"):
                found += [f"{path.name}: {alias.name}" for alias in node.names if alias.name in arithmetic]
            if isinstance(node, ast.Attribute) and node.attr in {"tanh_int", "sigmoid_int", "forward_int"}:
                found.append(f"{path.name}:{node.lineno}: {node.attr}")
    assert not found


def test_ruff_finds_nothing():
    done = subprocess.run([ruff(), "check", "--no-cache", "--output-format", "concise", "."], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_something_where_there_is_something(tmp_path):
    (tmp_path / "x.py").write_text("import os\nfor a, b in zip([], []): pass\n")
    done = subprocess.run([ruff(), "check", "--no-cache", "--config", ROOT / "pyproject.toml", tmp_path],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "F401" in done.stdout and "B905" in done.stdout


def ruff() -> str:
    return str(Path(sys.prefix) / "bin" / "ruff")


def test_every_module_says_what_it_is():
    silent = [str(path.relative_to(ROOT)) for path in SOURCES if ast.get_docstring(ast.parse(path.read_text())) is None]
    assert not silent


def test_no_file_knows_the_machine_that_it_was_made_on():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    home = re.compile(rb"/(home|root|Users)/\w|/work/\w|/tmp/\w/")
    found = [path.name for path in paths if path.is_file() and path != Path(__file__).resolve()
             and path.suffix not in (".png", ".npz") and home.search(path.read_bytes())]
    assert not found


def test_the_picture_is_as_its_script_draws_it(tmp_path):
    shutil.copy(ROOT / "docs" / "draw_overview.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "draw_overview.py"], check=True)
    assert (tmp_path / "overview.svg").read_bytes() == (ROOT / "docs" / "overview.svg").read_bytes()


def test_readme_names_what_there_is():
    text = (ROOT / "README.md").read_text()
    designs = {path.stem for path in (ROOT / "rtl" / "designs").glob("*.yaml")}
    assert designs == set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    for name in re.findall(r"^\./stillwater (\w+)", text, re.MULTILINE):
        assert f"def task_{name}(" in (ROOT / "dodo.py").read_text(), f"README calls {name}, which is no task"
    for link in re.findall(r"\]\(([\w/.]+)\)", text):
        assert (ROOT / link).is_file(), link
