"""A Liberty file of a dozen cells with round numbers, for tests of synthesis that need no real library."""

PREFIX = "sky130_fd_sc_hd__"
HEAD = """library (small) {
  delay_model : "table_lookup";
  time_unit : "1ns";
  voltage_unit : "1V";
  current_unit : "1mA";
  leakage_power_unit : "1nW";
  pulling_resistance_unit : "1kohm";
  capacitive_load_unit (1, "pf");
  nom_voltage : 1.8;
  nom_temperature : 25;
  nom_process : 1;
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  lu_table_template (t) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("1, 2, 3, 4, 5, 6, 7"); index_2 ("1, 2, 3, 4, 5, 6, 7"); }
"""
GATES = {                                         # area, inputs, function, delay at the smallest load in ns
    "inv_1": (3.75, "A", "!A", 0.02), "inv_2": (3.75, "A", "!A", 0.015), "buf_1": (3.75, "A", "A", 0.05),
    "clkbuf_1": (3.75, "A", "A", 0.05), "nand2_1": (3.75, "A B", "!(A & B)", 0.03),
    "nor2_1": (3.75, "A B", "!(A | B)", 0.04), "xor2_1": (8.76, "A B", "A ^ B", 0.07),
    "and2_0": (6.26, "A B", "A & B", 0.06),
}


SLEWS, LOADS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2)


def table(kind: str, low: float) -> str:
    """A delay or transition that grows with slew and load."""
    rows = ", ".join('"' + ", ".join(f"{low + 0.1 * slew + 3 * load:.4f}" for load in LOADS) + '"' for slew in SLEWS)
    slews, loads = (", ".join(map(str, axis)) for axis in (SLEWS, LOADS))
    return f'{kind} (t) {{ index_1 ("{slews}"); index_2 ("{loads}"); values ({rows}); }}'


def arc(pin: str, low: float, more: str) -> str:
    tables = " ".join(table(kind, low) for kind in ("cell_rise", "rise_transition", "cell_fall", "fall_transition"))
    return f'timing () {{ related_pin : "{pin}"; {more} {tables} }}'


def gate(name: str, area: float, inputs: str, function: str, low: float) -> str:
    pins = "".join(f"  pin ({pin}) {{ direction : input; capacitance : 0.002; }}\n" for pin in inputs.split())
    sense = {"!": "negative_unate", "A": "positive_unate"}[function[0]] if "^" not in function else "non_unate"
    arcs = " ".join(arc(pin, low, f"timing_sense : {sense};") for pin in inputs.split())
    return (f'cell ("{PREFIX}{name}") {{ area : {area};\n{pins}  pin (Y) {{ direction : output; '
            f'function : "{function}"; max_capacitance : 0.2; {arcs} }}\n}}\n')


def small_library(without: str = "") -> str:
    """The text of the library, on demand without one of its cells."""
    clocked = arc("CLK", 0.3, "timing_type : rising_edge;")
    check = ('timing () { related_pin : "CLK"; timing_type : setup_rising; rise_constraint (scalar) '
             '{ values ("0.1"); } fall_constraint (scalar) { values ("0.1"); } }')
    cells = {name: gate(name, *values) for name, values in GATES.items()}
    cells["dfxtp_1"] = (
        f'cell ("{PREFIX}dfxtp_1") {{ area : 20.02; ff (IQ, IQN) {{ clocked_on : "CLK"; next_state : "D"; }}\n'
        f'  pin (CLK) {{ direction : input; clock : true; capacitance : 0.002; }}\n'
        f'  pin (D) {{ direction : input; capacitance : 0.002; {check} }}\n'
        f'  pin (Q) {{ direction : output; function : "IQ"; max_capacitance : 0.2; {clocked} }}\n}}\n')
    cells["dlxtp_1"] = (
        f'cell ("{PREFIX}dlxtp_1") {{ area : 15.01; latch (IQ, IQN) {{ data_in : "D"; enable : "GATE"; }}\n'
        '  pin (GATE) { direction : input; capacitance : 0.002; } pin (D) { direction : input; capacitance : 0.002; }\n'
        '  pin (Q) { direction : output; function : "IQ"; }\n}\n')
    cells["fa_1"] = (
        f'cell ("{PREFIX}fa_1") {{ area : 20.02;\n'
        + "".join(f"  pin ({pin}) {{ direction : input; capacitance : 0.002; }}\n" for pin in ("A", "B", "CIN"))
        + "".join(f'  pin ({pin}) {{ direction : output; function : "{function}"; max_capacitance : 0.2; '
                  + " ".join(arc(source, 0.1, f"timing_sense : {sense};") for source in ("A", "B", "CIN")) + " }\n"
                  for pin, function, sense in (("COUT", "(A&B)|(A&CIN)|(B&CIN)", "positive_unate"),
                                               ("SUM", "A^B^CIN", "non_unate"))) + "}\n")
    cells["dlclkp_1"] = (
        f'cell ("{PREFIX}dlclkp_1") {{ area : 17.52; clock_gating_integrated_cell : "latch_posedge";\n'
        '  pin (GATE) { direction : input; capacitance : 0.002; clock_gate_enable_pin : true; }\n'
        '  pin (CLK) { direction : input; clock : true; capacitance : 0.002; clock_gate_clock_pin : true; }\n'
        f'  pin (GCLK) {{ direction : output; clock_gate_out_pin : true; state_function : "CLK"; '
        f'max_capacitance : 0.2; {arc("CLK", 0.1, "timing_sense : positive_unate;")} }}\n}}\n')
    cells["conb_1"] = (f'cell ("{PREFIX}conb_1") {{ area : 3.75; pin (HI) {{ direction : output; function : "1"; }} '
                       'pin (LO) { direction : output; function : "0"; }\n}\n')
    cells["fill_1"] = f'cell ("{PREFIX}fill_1") {{ area : 1.25;\n}}\n'
    return HEAD + "".join(text for name, text in cells.items() if name != without) + "}\n"
