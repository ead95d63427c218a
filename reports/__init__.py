"""What a design costs and how right it is, on one page: every step's metrics, plots, baselines, an index."""
