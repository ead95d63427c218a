"""From the layout of a standard cell to its NLDM Liberty: extraction, ngspice, tables."""
