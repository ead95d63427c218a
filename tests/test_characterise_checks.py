"""What physics demands of tables: breaches are found, and what is excused is what the library that is kept needs."""

import msgspec
import pytest

pytest.importorskip("klayout.db", reason="the PyPI package klayout is not installed")

from flow.characterise import checks
from flow.characterise.checks import EXCUSED_FALLS, EXCUSED_ORDERS, check_corners, check_result
from flow.characterise.corner import SLEWS_NS
from flow.characterise.kit import CONFIG, LIBRARY
from flow.characterise.liberty_read import Group, load_liberty
from flow.characterise.result import CellResult, Leakage, Pin, Table, TimingArc
from flow.pdk.liberty import liberty_files, packed_path
from flow.steps.characterise import SLOW_TO_FAST
from golden.spec import SpecError
from tests.measured_inverter import result

needs_liberty = pytest.mark.skipif(not liberty_files(CONFIG), reason="no Liberty is kept in pdk_configs/liberty")


def changed(cell: CellResult, name: str, values: dict[tuple[int, int], float], **arc) -> CellResult:
    """A cell with other values at some points of a table of its arc, and other names."""
    old = cell.timing[0].tables[name]
    rows = tuple(tuple(values.get((i, j), value) for j, value in enumerate(row)) for i, row in enumerate(old.values))
    tables = {**cell.timing[0].tables, name: msgspec.structs.replace(old, values=rows)}
    return msgspec.structs.replace(cell, timing=(msgspec.structs.replace(cell.timing[0], tables=tables, **arc),))


def test_good_tables_pass():
    check_result(result())
    check_corners([result("ss_100C_1v60", 2.0), result(), result("ff_n40C_1v95", 0.5)])


@pytest.mark.parametrize("name, row, message", [
    ("cell_rise", (0.2, 0.1), "cell_rise falls by 0.1000 ns with more load"),
    ("cell_rise", (-0.5, 0.1), "cell_rise is earlier than the input's ramp begins"),
    ("rise_transition", (float("nan"), 0.1), "rise_transition has values that are not finite"),
    ("rise_transition", (9.0, 9.0), r"rise_transition falls with a slower input by 8.\d+ ns, more than 3%"),
    ("fall_transition", (0.0, 0.1), "fall_transition is 0 ns"),
])
def test_tables_that_break_physics_are_refused(name, row, message):
    with pytest.raises(SpecError, match=f"inv_1 at tt_025C_1v80 breaks physics: .*{message}"):
        check_result(changed(result(), name, {(0, 0): row[0], (0, 1): row[1]}))


def test_leakage_and_capacitance_are_checked():
    with pytest.raises(SpecError, match="leakage in state A is -1 nW"):
        check_result(result(leakage=(Leakage("A", -1.0),)))
    with pytest.raises(SpecError, match="leakage in state A is 0 nW"):
        check_result(result(leakage=(Leakage("A", 0.0),)))
    check_result(result(timing=(), leakage=(Leakage("", 0.0),)))       # a filler
    with pytest.raises(SpecError, match="input capacitance of A is 0, 0.002 pF"):
        check_result(result(pins=(Pin("A", "input", fall_capacitance_pf=0.002),)))
    with pytest.raises(SpecError, match="input capacitance of A is 0.002, 2 pF"):
        check_result(result(pins=(Pin("A", "input", rise_capacitance_pf=0.002, fall_capacitance_pf=2.0),)))


def constraint(kind: str, value: float) -> TimingArc:
    grid = Table((0.01, 0.5), (0.01, 0.5), ((value, value), (value, value)))
    return TimingArc("D", "CLK", kind, "", {"rise_constraint": grid})


@pytest.mark.parametrize("before, after", [("setup", "hold"), ("recovery", "removal")])
def test_what_comes_before_and_after_the_clock_leaves_a_window(before, after):
    check_result(result(timing=(constraint(f"{before}_rising", 0.1), constraint(f"{after}_rising", -0.05))))
    with pytest.raises(SpecError, match=f"D: {before} and {after} .* overlap by 0.0500 ns"):
        check_result(result(timing=(constraint(f"{before}_rising", 0.1), constraint(f"{after}_rising", -0.15))))


# corners

