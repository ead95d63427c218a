"""The floor plan: die, macros, rows with taps and end caps, power grid, places for the pins."""
