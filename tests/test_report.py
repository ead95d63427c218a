"""The report: what is in ppa.json, that all of it is on the page, and what is shown where something is not there."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from report_tree import CORNERS, STEPS, write_tree
from rich.console import Console

from golden.spec import SpecError
from reports.anchors import load_anchors
from reports.build import build_ppa, source_files
from reports.collect import Tree
from reports.gpu import gpu_figures, load_gpu
from reports.page import design_page, index_page, module_rows
from reports.plots import confusions, errors, speed
from reports.schema import SCHEMA, Ppa, load_ppa, schema_text, write_ppa
from reports.table import print_reports
from reports.texts import number_text, unit_text
from reports.units import unit_of

ANCHORS = load_anchors()


def make(tree: Tree, title: str = "a toy") -> Ppa:
    return build_ppa(tree, title, "embedded", CORNERS)


def page_of(tree: Tree, ppa: Ppa) -> str:
    picture = tree.own / "modules" / "modules.png"
    pictures = {"modules": picture} if picture.is_file() else {}
    return design_page(ppa, pictures, tree.own / "modules" / "macros.json", ANCHORS, None, [])


class Page(HTMLParser):
    """The text below each element with data-ppa, and all attributes and tags."""

    VOID = {"meta", "link", "img", "br"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str | None] = []
        self.missing: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(found.get("data-ppa"))
        if found.get("data-ppa"):
            self.texts.setdefault(found["data-ppa"], [])
        if "missing" in (found.get("class") or "").split():
            self.missing |= {name for name in self.open if name}

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            self.open.pop()

    def handle_data(self, data):
        for name in self.open:
            if name:
                self.texts[name].append(data)

    def text(self, name: str) -> str:
        return "".join(self.texts[name]).replace("\u00a0", " ")


@pytest.fixture
def plain(monkeypatch):
    """Pages without plots, which take a second."""
    monkeypatch.setattr("reports.page.section_plots", lambda ppa, anchors: {"where": [], "accuracy": [], "context": []})


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    tree = write_tree(tmp_path_factory.mktemp("toy"))
    ppa = make(tree)
    html = page_of(tree, ppa)
    return tree, ppa, html, Page(html)


def test_the_schema_in_the_repository_is_that_of_the_code():
    assert SCHEMA.read_text() == schema_text(), "write it anew: python -m reports.write_schema"
    assert json.loads(schema_text())["$defs"]["Figure"]["properties"]["value"]["anyOf"]


def test_a_whole_tree_passes_and_every_figure_has_its_value(toy):
    _, ppa, _, _ = toy
    assert ppa.verdict == "pass"
    assert not [key for key, figure in ppa.figures.items() if figure.value is None]
    value = {key: figure.value for key, figure in ppa.figures.items()}
    assert value["headline.area"] == pytest.approx(0.5)
    assert value["headline.clock"] == pytest.approx(80.0)
    assert value["headline.power"] == pytest.approx(20.0)
    assert value["headline.latency"] == pytest.approx(8.0)                      # 400 cycles of 20 ns
    assert value["headline.energy"] == pytest.approx(1600.0)
    assert value["context.gops"] == pytest.approx(2 * 960_000 / 80_000 / 20)    # 1.2
    assert value["context.gops_peak"] == pytest.approx(1.6)
    assert value["context.gops_w"] == pytest.approx(60.0)
    assert value["context.gops_mm2.die"] == pytest.approx(2.4)
    assert value["context.gops_mm2.logic"] == pytest.approx(5.0)
    assert value["context.gops_mm2.sram"] == pytest.approx(5.0)
    assert value["context.steps_per_s"] == pytest.approx(125_000)
    assert value["cycles.useful"] == pytest.approx(75.0) and value["cycles.host"] == 0
    assert value["power.part.MAC_lanes"] == pytest.approx(10.0) and value["power.part.host"] == 0


def keys_of(ppa: Ppa) -> list[str]:
    """Every key of ppa.json that names something, as the page marks it."""
    content = msgspec.to_builtins(ppa)
    keys = [name for name in content if not isinstance(content[name], dict | list)]
    keys += [f"{part}/{key}" for part in ("figures", "checks", "series", "tools", "steps") for key in content[part]]
    keys += [f"paths/{at}" for at in range(len(content["paths"]))]
    for step, record in content["steps"].items():
        keys += [f"steps/{step}/{part}/{key}" for part in ("values", "inputs") for key in record[part]]
    return keys


def test_every_key_of_ppa_json_is_on_the_page(toy):
    _, ppa, html, page = toy
    described = {"title"}                                   # stands in the head, checked below
    lacking = [key for key in keys_of(ppa) if key not in page.texts and key not in described]
    assert not lacking
    assert ppa.title in html
    known = set(keys_of(ppa))
    assert not [key for key in page.texts if key not in known], "the page marks what is not in ppa.json"


def test_what_stands_beside_a_key_is_its_label_value_unit_and_file(toy):
    _, ppa, _, page = toy
    for key, figure in ppa.figures.items():
        text = page.text(f"figures/{key}")
        if not key.startswith("headline."):
            assert all(source.file in text and source.metric in text for source in figure.sources), key
            assert figure.formula in text
        assert figure.label in text and number_text(figure.value) in text and unit_text(figure.unit) in text, key
    for key, check in ppa.checks.items():
        assert check.label in page.text(f"checks/{key}")
    for at, path in enumerate(ppa.paths):
        text = page.text(f"paths/{at}")
        assert path.start in text and path.end in text and path.corner in text and "buf_2 ×2" in text
    for step, record in ppa.steps.items():
        if not record.missing:
            text = page.text(f"steps/{step}")
            assert record.file in text and record.config_sha256 in text and "tool 1.2" in text
            for key, metric in record.values.items():
                assert str(metric.value) in page.text(f"steps/{step}/values/{key}")


def test_every_number_can_be_traced_to_a_file_that_is_there(toy):
    tree, ppa, _, _ = toy
    assert not [name for name in source_files(ppa) if not (tree.root / name).is_file()]
    for key, figure in ppa.figures.items():
        assert figure.sources, key
        for source in figure.sources:
            content = json.loads((tree.root / source.file).read_text())
            if source.file.endswith("metrics.json"):
                assert source.metric in content["values"], key
            else:
                for name in (source.metric.removesuffix(".core.mac").removesuffix(".bank_0")).split("."):
                    content = content[name]


def test_modules_stand_beside_each_other_with_their_shares(toy, tmp_path):
    _, ppa, _, _ = toy
    rows = {row["name"]: row for row in module_rows(ppa)}
    assert rows["core.mac"]["part"] == "MAC lanes" and rows["core.mac"]["area_share"] == pytest.approx(50)
    assert rows["bank_0"]["power"] == pytest.approx(10) and rows["bank_0"]["power_share"] == pytest.approx(50)
    lacking = module_rows(make(write_tree(tmp_path, without=("power",))))
    assert [row["power"] for row in lacking] == [None, None]


def test_the_same_tree_gives_the_same_bytes(plain, toy, tmp_path):
    """Of plots, tests/test_report_steps.py says it."""
    tree, ppa, _, _ = toy
    again = make(Tree(tree.design, tree.pdk, tree.root / "build", root=tree.root))
    assert page_of(tree, again) == page_of(tree, ppa)
    for name, content in (("a.json", ppa), ("b.json", again)):
        write_ppa(tmp_path / name, content)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert load_ppa(tmp_path / "a.json") == ppa


def test_the_page_needs_no_network(toy):
    _, _, html, page = toy
    links = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "action")]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_a_missing_step_is_missing_and_red_and_never_zero(plain, tmp_path):
    tree = write_tree(tmp_path, without=("power", "modules"))
    ppa = make(tree)
    page = Page(page_of(tree, ppa))
    assert ppa.verdict == "pass", "power is no gate"
    for key in ("headline.power", "headline.energy", "context.gops_w", "power.part.memory", "area.part.memory"):
        figure = ppa.figures[key]
        assert figure.value is None and "has left no metrics.json" in figure.missing or "there is no" in figure.missing
        assert f"figures/{key}" in page.missing
        assert "missing" in page.text(f"figures/{key}") and figure.missing in page.text(f"figures/{key}")
    assert "steps/power" in page.missing and ppa.steps["power"].values == {}
    assert "figures/headline.area" not in page.missing


def test_a_missing_metric_of_a_gate_leaves_the_verdict_open(plain, tmp_path):
    tree = write_tree(tmp_path, drc={"klayout__drc_error__count": None})
    ppa = make(tree)
    check = ppa.checks["clean.klayout__drc_error__count"]
    assert (ppa.verdict, check.passed, check.found) == ("incomplete", None, None)
    assert check.missing == "step drc did not measure klayout__drc_error__count"
    html = page_of(tree, ppa)
    assert "checks/clean.klayout__drc_error__count" in Page(html).missing
    assert "Not all of it was measured" in html


@pytest.mark.parametrize("step, metric, value, key", [
    ("drc", "klayout__drc_error__count", 3, "clean.klayout__drc_error__count"),
    ("sta", "timing__hold_vio__count", 1, "clean.timing__hold_vio__count"),
    ("sta", "design__max_cap_violation__count", 1, "clean.design__max_slew_violation__count"),
    ("sim", "sim__mismatch__count__simulator:icarus", 1, "right.icarus"),
    ("sim", "sim__compared__count__simulator:pyrtl", 0, "right.pyrtl"),
    ("gatesim", "gatesim__mismatch__count", 2, "right.gates"),
    ("equivalence", "synthesis__equivalence__register__count", 0, "right.proof"),
    ("sim", "accuracy__int__fraction", 0.9, "right.accuracy"),
])
def test_every_gate_can_fail(plain, tmp_path, step, metric, value, key):
    tree = write_tree(tmp_path, **{step: {metric: value}})
    ppa = make(tree)
    assert ppa.verdict == "fail" and [k for k, check in ppa.checks.items() if check.passed is False] == [key]
    assert "Not right or not clean" in page_of(tree, ppa)


def test_a_result_of_files_that_have_changed_is_no_verdict(plain, tmp_path):
    tree = write_tree(tmp_path)
    (tree.folders["sta"] / "input.txt").write_text("something else\n")
    ppa = make(tree)
    assert ppa.verdict == "incomplete" and ppa.steps["sta"].stale == ["build/toy-sky130/sta/input.txt"]
    page = Page(page_of(tree, ppa))
    assert "steps/sta" in page.missing and "changed or gone" in page.text("steps/sta")


def test_a_broken_metrics_file_is_missing_with_its_reason(tmp_path):
    tree = write_tree(tmp_path)
    (tree.folders["drc"] / "metrics.json").write_text("{")
    tree.read()
    assert "remove its folder and run the step again" in make(tree).steps["drc"].missing


def test_a_step_that_failed_says_where_its_files_are(tmp_path):
    tree = write_tree(tmp_path, without=("sta",))
    tree.folders["sta"].with_name("sta.unfinished").mkdir()
    tree.read()
    assert "build/toy-sky130/sta.unfinished" in make(tree).figures["timing.setup"].missing


HOSTILE = "</title><script>alert(1)</script>\"' onload=x $\\frac{1}$ --> {{ 7*7 }}"


def test_hostile_names_stay_text(tmp_path, monkeypatch):
    monkeypatch.setattr("reports.page.section_plots", lambda ppa, anchors: {
        "where": [], "accuracy": [*confusions(ppa), *errors(ppa)], "context": []})
    tree = write_tree(tmp_path, cpu={"cpu__name": HOSTILE})
    content = tree.json("accuracy", "accuracy.json")
    content["class_names"] = [HOSTILE[:9], HOSTILE]
    content["errors"]["h0"]["label"] = HOSTILE
    (tree.folders["accuracy"] / "accuracy.json").write_text(json.dumps(content))
    html = page_of(tree, make(tree, HOSTILE))
    page = Page(html)
    assert page.tags.count("svg") == 2
    assert page.tags.count("script") == 1 and page.tags.count("title") == 1 + page.tags.count("svg")
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in html and "49" not in page.text("figures/context.cpu.name")


def test_the_index_compares_designs_and_names_those_that_lack_figures(tmp_path):
    whole, lacking = write_tree(tmp_path), write_tree(tmp_path, design="half", without=("power",))
    html = index_page([(make(whole), None), (make(lacking), None)])
    page = Page(html)
    assert [value for name, value in page.attributes if name == "data-design"] == ["toy", "half"]
    assert {"toy.html", "half.html"} <= {value for name, value in page.attributes if name == "href"}
    assert html.count('class="missing">missing') == 5      # power, inference, and three with GOPS
    assert "Missing: half." in html and page.tags.count("svg") == 3


def test_the_terminal_shows_verdict_numbers_and_what_is_missing(tmp_path, capsys):
    reports = [(make(write_tree(tmp_path)), None), (make(write_tree(tmp_path, design="half", without=("drc", "power"))),
                                                    None)]
    print_reports(reports, Console(width=120))
    out = capsys.readouterr().out
    assert re.search(r"toy\s+PASS\s+0.5\s+80\s+20\s+8\s+1,600", out)
    assert re.search(r"half\s+INCOMPLETE\s+0.5\s+80\s+missing\s+8\s+missing", out)
    assert "half: missing: design rules: official deck, markers (step drc has left no metrics.json)" in out


def test_the_terminal_says_what_failed_and_counts_what_is_missing(tmp_path, capsys):
    failed = make(write_tree(tmp_path, lvs={"design__lvs_error__count": 2}))
    nothing = make(write_tree(tmp_path, design="none", without=tuple(STEPS)))
    print_reports([(failed, None), (nothing, None)], Console(width=120))
    out = capsys.readouterr().out
    assert "toy: LVS: differences: FAIL, found 2" in out
    assert "none: 14 of 14 gates are missing; run ./stillwater asic design=none" in out


def test_units_follow_from_names():
    wanted = {"energy__step_pj": "pJ", "sram__leakage_nw__corner:tt_025C_1v80": "nW", "sram__read_pj__corner:x": "pJ",
              "design__instance__area__class:clock_gate_cell": "um2", "gatesim__run__s__simulator:icarus": "s",
              "sim__speed__cycles_per_s__simulator:verilator": "1/s", "clock__capacitance__corner:tt": "pF",
              "extract__wire__capacitance__total__corner:nom": "fF", "design__die__bbox": "text",
              "extract__wire__resistance__total__corner:nom": "ohm", "route__wirelength__detour": "",
              "timing__hold__tns__corner:tt": "ns", "power__group:sram__window:load": "W",
              "antenna__worst__ratio__layer:met1": "", "gds__sha256": "text", "error__rms__at:c0": "LSB"}
    assert {key: unit_of(key) for key in wanted} == wanted


def test_anchors_have_sources_and_their_numbers_agree():
    assert {"Chipmunk", "EdgeDRNN", "RNNAccel", "OpenSpike"} <= {anchor.name for anchor in ANCHORS}
    for anchor in ANCHORS:
        assert anchor.source
        for numbers in filter(None, (anchor.published, anchor.scaled)):
            if numbers.gops and numbers.power_mw and numbers.gops_w:
                assert numbers.gops_w == pytest.approx(1000 * numbers.gops / numbers.power_mw, rel=0.01)
            if numbers.gops and numbers.area_mm2 and numbers.gops_mm2:
                assert numbers.gops_mm2 == pytest.approx(numbers.gops / numbers.area_mm2, rel=0.01)
    [chipmunk] = [anchor for anchor in ANCHORS if anchor.name == "Chipmunk"]
    assert chipmunk.scaled.clock_mhz == chipmunk.published.clock_mhz / 2
    assert chipmunk.scaled.area_mm2 == pytest.approx(4 * chipmunk.published.area_mm2)


@pytest.mark.parametrize("text, message", [
    ("- {name: a, process: b, what: c, source: d, published: {gops: many}}", "Expected `float | null`"),
    ("- {name: a, process: b, what: c, published: {}}", "missing required field `source`"),
    ("- {name: a, process: b, what: c, source: d, published: {}, scaled: {gops: 1}}", "must say their rule"),
])
def test_bad_anchors_are_refused(tmp_path, text, message):
    (tmp_path / "anchors.yaml").write_text(text)
    with pytest.raises(SpecError, match=message):
        load_anchors(tmp_path / "anchors.yaml")


def test_figures_of_a_gpu_come_from_a_file(tmp_path):
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps({"name": "G1", "design": "toy", "batch": 64, "steps_per_s": 1e6, "power_w": 100,
                                "source": "measured with torch 2"}))
    figures = gpu_figures(load_gpu(path), "toy", "gpu.json")
    assert figures["context.gpu.0.steps_per_s"].value == 1e6
    assert figures["context.gpu.0.energy_step"].value == pytest.approx(1e5)
    assert gpu_figures(load_gpu(path), "other", "gpu.json") == {}
    ppa = build_ppa(write_tree(tmp_path), "a toy", "embedded", CORNERS, figures)
    assert any(plot.title == "Time steps a second" and "GPU, G1, 64 at once" in plot.svg for plot in speed(ppa))
    path.write_text('{"name": "G1"}')
    with pytest.raises(SpecError, match="missing required field"):
        load_gpu(path)
    with pytest.raises(SpecError, match="is not"):
        load_gpu(tmp_path / "nowhere.json")


def test_the_tree_of_the_tests_has_what_the_steps_measure():
    assert set(STEPS) == set(Tree("x", "y", Path("build")).folders)
