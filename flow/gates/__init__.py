"""Simulation of the final netlist, gate by gate, with the host program and the comparison of flow/simulate."""
