"""SRAM macros for the memory seam: generated, strapped, described (LEF, CDL, Verilog) and checked."""
