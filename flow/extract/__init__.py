"""Resistance and capacitance of routed wires: from shapes to SPEF."""
