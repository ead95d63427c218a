"""Liberty text from results: the same results give the same bytes."""

from flow.characterise.corner import CONSTRAINT_SLEWS_NS, MAX_TRANSITION_NS, N_LOADS, SLEWS_NS, Corner
from flow.characterise.kit import LIBRARY, base_name
from flow.characterise.result import CellResult, Pin, PowerArc, Table, TimingArc

NOTICE = "Characterised by Stillwater from layout with ngspice. Not made or approved by the foundry: not for signoff."
CONSTRAINT_TYPES = ("setup_rising", "setup_falling", "hold_rising", "hold_falling", "recovery_rising",
                    "recovery_falling", "removal_rising", "removal_falling")
POWER_PIN = "VPWR"

Lines = list[str]


def library_text(results: list[CellResult], corner: Corner) -> str:
    """One library of cells at one corner, cells by name."""
    lines = header(corner)
    for result in sorted(results, key=lambda result: result.name):
        lines += indented(cell_group(result))
    return "\n".join([*lines, "}", ""])


def header(corner: Corner) -> Lines:
    name = f"{LIBRARY}__{corner.name}"
    return [
        f'library ("{name}") {{',
        *indented([
            f'comment : "{NOTICE}";', 'technology ("cmos");', 'delay_model : "table_lookup";',
            'time_unit : "1ns";', 'voltage_unit : "1V";', 'leakage_power_unit : "1nW";', 'current_unit : "1mA";',
            'pulling_resistance_unit : "1kohm";', "capacitive_load_unit (1.0, \"pf\");",
            "nom_process : 1.0;", f"nom_temperature : {corner.celsius:.1f};", f"nom_voltage : {corner.voltage:.2f};",
            *group(f'operating_conditions ("{corner.name}")', [
                "process : 1.0;", f"temperature : {corner.celsius:.1f};", f"voltage : {corner.voltage:.2f};",
                'tree_type : "balanced_tree";']),
            f'default_operating_conditions : "{corner.name}";',
            f"default_max_transition : {MAX_TRANSITION_NS:.1f};", "default_fanout_load : 0.0;",
            "default_cell_leakage_power : 0.0;", "default_leakage_power_density : 0.0;",
            "default_input_pin_cap : 0.0;", "default_inout_pin_cap : 0.0;", "default_output_pin_cap : 0.0;",
            *(f"{way}_threshold_pct_{edge} : 50.0;" for way in ("input", "output") for edge in ("rise", "fall")),
            *(f"slew_{end}_threshold_pct_{edge} : {percent};" for end, percent in (("lower", "20.0"), ("upper", "80.0"))
              for edge in ("rise", "fall")),
            "slew_derate_from_library : 1.0;",
            f'voltage_map ("VPWR", {corner.voltage:.2f});', f'voltage_map ("VPB", {corner.voltage:.2f});',
            'voltage_map ("VGND", 0.0);', 'voltage_map ("VNB", 0.0);',
            *template("lu_table_template", "delay_7x7", ("input_net_transition", "total_output_net_capacitance"),
                      (len(SLEWS_NS), N_LOADS)),
            *template("lu_table_template", "constraint_3x3", ("related_pin_transition", "constrained_pin_transition"),
                      (len(CONSTRAINT_SLEWS_NS),) * 2),
            *template("lu_table_template", "pulse_3", ("related_pin_transition",), (len(CONSTRAINT_SLEWS_NS),)),
            *template("power_lut_template", "power_7x7", ("input_transition_time", "total_output_net_capacitance"),
                      (len(SLEWS_NS), N_LOADS)),
            *template("power_lut_template", "power_7", ("input_transition_time",), (len(SLEWS_NS),)),
        ]),
    ]


def template(kind: str, name: str, variables: tuple[str, ...], sizes: tuple[int, ...]) -> Lines:
    lines = [f'variable_{k} : "{variable}";' for k, variable in enumerate(variables, 1)]
    lines += [f'index_{k} ("{", ".join(str(n) for n in range(1, size + 1))}");' for k, size in enumerate(sizes, 1)]
    return group(f'{kind} ("{name}")', lines)


