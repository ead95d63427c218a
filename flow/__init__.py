"""How a design is checked and becomes silicon: steps, the tools they run, the metrics they leave."""