def test_corners_in_the_wrong_order_are_refused():
    with pytest.raises(SpecError, match="is not slower at ss_100C_1v60 than at tt_025C_1v80"):
        check_corners([result("ss_100C_1v60", 0.5), result()])


def with_one_faster(name: str, point: tuple[int, int], scale: float = 1.0) -> list[CellResult]:
    """ss and tt, with ss 1 % faster at one point of a table and slower everywhere else."""
    fast = result(scale=scale)
    value = 0.99 * fast.timing[0].tables[name].values[point[0]][point[1]]
    return [changed(result("ss_100C_1v60", 1.1 * scale), name, {point: value}), fast]


@pytest.mark.parametrize("name, point, scale", [
    ("cell_fall", (0, 0), 1.0), ("rise_transition", (3, 1), 0.05),     # an input of at most 0.15 ns ...
    ("cell_rise", (5, 0), 1.0), ("cell_rise", (6, 1), 1.0),            # ... or ten times the output's own transition
])
def test_a_single_point_of_the_slower_corner_that_is_faster_is_refused(name, point, scale):
    with pytest.raises(SpecError, match=f"{name} from A to Y .* \\(at \\({point[0]}, {point[1]}\\)\\)"):
        check_corners(with_one_faster(name, point, scale))


def test_ramps_far_slower_than_the_output_are_not_compared():
    check_corners(with_one_faster("cell_rise", (6, 0)))


# what is excused

def fallen(cell: str, extra_ns: float = 0.0) -> CellResult:
    """A cell whose table falls as xor2_4's is excused to, and more."""
    [one] = [one for one in EXCUSED_FALLS if one.cell == "xor2_4"]
    [(row, column)] = one.points
    values = {(i, j): 0.1 for i in range(len(SLEWS_NS)) for j in range(2)}
    values |= {(i, column): 0.1 - one.most_ns - extra_ns + 1e-9 for i in range(row + 1, len(SLEWS_NS))}
    made = changed(result(one.corner), one.table, values, related_pin=one.related_pin, pin=one.pin)
    return msgspec.structs.replace(made, name=cell)


def test_only_that_cell_is_excused_and_only_so_far():
    check_result(fallen("xor2_4"))
    for cell in (fallen("xor2_4", 0.002), fallen("xor2_2")):
        with pytest.raises(SpecError, match=r"falls with a slower input .* \(at \(4, 0\)\)"):
            check_result(cell)


def kept_arcs(cell: str, corner: str, related_pin: str, pin: str) -> dict[str, TimingArc]:
    """The delay arcs between two pins in the Liberty that is installed, by their sense."""
    library = load_liberty(packed_path(CONFIG, corner), {f"{LIBRARY}__{cell}"})
    groups = [group for group in library.find("cell").find("pin", pin).all("timing")
              if group.attributes["related_pin"] == related_pin]
    arcs = [TimingArc(pin, related_pin, group.attributes["timing_type"], group.attributes["timing_sense"],
                      {table.kind: table_of(table) for table in group.groups}) for group in groups]
    return {arc.timing_sense: arc for arc in arcs}


def table_of(group: Group) -> Table:
    return Table(*(tuple(group.index(name).tolist()) for name in ("index_1", "index_2")),
                 tuple(map(tuple, group.values().tolist())))


@needs_liberty
@pytest.mark.parametrize("one", EXCUSED_FALLS, ids=lambda one: one.cell)
def test_a_fall_that_is_excused_is_in_the_library(one):
    """One that is not there any more must go from the list."""
    arcs = kept_arcs(one.cell, one.corner, one.related_pin, one.pin)
    assert set().union(*(checks.falls(arc.tables[one.table]) for arc in arcs.values())) == one.points


@needs_liberty
@pytest.mark.parametrize("one", EXCUSED_ORDERS, ids=lambda one: one.cell)
def test_an_order_that_is_excused_is_in_the_library(one):
    faster = SLOW_TO_FAST[SLOW_TO_FAST.index(one.corner) + 1]
    slow, fast = (kept_arcs(one.cell, corner, one.related_pin, one.pin) for corner in (one.corner, faster))
    found = [checks.faster_points(arc, fast[sense], one.table) for sense, arc in slow.items()]
    assert set().union(*found) == one.points
