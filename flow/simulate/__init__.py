"""Simulation of a design against golden: PyRTL, Verilator and Icarus behind one host program and one event list."""
