"""Checks of a finished layout: GDS, DEF and netlist against rules, schematic and each other."""
