"""The report's own steps: errors and saturation, areas and the picture by module, slacks, CPU, and the plots."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from physical_kit import LIBRARY, kit_cells
from PIL import Image

from flow.physical.design import Design, Placed, Placement
from flow.physical.geometry import Rect
from flow.physical.netlist import Netlist
from flow.timing.reports import EndSlack, Point, TimingPath
from golden.cells import forward_float, forward_int
from golden.dataset import Dataset
from golden.quantize import quantize_ptq, random_quantized_model
from golden.spec import CellSpec, ModelSpec, OutputSpec, QuantSpec, SpecError
from reports.charts import bars, heatmap, histogram, line, plot, scatter
from reports.parts import LANE_COLOURS, PARTS
from reports.run import make_reports
from reports.steps.accuracy import histogram as error_histogram
from reports.steps.accuracy import layer_errors, limited_preacts, saturations
from reports.steps.cpu import cpu_name, time_network
from reports.steps.lanes import lanes_of
from reports.steps.modules import area_values, class_of, draw_modules, write_macros
from reports.steps.slacks import path_row, slack_histogram
from reports.torch_network import torch_network
from rtl.config import find_design

RNG = np.random.default_rng(5)


def random_params(model: ModelSpec) -> dict[str, np.ndarray]:
    params = {}
    for layer, (spec, size) in enumerate(zip(model.cells, model.cell_input_sizes, strict=True)):
        rows = spec.n_float_gates * spec.hidden_size
        for name, shape in (("w_ih", (rows, size)), ("w_hh", (rows, spec.hidden_size)), ("b_ih", (rows,)),
                            ("b_hh", (rows,))):
            params[f"cells.{layer}.{name}"] = np.float32(0.5 * RNG.standard_normal(shape)).astype(np.float64)
    if model.output:
        params["output.w"] = np.float32(RNG.standard_normal((model.output.size, model.output_fan_in))).astype(float)
        params["output.b"] = np.zeros(model.output.size)
    return params


@pytest.mark.parametrize("spec", [CellSpec("lstm", 3), CellSpec("gru", 3), CellSpec("gru", 3, reset="before"),
                                  CellSpec("elman", 3)])
def test_limited_preactivations_are_those_beyond_sixteen_bits(spec):
    qmodel = random_quantized_model(ModelSpec(2, (spec,)), QuantSpec(), RNG)
    cell = replace(qmodel.cells[0], shift=np.full_like(qmodel.cells[0].shift, -2))
    x, h = RNG.integers(-128, 128, (30, 2)), RNG.integers(-128, 128, (30, 3))
    found = limited_preacts(cell, qmodel.quant, x, h)
    if spec.reset == "before":                     # its n row takes r * h: compared at h = 0, where that is 0 too
        h = np.zeros_like(h)
        found = limited_preacts(cell, qmodel.quant, x, h)
    for gate in range(len(spec.gates)):
        for at in range(30):
            for unit in range(3):
                columns = [*map(int, x[at]), *map(int, h[at])]
                acc = int(cell.bias[gate, unit]) + sum(
                    int(w) * column for w, column in zip(cell.w[gate, unit], columns, strict=True))
                assert found[gate, at, unit] == (not -32768 <= acc * 4 <= 32767)
    assert 0 < found.mean() < 1


def test_errors_and_saturations_are_of_steps_that_count():
    model = ModelSpec(2, (CellSpec("lstm", 3),), OutputSpec(2, "log_softmax"))
    params, x = random_params(model), RNG.standard_normal((6, 4, 2)).astype(np.float32)
    lengths = np.array([6, 3, 6, 1])
    qmodel = quantize_ptq(model, params, QuantSpec(), x, lengths)
    codes = qmodel.quantize_input(x)
    codes_beyond = codes.copy()
    exact, integer = forward_float(model, params, x, lengths), forward_int(qmodel, codes, lengths)
    valid = np.arange(6)[:, None] < lengths
    found = {name: wrong for name, _, wrong in layer_errors(qmodel, exact, integer, valid)}
    assert {name: len(wrong) for name, wrong in found.items()} == {"h0": 16 * 3, "c0": 16 * 3, "y": 16 * 2}
    t, n = 2, 1
    at = int(valid[: t].sum() + valid[t, :n].sum())
    assert found["h0"][3 * at] == pytest.approx(float(integer.h[0][t, n, 0]) - 128 * exact.h[0][t, n, 0])
    assert np.abs(found["h0"]).max() < 16, "a quantised network is near its float one"
    shifted = np.where(np.arange(6)[:, None, None] == 0, np.float32(1e3), x)
    data = Dataset(x, lengths, lengths * 0, shifted, lengths, lengths * 0, ("a", "b"))
    codes_beyond = qmodel.quantize_input(shifted)
    counts = {name: (hit, of) for name, hit, of in saturations(qmodel, data, codes_beyond, integer, valid)}
    assert counts["x"] == (4 * 2, 16 * 2) and counts["h0"][1] == 16 * 3 and counts["preact0"][1] == 4 * 16 * 3


def test_an_error_histogram_is_even_around_zero_and_loses_nothing():
    found = error_histogram(np.concatenate([np.linspace(-3, 3, 5000), [400.0]]))
    assert found["edges"][0] == -found["edges"][-1] and len(found["counts"]) % 2
    assert sum(found["counts"]) == 5001 and found["beyond"] >= 1


@pytest.mark.parametrize("cell, kind", [
    ("dlclkp_4", "clock gates"), ("dlxtp_1", "latches"), ("dlymetal6s2s_1", "buffers"), ("clkbuf_16", "buffers"),
    ("fah_1", "adders"), ("mux4_2", "multiplexers"), ("conb_1", "ties"), ("decap_12", "decap and fill"),
    ("tapvpwrvgnd_1", "taps"), ("nand2_1", "other gates"), ("clkinv_4", "inverters"), ("diode_2", "diodes"),
])
def test_cells_have_a_class(cell, kind):
    assert class_of(f"sky130_fd_sc_hd__{cell}") == kind


@pytest.fixture
def placed():
    """Two cells and a fill cell in two rows: (layout, cells, module of each instance, group of each)."""
    cells = kit_cells("inv_1", "dfxtp_1", "fill_1")
    name = {short: f"{LIBRARY}__{short}" for short in ("inv_1", "dfxtp_1", "fill_1")}
    instances = {"core__mac_reg": Placed(name["dfxtp_1"], 0, 0, "N"), "g": Placed(name["inv_1"], 0, 2720, "FS"),
                 "FILL_0": Placed(name["fill_1"], 9200, 2720, "FS")}
    die = Rect(0, 0, 10_000, 5440)
    netlist = Netlist("top", {}, {"core__mac_reg": name["dfxtp_1"], "g": name["inv_1"]}, {})
    layout = Design(Placement("top", die, die, instances=instances), netlist)
    return layout, cells, {"core__mac_reg": "core.mac", "g": "core.upd"}, {"core__mac_reg": "sequential",
                                                                           "g": "combinational"}


def test_areas_add_up_by_module_part_class_and_group(placed):
    layout, cells, modules, groups = placed
    values = area_values(layout, cells, modules, groups)
    flop, inverter = (cells[f"{LIBRARY}__{name}"].area / 1e6 for name in ("dfxtp_1", "inv_1"))
    area = {key.removeprefix("design__instance__area__"): value for key, value in values.items() if "__area__" in key}
    assert area["module:core.mac"] == pytest.approx(flop, abs=1e-4)
    assert area["module:core.mac"] == area["part:MAC_lanes"] == area["class:flip-flops"]
    assert area["group:combinational"] == area["part:update"] == pytest.approx(inverter, abs=1e-4)
    assert area["part:host"] == 0 and values["design__instance__count__class:decap_and_fill"] == 1
    whole = sum(cells[placed.cell].area for placed in layout.placement.instances.values()) / 1e6
    assert sum(value for key, value in area.items() if key.startswith("class:")) == pytest.approx(whole, abs=1e-3)


def test_the_picture_has_each_cell_in_its_parts_colour(placed, tmp_path):
    layout, cells, modules, _ = placed
    for name in ("a.png", "b.png"):
        draw_modules(layout, cells, modules, {"g": 1}, tmp_path / name)
    draw_modules(layout, cells, modules, {"core__mac_reg": 5}, tmp_path / "lane.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = Image.open(tmp_path / "a.png").convert("RGBA")
    assert picture.size == (2000, 1088)
    colour = {part.name: part.colour for part in PARTS}
    assert picture.getpixel((300, 800))[:3] == colour["MAC lanes"]       # the lower row
    assert picture.getpixel((100, 300))[:3] == colour["update"]          # the upper row
    assert picture.getpixel((1880, 300))[:3] == (214, 214, 214)
    assert picture.getpixel((1500, 300))[3] == 0
    assert Image.open(tmp_path / "lane.png").convert("RGB").getpixel((300, 800)) == LANE_COLOURS[1]


def test_gates_belong_to_the_lane_that_they_feed():
    cells = kit_cells("inv_1", "dfxtp_1")
    flop, gate = f"{LIBRARY}__dfxtp_1", f"{LIBRARY}__inv_1"
    lane, other = "core__mac_b0_l1_acc_s0_reg_bit_0__ff", "core__ctl_reg"
    netlist = Netlist("top", {}, {lane: flop, other: flop, "near": gate, "far": gate, "none": gate}, {
        "d": (("near", "Y"), (lane, "D")), "n": (("far", "Y"), ("near", "A")), "q": ((other, "Q"), ("far", "A")),
        "e": (("none", "Y"), (other, "D"))})
    groups = {lane: "sequential", other: "sequential", "near": "combinational", "far": "combinational",
              "none": "combinational"}
    assert lanes_of(netlist, cells, groups, 4) == {lane: 1, "near": 1, "far": 1}


def test_macros_are_placed_from_the_upper_left_corner(placed, tmp_path):
    layout, cells, _, _ = placed
    macro = SimpleNamespace(width=5000, height=1360, area=6_800_000, is_macro=True)
    layout.placement.instances["bank_0__macro"] = Placed("ram", 2500, 0, "N")
    write_macros(layout, {**cells, "ram": macro}, tmp_path / "macros.json")
    content = json.loads((tmp_path / "macros.json").read_text())
    assert content == {"die_um": [10.0, 5.44], "macros": [
        {"name": "bank_0__macro", "cell": "ram", "left": 0.25, "top": 0.75, "width": 0.5, "height": 0.25}]}


def test_slacks_of_all_corners_share_their_bins():
    reports = {corner: SimpleNamespace(setup={f"e{k}": EndSlack(slack, "s") for k, slack in enumerate(slacks)})
               for corner, slacks in {"tt": [0.5, 1.0], "ss": [-1.0, 0.0, 3.0]}.items()}
    found = slack_histogram(reports, "setup")
    assert found["edges"][0] == -1 and found["edges"][-1] == 3
    assert {corner: sum(counts) for corner, counts in found["counts"].items()} == {"tt": 2, "ss": 3}


def test_a_path_begins_at_its_register_and_has_rtl_names():
    def point(pin, cell, load=None):
        return Point(pin, cell, "^", 1.0, 0.1, load)
    path = TimingPath("core__acc_reg_bit_3__ff", "core__h_reg/D", (
        point("clk", "in", 0.1), point("clkbuf_0/A", "lib__clkbuf_4"), point("clkbuf_0/X", "lib__clkbuf_4", 0.1),
        point("core__acc_reg_bit_3__ff/CLK", "lib__dfxtp_1"), point("core__acc_reg_bit_3__ff/Q", "lib__dfxtp_1", 0.1),
        point("g/A", "lib__inv_1"), point("g/Y", "lib__inv_1", 0.1), point("core__h_reg/D", "lib__dfxtp_1")),
        5.0, 6.0, 1.0)
    assert path_row("setup", "ss", path) == {
        "check": "setup", "corner": "ss", "from": "core.acc[3]", "to": "core.h/D", "slack_ns": 1.0, "arrival_ns": 5.0,
        "cells": ["dfxtp_1", "inv_1"]}


def test_the_cpu_runs_the_first_sequences_one_by_one_or_all_at_once():
    lengths = np.array([3, 1, 2])
    data = Dataset(None, None, None, np.zeros((3, 3, 2), np.float32), lengths, lengths * 0, ("a",))
    seen = []
    _, n_steps = time_network(lambda x, lengths: seen.append((x.shape, lengths.tolist())), data, 1)
    assert n_steps == 6 and seen[:3] == [((3, 1, 2), [3]), ((1, 1, 2), [1]), ((2, 1, 2), [2])]
    seen.clear()
    assert time_network(lambda x, lengths: seen.append(x.shape), data, None)[1] == 6 and seen[0] == (3, 3, 2)


def test_the_cpu_has_the_kernels_name(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: A Processor\n")
    assert cpu_name(tmp_path / "cpuinfo") == "A Processor" and cpu_name(tmp_path / "nothing") == "unknown"


@pytest.mark.parametrize("spec", [CellSpec("lstm", 3), CellSpec("gru", 3), CellSpec("elman", 3)])
def test_the_network_that_torch_runs_is_goldens(spec):
    pytest.importorskip("torch", reason="torch is not installed: its network is compared with golden's float model")
    model = ModelSpec(2, (spec, CellSpec("lstm", 2)), OutputSpec(2, "identity"))
    params, x = random_params(model), RNG.standard_normal((4, 3, 2)).astype(np.float32)
    found = torch_network(model, params)(x, np.full(3, 4))
    np.testing.assert_allclose(found, forward_float(model, params, x).y, atol=1e-5)


def test_torch_is_not_asked_for_cells_that_it_lacks():
    for spec in (CellSpec("gru", 3, reset="before"), CellSpec("elman", 3, activation="identity")):
        model = ModelSpec(2, (spec,))
        assert torch_network(model, random_params(model)) is None


DRAWN = {
    "bars": bars(["a", "b"], [1.0, 0.0], "x"), "log": bars(["a", "b"], [1.0, 900.0], "x", logarithmic=True),
    "histogram": histogram([0, 1, 2], {"a": [1, 2], "b": [0, 5]}, "x", "y", zero=True, logarithmic=True),
    "heatmap": heatmap(["a", "b"], [[3, 1], [0, 0]], "x", "y"), "line": line([4, 8], [90.0, 91.0], "x", "y", (92, "z")),
    "scatter": scatter([("a", 1.0, 2.0), ("b", 30.0, 50.0)], "x", "y"),
}


def test_plots_have_the_same_bytes_ids_of_their_own_and_the_pages_colours():
    svgs = {name: plot(name, f"title of {name}", draw) for name, draw in DRAWN.items()}
    assert plot("scatter", "title of scatter", DRAWN["scatter"]) == svgs["scatter"]
    ids = {name: set(re.findall(r'\bid="([^"]+)"', svg)) for name, svg in svgs.items()}
    assert not set.intersection(*ids.values()) and all(ids.values())
    for name, svg in svgs.items():
        assert svg.startswith('<svg class="plot"') and svg.endswith("</svg>")
        assert f"<title>title of {name}</title>" in svg
        assert "#0101" not in svg and "var(--" in svg and "<text" in svg
        assert set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', svg)) <= ids[name]
        assert not re.search(r"\d{4}-\d\d-\d\dT", svg), "a time would differ from run to run"


def test_a_design_whose_memory_cannot_be_placed_has_a_page_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr("reports.run.golden_steps", lambda *_: {})
    monkeypatch.setattr("reports.run.load_pdk", lambda *_: SimpleNamespace(source="embedded"))
    text = find_design("vowels").read_text().replace("memory: flexmem", "memory: openram")
    (tmp_path / "mine.yaml").write_text(text)
    [made] = make_reports([str(tmp_path / "mine.yaml")], tmp_path, baselines=tmp_path)
    assert "memory must be flexmem or flipflop to be placed" in made.ppa.steps["modules"].missing
    assert made.ppa.pdk_source == "embedded" and made.page == tmp_path / "reports" / "mine.html"


def test_a_design_of_which_nothing_was_made_has_a_page_all_the_same(tmp_path, monkeypatch):
    """Only what needs no layout is measured; the rest is missing with its reason."""
    def no(*_):
        raise SpecError("not in this test")
    for step in ("accuracy.run_accuracy", "cpu.run_cpu"):
        monkeypatch.setattr(f"reports.steps.{step}", no)
    [made] = make_reports(["tiny"], tmp_path, baselines=tmp_path)
    html = made.page.read_text()
    assert made.ppa.verdict == "incomplete" and made.differences is None
    assert all(figure.value is None for figure in made.ppa.figures.values())
    assert made.ppa.steps["cpu"].missing == "not in this test" and "not in this test" in html
    assert "no layout has been made" in html
