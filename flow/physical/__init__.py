"""What steps of the layout hand to each other: technology, cells, netlist, placement and routes, and their files."""
