"""When signals arrive: constraints, parasitics, OpenSTA and its reports."""
