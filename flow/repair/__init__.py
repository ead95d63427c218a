"""Makes a placed netlist fast enough and slow enough: buffers, sizes, delays; its function stays."""
