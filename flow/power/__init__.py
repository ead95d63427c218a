"""Power of a netlist from what its nets did: energies of the libraries, charge of the wires, leakage of the states."""
