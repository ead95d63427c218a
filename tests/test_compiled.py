"""The names under which compiled functions are kept: by the text of all files that have them, and by the options."""

import ast

import pytest

import flow.compiled
from flow.compiled import EXTRACT, FLOW, POWER, ROUTE, SIGNOFF, TIMING, Compiled, sources_digest

KINDS = {"ROUTE": ("route",), "TIMING": ("timing", "repair"), "POWER": ("power",), "SIGNOFF": ("signoff",),
         "EXTRACT": ("extract",)}


@pytest.fixture
def part(tmp_path, monkeypatch):
    """A folder with one file that has compiled functions and one that has none."""
    monkeypatch.setattr(flow.compiled, "FLOW", tmp_path)
    monkeypatch.setattr(flow.compiled, "KEPT", tmp_path / "kept")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "a.py").write_text("@PART.jit\ndef f(): pass\n")
    (tmp_path / "part" / "b.py").write_text("x = 1\n")
    return tmp_path / "part"


def test_the_name_follows_the_text_of_files_with_compiled_functions(part):
    before = Compiled("part").folder
    assert before.parent == part.parent / "kept" and before.name.startswith("part-")
    (part / "b.py").write_text("x = 2\n")
    assert Compiled("part").folder == before
    (part / "a.py").write_text("@PART.jit\ndef f(): return 1\n")
    changed = Compiled("part").folder
    assert changed != before
    (part / "a.py").rename(part / "c.py")
    assert Compiled("part").folder not in {before, changed}


def test_the_name_follows_the_second_folder_and_the_options(part):
    (part.parent / "more").mkdir()
    (part.parent / "more" / "d.py").write_text("@PART.jit\ndef g(): pass\n")
    both = Compiled("part", "more").folder
    (part.parent / "more" / "d.py").write_text("@PART.jit\ndef g(): return 2\n")
    assert Compiled("part", "more").folder != both != Compiled("part").folder
    assert Compiled("part", nogil=True).folder != Compiled("part").folder


def test_functions_are_kept_there_and_run(part):
    compiled = Compiled("part")
    triple = compiled.jit(_triple)
    assert triple(14) == 42
    assert [path for path in compiled.folder.rglob("*.nbc") if "_triple" in path.name]


def _triple(x):
    return 3 * x


def test_every_compiled_function_is_of_the_cache_of_its_folder():
    """A function of another folder's cache would be kept by files that it is not in."""
    caches = {"ROUTE": ROUTE, "TIMING": TIMING, "POWER": POWER, "SIGNOFF": SIGNOFF, "EXTRACT": EXTRACT}
    assert {cache.name for cache in caches.values()} == set(caches) == set(KINDS)
    found = set()
    for path in sorted(FLOW.glob("*/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for use in getattr(node, "decorator_list", []):
                if isinstance(use, ast.Attribute) and use.attr.startswith("jit") and isinstance(use.value, ast.Name):
                    assert path.parent.name in KINDS[use.value.id], f"{path.name}: {use.value.id}"
                    found.add(use.value.id)
    assert found == set(KINDS)
    empty = sources_digest(FLOW, "ROUTE")
    assert all(sources_digest(FLOW / folder, kind) != empty for kind, (folder, *_) in KINDS.items())