def cell_group(result: CellResult) -> Lines:
    lines = [f"area : {number(result.area_um2)};", f'cell_footprint : "{LIBRARY}__{base_name(result.name)}";']
    if result.leakage:
        mean = sum(leak.nanowatt for leak in result.leakage) / len(result.leakage)
        lines.append(f"cell_leakage_power : {number(mean)};")
    if result.clock_gating:
        lines.append(f'clock_gating_integrated_cell : "{result.clock_gating}";')
    for leak in result.leakage:
        lines += group("leakage_power ()", [f'value : {number(leak.nanowatt)};', f'when : "{leak.when}";',
                                            f'related_pg_pin : "{POWER_PIN}";'] if leak.when else
                       [f'value : {number(leak.nanowatt)};', f'related_pg_pin : "{POWER_PIN}";'])
    for name, kind in (("VGND", "primary_ground"), ("VNB", "pwell"), ("VPB", "nwell"), ("VPWR", "primary_power")):
        lines += group(f'pg_pin ("{name}")', [f'pg_type : "{kind}";', f'voltage_name : "{name}";'])
    if result.storage is not None:
        attributes = [f'{key} : "{text}";' for key, text in result.storage.attributes.items()]
        lines += group(f'{result.storage.kind} ("IQ", "IQ_N")', attributes)
    for pin in result.pins:
        lines += pin_group(result, pin)
    return group(f'cell ("{LIBRARY}__{result.name}")', lines)


def pin_group(result: CellResult, pin: Pin) -> Lines:
    lines = [f'direction : "{pin.direction}";', 'related_ground_pin : "VGND";', f'related_power_pin : "{POWER_PIN}";']
    if pin.direction == "output":
        lines += [f'function : "{pin.function}";'] if pin.function else []
        lines += [f"max_capacitance : {number(pin.max_capacitance_pf)};"] if pin.max_capacitance_pf else []
        lines.append('power_down_function : "(!VPWR + VGND)";')
    else:
        capacitance = (pin.rise_capacitance_pf + pin.fall_capacitance_pf) / 2
        lines += [f"capacitance : {number(capacitance)};", f"rise_capacitance : {number(pin.rise_capacitance_pf)};",
                  f"fall_capacitance : {number(pin.fall_capacitance_pf)};",
                  f"max_transition : {MAX_TRANSITION_NS:.1f};", f'clock : "{str(pin.is_clock).lower()}";']
    if pin.clock_gate_role:
        lines.append(f'{pin.clock_gate_role} : "true";')
    for way, width in (("high", pin.min_pulse_width_high_ns), ("low", pin.min_pulse_width_low_ns)):
        if width:
            lines.append(f"min_pulse_width_{way} : {number(width)};")
    for power in result.power:
        if power.pin == pin.name:
            lines += power_group(power)
    for arc in result.timing:
        if arc.pin == pin.name:
            lines += timing_group(arc)
    return group(f'pin ("{pin.name}")', lines)


def timing_group(arc: TimingArc) -> Lines:
    lines = [f'related_pin : "{arc.related_pin}";', f'timing_type : "{arc.timing_type}";']
    lines += [f'timing_sense : "{arc.timing_sense}";'] if arc.timing_sense else []
    name = "constraint_3x3" if arc.timing_type in CONSTRAINT_TYPES else "delay_7x7"
    for kind, table in sorted(arc.tables.items()):
        lines += table_group(kind, name if table.index_2 else "pulse_3", table)
    return group("timing ()", lines)


def power_group(arc: PowerArc) -> Lines:
    lines = [f'related_pin : "{arc.related_pin}";'] if arc.related_pin else []
    lines.append(f'related_pg_pin : "{POWER_PIN}";')
    lines += [f'when : "{arc.when}";'] if arc.when else []
    for kind, table in sorted(arc.tables.items()):
        lines += table_group(kind, "power_7x7" if table.index_2 else "power_7", table)
    return group("internal_power ()", lines)


def table_group(kind: str, name: str, table: Table) -> Lines:
    lines = [f'index_1 ("{row_text(table.index_1)}");']
    lines += [f'index_2 ("{row_text(table.index_2)}");'] if table.index_2 else []
    rows = ", \\\n".join(f'"{row_text(row)}"' for row in table.values).split("\n")
    rows = [f"values ({rows[0]}", *(f"  {row}" for row in rows[1:])]
    return group(f'{kind} ("{name}")', [*lines, *rows[:-1], rows[-1] + ");"])


def row_text(row: tuple[float, ...]) -> str:
    return ", ".join(map(number, row))


def number(value: float) -> str:
    """Six significant digits, no exponent unless the value is tiny, never minus zero.

    >>> number(0.1812841), number(-0.0), number(3.7536)
    ('0.181284', '0', '3.7536')
    """
    text = f"{value:.6g}"
    return "0" if text == "-0" else text


def group(head: str, lines: Lines) -> Lines:
    return [f"{head} {{", *indented(lines), "}"]


def indented(lines: Lines) -> Lines:
    return [f"  {line}" for line in lines]
