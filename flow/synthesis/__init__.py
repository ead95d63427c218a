"""Synthesis: from exported Verilog to a flat netlist of standard cells, with Yosys."""
