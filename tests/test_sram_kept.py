"""Measurements of macros that are kept with the project: for the macro that was measured, and for no other."""

import pytest

from flow.characterise.corner import find_corner
from flow.pdk.config import load_pdk_config
from flow.sram.checks import check_macro, check_order
from flow.sram.kept import KEPT, load_kept, write_kept
from flow.sram.liberty import macro_library
from flow.sram.pins import check_liberty
from flow.sram.spec import SramSpec
from flow.steps.characterise import SLOW_TO_FAST
from golden.spec import SpecError
from tests.test_sram_liberty import result_of

SPEC = SramSpec(512, 8)


@pytest.fixture
def views(tmp_path):
    paths = [tmp_path / f"{SPEC.name}.{end}" for end in ("gds", "cdl")]
    for path in paths:
        path.write_text(f"bytes of {path.name}")
    return paths


def test_what_is_kept_comes_back_for_the_same_macro_only(tmp_path, views):
    results = {"tt_025C_1v80": result_of(SPEC)}
    assert load_kept(SPEC, *views, tmp_path) is None
    path = write_kept(SPEC, *views, results, tmp_path)
    first = path.read_bytes()
    assert load_kept(SPEC, *views, tmp_path) == results
    write_kept(SPEC, *views, results, tmp_path)
    assert path.read_bytes() == first
    views[0].write_text("another layout")
    assert load_kept(SPEC, *views, tmp_path) is None


def test_a_broken_file_is_refused_with_what_to_do(tmp_path, views):
    path = write_kept(SPEC, *views, {}, tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SpecError, match="must be as they were written: .*sramlib words=512x8 keep=yes"):
        load_kept(SPEC, *views, tmp_path)


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.json")), ids=lambda path: path.stem)
def test_kept_numbers_are_whole_and_within_what_physics_allows(path):
    import msgspec

    from flow.sram.kept import KeptMacro
    spec = SramSpec.parse(path.stem.removeprefix("flexmem_"))
    corners = msgspec.json.decode(path.read_bytes(), type=KeptMacro).corners
    assert corners.keys() == load_pdk_config().corners.keys()
    for name, result in corners.items():
        assert (result.name, result.corner) == (spec.name, name)
        check_macro(result)
        check_liberty(spec, macro_library(result, spec, find_corner(name)), str(path))
    check_order([corners[name] for name in SLOW_TO_FAST])
